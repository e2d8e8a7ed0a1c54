"""How figures are written: decimals, intervals, signs, a mean with its deviation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

MISSING = "–"
"""What stands where nothing was measured."""

UNDEFINED = "n/a"
"""What stands where something was measured but has no value, such as an AUC with one class."""


def number(value: float, digits: int = 2) -> str:
    """Write a figure with fixed decimals.

    >>> number(0.8547), number(float("nan"))
    ('0.85', 'n/a')
    """
    return UNDEFINED if math.isnan(value) else f"{value:.{digits}f}"


def signed(value: float, digits: int = 2) -> str:
    """Write a difference with its sign; what rounds to nothing is +0.

    >>> signed(0.031, 3), signed(-0.061, 3), signed(-0.0001, 2)
    ('+0.031', '-0.061', '+0.00')
    """
    return UNDEFINED if math.isnan(value) else f"{round(value, digits) + 0.0:+.{digits}f}"


def interval(low: float, high: float, digits: int = 2) -> str:
    """Write an interval in parentheses, or nothing where it is not known.

    >>> interval(0.81, 0.89), interval(float("nan"), 0.89)
    ('(0.81-0.89)', '')
    """
    return "" if math.isnan(low) or math.isnan(high) else f"({low:.{digits}f}-{high:.{digits}f})"


def mean_sd(values: Sequence[float], digits: int = 2) -> str:
    """Write the mean and the sample standard deviation (ddof = 1) of unrounded values; one value has no deviation.

    >>> mean_sd([0.90, 0.92, 0.94]), mean_sd([0.9]), mean_sd([]) == MISSING
    ('0.92 ± 0.02', '0.90', True)
    """
    if not len(values):
        return MISSING
    mean = number(float(np.mean(values)), digits)
    return mean if len(values) == 1 else f"{mean} ± {float(np.std(values, ddof=1)):.{digits}f}"


def count(value: float) -> str:
    """Write a number of things with grouped thousands.

    >>> count(27520), count(float("nan")) == MISSING
    ('27,520', True)
    """
    return MISSING if math.isnan(value) else f"{int(value):,}"


def metric_title(metric: str) -> str:
    """Write a metric's name as a heading.

    >>> metric_title("auc"), metric_title("recall@specificity=0.9")
    ('AUC', 'recall at specificity 0.9')
    """
    titles = {"auc": "AUC", "average-precision": "average precision"}
    return titles.get(metric, metric.replace("@", " at ").replace("=", " ").replace("-", " "))
