"""Training loop of one network, an epoch at a time."""

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
"""Steps between two checks of the losses on a GPU, since reading one waits for the device."""


@dataclass(frozen=True)
class Epoch:
    """Figures of one epoch.

    Attributes:
        loss: Mean over steps of the objective summed over groups, without the L2 penalty.
        lr: Learning rate of the last update.
        images: Number of training images, repeats included.
        seconds: Time of the epoch.
        images_by_domain: Images drawn from each dataset, shape (domains,).
    """

    loss: float
    lr: float
    images: int
    seconds: float
    images_by_domain: npt.NDArray[np.int64]


class Loop:
    """A network with its optimiser and training images.

    Every random number of an epoch comes from a stream named by the fit's identity, a purpose and the epoch, so the state of
    network and optimiser is all that is needed to resume.

    Args:
        recipe: Specification of the fit.
        train: Training images.
        device: Device to train on.
        reporter: Where a download of weights is shown.

    Attributes:
        steps: Steps (batches of all groups) of an epoch.
        updates: Updates of the parameters in an epoch: one after every ``accumulate`` steps, and one for what is left.
        network: The network, on the device.
        task_weights: Weights of the labels in the objective for each group; None for equal weights.
    """

    def __init__(
        self, recipe: Recipe, train: ImageSet, *, device: torch.device, reporter: Reporter | None = None
    ) -> None:
        method = recipe.method
        self.recipe, self.train, self.device = recipe, train, device
        self.where = f"method {method.name}"
        _, sampler_options = blocks.split("sampler", method.sampler, where=self.where)
        self.steps = samplers.steps_in_epoch(
            train.domain,
            batch_size=recipe.batch_size,
            steps_per_epoch=recipe.steps_per_epoch,
            groups=int(sampler_options.get("groups", 0)),
        )
        self.updates = -(-self.steps // method.accumulate)
        self.pixels = to_tensor.Pixels(recipe.model, device=device, channels_last=recipe.channels_last)
        self.augmentation = to_tensor.augmentations(method.augmentation, where=self.where)
        self.validation_objective, self.objective = objective(method)
        self.network = networks.build(
            recipe.model, len(recipe.labels), seed=network_seed(recipe), reporter=reporter
        ).to(device, memory_format=self.pixels.layout)  # type: ignore[call-overload]
        self.parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        self.optimiser = self._call_block("optimiser", method.optimiser, self.parameters)
        self.base_rates = [group["lr"] for group in self.optimiser.param_groups]
        self.task_weights = self._task_weights()

    def epoch(self, number: int, bar: Task | None = None) -> Epoch:
        """Train for one epoch.

        Args:
            number: The epoch, from 0.
            bar: Advanced at every step.

        Raises:
            TrainingError: A loss is not finite, or the device is out of memory.
        """
        plan = self.plan(number)
        rng = stream(self.recipe.identity, "augmentation", number)
        torch.manual_seed(seed_of(self.recipe.identity, "dropout", number) % 2**63)
        self.network.train()
        losses: list[Tensor] = []
        started = time.perf_counter()
        try:
            for step, groups in enumerate(self._batches(plan)):
                losses.append(self._gradients(groups, rng))
                if (step + 1) % self.recipe.method.accumulate == 0 or step + 1 == len(plan):
                    lr = self._update(number, step)
                self._check_losses(losses, number, step, last=step + 1 == len(plan))
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
            images_by_domain=samplers.histogram(plan, self.train.domain, len(self.train.domains)).sum(0),
        )

    def plan(self, number: int) -> list[samplers.Step]:
        """Return the steps of an epoch: for each one, the positions of the images in each group.

        Raises:
            CardError: The sampler gave no step, or steps of different numbers of groups.
        """
        plan = list(
            self._call_block(
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
                f"{self.where}: sampler: expected steps with the same number of groups, got {sorted(groups) or 'no step'}"
            )
        return plan

    def _gradients(self, groups: Sequence[Batch], rng: np.random.Generator) -> Tensor:
        """Add the gradients of one step and return its loss, a scalar on the device."""
        # the loss is a sum over groups: a backward pass for each keeps the activations of only one in memory
        total = torch.zeros((), device=self.device)
        for (batch, truth), weights in zip(groups, self.task_weights, strict=True):
            images = self.pixels(batch, self.augmentation, rng)
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
                scores = self.network(images)
            target = torch.from_numpy(truth).to(self.device, non_blocking=True)
            loss = self.objective(scores.float(), target, task_weights=weights)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _update(self, number: int, step: int) -> float:
        """Update the parameters with the gradients of the last ``accumulate`` steps; return the learning rate."""
        method, update = self.recipe.method, step // self.recipe.method.accumulate
        if method.l2_in_loss:
            # each accumulated step has the penalty in its loss; the last update of an epoch may hold fewer steps
            self._add_l2_gradient(2 * method.l2_in_loss * (step - update * method.accumulate + 1))
        factor = self._call_block(
            "schedule",
            method.schedule,
            number * self.updates + update,
            epochs=self.recipe.epochs,
            steps_per_epoch=self.updates,
        )
        for group, rate in zip(self.optimiser.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return float(self.optimiser.param_groups[0]["lr"])

    def _add_l2_gradient(self, factor: float) -> None:
        """Add ``factor`` times each parameter to its gradient: the penalty's derivative, without a pass through autograd."""
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        with torch.no_grad():
            torch._foreach_add_([parameter.grad for parameter in self.parameters], self.parameters, alpha=factor)

    def _check_losses(self, losses: list[Tensor], number: int, step: int, *, last: bool) -> None:
        interval = 1 if self.device.type == "cpu" else CHECK_EVERY
        if (step + 1) % interval and not last:
            return
        # one transfer for all steps since the last check
        recent = torch.stack(losses[-interval:]).tolist()
        for at, loss in enumerate(recent, start=step + 2 - len(recent)):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"epoch {number + 1}, step {at}: the loss is {loss}: a lower learning rate may help "
                    f"(lr was {self.optimiser.param_groups[0]['lr']:g})"
                )

    def _batches(self, plan: list[samplers.Step]) -> Iterator[list[Batch]]:
        batches = ([(self.train.gather(group), self.train.truth[group]) for group in groups] for groups in plan)
        # on the CPU a thread that gathers images would take time from the cores that train
        return batches if self.device.type == "cpu" else ahead(batches)

    def _task_weights(self) -> list[Tensor | None]:
        """Return each group's label weights, from the positives of the datasets that its images are drawn from."""
        # shape (groups, domains): which datasets the first epoch draws a group from
        uses_domain = samplers.histogram(self.plan(0), self.train.domain, len(self.train.domains)) > 0
        if self.recipe.method.task_weights == "none":
            return [None] * len(uses_domain)
        return [
            torch.from_numpy(rarity(self.train.truth[group_domains[self.train.domain]])).to(self.device)
            for group_domains in uses_domain
        ]

    def _call_block(self, kind: str, spec: BlockSpec, *arguments: Any, **arguments_by_name: Any) -> Any:
        return call_block(kind, spec, self.where, *arguments, **arguments_by_name)


def call_block(kind: str, spec: BlockSpec, where: str, *arguments: Any, **arguments_by_name: Any) -> Any:
    """Call a block with the given arguments and the options of its card.

    Raises:
        CardError: The block does not accept them.
    """
    name, options = blocks.split(kind, spec, where=where)
    block = blocks.check_options(kind, name, options, where=where)
    for option in options:
        if option in arguments_by_name:
            raise CardError(f"{where}: {kind} {name!r}: {option!r} is not the card's to choose")
    try:
        return block(*arguments, **arguments_by_name, **options)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise CardError(f"{where}: {kind} {name!r}: {error}") from error


def network_seed(recipe: Recipe) -> int:
    """Derive the seed of a network's initial weights; it leaves the method out, so that methods start from equal weights."""
    network, options = blocks.split("network", recipe.model.network)
    option_texts = [f"{name}={options[name]!r}" for name in sorted(options)]
    return seed_of("network", recipe.seed, network, *option_texts) % 2**63
