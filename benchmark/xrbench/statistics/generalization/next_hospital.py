"""What to expect at a hospital that was not measured: a random-effects analysis over those that were.

Each hospital has a value with a variance (of its patients and, for a method, of its trainings); on top of that hospitals differ by a
standard deviation tau. On the logit of the metric the mean has Hartung and Knapp's interval and the next hospital a prediction interval,
both with Student's quantile at H - 1 degrees of freedom (older literature takes H - 2 for the second: Higgins et al. 2009, J R Stat Soc A
172:137). Sources: Paule & Mandel (1982), J Res Nat Bur Stand 87:377; Hartung & Knapp (2001), Stat Med 20:3875; IntHout et al. (2014),
BMC Med Res Methodol 14:25; for the AUC of prediction models Debray et al. (2019), Stat Methods Med Res 28:2768.

In ``tests/validation/hospitals.csv`` 95 % intervals hold the mean in 94 to 100 of 100 samples, prediction intervals the next hospital in
88 to 100: least often where hospitals differ about as much as their own errors, since tau then often comes out as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray
from xrbench.statistics.intervals.formulas import check_level
from xrbench.statistics.resampling.scale import UNIT, Scale

FEW = 5
"""Hospitals from which the spread between them is known well enough for a prediction interval to say much."""


class Hospital(NamedTuple):
    """One hospital's figure.

    Attributes:
        value: The metric; NaN where it is undefined.
        variance: Squared standard error of the value.
    """

    value: float
    variance: float


@dataclass(frozen=True)
class NextHospital:
    """A metric over hospitals.

    Attributes:
        mean: Of hospitals, on the metric's scale.
        low, high: Interval of the mean.
        next_low, next_high: Prediction interval: where the value of a next hospital lies, before the error of its own patients.
        tau: Standard deviation between hospitals on the logit (or on the values, of metrics without a finite range).
        i2: Share of the variance of the values that lies between hospitals, 0..1 (Higgins & Thompson 2002, Stat Med 21:1539).
        q: Cochran's sum of squares.
        df: Degrees of freedom of both intervals, H - 1.
        hospitals: How many have a value with a variance: H.
        level: Confidence level.
        reason: Why there is no interval; else empty.
        caution: What so few hospitals cannot show; else empty.
    """

    mean: float
    low: float
    high: float
    next_low: float
    next_high: float
    tau: float
    i2: float
    q: float
    df: int
    hospitals: int
    level: float
    reason: str = ""
    caution: str = ""


def next_hospital(
    figures: Sequence[tuple[float, float]], *, level: float = 0.95, scale: tuple[float, float] = UNIT
) -> NextHospital:
    """Summarise one figure of each hospital, and predict that of a next one.

    Args:
        figures: Value and variance of each hospital, whose patients (and trainings) are independent of the others'. Values at an end of
            the scale and those without a variance are left out.
        level: Confidence level, between 0 and 1.
        scale: Smallest and largest value of the metric; infinite ends for no transformation.

    Returns:
        NaN with a reason where fewer than two hospitals have a value.

    Raises:
        MeasureError: A variance is negative.
        UsageError: The level is out of range.

    Two hospitals with logits -a and a and no error of their own: tau^2 is 2 a^2, the error of the mean a, Student's quantile 12.7.

    >>> row = next_hospital([(0.4, 1e-12), (0.6, 1e-12)])
    >>> round(row.mean, 3), round(row.tau, 3), round(row.low, 4), round(row.next_high, 4)  # 1 / (1 + e ** (12.7 x 0.405)) = 0.0058
    (0.5, 0.573, 0.0058, 0.9999)
    >>> next_hospital([(0.8, 0.0004)]).reason
    'one hospital cannot show how much hospitals differ'
    """
    check_level(level)
    given = np.asarray(figures, np.float64).reshape(-1, 2)
    if (given[:, 1] < 0).any():
        raise MeasureError(f"variance {given[:, 1].min():g} of a hospital is below 0")
    on = Scale(*scale)
    inside = (given[:, 0] > on.low) & (given[:, 0] < on.high)
    usable = given[np.isfinite(given).all(axis=1) & inside & (given[:, 1] > 0)]
    nan, hospitals = float("nan"), len(usable)
    if hospitals < 2:
        reason = "one hospital cannot show" if hospitals else "no hospital has a value that can show"
        mean = float(usable[0, 0]) if hospitals else nan
        return NextHospital(
            mean, nan, nan, nan, nan, nan, nan, nan, 0, hospitals, level, f"{reason} how much hospitals differ"
        )
    effect, variance = _on_scale(usable, on)
    tau2 = paule_mandel(effect, variance)
    weight = 1 / (variance + tau2)
    mean = float(weight @ effect / weight.sum())
    # Hartung and Knapp's error; never below that of the hospitals' own errors, as where they happen to agree.
    error = np.sqrt(max(1.0, float(weight @ (effect - mean) ** 2) / (hospitals - 1)) / weight.sum())
    reach = float(special.stdtrit(hospitals - 1, (1 + level) / 2)) * np.array([error, np.sqrt(tau2 + error**2)])
    ends = [mean, mean - reach[0], mean + reach[0], mean - reach[1], mean + reach[1]]
    back = on.expit(ends) if on.finite else np.array(ends)
    fixed = 1 / variance
    typical = (hospitals - 1) * fixed.sum() / (fixed.sum() ** 2 - (fixed**2).sum())
    return NextHospital(
        mean=float(back[0]),
        low=float(back[1]),
        high=float(back[2]),
        next_low=float(back[3]),
        next_high=float(back[4]),
        tau=float(np.sqrt(tau2)),
        i2=float(tau2 / (tau2 + typical)),
        q=_excess(0.0, effect, variance) + hospitals - 1,
        df=hospitals - 1,
        hospitals=hospitals,
        level=level,
        caution=_caution(hospitals),
    )


def paule_mandel(effect: FloatArray, variance: FloatArray) -> float:
    """Find the variance between hospitals at which the weighted sum of squares is what it is on average, H - 1.

    Args:
        effect: Shape (H,).
        variance: Of each, above 0, shape (H,).

    Returns:
        0 or more.

    >>> round(paule_mandel(np.array([0.0, 2.0]), np.array([0.5, 0.5])), 6)  # the sample variance 2 minus 0.5
    1.5
    """
    if _excess(0.0, effect, variance) <= 0:
        return 0.0
    highest = float(np.var(effect, ddof=1)) * len(effect) + float(variance.max())
    return float(optimize.brentq(_excess, 0.0, highest, args=(effect, variance), xtol=1e-14, rtol=1e-12))


def _excess(tau2: float, effect: FloatArray, variance: FloatArray) -> float:
    """Compute the weighted sum of squares about the weighted mean, minus its degrees of freedom."""
    weight = 1 / (variance + tau2)
    mean = weight @ effect / weight.sum()
    return float(weight @ (effect - mean) ** 2) - (len(effect) - 1)


def _on_scale(figures: FloatArray, scale: Scale) -> tuple[FloatArray, FloatArray]:
    """Transform values and variances of shape (H, 2) to the scale, by the delta method."""
    if not scale.finite:
        return figures[:, 0], figures[:, 1]
    slope = np.array([scale.slope(value) for value in figures[:, 0]])
    return scale.logit(figures[:, 0]), figures[:, 1] / slope**2


def _caution(hospitals: int) -> str:
    """Say what few hospitals cannot show.

    >>> _caution(5)
    ''
    """
    if hospitals >= FEW:
        return ""
    return (
        f"{hospitals} hospitals hardly show how much hospitals differ: the interval for a next one rests on {hospitals - 1} "
        f"degree{'s' if hospitals > 2 else ''} of freedom and may span nearly everything"
    )
