"""Datasets, models and methods: what exists, before any suite brings it together."""

from __future__ import annotations

from typing import Any, Literal

from xrbench.cards.basics import BlockSpec, Card


class DatasetCard(Card, frozen=True):
    """One published dataset, or a slice of one.

    Attributes:
        cite: How to cite the data.
        licence: Terms in a few words.
        access: Where to ask for the data, and how they are laid out when they arrive.
        region: Where the images were made, in words.
        reader: Name of the reader block; empty for a slice.
        options: Keyword options of the reader.
        folders: Names tried, in order, for the dataset's folder under a data root; its own name is always tried first.
        labels: The dataset's own label names -> names of the vocabulary, where they differ and no synonym says so.
        counts: Numbers that the published data have (``images``, ``patients``, ``view:PA``, ``positive:Edema`` ...), to check against.
        base: Name of the dataset that this card is a slice of; patients are the base's.
        where: Column -> value, list of values, or ``{ min = .., max = .. }`` that a slice keeps.
        synthetic: True when the images are drawn, not taken: every figure from them is stamped FIXTURE.
        shareable: True when the terms allow predictions with image and patient ids to be published.
    """

    cite: str = ""
    licence: str = ""
    access: str = ""
    region: str = ""
    reader: str = ""
    options: dict[str, Any] = {}
    folders: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    counts: dict[str, int] = {}
    base: str = ""
    where: dict[str, Any] = {}
    synthetic: bool = False
    shareable: bool = False


class ModelCard(Card, frozen=True):
    """A network and the weights it starts from.

    Attributes:
        network: Network block with options, such as ``{ block = "timm", name = "resnet18" }``.
        weights: ``"imagenet"``, ``"none"``, a torchxrayvision weights name, or the path of a local file.
        channels: Channels the network is fed: 1 or 3 (grey is repeated for 3).
        stem: How the first layer takes one channel when the weights have three: a new random layer, or their sum or mean.
        image_size: Side in pixels; 0 takes the profile's.
        scale: What pixel values 0 and 255 become before mean and std, such as ``[0, 1]`` or ``[-1024, 1024]``.
        mean, std: Per-channel normalisation after ``scale``; empty for none.
        outputs: Label of each output when the network is used as it comes (inference only); empty otherwise.
        seen: Datasets whose images the weights were made from: a test on them is not external.
    """

    network: BlockSpec
    weights: str = "none"
    channels: Literal[1, 3] = 1
    stem: Literal["new", "sum", "mean"] = "new"
    image_size: int = 0
    scale: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    outputs: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()


class MethodCard(Card, frozen=True):
    """How a model is trained, or that it is used as it comes.

    Attributes:
        inference: Name of the model card that is used without training; the other fields then mean nothing.
        ensemble: Name of the method whose fits under all seeds of a setting are averaged (mean of their stored scores); nothing is
            trained, and the other fields then mean nothing.
        sampler: Which images make a batch.
        objective: The loss: ``objective(scores, truth, **options)`` on logits and 0/1/NaN truth.
        task_weights: ``rarity`` weighs each label by how rare its positives are in its batch's domain (balanced-batching paper).
        l2_in_loss: Factor of the summed squared parameters, added to the loss.
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
    l2_in_loss: float = 0.0
    optimiser: BlockSpec = "adam"
    schedule: BlockSpec = "constant"
    augmentation: tuple[BlockSpec, ...] = ()
    selection: Literal["best-mean-auc", "last"] = "best-mean-auc"
    patience: int = 0
    accumulate: int = 1
    validation: Literal["fixed", "as-released"] = "fixed"
    epochs: int = 0
    parent: str = ""
