"""How figures are judged: intervals, declared comparisons, and what else is concluded from the predictions."""

from __future__ import annotations

from typing import Literal

import msgspec

from xrbench.cards.base import Blank, Uncertain


class Interval(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How uncertain a figure is said to be.

    Attributes:
        kind: ``default`` takes the kind that holds its level for each metric (``jackknife``, or ``wilson`` for proportions); or
            ``bootstrap`` percentile, ``bca``, ``stratified``, ``delong``, ``delong-plain``. One that does not apply to a metric
            gives way to the default.
        unit: What is resampled: ``patient`` or ``image``.
        replicates: Bootstrap replicates.
        level: Confidence level, between 0 and 1.
    """

    kind: Literal["default", "jackknife", "bootstrap", "bca", "stratified", "delong", "delong-plain", "wilson"] = (
        "default"
    )
    unit: Literal["patient", "image"] = "patient"
    replicates: int = 1000
    level: float = 0.95


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A test that is decided before the run: is the challenger better than the baseline?

    Attributes:
        challenger, baseline: Methods.
        metric: What is compared.
        margin: The smallest difference that matters: with one, the verdict may be "not worse by more than" or "equivalent".
        question: What the declared claim is: ``superiority``, ``non-inferiority`` or ``equivalence``; the latter two want a margin.
    """

    challenger: str
    baseline: str
    metric: str = "auc"
    margin: float = 0.0
    question: Literal["superiority", "non-inferiority", "equivalence"] = "superiority"


class SubgroupRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Parts of the patients that are judged by themselves.

    Attributes:
        column: A column of the predictions: ``sex``, ``age``, ``view``, ``dataset`` or any other that the data have.
        bands: Where bands of a number begin, rising; empty for columns of words.
        minimum: Groups with fewer patients are suppressed.
        metrics: Metrics; the suite's first when empty.
    """

    column: str
    bands: tuple[float, ...] = ()
    minimum: int = 20
    metrics: tuple[str, ...] = ()


class PolicyRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another reading of uncertain and blank labels, under which the same predictions are judged again."""

    name: str
    uncertain: Uncertain | dict[str, Uncertain] = "ignore"
    blank: Blank | dict[str, Blank] = "ignore"


class Judgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is concluded beyond the scores.

    Attributes:
        operating: Targets such as ``sensitivity=0.9``: a threshold fixed on validation, carried to every test set.
        prevalences: Prevalences at which predictive values are also stated.
        decision_thresholds: Threshold probabilities of the decision curve; empty for none.
        subgroups, policies: See there.
        across: Analyses over seeds and settings: ``seeds`` (two-level intervals), ``ranks`` (Friedman, Nemenyi), ``signed-rank``
            (Wilcoxon), ``variance`` (parts by seed, setting, test domain, method), ``matrix`` (train x test domains).
    """

    operating: tuple[str, ...] = ()
    prevalences: tuple[float, ...] = ()
    decision_thresholds: tuple[float, ...] = ()
    subgroups: tuple[SubgroupRule, ...] = ()
    policies: tuple[PolicyRule, ...] = ()
    across: tuple[Literal["seeds", "ranks", "signed-rank", "variance", "matrix"], ...] = ()
