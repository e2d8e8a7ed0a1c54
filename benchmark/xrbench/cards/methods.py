"""Method cards: how a model is trained."""

from __future__ import annotations

from typing import Literal

from xrbench.cards.base import BlockSpec, Card, NonNegative, NonNegativeFloat, Positive


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
        selection: Which epoch's weights are kept: the best mean validation AUC, or the last.
        patience: Epochs without a better validation AUC before stopping; 0 never stops early.
        accumulate: Batches whose gradients are summed before a step.
        validation: ``fixed`` images without augmentation, or ``as-released``: re-drawn each epoch and augmented.
        epochs: Overrides the profile's number of epochs when above 0.
        parent: Method whose fit this one starts from.
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
    selection: Literal["best-mean-auc", "last"] = "best-mean-auc"
    patience: NonNegative = 0
    accumulate: Positive = 1
    validation: Literal["fixed", "as-released"] = "fixed"
    epochs: NonNegative = 0
    parent: str = ""
