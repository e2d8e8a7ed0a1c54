"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """Network whose weights and buffers are moving averages of those of the network in training.

    After update n (from 0) each value becomes ``d * average + (1 - d) * value`` with ``d = min(decay, (1 + n) / (10 + n))``: a smaller
    decay at first lets the initial weights fade. Counters are copied.

    Args:
        network: The network in training, on its device.
        decay: 0 < decay < 1.

    Attributes:
        network: The averaged network.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        # state_dict() refers to the tensors themselves, which both networks change in place
        pairs = list(zip(self.network.state_dict().values(), network.state_dict().values(), strict=True))
        self._averaged = [(average, value) for average, value in pairs if average.is_floating_point()]
        self._copied = [(average, value) for average, value in pairs if not average.is_floating_point()]

    @torch.no_grad()
    def update(self, number: int) -> None:
        """Take in the weights after an update of the parameters.

        Args:
            number: The update, from 0 over the whole training.
        """
        decay = min(self.decay, (1 + number) / (10 + number))
        averages, values = [average for average, _ in self._averaged], [value for _, value in self._averaged]
        torch._foreach_lerp_(averages, values, 1 - decay)
        for average, value in self._copied:
            average.copy_(value)
