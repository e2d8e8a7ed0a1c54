"""Score images without training on them, and judge an epoch by them."""

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

RELEASED_SHARE = 2.5
"""The released code of Tetteh et al. validates on this fraction of an epoch's steps: 172 of 430."""


@dataclass(frozen=True)
class Verdict:
    """What validation says of an epoch.

    Attributes:
        loss: The objective over all validation images, without task weights.
        aucs: AUC of each label, NaN where it has no positive or no negative.
        mean: Their mean over the labels that have one; NaN when none has.
    """

    loss: float
    aucs: npt.NDArray[np.float64]
    mean: float


def batches(count: int, size: int) -> Iterator[Indices]:
    """Go through all positions once, in order.

    >>> [batch.tolist() for batch in batches(5, 2)]
    [[0, 1], [2, 3], [4]]
    """
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def released_batches(count: int, recipe: Recipe, rng: np.random.Generator) -> Iterator[Indices]:
    """Draw shuffled whole batches without repeats, as many as the released code of Tetteh et al. takes.

    That is the number of steps divided by 2.5 where the recipe has one, and never more than there are whole batches.
    """
    size = min(recipe.batch_size, count)
    whole = count // size
    wanted = int(recipe.steps_per_epoch // RELEASED_SHARE) if recipe.steps_per_epoch else whole
    order = rng.permutation(count)
    for number in range(max(min(whole, wanted), 1)):
        yield order[number * size : (number + 1) * size]


def outputs(
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

    Evaluation is not rounded to bfloat16: its eight bits would tie many scores.

    Returns:
        Its outputs, shape (images in all batches, outputs), in the order of the batches.
    """
    network.eval()
    found = []
    with torch.inference_mode():
        for batch in order:
            given = network(pixels(images.gather(batch), augmentation, rng))
            found.append(given.float().cpu().numpy())
            if bar is not None:
                bar.advance(len(batch))
    return np.concatenate(found)


def nothing(labels: int) -> Verdict:
    """Return what validation says without images."""
    return Verdict(loss=float("nan"), aucs=np.full(labels, np.nan), mean=float("nan"))


def judge(logits: npt.NDArray[np.float32], truth: npt.NDArray[np.float32], objective: Objective) -> Verdict:
    """Compute loss and AUCs of logits, shape (images, labels) as the truth."""
    with torch.inference_mode():
        loss = float(objective(torch.from_numpy(logits), torch.from_numpy(truth)))
    aucs = fast_auc.auc(truth, logits)
    defined = aucs[~np.isnan(aucs)]
    return Verdict(loss=loss, aucs=aucs, mean=float(defined.mean()) if len(defined) else float("nan"))
