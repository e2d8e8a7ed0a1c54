"""Smallest true value that a t-test finds."""

from __future__ import annotations

import numpy as np
from scipy import optimize, special


def detectable_t(critical: float, df: float, power: float = 0.8) -> float:
    """Compute how many standard errors a true value must be from 0 for the absolute t to exceed a critical value with the stated power.

    Args:
        critical: Critical value of the absolute t, above 0.
        df: Degrees of freedom of the standard error.
        power: Between 0 and 1.

    >>> round(detectable_t(1.959964, 1e6), 3), round(detectable_t(2.776445, 4), 3)  # 1.960 + 0.842; Cohen (1988), ch. 2
    (2.802, 3.761)
    """

    def missing(shift: float) -> float:
        found = 1 - float(special.nctdtr(df, shift, critical)) if df < 1e5 else float(special.ndtr(shift - critical))
        return found - power

    return float(optimize.brentq(missing, 0.0, critical + 20.0 + 10 * critical / np.sqrt(df)))
