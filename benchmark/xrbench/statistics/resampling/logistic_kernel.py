"""Fit a logistic regression in 64 bootstrap replicates at once (compiled); see ``kernels``.

An image costs 26 floating-point operations and one division for each replicate and round; three to five rounds are needed.
"""

from __future__ import annotations

import numpy as np

from xrbench.statistics.resampling.bootstrap_counts import LANES
from xrbench.statistics.resampling.numba_jit import compiled

PER_DOUBLING = 1.4426950408889634
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
ROUND = 6755399441055744.0
"""1.5 times 2 ** 52: added to a number, it leaves the nearest whole number in the lowest bits."""
STILL = 1e-7
"""Newton's last step: the error behind it is about its square."""


@compiled
def logistic_pass(counts, patient, x, positive, free, defined, intercept, slope):  # type: ignore[no-untyped-def]
    """Fit ``logit(truth) = intercept + slope * x`` in each lane by Newton's method.

    A step after which the likelihood's slope along the step is steeper than before has overshot the top and is halved;
    the likelihood is concave, so this always ends at the top.

    Args:
        counts: Patients' counts, uint8 of shape (patients, LANES).
        patient: Patient number of each labelled image.
        x: Its covariate, best standardised.
        positive: Its class.
        free: Whether the slope is fitted; otherwise it stays where it starts.
        defined: Lanes that have a finite fit; the others become NaN.
        intercept: Start values on entry, the fit on return, shape (LANES,).
        slope: Likewise.
    """
    open_ = defined.copy()
    sums = np.zeros((5, LANES))
    step = np.zeros((3, LANES))
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
    """Sum the likelihood's first and second derivatives in each lane; ``sums`` is float64, (5, LANES)."""
    chance, room = np.empty(LANES), np.empty((2, LANES))
    sums[:] = 0.0
    rest, rest_x, spread, spread_x, spread_xx = sums[0], sums[1], sums[2], sums[3], sums[4]
    for i in range(len(patient)):
        row, here, y = counts[patient[i]], x[i], 1.0 if positive[i] else 0.0
        _chances(intercept, slope, here, chance, room[0], room[1])
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

    The exponent is a whole number of doublings, put straight into the exponent bits of a number, plus a rest of at most
    ln(2) / 2, whose exponential is Taylor's polynomial of degree 12 (Cody & Waite 1980, ch. 6). The library's ``exp`` would be
    called lane by lane.
    """
    doublings = power.view(np.int64)
    for lane in range(LANES):
        z = min(max(-(intercept[lane] + slope[lane] * x), -700.0), 700.0)
        rounded = z * PER_DOUBLING + ROUND
        power[lane] = rounded
        rounded -= ROUND
        rest[lane] = (z - rounded * LN2_HIGH) - rounded * LN2_LOW
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
    """Move one lane's fit; returns whether it has to go on. ``step`` holds the last step and the slope along it."""
    along = sums[0] * step[0] + sums[1] * step[1]
    if step[2] > 0 and abs(along) > step[2]:
        for part in range(3):
            step[part] *= 0.5
        intercept[lane] -= step[0]
        slope[lane] -= step[1]
        return True
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
