"""Logistic calibration without each patient in turn: Newton's method on a Taylor series of the likelihood's gradient (compiled).

A fit without one of many patients lies near the fit of all. There the gradient of the whole sample is its Taylor series about that fit,
whose coefficients are sums over the images that are taken once; what the patient's own images add is subtracted as it is. Newton's method
on this difference costs a few operations for each of the patient's images instead of a pass over all. The series is cut off behind
``ORDER`` terms and used while no logit moves by more than ``NEAR``: the rest is below (NEAR / pi) ** ORDER of a step, 1e-12.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numpy.polynomial import polynomial
from scipy import special

from xrbench.metrics.checks import BoolArray, FloatArray
from xrbench.statistics.resampling.numba_jit import compiled

ORDER = 8
"""Terms of the series: the logistic function's is valid up to a distance of pi."""
NEAR = 0.1
"""The farthest that a logit may move, in log odds."""


def moments(x: FloatArray, linear: FloatArray) -> FloatArray:
    """Sum the derivatives of the logistic function times powers of x, over their factorials.

    Args:
        x: Covariate, shape (images,).
        linear: Logit of each image's fitted probability, shape (images,).

    Returns:
        ``sum of f^(k)(linear) x^q / k!`` for k to ``ORDER`` and q to ``ORDER`` + 1, shape (ORDER + 1, ORDER + 2).

    >>> moments(np.array([2.0]), np.array([0.0]))[1, :3]  # f' is 1/4
    array([0.25, 0.5 , 1.  ])
    """
    chance = special.expit(linear)
    powers = np.stack([x**q for q in range(ORDER + 2)])
    derivative, sums = np.array([0.0, 1.0]), []
    for k in range(ORDER + 1):
        # The k-th derivative is a polynomial of the function itself: each further one multiplies by f (1 - f).
        sums.append(powers @ polynomial.polyval(chance, derivative) / math.factorial(k))
        derivative = polynomial.polymul(polynomial.polyder(derivative), [0.0, 1.0, -1.0])
    return np.stack(sums)


@compiled
def fits_pass(first, x, linear, positive, free, farthest, gradient, moment, a, b):  # type: ignore[no-untyped-def]
    """Find the shift of intercept and slope without each patient; NaN where it is not near.

    Args:
        first: Position of each patient's first image, and the number of images, shape (patients + 1,).
        x: Covariate of each image, patient by patient, shape (images,).
        linear: Logit of its fitted probability, shape (images,).
        positive: Whether the truth is 1, shape (images,).
        free: Whether the slope is fitted.
        farthest: Largest absolute covariate.
        gradient: Gradient of the whole sample's likelihood at the fit (0 but for rounding), shape (2,).
        moment: See ``moments``.
        a: Filled with the shifts of the intercept, shape (patients,).
        b: Filled with those of the slope.
    """
    for p in range(len(a)):
        a[p], b[p] = np.nan, np.nan
        shift, turn = 0.0, 0.0
        for _ in range(20):
            g0, g1, h00, h01, h11 = gradient[0], gradient[1], 0.0, 0.0, 0.0
            # Powers of (shift + turn x): the binomial theorem on the sums of powers of x.
            for k in range(1, ORDER + 1):
                choose = 1.0
                for j in range(k + 1):
                    # What stands before x^j in the k-th power, and in k times the (k - 1)-th.
                    part = choose * shift ** (k - j) * turn**j
                    g0 -= part * moment[k, j]
                    g1 -= part * moment[k, j + 1]
                    if j < k:
                        slope = choose * (k - j) * shift ** (k - j - 1) * turn**j
                        h00 += slope * moment[k, j]
                        h01 += slope * moment[k, j + 1]
                        h11 += slope * moment[k, j + 2]
                    choose = choose * (k - j) / (j + 1)
            for i in range(first[p], first[p + 1]):
                chance = 1.0 / (1.0 + np.exp(-(linear[i] + shift + turn * x[i])))
                miss, width = (1.0 if positive[i] else 0.0) - chance, chance * (1.0 - chance)
                g0 -= miss
                g1 -= miss * x[i]
                h00 -= width
                h01 -= width * x[i]
                h11 -= width * x[i] * x[i]
            determinant = h00 * h11 - h01 * h01
            if not h00 > 0 or (free and not determinant > 0):
                break
            if free:
                step, twist = (h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant
            else:
                step, twist = g0 / h00, 0.0
            shift, turn = shift + step, turn + twist
            if abs(shift) + abs(turn) * farthest > NEAR:
                break
            # Newton's method leaves an error of about the square of its last step.
            if abs(step) + abs(twist) * farthest < 1e-9:
                a[p], b[p] = shift, turn
                break


def near_fits(
    x: FloatArray,
    positive: BoolArray,
    code: npt.NDArray[np.int32],
    patients: int,
    fit: tuple[float, float],
    *,
    free: bool,
) -> tuple[FloatArray, FloatArray]:
    """Fit ``logit(truth) = intercept + slope * x`` without each patient, where that is near the fit of all.

    Args:
        x: Covariate, preferably standardised, shape (images,).
        positive: Whether the truth is 1, shape (images,).
        code: Patient number of each image, shape (images,).
        patients: How many there are.
        fit: Intercept and slope with all patients, both finite.
        free: Whether the slope is fitted; otherwise it keeps its value.

    Returns:
        Intercepts and slopes, shape (patients,) each; NaN where the fit is not near, or none exists.
    """
    order = np.argsort(code, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(code, minlength=patients))])
    linear = fit[0] + fit[1] * x
    miss = positive - special.expit(linear)
    gradient = np.array([miss.sum(), miss @ x])
    a, b = np.empty(patients), np.empty(patients)
    farthest = float(np.abs(x).max()) if free else 0.0
    fits_pass(first, x[order], linear[order], positive[order], free, farthest, gradient, moments(x, linear), a, b)
    return fit[0] + a, fit[1] + b
