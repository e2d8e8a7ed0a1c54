"""Check of a recipe before any training: an error in a card is reported at once, not after hours of other fits."""

from __future__ import annotations

import msgspec
import torch

from xrbench import rng
from xrbench.cards import Recipe
from xrbench.errors import CardError
from xrbench.training.fitting.loop import call_block
from xrbench.training.input import to_tensor
from xrbench.training.models import networks


def dry_run(recipe: Recipe) -> None:
    """Build the network with random weights and the optimiser, augment one image, and evaluate the schedule at both ends.

    Raises:
        CardError: A block does not accept the options that its card gives.
    """
    method, where = recipe.method, f"method {recipe.method.name}"
    _augment(recipe, where)
    bare = msgspec.structs.replace(recipe.model, weights="none")
    network = networks.build(bare, len(recipe.labels), seed=0)
    call_block("optimiser", method.optimiser, where, list(network.parameters()))
    for step in (0, recipe.epochs - 1):
        call_block("schedule", method.schedule, where, step, epochs=recipe.epochs, steps_per_epoch=1)


def _augment(recipe: Recipe, where: str) -> None:
    side = recipe.image_size
    for change in to_tensor.augmentations(recipe.method.augmentation, where=where):
        try:
            change(torch.zeros(1, recipe.model.channels, side, side), rng.stream("rehearsal"))
        except (TypeError, ValueError, ArithmeticError) as error:
            raise CardError(f"{where}: augmentation: {error}") from error
