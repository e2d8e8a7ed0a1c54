from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from xrbench.statistics.intervals import formulas


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_perfect_value_has_a_logit_interval_of_itself(value: float) -> None:
    with np.errstate(all="raise"):
        assert formulas.logit_normal(value, 0.01, 0.95) == (value, value)


@pytest.mark.parametrize("value", [float("nan"), -0.1, 1.1])
def test_a_value_that_is_no_share_has_no_logit_interval(value: float) -> None:
    assert all(math.isnan(end) for end in formulas.logit_normal(value, 0.01, 0.95))


@pytest.mark.parametrize(("share", "size"), [(0.5, 0.0), (0.5, -1.0), (0.5, float("nan")), (-0.1, 10.0), (1.1, 10.0)])
def test_no_share_or_no_size_has_no_score_interval(share: float, size: float) -> None:
    assert all(math.isnan(end) for end in formulas.wilson(share, size, 0.95))


@pytest.mark.parametrize(("count", "size"), [(0, 7), (3, 7), (7, 7), (45, 50)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_score_interval_is_that_of_statsmodels(count: int, size: int, level: float) -> None:
    expected = proportion_confint(count, size, alpha=1 - level, method="wilson")
    assert formulas.wilson(count / size, size, level) == pytest.approx(expected, abs=1e-12)


def test_the_normal_interval_is_that_of_scipy() -> None:
    assert formulas.normal(0.5, 0.1, 0.9) == pytest.approx(stats.norm.interval(0.9, 0.5, 0.1))
