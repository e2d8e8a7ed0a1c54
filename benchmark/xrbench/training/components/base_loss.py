"""The loss of one group of images over all heads: what is logged of training and validation, and what objectives build on."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Mapping
from functools import partial, reduce
from typing import NamedTuple, TypeVar

from torch import Tensor

from xrbench import blocks
from xrbench.cards import BlockSpec, Head, MethodCard, Recipe
from xrbench.errors import CardError
from xrbench.training.components import heads
from xrbench.training.components.losses import Loss
from xrbench.training.components.steps import Group

T = TypeVar("T", float, Tensor)


class _HeadLoss(NamedTuple):
    loss: Loss
    weight: float
    scale: float
    is_weighted: bool


class BaseLoss:
    """Sum over the heads of each head's loss times its weight: without task weights and penalties.

    Args:
        recipe: Gives the heads, and whether labels are classes.

    Raises:
        CardError: A block or an option is unknown, or the card asks for task weights that the loss of the labels cannot take.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._parts = {
            head.name: _head_loss(head, recipe, f"method {recipe.method.name}")
            for head in heads.with_truth(recipe.method.learned)
        }

    def __call__(self, group: Group) -> Tensor:
        """Return the loss of a group, or of some rows of it, a scalar; 0 where no head has truth."""
        if not self._parts:
            return group.features.sum() * 0.0  # attached to the graph, so that backward() still works
        return self.total(self.by_head(group.scores, group.truth))

    def by_head(
        self, scores: Mapping[str, Tensor], truth: Mapping[str, Tensor], *, task_weights: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the loss of each head.

        Args:
            scores: Head -> logits, shape (n, outputs).
            truth: Head -> truth, same shape.
            task_weights: Factors of the suite's labels, shape (labels,); None for 1.

        Returns:
            Head -> a scalar, not multiplied by the head's weight.
        """
        losses = {}
        for name, part in self._parts.items():
            target = truth[name] if part.scale == 1.0 else truth[name] / part.scale
            weighted = {"task_weights": task_weights} if part.is_weighted and task_weights is not None else {}
            losses[name] = part.loss(scores[name], target, **weighted)
        return losses

    def total(self, losses: Mapping[str, T]) -> T:
        """Sum the losses of all heads, at least one, times their weights."""
        return reduce(operator.add, (self._parts[name].weight * loss for name, loss in losses.items()))


def is_joint(method: MethodCard) -> bool:
    """Return whether a method's objective is one of all groups of a step together: a class."""
    name, _ = blocks.split("objective", method.objective, where=f"method {method.name}")
    return inspect.isclass(blocks.find("objective", name, where=f"method {method.name}"))


def _head_loss(head: Head, recipe: Recipe, where: str) -> _HeadLoss:
    name, options = blocks.split("objective", _loss_block(head, recipe), where=where)
    block = blocks.check_options("objective", name, options, where=where)
    if inspect.isclass(block):
        raise CardError(f"{where}: heads: {head.name}: loss: {name!r} is an objective of all groups; expected a loss")
    is_weighted = head.kind == "labels" and recipe.method.task_weights != "none"
    if is_weighted and "task_weights" not in inspect.signature(block).parameters:
        raise CardError(
            f"{where}: task_weights = {recipe.method.task_weights!r}: objective {name!r} has no parameter 'task_weights'; "
            'expected task_weights = "none", or an objective that takes them'
        )
    return _HeadLoss(partial(block, **options), head.weight, head.scale, is_weighted)


def _loss_block(head: Head, recipe: Recipe) -> BlockSpec:
    """Return the block of a head's loss: its own, the method's objective for labels, or the usual one of its kind."""
    if head.loss:
        return head.loss
    if head.kind == "labels" and not is_joint(recipe.method):
        return recipe.method.objective
    if head.kind == "regression":
        return "smooth-l1"
    return "cross-entropy" if heads.is_exclusive(head, recipe) else "masked-bce"
