"""Rank correlations of a few things against SciPy, with p-values that can be counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from xrbench.errors import MeasureError
from xrbench.statistics.inference.correlation import rank_correlation


def test_rising_and_falling_together() -> None:
    assert rank_correlation([1, 2, 3, 4, 5, 6], [2, 3, 5, 7, 11, 13]).rho == 1.0
    falling = rank_correlation([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1])
    assert falling.rho == -1.0
    assert falling.p == pytest.approx(2 / math.factorial(6))


def test_orders_of_four_by_hand() -> None:
    # One neighbouring pair exchanged: rho = 1 - 6 x 2 / (4 x 15) = 0.8. As far from 0 are the two monotone orders and the three
    # with one neighbouring exchange, each rising or falling: 8 of 24.
    found = rank_correlation([1, 2, 3, 4], [1, 2, 4, 3])
    assert found.rho == pytest.approx(0.8)
    assert found.p == pytest.approx(8 / 24)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ties", [False, True])
def test_all_orders_against_scipy(seed: int, ties: bool) -> None:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=6)
    y = generator.integers(0, 3, 6).astype(float) if ties else generator.normal(size=6)
    if len(np.unique(y)) < 2:
        y[0] += 1
    found = rank_correlation(x, y)

    def rho(order: np.ndarray) -> float:
        return float(stats.spearmanr(x, order).statistic)

    exact = stats.permutation_test((y,), rho, permutation_type="pairings", n_resamples=np.inf, vectorized=False)
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)
    # SciPy doubles the smaller tail; with ties the two tails need not be alike.
    assert found.p == pytest.approx(np.mean(np.abs(exact.null_distribution) >= abs(found.rho) - 1e-9))
    if not ties:
        assert found.p == pytest.approx(exact.pvalue)


def test_of_many_things_orders_are_drawn_and_always_the_same() -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=30)
    y = x + generator.normal(size=30)
    found = rank_correlation(x, y)
    assert found == rank_correlation(x, y)
    assert 0 < found.p < 0.01
    assert stats.spearmanr(x, y).pvalue < 0.01


def test_what_cannot_be_told() -> None:
    three = rank_correlation([1, 2, 3], [1, 2, 3])
    assert three.rho == 1.0
    assert math.isnan(three.p)
    alike = rank_correlation([1, 1, 1, 1], [1, 2, 3, 4])
    assert math.isnan(alike.rho)
    assert math.isnan(alike.p)


@pytest.mark.parametrize(("x", "y"), [([1, 2], [1, 2, 3]), ([1, math.nan], [1, 2])])
def test_pairs_are_wanted(x: list[float], y: list[float]) -> None:
    with pytest.raises(MeasureError):
        rank_correlation(x, y)
