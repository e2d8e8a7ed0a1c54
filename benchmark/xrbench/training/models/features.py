"""Features of a network: the input of its output layer."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from xrbench.errors import CardError


class NoOutputs(nn.Identity):
    """Module in the place of the output layer of a network that learns from features alone; it returns them.

    Args:
        in_features: Number of features.
    """

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.in_features = in_features


class FeatureReader:
    """Read the features of a network at every forward pass.

    Args:
        network: The network.
        layer: Name of its output layer.
        where: The model, for messages.

    Attributes:
        count: Number of features.

    Raises:
        CardError: The output layer is not a linear one.
    """

    def __init__(self, network: nn.Module, layer: str, *, where: str) -> None:
        self.count = count_features(network, layer, where=where)
        self._features: Tensor | None = None
        network.get_submodule(layer).register_forward_pre_hook(self._read)

    def take(self) -> Tensor:
        """Return the features of the last forward pass, float32, shape (images, features), and forget them."""
        if self._features is None:
            raise RuntimeError("no forward pass since the features were taken last")
        features, self._features = self._features.float(), None
        return features

    def _read(self, _layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._features = inputs[0]


def remove_outputs(network: nn.Module, layer: str, *, where: str) -> None:
    """Replace the output layer, so that the network returns its features.

    Raises:
        CardError: The output layer is not a linear one.
    """
    parent, _, attribute = layer.rpartition(".")
    replacement = NoOutputs(count_features(network, layer, where=where))
    setattr(network.get_submodule(parent), attribute, replacement)


def count_features(network: nn.Module, layer: str, *, where: str) -> int:
    """Return the number of features of a network.

    Args:
        network: The network.
        layer: Name of its output layer, ``""`` for none.
        where: The model, for messages.

    Raises:
        CardError: The output layer is not a linear one.
    """
    module = network.get_submodule(layer) if layer else None
    if not isinstance(module, nn.Linear | NoOutputs):
        kind = type(module).__name__ if layer else "none"
        raise CardError(
            f"{where}: the objective needs features, the input of a linear output layer; the network has {kind}"
        )
    return module.in_features
