"""What a reader should know before trusting an interval: where its kind is not known to hold."""

from __future__ import annotations

from xrbench.metrics.names import MetricSpec
from xrbench.statistics.kinds import ENOUGH, ENOUGH_FOR, PROPORTIONS, denominator_patients, patients_of
from xrbench.statistics.samples import Column


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


def few(one: Column, spec: MetricSpec, kind: str) -> str:
    """Say that a label has too few patients of a class, or behind a share, for a kind of interval; else nothing."""
    enough = enough_for(kind)
    counts = dict(zip(("positive", "negative"), patients_of(one), strict=True))
    if spec.base in PROPORTIONS:
        counts["called"] = denominator_patients(spec, one)
    for word, count in counts.items():
        if 0 < count < enough:
            found = f"{count} {word} patients" if word != "called" else f"{count} patients behind the share"
            return f"{found}: {kind} intervals are known to hold from {enough}"
    return ""
