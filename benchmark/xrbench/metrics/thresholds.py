"""Choose a threshold on validation data; it is applied unchanged to every test set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics.checks import BoolArray, FloatArray, validate


def is_called(score: FloatArray, threshold: float) -> BoolArray:
    """Call scores at or above a threshold positive, same shape as ``score``.

    Scores that are all numbers of 32 bits meet the threshold as such a number: 0.7 of a network is 0.699999988, and equals a stated 0.7.

    >>> is_called(np.float32([0.7, 0.6]).astype(float), 0.7)
    array([ True, False])
    """
    single = float(np.float32(threshold))
    # No number of 32 bits lies between the two: only a score that is the rounded threshold itself is decided otherwise. A threshold
    # just above a score, as one chosen for a specificity of 1 is, differs by the last bits of a double and is no rounded number.
    rounded = threshold - single > 4 * np.spacing(threshold) and single != 0
    lower = rounded and bool(np.any(score == single)) and bool(np.all(score.astype(np.float32) == score))
    return np.asarray(score >= (single if lower else threshold))


def threshold_at(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    *,
    sensitivity: float | None = None,
    specificity: float | None = None,
    weights: npt.ArrayLike | None = None,
) -> float:
    """Find the threshold that reaches a target sensitivity or specificity; scores at or above it are positive calls.

    For a sensitivity: the highest observed score at which at least that share of positives is called positive. For a
    specificity: the lowest observed score at which at least that share of negatives is called negative; when none does, the
    smallest number above all scores. Images with equal scores get the same call, so the target is met or exceeded.

    Args:
        truth: 1, 0 or NaN (left out), shape (n,).
        score: Higher for positive, shape (n,).
        sensitivity: Target recall, above 0 to 1. Give either this or ``specificity``.
        specificity: Target specificity, 0 to 1.
        weights: How often each row counts, shape (n,).

    Returns:
        The threshold, or NaN when the class that the target is about is missing.

    Raises:
        MeasureError: Not exactly one target, or a target outside 0..1.

    >>> threshold_at([1, 1, 1, 0, 0], [0.9, 0.7, 0.2, 0.4, 0.1], sensitivity=0.6)
    0.7
    >>> threshold_at([1, 1, 1, 0, 0], [0.9, 0.7, 0.2, 0.4, 0.1], specificity=0.5)
    0.2
    """
    if (sensitivity is None) == (specificity is None):
        raise MeasureError("a threshold wants exactly one target: sensitivity=... or specificity=...")
    target = sensitivity if sensitivity is not None else specificity
    if target is None or not 0 <= target <= 1 or (sensitivity is not None and target == 0):
        raise MeasureError(f"target {target} is outside 0..1")
    rows = validate(truth, score, weights)
    members = rows.positive if sensitivity is not None else ~rows.positive
    total = float(rows.weights[members].sum())
    if total <= 0:
        return float("nan")
    candidates, group = np.unique(rows.score, return_inverse=True)
    share = np.bincount(group, np.where(members, rows.weights, 0.0), minlength=len(candidates)) / total
    # A share that misses the target by rounding alone (0.9 of 10 as 0.8999...) counts as reached.
    needed = target - 1e-12
    if sensitivity is not None:
        reached = np.cumsum(share[::-1])[::-1] >= needed
        return float(candidates[np.flatnonzero(reached)[-1]])
    # Calls are positive from the threshold on: the negatives of its own score are not below it.
    below = np.cumsum(share) - share >= needed
    return float(candidates[np.argmax(below)]) if below.any() else float(np.nextafter(candidates[-1], np.inf))
