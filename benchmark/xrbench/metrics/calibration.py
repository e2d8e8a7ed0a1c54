"""Metrics of probabilities: their distance from the truth, and their calibration.

Conventions: ``truth, score`` in this order, shape (n,) each; scores are probabilities within 0..1 (anything else is an error
naming the row); NaN truth is left out; ``weights`` say how often each row counts, shape (n,); an undefined metric is NaN.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray, Labelled, validate

Array = npt.ArrayLike
BINS = 15
"""Bins of the expected calibration error."""
CLIP = 1e-7
"""Probabilities are moved this far from 0 and 1 before their logit is taken: float32 outputs saturate there."""


def brier(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the mean squared difference between probability and truth (Brier 1950, Mon Weather Rev 78:1).

    Returns:
        0 (perfect) .. 1, or NaN without labelled rows.

    >>> round(brier([1, 0], [0.8, 0.4]), 4)  # (0.04 + 0.16) / 2
    0.1
    """
    rows = validate(truth, score, weights, probability=True)
    total = rows.weights.sum()
    return float(np.sum(rows.weights * (rows.score - rows.positive) ** 2) / total) if total > 0 else float("nan")


def expected_calibration_error(truth: Array, score: Array, *, weights: Array | None = None, bins: int = BINS) -> float:
    """Compute the mean distance between mean probability and share of positives, over bins of equal width.

    The probability of the positive class is binned (not the confidence of the predicted class): Naeini et al. (2015),
    AAAI. A score on an edge belongs to the bin above it; 1 belongs to the last bin.

    Args:
        truth: 1, 0 or NaN (left out), shape (n,).
        score: Probability of the positive class, 0..1, shape (n,).
        weights: How often each row counts, shape (n,).
        bins: Number of bins.

    Returns:
        0 .. 1, or NaN without labelled rows. It is biased upwards in small sets, see ``error_by_chance``.

    >>> round(expected_calibration_error([1, 0, 1, 1], [0.9, 0.9, 0.6, 0.6], bins=10), 4)  # |0.9-0.5|/2 + |0.6-1|/2
    0.4
    """
    rows = validate(truth, score, weights, probability=True)
    # Of each bin: its number of images times (mean probability - share of positives).
    gap = np.bincount(bin_of(rows.score, bins), rows.weights * (rows.score - rows.positive), minlength=bins)
    total = rows.weights.sum()
    return float(np.sum(np.abs(gap)) / total) if total > 0 else float("nan")


def error_by_chance(score: FloatArray) -> float:
    """Approximate the calibration error that perfectly calibrated probabilities have on so many images.

    In each bin the distance of mean probability and share of positives is the absolute value of a normal error with the binomial
    variance, whose mean is ``(2 / pi) ** 0.5`` standard deviations.

    Args:
        score: Probabilities, shape (n,) with n at least 1.

    Returns:
        0 .. 1.

    >>> round(error_by_chance(np.full(100, 0.5)), 3)  # (2 / pi) ** 0.5 x (100 x 0.25) ** 0.5 / 100
    0.04
    """
    spread = np.bincount(bin_of(score, BINS), score * (1 - score), minlength=BINS)
    return float(np.sqrt(2 / np.pi) * np.sqrt(spread).sum() / len(score))


def bin_of(score: FloatArray, bins: int) -> npt.NDArray[np.int64]:
    """Return the number of the bin of equal width that each probability falls in, 0 .. bins - 1, same shape as ``score``."""
    return np.minimum((score * bins).astype(np.int64), bins - 1)


