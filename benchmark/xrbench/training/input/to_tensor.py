"""Conversion of image bytes to a network's input: on the device, scaled and normalised as the model card says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xrbench import blocks
from xrbench.cards import BlockSpec, ModelCard
from xrbench.errors import CardError


class Augmentation(Protocol):
    """Random change of images: floats from 0 (black) to 1 (white), shape (images, channels, height, width)."""

    def __call__(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Return changed images of the same shape."""


class Pixels:
    """Convert batches of bytes to a network's input.

    Args:
        card: Gives channels, scale, mean and std.
        device: Device of the network.
        channels_last: Memory layout of the result.

    Raises:
        CardError: Mean and std do not match the channels.
    """

    def __init__(self, card: ModelCard, *, device: torch.device, channels_last: bool) -> None:
        if len(card.mean) not in (0, 1, card.channels):
            raise CardError(f"model {card.name}: mean: {len(card.mean)} values for {card.channels} channels")
        self.channels, self.device = card.channels, device
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        low, high = card.scale
        mean = torch.tensor(card.mean or (0.0,), dtype=torch.float64)
        std = torch.tensor(card.std or (1.0,), dtype=torch.float64)
        # (image * (high - low) + low - mean) / std as one multiplication and one addition, computed in double precision
        self.factor = ((high - low) / std).float().view(1, -1, 1, 1).to(device)
        self.offset = ((low - mean) / std).float().view(1, -1, 1, 1).to(device)

    def __call__(
        self,
        batch: npt.NDArray[np.uint8],
        augmentation: Sequence[Augmentation] = (),
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Return float32 images of shape (images, channels, height, width) on the device.

        Args:
            batch: Bytes of shape (images, 1 or channels, height, width).
            augmentation: Applied in order, to brightness from 0 to 1; only with a generator.
            rng: Generator of the augmentations; None for none.
        """
        if batch.shape[1] not in (1, self.channels):
            raise CardError(f"images have {batch.shape[1]} channels, the model card says {self.channels}")
        images = self._move(batch).float().mul_(1 / 255)
        if rng is not None:
            for augment in augmentation:
                images = augment(images, rng)
        images = torch.addcmul(self.offset, images, self.factor)
        if images.shape[1] != self.channels:
            # grey images and one mean and std for all channels: the other channels are equal to the first
            images = images.expand(-1, self.channels, -1, -1)
        return images.contiguous(memory_format=self.layout)

    def _move(self, batch: npt.NDArray[np.uint8]) -> Tensor:
        images = torch.from_numpy(batch)
        # pinned memory lets the copy overlap with computation
        if self.device.type == "cuda":
            return images.pin_memory().to(self.device, non_blocking=True)
        return images.to(self.device)


def augmentations(specs: Sequence[BlockSpec], *, where: str) -> list[Augmentation]:
    """Return the augmentations that a method card names, with their options bound."""
    blocks_with_options: list[Augmentation] = []
    for spec in specs:
        name, options = blocks.split("augmentation", spec, where=where)
        blocks_with_options.append(partial(blocks.check_options("augmentation", name, options, where=where), **options))
    return blocks_with_options
