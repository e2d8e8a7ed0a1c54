"""Verdicts: what the interval and p-value of a difference show, in words."""

from __future__ import annotations

import math

from xrbench.metrics.metric import Better

BETTER, WORSE, CANNOT_TELL, DIFFERS = "better", "worse", "cannot tell", "differs"


def verdict(
    low: float,
    high: float,
    *,
    p: float,
    better: Better = "higher",
    margin: float = 0.0,
    level: float = 0.95,
    inner: tuple[float, float] | None = None,
) -> str:
    """Put a difference (b minus a) into words.

    In order: ``better`` (p below 1 - level and the interval above 0); ``worse`` when it lies beyond the margin;
    ``equivalent within m`` when the inner interval lies within the margin on both sides (two one-sided tests: Schuirmann
    1987, J Pharmacokinet Biopharm 15:657); ``not worse by more than m`` when the interval's low end does; ``worse`` when
    p is below 1 - level; else ``cannot tell``.

    Args:
        low: Lower end of the difference's interval at ``level``.
        high: Upper end.
        p: Two-sided p-value of no difference, adjusted for its family if it has one.
        better: Which direction of the metric is better.
        margin: Smallest difference that matters, in the metric's units, 0 or more; 0 asks for superiority only.
        level: Confidence level.
        inner: Interval at ``2 level - 1`` for equivalence (90 % for 95 %); None takes ``low, high``, which is stricter.

    >>> verdict(0.01, 0.05, p=0.003), verdict(-0.01, 0.05, p=0.2), verdict(-0.01, 0.05, p=0.2, margin=0.02)
    ('better', 'cannot tell', 'not worse by more than 0.02')
    >>> verdict(-0.01, 0.012, p=0.9, margin=0.02), verdict(-0.08, -0.04, p=0.0001, margin=0.02)
    ('equivalent within 0.02', 'worse')
    """
    if math.isnan(low) or math.isnan(high) or math.isnan(p):
        return CANNOT_TELL
    if better == "lower":
        low, high = -high, -low
        inner = None if inner is None else (-inner[1], -inner[0])
    inner = inner if inner is not None else (low, high)
    significant = p < 1 - level
    equivalent = margin > 0 and -margin < inner[0] and inner[1] < margin
    if better == "neither":
        return f"equivalent within {margin:g}" if equivalent else DIFFERS if significant else CANNOT_TELL
    if significant and low > 0:
        return BETTER
    if significant and high < -margin:
        return WORSE
    if equivalent:
        return f"equivalent within {margin:g}"
    if margin > 0 and low > -margin:
        return f"not worse by more than {margin:g}"
    return WORSE if significant and high < 0 else CANNOT_TELL
