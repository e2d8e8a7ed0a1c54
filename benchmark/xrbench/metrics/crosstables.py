"""Multi-class metrics from counts of images by true and predicted class.

Conventions: ``counts`` has shape (true, predicted, ...); further axes, such as replicates, are kept. A share whose denominator is 0
is NaN, and means over classes leave it out, as scikit-learn's ``precision_recall_fscore_support`` with ``zero_division=nan``. A mean
over classes is NaN with fewer than two classes among the truth.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray

Formula = Callable[[FloatArray], FloatArray]


def accuracy(counts: FloatArray) -> FloatArray:
    """Compute the share of images that are correctly classified, shape (...).

    >>> float(accuracy(np.array([[3.0, 1.0], [0.0, 4.0]])))
    0.875
    """
    return share(np.trace(counts), counts.sum(axis=(0, 1)))


def recall(counts: FloatArray) -> FloatArray:
    """Compute the share of each class's images that are correctly classified, shape (classes, ...); NaN without any.

    >>> recall(np.array([[3.0, 1.0], [0.0, 4.0]]))
    array([0.75, 1.  ])
    """
    return share(_correct(counts), counts.sum(axis=1))


def precision(counts: FloatArray) -> FloatArray:
    """Compute the share of each class's predictions that are right, shape (classes, ...); NaN where it is never predicted.

    >>> precision(np.array([[3.0, 1.0], [0.0, 4.0]]))
    array([1. , 0.8])
    """
    return share(_correct(counts), counts.sum(axis=0))


def f1(counts: FloatArray) -> FloatArray:
    """Compute the harmonic mean of recall and precision, shape (classes, ...).

    NaN for a class that is neither among the truth nor among the predictions.

    >>> f1(np.array([[3.0, 1.0], [1.0, 3.0]]))
    array([0.75, 0.75])
    """
    return share(2 * _correct(counts), counts.sum(axis=1) + counts.sum(axis=0))


def macro(formula: Formula) -> Formula:
    """Return the formula of the mean over classes, each with the same weight.

    Args:
        formula: Gives one value a class, shape (classes, ...); classes without a value are left out.

    Returns:
        A formula with values of shape (...).

    >>> float(macro(recall)(np.array([[3.0, 1.0], [0.0, 4.0]])))
    0.875
    """

    def averaged(counts: FloatArray) -> FloatArray:
        values = formula(counts)
        return _mean(values, np.ones_like(values), counts)

    return averaged


def weighted(formula: Formula) -> Formula:
    """Return the formula of the mean over classes, each weighted by its number of images.

    Args:
        formula: Gives one value a class, shape (classes, ...); classes without a value are left out.

    Returns:
        A formula with values of shape (...).

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
    """Divide arrays of broadcastable shapes; NaN where the whole is not above 0.

    >>> share([1.0, 0.0], [2.0, 0.0])
    array([0.5, nan])
    """
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    nan = np.full(np.broadcast(part, whole).shape, np.nan)
    quotient: FloatArray = np.divide(part, whole, out=nan, where=whole > 0)
    return quotient


def _correct(counts: FloatArray) -> FloatArray:
    """Count the correctly classified images of each class, shape (classes, ...)."""
    diagonal: FloatArray = np.einsum("ii...->i...", counts)
    return diagonal


def _mean(values: FloatArray, weights: FloatArray, counts: FloatArray) -> FloatArray:
    """Average values of classes, shape (classes, ...), over those that have one; shape (...)."""
    known = ~np.isnan(values)
    used = np.where(known, weights, 0.0)
    mean = share((used * np.where(known, values, 0.0)).sum(axis=0), used.sum(axis=0))
    # One class alone says nothing about telling classes apart, although its own recall is defined.
    return np.where((counts.sum(axis=1) > 0).sum(axis=0) >= 2, mean, np.nan)
