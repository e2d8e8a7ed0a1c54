"""Training objectives, and the weights of labels in them.

An objective is a function ``f(scores, truth, **options)`` of logits and of 1 / 0 / NaN truth, both of shape (images, labels), that
returns a scalar. NaN means not labelled: such an entry must neither count nor pass a gradient. An objective that can weight
labels has a keyword ``task_weights`` of shape (labels,).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from xrbench import blocks
from xrbench.cards import MethodCard
from xrbench.errors import CardError

Objective = Callable[..., Tensor]


def masked_bce(scores: Tensor, truth: Tensor, *, task_weights: Tensor | None = None) -> Tensor:
    """Compute the binary cross-entropy, a mean over the labelled images of each label, summed over labels.

    A label without a labelled image in the batch contributes 0.

    Args:
        scores: Logits, shape (images, labels).
        truth: 1, 0 or NaN (not labelled), same shape.
        task_weights: Factor of each label, shape (labels,); None for 1.

    Returns:
        A scalar.

    >>> scores, truth = torch.zeros(3, 2), torch.tensor([[1.0, torch.nan], [0.0, torch.nan], [torch.nan, torch.nan]])
    >>> round(float(masked_bce(scores, truth)), 4)  # log 2 for the first label
    0.6931
    """
    labelled = ~truth.isnan()
    # masked before the loss as well: 0 times the infinite loss of an unlabelled entry would be NaN, and so would its gradient
    scores = torch.where(labelled, scores, 0.0)
    each = functional.binary_cross_entropy_with_logits(scores, torch.where(labelled, truth, 0.0), reduction="none")
    means = torch.where(labelled, each, 0.0).sum(0) / labelled.sum(0).clamp(min=1)
    return means.sum() if task_weights is None else (means * task_weights).sum()


def cross_entropy(
    scores: Tensor, truth: Tensor, *, task_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Compute the multi-class cross-entropy of the softmax, a mean over the images that have a class.

    Args:
        scores: Logits, shape (images, classes).
        truth: 1 for an image's class and 0 for the others, or NaN throughout (no class), same shape.
        task_weights: Factor of each class, shape (classes,); None for 1. The mean is weighted by them.
        label_smoothing: Share of each target that is spread evenly over all classes, 0 <= share < 1.

    Returns:
        A scalar; 0 when no image has a class.

    >>> scores, truth = torch.zeros(2, 4), torch.tensor([[1.0, 0.0, 0.0, 0.0], [torch.nan] * 4])
    >>> round(float(cross_entropy(scores, truth)), 4)  # log 4 for the first image
    1.3863
    """
    labelled = ~truth.isnan().any(1)
    if not labelled.any():
        return scores.sum() * 0.0  # attached to the graph, so that backward() still works
    return functional.cross_entropy(
        scores[labelled], truth[labelled].argmax(1), weight=task_weights, label_smoothing=label_smoothing
    )


def rarity(truth: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Compute label weights that grow with the rarity of positives (Tetteh et al. 2021, released code).

    With n the positives of each label, ``w = max(n) - n + mean(n)``, divided by its maximum. Labels without a positive share
    the largest weight; when no label has one, all weights are 1.

    Args:
        truth: 1, 0 or NaN of the images that a group is drawn from, shape (images, labels).

    Returns:
        Weights above 0, at most 1, float32, shape (labels,).

    >>> rarity(np.array([[1, 0], [1, 0], [1, 1]], np.float32)).round(2).tolist()  # n = 3, 1: w = 2, 4
    [0.5, 1.0]
    """
    positives = np.nansum(truth, axis=0, dtype=np.float64)
    weights = positives.max() - positives + positives.mean()
    shares: npt.NDArray[np.float32] = (weights / (weights.max() or 1.0)).astype(np.float32)
    return shares if weights.max() > 0 else np.ones_like(shares)


def objective(card: MethodCard) -> tuple[Objective, Objective]:
    """Return a method's objective twice: for validation, and for training, where it is called with ``task_weights``.

    Raises:
        CardError: The block or an option is unknown, or the card asks for task weights that the objective cannot take.
    """
    where = f"method {card.name}"
    name, options = blocks.split("objective", card.objective, where=where)
    block = blocks.check_options("objective", name, options, where=where)
    plain = partial(block, **options)
    if card.task_weights == "none":
        return plain, lambda scores, truth, task_weights: plain(scores, truth)  # noqa: ARG005
    if "task_weights" not in inspect.signature(block).parameters:
        raise CardError(
            f"{where}: task_weights = {card.task_weights!r}: objective {name!r} has no parameter 'task_weights'; "
            'expected task_weights = "none", or an objective that takes them'
        )
    return plain, plain
