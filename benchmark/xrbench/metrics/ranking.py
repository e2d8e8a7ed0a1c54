"""Metrics of the order of scores.

Conventions: ``truth, score`` in this order; NaN truth is left out; equal scores count half in the AUC and share one step
in average precision; a metric that needs both classes is NaN when one is missing; infinite scores are allowed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray, Labelled, validate

Array = npt.ArrayLike


def auc(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Args:
        truth: 1, 0 or NaN (left out), shape (n,).
        score: Higher for positive, shape (n,).
        weights: How often each row counts, shape (n,).

    Returns:
        0..1, or NaN without both classes. Source: Hanley & McNeil (1982), Radiology 143:29.

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    >>> auc([0, 1, 1], [0.5, 0.5, 0.9])
    0.75
    >>> auc([1, 1], [0.2, 0.3])
    nan
    """
    positive, negative = _tie_groups(validate(truth, score, weights))
    pairs = positive.sum() * negative.sum()
    if pairs <= 0:
        return float("nan")
    above = np.cumsum(positive) - positive  # positives with a higher score than the group
    return float(np.sum(negative * (above + 0.5 * positive)) / pairs)


def average_precision(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the average precision: precision at each distinct score, weighted by the recall gained there.

    Args:
        truth: 1, 0 or NaN (left out), shape (n,).
        score: Higher for positive, shape (n,).
        weights: How often each row counts, shape (n,).

    Returns:
        0..1, or NaN without both classes (without negatives it is 1 by construction and says nothing). No interpolation:
        Davis & Goadrich (2006), ICML; Boyd et al. (2013), ECML.

    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    positive, negative = _tie_groups(validate(truth, score, weights))
    if positive.sum() <= 0 or negative.sum() <= 0:
        return float("nan")
    true, calls = np.cumsum(positive), np.cumsum(positive + negative)
    # A first group of weight 0 has no precision; it adds nothing, whatever it is.
    precision = np.divide(true, calls, out=np.zeros_like(true), where=calls > 0)
    return float(np.sum(positive * precision) / true[-1])


def partial_auc(
    truth: Array, score: Array, *, specificity: tuple[float, float] = (0.9, 1.0), weights: Array | None = None
) -> float:
    """Compute the area under the ROC curve between two specificities; between two scores the curve is straight.

    Args:
        truth: 1, 0 or NaN (left out), shape (n,).
        score: Higher for positive, shape (n,).
        specificity: The range, rising, within 0..1.
        weights: How often each row counts, shape (n,).

    Returns:
        0 to the width of the range, or NaN without both classes. Source: McClish (1989), Med Decis Making 9:190.

    Raises:
        MeasureError: The range is empty or outside 0..1.

    >>> partial_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], specificity=(0.5, 1.0))  # height 0.5 over half of the axis
    0.25
    """
    low, high = specificity
    if not 0 <= low < high <= 1:
        raise MeasureError(f"specificity {specificity} is not a rising range within 0..1")
    positive, negative = _tie_groups(validate(truth, score, weights))
    if positive.sum() <= 0 or negative.sum() <= 0:
        return float("nan")
    false = np.concatenate([[0.0], np.cumsum(negative) / negative.sum()])
    true = np.concatenate([[0.0], np.cumsum(positive) / positive.sum()])
    # Where the curve climbs straight up, the area to the left of a rate ends: both ends are inserted by interpolation.
    inside = (false > 1 - high) & (false < 1 - low)
    at = np.concatenate([[1 - high], false[inside], [1 - low]])
    ends = (_height(false, true, 1 - high, upper=True), _height(false, true, 1 - low, upper=False))
    height = np.concatenate([[ends[0]], true[inside], [ends[1]]])
    return float(np.trapezoid(height, at))


def mcclish(area: float, specificity: tuple[float, float]) -> float:
    """Put a partial AUC on a scale where chance is 0.5 and a perfect order 1 (McClish 1989).

    >>> mcclish(0.005, (0.9, 1.0)), mcclish(0.1, (0.9, 1.0))  # the triangle below the diagonal; the whole strip
    (0.5, 1.0)
    """
    low, high = specificity
    width = high - low
    chance = ((1 - low) ** 2 - (1 - high) ** 2) / 2
    return float(np.round((1 + (area - chance) / (width - chance)) / 2, 15))


def _height(false: FloatArray, true: FloatArray, rate: float, *, upper: bool) -> float:
    """Interpolate the curve at a false-positive rate; where it climbs there, at its upper or lower end."""
    exact = np.flatnonzero(np.abs(false - rate) < 1e-12)
    if len(exact):
        return float(true[exact[-1 if upper else 0]])
    return float(np.interp(rate, false, true))


def _tie_groups(rows: Labelled) -> tuple[FloatArray, FloatArray]:
    """Sum the weights of positives and of negatives at each distinct score, from the highest score down.

    Returns:
        Two arrays of shape (distinct scores,).
    """
    if not len(rows.score):
        return np.zeros(0), np.zeros(0)
    order = np.argsort(-rows.score, kind="stable")
    score, weights = rows.score[order], rows.weights[order]
    starts = np.flatnonzero(np.concatenate([[True], score[1:] != score[:-1]]))
    positive = np.where(rows.positive[order], weights, 0.0)
    return np.add.reduceat(positive, starts), np.add.reduceat(weights - positive, starts)
