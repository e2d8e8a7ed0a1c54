"""The forward pass of one group of images: its outputs, and what an objective of all groups sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.training.components import heads
from xrbench.training.components.heads import Truth
from xrbench.training.components.steps import Group, Indices, Step
from xrbench.training.input.to_tensor import Augmentation, Pixels
from xrbench.training.models import networks
from xrbench.training.models.features import FeatureReader


class Batch(NamedTuple):
    """Images of one group before the forward pass.

    Attributes:
        positions: Position of each image in its set, shape (n,).
        pixels: Bytes, shape (n, channels, height, width).
        truth: Head -> truth, float32, NaN for not labelled, shape (n, outputs).
    """

    positions: Indices
    pixels: npt.NDArray[np.uint8]
    truth: Truth


class Batches:
    """Gather the images of the steps of a plan.

    Args:
        images: The images.
        recipe: Gives the heads.
    """

    def __init__(self, images: ImageSet, recipe: Recipe) -> None:
        self.images, self.truth = images, heads.truth(images, recipe.method.learned)

    def of(self, plan: Sequence[Step]) -> Iterator[list[Batch]]:
        """Yield the groups of each step."""
        for step in plan:
            yield [Batch(group, self.images.gather(group), self.truth_at(group)) for group in step]

    def truth_at(self, positions: Indices) -> Truth:
        """Return the truth of each head at these positions."""
        return {head: values[positions] for head, values in self.truth.items()}


class Forward:
    """Run groups of images through a network.

    Args:
        network: The network, on the device.
        recipe: Gives the heads and the precision.
        pixels: Converts bytes to the network's input.
        with_features: Whether features are read at every pass, for an objective of all groups.

    Raises:
        CardError: Features are needed and the network has no linear output layer.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, *, pixels: Pixels, with_features: bool) -> None:
        self.network, self.pixels, self.device = network, pixels, pixels.device
        self.bfloat16 = recipe.precision == "bfloat16"
        self.columns = heads.columns(recipe)
        self._reader = None
        if with_features:
            _, layer = networks.first_and_head(network, heads.outputs(recipe))
            self._reader = FeatureReader(network, layer, where=f"model {recipe.model.name}")

    @property
    def features(self) -> int:
        """Number of features; 0 where they are not read."""
        return self._reader.count if self._reader else 0

    def scores(
        self, batch: Batch, augmentation: Sequence[Augmentation] = (), rng: np.random.Generator | None = None
    ) -> dict[str, Tensor]:
        """Run a group through the network and return the logits of each head, float32, shape (n, outputs).

        Args:
            batch: The images of the group.
            augmentation: Applied in order, only with a generator.
            rng: Generator of the augmentations.
        """
        images = self.pixels(batch.pixels, augmentation, rng)
        # validation is in float32, whatever the precision of training
        enabled = self.bfloat16 and self.network.training
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled):
            outputs: Tensor = self.network(images)
        return heads.split(outputs.float(), self.columns)

    def truth(self, batch: Batch) -> dict[str, Tensor]:
        """Return the truth of each head on the device, shape (n, outputs)."""
        return {head: self._move(values) for head, values in batch.truth.items()}

    def group(
        self,
        batch: Batch,
        images: ImageSet,
        augmentation: Sequence[Augmentation] = (),
        rng: np.random.Generator | None = None,
    ) -> Group:
        """Run a group through the network and return it as an objective of all groups sees it.

        Args:
            batch: The images of the group.
            images: The set that they are from.
            augmentation: Applied in order, only with a generator.
            rng: Generator of the augmentations.
        """
        if self._reader is None:
            raise RuntimeError("features are not read")
        return Group(
            scores=self.scores(batch, augmentation, rng),
            truth=self.truth(batch),
            features=self._reader.take(),
            domain=self._move(images.domain[batch.positions]),
            patient=None if images.patient is None else self._move(images.patient[batch.positions]),
            positions=self._move(batch.positions),
        )

    def _move(self, values: npt.NDArray[np.float32] | Indices) -> Tensor:
        return torch.from_numpy(values).to(self.device, non_blocking=True)
