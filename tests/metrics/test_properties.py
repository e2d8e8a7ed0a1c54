from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrbench import metrics

ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 12), st.integers(0, 3)), min_size=2, max_size=40).filter(
    lambda rows: sum(r[0] * r[2] for r in rows) > 0 and sum((1 - r[0]) * r[2] for r in rows) > 0
)
NAMES = ["auc", "average-precision", "recall@threshold=0.5", "ppv@threshold=0.5", "brier", "expected-calibration-error"]


def columns(rows: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = np.array(rows, float)
    return table[:, 0], table[:, 1] / 12, table[:, 2]


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_row_order_means_nothing(rows: list[tuple[int, int, int]], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for name in NAMES:
        a, b = (metrics.evaluate(name, t, s, weights=w) for t, s, w in (columns(rows), columns(shuffled)))
        assert a == pytest.approx(b, abs=1e-12, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_weights_are_repetition(rows: list[tuple[int, int, int]]) -> None:
    truth, score, weights = columns(rows)
    times = weights.astype(int)
    for name in [*NAMES, "calibration-slope", "calibration-intercept"]:
        weighted = metrics.evaluate(name, truth, score, weights=weights)
        repeated = metrics.evaluate(name, np.repeat(truth, times), np.repeat(score, times))
        assert weighted == pytest.approx(repeated, abs=1e-9, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_order_is_all_that_ranks_see_and_flipped_labels_mirror_it(rows: list[tuple[int, int, int]]) -> None:
    truth, score, weights = columns(rows)
    value = metrics.auc(truth, score, weights=weights)
    assert metrics.auc(truth, np.exp(3 * score) - 7, weights=weights) == value
    assert metrics.auc(1 - truth, score, weights=weights) == pytest.approx(1 - value, abs=1e-12)
    assert metrics.auc(truth, -score, weights=weights) == pytest.approx(1 - value, abs=1e-12)
    assert metrics.average_precision(truth, 5 * score, weights=weights) == metrics.average_precision(
        truth, score, weights=weights
    )


CLASSED = st.lists(
    st.tuples(st.integers(0, 2), st.permutations([0.1, 0.3, 0.6]), st.integers(0, 3)), min_size=2, max_size=40
).filter(lambda rows: len({row[0] for row in rows if row[2]}) > 1)
EACH = [metrics.multiclass_recall, metrics.multiclass_precision, metrics.multiclass_f1]
OVERALL = [
    metrics.multiclass_accuracy,
    metrics.multiclass_macro_recall,
    metrics.multiclass_macro_precision,
    metrics.multiclass_macro_f1,
    metrics.multiclass_weighted_recall,
    metrics.multiclass_weighted_precision,
    metrics.multiclass_weighted_f1,
]


def classed(rows: list[tuple[int, list[float], int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array([r[0] for r in rows], float), np.array([r[1] for r in rows]), np.array([r[2] for r in rows], float)


@settings(max_examples=60, deadline=None)
@given(CLASSED, st.permutations([0, 1, 2]))
def test_classes_may_stand_in_any_order(rows: list[tuple[int, list[float], int]], order: list[int]) -> None:
    truth, score, weights = classed(rows)
    turned = np.argsort(order)[truth.astype(int)], score[:, order]
    for figure in EACH:
        expected = figure(truth, score, weights=weights)[order]
        assert figure(*turned, weights=weights) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    for overall in OVERALL:
        mean = overall(truth, score, weights=weights)
        assert overall(*turned, weights=weights) == pytest.approx(mean, abs=1e-12, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(CLASSED)
def test_weights_of_classed_images_are_repetition_and_only_the_highest_score_counts(
    rows: list[tuple[int, list[float], int]],
) -> None:
    truth, score, weights = classed(rows)
    times = weights.astype(int)
    assert metrics.multiclass_weighted_recall(truth, score, weights=weights) == pytest.approx(
        metrics.multiclass_accuracy(truth, score, weights=weights), abs=1e-12
    )
    for figure in (*EACH, *OVERALL):
        expected = figure(truth, score, weights=weights)
        repeated = figure(np.repeat(truth, times), np.repeat(score, times, axis=0))
        assert repeated == pytest.approx(expected, abs=1e-12, nan_ok=True)
        assert figure(truth, np.exp(5 * score) - 2, weights=weights) == pytest.approx(expected, abs=1e-12, nan_ok=True)
