"""Hypotheses of declared comparisons: superiority, non-inferiority, and equivalence within a margin.

Each question has a p-value of its own: of no difference (superiority), of being worse by the margin (non-inferiority; twice the
one-sided p, so that it is held against the same level), or of lying outside the margin (two one-sided tests: Schuirmann 1987, J
Pharmacokinet Biopharm 15:657). They come from the errors that the interval comes from. The p-values of all declared comparisons are
adjusted together, and a claim is shown when its adjusted p-value is below one minus the level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

from xrbench.metrics.metric import Better

SUPERIORITY, NON_INFERIORITY, EQUIVALENCE = "superiority", "non-inferiority", "equivalence"
SHOWN, NOT_SHOWN = "shown", "not shown"
ADJUSTMENTS: Mapping[str, str] = {"holm": "Holm", "bh": "Benjamini-Hochberg"}
"""Name of an adjustment -> how it is written."""


class Errors(Protocol):
    """Errors of a difference: of patients, or of trainings and patients."""

    @property
    def error(self) -> float:
        """Standard error."""

    def limits(self, significance: float) -> tuple[float, float]:
        """Compute the interval that leaves the probability ``significance`` in both tails together."""

    def p_above(self, bound: float) -> float:
        """Compute the one-sided p-value of the difference not being above a bound."""

    def p_below(self, bound: float) -> float:
        """Compute the one-sided p-value of the difference not being below a bound."""

    def detectable(self, significance: float, power: float = 0.8) -> float:
        """Compute the smallest true difference that is found."""


def claim(question: str, margin: float) -> str:
    """Write a declared hypothesis.

    >>> claim("non-inferiority", 0.02), claim("superiority", 0.0)
    ('non-inferiority, margin 0.02', 'superiority')
    """
    return question if question == SUPERIORITY else f"{question}, margin {margin:g}"


def p_of(question: str, errors: Errors | None, margin: float, *, p: float, better: Better) -> float:
    """Compute the p-value of a declared hypothesis.

    Args:
        question: ``superiority``, ``non-inferiority`` or ``equivalence``.
        errors: Of the difference b minus a; None where there are none.
        margin: Smallest difference that matters.
        p: Two-sided p-value of no difference.
        better: Direction of the metric; where neither is better, non-inferiority is asked as equivalence.

    Returns:
        0..1; NaN where there are no errors.

    >>> from xrbench.statistics.inference.crossed import Crossed
    >>> def normal(difference, error):
    ...     return Crossed(difference, 0.0, error**2, float("inf"), float("inf"))
    >>> p_of("superiority", normal(0.03, 0.01), 0.0, p=0.0027, better="higher")
    0.0027
    >>> round(p_of("non-inferiority", normal(-0.01, 0.01), 0.03, p=0.32, better="higher"), 4)  # z = 2, both tails
    0.0455
    >>> round(p_of("equivalence", normal(0.01, 0.01), 0.03, p=0.32, better="higher"), 4)  # z = 2, one tail
    0.0228
    """
    if question == SUPERIORITY:
        return p
    if errors is None:
        return math.nan
    low_cleared, high_cleared = errors.p_above(-margin), errors.p_below(margin)
    if question == EQUIVALENCE or better == "neither":
        return max(low_cleared, high_cleared)
    return min(1.0, 2 * (high_cleared if better == "lower" else low_cleared))


def answer(question: str, difference: float, *, p_adjusted: float, better: Better, level: float) -> str:
    """Say whether a declared claim is shown.

    Args:
        question: As declared.
        difference: b minus a.
        p_adjusted: P-value of the question, adjusted for its family.
        better: Direction of the metric.
        level: Confidence level.

    >>> answer("non-inferiority", -0.005, p_adjusted=0.01, better="higher", level=0.95)
    'shown'
    >>> answer("superiority", -0.02, p_adjusted=0.01, better="higher", level=0.95)
    'not shown'
    """
    if math.isnan(difference) or not p_adjusted < 1 - level:
        return NOT_SHOWN
    gained = -difference if better == "lower" else difference
    return SHOWN if question != SUPERIORITY or better == "neither" or gained > 0 else NOT_SHOWN
