"""Put together what a fit is made of, before any is trained: a slip in a card is told at once, not after hours."""

from __future__ import annotations

import msgspec
import torch

from xrbench import rng
from xrbench.cards import Recipe
from xrbench.errors import CardError
from xrbench.training.fitting.loop import made
from xrbench.training.input import to_tensor
from xrbench.training.models import networks


def rehearse(recipe: Recipe) -> None:
    """Build the network (with random weights) and the optimiser, augment an image, take the first and last learning rate.

    Raises:
        CardError: One of them does not take the options that its card gives.
    """
    method, where = recipe.method, f"method {recipe.method.name}"
    _augment(recipe, where)
    bare = msgspec.structs.replace(recipe.model, weights="none")
    network = networks.build(bare, len(recipe.labels), seed=0)
    made("optimiser", method.optimiser, where, list(network.parameters()))
    for step in (0, recipe.epochs - 1):
        made("schedule", method.schedule, where, step, epochs=recipe.epochs, steps_per_epoch=1)


def _augment(recipe: Recipe, where: str) -> None:
    side = recipe.image_size
    for change in to_tensor.augmentations(recipe.method.augmentation, where=where):
        try:
            change(torch.zeros(1, recipe.model.channels, side, side), rng.stream("rehearsal"))
        except (TypeError, ValueError, ArithmeticError) as error:
            raise CardError(f"{where}: augmentation: {error}") from error
