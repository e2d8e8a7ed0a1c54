"""Max-t against formulas for independent errors, SciPy's multivariate normal integral, and Bonferroni's bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from xrbench.statistics.inference.simultaneous import correlation_of, max_t


@pytest.mark.parametrize("size", [1, 2, 5, 40])
def test_independent_errors_give_sidaks_level(size: int) -> None:
    expected = 1 - 0.95 ** (1 / size)
    # 32,768 draws: the standard error of the family's level is 0.12 percentage points.
    found = max_t(np.eye(size)).significance(0.05)
    assert 1 - (1 - found) ** size == pytest.approx(0.05, abs=0.004)
    assert found == pytest.approx(expected, rel=0.09)


@pytest.mark.parametrize("shared", [0.3, 0.9, 1.0, -0.25])
def test_correlated_errors_are_those_of_the_multivariate_normal(shared: float) -> None:
    correlation = np.full((4, 4), shared) + (1 - shared) * np.eye(4)
    family = max_t(correlation)
    reach = -special.ndtri(family.significance(0.05) / 2)
    inside = stats.multivariate_normal(cov=correlation, allow_singular=True).cdf(np.full(4, reach), lower_limit=-reach)
    assert inside == pytest.approx(0.95, abs=0.004)
    assert family.adjust([0.01])[0] == pytest.approx(
        1
        - stats.multivariate_normal(cov=correlation, allow_singular=True).cdf(np.full(4, 2.5758), lower_limit=-2.5758),
        abs=0.002,
    )


@given(st.integers(0, 2**31), st.integers(1, 6), st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=6))
def test_adjusted_values_lie_between_their_own_and_bonferronis(seed: int, size: int, pvalues: list[float]) -> None:
    influence = np.random.default_rng(seed).normal(size=(size, 3))
    family = max_t(correlation_of(influence, np.sqrt((influence**2).sum(axis=1))))
    adjusted = family.adjust(pvalues)
    assert (adjusted >= np.array(pvalues) - 1e-15).all()
    assert (adjusted <= np.minimum(1, size * np.array(pvalues)) + 1e-15).all()
    # What an interval at this significance excludes has an adjusted p-value below the family's, but for the last draw.
    level = family.significance(0.05)
    assert ((np.array(pvalues) < 0.99 * level) <= (adjusted < 0.05)).all()
    assert ((np.array(pvalues) > 1.01 * level) <= (adjusted >= 0.05 - 4e-5)).all()


def test_what_is_hidden_from_the_influences_lowers_correlations() -> None:
    influence = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert correlation_of(influence, np.array([1.0, 2.0])).tolist() == [[1.0, 0.5], [0.5, 1.0]]
    assert np.isnan(max_t(np.eye(2)).adjust([float("nan")])[0])
