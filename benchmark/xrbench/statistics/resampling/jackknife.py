"""Intervals from leaving out one patient at a time: what this room uses when nothing else is asked for.

A figure is recomputed without each patient in turn (with more than ``GROUPS`` patients, without each of that many equal
groups). How far the figures spread gives its standard error (Tukey 1958; Efron & Stein 1981, Ann Stat 9:586), on the logit
scale for figures of a finite range. With few positive patients that error is itself uncertain; the normal quantile is therefore
replaced by Student's with as many degrees of freedom as the error's own variance stands for (Satterthwaite 1946, Biometrics
Bull 2:110), estimated from the fourth powers of the patients' influences within patients with and without positives.

The interval needs no random numbers. ``tests/validation`` shows that it covers where bootstrap percentiles, BCa and DeLong's
intervals fall short: with 20 positive patients and AUCs up to 0.95.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from xrbench.metrics.checks import FloatArray
from xrbench.statistics.intervals.formulas import NOTHING
from xrbench.statistics.resampling.scale import UNBOUNDED, UNIT, Scale

GROUPS = 1024
"""At most so many groups of patients are left out in turn."""
TURN = np.linspace(0, 2 * np.pi, 2048, endpoint=False)
"""Directions that are tried around an error ellipse: the farthest one is found to a millionth of its distance."""


class Left(NamedTuple):
    """A figure without each group of one domain's patients.

    Attributes:
        values: Shape (groups,).
        stratum: Kind of each group, shape (groups,): those with and those without positives.
    """

    values: FloatArray
    stratum: npt.NDArray[np.int64]


def groups_of(patients: int) -> npt.NDArray[np.int64]:
    """Number the group in which each patient is left out."""
    return np.arange(patients) % min(patients, GROUPS)


@dataclass(frozen=True)
class Side:
    """A figure on a scale where its error is nearly normal.

    Attributes:
        value: The figure.
        influence: For each domain, the share of each group of patients in the figure's error on the scale: the squares sum to
            its variance.
        stratum: For each domain, the kind of each group.
        scale: The scale.
    """

    value: float
    influence: tuple[FloatArray, ...]
    stratum: tuple[npt.NDArray[np.int64], ...]
    scale: Scale

    @property
    def error(self) -> float:
        """Standard error on the scale."""
        return float(np.sqrt(sum(float(part @ part) for part in self.influence)))

    @property
    def df(self) -> float:
        """Degrees of freedom of the error."""
        return freedom(self.influence, self.stratum)

    @property
    def centre(self) -> float:
        """The figure on the scale."""
        return float(self.scale.logit(self.value)) if self.scale.finite else self.value

    @property
    def slope(self) -> float:
        """How far the figure moves for a small move on the scale."""
        return self.scale.slope(self.value) if self.scale.finite else 1.0

    def back(self, on_scale: npt.ArrayLike) -> FloatArray:
        """Carry values on the scale back to the figure's own."""
        return self.scale.expit(on_scale) if self.scale.finite else np.asarray(on_scale, np.float64)

    def limits(self, outside: float) -> tuple[float, float]:
        """Compute the interval that leaves a chance ``outside`` in both tails together."""
        reach = -float(special.stdtrit(self.df, outside / 2)) * self.error
        low, high = self.back([self.centre - reach, self.centre + reach])
        return float(low), float(high)


def side(value: float, parts: Sequence[Left], *, scale: Scale = UNIT) -> Side | None:
    """Compute a figure's error from its left-out values in each domain; None when one of them is undefined.

    Args:
        value: The figure with everyone.
        parts: For each domain, the figure without each of its groups of patients.
        scale: Range of the figure.
    """
    if np.isnan(value) or not parts or any(np.isnan(part.values).any() or len(part.values) < 2 for part in parts):
        return None
    strata = tuple(part.stratum for part in parts)
    plain = tuple(_influence(part.values) for part in parts)
    if not scale.holds(value):
        return Side(value, plain, strata, UNBOUNDED)
    if all(scale.holds(part.values) for part in parts):
        return Side(value, tuple(_influence(scale.logit(part.values)) for part in parts), strata, scale)
    # One patient carries all that is missing from a perfect figure: the logit's slope stands in for its curve.
    steep = scale.width / ((value - scale.low) * (scale.high - value))
    return Side(value, tuple(part * steep for part in plain), strata, scale)


def freedom(influence: Sequence[FloatArray], stratum: Sequence[npt.NDArray[np.int64]]) -> float:
    """Estimate how many degrees of freedom a sum of squared influences has: 2 variance^2 / variance of the variance.

    >>> round(freedom([np.array([1.0, 1.0, 1.0, 3.0])], [np.zeros(4, int)]), 3)  # 2 x 12^2 / (84 - 12^2 / 4)
    6.0
    """
    variance, noise = 0.0, 0.0
    for part, kinds in zip(influence, stratum, strict=True):
        variance += float(part @ part)
        for kind in np.unique(kinds):
            mine = part[kinds == kind]
            noise += float(np.sum(mine**4) - np.sum(mine**2) ** 2 / len(mine))
    df = 2 * variance**2 / noise if noise > 1e-12 * variance**2 else np.inf
    return float(np.clip(df, 1.0, 1e6))


