"""Spearman's correlation of two quantities over a few items, such as classes, with a permutation p-value."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray

EXACT_UP_TO = 8
"""Items up to which all orders are tried: 8 have 40,320."""
RANDOM_ORDERS = 9_999
"""Random orders where there are more items."""
FEWEST = 4
"""With fewer items no order is rare: of three, the p-value cannot fall below a third."""
CLOSE = 1e-12
"""Correlations that differ by rounding are equal."""


class RankCorrelation(NamedTuple):
    """A rank correlation.

    Attributes:
        rho: Spearman's correlation, -1..1; NaN with fewer than two different values on a side.
        p: Two-sided p-value: the share of all orders with a correlation at least as far from 0; NaN with fewer than four items.
        n: Number of items.
    """

    rho: float
    p: float
    n: int


def rank_correlation(x: npt.ArrayLike, y: npt.ArrayLike) -> RankCorrelation:
    """Correlate the ranks of two quantities of the same few items; equal values share a rank.

    Args:
        x: One value an item, shape (n,).
        y: The other quantity, same shape.

    Raises:
        MeasureError: The shapes differ, or a value is NaN.

    >>> rising = rank_correlation([1, 2, 3, 4], [10, 20, 30, 40])
    >>> rising.rho, round(rising.p, 4)  # 2 of 24 orders: this one and its mirror image
    (1.0, 0.0833)
    """
    a, b = (np.asarray(each, np.float64) for each in (x, y))
    if a.ndim != 1 or a.shape != b.shape or np.isnan(a + b).any():
        raise MeasureError(f"expected two values of each thing, got shapes {a.shape} and {b.shape}, or NaN")
    if len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return RankCorrelation(float("nan"), float("nan"), len(a))
    first, second = stats.rankdata(a), stats.rankdata(b)
    rho = float(_correlation(first, second[None])[0])
    if len(a) < FEWEST:
        return RankCorrelation(rho, float("nan"), len(a))
    as_far = np.abs(_correlation(first, _orders(second))) >= abs(rho) - CLOSE
    return RankCorrelation(rho, float(as_far.mean()), len(a))


def _correlation(x: FloatArray, orders: FloatArray) -> FloatArray:
    """Correlate x, shape (n,), with each of several orders, shape (orders, n)."""
    x, orders = x - x.mean(), orders - orders.mean(axis=1, keepdims=True)
    rho: FloatArray = orders @ x / np.sqrt((x @ x) * np.square(orders).sum(axis=1))
    return np.clip(rho.round(15), -1.0, 1.0)


def _orders(ranks: FloatArray) -> FloatArray:
    """List all orders of a few ranks, or the given and random ones of many, shape (orders, n)."""
    if len(ranks) <= EXACT_UP_TO:
        return np.array(list(itertools.permutations(ranks)))
    # A fixed seed, so that the same data give the same p-value; the given order counts as one of the random ones.
    generator = np.random.default_rng(len(ranks))
    return np.array([ranks, *(generator.permutation(ranks) for _ in range(RANDOM_ORDERS))])
