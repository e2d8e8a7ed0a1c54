from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from xrbench import statistics
from xrbench.errors import UsageError


def test_the_detectable_difference_is_found_four_times_in_five() -> None:
    """Checked against the power of the z-test itself."""
    detectable = statistics.smallest_detectable(0.013)
    power = stats.norm.sf(stats.norm.isf(0.025) - detectable / 0.013) + stats.norm.cdf(-1.96 - detectable / 0.013)
    assert power == pytest.approx(0.8, abs=1e-4)


def test_counts_alone_foretell_the_error(draw_images: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([1.0, 0.0], [150, 450])
    errors = []
    for _ in range(20):
        a, b = (rng.normal(size=600) + 1.19 * truth for _ in range(2))
        errors.append(statistics.delong_test(truth, a, b).error)
    foretold = statistics.detectable_from_counts(150, 450, auc=0.8, correlation=0.0)
    assert foretold == pytest.approx(statistics.smallest_detectable(float(np.mean(errors))), rel=0.1)
    with pytest.raises(UsageError):
        statistics.detectable_from_counts(0, 10)


def test_leaders_share_the_mark() -> None:
    values = {"a": 0.85, "b": 0.84, "c": 0.70, "d": math.nan}
    assert statistics.leaders(values, {("a", "b"): 0.02, ("c", "a"): 0.03}) == {"a", "b"}
    assert statistics.leaders(values, {("a", "b"): 0.005, ("a", "c"): 0.03}) == {"a"}
    assert statistics.leaders(values, {}) == {"a", "b", "c"}
    assert statistics.leaders({"a": 0.1, "b": 0.3}, 0.05, lower_is_better=True) == {"a"}
    assert statistics.leaders({"a": math.nan}, 0.1) == frozenset()
