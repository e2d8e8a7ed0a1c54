"""Numbers as text: decimals, intervals, differences, p-values, counts; the same in every table, page and terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

MISSING = "–"
"""Text of what was not measured."""

UNDEFINED = "n/a"
"""Text of what was measured but has no value, such as an AUC with one class."""


def number(value: float, digits: int = 2) -> str:
    """Write a number with fixed decimals.

    >>> number(0.8547), number(float("nan"))
    ('0.85', 'n/a')
    """
    return UNDEFINED if math.isnan(value) else f"{value:.{digits}f}"


def interval(low: float, high: float, digits: int = 2) -> str:
    """Write an interval in parentheses, or nothing where it is not known.

    >>> interval(0.81, 0.89), interval(float("nan"), 0.89)
    ('(0.81-0.89)', '')
    """
    return "" if math.isnan(low) or math.isnan(high) else f"({low:.{digits}f}-{high:.{digits}f})"


def with_interval(value: float, low: float, high: float, digits: int = 2) -> str:
    """Write a number followed by its interval where that is known.

    >>> with_interval(0.8547, 0.81, 0.89), with_interval(0.8547, float("nan"), float("nan")), with_interval(float("nan"), 0, 1)
    ('0.85 (0.81-0.89)', '0.85', 'n/a')
    """
    return UNDEFINED if math.isnan(value) else f"{number(value, digits)} {interval(low, high, digits)}".rstrip()


def signed(value: float, digits: int = 3) -> str:
    """Write a difference with its sign; what rounds to 0 is +0.

    >>> signed(0.0312), signed(-0.061), signed(-0.0001, 2), signed(float("nan"))
    ('+0.031', '-0.061', '+0.00', 'n/a')
    """
    return UNDEFINED if math.isnan(value) else f"{round(value, digits) + 0.0:+.{digits}f}"


def signed_interval(low: float, high: float, digits: int = 3) -> str:
    """Write the interval of a difference.

    >>> signed_interval(0.012, 0.049), signed_interval(float("nan"), 0.049)
    ('+0.012 … +0.049', 'n/a')
    """
    return UNDEFINED if math.isnan(low) or math.isnan(high) else f"{signed(low, digits)} … {signed(high, digits)}"


def signed_with_interval(value: float, low: float, high: float, digits: int = 3) -> str:
    """Write a difference followed by its interval where that is known.

    >>> signed_with_interval(-0.061, -0.083, -0.040), signed_with_interval(-0.061, float("nan"), float("nan"))
    ('-0.061 (-0.083 … -0.040)', '-0.061')
    """
    known = not (math.isnan(low) or math.isnan(high))
    return signed(value, digits) + (f" ({signed_interval(low, high, digits)})" if known else "")


def mean_sd(values: Sequence[float], digits: int = 2) -> str:
    """Write the mean and the sample standard deviation (ddof = 1) of unrounded values; one value has no deviation.

    >>> mean_sd([0.90, 0.92, 0.94]), mean_sd([0.9]), mean_sd([]) == MISSING
    ('0.92 ± 0.02', '0.90', True)
    """
    if not len(values):
        return MISSING
    mean = number(float(np.mean(values)), digits)
    return mean if len(values) == 1 else f"{mean} ± {float(np.std(values, ddof=1)):.{digits}f}"


def p_text(p: float) -> str:
    """Write a p-value with two significant digits, or that it is below 0.001.

    >>> p_text(0.0042), p_text(0.811), p_text(0.00001), p_text(1.0)
    ('0.0042', '0.81', '<0.001', '1')
    """
    if math.isnan(p):
        return UNDEFINED
    return "<0.001" if p < 0.001 else f"{p:.2g}"


def count(value: float | None) -> str:
    """Write a whole number with grouped thousands.

    >>> count(27520), count(1204.0), count(float("nan")) == count(None) == MISSING
    ('27,520', '1,204', True)
    """
    return MISSING if value is None or math.isnan(value) else f"{value:,.0f}"


def plural(value: int, noun: str) -> str:
    """Write a number of things.

    >>> plural(1, "comparison"), plural(1200, "comparison")
    ('1 comparison', '1,200 comparisons')
    """
    return f"{value:,} {noun}{'' if value == 1 else 's'}"
