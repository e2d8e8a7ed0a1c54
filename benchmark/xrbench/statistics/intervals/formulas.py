"""Formulas that turn replicates, or a standard error, into an interval."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from xrbench.errors import UsageError
from xrbench.metrics.checks import FloatArray

NOTHING = (float("nan"), float("nan"))


def check_level(level: float) -> float:
    """Refuse a confidence level outside 0..1.

    Raises:
        UsageError: It is.
    """
    if not 0 < level < 1:
        raise UsageError(f"level {level} is not between 0 and 1")
    return level


def quantile(level: float) -> float:
    """Return the normal quantile of a two-sided interval.

    >>> round(quantile(0.95), 3)
    1.96
    """
    return float(special.ndtri((1 + level) / 2))


def percentile(replicates: npt.ArrayLike, level: float) -> tuple[float, float]:
    """Compute the percentile interval of bootstrap replicates (Efron 1979, Ann Stat 7:1).

    Args:
        replicates: Shape (replicates,); NaN are left out.
        level: Confidence level, between 0 and 1.

    >>> percentile([0.1, 0.2, 0.3, 0.4, 0.5], 0.5)
    (0.2, 0.4)
    """
    values = _defined(replicates)
    if not len(values):
        return NOTHING
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bca(value: float, replicates: npt.ArrayLike, jackknife: npt.ArrayLike, level: float) -> tuple[float, float]:
    """Compute the bias-corrected and accelerated bootstrap interval (Efron 1987, JASA 82:171).

    Args:
        value: The figure on the sample itself.
        replicates: The figure in each replicate, shape (replicates,); NaN are left out.
        jackknife: The figure without each patient, or each of many equal groups of patients, shape (groups,); NaN are left out.
        level: Confidence level, between 0 and 1.

    Returns:
        Low and high; NaN when no replicate lies on one side of the value, so that the correction has no finite size.
    """
    values, left_out = _defined(replicates), _defined(jackknife)
    if not len(values) or not len(left_out):
        return NOTHING
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    # Replicates equal to the value, which are common in small samples, count half on either side.
    z0 = special.ndtri((np.sum(values < value) + 0.5 * np.sum(values == value)) / len(values))
    if not np.isfinite(z0):
        return NOTHING
    z = special.ndtri([(1 - level) / 2, (1 + level) / 2])
    shifted = z0 + (z0 + z) / (1 - acceleration(left_out) * (z0 + z))
    low, high = np.quantile(values, special.ndtr(shifted))
    return float(low), float(high)


def acceleration(jackknife: FloatArray) -> float:
    """Compute the acceleration of BCa from left-out figures: a sixth of their skewness (Efron & Tibshirani 1993, ch. 14).

    Args:
        jackknife: Shape (groups,).

    >>> round(acceleration(np.array([0.0, 0.0, 3.0])), 4)  # rests 1, 1, -2: -6 / (6 x 6 ** 1.5)
    -0.068
    """
    rest = jackknife.mean() - jackknife
    spread = float(np.sum(rest**2))
    return float(np.sum(rest**3)) / (6 * spread**1.5) if spread > 0 else 0.0


def normal(value: float, error: float, level: float) -> tuple[float, float]:
    """Compute a normal interval: the value plus and minus the quantile times the standard error.

    >>> tuple(round(end, 3) for end in normal(0.5, 0.1, 0.95))
    (0.304, 0.696)
    """
    reach = quantile(level) * error
    return value - reach, value + reach


def logit_normal(value: float, error: float, level: float) -> tuple[float, float]:
    """Compute a normal interval on the logit scale and transform it back, so that it stays within 0..1.

    The error of the logit is ``error / (value (1 - value))`` by the delta method (Pepe 2003, section 5.2).

    Returns:
        Low and high; both the value itself where it is 0 or 1, which says nothing about its uncertainty.

    >>> tuple(round(end, 3) for end in logit_normal(0.9, 0.03, 0.95))
    (0.824, 0.945)
    """
    if not 0 < value < 1:
        return (value, value) if value in (0, 1) else NOTHING
    centre, reach = np.log(value / (1 - value)), quantile(level) * error / (value * (1 - value))
    return float(special.expit(centre - reach)), float(special.expit(centre + reach))


def wilson(share: float, size: float, level: float, *, df: float = np.inf) -> tuple[float, float]:
    """Compute Wilson's score interval of a proportion (Wilson 1927, JASA 22:209).

    Args:
        share: Observed proportion, 0..1.
        size: Number it is a proportion of; with clustered data the effective number, which need not be whole.
        level: Confidence level, between 0 and 1.
        df: Degrees of freedom when the effective number is itself estimated: Student's quantile replaces the normal one.

    >>> tuple(round(end, 4) for end in wilson(0.9, 10, 0.95))
    (0.5958, 0.9821)
    """
    if not size > 0 or not 0 <= share <= 1:
        return NOTHING
    z2 = float(special.stdtrit(df, (1 + level) / 2)) ** 2 if np.isfinite(df) else quantile(level) ** 2
    centre = (share + z2 / (2 * size)) / (1 + z2 / size)
    reach = np.sqrt(z2 / size * (share * (1 - share) + z2 / (4 * size))) / (1 + z2 / size)
    # At a share of 0 or 1 that end is the share itself, which rounding may miss by a step.
    low = 0.0 if share == 0 else max(0.0, float(centre - reach))
    return low, 1.0 if share == 1 else min(1.0, float(centre + reach))


def newcombe(auc: float, positive: int, negative: int, level: float) -> tuple[float, float]:
    """Compute the score interval of an AUC of exactly 0 or 1, where no spread is left to estimate an error from.

    The other end is the AUC at which the observed one is ``quantile(level)`` standard errors away, with Hanley & McNeil's
    error at that AUC (Newcombe 2006, Stat Med 25:559, method 5).

    Args:
        auc: 0 or 1.
        positive: Independent positives: patients.
        negative: Independent negatives.
        level: Confidence level, between 0 and 1.

    >>> [round(end, 3) for end in newcombe(1.0, 20, 80, 0.95)]
    [0.912, 1.0]
    """
    z2 = quantile(level) ** 2

    def excess(gap: float) -> float:
        """Compare the squared distance from 1 with the squared reach of the interval at the AUC ``1 - gap``."""
        return gap**2 - z2 * hanley_mcneil(1 - gap, positive, negative)

    low = 1 - float(optimize.brentq(excess, 1e-12, 1 - 1e-12)) if excess(1 - 1e-12) > 0 else 0.0
    return (low, 1.0) if auc == 1 else (0.0, 1 - low)


def hanley_mcneil(auc: float, positive: float, negative: float) -> float:
    """Compute the variance of an AUC from its size and the counts alone (Hanley & McNeil 1982, Radiology 143:29).

    Args:
        auc: 0..1.
        positive: Independent positives: patients.
        negative: Independent negatives.

    >>> round(hanley_mcneil(0.8, 50, 50) ** 0.5, 4)
    0.0445
    """
    same_positive, same_negative = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    parts = (positive - 1) * (same_positive - auc**2) + (negative - 1) * (same_negative - auc**2)
    return (auc * (1 - auc) + parts) / (positive * negative)


def _defined(values: npt.ArrayLike) -> FloatArray:
    array = np.asarray(values, np.float64)
    return array[~np.isnan(array)]
