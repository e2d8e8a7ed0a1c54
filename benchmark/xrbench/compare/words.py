"""How differences are written: with a sign, an interval, a p-value."""

from __future__ import annotations

import math


def signed(value: float, digits: int = 3) -> str:
    """Write a difference with its sign.

    >>> signed(0.0312), signed(-0.061), signed(float("nan"))
    ('+0.031', '-0.061', 'n/a')
    """
    return "n/a" if math.isnan(value) else f"{round(value, digits) + 0.0:+.{digits}f}"


def between(low: float, high: float, digits: int = 3) -> str:
    """Write the interval of a difference.

    >>> between(0.012, 0.049)
    '+0.012 … +0.049'
    """
    return "n/a" if math.isnan(low) or math.isnan(high) else f"{signed(low, digits)} … {signed(high, digits)}"


def with_interval(value: float, low: float, high: float) -> str:
    """Write a difference and its interval.

    >>> with_interval(-0.061, -0.083, -0.040)
    '-0.061 (-0.083 … -0.040)'
    """
    return f"{signed(value)} ({between(low, high)})"


def p_text(p: float) -> str:
    """Write a p-value with two digits that say something.

    >>> p_text(0.0042), p_text(0.811), p_text(0.00001), p_text(1.0)
    ('0.0042', '0.81', '<0.001', '1')
    """
    if math.isnan(p):
        return "n/a"
    return "<0.001" if p < 0.001 else f"{p:.2g}"
