"""Objectives: what a training step minimises.

An objective is one of two things.

* A function ``f(scores, truth, *, task_weights=None, **options)`` is the loss of the suite's labels in one group. The loss of a step
  is the sum over its groups, which go forward and backward one after the other, so that the memory is that of one group.
* A class is an objective of all groups of a step together. It is constructed with the options of its card, and with what its
  signature names of: ``base`` (``BaseLoss``: the loss of a group or of rows of it, over all heads), ``domains`` (number of datasets),
  ``features`` (their number) and ``images_by_domain`` (training images of each dataset, shape (domains,)). Called with the groups of
  a step (``Group``), it returns a scalar. With an attribute ``needs_pairs = True`` it is given paired steps only.

A class may have a state: ``state_dict()`` returns tensors and plain values, ``load_state_dict()`` takes them back, and the
checkpoint keeps them. The parameters of a ``torch.nn.Module`` are optimised beside the network's. Random numbers come from torch's
global generator, which has a seed of its own in each epoch.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from torch import Tensor, nn

from xrbench.cards import MethodCard
from xrbench.errors import CardError
from xrbench.training.components import heads
from xrbench.training.components.base_loss import BaseLoss
from xrbench.training.components.block_calls import call_block
from xrbench.training.components.steps import Group


class JointObjective(Protocol):
    """Objective of all groups of a step."""

    def __call__(self, groups: Sequence[Group]) -> Tensor:
        """Return the loss of a step, a scalar."""


def build(method: MethodCard, base: BaseLoss, *, features: int, images_by_domain: Tensor) -> JointObjective:
    """Build a method's objective of all groups.

    Args:
        method: The method.
        base: The loss of one group.
        features: Number of features.
        images_by_domain: Training images of each dataset, shape (domains,), on the device.

    Raises:
        CardError: The class does not accept the options of the card, or the card asks for task weights.
    """
    where = f"method {method.name}"
    if method.task_weights != "none":
        raise CardError(
            f'{where}: task_weights = {method.task_weights!r}: an objective of all groups takes none; expected "none"'
        )
    offered = {
        "base": base,
        "features": features,
        "domains": len(images_by_domain),
        "images_by_domain": images_by_domain,
    }
    objective: JointObjective = call_block("objective", method.objective, where, on_request=offered)
    return objective.to(images_by_domain.device) if isinstance(objective, nn.Module) else objective


def refuse_nothing_learned(method: MethodCard) -> None:
    """Refuse a method without truth whose objective sees no features.

    Raises:
        CardError: It is one.
    """
    if not heads.with_truth(method.learned):
        raise CardError(
            f"method {method.name}: objective: {method.objective!r} learns from truth, and no head has one; "
            "expected an objective of all groups, which learns from features"
        )


def state_of(objective: object) -> dict[str, Any]:
    """Return the state of an objective; empty where it has none."""
    return dict(objective.state_dict()) if hasattr(objective, "state_dict") else {}


def restore(objective: object, state: Mapping[str, Any]) -> None:
    """Put the state of ``state_of`` back."""
    if hasattr(objective, "load_state_dict"):
        objective.load_state_dict(state)


@contextmanager
def unchanged(objective: object) -> Iterator[None]:
    """Evaluate an objective inside the block: a module without dropout, and the state afterwards as it was before."""
    before = copy.deepcopy(state_of(objective))
    if isinstance(objective, nn.Module):
        objective.eval()
    try:
        yield
    finally:
        restore(objective, before)
        if isinstance(objective, nn.Module):
            objective.train()
