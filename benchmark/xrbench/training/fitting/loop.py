"""Training loop of one network, an epoch at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import TrainingError
from xrbench.progress import Reporter, Task
from xrbench.rng import seed_of, stream
from xrbench.training.components import objectives, pruning, samplers
from xrbench.training.components.block_calls import call_block
from xrbench.training.components.steps import Step
from xrbench.training.fitting import plans, validation
from xrbench.training.fitting.averaging import Average
from xrbench.training.fitting.forward import Batch, Batches, Forward
from xrbench.training.fitting.initial import initial_network, output_layer
from xrbench.training.fitting.start import Start
from xrbench.training.fitting.step_objective import Scores, StepObjective, rarity_weights
from xrbench.training.input import to_tensor
from xrbench.training.input.prefetch import ahead

CHECK_EVERY = 16
"""Steps between two checks of the losses on a GPU, since reading one waits for the device."""


@dataclass(frozen=True)
class Epoch:
    """Figures of one epoch.

    Attributes:
        losses: Head -> the base loss of all images drawn together, by the outputs that they had at their step.
        loss: Sum of ``losses`` times the heads' weights; where no head has truth, ``objective``.
        objective: Mean over steps of what was minimised, without the L2 penalty.
        lr: Learning rate of the last update.
        groups: Groups in a step.
        images: Number of training images, repeats included.
        seconds: Time of the epoch.
        images_by_domain: Images drawn from each dataset, shape (domains,).
    """

    losses: Mapping[str, float]
    loss: float
    objective: float
    lr: float
    groups: int
    images: int
    seconds: float
    images_by_domain: npt.NDArray[np.int64]


class Loop:
    """A network with its optimiser and training images.

    Every random number of an epoch comes from a stream named by the fit's identity, a purpose and the epoch, so ``state`` is all
    that is needed to resume.

    Args:
        recipe: Specification of the fit.
        train: Training images.
        device: Device to train on.
        reporter: Where a download of weights is shown.
        start: The fit whose weights this one starts from; None for the weights of the model card.

    Attributes:
        steps: Steps (batches of all groups) of an epoch.
        updates: Updates of the parameters in an epoch: one after every ``accumulate`` steps, and one for what is left.
        network: The network in training, on the device.
        pruned: Its weights that are kept at 0.
        average: The moving average of its weights; None without averaging.
        objective: What is minimised.
        parameters: Parameters of the network that are trained.
        task_weights: Weights of the labels in the loss of each group; None for equal weights.
    """

    def __init__(
        self,
        recipe: Recipe,
        train: ImageSet,
        *,
        device: torch.device,
        reporter: Reporter | None = None,
        start: Start | None = None,
    ) -> None:
        method = recipe.method
        self.recipe, self.train, self.device = recipe, train, device
        self.where = f"method {method.name}"
        self.batches = Batches(train, recipe)
        self.steps = plans.count_steps(recipe, train, steps_per_epoch=recipe.steps_per_epoch)
        self.updates = -(-self.steps // method.accumulate)
        self.pixels = to_tensor.Pixels(recipe.model, device=device, channels_last=recipe.channels_last)
        self.augmentation = to_tensor.augmentations(method.augmentation, where=self.where)
        network = initial_network(recipe, start, reporter)
        # chosen from the weights at the start, on the CPU: a fit that is resumed, on whichever device, prunes the same ones
        masks = pruning.masks_of(method, network, output_layer(recipe, network))
        self.network = network.to(device, memory_format=self.pixels.layout)  # type: ignore[call-overload]
        self.pruned = pruning.Pruned(self.network, masks)
        # copied before the objective attaches itself to the network
        self.average = Average(self.network, method.averaging) if method.averaging else None
        self.objective = StepObjective(recipe, self.network, train, pixels=self.pixels)
        self.parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        trained = [*self.parameters, *self.objective.parameters]
        self.optimiser = call_block("optimiser", method.optimiser, self.where, trained)
        self.base_rates = [group["lr"] for group in self.optimiser.param_groups]
        weighted = method.task_weights == "rarity"
        self.task_weights = rarity_weights(train, self.plan(0), device) if weighted else None

    @property
    def evaluated(self) -> nn.Module:
        """The network that is validated and kept: the average where there is one."""
        return self.average.network if self.average else self.network

    @cached_property
    def evaluation_forward(self) -> Forward:
        """The forward pass of ``evaluated`` for an objective of all groups."""
        if self.average is None:
            return self.objective.forward
        return Forward(self.average.network, self.recipe, pixels=self.pixels, with_features=True)

    def epoch(self, number: int, bar: Task | None = None) -> Epoch:
        """Train for one epoch.

        Args:
            number: The epoch, from 0.
            bar: Advanced at every step.

        Raises:
            TrainingError: A loss is not finite, or the device is out of memory.
        """
        plan = self.plan(number)
        torch.manual_seed(seed_of(self.recipe.identity, "dropout", number) % 2**63)
        self.network.train()
        started = time.perf_counter()
        try:
            minimised, scores, lr = self._train(plan, number, bar)
        except torch.OutOfMemoryError as error:
            size, side = self.recipe.batch_size, self.recipe.image_size
            raise TrainingError(
                f"epoch {number + 1}: {self.device}: memory is full with batch_size {size} at {side} px"
            ) from error
        objective = float(torch.stack(minimised).cpu().double().mean())
        drawn = np.concatenate([group for groups in plan for group in groups])
        losses = validation.losses(_joined(scores), self.batches.truth_at(drawn), self.objective.base)
        return Epoch(
            losses=losses,
            loss=self.objective.base.total(losses) if losses else objective,
            objective=objective,
            lr=lr,
            groups=len(plan[0]),
            images=len(drawn),
            seconds=time.perf_counter() - started,
            images_by_domain=samplers.histogram(plan, self.train.domain, len(self.train.domains)).sum(0),
        )

    def plan(self, number: int) -> list[Step]:
        """Return the steps of an epoch: for each one, the positions of the images in each group.

        Raises:
            CardError: As for ``plans.draw``.
        """
        rng = stream(self.recipe.identity, "batches", number)
        return plans.draw(self.recipe, self.train, steps=self.steps, rng=rng, needs_pairs=self.objective.needs_pairs)

    def state(self) -> dict[str, Any]:
        """Return what training changes: tensors and plain values, which further training overwrites."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict() if self.average else None,
            "objective": objectives.state_of(self.objective.joint),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put the values of ``state`` back."""
        self.network.load_state_dict(state["network"])
        if self.average:
            self.average.network.load_state_dict(state["average"])
        objectives.restore(self.objective.joint, state["objective"])
        self.optimiser.load_state_dict(state["optimiser"])

    def _train(self, plan: list[Step], number: int, bar: Task | None) -> tuple[list[Tensor], list[Scores], float]:
        """Carry out the steps of a plan.

        Returns:
            What was minimised at each step, scalars; the scores of each group; the last learning rate.
        """
        rng = stream(self.recipe.identity, "augmentation", number)
        minimised: list[Tensor] = []
        scores: list[Scores] = []
        for step, groups in enumerate(self._prepared(plan)):
            loss, scores_of_groups = self.objective.backward(groups, self.augmentation, rng, self.task_weights)
            minimised.append(loss)
            scores += scores_of_groups
            if (step + 1) % self.recipe.method.accumulate == 0 or step + 1 == len(plan):
                lr = self._update(number, step)
            self._check_losses(minimised, number, step, last=step + 1 == len(plan))
            if bar is not None:
                bar.advance()
        return minimised, scores, lr

    def _update(self, number: int, step: int) -> float:
        """Update the parameters with the gradients of the last ``accumulate`` steps; return the learning rate."""
        method, update = self.recipe.method, step // self.recipe.method.accumulate
        if method.l2_in_loss:
            # each accumulated step has the penalty in its loss; the last update of an epoch may hold fewer steps
            self._add_l2_gradient(2 * method.l2_in_loss * (step - update * method.accumulate + 1))
        update += number * self.updates
        factor = call_block(
            "schedule", method.schedule, self.where, update, epochs=self.recipe.epochs, steps_per_epoch=self.updates
        )
        for group, rate in zip(self.optimiser.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor
        self.optimiser.step()
        self.pruned.reset()
        self.optimiser.zero_grad(set_to_none=True)
        if self.average:
            self.average.update(update)
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

    def _prepared(self, plan: list[Step]) -> Iterator[list[Batch]]:
        batches = self.batches.of(plan)
        # on the CPU a thread that gathers images would take time from the cores that train
        return batches if self.device.type == "cpu" else ahead(batches)


def _joined(scores: list[Scores]) -> dict[str, npt.NDArray[np.float32]]:
    """Concatenate the scores of groups on the CPU."""
    return {head: torch.cat([group[head] for group in scores]).cpu().numpy() for head in scores[0]}
