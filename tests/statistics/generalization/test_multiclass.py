from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xrbench import metrics, statistics
from xrbench.errors import MeasureError
from xrbench.statistics import Cell

CLASSES = ["nv", "mel", "bkl"]


def cell(seed: int, patients: int, domain: str, *, clear: float = 1.5) -> Cell:
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), rng.integers(1, 4, patients))
    truth = rng.integers(0, 3, patients)[patient]
    shared = rng.normal(size=(patients, 3))[patient]
    score = clear * np.eye(3)[truth] + shared + 0.5 * rng.normal(size=shared.shape)
    return Cell(domain, truth.astype(float), score, patient)


def again(first: Cell, seed: int) -> Cell:
    """Train again with another seed: other noise on the same images."""
    noise = 0.4 * np.random.default_rng(seed).normal(size=np.shape(first.score))
    return Cell(first.domain, first.truth, np.asarray(first.score) + noise, first.patient)


def resampled(function: Any, part: Cell, times: int = 500) -> float:
    patient = np.asarray(part.patient)
    count = int(patient.max()) + 1
    drawn = np.random.default_rng(0).multinomial(count, [1 / count] * count, times)[:, patient].astype(float)
    return float(np.std([function(part.truth, part.score, weights=w) for w in drawn]))


def test_the_gap_is_a_difference_of_independent_figures() -> None:
    inside, outside = cell(1, 200, "here", clear=2.5), cell(2, 250, "there")
    row = statistics.gap([inside], [outside], metric="macro-recall", labels=CLASSES, task="multiclass")[0]
    values = [metrics.multiclass_macro_recall(part.truth, part.score) for part in (inside, outside)]
    assert (row.internal, row.external, row.gap) == pytest.approx((*values, values[0] - values[1]), abs=1e-12)
    errors = [resampled(metrics.multiclass_macro_recall, part) for part in (inside, outside)]
    assert row.error == pytest.approx(np.hypot(errors[0], errors[1]), rel=0.1)
    assert row.low < row.gap < row.high
    assert (row.label, row.n_internal, row.n_external, row.caution) == ("all classes", 1, 1, "")


def test_gaps_of_each_class_and_against_the_rest() -> None:
    inside, outside = cell(3, 150, "here"), cell(4, 42, "there")
    rows = statistics.gap([inside], [outside], metric="class-recall", labels=CLASSES, task="multiclass")
    recall = [metrics.multiclass_recall(part.truth, part.score) for part in (inside, outside)]
    assert [row.gap for row in rows] == pytest.approx(recall[0] - recall[1], abs=1e-12)
    assert [row.label for row in rows] == CLASSES
    assert all("patients of one class" in row.caution for row in rows)
    rows = statistics.gap([inside], [outside], metric="auc", labels=CLASSES, task="multiclass")
    assert [row.label for row in rows] == [*CLASSES, "mean"]
    assert rows[-1].internal == pytest.approx(metrics.multiclass_auc(inside.truth, inside.score), abs=1e-12)


def test_seeds_and_patients_both_count() -> None:
    first = cell(5, 200, "here")
    cells = [again(first, seed) for seed in range(4)]
    row = statistics.two_level(cells, metric="macro-f1", labels=CLASSES, task="multiclass")[0]
    each = [metrics.multiclass_macro_f1(part.truth, part.score) for part in cells]
    assert (row.value, row.sd) == pytest.approx((np.mean(each), np.std(each, ddof=1)), abs=1e-12)
    one = statistics.estimate(
        first.truth, cells[0].score, first.patient, labels=CLASSES, metrics=["macro-f1"], task="multiclass"
    )[0]
    assert row.patient_share + row.seed_share == pytest.approx(1)
    assert row.high - row.low > 0.7 * (one.high - one.low)
    assert [one.label for one in statistics.two_level(cells, metric="auc", labels=CLASSES, task="multiclass")] == [
        *CLASSES,
        "mean",
    ]
    with pytest.raises(MeasureError, match="one domain"):
        statistics.two_level([first, cell(6, 50, "there")], labels=CLASSES, metric="macro-recall", task="multiclass")
