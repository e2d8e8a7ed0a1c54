"""Plans of an epoch: the steps that a method's sampler draws from a set of images."""

from __future__ import annotations

import numpy as np

from xrbench import blocks
from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import CardError
from xrbench.training.components import samplers
from xrbench.training.components.block_calls import asks_for, call_block
from xrbench.training.components.steps import PairedStep, Step


def count_steps(recipe: Recipe, images: ImageSet, *, steps_per_epoch: int) -> int:
    """Return the number of steps of an epoch: see ``samplers.steps_in_epoch``."""
    _, options = blocks.split("sampler", recipe.method.sampler, where=f"method {recipe.method.name}")
    return samplers.steps_in_epoch(
        images.domain,
        batch_size=recipe.batch_size,
        steps_per_epoch=steps_per_epoch,
        groups=int(options.get("groups", 0)),
    )


def draw(
    recipe: Recipe, images: ImageSet, *, steps: int, rng: np.random.Generator, needs_pairs: bool = False
) -> list[Step]:
    """Draw the steps of an epoch.

    Args:
        recipe: Gives the sampler and the batch size.
        images: The images to draw from.
        steps: Steps of the epoch.
        rng: Generator of the draws.
        needs_pairs: Whether the objective takes paired steps only.

    Returns:
        For each step the positions of the images in each group.

    Raises:
        CardError: The sampler gave no step, steps of different numbers of groups, or unpaired ones to an objective of pairs.
    """
    spec, where = recipe.method.sampler, f"method {recipe.method.name}"
    if images.patient is None and asks_for("sampler", spec, "patient", where):
        raise CardError(f"{where}: sampler: needs the patients of the images, which are not known here")
    drawn = call_block(
        "sampler",
        spec,
        where,
        images.domain,
        batch_size=recipe.batch_size,
        steps=steps,
        rng=rng,
        on_request={"patient": images.patient, "truth": images.truth},
    )
    try:
        plan: list[Step] = list(drawn)
    except ValueError as error:
        raise CardError(f"{where}: sampler: {error}") from error
    groups = {len(step) for step in plan}
    if len(groups) != 1 or 0 in groups:
        raise CardError(
            f"{where}: sampler: expected steps with the same number of groups, got {sorted(groups) or 'no step'}"
        )
    if needs_pairs and not all(isinstance(step, PairedStep) for step in plan):
        raise CardError(f"{where}: sampler: the objective expects paired groups, the sampler's are not")
    return plan
