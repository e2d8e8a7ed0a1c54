"""What a metric is called in a card, and what the name means.

A name is a base, and for figures of a decision the operating point behind an ``@``: ``auc``, ``recall@threshold=0.5``,
``recall@specificity=0.9`` (the threshold comes from the validation set), ``ppv@sensitivity=0.9,prevalence=0.02``.

Of exclusive classes the predicted class is the decision, so no name has an operating point: ``accuracy``, ``macro-recall`` (one
figure over all classes), ``class-recall`` (one a class), and the rank and probability figures of each class against the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from xrbench.errors import UnknownNameError, UsageError, suggestion
from xrbench.metrics.crosstables import OF_ALL, OF_EACH

Family = Literal["rank", "decision", "probability"]
Better = Literal["higher", "lower", "neither"]

FAMILIES: Mapping[str, tuple[Family, Better]] = MappingProxyType(
    {
        "auc": ("rank", "higher"),
        "average-precision": ("rank", "higher"),
        "recall": ("decision", "higher"),
        "specificity": ("decision", "higher"),
        "ppv": ("decision", "higher"),
        "npv": ("decision", "higher"),
        "f1": ("decision", "higher"),
        "accuracy": ("decision", "higher"),
        "macro-recall": ("decision", "higher"),
        "alarms-per-1000": ("decision", "neither"),
        "net-benefit": ("decision", "higher"),
        "brier": ("probability", "lower"),
        "expected-calibration-error": ("probability", "lower"),
        "calibration-slope": ("probability", "neither"),
        "calibration-intercept": ("probability", "neither"),
    }
)
"""Base name -> what it looks at, and which direction is better."""

OTHER_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "auroc": "auc",
        "roc-auc": "auc",
        "ap": "average-precision",
        "auprc": "average-precision",
        "sensitivity": "recall",
        "tpr": "recall",
        "tnr": "specificity",
        "precision": "ppv",
        "balanced-accuracy": "macro-recall",
        "ece": "expected-calibration-error",
    }
)
"""Words of other programs, so that the message can name ours."""

CLASS_FAMILIES: Mapping[str, tuple[Family, Better]] = MappingProxyType(
    {
        **dict.fromkeys((*OF_ALL, *OF_EACH), ("decision", "higher")),
        **{name: kind for name, kind in FAMILIES.items() if kind[0] != "decision"},
    }
)
"""The same for exclusive classes: of the predicted class over all classes or in each, and of each class against the rest."""

CLASS_WORDS: Mapping[str, str] = MappingProxyType(
    {
        **{word: name for word, name in OTHER_WORDS.items() if name in CLASS_FAMILIES},
        "macro-auc": "auc",
        "recall": "class-recall",
        "sensitivity": "class-recall",
        "tpr": "class-recall",
        "precision": "class-precision",
        "ppv": "class-precision",
        "f1": "class-f1",
        "micro-f1": "accuracy",
        "weighted-accuracy": "macro-recall",
    }
)
"""Words of other programs and of single labels, so that the message can name ours."""

_CONDITIONS = ("threshold", "sensitivity", "specificity")


@dataclass(frozen=True)
class MetricSpec:
    """One metric with its operating point.

    Attributes:
        name: The name as it stands in cards and tables.
        base: The part before ``@``, a key of ``FAMILIES``.
        family: ``rank`` (order of scores), ``decision`` (a threshold), ``probability`` (scores within 0..1).
        better: Whether ``higher`` or ``lower`` is better, or ``neither``.
        condition: For a decision ``threshold``, ``sensitivity`` or ``specificity``; else empty.
        target: The number behind the condition; NaN without one.
        prevalence: Stated prevalence of ``ppv`` and ``npv``; None takes that of the data.
    """

    name: str
    base: str
    family: Family
    better: Better
    condition: str = ""
    target: float = float("nan")
    prevalence: float | None = None

    @property
    def from_validation(self) -> bool:
        """Whether the threshold has to be chosen on the validation set."""
        return self.condition in ("sensitivity", "specificity")


def parse(name: str) -> MetricSpec:
    """Read a metric's name.

    Raises:
        UnknownNameError: No metric of that name; the nearest one is offered.
        UsageError: The operating point is missing, out of place, or out of range.

    >>> parse("recall@specificity=0.9").condition
    'specificity'
    >>> parse("auroc")
    Traceback (most recent call last):
        ...
    xrbench.errors.UsageError: unknown metric 'auroc'; did you mean 'auc'?
    """
    base, at, text = name.partition("@")
    if base in OTHER_WORDS:
        raise UsageError(f"unknown metric {base!r}; did you mean {OTHER_WORDS[base]!r}?")
    if base not in FAMILIES:
        raise UnknownNameError("metric", base, FAMILIES)
    family, better = FAMILIES[base]
    if family != "decision":
        if at:
            raise UsageError(f"metric {name!r}: {base} has no operating point; write {base!r}")
        return MetricSpec(name, base, family, better)
    values = _options(name, base, text)
    prevalence = values.pop("prevalence", None)
    if len(values) != 1:
        raise UsageError(f"metric {name!r}: wanted one operating point, such as '{base}@specificity=0.9'")
    condition, target = next(iter(values.items()))
    _check_ranges(name, base, condition, target, prevalence)
    return MetricSpec(name, base, family, better, condition, target, prevalence)


def parse_classes(name: str) -> MetricSpec:
    """Read the name of a metric of exclusive classes.

    Names of ``crosstables.OF_ALL`` are figures over all classes, those of ``crosstables.OF_EACH`` have one figure a class; the
    others are those of each class against the rest and of the mean over classes.

    Raises:
        UnknownNameError: No metric of that name; the nearest one is offered.
        UsageError: It has an operating point, which the predicted class leaves no room for.

    >>> parse_classes("macro-f1").better, parse_classes("auc").family
    ('higher', 'rank')
    >>> parse_classes("f1")
    Traceback (most recent call last):
        ...
    xrbench.errors.UsageError: unknown metric 'f1' of exclusive classes; did you mean 'class-f1'?
    """
    base, at, _ = name.partition("@")
    meant = base if base in CLASS_FAMILIES else CLASS_WORDS.get(base, "")
    if at and meant:
        raise UsageError(f"metric {name!r}: the predicted class leaves no room for an operating point; write {meant!r}")
    if base not in CLASS_FAMILIES:
        if meant:
            raise UsageError(f"unknown metric {base!r} of exclusive classes; did you mean {meant!r}?")
        raise UnknownNameError("metric of exclusive classes", base, CLASS_FAMILIES)
    return MetricSpec(name, base, *CLASS_FAMILIES[base])


def _options(name: str, base: str, text: str) -> dict[str, float]:
    accepted = (*_CONDITIONS, "prevalence") if base in ("ppv", "npv") else _CONDITIONS
    values: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        key, _, number = part.partition("=")
        if key not in accepted:
            raise UsageError(f"metric {name!r}: {base} has no option {key!r}{suggestion(key, accepted)}")
        if key in values:
            raise UsageError(f"metric {name!r}: {key} is given twice")
        try:
            values[key] = float(number)
        except ValueError as error:
            raise UsageError(f"metric {name!r}: {key} wants a number, not {number!r}") from error
    return values


def _check_ranges(name: str, base: str, condition: str, target: float, prevalence: float | None) -> None:
    if base == "net-benefit" and (condition != "threshold" or not 0 <= target < 1):
        raise UsageError(
            f"metric {name!r}: net benefit wants a threshold probability, such as 'net-benefit@threshold=0.1'"
        )
    if condition != "threshold" and not 0 < target <= 1:
        raise UsageError(f"metric {name!r}: {condition} {target} is outside 0..1")
    if target != target:
        raise UsageError(f"metric {name!r}: {condition} is not a number")
    if prevalence is not None and not 0 < prevalence < 1:
        raise UsageError(f"metric {name!r}: prevalence {prevalence} is not between 0 and 1")
