"""The table: every row has what the statistics and reports ask of it, and says of its formula what the formula does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from xrbench import metrics
from xrbench.metrics.table import ROWS, TABLE, aliases, formula, named

BINARY = [row for row in ROWS if "multilabel" in row.tasks]
CLASSED = [row for row in ROWS if "multiclass" in row.tasks]


def name_of(row: metrics.Metric) -> str:
    return f"{row.name}@threshold=0.5" if row.family == "decision" else row.name


def cohort(seed: int, size: int = 4000, prevalence: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Draw probabilities that depend on the class in the same way whatever the prevalence; their calibration slope is 1."""
    rng = np.random.default_rng(seed)
    truth = (np.arange(size) < prevalence * size).astype(float)
    return truth, 1 / (1 + np.exp(-rng.normal(2 * truth - 0.3, math.sqrt(2))))


def classes(seed: int, counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(counts)), counts)
    signal = np.diag(np.linspace(3.0, 0.5, len(counts)))[truth]
    raw = np.exp(rng.normal(size=signal.shape) + signal)
    return truth.astype(float), raw / raw.sum(axis=1, keepdims=True)


def test_names_are_unique_and_no_alias_hides_one() -> None:
    assert len(TABLE) == len(ROWS)
    for task in ("multilabel", "multiclass"):
        words = [word for row in named(task).values() for word in row.aliases]
        assert len(words) == len(set(words))
        assert not set(aliases(task)) & set(named(task))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_formula_is_there(row: metrics.Metric) -> None:
    assert row.tasks
    assert all(callable(formula(target)) for target in (row.multilabel, row.multiclass, row.chance) if target)
    assert row.low < row.high
    assert row.probabilities or row.family != "probability"
    assert row.family == "decision" or not (row.multiclass or row.per_class)


@pytest.mark.parametrize("row", BINARY, ids=lambda row: row.name)
def test_values_lie_in_the_range_that_is_stated(row: metrics.Metric) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        truth, score = rng.integers(0, 2, 12), np.round(rng.random(12), 1)
        value = metrics.evaluate(name_of(row), truth, score)
        assert math.isnan(value) or row.low - 1e-12 <= value <= row.high + 1e-12


@pytest.mark.parametrize("row", CLASSED, ids=lambda row: row.name)
def test_values_of_classes_lie_in_the_range_that_is_stated(row: metrics.Metric) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = metrics.evaluate_classes(row.name, rng.integers(0, 3, 9), rng.dirichlet(np.ones(3), 9))
        assert len(values) == (3 if row.per_class or row.family != "decision" else 1)
        known = values[~np.isnan(values)]
        assert ((known >= row.low - 1e-12) & (known <= row.high + 1e-12)).all()


@pytest.mark.parametrize("row", [row for row in BINARY if row.better != "neither"], ids=lambda row: row.name)
def test_a_better_model_moves_the_metric_the_way_that_is_stated(row: metrics.Metric) -> None:
    truth, score = cohort(1)
    wrong = score.copy()
    wrong[::3] = 1 - wrong[::3]  # a third of the scores point the other way
    good, bad = (metrics.evaluate(name_of(row), truth, each) for each in (score, wrong))
    assert good > bad if row.better == "higher" else good < bad


@pytest.mark.parametrize("row", [row for row in CLASSED if row.better != "neither"], ids=lambda row: row.name)
def test_a_better_classifier_moves_the_metric_the_way_that_is_stated(row: metrics.Metric) -> None:
    truth, score = classes(1, (400, 300, 200))
    wrong = score.copy()
    wrong[::3] = wrong[::3, ::-1]
    good, bad = (metrics.evaluate_classes(row.name, truth, each).mean() for each in (score, wrong))
    assert good > bad if row.better == "higher" else good < bad


@pytest.mark.parametrize("row", BINARY, ids=lambda row: row.name)
def test_prevalence_moves_the_metrics_of_which_that_is_stated(row: metrics.Metric) -> None:
    common, rare = (
        metrics.evaluate(name_of(row), *cohort(seed, 40_000, share)) for seed, share in ((1, 0.5), (2, 0.05))
    )
    moved = abs(common - rare) > (0.03 * row.high if math.isfinite(row.high) else 0.1)
    assert moved == row.prevalence


@pytest.mark.parametrize("row", [row for row in CLASSED if row.family == "decision"], ids=lambda row: row.name)
def test_class_shares_move_the_metrics_of_which_that_is_stated(row: metrics.Metric) -> None:
    even = metrics.evaluate_classes(row.name, *classes(1, (20_000, 20_000, 20_000)))
    shares = ((50_000, 5_000, 5_000), (5_000, 5_000, 50_000))
    uneven = [metrics.evaluate_classes(row.name, *classes(2, counts)) for counts in shares]
    assert (np.abs(even - uneven).max() > 0.02) == row.prevalence


def test_shares_of_images_are_those_of_the_images_that_are_stated() -> None:
    truth, score = np.array([1, 1, 1, 0, 0]), np.array([0.9, 0.8, 0.2, 0.7, 0.1])
    called = score >= 0.5
    parts = {
        "images": np.ones(5, bool),
        "positives": truth == 1,
        "negatives": truth == 0,
        "positive calls": called,
        "negative calls": ~called,
    }
    shares = [row for row in BINARY if row.share_of]
    assert {row.share_of for row in shares} == set(parts)
    for row in shares:
        right = (called == truth)[parts[row.share_of]]
        assert metrics.evaluate(f"{row.name}@threshold=0.5", truth, score) == pytest.approx(right.mean())
        assert row.intervals == ("wilson",)


def test_every_multi_class_name_is_read() -> None:
    assert set(aliases("multiclass").values()) <= set(named("multiclass"))
    for name in named("multiclass"):
        assert metrics.parse_classes(name).name == name
        assert metrics.parse_as("multiclass", name) == metrics.parse_classes(name)


def test_titles() -> None:
    assert metrics.metric_title("ppv@sensitivity=0.9") == "PPV at sensitivity 0.9"
    assert metrics.metric_title("recall@threshold=-0.5") == "recall at threshold -0.5"
    assert metrics.metric_title("class-recall") == "class recall"
    assert metrics.metric_title("somebody-elses") == "somebody elses"


def test_one_against_the_rest() -> None:
    truth, score = classes(3, (30, 20, 10))
    each = metrics.evaluate_classes("auc", truth, score)
    assert each == pytest.approx([metrics.auc(truth == k, score[:, k]) for k in range(3)])
    assert each.mean() == pytest.approx(metrics.multiclass_auc(truth, score))
