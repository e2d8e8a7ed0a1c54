"""Pruning: which weights of a trained network are set to 0, and kept there while the others are trained further.

A pruning method is a function ``f(network, **options)`` of the network with its parent's weights. It returns masks: name of a
parameter -> a tensor of its shape, 1 where a weight is kept and 0 where it is pruned. Parameters without a mask are kept. Where its
signature names ``head``, it is given the name of the output layer (``""`` where there is none).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from xrbench import blocks
from xrbench.cards import MethodCard
from xrbench.errors import CardError, suggestion
from xrbench.training.components.block_calls import call_block

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
"""Layers whose weights ``magnitude`` prunes."""


class Pruned:
    """Weights of a network that are kept at 0.

    Args:
        network: The network, on its device; the pruned weights become 0 at once.
        masks: Name of a parameter -> 1 where a weight is kept, 0 where it is pruned.
    """

    def __init__(self, network: nn.Module, masks: Mapping[str, Tensor]) -> None:
        parameters = dict(network.named_parameters())
        self._weights = [parameters[name] for name in masks]
        self._masks = [mask.to(weight) for mask, weight in zip(masks.values(), self._weights, strict=True)]
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Set the pruned weights to 0 again, after a step of an optimiser moved them."""
        for weight, mask in zip(self._weights, self._masks, strict=True):
            weight.mul_(mask)


def masks_of(method: MethodCard, network: nn.Module, head: str) -> Mapping[str, Tensor]:
    """Compute the masks of a fit from the weights that its network has; there are none where the method does not prune.

    Args:
        method: The method.
        network: The network with its parent's weights.
        head: Name of its output layer.

    Raises:
        CardError: The block does not accept its options, or its masks do not fit the network.
    """
    if not method.pruning:
        return {}
    where = f"method {method.name}"
    masks = call_block("pruning", method.pruning, where, network, on_request={"head": head})
    name, _ = blocks.split("pruning", method.pruning, where=where)
    _check(masks, dict(network.named_parameters()), f"{where}: pruning {name!r}")
    return dict(masks)


def magnitude(network: nn.Module, *, amount: float = 0.5, head: str = "") -> dict[str, Tensor]:
    """Prune the smallest absolute weights of all convolution and linear layers together (Han et al. 2015, NeurIPS 28:1135).

    Biases, normalisation and the output layer are kept.

    Args:
        network: The network.
        amount: Share of these weights that is pruned, 0 <= amount < 1; their number is rounded.
        head: Name of the output layer.

    Returns:
        Name of a weight -> its mask, of the weight's shape.

    Raises:
        ValueError: The amount is outside of its range.

    Examples:
        >>> layer = nn.Linear(4, 1, bias=False)
        >>> layer.weight.data = torch.tensor([[0.3, -0.1, 0.2, -0.4]])
        >>> magnitude(nn.Sequential(layer), amount=0.5)["0.weight"].tolist()
        [[1.0, 0.0, 0.0, 1.0]]
    """
    if not 0 <= amount < 1:
        raise ValueError(f"amount: expected 0 <= amount < 1, got {amount}")
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, LAYERS) and name != head}
    weights = {f"{name}.weight" if name else "weight": layer.weight.detach() for name, layer in layers.items()}
    if not weights:
        return {}
    sizes = torch.cat([weight.abs().flatten() for weight in weights.values()])
    kept = torch.ones_like(sizes)
    kept[sizes.topk(round(amount * len(sizes)), largest=False).indices] = 0
    parts = torch.split(kept, [weight.numel() for weight in weights.values()])
    return {name: part.view_as(weight) for part, (name, weight) in zip(parts, weights.items(), strict=True)}


def _check(masks: object, parameters: Mapping[str, nn.Parameter], where: str) -> None:
    """Refuse what is no mapping, masks of unknown parameters or of other shapes, and values other than 0 and 1."""
    if not isinstance(masks, Mapping):
        raise CardError(f"{where}: expected a mapping from names of parameters to masks, got {type(masks).__name__}")
    for name, mask in masks.items():
        if name not in parameters:
            raise CardError(f"{where}: mask of an unknown parameter {name!r}{suggestion(str(name), parameters)}")
        if not isinstance(mask, Tensor):
            raise CardError(f"{where}: mask of {name!r}: expected a tensor, got {type(mask).__name__}")
        if mask.shape != parameters[name].shape:
            raise CardError(
                f"{where}: mask of {name!r}: expected shape {tuple(parameters[name].shape)}, got {tuple(mask.shape)}"
            )
        if not ((mask == 0) | (mask == 1)).all():
            raise CardError(f"{where}: mask of {name!r}: expected 0 and 1 alone")
