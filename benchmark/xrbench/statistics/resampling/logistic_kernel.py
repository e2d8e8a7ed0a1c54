"""Fit a logistic regression in 64 bootstrap replicates at once (compiled); see ``kernels``.

An image costs 26 floating-point operations and one division for each replicate and round; three to five rounds are needed.
"""

from __future__ import annotations

import numpy as np

from xrbench.statistics.resampling.numba_jit import compiled
from xrbench.statistics.resampling.replicates import LANES

PER_DOUBLING = 1.4426950408889634
"""1 / ln(2)."""
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""ln(2) in two parts: the product of the first with a whole number of at most 11 bits is exact."""
ROUND = 6755399441055744.0
"""1.5 times 2 ** 52: added to a number, it leaves the nearest whole number in the lowest bits."""
STILL = 1e-7
"""Step at which Newton's method stops: the error left behind is about its square."""


@compiled
def logistic_pass(counts, patient, x, positive, free, defined, intercept, slope):  # type: ignore[no-untyped-def]
    """Fit ``logit(truth) = intercept + slope * x`` in each lane by Newton's method.

    A step after which the derivative of the likelihood along the step is steeper than before has overshot the maximum and is
    halved; the likelihood is concave, so this always ends at the maximum.

    Args:
        counts: Patients' counts, uint8 of shape (patients, LANES).
        patient: Patient number of each labelled image, shape (images,).
        x: Covariate of each image, preferably standardised, shape (images,).
        positive: Whether the truth is 1, shape (images,).
        free: Whether the slope is fitted; otherwise it keeps its start value.
        defined: Lanes that have a finite fit, shape (LANES,); the others become NaN.
        intercept: Start values on entry, the fit on return, shape (LANES,).
        slope: Likewise.
    """
    # Lanes that have not converged. The pass over the images serves all lanes alike, whether they are needed or not.
    open_ = defined.copy()
    sums = np.zeros((5, LANES))
    step = np.zeros((3, LANES))
    # Three to five rounds are the rule; the limit ends fits that rounding keeps from settling, which then become NaN.
    for _ in range(200):
        if not open_.any():
            break
        _slopes(counts, patient, x, positive, intercept, slope, sums)
        for lane in range(LANES):
            if open_[lane]:
                open_[lane] = _newton_step(sums[:, lane], step[:, lane], free, intercept, slope, lane)
    for lane in range(LANES):
        if open_[lane] or not defined[lane]:
            intercept[lane], slope[lane] = np.nan, np.nan


@compiled
def _slopes(counts, patient, x, positive, intercept, slope, sums):  # type: ignore[no-untyped-def]
    """Sum the first and second derivatives of the log likelihood in each lane.

    Arguments as for ``logistic_pass``; ``sums`` is filled, float64 of shape (5, LANES): the gradient with respect to intercept and
    slope, then the entries of minus the Hessian (intercept twice, both, slope twice).
    """
    chance, room = np.empty(LANES), np.empty((2, LANES))
    sums[:] = 0.0
    rest, rest_x, spread, spread_x, spread_xx = sums[0], sums[1], sums[2], sums[3], sums[4]
    for i in range(len(patient)):
        row, here, y = counts[patient[i]], x[i], 1.0 if positive[i] else 0.0
        _chances(intercept, slope, here, chance, room[0], room[1])
        # Two short loops instead of one: each keeps its sums in registers.
        for lane in range(LANES):
            miss = np.float64(row[lane]) * (y - chance[lane])
            rest[lane] += miss
            rest_x[lane] += miss * here
        for lane in range(LANES):
            width = np.float64(row[lane]) * chance[lane] * (1.0 - chance[lane])
            spread[lane] += width
            spread_x[lane] += width * here
            spread_xx[lane] += width * here * here


@compiled
def _chances(intercept, slope, x, chance, power, rest):  # type: ignore[no-untyped-def]
    """Compute ``1 / (1 + exp(-(intercept + slope x)))`` in all lanes at once, to a few units in the last place.

    The exponent is a whole number of doublings, written into the exponent bits of a float64, plus a rest of at most ln(2) / 2,
    whose exponential is Taylor's polynomial of degree 12 (Cody & Waite 1980, ch. 6). The library's ``exp`` would be called lane
    by lane.

    ``x`` is the covariate of one image; all others have shape (LANES,): ``chance`` is filled, ``power`` and ``rest`` are room for
    intermediate values.
    """
    doublings = power.view(np.int64)
    for lane in range(LANES):
        # exp(700) is still finite.
        z = min(max(-(intercept[lane] + slope[lane] * x), -700.0), 700.0)
        rounded = z * PER_DOUBLING + ROUND
        power[lane] = rounded
        rounded -= ROUND
        rest[lane] = (z - rounded * LN2_HIGH) - rounded * LN2_LOW
    # The sum above left the whole number in the lowest bits of ``power``; with the bias of 1023 it becomes the exponent of 2 ** n,
    # and what stood above it is shifted out.
    for lane in range(LANES):
        doublings[lane] = (doublings[lane] + np.int64(1023)) << np.int64(52)
    for lane in range(LANES):
        r = rest[lane]
        e = 1.0 / 479001600.0
        e = e * r + 1.0 / 39916800.0
        e = e * r + 1.0 / 3628800.0
        e = e * r + 1.0 / 362880.0
        e = e * r + 1.0 / 40320.0
        e = e * r + 1.0 / 5040.0
        e = e * r + 1.0 / 720.0
        e = e * r + 1.0 / 120.0
        e = e * r + 1.0 / 24.0
        e = e * r + 1.0 / 6.0
        e = e * r + 0.5
        e = e * r + 1.0
        e = e * r + 1.0
        chance[lane] = 1.0 / (1.0 + e * power[lane])


@compiled
def _newton_step(sums, step, free, intercept, slope, lane):  # type: ignore[no-untyped-def]
    """Move the fit of one lane by one step.

    ``sums`` are the derivatives in this lane, see ``_slopes``, shape (5,); ``step`` is the last step (intercept, slope) with the
    derivative along it, shape (3,), and is replaced. The other arguments are those of ``logistic_pass``. Returns whether the lane
    needs another round.
    """
    along = sums[0] * step[0] + sums[1] * step[1]
    if step[2] > 0 and abs(along) > step[2]:
        # Go back half of the last step.
        for part in range(3):
            step[part] *= 0.5
        intercept[lane] -= step[0]
        slope[lane] -= step[1]
        return True
    # Solve the 2 x 2 system of Newton's equations; a singular one has no fit.
    determinant = sums[2] * sums[4] - sums[3] * sums[3]
    if (free and not determinant > 0) or not sums[2] > 0:
        intercept[lane], slope[lane] = np.nan, np.nan
        return False
    if free:
        step[0] = (sums[4] * sums[0] - sums[3] * sums[1]) / determinant
        step[1] = (sums[2] * sums[1] - sums[3] * sums[0]) / determinant
    else:
        step[0] = sums[0] / sums[2]
    step[2] = sums[0] * step[0] + sums[1] * step[1]
    intercept[lane] += step[0]
    slope[lane] += step[1]
    return max(abs(step[0]), abs(step[1])) > STILL
