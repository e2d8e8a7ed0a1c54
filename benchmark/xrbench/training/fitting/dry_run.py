"""Check of a recipe before any training: an error in a card is reported at once, not after hours of other fits."""

from __future__ import annotations

import numpy as np
import torch

from xrbench import rng
from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import CardError
from xrbench.training.components import pruning
from xrbench.training.components.block_calls import call_block
from xrbench.training.fitting.initial import output_layer, random_network
from xrbench.training.fitting.step_objective import StepObjective
from xrbench.training.input import to_tensor


def dry_run(recipe: Recipe) -> None:
    """Build the network with random weights, objective and optimiser, augment an image, and evaluate masks and the schedule's ends.

    Raises:
        CardError: A block does not accept the options that its card gives.
    """
    method, where = recipe.method, f"method {recipe.method.name}"
    _augment(recipe, where)
    network = random_network(recipe)
    pruning.masks_of(method, network, output_layer(recipe, network))
    pixels = to_tensor.Pixels(recipe.model, device=torch.device("cpu"), channels_last=recipe.channels_last)
    objective = StepObjective(recipe, network, _blank(recipe), pixels=pixels)
    call_block("optimiser", method.optimiser, where, [*network.parameters(), *objective.parameters])
    for step in (0, recipe.epochs - 1):
        call_block("schedule", method.schedule, where, step, epochs=recipe.epochs, steps_per_epoch=1)


def _blank(recipe: Recipe) -> ImageSet:
    """Return two datasets of one blank image each."""
    blank = np.zeros((1, 1, recipe.image_size, recipe.image_size), np.uint8)
    return ImageSet(
        domains=("one", "two"),
        pixels=(blank, blank),
        domain=np.arange(2),
        row=np.zeros(2, np.int64),
        truth=np.zeros((2, len(recipe.labels)), np.float32),
    )


def _augment(recipe: Recipe, where: str) -> None:
    side = recipe.image_size
    for change in to_tensor.augmentations(recipe.method.augmentation, where=where):
        try:
            change(torch.zeros(1, recipe.model.channels, side, side), rng.stream("rehearsal"))
        except (TypeError, ValueError, ArithmeticError) as error:
            raise CardError(f"{where}: augmentation: {error}") from error
