"""How scores are judged: intervals, declared comparisons, and further analyses of the predictions."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import msgspec

from xrbench.cards.base import Blank, NonNegativeFloat, OpenShare, Positive, Share, Uncertain
from xrbench.errors import CardError

TARGETS = ("sensitivity", "specificity")
OWN_POLICY = "own policy"
"""Name of the suite's own label policy in tables."""


class Interval(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Confidence intervals of the scores.

    Attributes:
        kind: ``default`` takes the kind with the right coverage for each metric (``jackknife``, or ``wilson`` for proportions);
            or ``bootstrap`` (percentile), ``bca``, ``stratified``, ``delong``, ``delong-plain``. A kind that does not apply to a
            metric is replaced by the default.
        unit: What is resampled: ``patient`` or ``image``.
        replicates: Number of bootstrap replicates.
        level: Confidence level, between 0 and 1.
    """

    kind: str = "default"
    unit: Literal["patient", "image"] = "patient"
    replicates: Positive = 1000
    level: OpenShare = 0.95


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A comparison of two methods that is declared before the run.

    Attributes:
        challenger, baseline: Methods.
        metric: Name of the metric.
        margin: The smallest difference that matters, 0 or more; with one, the verdict may be "not worse by more than" or
            "equivalent".
        question: The declared claim; ``non-inferiority`` and ``equivalence`` need a margin.
    """

    challenger: str
    baseline: str
    metric: str = "auc"
    margin: NonNegativeFloat = 0.0
    question: Literal["superiority", "non-inferiority", "equivalence"] = "superiority"

    def check(self, where: str) -> None:
        """Refuse a claim of non-inferiority or equivalence without the difference that would matter.

        Raises:
            CardError: The question needs a margin and there is none.
        """
        if self.question != "superiority" and not self.margin > 0:
            raise CardError(
                f"{where}.margin: the question {self.question!r} wants a margin above 0: the smallest difference that matters"
            )


class SubgroupRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Subgroups of patients that are judged separately.

    Attributes:
        column: A column of the predictions: ``sex``, ``age``, ``view``, ``dataset`` or any other that the data have.
        bands: Lower edges of the bands of a numeric column, increasing; empty for a categorical column.
        minimum: Groups with fewer patients are suppressed.
        metrics: Metrics; the suite's first when empty.
    """

    column: str
    bands: tuple[float, ...] = ()
    minimum: Annotated[int, msgspec.Meta(ge=1)] = 20
    metrics: tuple[str, ...] = ()

    def check(self, where: str) -> None:
        """Refuse bands that are not whole numbers above 0, each larger than the one before.

        Raises:
            CardError: The message lists the bands.
        """
        if any(edge <= 0 or edge != int(edge) for edge in self.bands) or any(a >= b for a, b in pairwise(self.bands)):
            listed = ", ".join(f"{edge:g}" for edge in self.bands)
            raise CardError(f"{where}.bands: expected rising whole numbers above 0, where bands begin; got {listed}")


class PolicyRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another policy for uncertain and blank labels, under which the same predictions are judged again.

    Attributes:
        name: Name in tables.
        uncertain, blank: As in the suite.
    """

    name: str
    uncertain: Uncertain | dict[str, Uncertain] = "ignore"
    blank: Blank | dict[str, Blank] = "ignore"


class Analyses(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Analyses of the predictions beyond the scores.

    Attributes:
        operating: Targets such as ``sensitivity=0.9``: a threshold fixed on validation, carried to every test set.
        prevalences: Prevalences, between 0 and 1, at which predictive values are also given.
        decision_thresholds: Threshold probabilities of the decision curve, from 0 to below 1; empty for none.
        subgroups: Subgroups that are judged separately.
        policies: Further label policies.
        across: Analyses over seeds and settings: ``seeds`` (two-level intervals), ``ranks`` (Friedman, Nemenyi), ``signed-rank``
            (Wilcoxon), ``variance`` (parts by seed, setting, test domain, method), ``matrix`` (train x test domains), ``hospitals``
            (what to expect at a next one).
        case_mix: Columns of the predictions, such as ``age``, ``sex`` and ``view``, and ``findings`` for the other labels: how much of each
            gap of the AUC they explain; empty for none.
    """

    operating: tuple[str, ...] = ()
    prevalences: tuple[OpenShare, ...] = ()
    decision_thresholds: tuple[Share, ...] = ()
    subgroups: tuple[SubgroupRule, ...] = ()
    policies: tuple[PolicyRule, ...] = ()
    across: tuple[Literal["seeds", "ranks", "signed-rank", "variance", "matrix", "hospitals"], ...] = ()
    case_mix: tuple[str, ...] = ()

    def check(self, where: str) -> None:
        """Refuse targets that cannot be met, bands that do not rise and policies with the same name.

        Raises:
            CardError: One of them; the message names the field.
        """
        for number, target in enumerate(self.operating):
            _check_target(target, f"{where}.operating[{number}]")
        for number, rule in enumerate(self.subgroups):
            rule.check(f"{where}.subgroups[{number}]")
        names = [rule.name for rule in self.policies]
        for number, name in enumerate(names):
            if name == OWN_POLICY:
                raise CardError(f"{where}.policies[{number}].name: {name!r} is what the suite's own policy is called")
            if names.count(name) > 1:
                raise CardError(f"{where}.policies[{number}].name: {name!r} stands twice")


def _check_target(target: str, where: str) -> None:
    condition, _, share = target.partition("=")
    try:
        valid = condition in TARGETS and 0 < float(share) <= 1
    except ValueError:
        valid = False
    if not valid:
        raise CardError(f"{where}: expected sensitivity=SHARE or specificity=SHARE with 0 < SHARE <= 1, got {target!r}")
