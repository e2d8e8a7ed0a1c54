"""Power: the smallest difference that data can show, and the methods that cannot be told from the best."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import special

from xrbench.errors import UsageError
from xrbench.statistics.intervals.formulas import hanley_mcneil


def smallest_detectable(error: float, *, power: float = 0.8, significance: float = 0.05) -> float:
    """Compute the smallest true difference that a two-sided z-test finds with the stated power.

    Args:
        error: Standard error of the difference, 0 or more.
        power: Chance of finding it, between 0 and 1.
        significance: Two-sided level of the test.

    Returns:
        ``(z[1 - significance / 2] + z[power]) * error``; Cohen (1988), ch. 2.

    >>> round(smallest_detectable(0.01), 4)  # (1.960 + 0.842) x 0.01
    0.028
    """
    return float(special.ndtri(1 - significance / 2) + special.ndtri(power)) * error


def detectable_from_counts(
    positive: float, negative: float, *, auc: float = 0.8, correlation: float = 0.5, power: float = 0.8
) -> float:
    """Compute the smallest detectable difference of two AUCs before any model is run, from the counts alone.

    The error of each AUC is Hanley & McNeil's (1982, Radiology 143:29), that of their difference allows for both models seeing
    the same patients (Hanley & McNeil 1983, Radiology 148:839).

    Args:
        positive: Independent positives: patients, not images.
        negative: Independent negatives.
        auc: The AUC that is expected of both.
        correlation: Between the two AUC estimates, below 1; 0.3 to 0.7 is common for networks on the same images.
        power: Chance of finding it.

    Raises:
        UsageError: A value is out of range.

    >>> round(detectable_from_counts(50, 50, auc=0.8, correlation=0.0), 3)  # 2.8016 x 2 ** 0.5 x 0.0445
    0.176
    """
    if not (positive >= 1 and negative >= 1 and 0 < auc < 1 and -1 <= correlation < 1):
        raise UsageError("power wants counts of at least 1, an AUC between 0 and 1 and a correlation below 1")
    error = np.sqrt(2 * (1 - correlation) * hanley_mcneil(auc, positive, negative))
    return smallest_detectable(float(error), power=power)


def leaders(
    values: Mapping[str, float], detectable: Mapping[tuple[str, str], float] | float, *, lower_is_better: bool = False
) -> frozenset[str]:
    """Name the methods that share the mark of the best: those that cannot be distinguished from the highest value.

    Args:
        values: Method -> figure; NaN takes no part.
        detectable: Smallest detectable difference, of each pair in either order or one for all. A pair without one, or with
            NaN, cannot be distinguished.
        lower_is_better: Whether the lowest figure leads.

    Returns:
        The leaders; when these are all methods, nothing deserves a mark.

    >>> sorted(leaders({"a": 0.80, "b": 0.79, "c": 0.70}, 0.02))
    ['a', 'b']
    """
    known = {name: -value if lower_is_better else value for name, value in values.items() if not np.isnan(value)}
    if not known:
        return frozenset()
    top = max(known, key=lambda name: known[name])

    def distance(name: str) -> float:
        if not isinstance(detectable, Mapping):
            return detectable
        difference = detectable.get((top, name), detectable.get((name, top), float("nan")))
        return float("inf") if np.isnan(difference) else difference

    return frozenset(name for name, value in known.items() if name == top or known[top] - value < distance(name))
