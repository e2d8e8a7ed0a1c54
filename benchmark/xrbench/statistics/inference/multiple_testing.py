"""Adjust the p-values of a family of comparisons that was declared before the run."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError, UsageError, suggestion
from xrbench.metrics.checks import FloatArray

METHODS = ("holm", "bh")


def adjust(pvalues: npt.ArrayLike, method: str = "holm") -> FloatArray:
    """Adjust p-values for their number.

    Args:
        pvalues: 0..1, shape (k,); NaN (nothing was measured) stays NaN and does not count.
        method: ``holm`` (controls the family-wise error rate; Holm 1979, Scand J Stat 6:65) or ``bh`` (controls the false
            discovery rate; Benjamini & Hochberg 1995, JRSS B 57:289).

    Returns:
        Shape (k,).

    Raises:
        UsageError: Unknown method.
        MeasureError: A p-value is outside 0..1.

    >>> [round(float(p), 3) for p in adjust([0.01, 0.04, 0.03])]  # 3 x 0.01, then max(2 x 0.03, 1 x 0.04)
    [0.03, 0.06, 0.06]
    >>> [round(float(p), 3) for p in adjust([0.01, 0.04, 0.03], method="bh")]
    [0.03, 0.04, 0.04]
    """
    if method not in METHODS:
        raise UsageError(f"unknown adjustment {method!r}{suggestion(method, METHODS)}")
    given = np.asarray(pvalues, np.float64)
    tested = ~np.isnan(given)
    wrong = tested & ((given < 0) | (given > 1))
    if wrong.any():
        raise MeasureError(f"p-value {given[wrong][0]} is outside 0..1")
    adjusted = np.full(given.shape, np.nan)
    if tested.any():
        adjusted[tested] = _holm(given[tested]) if method == "holm" else _benjamini_hochberg(given[tested])
    return adjusted


def interval_significances(pvalues: npt.ArrayLike, method: str = "holm", *, significance: float = 0.05) -> FloatArray:
    """Choose for each member of a family the significance of its interval, so that interval and adjusted test agree.

    An interval at that significance excludes the null value exactly where the adjusted p-value is below ``significance``. After Holm
    these are the levels of its steps (the k-th smallest of m is tested at significance / (m - k + 1)); after Benjamini and Hochberg
    those of Benjamini & Yekutieli (2005, JASA 100:71), R x significance / m with R rejections.

    Args:
        pvalues: Not adjusted, 0..1, shape (k,); NaN stays NaN and does not count.
        method: ``holm`` or ``bh``.
        significance: Of the family.

    Returns:
        Shape (k,).

    >>> [round(float(level), 4) for level in interval_significances([0.001, 0.6, 0.02])]  # steps 1 and 2 are passed
    [0.0167, 0.05, 0.025]
    >>> [round(float(level), 4) for level in interval_significances([0.001, 0.6, 0.02], "bh")]
    [0.0333, 0.0333, 0.0333]
    """
    adjusted, given = adjust(pvalues, method), np.asarray(pvalues, np.float64)
    tested = ~np.isnan(given)
    count, rejected = int(tested.sum()), int((adjusted[tested] < significance).sum())
    levels = np.full(given.shape, np.nan)
    if not count:
        return levels
    if method == "bh":
        levels[tested] = significance * max(rejected, 1) / count
        return levels
    rank = np.empty(count)
    rank[np.argsort(given[tested], kind="stable")] = np.arange(count)
    levels[tested] = significance / (count - np.minimum(rank, min(rejected, count - 1)))
    return levels


def smallest_adjusted(smallest: npt.ArrayLike, method: str = "holm") -> FloatArray:
    """Compute the smallest adjusted p-value that each of several tests can reach.

    Args:
        smallest: The smallest p-value that each test can give, shape (k,); NaN stays NaN and does not count.
        method: See ``adjust``.

    Returns:
        Shape (k,).

    >>> smallest_adjusted([0.25, 0.25]).tolist(), smallest_adjusted([0.25, 0.25], "bh").tolist()
    ([0.5, 0.5], [0.25, 0.25])
    """
    given = np.asarray(smallest, np.float64)
    # Benjamini and Hochberg's values are smallest where all tests reach theirs; Holm's where only this one does.
    return adjust(given, "bh") if method == "bh" else np.minimum(given * np.sum(~np.isnan(given)), 1.0)


def _holm(pvalues: FloatArray) -> FloatArray:
    """Multiply the smallest by k, the next by k - 1, and so on; none may fall below one before it."""
    order = np.argsort(pvalues)
    steps = pvalues[order] * np.arange(len(pvalues), 0, -1)
    adjusted = np.empty_like(pvalues)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _benjamini_hochberg(pvalues: FloatArray) -> FloatArray:
    """Multiply the i-th smallest of k by k / i; none may exceed one behind it."""
    order = np.argsort(pvalues)
    steps = pvalues[order] * len(pvalues) / np.arange(1, len(pvalues) + 1)
    adjusted = np.empty_like(pvalues)
    adjusted[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return adjusted
