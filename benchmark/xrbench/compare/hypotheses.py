"""Hypotheses of declared comparisons: superiority, non-inferiority, and equivalence within a margin.

Each question has a p-value of its own: of no difference (superiority), of being worse by the margin (non-inferiority; twice the
one-sided p, so that it is held against the same level), or of lying outside the margin (two one-sided tests: Schuirmann 1987, J
Pharmacokinet Biopharm 15:657). The p-values of all declared comparisons are adjusted together. A claim is shown when its adjusted
p-value is below one minus the level and the interval says the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from scipy import special

from xrbench.metrics.metric import Better

SUPERIORITY, NON_INFERIORITY, EQUIVALENCE = "superiority", "non-inferiority", "equivalence"
SHOWN, NOT_SHOWN = "shown", "not shown"
ADJUSTMENTS: Mapping[str, str] = {"holm": "Holm", "bh": "Benjamini-Hochberg"}
"""Name of an adjustment -> how it is written."""


def claim(question: str, margin: float) -> str:
    """Write a declared hypothesis.

    >>> claim("non-inferiority", 0.02), claim("superiority", 0.0)
    ('non-inferiority, margin 0.02', 'superiority')
    """
    return question if question == SUPERIORITY else f"{question}, margin {margin:g}"


def p_of(question: str, difference: float, error: float, margin: float, *, p: float, better: Better) -> float:
    """Compute the p-value of a declared hypothesis.

    Args:
        question: ``superiority``, ``non-inferiority`` or ``equivalence``.
        difference: b minus a.
        error: Its standard error, 0 or more.
        margin: Smallest difference that matters.
        p: Two-sided p-value of no difference.
        better: Direction of the metric; where neither is better, non-inferiority is asked as equivalence.

    Returns:
        0..1; NaN where there is no difference or no error.

    >>> p_of("superiority", 0.03, 0.01, 0.0, p=0.0027, better="higher")
    0.0027
    >>> round(p_of("non-inferiority", -0.01, 0.01, 0.03, p=0.32, better="higher"), 4)  # z = 2, both tails
    0.0455
    >>> round(p_of("equivalence", 0.01, 0.01, 0.03, p=0.32, better="higher"), 4)  # z = 2, one tail
    0.0228
    """
    if question == SUPERIORITY:
        return p
    if math.isnan(difference) or math.isnan(error):
        return math.nan
    gained = -difference if better == "lower" else difference
    above, below = _beyond(gained + margin, error), _beyond(margin - gained, error)
    if question == EQUIVALENCE or better == "neither":
        return max(above, below)
    return min(1.0, 2 * above)


def answer(
    question: str, low: float, high: float, margin: float, *, p_adjusted: float, better: Better, level: float
) -> str:
    """Say whether a declared claim is shown.

    Args:
        question: As declared.
        low: Lower end of the difference's interval.
        high: Upper end.
        margin: Smallest difference that matters.
        p_adjusted: P-value of the question, adjusted for its family.
        better: Direction of the metric.
        level: Confidence level.

    >>> answer("non-inferiority", -0.015, 0.03, 0.02, p_adjusted=0.01, better="higher", level=0.95)
    'shown'
    >>> answer("superiority", -0.015, 0.03, 0.0, p_adjusted=0.3, better="higher", level=0.95)
    'not shown'
    """
    if math.isnan(low) or math.isnan(high) or math.isnan(p_adjusted):
        return NOT_SHOWN
    low, high = (-high, -low) if better == "lower" else (low, high)
    if question == SUPERIORITY:
        shown = (low > 0 or high < 0) if better == "neither" else low > 0
    elif question == NON_INFERIORITY and better != "neither":
        shown = low > -margin
    else:
        shown = -margin < low and high < margin
    return SHOWN if shown and p_adjusted < 1 - level else NOT_SHOWN


def _beyond(distance: float, error: float) -> float:
    """Compute the chance of an estimate so far on the right side of a border if the truth were on the border."""
    if error == 0:
        return 0.0 if distance > 0 else 1.0
    return float(special.ndtr(-distance / error))
