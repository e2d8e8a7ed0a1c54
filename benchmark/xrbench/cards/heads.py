"""Heads: what a network learns, and by which figure an epoch is selected."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from xrbench.cards.base import BlockSpec, Name, NonNegativeFloat, refuse_duplicates
from xrbench.errors import CardError

HeadKind = Literal["labels", "binary", "classes", "regression", "none"]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One output of a network and the truth that it learns.

    Attributes:
        name: Its name in logs, and in the selection of an epoch.
        kind: ``labels``: the suite's labels, binary or one class an image as the suite's task says. ``binary``: one logit, from a
            metadata column. ``classes``: one logit a value of the column. ``regression``: one number from a numeric column.
            ``none``: no truth; the objective learns from features alone.
        column: Column of the datasets' metadata; empty for the suite's labels and for ``none``.
        values: Values of the column: the negative and the positive one of ``binary``, all classes of ``classes``. An image with
            any other value, or none, is not labelled.
        scale: Units of the column that are 1 in the loss of ``regression``.
        weight: Factor of the head's loss.
        loss: Block of the head's loss; empty for the method's objective in ``labels``, binary cross-entropy in ``binary``,
            cross-entropy in ``classes`` and the smooth L1 loss in ``regression``.
    """

    name: str
    kind: HeadKind
    column: str = ""
    values: tuple[str, ...] = ()
    scale: PositiveFloat = 1.0
    weight: NonNegativeFloat = 1.0
    loss: BlockSpec = ""

    def check(self, where: str) -> None:
        """Refuse fields that the kind of head does not have, and missing ones.

        Raises:
            CardError: One of them; the message names the field.
        """
        if not Name.fullmatch(self.name):
            raise CardError(f"{where}.name: expected lower-case letters, digits, '.', '_' and '-', got {self.name!r}")
        from_metadata = self.kind in ("binary", "classes", "regression")
        if from_metadata != bool(self.column):
            expected = "the name of a metadata column is expected" if from_metadata else "means nothing"
            raise CardError(f"{where}.column: {expected} in a head of kind {self.kind!r}")
        refuse_duplicates(f"{where}.values", self.values)
        least, most = {"binary": (2, 2), "classes": (2, 1000)}.get(self.kind, (0, 0))
        if not least <= len(self.values) <= most:
            count = f"{least} values" if least == most else "at least two values"
            raise CardError(f"{where}.values: {count} expected in a head of kind {self.kind!r}, got {len(self.values)}")
        if self.scale != 1.0 and self.kind != "regression":
            raise CardError(f"{where}.scale: means nothing in a head of kind {self.kind!r}")
        if self.kind == "none" and self.loss:
            raise CardError(f"{where}.loss: means nothing in a head of kind 'none', which has no truth")

    @property
    def outputs(self) -> int:
        """Number of its logits; 0 for ``none``, and for ``labels``, whose number the suite decides."""
        return {"binary": 1, "regression": 1, "classes": len(self.values)}.get(self.kind, 0)


class Selection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which figure of validation selects an epoch.

    Attributes:
        head: Name of the head.
        metric: ``loss`` and ``mae`` (mean absolute error, in units of the column): the smallest; ``auc`` (the mean over outputs) and
            ``accuracy``: the largest.
    """

    head: str
    metric: Literal["auc", "accuracy", "mae", "loss"]

    @property
    def larger_is_better(self) -> bool:
        """Whether the epoch with the largest value is kept."""
        return self.metric in ("auc", "accuracy")


LABELS = Head(name="labels", kind="labels")
"""The head of a method that names none: the suite's labels."""
