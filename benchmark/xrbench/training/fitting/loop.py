"""Train one network for one epoch at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xrbench import blocks
from xrbench.cards import BlockSpec, Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import CardError, TrainingError
from xrbench.progress import Reporter, Task
from xrbench.rng import seed_of, stream
from xrbench.training.components import samplers
from xrbench.training.components.losses import objective, rarity
from xrbench.training.input import to_tensor
from xrbench.training.input.prefetch import ahead
from xrbench.training.models import networks

Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]

CHECK_EVERY = 16
"""On a GPU losses are looked at this often, since looking waits for the device."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch was like.

    Attributes:
        loss: Mean over its steps of the objective's sum over groups, without the squared parameters.
        lr: Learning rate of its last step.
        images: Images that went through the network.
        seconds: Time they took.
        drawn: Images drawn from each dataset, shape (domains,).
    """

    loss: float
    lr: float
    images: int
    seconds: float
    drawn: npt.NDArray[np.int64]


class Loop:
    """A network, its optimiser, and the training images.

    Every random number of an epoch comes from a stream that the fit's identity, a purpose and the epoch name, so nothing but
    the network and the optimiser has to be kept to go on after an interruption.

    Args:
        recipe: What decides the fit.
        train: Training images.
        device: Where to train.
        reporter: Where a download of weights is shown.
    """

    def __init__(
        self, recipe: Recipe, train: ImageSet, *, device: torch.device, reporter: Reporter | None = None
    ) -> None:
        method = recipe.method
        self.recipe, self.train, self.device = recipe, train, device
        self.where = f"method {method.name}"
        _, drawn = blocks.split("sampler", method.sampler, where=self.where)
        self.steps = samplers.steps_in_epoch(
            train.domain,
            batch_size=recipe.batch_size,
            steps_per_epoch=recipe.steps_per_epoch,
            groups=int(drawn.get("groups", 0)),
        )
        self.updates = -(-self.steps // method.accumulate)
        self.pixels = to_tensor.Pixels(recipe.model, device=device, channels_last=recipe.channels_last)
        self.augmentation = to_tensor.augmentations(method.augmentation, where=self.where)
        self.validation_objective, self.objective = objective(method)
        self.network = networks.build(
            recipe.model, len(recipe.labels), seed=network_seed(recipe), reporter=reporter
        ).to(device, memory_format=self.pixels.layout)  # type: ignore[call-overload]
        self.parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        self.optimiser = self._block("optimiser", method.optimiser, self.parameters)
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        self.task_weights = self._task_weights()

    def epoch(self, number: int, bar: Task | None = None) -> Epoch:
        """Train for one epoch.

        Args:
            number: Which one, from 0.
            bar: Moved on at every step.

        Raises:
            TrainingError: A loss is not a number, or memory is full.
        """
        plan = self.plan(number)
        rng = stream(self.recipe.identity, "augmentation", number)
        torch.manual_seed(seed_of(self.recipe.identity, "dropout", number) % 2**63)
        self.network.train()
        losses: list[Tensor] = []
        started = time.perf_counter()
        try:
            for step, groups in enumerate(self._fetched(plan)):
                losses.append(self._gradients(groups, rng))
                if (step + 1) % self.recipe.method.accumulate == 0 or step + 1 == len(plan):
                    lr = self._update(number, step)
                self._check(losses, number, step, last=step + 1 == len(plan))
                if bar is not None:
                    bar.advance()
        except torch.OutOfMemoryError as error:
            size, side = self.recipe.batch_size, self.recipe.image_size
            raise TrainingError(
                f"epoch {number + 1}: {self.device}: memory is full with batch_size {size} at {side} px"
            ) from error
        mean = float(torch.stack(losses).cpu().double().mean())
        return Epoch(
            loss=mean,
            lr=lr,
            images=sum(len(group) for groups in plan for group in groups),
            seconds=time.perf_counter() - started,
            drawn=samplers.histogram(plan, self.train.domain, len(self.train.domains)).sum(0),
        )

    def plan(self, number: int) -> list[samplers.Step]:
        """List which images make the steps of an epoch.

        Raises:
            CardError: The sampler gave no step, or steps of different numbers of groups.
        """
        plan = list(
            self._block(
                "sampler",
                self.recipe.method.sampler,
                self.train.domain,
                batch_size=self.recipe.batch_size,
                steps=self.steps,
                rng=stream(self.recipe.identity, "batches", number),
            )
        )
        groups = {len(step) for step in plan}
        if len(groups) != 1 or 0 in groups:
            raise CardError(
                f"{self.where}: sampler: wanted steps with the same number of groups, got {sorted(groups) or 'no step'}"
            )
        return plan

    def _gradients(self, groups: Sequence[Batch], rng: np.random.Generator) -> Tensor:
        """Add the gradients of one step; group by group, so that only one has to be in memory."""
        total = torch.zeros((), device=self.device)
        for (batch, truth), weights in zip(groups, self.task_weights, strict=True):
            images = self.pixels(batch, self.augmentation, rng)
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
                scores = self.network(images)
            wanted = torch.from_numpy(truth).to(self.device, non_blocking=True)
            loss = self.objective(scores.float(), wanted, task_weights=weights)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _update(self, number: int, step: int) -> float:
        """Move the parameters; return the learning rate."""
        method, update = self.recipe.method, step // self.recipe.method.accumulate
        if method.l2_in_loss:
            self._add_l2_gradient(2 * method.l2_in_loss * (step - update * method.accumulate + 1))
        factor = self._block(
            "schedule",
            method.schedule,
            number * self.updates + update,
            epochs=self.recipe.epochs,
            steps_per_epoch=self.updates,
        )
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return float(self.optimiser.param_groups[0]["lr"])

    def _add_l2_gradient(self, factor: float) -> None:
        """Add the gradient of the squared parameters, which is known: no need to send it through autograd."""
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        with torch.no_grad():
            torch._foreach_add_([parameter.grad for parameter in self.parameters], self.parameters, alpha=factor)

    def _check(self, losses: list[Tensor], number: int, step: int, *, last: bool) -> None:
        waiting = 1 if self.device.type == "cpu" else CHECK_EVERY
        if (step + 1) % waiting and not last:
            return
        recent = torch.stack(losses[-waiting:]).tolist()
        for at, loss in enumerate(recent, start=step + 2 - len(recent)):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"epoch {number + 1}, step {at}: the loss is {loss}: a lower learning rate may help "
                    f"(lr was {self.optimiser.param_groups[0]['lr']:g})"
                )

    def _fetched(self, plan: list[samplers.Step]) -> Iterator[list[Batch]]:
        batches = ([(self.train.gather(group), self.train.truth[group]) for group in groups] for groups in plan)
        # With the CPU as the device, a thread that gathers would take time from the cores that train.
        return batches if self.device.type == "cpu" else ahead(batches)

    def _task_weights(self) -> list[Tensor | None]:
        """Weigh labels for each group by the positives of the datasets that it is drawn from."""
        drawn = samplers.histogram(self.plan(0), self.train.domain, len(self.train.domains)) > 0
        if self.recipe.method.task_weights == "none":
            return [None] * len(drawn)
        return [
            torch.from_numpy(rarity(self.train.truth[np.isin(self.train.domain, np.flatnonzero(row))])).to(self.device)
            for row in drawn
        ]

    def _block(self, kind: str, spec: BlockSpec, *arguments: Any, **given: Any) -> Any:
        return made(kind, spec, self.where, *arguments, **given)


def made(kind: str, spec: BlockSpec, where: str, *arguments: Any, **given: Any) -> Any:
    """Call a block with these arguments and the options of its card.

    Raises:
        CardError: The block does not take them.
    """
    name, options = blocks.split(kind, spec, where=where)
    found = blocks.check_options(kind, name, options, where=where)
    for option in options:
        if option in given:
            raise CardError(f"{where}: {kind} {name!r}: {option!r} is not the card's to choose")
    try:
        return found(*arguments, **given, **options)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise CardError(f"{where}: {kind} {name!r}: {error}") from error


def network_seed(recipe: Recipe) -> int:
    """Derive the seed of a network's first random values: the same for every method, so that they start alike."""
    network, options = blocks.split("network", recipe.model.network)
    spelled = [f"{name}={options[name]!r}" for name in sorted(options)]
    return seed_of("network", recipe.seed, network, *spelled) % 2**63
