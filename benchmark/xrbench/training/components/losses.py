"""Losses of one group of images, and the weights of labels in them.

A loss is a function ``f(scores, truth, **options)`` of a head's logits and truth, both of shape (images, outputs), that returns a
scalar. NaN means not labelled: such an entry must neither count nor pass a gradient. A loss that can weight labels has a keyword
``task_weights`` of shape (labels,).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

Loss = Callable[..., Tensor]


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


def smooth_l1(scores: Tensor, truth: Tensor) -> Tensor:
    """Compute the smooth L1 loss (Girshick 2015), a mean over labelled entries: half the square of errors below 1, else the error - 1/2.

    Args:
        scores: Predicted numbers, shape (images, outputs).
        truth: True numbers or NaN (not labelled), same shape.

    Returns:
        A scalar; 0 when nothing is labelled.

    >>> float(smooth_l1(torch.zeros(3, 1), torch.tensor([[1.0], [3.0], [torch.nan]])))  # 1/2 and 5/2
    1.5
    """
    labelled = ~truth.isnan()
    # masked before the loss as well, as in masked_bce
    scores = torch.where(labelled, scores, 0.0)
    each = functional.smooth_l1_loss(scores, torch.where(labelled, truth, 0.0), reduction="none")
    return torch.where(labelled, each, 0.0).sum() / labelled.sum().clamp(min=1)


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
