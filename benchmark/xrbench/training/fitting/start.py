"""Start of a fit from the finished weights of another one, its parent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from xrbench.cards import Recipe
from xrbench.errors import WeightsError
from xrbench.training.components import heads
from xrbench.training.fitting.checkpoint import FitFolder
from xrbench.training.models import networks, state_dict


@dataclass(frozen=True)
class Start:
    """A finished fit whose weights another one starts from.

    Attributes:
        folder: Its folder.
        key: Its key.
        recipe: Its specification.
        take: What is taken over: the ``backbone``, under an output layer with new random weights, or ``all``.
    """

    folder: Path
    key: str
    recipe: Recipe
    take: Literal["backbone", "all"] = "backbone"

    def copy_into(self, network: nn.Module, recipe: Recipe) -> None:
        """Copy the weights into the network of the fit that starts.

        Args:
            network: The network; its tensors are overwritten.
            recipe: Specification of its fit.

        Raises:
            StoreError: The parent is not finished, or its folder holds another fit.
            WeightsError: Its weights do not fit the network; with ``all`` the heads have to be equal, too.
        """
        where = f"method {recipe.method.name}: weights of its parent {self.recipe.method.name} ({self.folder})"
        if self.take == "all" and _outputs(self.recipe) != _outputs(recipe):
            raise WeightsError(
                f"{where}: all are to be taken over: outputs {_words(self.recipe)} there, {_words(recipe)} here"
            )
        weights = FitFolder(self.folder, key=self.key, recipe=self.recipe).weights()
        first, head = networks.first_and_head(network, heads.outputs(recipe))
        state_dict.copy_into(
            weights,
            network,
            first=first,
            head=head,
            stem=recipe.model.stem,
            keep_head=self.take == "all",
            where=where,
        )


def _outputs(recipe: Recipe) -> list[tuple[str, tuple[str, ...]]]:
    """List what the outputs of a network mean: each head with its labels or values."""
    return [
        (head.name, recipe.labels if head.kind == "labels" else head.values)
        for head in heads.with_truth(recipe.method.learned)
    ]


def _words(recipe: Recipe) -> str:
    return ", ".join(f"{name} ({'/'.join(values)})" if values else name for name, values in _outputs(recipe)) or "none"
