"""Initial network of a fit: from random weights, from those of the model card, or from those of a parent."""

from __future__ import annotations

import msgspec
from torch import nn

from xrbench import blocks
from xrbench.cards import Recipe
from xrbench.progress import Reporter
from xrbench.rng import seed_of
from xrbench.training.components import heads
from xrbench.training.fitting.start import Start
from xrbench.training.models import networks


def initial_network(recipe: Recipe, start: Start | None = None, reporter: Reporter | None = None) -> nn.Module:
    """Build the network that a fit starts from, with the outputs of all its heads.

    Args:
        recipe: Specification of the fit.
        start: Its parent; None for the weights of the model card.
        reporter: Where a download of weights is shown.

    Raises:
        CardError, WeightsError: As for ``networks.build`` and ``Start.copy_into``.
        StoreError: As for ``Start.copy_into``.
    """
    if start is None:
        return networks.build(recipe.model, heads.outputs(recipe), seed=network_seed(recipe), reporter=reporter)
    # the parent's weights take the place of the model card's, which need not be on this machine
    network = random_network(recipe)
    start.copy_into(network, recipe)
    return network


def random_network(recipe: Recipe) -> nn.Module:
    """Build the network with random weights, whatever the model card says."""
    bare = msgspec.structs.replace(recipe.model, weights="none")
    return networks.build(bare, heads.outputs(recipe), seed=network_seed(recipe))


def output_layer(recipe: Recipe, network: nn.Module) -> str:
    """Return the name of a network's output layer; ``""`` where there is none."""
    return networks.first_and_head(network, heads.outputs(recipe))[1]


def network_seed(recipe: Recipe) -> int:
    """Derive the seed of a network's initial weights; it leaves the method out, so that methods start from equal weights."""
    network, options = blocks.split("network", recipe.model.network)
    option_texts = [f"{name}={options[name]!r}" for name in sorted(options)]
    return seed_of("network", recipe.seed, network, *option_texts) % 2**63
