"""Optimisers of torch, under the names and options that cards use."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.nn import Parameter
from torch.optim import Optimizer


def adam(
    parameters: Iterable[Parameter],
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
) -> Optimizer:
    """Make Adam (Kingma and Ba 2015); ``weight_decay`` w adds w times the parameter to its gradient."""
    return torch.optim.Adam(
        parameters, lr=lr, betas=(betas[0], betas[1]), eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, fused=True
    )


def adamw(
    parameters: Iterable[Parameter],
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    amsgrad: bool = False,
) -> Optimizer:
    """Make AdamW (Loshchilov and Hutter 2019): the decay is apart from the gradient."""
    return torch.optim.AdamW(
        parameters, lr=lr, betas=(betas[0], betas[1]), eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, fused=True
    )


def sgd(
    parameters: Iterable[Parameter],
    *,
    lr: float = 0.1,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Make stochastic gradient descent with momentum."""
    return torch.optim.SGD(
        parameters, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, fused=True
    )