def jackknife(value: float, parts: Sequence[Left], level: float, *, scale: Scale = UNIT) -> tuple[float, float]:
    """Compute the jackknife interval of a figure.

    Args:
        value: The figure with everyone.
        parts: For each domain, the figure without each of its groups of patients.
        level: Confidence level, between 0 and 1.
        scale: Range of the figure.

    Returns:
        Low and high; NaN when a left-out figure is undefined, or when all of them agree at the end of the scale.

    >>> left = Left(np.array([0.5, 0.6, 0.7]), np.zeros(3, int))  # influences 0.1, 0, -0.1
    >>> [round(end, 3) for end in jackknife(0.6, [left], 0.95, scale=UNBOUNDED)]  # error 0.115, 12 df: 2.179 errors
    [0.348, 0.852]
    """
    found = side(value, parts, scale=scale)
    if found is None or (scale.finite and not scale.holds(value)):
        return NOTHING
    return found.limits(1 - level)


@dataclass(frozen=True)
class Contrast:
    """The difference b minus a of two figures that may share patients.

    The joint error of both figures on their scales is an ellipse; the interval holds all differences of pairs inside it. For
    figures that are not transformed this is the difference plus and minus its standard errors; for AUCs it bends with the
    logits, and it shrinks to a point when both sides are the same.

    Attributes:
        a: One side.
        b: The other.
        axes: Square root of the covariance of both sides on their scales, shape (2, 2).
        error: Standard error of the difference.
        df: Degrees of freedom of that error.
    """

    a: Side
    b: Side
    axes: FloatArray
    error: float
    df: float

    @property
    def difference(self) -> float:
        """B minus a."""
        return self.b.value - self.a.value

    def limits(self, outside: float) -> tuple[float, float]:
        """Compute the interval that leaves a chance ``outside`` in both tails together."""
        radius = -float(special.stdtrit(self.df, outside / 2))
        if not self.a.scale.finite and not self.b.scale.finite:
            return self.difference - radius * self.error, self.difference + radius * self.error
        left, right = radius * self.axes @ np.stack([np.cos(TURN), np.sin(TURN)])
        found = self.b.back(self.b.centre + right) - self.a.back(self.a.centre + left)
        return float(found.min()), float(found.max())

    def p(self) -> float:
        """Find the two-sided p-value: the smallest chance outside at which the interval leaves out 0."""
        if self.difference == 0:
            return 1.0
        if not self.error > 0:
            return float("nan")

        def nearest(exponent: float) -> float:
            low, high = self.limits(10.0**exponent)
            return low if self.difference > 0 else -high

        if nearest(-15.0) > 0:
            return 1e-15
        return float(10 ** optimize.brentq(nearest, -15.0, 0.0, xtol=1e-9)) if nearest(0.0) > 0 else 1.0


def contrast(
    values: tuple[float, float], parts: tuple[Sequence[Left], Sequence[Left]], *, scale: Scale = UNIT
) -> Contrast | None:
    """Set two figures against each other; None when a left-out figure is undefined.

    Args:
        values: The figures a and b with everyone.
        parts: Of each, for the same domains in the same order, the figure without each group of patients.
        scale: Range of the figures.
    """
    a, b = (side(value, each, scale=scale) for value, each in zip(values, parts, strict=True))
    if a is None or b is None:
        return None
    both = [np.stack(pair) for pair in zip(a.influence, b.influence, strict=True)]
    # A figure at the end of its scale has no spread, though it is not known exactly.
    hidden = [_hidden(one, each, scale) if a.value != b.value else 0.0 for one, each in zip((a, b), parts, strict=True)]
    covariance = np.sum([part @ part.T for part in both], axis=0) + np.diag(hidden)
    size, direction = np.linalg.eigh(covariance)
    axes = direction * np.sqrt(np.maximum(size, 0.0))
    influence = [b.slope * part[1] - a.slope * part[0] for part in both]
    error = float(np.sqrt(sum(float(part @ part) for part in influence) + sum(hidden)))
    return Contrast(a, b, axes, error, freedom(influence, a.stratum))


def _hidden(found: Side, parts: Sequence[Left], scale: Scale) -> float:
    """Give the variance of a figure at an end of its range that no patient changes; 0 for any other.

    Where none of n patients errs, up to 3 / n may with 95 % confidence (Hanley & Lippman-Hand 1983, JAMA 249:1743): a standard
    error of 3 / n / 1.96. n is the smaller number of patients with and without positives.
    """
    if not scale.is_end(found.value) or found.error > 0:
        return 0.0
    fewest = min(int(np.unique(part.stratum, return_counts=True)[1].min()) for part in parts)
    return float((scale.width * min(1.0, 3.0 / fewest) / 1.96) ** 2)


def _influence(left_out: FloatArray) -> FloatArray:
    """Turn left-out values into each group's share of the error: their squares sum to the jackknife variance."""
    scaled: FloatArray = np.sqrt((len(left_out) - 1) / len(left_out)) * (left_out.mean() - left_out)
    return scaled
