"""Validation after an epoch: the heads that have truth by their outputs, and the objective where a head has none."""

from __future__ import annotations

import numpy as np
import torch

from xrbench.data.images.image_set import ImageSet
from xrbench.rng import seed_of, stream
from xrbench.training.components import heads, objectives
from xrbench.training.components.objectives import JointObjective
from xrbench.training.fitting import plans, validation
from xrbench.training.fitting.forward import Batches
from xrbench.training.fitting.loop import Loop
from xrbench.training.fitting.validation import HeadResult, ValidationResult


def validate(loop: Loop, valid: ImageSet, epoch: int) -> ValidationResult:
    """Evaluate the network that would be kept after an epoch.

    Args:
        loop: Gives the network and the objective.
        valid: Validation images; without any, all figures are NaN.
        epoch: The epoch, from 0.
    """
    if not len(valid):
        return validation.undefined_result(loop.recipe)
    learned = loop.recipe.method.learned
    result = ValidationResult(loss=float("nan"), heads={})
    if heads.with_truth(learned):
        result = _evaluate_outputs(loop, valid, epoch)
    without_truth = [head.name for head in learned if head.kind == "none"]
    if loop.objective.joint is not None and without_truth:
        objective = evaluate_objective(loop, valid, loop.objective.joint)
        result = ValidationResult(
            # the objective stands for the loss where there is no other
            loss=result.loss if result.heads else objective,
            heads={**result.heads, **dict.fromkeys(without_truth, HeadResult(objective))},
        )
    return result


def evaluate_objective(loop: Loop, valid: ImageSet, objective: JointObjective) -> float:
    """Compute the mean of an objective of all groups over steps that the sampler draws from the validation images.

    Every call draws the same steps, with the same augmentation: what a pretext task has to predict may lie in that.
    """
    recipe = loop.recipe
    plan = plans.draw(
        recipe,
        valid,
        steps=plans.count_steps(recipe, valid, steps_per_epoch=0),
        rng=stream(recipe.identity, "validation-steps"),
        needs_pairs=loop.objective.needs_pairs,
    )
    rng = stream(recipe.identity, "validation-steps-augmentation")
    torch.manual_seed(seed_of(recipe.identity, "validation-steps") % 2**63)
    forward, values = loop.evaluation_forward, []
    forward.network.eval()
    with torch.no_grad(), objectives.unchanged(objective):
        for batches in Batches(valid, recipe).of(plan):
            groups = [forward.group(batch, valid, loop.augmentation, rng) for batch in batches]
            values.append(float(objective(groups)))
    return float(np.mean(values))


def _evaluate_outputs(loop: Loop, valid: ImageSet, epoch: int) -> ValidationResult:
    recipe = loop.recipe
    if recipe.method.validation == "fixed":
        order, augmentation, rng = list(validation.ordered_batches(len(valid), recipe.batch_size)), [], None
    else:
        rng_of_images = stream(recipe.identity, "validation", epoch)
        order = list(validation.released_batches(len(valid), recipe, rng_of_images))
        augmentation, rng = loop.augmentation, stream(recipe.identity, "validation-augmentation", epoch)
    outputs = validation.run_network(
        loop.evaluated, valid, iter(order), loop.pixels, augmentation=augmentation, rng=rng
    )
    scores = {head: outputs[:, place] for head, place in heads.columns(recipe).items()}
    truth = Batches(valid, recipe).truth_at(np.concatenate(order))
    return validation.evaluate(scores, truth, loop.objective.base, recipe)
