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
