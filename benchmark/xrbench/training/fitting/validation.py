"""Validation: outputs of a network without training, and the figures by which an epoch is selected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from xrbench.cards import Recipe, Selection
from xrbench.data.images.image_set import ImageSet
from xrbench.progress import Task
from xrbench.training.components import heads
from xrbench.training.components.base_loss import BaseLoss
from xrbench.training.components.heads import Truth
from xrbench.training.components.steps import Indices
from xrbench.training.fitting import head_metrics
from xrbench.training.input.to_tensor import Augmentation, Pixels

RELEASED_DIVISOR = 2.5
"""Training steps for each validation batch in the released code of Tetteh et al. 2021: 430 / 172."""


@dataclass(frozen=True)
class HeadResult:
    """Validation figures of one head.

    Attributes:
        loss: Its loss over all validation images, without its weight; of a head without truth, the objective over validation steps.
        metrics: ``auc`` (mean over outputs that have one), ``accuracy`` or ``mae``, as its kind has them; NaN where undefined.
        aucs: AUC of each output, NaN where it has no positive or no negative, shape (outputs,).
    """

    loss: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    aucs: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class ValidationResult:
    """Validation figures of one epoch.

    Attributes:
        loss: The base loss over all validation images, without task weights; where no head has truth, the objective over validation
            steps. NaN without validation.
        heads: Head -> its figures.
    """

    loss: float
    heads: Mapping[str, HeadResult]

    def value(self, figure: Selection) -> float:
        """Return the figure that selects an epoch."""
        head = self.heads[figure.head]
        return head.loss if figure.metric == "loss" else head.metrics[figure.metric]


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


def undefined_result(recipe: Recipe) -> ValidationResult:
    """Return the result of a validation without images."""
    nan, results = float("nan"), {}
    for head in recipe.method.learned:
        aucs = np.full(len(recipe.labels) if head.kind == "labels" else 0, nan)
        results[head.name] = HeadResult(nan, dict.fromkeys(head_metrics.METRICS[head.kind], nan), aucs)
    return ValidationResult(loss=nan, heads=results)


def evaluate(
    scores: Mapping[str, npt.NDArray[np.float32]], truth: Truth, base: BaseLoss, recipe: Recipe
) -> ValidationResult:
    """Compute loss and metrics of the heads that have truth.

    Args:
        scores: Head -> logits, shape (images, outputs).
        truth: Head -> truth, NaN for not labelled, same shape.
        base: The loss of one group over all heads.
        recipe: Gives the heads.
    """
    by_head, results = losses(scores, truth, base), {}
    for head in heads.with_truth(recipe.method.learned):
        exclusive = heads.is_exclusive(head, recipe)
        metrics, aucs = head_metrics.compute(head, truth[head.name], scores[head.name], is_exclusive=exclusive)
        results[head.name] = HeadResult(by_head[head.name], metrics, aucs)
    return ValidationResult(loss=base.total(by_head) if by_head else float("nan"), heads=results)


def losses(scores: Mapping[str, npt.NDArray[np.float32]], truth: Truth, base: BaseLoss) -> dict[str, float]:
    """Compute the loss of each head over all images together, without the heads' weights.

    Args:
        scores: Head -> logits, shape (images, outputs).
        truth: Head -> truth, NaN for not labelled, same shape.
        base: The loss of one group over all heads.
    """
    with torch.inference_mode():
        by_head = base.by_head(_tensors(scores), _tensors(truth))
    return {head: float(loss) for head, loss in by_head.items()}


def _tensors(arrays: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, torch.Tensor]:
    return {head: torch.from_numpy(values) for head, values in arrays.items()}
