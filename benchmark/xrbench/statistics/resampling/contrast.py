"""The difference of two figures that may share patients: its jackknife error, interval and p-value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from xrbench.metrics.checks import FloatArray
from xrbench.statistics.resampling.detectable import detectable_t
from xrbench.statistics.resampling.jackknife import LeftOut, ScaledFigure, freedom, scaled_figure
from xrbench.statistics.resampling.scale import UNIT, Scale

ANGLES = np.linspace(0, 2 * np.pi, 2048, endpoint=False)
"""Directions that are tried around an error ellipse, in radians: enough to find the farthest point to a millionth of its distance."""


@dataclass(frozen=True)
class Contrast:
    """The difference b minus a of two figures that may share patients.

    The joint error of both figures on their scales is an ellipse; the interval holds the differences of all pairs of values
    within it. For figures that are not transformed this is the difference plus and minus its standard errors; for AUCs it follows
    the curve of the logits, and it shrinks to a point when both figures are the same.

    Attributes:
        a, b: The figures.
        axes: Square root of the covariance of both figures on their scales, shape (2, 2).
        error: Standard error of the difference.
        df: Degrees of freedom of that error.
        influence: Share of each patient in the error of the difference, domain after domain, shape (patients,).
    """

    a: ScaledFigure
    b: ScaledFigure
    axes: FloatArray
    error: float
    df: float
    influence: FloatArray

    @property
    def difference(self) -> float:
        """B minus a."""
        return self.b.value - self.a.value

    def limits(self, significance: float) -> tuple[float, float]:
        """Compute the interval that leaves the probability ``significance`` in both tails together."""
        radius = -float(special.stdtrit(self.df, significance / 2))
        if not self.a.scale.finite and not self.b.scale.finite:
            return self.difference - radius * self.error, self.difference + radius * self.error
        # Points on the ellipse at that radius: the unit circle, stretched and turned by the square root of the covariance.
        left, right = radius * self.axes @ np.stack([np.cos(ANGLES), np.sin(ANGLES)])
        differences = self.b.back(self.b.centre + right) - self.a.back(self.a.centre + left)
        return float(differences.min()), float(differences.max())

    def p_above(self, bound: float) -> float:
        """Compute the one-sided p-value of the difference not being above a bound: small where it is clearly above.

        The interval that leaves twice that probability in both tails together has its low end at the bound.
        """
        return self._one_sided(self.difference - bound, lambda significance: self.limits(significance)[0] - bound)

    def p_below(self, bound: float) -> float:
        """Compute the one-sided p-value of the difference not being below a bound: small where it is clearly below."""
        return self._one_sided(bound - self.difference, lambda significance: bound - self.limits(significance)[1])

    def _one_sided(self, distance: float, cleared: Callable[[float], float]) -> float:
        if self.error == 0:
            return 0.0 if distance > 0 else 0.5 if distance == 0 else 1.0
        if not distance > 0:
            return float(special.stdtr(self.df, -distance / self.error))
        if cleared(2e-15) > 0:
            return 1e-15
        return float(
            10 ** optimize.brentq(lambda exponent: cleared(2 * 10.0**exponent), -15.0, np.log10(0.5), xtol=1e-9)
        )

    def detectable(self, significance: float, power: float = 0.8) -> float:
        """Compute the smallest true difference that is found at ``significance`` with the stated power."""
        if not self.error > 0:
            return 0.0 if self.error == 0 else float("nan")
        return detectable_t(-float(special.stdtrit(self.df, significance / 2)), self.df, power) * self.error

    def p(self) -> float:
        """Find the two-sided p-value: the lowest significance at which the interval excludes 0; never below 1e-15."""
        if self.difference == 0:
            return 1.0
        if not self.error > 0:
            return float("nan")

        def nearest(exponent: float) -> float:
            """Compute the end of the interval that is nearest to 0: above 0 where the interval excludes it."""
            low, high = self.limits(10.0**exponent)
            return low if self.difference > 0 else -high

        # The interval widens as the significance falls; the root is sought on the logarithmic scale, where it is well separated.
        if nearest(-15.0) > 0:
            return 1e-15
        return float(10 ** optimize.brentq(nearest, -15.0, 0.0, xtol=1e-9)) if nearest(0.0) > 0 else 1.0


def contrast(
    values: tuple[float, float],
    parts: tuple[Sequence[LeftOut], Sequence[LeftOut]],
    *,
    scale: Scale = UNIT,
    unseen: tuple[float, float] = (0.0, 0.0),
) -> Contrast | None:
    """Compare two figures; None when a left-out figure is undefined.

    Args:
        values: The figures a and b with all patients.
        parts: Of each, for the same domains in the same order, the figure without each group of patients.
        scale: Range of the figures.
        unseen: Variance of each figure that leaving patients out does not show.
    """
    a, b = (scaled_figure(value, each, scale=scale) for value, each in zip(values, parts, strict=True))
    if a is None or b is None:
        return None
    both = [np.stack(pair) for pair in zip(a.influence, b.influence, strict=True)]
    # A figure at the end of its scale has no spread, though it is not known exactly. Two equal figures are both perfect (or both
    # 0) on the same patients: their difference is 0, and an error would only come from counting the same uncertainty twice.
    hidden = [
        max(_hidden(one, each, scale), more) if a.value != b.value else 0.0
        for one, each, more in zip((a, b), parts, unseen, strict=True)
    ]
    on_scale = [variance / one.slope**2 for variance, one in zip(hidden, (a, b), strict=True)]
    covariance = np.sum([part @ part.T for part in both], axis=0) + np.diag(on_scale)
    size, direction = np.linalg.eigh(covariance)
    # Rounding may leave an eigenvalue of 0 slightly negative.
    axes = direction * np.sqrt(np.maximum(size, 0.0))
    # By the delta method: the influence on the difference is that on b minus that on a, each times its slope.
    influence = [b.slope * part[1] - a.slope * part[0] for part in both]
    error = float(np.sqrt(sum(float(part @ part) for part in influence) + sum(hidden)))
    return Contrast(a, b, axes, error, freedom(influence, a.stratum), np.concatenate(influence))


def _hidden(figure: ScaledFigure, parts: Sequence[LeftOut], scale: Scale) -> float:
    """Compute the variance of a figure at an end of its range that does not change whoever is left out; 0 for any other.

    Where none of n patients errs, up to 3 / n may with 95 % confidence (Hanley & Lippman-Hand 1983, JAMA 249:1743): a standard
    error of 3 / n / 1.96. n is the number of patients of the smallest stratum.
    """
    if not scale.is_end(figure.value) or figure.error > 0:
        return 0.0
    fewest = min(int(np.unique(part.stratum, return_counts=True)[1].min()) for part in parts)
    return float((scale.width * min(1.0, 3.0 / fewest) / 1.96) ** 2)
