from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrbench import metrics
from xrbench.errors import MeasureError

ROWS = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0])), min_size=1, max_size=30)


@settings(max_examples=100, deadline=None)
@given(ROWS, st.floats(0.01, 1.0))
def test_the_target_is_met_and_no_better_threshold_meets_it(rows: list[tuple[int, float]], target: float) -> None:
    truth, score = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    candidates = [*np.unique(score), np.nextafter(score.max(), np.inf)]
    if truth.any():
        at = metrics.threshold_at(truth, score, sensitivity=target)
        assert metrics.recall(truth, score, threshold=at) >= target - 1e-12
        assert all(metrics.recall(truth, score, threshold=c) < target for c in candidates if c > at)
    if not truth.all():
        at = metrics.threshold_at(truth, score, specificity=target)
        assert metrics.specificity(truth, score, threshold=at) >= target - 1e-12
        assert all(metrics.specificity(truth, score, threshold=c) < target for c in candidates if c < at)


def test_missing_class_leaves_no_threshold() -> None:
    assert math.isnan(metrics.threshold_at([0, 0], [0.1, 0.2], sensitivity=0.9))
    assert math.isnan(metrics.threshold_at([1, 1], [0.1, 0.2], specificity=0.9))
    assert math.isnan(metrics.recall([1, 0], [0.1, 0.2], threshold=math.nan))


@pytest.mark.parametrize("options", [{}, {"sensitivity": 0.9, "specificity": 0.9}, {"sensitivity": 1.2}])
def test_targets_are_checked(options: dict[str, float]) -> None:
    with pytest.raises(MeasureError, match="target"):
        metrics.threshold_at([1, 0], [0.1, 0.2], **options)


def test_rounding_does_not_miss_a_target() -> None:
    truth, score = np.ones(10), np.arange(10) / 10
    assert metrics.threshold_at(truth, score, sensitivity=0.9) == 0.1
    assert metrics.threshold_at(truth, score, sensitivity=0.3) == 0.7
