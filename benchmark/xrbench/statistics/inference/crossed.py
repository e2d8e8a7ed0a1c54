"""Trainings and patients, crossed: the variance of a figure that another training and other patients would both change.

The figure is a sum of weighted values of cells, such as the mean over trainings of method b minus that of method a. All cells share
their test patients, whose covariances come from the jackknife; cells of one training share what that training happened to give.
This is the model of readers and cases (Obuchowski & Rockette 1995, Commun Stat Simul Comput 24:285) with trainings in the readers'
place, nested in methods, with Hillis's degrees of freedom (2007, Stat Med 26:596), each method with a variance of its own (Welch 1947,
Biometrika 34:28).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from xrbench.metrics.checks import FloatArray
from xrbench.statistics.resampling.detectable import detectable_t

FIXED = -1
"""Number of the training of cells whose weights are given: another training of them does not exist."""
NO_FREEDOM = np.inf


@dataclass(frozen=True)
class Crossed:
    """A figure with the errors that trainings and patients bring.

    Attributes:
        value: The figure.
        of_trainings: Variance that trainings bring, 0 or more; NaN where there are too few.
        of_patients: Variance that patients bring beyond that, 0 or more.
        df: Degrees of freedom of both together.
        df_trainings: Degrees of freedom of the trainings' part alone.
    """

    value: float
    of_trainings: float
    of_patients: float
    df: float
    df_trainings: float

    @property
    def error(self) -> float:
        """Standard error over trainings and patients."""
        return float(np.sqrt(self.of_trainings + self.of_patients))

    def reach(self, significance: float) -> float:
        """Compute half the width of the interval that leaves ``significance`` in both tails together.

        It is never less than the interval of the trainings alone: their variance may be estimated too low by chance while it has few
        degrees of freedom, and the patients' part would then hide that.
        """
        alone = _quantile(self.df_trainings, significance) * np.sqrt(self.of_trainings)
        return float(max(_quantile(self.df, significance) * self.error, alone))

    def limits(self, significance: float) -> tuple[float, float]:
        """Compute the interval that leaves the probability ``significance`` in both tails together."""
        reach = self.reach(significance)
        return self.value - reach, self.value + reach

    def p(self, null: float = 0.0) -> float:
        """Compute the two-sided p-value of a value: the lowest significance at which the interval excludes it; NaN without errors."""
        return float(np.minimum(1.0, 2 * self.p_beyond(abs(self.value - null))))

    def p_beyond(self, distance: float) -> float:
        """Compute the chance of an estimate so far above the truth, 0..1; NaN where the errors are not known.

        Args:
            distance: Estimate minus truth.
        """
        if np.isnan(self.error) or np.isnan(distance):
            return float("nan")
        if self.error == 0:
            return 0.0 if distance > 0 else 0.5 if distance == 0 else 1.0
        both = float(special.stdtr(self.df, -distance / self.error))
        alone = (
            float(special.stdtr(self.df_trainings, -distance / np.sqrt(self.of_trainings)))
            if self.of_trainings > 0
            else 0.0
        )
        # far below the truth the smaller chance is the careful one
        return max(both, alone) if distance >= 0 else min(both, alone) if self.of_trainings > 0 else both

    def p_above(self, bound: float) -> float:
        """Compute the one-sided p-value of the figure not being above a bound: small where it is clearly above."""
        return self.p_beyond(self.value - bound)

    def p_below(self, bound: float) -> float:
        """Compute the one-sided p-value of the figure not being below a bound: small where it is clearly below."""
        return self.p_beyond(bound - self.value)

    def detectable(self, significance: float, power: float = 0.8) -> float:
        """Compute the smallest true figure that is found at ``significance`` with the stated power, by the noncentral t distribution."""
        if np.isnan(self.error):
            return float("nan")
        if self.error == 0:
            return 0.0
        return detectable_t(self.reach(significance) / self.error, self.df, power) * self.error


def crossed(
    value: npt.ArrayLike,
    weight: npt.ArrayLike,
    covariance: npt.ArrayLike,
    training: npt.ArrayLike,
    stratum: Sequence[Hashable],
    *,
    df_patients: float = np.inf,
) -> Crossed:
    """Compute a sum of weighted values of cells with its variance over trainings and patients.

    The trainings of a stratum are repetitions of each other: the sample variance of what each adds to the figure is the trainings'
    part. That holds each training's own response to the patients too, which the jackknife variance of the figure therefore leaves out:
    what is left of it is the patients' part.

    Args:
        value: Value of each cell, shape (cells,).
        weight: Its weight in the figure, shape (cells,).
        covariance: Of the cells over patients, shape (cells, cells).
        training: Number of the training of each cell, from 0, shape (cells,); ``FIXED`` for given weights.
        stratum: Stratum of each training.
        df_patients: Degrees of freedom of the jackknife variance of the figure.

    Returns:
        ``of_trainings`` is NaN where a stratum has a single training.

    >>> values, ones = [0.80, 0.82, 0.84, 0.81, 0.83, 0.85], np.array([-1, -1, -1, 1, 1, 1]) / 3
    >>> row = crossed(values, ones, np.zeros((6, 6)), range(6), "aaabbb")
    >>> round(row.value, 3), round(row.error, 4), row.df  # Welch: (2 x 0.02^2 / 3)^0.5, 4 degrees of freedom
    (0.01, 0.0163, 4.0)
    """
    share = np.asarray(weight, np.float64) * np.asarray(value, np.float64)
    numbers, weights = np.asarray(training, np.int64), np.asarray(weight, np.float64)
    joint = weights[:, None] * np.asarray(covariance, np.float64) * weights
    # patients' covariance of what two trainings add to the figure
    member = (numbers[:, None] == np.arange(len(stratum))).astype(np.float64)
    between, added = member.T @ joint @ member, member.T @ share
    parts, own = [], 0.0
    for name in dict.fromkeys(stratum):
        of = np.flatnonzero([each == name for each in stratum])
        count = len(of)
        if count < 2:
            return Crossed(float(share.sum()), np.nan, np.nan, np.nan, np.nan)
        block = between[np.ix_(of, of)]
        parts.append((count * float(added[of].var(ddof=1)), count - 1))
        own += float(np.trace(block) - (block.sum() - np.trace(block)) / (count - 1))
    return _together(float(share.sum()), parts, float(joint.sum()) - own, df_patients)


def over_groups(
    value: npt.ArrayLike,
    weight: npt.ArrayLike,
    covariance: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    df_patients: float = np.inf,
) -> Crossed:
    """Compute the same where every setting was trained once: settings (groups of cells) then stand in the trainings' place.

    Args:
        value: Value of each cell, shape (cells,).
        weight: Its weight in the figure, shape (cells,).
        covariance: Of the cells over patients, shape (cells, cells).
        df_patients: Degrees of freedom of the jackknife variance of the figure.
        group: Number of the setting of each cell, from 0, shape (cells,); settings that share a training are one.

    Returns:
        ``of_trainings`` holds the spread over settings; NaN with a single one.
    """
    numbers = np.asarray(group, np.int64)
    count = int(numbers.max()) + 1
    return crossed(value, weight, covariance, numbers, ["setting"] * count, df_patients=df_patients)


def _together(value: float, parts: Sequence[tuple[float, int]], of_patients: float, df_patients: float) -> Crossed:
    """Add variances with Satterthwaite's degrees of freedom (1946, Biometrics Bull 2:110)."""
    of_trainings, rest = sum(variance for variance, _ in parts), max(of_patients, 0.0)
    noise = sum(variance**2 / df for variance, df in parts)
    df_trainings = of_trainings**2 / noise if noise > 0 else NO_FREEDOM
    all_noise = noise + rest**2 / df_patients
    df = (of_trainings + rest) ** 2 / all_noise if all_noise > 0 else NO_FREEDOM
    return Crossed(value, of_trainings, rest, df, df_trainings)


def _quantile(df: float, significance: float) -> float:
    if not np.isfinite(df):
        return float(special.ndtri(1 - significance / 2))
    return -float(special.stdtrit(df, significance / 2))


def covariance_of(influence: FloatArray) -> FloatArray:
    """Compute the covariance of cells from the influences of patients, shape (patients, cells), which are independent of each other."""
    return influence.T @ influence
