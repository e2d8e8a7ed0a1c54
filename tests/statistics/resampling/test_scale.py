"""The scale of a metric's error: the logit of its range."""

from __future__ import annotations

import numpy as np
import pytest

from xrbench import metrics
from xrbench.statistics.resampling.scale import UNBOUNDED, Scale, scale_of


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 1000.0)])
def test_there_and_back(low: float, high: float) -> None:
    scale = Scale(low, high)
    values = low + (high - low) * np.array([0.01, 0.3, 0.5, 0.99])
    assert scale.logit(values) == pytest.approx(np.log((values - low) / (high - values)))
    assert scale.expit(scale.logit(values)) == pytest.approx(values)
    step = 1e-6
    for value in values:
        there = scale.logit(value)
        slope = (scale.expit(there + step) - scale.expit(there - step)) / (2 * step)
        assert scale.slope(value) == pytest.approx(float(slope), rel=1e-5)


def test_ends() -> None:
    scale = Scale(-1.0, 1.0)
    assert scale.is_end(-1.0)
    assert scale.is_end(1.0)
    assert not scale.is_end(0.0)
    assert scale.holds([-0.9, 0.9])
    assert not scale.holds([-1.0, 0.0])
    assert not UNBOUNDED.is_end(np.inf)
    assert not UNBOUNDED.holds(0.5)


def test_of_metrics() -> None:
    assert scale_of(metrics.parse("auc")) == (0.0, 1.0)
    assert scale_of(metrics.parse("positive-calls-per-1000@threshold=0.5")) == (0.0, 1000.0)
    for name in ("net-benefit@threshold=0.1", "calibration-slope", "calibration-intercept"):
        assert not scale_of(metrics.parse(name)).finite
