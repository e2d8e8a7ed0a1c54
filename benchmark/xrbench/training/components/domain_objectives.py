"""Objectives of all groups that look at the datasets of a step: alignment of features, and the worst dataset."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor, nn

from xrbench.training.components.base_loss import BaseLoss
from xrbench.training.components.steps import Group


class Coral:
    """Correlation alignment of datasets (deep CORAL, Sun and Saenko 2016): equal covariances of the features.

    The loss is the base loss of all images of the step, plus ``weight`` times the mean over pairs of datasets s, t of
    ``||C_s - C_t||_F^2 / (4 d^2)``, with C the covariance matrix (divisor n - 1) of a dataset's d features. A dataset with fewer than two
    images in the step is left out; with fewer than two datasets nothing is added.

    Args:
        base: The loss of a group.
        weight: Factor of the penalty, 0 or more.
    """

    def __init__(self, base: BaseLoss, *, weight: float = 1.0) -> None:
        self.base, self.weight = base, weight

    def __call__(self, groups: Sequence[Group]) -> Tensor:
        """Return the loss of a step, a scalar."""
        images = Group.join(groups)
        loss, penalty = self.base(images), coral_penalty(images.features, images.domain)
        return loss if penalty is None else loss + self.weight * penalty


class GroupDRO(nn.Module):
    """Distributionally robust optimisation over datasets, online (Sagawa et al. 2020, algorithm 1): the worst dataset counts most.

    Each dataset g has a weight q_g, equal at the start. A step multiplies the weights of its datasets by
    ``exp(step_size * (loss_g + adjustment / sqrt(n_g)))``, with n_g the number of training images of the dataset, normalises all weights,
    and minimises the sum of ``q_g * loss_g``. The adjustment moves the weights alone, as it has no gradient.

    Args:
        base: The loss of a group.
        images_by_domain: Training images of each dataset, shape (domains,).
        step_size: The paper's eta, 0 or more.
        adjustment: The paper's C, 0 or more, which favours small datasets.
    """

    weights: Tensor

    def __init__(
        self, base: BaseLoss, images_by_domain: Tensor, *, step_size: float = 0.01, adjustment: float = 0.0
    ) -> None:
        super().__init__()
        self.base, self.step_size = base, step_size
        self.margins = adjustment / images_by_domain.float().sqrt()
        self.register_buffer("weights", torch.full_like(self.margins, 1 / len(images_by_domain)))

    def forward(self, groups: Sequence[Group]) -> Tensor:
        """Return the loss of a step, a scalar, after the update of the weights."""
        images = Group.join(groups)
        drawn = torch.unique(images.domain)
        losses = torch.stack([self.base(images.rows(images.domain == number)) for number in drawn])
        with torch.no_grad():
            self.weights[drawn] *= torch.exp(self.step_size * (losses.detach() + self.margins[drawn]))
            self.weights /= self.weights.sum()
        # a copy, since the next step changes the buffer in place
        return (self.weights[drawn].clone() * losses).sum()


def coral_penalty(features: Tensor, domain: Tensor) -> Tensor | None:
    """Compute the mean over pairs of datasets of the distance of their covariances.

    Args:
        features: Shape (n, d).
        domain: Dataset of each row, as a number, shape (n,).

    Returns:
        A scalar, 0 or more; None with fewer than two datasets of at least two images.
    """
    numbers, counts = torch.unique(domain, return_counts=True)
    covariances = [_covariance(features[domain == number]) for number in numbers[counts > 1]]
    if len(covariances) < 2:
        return None
    pairs = [((one - other) ** 2).sum() for one, other in combinations(covariances, 2)]
    return torch.stack(pairs).mean() / (4 * features.shape[1] ** 2)


def _covariance(features: Tensor) -> Tensor:
    centred = features - features.mean(0)
    return centred.T @ centred / (len(features) - 1)
