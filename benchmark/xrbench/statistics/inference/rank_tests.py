"""Rank tests of methods over settings: signed ranks, Friedman's test, Nemenyi's critical difference.

They treat settings as independent, which settings that share datasets are not: they supplement the paired comparison and do not
replace it. With n settings the smallest possible two-sided p-value of the signed-rank test is 2 / 2 ** n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray
from xrbench.statistics.inference.rank_permutations import ENOUGH, rank_sums


@dataclass(frozen=True)
class SignedRank:
    """Wilcoxon's signed-rank test.

    Attributes:
        statistic: The smaller of the two rank sums.
        p: Two-sided p-value, exact unless differences are tied or zero.
        n: Settings that differ.
        smallest_p: The smallest p-value that so many settings can give.
    """

    statistic: float
    p: float
    n: int
    smallest_p: float


def wilcoxon(a: npt.ArrayLike, b: npt.ArrayLike) -> SignedRank:
    """Test whether two methods differ over settings (Wilcoxon 1945, Biometrics Bull 1:80), through SciPy.

    Args:
        a: One method's figure in each setting, shape (n,).
        b: The other's. Settings in which either is NaN are left out; equal ones do not count.

    Raises:
        MeasureError: The shapes differ.

    >>> wilcoxon([0.70, 0.71, 0.72, 0.73, 0.74], [0.71, 0.73, 0.75, 0.77, 0.79])
    SignedRank(statistic=0.0, p=0.0625, n=5, smallest_p=0.0625)
    """
    from scipy import stats

    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if left.shape != right.shape or left.ndim != 1:
        raise MeasureError(f"wilcoxon wants two columns of one length, not shapes {left.shape} and {right.shape}")
    # Equal gaps between decimals must tie although their last bits differ.
    difference = np.round(right - left, 12)
    difference = difference[~np.isnan(difference) & (difference != 0)]
    n = len(difference)
    if n == 0:
        return SignedRank(0.0, 1.0, 0, 1.0)
    tied = len(np.unique(np.abs(difference))) < n
    # The exact distribution assumes that no ranks are tied.
    test = stats.wilcoxon(difference, method="exact" if not tied else "approx" if n > 10 else "auto")
    return SignedRank(float(test.statistic), float(test.pvalue), n, float(2.0 ** (1 - n)))


@dataclass(frozen=True)
class Ranking:
    """Methods ranked over settings.

    Attributes:
        methods: From the best mean rank to the worst.
        mean_ranks: Mean rank of each, 1 is best.
        statistic: Friedman's chi-square.
        p: Its p-value.
        critical_difference: Mean ranks nearer than this do not differ (Nemenyi).
        distribution: Where both come from: ``exact`` (all orders of the ranks), ``permutation`` (a sample of them), or ``limit``
            (chi-square and the studentized range, for many settings).
        groups: Runs of methods that do not differ from each other, as first and last position: the bars of the diagram.
        n_settings: Settings in which every method has a figure.
    """

    methods: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    statistic: float
    p: float
    critical_difference: float
    groups: tuple[tuple[int, int], ...]
    n_settings: int
    distribution: str = "limit"


def rank_methods(
    figures: npt.ArrayLike, methods: Sequence[str], *, significance: float = 0.05, higher_is_better: bool = True
) -> Ranking:
    """Rank methods over settings: Friedman's test, and Nemenyi's critical difference (Demšar 2006, JMLR 7:1).

    Args:
        figures: Shape (settings, methods); a setting with a NaN is left out.
        methods: Their names.
        significance: Probability of any false difference among all pairs.
        higher_is_better: Whether the highest figure has rank 1.

    Raises:
        MeasureError: Fewer than two methods or two settings are left.

    >>> figures = [[0.9, 0.8, 0.7], [0.8, 0.7, 0.6], [0.9, 0.7, 0.8], [0.7, 0.6, 0.5]]
    >>> ranking = rank_methods(figures, ["x", "y", "z"])
    >>> ranking.mean_ranks, round(ranking.statistic, 2), round(ranking.p, 3), ranking.critical_difference, ranking.distribution
    ((1.0, 2.25, 2.75), 6.5, 0.042, 1.5, 'exact')
    """
    from scipy import stats

    table = np.asarray(figures, np.float64)
    if table.ndim != 2 or table.shape[1] != len(methods):
        raise MeasureError(f"figures have shape {table.shape}, expected (settings, {len(methods)})")
    table = table[~np.isnan(table).any(axis=1)]
    n, k = table.shape
    if n < 2 or k < 2:
        raise MeasureError(f"a ranking wants two methods and two settings, not {k} and {n}")
    ranks = stats.rankdata(np.round(-table if higher_is_better else table, 12), axis=1)
    mean = ranks.mean(axis=0)
    statistic, p = _friedman(ranks)
    cd, distribution = nemenyi(k, n, significance=significance), "limit"
    if n < ENOUGH and p < 1:
        chance = rank_sums(ranks)
        sums = ranks.sum(axis=0)
        p, cd = chance.p(float(np.sum((sums - sums.mean()) ** 2))), chance.critical(significance) / n
        distribution = "exact" if chance.exact else "permutation"
    order = np.argsort(mean, kind="stable")
    return Ranking(
        methods=tuple(methods[i] for i in order),
        mean_ranks=tuple(float(mean[i]) for i in order),
        statistic=statistic,
        p=p,
        critical_difference=cd,
        groups=_groups(mean[order], cd),
        n_settings=n,
        distribution=distribution,
    )


def nemenyi(methods: int, settings: int, *, significance: float = 0.05) -> float:
    """Compute Nemenyi's critical difference of mean ranks (1963; Demšar 2006, section 3.2.2).

    >>> round(nemenyi(5, 30), 2)  # 2.728 x (5 x 6 / 180) ** 0.5
    1.11
    """
    from scipy import stats

    q = float(stats.studentized_range.ppf(1 - significance, methods, np.inf)) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * settings)))


def _friedman(ranks: FloatArray) -> tuple[float, float]:
    """Compute Friedman's statistic with its correction for ties; 0 and p = 1 when all methods always tie.

    Args:
        ranks: Shape (settings, methods).
    """
    from scipy import stats

    n, k = ranks.shape
    spread = float(np.sum((ranks - (k + 1) / 2) ** 2))
    if spread == 0:
        return 0.0, 1.0
    between = n * float(np.sum((ranks.mean(axis=0) - (k + 1) / 2) ** 2))
    statistic = n * (k - 1) * between / spread
    return statistic, float(stats.chi2.sf(statistic, k - 1))


def _groups(sorted_ranks: FloatArray, cd: float) -> tuple[tuple[int, int], ...]:
    """Find the longest runs of methods whose mean ranks lie within the critical difference, as first and last position.

    Args:
        sorted_ranks: Mean ranks, rising, shape (methods,).
        cd: Critical difference.
    """
    runs: list[tuple[int, int]] = []
    for first in range(len(sorted_ranks)):
        last = int(np.flatnonzero(sorted_ranks - sorted_ranks[first] <= cd)[-1])
        # A run that ends where the one before it does is part of that one.
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return tuple(runs)
