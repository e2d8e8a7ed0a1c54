"""What mean ranks chance gives: every setting's ranks in every order, exactly where that is feasible.

Friedman's statistic is compared with chi-square and Nemenyi's difference with the studentized range, both of which hold for many
settings. With few, all orders of the ranks within each setting are equally likely where methods do not differ (Friedman 1937, JASA
32:675): the distribution of the rank sums is built up setting by setting, or drawn where it has too many values.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from math import factorial, prod

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray

IntArray = npt.NDArray[np.int64]
FEASIBLE = 30_000_000
"""Additions up to which the distribution is exact."""
DRAWS = 100_000
"""Draws otherwise."""
ENOUGH = 30
"""Settings from which the limiting distributions are used: with five methods they then err by less than 0.003 at 5 %."""


@dataclass(frozen=True, eq=False)
class RankSums:
    """The distribution of what rank sums have in common when methods do not differ.

    Attributes:
        spread: Sum of squared distances of the rank sums from their mean, shape (values,).
        widest: Largest difference of two rank sums, shape (values,).
        share: Probability of each, shape (values,).
        exact: Whether all orders were taken, not a sample of them.
    """

    spread: FloatArray
    widest: FloatArray
    share: FloatArray
    exact: bool

    def p(self, spread: float) -> float:
        """Return the probability of so large a spread or a larger one; of a sample never below one in its draws."""
        beyond = float(self.share[self.spread >= spread - 1e-9].sum())
        return min(1.0, beyond if self.exact else (beyond * DRAWS + 1) / (DRAWS + 1))

    def critical(self, significance: float) -> float:
        """Return the smallest difference of two rank sums that the widest one exceeds with at most this probability."""
        size, at = np.unique(np.round(self.widest, 9), return_inverse=True)
        beyond = 1 - np.cumsum(np.bincount(at, self.share))
        return float(size[np.argmax(beyond <= significance + 1e-12)])


def rank_sums(ranks: FloatArray) -> RankSums:
    """Find the distribution of the rank sums over all orders of the ranks within each setting.

    Args:
        ranks: Ranks of the methods in each setting, ties shared, shape (settings, methods).

    >>> found = rank_sums(np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0]]))  # three settings, two methods: sums 3-6, 4-5, 5-4, 6-3
    >>> found.spread.tolist(), found.share.tolist(), found.p(4.5)
    ([4.5, 0.5, 0.5, 4.5], [0.125, 0.375, 0.375, 0.125], 0.25)
    """
    doubled = np.rint(2 * ranks).astype(np.int64)
    settings, methods = doubled.shape
    # The last sum follows from the others. Whole ranks reach every second doubled sum only, but ties may need all of them.
    values = prod([int((doubled.max(axis=1) - doubled.min(axis=1)).sum()) + 1] * (methods - 1))
    exact = values * factorial(min(methods, 12)) * settings <= FEASIBLE
    sums, share = _all_sums(doubled) if exact else _drawn_sums(doubled)
    away = (sums - sums.mean(axis=1, keepdims=True)) / 2
    return RankSums((away**2).sum(axis=1), away.max(axis=1) - away.min(axis=1), share, exact)


def _all_sums(doubled: IntArray) -> tuple[IntArray, FloatArray]:
    """List all rank sums and their probabilities, shape (values, methods) and (values,)."""
    methods = doubled.shape[1]
    lowest = doubled.min(axis=1)
    reach = int((doubled.max(axis=1) - lowest).sum()) + 1
    table = np.zeros((reach,) * (methods - 1))
    table[(0,) * (methods - 1)] = 1.0
    for row, least in zip(doubled, lowest, strict=True):
        following = np.zeros_like(table)
        orders = list(permutations((row - least).tolist()))
        for order in orders:
            # Move all sums up by this order of the ranks; what would leave the table is empty.
            target = tuple(slice(step, None) for step in order[:-1])
            source = tuple(slice(None, reach - step) for step in order[:-1])
            following[target] += table[source] / len(orders)
        table = following
    known = np.argwhere(table > 0)
    first = known + lowest.sum()
    last = doubled.sum() - first.sum(axis=1, keepdims=True)
    return np.concatenate([first, last], axis=1), table[table > 0]


def _drawn_sums(doubled: IntArray) -> tuple[IntArray, FloatArray]:
    """Draw rank sums, always the same ones."""
    rng = np.random.default_rng(1937)
    sums = np.zeros((DRAWS, doubled.shape[1]), np.int64)
    for row in doubled:
        sums += rng.permuted(np.broadcast_to(row, sums.shape), axis=1)
    return sums, np.full(DRAWS, 1 / DRAWS)
