"""Model cards: a network and its initial weights."""

from __future__ import annotations

from typing import Literal

from xrbench.cards.base import BlockSpec, Card
from xrbench.errors import CardError


class ModelCard(Card, frozen=True):
    """A network and its initial weights.

    Attributes:
        network: Network block with options, such as ``{ block = "timm", name = "resnet18" }``.
        weights: ``"imagenet"``, ``"none"``, a torchxrayvision weights name, or the path of a local file.
        channels: Input channels of the network: 1 or 3 (grey is repeated for 3).
        stem: How the first layer takes one channel when the weights have three: a new random layer, or their sum or mean.
        image_size: Side in pixels; 0 takes the profile's.
        scale: What pixel values 0 and 255 become before mean and std, such as ``[0, 1]`` or ``[-1024, 1024]``.
        mean, std: Per-channel normalisation after ``scale``; empty for none.
        outputs: Label of each output of a network that is used without training; empty otherwise.
        seen: Datasets that the initial weights were trained on: a test on them is not external.
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

    def check(self, where: str) -> None:
        """Refuse a normalisation whose mean and standard deviation are not of the same channels.

        Raises:
            CardError: ``mean`` and ``std`` differ in length.
        """
        if len(self.mean) != len(self.std):
            raise CardError(
                f"{where}: 'mean' and 'std' have {len(self.mean)} and {len(self.std)} values; one a channel is expected"
            )
