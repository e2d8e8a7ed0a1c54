"""Figures of exclusive classes from counts of true class (rows) by predicted class (columns).

Conventions: ``counts`` has shape (true, predicted, ...); what stands behind the first two axes, such as replicates, is kept. A
share of nothing is NaN, and a mean over classes leaves it out: scikit-learn's ``precision_recall_fscore_support`` with
``zero_division=nan``. Means over classes want two classes among the truth, else they are NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray

Formula = Callable[[FloatArray], FloatArray]


def accuracy(counts: FloatArray) -> FloatArray:
    """Compute the share of images whose class is predicted, shape (...).

    >>> float(accuracy(np.array([[3.0, 1.0], [0.0, 4.0]])))
    0.875
    """
    return share(np.trace(counts), counts.sum(axis=(0, 1)))


def recall(counts: FloatArray) -> FloatArray:
    """Compute the share of each class's images that are predicted, shape (classes, ...); NaN without any.

    >>> recall(np.array([[3.0, 1.0], [0.0, 4.0]]))
    array([0.75, 1.  ])
    """
    return share(_right(counts), counts.sum(axis=1))


def precision(counts: FloatArray) -> FloatArray:
    """Compute the share of each class's predictions that are right, shape (classes, ...); NaN where it is never predicted.

    >>> precision(np.array([[3.0, 1.0], [0.0, 4.0]]))
    array([1. , 0.8])
    """
    return share(_right(counts), counts.sum(axis=0))


def f1(counts: FloatArray) -> FloatArray:
    """Compute the harmonic mean of recall and precision, shape (classes, ...); NaN for a class that is nowhere.

    >>> f1(np.array([[3.0, 1.0], [1.0, 3.0]]))
    array([0.75, 0.75])
    """
    return share(2 * _right(counts), counts.sum(axis=1) + counts.sum(axis=0))


def macro(formula: Formula) -> Formula:
    """Average a figure of classes over those that have one, each counting alike.

    >>> float(macro(recall)(np.array([[3.0, 1.0], [0.0, 4.0]])))
    0.875
    """

    def averaged(counts: FloatArray) -> FloatArray:
        each = formula(counts)
        return _mean(each, np.ones_like(each), counts)

    return averaged


def weighted(formula: Formula) -> Formula:
    """Average a figure of classes over those that have one, each counting by its images.

    >>> round(float(weighted(precision)(np.array([[3.0, 1.0], [0.0, 4.0]]))), 3)  # (4 x 1 + 4 x 0.8) / 8
    0.9
    """

    def averaged(counts: FloatArray) -> FloatArray:
        return _mean(formula(counts), counts.sum(axis=1), counts)

    return averaged


macro_recall = macro(recall)
macro_precision = macro(precision)
macro_f1 = macro(f1)
weighted_recall = weighted(recall)
weighted_precision = weighted(precision)
weighted_f1 = weighted(f1)


def share(part: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
    """Divide, and give NaN where the whole is 0.

    >>> share([1.0, 0.0], [2.0, 0.0])
    array([0.5, nan])
    """
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    found: FloatArray = np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
    return found


def _right(counts: FloatArray) -> FloatArray:
    diagonal: FloatArray = np.einsum("ii...->i...", counts)
    return diagonal


def _mean(each: FloatArray, weights: FloatArray, counts: FloatArray) -> FloatArray:
    known = ~np.isnan(each)
    kept = np.where(known, weights, 0.0)
    mean = share((kept * np.where(known, each, 0.0)).sum(axis=0), kept.sum(axis=0))
    return np.where((counts.sum(axis=1) > 0).sum(axis=0) >= 2, mean, np.nan)
