"""What is said of a metric: the type of the rows in ``metrics.table``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["rank", "decision", "probability"]
Better = Literal["higher", "lower", "neither"]
Task = Literal["multilabel", "multiclass"]
ShareOf = Literal["", "images", "positives", "negatives", "positive calls", "negative calls"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One row of the table.

    Attributes:
        name: How cards name it, before any ``@``.
        family: What it is computed from: ``rank`` (the order of scores), ``decision`` (a threshold, or the class with the highest
            score), ``probability`` (scores within 0..1).
        better: Whether ``higher`` or ``lower`` values are better; ``neither`` where the best value lies between others.
        low, high: Smallest and largest value that it can take; infinite where there is none. Intervals are computed on the logit of a
            finite range.
        multilabel: Formula for one label; empty where there is none.
        multiclass: Formula of predicted classes, for decisions.
        per_class: Whether ``multiclass`` has one value a class instead of one over all classes.
        title: How headings write it; the name with spaces when empty.
        unit: Unit of its values; empty for shares and other pure numbers.
        decimals: Decimals that it is printed with where a table's own do not fit its unit.
        probabilities: Whether scores must be probabilities.
        prevalence: Whether it changes with how common the classes are, all else being equal.
        share_of: The images it is a share of, whose patients limit its interval (Wilson's); empty for other metrics.
        u_statistic: Whether it is a two-sample U statistic (the AUC), for which DeLong's intervals and tests exist.
        options: Keywords of ``multilabel`` that the name gives: ``prevalence`` (may be stated), ``threshold`` (is part of the formula).
        undefined: Why there is no value although both classes, or two of several, are among the labels.
        chance: Formula of scores: the value that chance alone would give if the true one were perfect; empty for metrics without bias.
        aliases: Words of other programs, so that messages can offer this one.
        multiclass_aliases: The same, of multi-class suites only.
    """

    name: str
    family: Family
    better: Better
    low: float = 0.0
    high: float = 1.0
    multilabel: str = ""
    multiclass: str = ""
    per_class: bool = False
    title: str = ""
    unit: str = ""
    decimals: int | None = None
    probabilities: bool = False
    prevalence: bool = False
    share_of: ShareOf = ""
    u_statistic: bool = False
    options: tuple[str, ...] = ()
    undefined: str = ""
    chance: str = ""
    aliases: tuple[str, ...] = ()
    multiclass_aliases: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks in which it is defined."""
        formulas: dict[Task, str] = {"multilabel": self.multilabel, "multiclass": self.multiclass}
        return tuple(task for task, formula in formulas.items() if formula or self.family != "decision")

    @property
    def intervals(self) -> tuple[str, ...]:
        """Kinds of interval that not every metric has; the first is the default."""
        if self.share_of:
            return ("wilson",)
        return ("jackknife", "delong", "delong-plain") if self.u_statistic else ("jackknife",)

    def described(self) -> dict[str, str]:
        """Describe the row in words, for a listing."""
        needs = {"rank": "scores", "probability": "probabilities", "decision": "predicted class"}[self.family]
        if self.multilabel and self.family == "decision":
            needs = "probabilities, threshold" if self.probabilities else "threshold"
            needs += " (multi-class: predicted class)" if self.multiclass else ""
        return {
            "metric": self.name,
            "of": self.family,
            "better": self.better,
            "tasks": ", ".join(self.tasks),
            "needs": needs,
            "range": f"{self.low:g} to {self.high:g}",
            "unit": self.unit,
            "prevalence": "moves it" if self.prevalence else "does not move it",
            "interval": self.intervals[0],
        }
