"""Do 95 % intervals of multi-class labels hold the true figure 95 times in 100, with as few as 20 patients of a class?"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from xrbench import metrics, statistics
from xrbench.metrics.table import named

CLASSES = ["common", "less", "rare"]
SHARES = [0.6, 0.25, 0.15]
NAMES = [name for name, row in named("multiclass").items() if row.family == "decision"]
SAMPLES = 300
Floats = npt.NDArray[np.float64]


def draw(rng: np.random.Generator, counts: npt.NDArray[np.int64], images: int) -> tuple[Floats, Floats, Any]:
    """Draw 1 to ``images`` images for each patient, whose scores share half of their variance."""
    kind = np.repeat(np.arange(3), counts)
    patient = np.repeat(np.arange(len(kind)), rng.integers(1, images + 1, len(kind)))
    truth = kind[patient]
    shared = rng.normal(size=(len(kind), 3))[patient]
    score = 1.5 * np.eye(3)[truth] + np.sqrt(0.5) * (shared + rng.normal(size=shared.shape))
    return truth.astype(float), score, patient


@pytest.fixture(scope="module")
def expected() -> dict[tuple[str, str], float]:
    """The true figures: those of a million independent images."""
    truth, score, _ = draw(np.random.default_rng(9), (1e6 * np.array(SHARES)).astype(np.int64), 1)
    found = {}
    for name in NAMES:
        values = metrics.evaluate_classes(name, truth, score)
        labels = CLASSES if len(values) > 1 else ["all classes"]
        found.update({(name, label): float(value) for label, value in zip(labels, values, strict=True)})
    return found


def test_default_intervals_hold(expected: dict[tuple[str, str], float]) -> None:
    rng, hits = np.random.default_rng(1), Counter[tuple[str, str]]()
    for seed in range(SAMPLES):
        counts = rng.multinomial(200, SHARES)
        while counts.min() < 20:
            counts = rng.multinomial(200, SHARES)
        truth, score, patient = draw(rng, counts, 8)
        rows = statistics.estimate(
            truth, score, patient, labels=CLASSES, metrics=NAMES, seed=seed, threads=1, task="multiclass"
        )
        assert not any(row.reason or row.caution for row in rows)
        hits.update((row.metric, row.label) for row in rows if row.low <= expected[row.metric, row.label] <= row.high)
    # 16 figures: the chance that a sound one is out by luck is 1 in 10,000 for each.
    low, high = stats.binom.ppf([5e-5, 1 - 5e-5], SAMPLES, 0.95)
    assert set(hits) == set(expected)
    assert {key: count for key, count in hits.items() if not low <= count <= high} == {}


def test_image_level_intervals_of_classes_do_not(expected: dict[tuple[str, str], float]) -> None:
    rng, hits = np.random.default_rng(2), 0
    for seed in range(SAMPLES):
        truth, score, _ = draw(rng, np.array([120, 50, 30]), 8)
        row = statistics.estimate(
            truth, score, labels=CLASSES, metrics=["macro-recall"], seed=seed, threads=1, task="multiclass"
        )[0]
        hits += row.low <= expected["macro-recall", "all classes"] <= row.high
    assert hits < stats.binom.ppf(5e-5, SAMPLES, 0.95)