def calibration_slope(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the slope of a logistic regression of truth on the logit of the score.

    1 is perfect; below 1 the probabilities are too extreme: Cox (1958), Biometrika 45:562; Steyerberg (2019), Clinical
    Prediction Models, ch. 15. Probabilities are clipped to 1e-7 from 0 and 1.

    Returns:
        The slope, or NaN where no finite one exists: one class, one distinct score, or classes that do not overlap.

    >>> truth, score = [0, 0, 0, 1, 0, 1, 1, 1], [0.2, 0.2, 0.2, 0.2, 0.8, 0.8, 0.8, 0.8]
    >>> round(calibration_slope(truth, score), 4)  # log(3) / log(4)
    0.7925
    """
    return cox(validate(truth, score, weights, probability=True))[1]


def calibration_intercept(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute calibration in the large: the shift of all logits that makes the mean probability right, slope held at 1.

    0 is perfect; above 0 the probabilities are too low: Steyerberg (2019), ch. 15; Van Calster et al. (2019), BMC Med
    17:230. Probabilities are clipped to 1e-7 from 0 and 1.

    Returns:
        The shift in log odds, or NaN without both classes.

    >>> round(calibration_intercept([1, 0, 0, 0], [0.5, 0.5, 0.5, 0.5]), 4)  # log(1 / 3)
    -1.0986
    """
    rows = validate(truth, score, weights, probability=True)
    return shift(rows)


def logit(score: FloatArray) -> FloatArray:
    """Compute the log odds of probabilities, clipped to 1e-7 from 0 and 1; same shape as ``score``."""
    clipped = np.clip(score, CLIP, 1 - CLIP)
    return np.log(clipped) - np.log1p(-clipped)


def shift(rows: Labelled) -> float:
    """Fit ``logit(truth) = a + logit(score)``; NaN without both classes."""
    counted = rows.weights > 0
    if not (rows.positive[counted].any() and (~rows.positive[counted]).any()):
        return float("nan")
    return _shift(logit(rows.score), rows.positive, rows.weights)


def cox(rows: Labelled) -> tuple[float, float]:
    """Fit ``logit(truth) = a + b logit(score)`` by Newton's method.

    Returns:
        a and b; (NaN, NaN) where no finite fit exists: one class, or a score that separates the classes.
    """
    x, y, w = logit(rows.score), rows.positive, rows.weights
    x, y, w = x[w > 0], y[w > 0], w[w > 0]
    if not (y.any() and (~y).any()) or x[~y].max() <= x[y].min() or x[y].max() <= x[~y].min():
        return float("nan"), float("nan")
    # Standardised, the two parameters are nearly uncorrelated and Newton's method converges in a few steps.
    centre = float(np.average(x, weights=w))
    scale = float(np.sqrt(np.average((x - centre) ** 2, weights=w)))
    slope_of_scaled, at_centre = _newton((x - centre) / scale, y, w)
    return at_centre - slope_of_scaled / scale * centre, slope_of_scaled / scale


def _newton(x: FloatArray, y: npt.NDArray[np.bool_], w: FloatArray) -> tuple[float, float]:
    """Maximise the likelihood of slope and intercept for a standardised x, shape (n,); steps that lower it are halved."""
    design = np.stack([x, np.ones_like(x)])
    beta: FloatArray = np.zeros(2)
    step: FloatArray = np.zeros(2)
    best = -np.inf
    for _ in range(200):
        linear = (beta + step) @ design
        likelihood = float(np.sum(w * (np.where(y, linear, 0.0) - np.logaddexp(0, linear))))
        if likelihood < best - 1e-12 * abs(best):
            step *= 0.5
            continue
        beta, best = beta + step, likelihood
        p = 1 / (1 + np.exp(-linear))
        hessian = (design * (w * p * (1 - p))) @ design.T
        step = np.asarray(np.linalg.solve(hessian, design @ (w * (y - p))), np.float64)
        if np.max(np.abs(step)) < 1e-12 * (1 + np.max(np.abs(beta))):
            break
    return float(beta[0]), float(beta[1])


def _shift(x: FloatArray, y: npt.NDArray[np.bool_], w: FloatArray) -> float:
    """Find the shift by Newton's method; a step out of the bracket that holds the root is replaced by bisection."""
    # Clipped logits lie within 16.2 of 0, so a root beyond 60 would need more than 1e18 rows.
    low, high, shift = -60.0, 60.0, 0.0
    for _ in range(200):
        p = 1 / (1 + np.exp(-(x + shift)))
        slope, excess = float(np.sum(w * p * (1 - p))), float(np.sum(w * (y - p)))
        low, high = (shift, high) if excess > 0 else (low, shift)
        following = shift + excess / slope if slope > 0 else np.nan
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - shift) < 1e-13 * (1 + abs(shift)):
            return following
        shift = following
    return shift
