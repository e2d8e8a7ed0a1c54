"""Cautions for readers of an interval: where its kind is not known to hold its level."""

from __future__ import annotations

from collections.abc import Sequence

from xrbench.metrics.names import MetricSpec
from xrbench.metrics.table import formula
from xrbench.statistics.intervals.interval_kinds import (
    ENOUGH,
    ENOUGH_FOR,
    denominator_patients,
)
from xrbench.statistics.resampling.jackknife import GROUPS
from xrbench.statistics.resampling.label_columns import LabelColumn

ENOUGH_TESTS = 100
"""Patients of each class from which the bootstrap's and DeLong's tests hold their level."""
ENOUGH_WRONG = 5
"""Patients of the commoner class that a model has to rank wrongly (their number times 1 - AUC), for a test not to be
conservative: below, 5 % tests of two AUCs of 0.95 reject 3.6 % of true null hypotheses."""

CHANCE_SHARE = 0.2
"""Share of a calibration error that chance may make alone; above it, 95 % intervals hold the true one in 0 to 93 %."""


def join_cautions(*cautions: str) -> str:
    """Join the cautions that are not empty.

    >>> join_cautions("", "few patients", "images taken as independent")
    'few patients; images taken as independent'
    """
    return "; ".join(caution for caution in cautions if caution)


def patients_needed(kind: str) -> int:
    """Return the patients of each class from which a kind of interval is known to hold (``tests/validation``).

    >>> patients_needed("default"), patients_needed("bootstrap")
    (20, 100)
    """
    return ENOUGH_FOR.get(kind, ENOUGH)


def count_patients(count: int, word: str = "") -> str:
    """Write a number of patients in words.

    >>> count_patients(1, "positive"), count_patients(2)
    ('1 positive patient', '2 patients')
    """
    return f"{count:,} {word + ' ' if word else ''}patient{'' if count == 1 else 's'}"


def zero_width(low: float, high: float) -> str:
    """Caution that an interval without width is no sign of certainty; else empty.

    >>> zero_width(0.5, 0.6), zero_width(1.0, 1.0)
    ('', 'no patient moves the figure: an interval without width says nothing about its uncertainty')
    """
    caution = "no patient moves the figure: an interval without width says nothing about its uncertainty"
    return caution if high - low < 1e-9 else ""


def groups_caution(patients: int) -> str:
    """Say that so many patients are left out in groups, as their metric has no form of its own; empty for 0.

    >>> groups_caution(5000)
    '5,000 patients left out in 1,024 groups'
    """
    return f"{patients:,} patients left out in {GROUPS:,} groups" if patients else ""


def few_for_tests(fewest: int, names: Sequence[str]) -> str:
    """Caution that tests other than the default one need more patients of the rarer class; else empty.

    >>> few_for_tests(50, ["p_bootstrap", "p_delong"])
    'p_bootstrap and p_delong: known to hold from 100 patients of each class'
    """
    few = names and fewest < ENOUGH_TESTS
    return f"{' and '.join(names)}: known to hold from {ENOUGH_TESTS} patients of each class" if few else ""


def conservative_test(most: int, auc: float) -> str:
    """Caution that tests of AUCs reject too rarely, as few patients of the commoner class are ranked wrongly; else empty.

    >>> conservative_test(300, 0.95), conservative_test(80, 0.95)
    ('', 'fewer than 5 patients are ranked wrongly: p-values are larger than they need be')
    """
    if most * (1 - auc) >= ENOUGH_WRONG:
        return ""
    return f"fewer than {ENOUGH_WRONG} patients are ranked wrongly: p-values are larger than they need be"


def calibration_bias(column: LabelColumn, spec: MetricSpec, value: float) -> str:
    """Caution that a calibration error is not much larger than chance alone makes it; else empty.

    It is a mean of distances, which chance can only lengthen: the interval then lies around a value that is too large.
    """
    if not spec.metric.chance or not len(column.rows.score):
        return ""
    by_chance = float(formula(spec.metric.chance)(column.rows.score))
    caution = f"biased upwards: perfectly calibrated probabilities would show about {by_chance:.2g} on so few images"
    return caution if by_chance > CHANCE_SHARE * value else ""


def few_patients(column: LabelColumn, spec: MetricSpec, kind: str) -> str:
    """Caution that a label has too few patients of a class, or behind a share, for a kind of interval; else empty."""
    enough = patients_needed(kind)
    positive, negative = column.class_patients()
    counts = [(positive, count_patients(positive, "positive")), (negative, count_patients(negative, "negative"))]
    if spec.metric.share_of:
        behind = denominator_patients(spec, column)
        counts.append((behind, f"{count_patients(behind)} behind the share"))
    for count, words in counts:
        if 0 < count < enough:
            return f"{words}: {kind} intervals are known to hold from {enough}"
    return ""
