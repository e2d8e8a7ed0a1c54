"""Suite cards: datasets under a protocol, models, methods, and how they are judged."""

from __future__ import annotations

from typing import Any, Literal

from xrbench.cards.analyses import Analyses, Comparison, Interval
from xrbench.cards.base import Blank, BlockSpec, Card, Task, Uncertain, refuse_duplicates
from xrbench.cards.layouts import FigureLayout, TableLayout
from xrbench.cards.protocols import ClassRule, Profile, Protocol
from xrbench.errors import CardError


class SuiteCard(Card, frozen=True):
    """A benchmark: datasets under a protocol, models, methods, and how they are judged.

    Attributes:
        extends: Name of a suite whose fields this card takes over unless it has its own.
        paper: Folder under ``baselines/`` with the reported numbers; empty when there is none.
        task: ``multilabel`` (a sigmoid a label) or ``multiclass`` (a softmax over the labels; every image has exactly one).
        classes: How the class of an image is chosen (``multiclass`` only).
        labels: Vocabulary names, in the order of columns.
        uncertain: Policy for uncertain labels (-1), for all labels or label -> policy (``"*"`` for the others).
        blank: Policy for labels that are not mentioned, likewise.
        where: Rows of every dataset that take part, such as ``{ view = "PA" }``.
        mappings: Names of declared label mappings of the vocabulary that this suite opts into.
        preprocessing: Blocks from grey image to cached pixels; the size comes from the profile.
        models, methods: Card names.
        metrics: Such as ``"auc"``, ``"average-precision"``, ``"recall@specificity=0.9"`` (threshold from validation).
        protocol: Which datasets train, validate and test.
        interval: Confidence intervals.
        comparisons: Comparisons of methods that are declared before the run.
        analyses: Further analyses.
        tables, figures: What a report shows.
        adjustment: How p-values of the declared comparisons are adjusted for their number: ``holm`` or ``bh``.
        profiles: Name -> profile; the first is the default on real data, ``quick`` on the fixture.
    """

    extends: str = ""
    paper: str = ""
    task: Task = "multilabel"
    classes: ClassRule = ClassRule()
    labels: tuple[str, ...] = ()
    uncertain: Uncertain | dict[str, Uncertain] = "ignore"
    blank: Blank | dict[str, Blank] = "ignore"
    where: dict[str, Any] = {}
    mappings: tuple[str, ...] = ()
    preprocessing: tuple[BlockSpec, ...] = ("centre-crop", "resize")
    models: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("auc",)
    protocol: Protocol = Protocol()
    interval: Interval = Interval()
    comparisons: tuple[Comparison, ...] = ()
    adjustment: Literal["holm", "bh"] = "holm"
    analyses: Analyses = Analyses()
    tables: tuple[TableLayout, ...] = ()
    figures: tuple[FigureLayout, ...] = ()
    profiles: dict[str, Profile] = {}

    def check(self, where: str) -> None:
        """Refuse names that stand twice, classes in a suite without classes, and parts that contradict themselves.

        Raises:
            CardError: One of them; the message names the field.
        """
        for field in ("labels", "models", "methods", "metrics"):
            refuse_duplicates(f"{where}: {field}", getattr(self, field))
        if self.task == "multiclass" and 0 < len(self.labels) < 2:
            raise CardError(f"{where}: labels: a multi-class suite has at least two")
        if self.task != "multiclass" and self.classes != ClassRule():
            raise CardError(f'{where}: classes: a rule for multi-class labels needs task = "multiclass"')
        self.analyses.check(f"{where}: analyses")
        for number, comparison in enumerate(self.comparisons):
            comparison.check(f"{where}: comparisons[{number}]")
        self.protocol.check(f"{where}: protocol")
