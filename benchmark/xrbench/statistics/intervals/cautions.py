"""What a reader should know before trusting an interval: where its kind is not known to hold."""

from __future__ import annotations

from collections.abc import Sequence

from xrbench.metrics.names import MetricSpec
from xrbench.metrics.table import formula
from xrbench.statistics.intervals.interval_kinds import (
    ENOUGH,
    ENOUGH_FOR,
    denominator_patients,
    patients_of,
)
from xrbench.statistics.resampling.label_columns import Column

ENOUGH_TESTS = 100
"""Patients of each class from which the tests beside the default one err as often as they say."""
ENOUGH_WRONG = 5
"""Patients of the commoner class that a model has to rank wrongly (their number times 1 - AUC), for a test not to err on the
safe side: below, 5 % tests of two AUCs of 0.95 reject 3.6 % of true null hypotheses."""

CHANCE_SHARE = 0.2
"""Share of a calibration error that chance may make alone; above it, 95 % intervals hold the true one in 0 to 93 %."""


def joined(*words: str) -> str:
    """Put cautions one behind the other.

    >>> joined("", "few patients", "images taken as independent")
    'few patients; images taken as independent'
    """
    return "; ".join(word for word in words if word)


def enough_for(kind: str) -> int:
    """Give the patients of each class from which a kind of interval is known to hold (``tests/validation``).

    >>> enough_for("default"), enough_for("bootstrap")
    (20, 100)
    """
    return ENOUGH_FOR.get(kind, ENOUGH)


def patients(count: int, word: str = "") -> str:
    """Count patients in words.

    >>> patients(1, "positive"), patients(2)
    ('1 positive patient', '2 patients')
    """
    return f"{count:,} {word + ' ' if word else ''}patient{'' if count == 1 else 's'}"


def of_point(low: float, high: float) -> str:
    """Say that an interval without width is no sign of certainty; else nothing.

    >>> of_point(0.5, 0.6), of_point(1.0, 1.0)
    ('', 'no patient moves the figure: an interval without width says nothing about its uncertainty')
    """
    words = "no patient moves the figure: an interval without width says nothing about its uncertainty"
    return words if high - low < 1e-9 else ""


def beside(fewest: int, names: Sequence[str]) -> str:
    """Say that tests beside the default one need more patients of the rarer class; else nothing.

    >>> beside(50, ["p_bootstrap", "p_delong"])
    'p_bootstrap and p_delong: known to hold from 100 patients of each class'
    """
    short = names and fewest < ENOUGH_TESTS
    return f"{' and '.join(names)}: known to hold from {ENOUGH_TESTS} patients of each class" if short else ""


def safe_side(most: int, auc: float) -> str:
    """Say that tests of AUCs reject too rarely, as few of the commoner class's patients are ranked wrongly; else nothing.

    >>> safe_side(300, 0.95), safe_side(80, 0.95)
    ('', 'fewer than 5 patients are ranked wrongly: p-values are larger than they need be')
    """
    short = most * (1 - auc) < ENOUGH_WRONG
    return (
        f"fewer than {ENOUGH_WRONG} patients are ranked wrongly: p-values are larger than they need be" if short else ""
    )


def of_bias(one: Column, spec: MetricSpec, value: float) -> str:
    """Say that a calibration error is not much larger than chance alone makes it; else nothing.

    It is a mean of distances, which chance can only lengthen: the interval then lies around too large a figure.
    """
    if not spec.metric.chance or not len(one.rows.score):
        return ""
    alone = float(formula(spec.metric.chance)(one.rows.score))
    words = f"biased upwards: perfectly calibrated probabilities would show about {alone:.2g} on so few images"
    return words if alone > CHANCE_SHARE * value else ""


def few(one: Column, spec: MetricSpec, kind: str) -> str:
    """Say that a label has too few patients of a class, or behind a share, for a kind of interval; else nothing."""
    enough = enough_for(kind)
    counts = dict(zip(("positive", "negative"), patients_of(one), strict=True))
    if spec.metric.share_of:
        counts["called"] = denominator_patients(spec, one)
    for word, count in counts.items():
        if 0 < count < enough:
            found = patients(count, word) if word != "called" else f"{patients(count)} behind the share"
            return f"{found}: {kind} intervals are known to hold from {enough}"
    return ""
