"""Blocks as a user would write them, in a package of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from xrbench.training.components.steps import PairedStep


def tiny_network(*, channels: int, outputs: int, width: int = 8, dropout: float = 0.0) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, 2, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(2 * width, outputs),
    )


def draws_globally(*, channels: int, outputs: int) -> nn.Module:
    """Does what no network should: it reseeds every generator there is."""
    import random

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    return nn.Conv2d(channels, outputs, 1)


def focal(scores: Tensor, truth: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Focal loss, masked (Lin et al. 2017)."""
    known = ~truth.isnan()
    loss = functional.binary_cross_entropy_with_logits(scores[known], truth[known], reduction="none")
    return ((1 - torch.exp(-loss)) ** gamma * loss).mean()


def not_a_number(scores: Tensor, truth: Tensor) -> Tensor:
    return scores.sum() * torch.nan


def flat(scores: Tensor, truth: Tensor) -> Tensor:
    """Give 0 with zero gradients, so that only the penalty on the parameters moves them."""
    return (scores * 0).sum() + (torch.nan_to_num(truth) * 0).sum()


def network_with_an_unused_layer(*, channels: int, outputs: int) -> nn.Module:
    network = tiny_network(channels=channels, outputs=outputs)
    network.register_parameter("unused", nn.Parameter(torch.ones(3)))
    return network


def without_norm(*, channels: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, outputs)
    )


def frozen_norm(*, channels: int, outputs: int) -> nn.Module:
    """Keep the factors of the first batch normalisation as they start."""
    network = tiny_network(channels=channels, outputs=outputs)
    network[1].weight.requires_grad_(False)  # type: ignore[index]
    return network


def one_by_one(domain: Any, *, batch_size: int, steps: int, rng: Any) -> Iterator[tuple[Any, ...]]:
    """Groups whose number changes: not what a sampler may do."""
    yield (np.arange(2),)
    yield (np.arange(2), np.arange(2))


def two_of_a_patient(
    domain: Any, *, batch_size: int, steps: int, rng: Any, patient: Any, truth: Any
) -> Iterator[PairedStep]:
    """Pair two images of one patient whose labels are equal."""
    labels = np.nan_to_num(truth, nan=-1)
    same = (patient[:, None] == patient) & (labels[:, None] == labels).all(2)
    pairs = np.argwhere(np.triu(same, 1))
    for _ in range(steps):
        chosen = pairs[rng.choice(len(pairs), batch_size)]
        yield PairedStep(chosen.T)


def two_views(domain: Any, *, batch_size: int, steps: int, rng: Any) -> Iterator[PairedStep]:
    """Take the same images twice; each group is augmented in its own way."""
    for _ in range(steps):
        images = rng.choice(len(domain), batch_size, replace=False)
        yield PairedStep((images, images))


def uneven_pairs(domain: Any, *, batch_size: int, steps: int, rng: Any) -> Iterator[PairedStep]:
    yield PairedStep((np.arange(2), np.arange(3)))


class Similar(nn.Module):
    """Contrast two views by a learned projection (as SimCLR, Chen et al. 2020); it counts its steps."""

    needs_pairs = True
    steps: Tensor

    def __init__(self, features: int, *, size: int = 8, temperature: float = 0.2) -> None:
        super().__init__()
        self.projection = nn.Sequential(nn.Linear(features, size), nn.Dropout(0.1))
        self.temperature = temperature
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, groups: Any) -> Tensor:
        one, other = (functional.normalize(self.projection(group.features)) for group in groups)
        self.steps += 1
        return functional.cross_entropy(one @ other.T / self.temperature, torch.arange(len(one)))


class Remembers:
    """Base loss times a plain number that moves at every step: a state without a module."""

    def __init__(self, base: Any, *, rate: float = 0.1) -> None:
        self.base, self.rate, self.factor = base, rate, 1.0

    def __call__(self, groups: Any) -> Tensor:
        loss: Tensor = sum(self.base(group) for group in groups)
        factor = self.factor
        self.factor += self.rate * float(loss.detach())
        return factor * loss

    def state_dict(self) -> dict[str, float]:
        return {"factor": self.factor}

    def load_state_dict(self, state: Any) -> None:
        self.factor = state["factor"]


class Sees:
    """Remember the groups of the last step, for tests that look at them."""

    last: Any = None

    def __init__(self, base: Any, features: int, domains: int, images_by_domain: Tensor) -> None:
        self.base, self.told = base, (features, domains, images_by_domain.tolist())

    def __call__(self, groups: Any) -> Tensor:
        Sees.last = groups
        return torch.stack([self.base(group) for group in groups]).sum()


class DiesAt:
    """A reporter that ends the process, or raises, at a step."""

    def __init__(self, step: int, error: BaseException | None = None) -> None:
        self.left, self.error = step, error

    def line(self, text: str) -> None:
        pass

    detail = line

    def bar(self, label: str, total: int) -> DiesAt:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.left -= steps
        if self.left <= 0:
            if self.error is not None:
                raise self.error
            os.kill(os.getpid(), signal.SIGKILL)


def odd_masks(network: nn.Module, *, fault: str) -> Any:
    """Return what no pruning method may."""
    faults: dict[str, Any] = {
        "list": [],
        "name": {"3.wieght": torch.ones(16, 8, 3, 3)},
        "array": {"3.weight": np.ones((16, 8, 3, 3))},
        "shape": {"3.weight": torch.ones(16, 8)},
        "value": {"3.weight": torch.full((16, 8, 3, 3), 0.5)},
    }
    return faults[fault]
