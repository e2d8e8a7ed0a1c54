"""Method cards: how a model is trained."""

from __future__ import annotations

from typing import Literal

from xrbench.cards.base import BlockSpec, Card, NonNegative, NonNegativeFloat, Positive, Share, refuse_duplicates
from xrbench.cards.heads import LABELS, Head, Selection
from xrbench.errors import CardError, suggestion


class MethodCard(Card, frozen=True):
    """How a model is trained, or that a pretrained model is used without training.

    Attributes:
        inference: Name of the model card that is used without training; the other fields then mean nothing.
        ensemble: Name of the method whose fits under all seeds of a setting are averaged (mean of their stored scores); nothing is
            trained, and the other fields then mean nothing.
        sampler: Block that draws the batches.
        objective: The loss: ``objective(scores, truth, **options)`` on logits and 0/1/NaN truth.
        task_weights: ``rarity`` weights each label by how rare its positives are in the batch's domain (balanced-batching paper).
        l2_in_loss: Factor of the sum of squared parameters in the loss, 0 or more.
        optimiser, schedule: Blocks with options.
        augmentation: Blocks applied to training images only, in order.
        heads: What is learned; empty for the suite's labels alone.
        selection: Which epoch's weights are kept: the best mean validation AUC of the suite's labels, the last, or the best figure of
            a head, such as ``{ head = "age", metric = "mae" }``.
        averaging: Decay of an exponential moving average of the weights, 0 <= decay < 1: it is what is validated and kept; 0 for none.
        patience: Epochs without a better validation AUC before stopping; 0 never stops early.
        accumulate: Batches whose gradients are summed before a step.
        validation: ``fixed`` images without augmentation, or ``as-released``: re-drawn each epoch and augmented.
        epochs: Overrides the profile's number of epochs when above 0.
        parent: Method whose fit this one starts from; empty to start from the model card's weights.
        parent_train: What the parent is trained on: the ``train`` datasets of the setting, or its ``pretrain`` datasets.
        parent_weights: What is taken over: the ``backbone``, under a new output layer, or ``all``.
        parent_model: Model card of the parent, of the same network; empty for the fit's own.
        parent_seed: Seed of one parent that all seeds share; None for a parent of each seed's own.
        pruning: Block that chooses, from all weights of the parent, those that are set to 0 and kept there; None for none.
        stage: Name of what the fit does with its parent's weights, for people; empty for ``training``, or ``fine-tuning`` or ``pruning``
            of a parent.
    """

    inference: str = ""
    ensemble: str = ""
    sampler: BlockSpec = "random-batches"
    objective: BlockSpec = "masked-bce"
    task_weights: Literal["none", "rarity"] = "none"
    l2_in_loss: NonNegativeFloat = 0.0
    optimiser: BlockSpec = "adam"
    schedule: BlockSpec = "constant"
    augmentation: tuple[BlockSpec, ...] = ()
    heads: tuple[Head, ...] = ()
    selection: Literal["best-mean-auc", "last"] | Selection = "best-mean-auc"
    averaging: Share = 0.0
    patience: NonNegative = 0
    accumulate: Positive = 1
    validation: Literal["fixed", "as-released"] = "fixed"
    epochs: NonNegative = 0
    parent: str = ""
    parent_train: Literal["train", "pretrain"] = "train"
    parent_weights: Literal["backbone", "all"] = "backbone"
    parent_model: str = ""
    parent_seed: int | None = None
    pruning: BlockSpec | None = None
    stage: Literal["", "pre-training", "training", "fine-tuning", "alignment", "pruning"] = ""

    @property
    def learned(self) -> tuple[Head, ...]:
        """What is learned: the card's heads, or the suite's labels."""
        return self.heads or (LABELS,)

    @property
    def scores_labels(self) -> bool:
        """Whether one of its heads gives scores of the suite's labels, so that the method can be tested."""
        return any(head.kind == "labels" for head in self.learned)

    def check(self, where: str) -> None:
        """Refuse heads that contradict each other, a selection that no head can make, and parent fields without a parent.

        Raises:
            CardError: One of them; the message names the field.
        """
        names = [head.name for head in self.learned]
        for number, head in enumerate(self.heads):
            head.check(f"{where}: heads[{number}]")
        refuse_duplicates(f"{where}: heads", names)
        if sum(head.kind == "labels" for head in self.heads) > 1:
            raise CardError(f"{where}: heads: at most one of kind 'labels' is expected")
        self._check_selection(where)
        if not self.parent:
            for field in ("parent_train", "parent_weights", "parent_model", "parent_seed", "pruning"):
                if getattr(self, field) != _DEFAULTS[field]:
                    raise CardError(f"{where}: {field}: means nothing without 'parent'")
        if self.pruning and self.parent_weights != "all":
            raise CardError(
                f"{where}: pruning: needs all weights of the parent; expected parent_weights = 'all', got {self.parent_weights!r}"
            )

    def _check_selection(self, where: str) -> None:
        selection, kinds = self.selection, {head.name: head.kind for head in self.learned}
        if selection == "best-mean-auc" and not self.scores_labels:
            raise CardError(
                f"{where}: selection: 'best-mean-auc' needs a head of kind 'labels'; expected 'last' or a head's figure"
            )
        if not isinstance(selection, Selection):
            return
        if selection.head not in kinds:
            raise CardError(f"{where}: selection.head: no head {selection.head!r}{suggestion(selection.head, kinds)}")
        kind = kinds[selection.head]
        allowed = {"regression": ("mae", "loss"), "none": ("loss",)}.get(kind, ("auc", "accuracy", "loss"))
        if selection.metric not in allowed:
            raise CardError(
                f"{where}: selection.metric: {selection.metric!r} of a head of kind {kind!r}; expected {', '.join(allowed)}"
            )


_DEFAULTS = {
    "parent_train": "train",
    "parent_weights": "backbone",
    "parent_model": "",
    "parent_seed": None,
    "pruning": None,
}
