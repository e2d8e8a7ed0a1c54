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
