"""What a step minimises: its groups' forward passes, the loss, and the backward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.rng import seed_of
from xrbench.training.components import base_loss, objectives, samplers
from xrbench.training.components.losses import rarity
from xrbench.training.components.objectives import JointObjective
from xrbench.training.components.steps import Step
from xrbench.training.fitting.forward import Batch, Forward
from xrbench.training.input.to_tensor import Augmentation, Pixels
from xrbench.training.models import networks

Scores = dict[str, Tensor]
"""Head -> logits, shape (n, outputs)."""


class StepObjective:
    """Objective of a fit, with the forward and backward passes of a step.

    Args:
        recipe: Specification of the fit.
        network: The network in training, on its device.
        train: Training images.
        pixels: Converts bytes to the network's input.

    Attributes:
        base: The loss of one group over all heads.
        joint: The objective of all groups of a step; None where each group has a loss of its own.
        needs_pairs: Whether the groups of a step have to be paired.

    Raises:
        CardError: Nothing can be learned by this objective, or it needs features that the network does not have.
    """

    def __init__(self, recipe: Recipe, network: nn.Module, train: ImageSet, *, pixels: Pixels) -> None:
        self.train, self.device = train, pixels.device
        self.base = base_loss.BaseLoss(recipe)
        is_joint = base_loss.is_joint(recipe.method)
        if not is_joint:
            objectives.refuse_nothing_learned(recipe.method)
        self.forward = Forward(network, recipe, pixels=pixels, with_features=is_joint)
        self.joint = self._build_joint(recipe) if is_joint else None
        self.needs_pairs = bool(getattr(self.joint, "needs_pairs", False))

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Parameters of the objective itself."""
        return list(self.joint.parameters()) if isinstance(self.joint, nn.Module) else []

    def backward(
        self,
        batches: Sequence[Batch],
        augmentation: Sequence[Augmentation],
        rng: np.random.Generator,
        task_weights: Sequence[Tensor] | None,
    ) -> tuple[Tensor, list[Scores]]:
        """Add the gradients of one step.

        Args:
            batches: The groups of the step.
            augmentation: Applied in order.
            rng: Generator of the augmentations.
            task_weights: Weights of the labels for each group, shape (labels,); None for 1.

        Returns:
            What is minimised, a scalar, and the scores of each group, both on the device without gradients.
        """
        if self.joint is None:
            return self._backward_by_group(batches, augmentation, rng, task_weights)
        groups = [self.forward.group(batch, self.train, augmentation, rng) for batch in batches]
        loss = self.joint(groups)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach(), [_detached(group.scores) for group in groups]

    def _backward_by_group(
        self,
        batches: Sequence[Batch],
        augmentation: Sequence[Augmentation],
        rng: np.random.Generator,
        task_weights: Sequence[Tensor] | None,
    ) -> tuple[Tensor, list[Scores]]:
        # the loss is a sum over groups: a backward pass for each keeps the activations of only one in memory
        total = torch.zeros((), device=self.device)
        scores_of_groups = []
        for number, batch in enumerate(batches):
            scores = self.forward.scores(batch, augmentation, rng)
            weights = task_weights[number] if task_weights else None
            loss = self.base.total(self.base.by_head(scores, self.forward.truth(batch), task_weights=weights))
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
            scores_of_groups.append(_detached(scores))
        return total, scores_of_groups

    def _build_joint(self, recipe: Recipe) -> JointObjective:
        counts = np.bincount(self.train.domain, minlength=len(self.train.domains))
        # a seed of its own, so that an objective with parameters draws the same ones whatever else is built
        with networks.isolated(seed_of(recipe.identity, "objective") % 2**63):
            return objectives.build(
                recipe.method,
                self.base,
                features=self.forward.features,
                images_by_domain=torch.from_numpy(counts).to(self.device),
            )


def _detached(scores: Mapping[str, Tensor]) -> Scores:
    return {head: values.detach() for head, values in scores.items()}


def rarity_weights(train: ImageSet, plan: list[Step], device: torch.device) -> list[Tensor]:
    """Return the weights of the labels for each group, from the positives of the datasets that a plan draws the group from."""
    # shape (groups, domains): which datasets the plan draws a group from
    uses_domain = samplers.histogram(plan, train.domain, len(train.domains)) > 0
    return [
        torch.from_numpy(rarity(train.truth[group_domains[train.domain]])).to(device) for group_domains in uses_domain
    ]
