"""Validation: outputs of a network without training, and the figures by which an epoch is selected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.progress import Task
from xrbench.training.components.losses import Objective
from xrbench.training.fitting import fast_auc
from xrbench.training.input.to_tensor import Augmentation, Pixels

Indices = npt.NDArray[np.int64]

RELEASED_DIVISOR = 2.5
"""Training steps for each validation batch in the released code of Tetteh et al. 2021: 430 / 172."""


@dataclass(frozen=True)
class ValidationResult:
    """Validation figures of one epoch.

    Attributes:
        loss: The objective over all validation images, without task weights.
        aucs: AUC of each label, NaN where it has no positive or no negative.
        mean_auc: Mean of the AUCs that are defined; NaN when none is.
    """

    loss: float
    aucs: npt.NDArray[np.float64]
    mean_auc: float


def ordered_batches(count: int, size: int) -> Iterator[Indices]:
    """Yield the positions 0 to ``count - 1`` in order, ``size`` at a time, shape (at most size,).

    >>> [batch.tolist() for batch in ordered_batches(5, 2)]
    [[0, 1], [2, 3], [4]]
    """
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def released_batches(count: int, recipe: Recipe, rng: np.random.Generator) -> Iterator[Indices]:
    """Yield shuffled whole batches without repeats, as many as the released code of Tetteh et al. 2021 takes.

    Args:
        count: Number of validation images.
        recipe: Gives the batch size and the steps of an epoch; without a number of steps all whole batches are taken.
        rng: Generator of the permutation.
    """
    size = recipe.batch_size
    whole_batches = count // size
    limit = int(recipe.steps_per_epoch // RELEASED_DIVISOR) if recipe.steps_per_epoch else whole_batches
    order = rng.permutation(count)
    # a set smaller than a batch is one batch
    for number in range(max(min(whole_batches, limit), 1)):
        yield order[number * size : (number + 1) * size]


def run_network(
    network: nn.Module,
    images: ImageSet,
    order: Iterator[Indices],
    pixels: Pixels,
    *,
    augmentation: Sequence[Augmentation] = (),
    rng: np.random.Generator | None = None,
    bar: Task | None = None,
) -> npt.NDArray[np.float32]:
    """Run a network over batches of images, in float32 whatever the precision of training.

    In bfloat16 the eight bits of the significand would tie many scores.

    Returns:
        Outputs, float32, shape (images in all batches, outputs), in the order of the batches.
    """
    network.eval()
    outputs = []
    with torch.inference_mode():
        for batch in order:
            batch_outputs = network(pixels(images.gather(batch), augmentation, rng))
            outputs.append(batch_outputs.float().cpu().numpy())
            if bar is not None:
                bar.advance(len(batch))
    return np.concatenate(outputs)


def undefined_result(labels: int) -> ValidationResult:
    """Return the result of a validation without images."""
    return ValidationResult(loss=float("nan"), aucs=np.full(labels, np.nan), mean_auc=float("nan"))


def evaluate(logits: npt.NDArray[np.float32], truth: npt.NDArray[np.float32], objective: Objective) -> ValidationResult:
    """Compute loss and AUCs.

    Args:
        logits: Shape (images, labels).
        truth: 1, 0 or NaN (not labelled), same shape.
        objective: The training objective, without task weights.
    """
    with torch.inference_mode():
        loss = float(objective(torch.from_numpy(logits), torch.from_numpy(truth)))
    aucs = fast_auc.auc(truth, logits)
    defined = aucs[~np.isnan(aucs)]
    return ValidationResult(loss=loss, aucs=aucs, mean_auc=float(defined.mean()) if len(defined) else float("nan"))
