"""Networks by name, from timm, torchvision and torchxrayvision, with the initial weights of their card.

A network block is a function ``f(*, channels, outputs, **options) -> nn.Module`` that returns random weights; initial weights and
the adaptation of the first layer are handled here, in the same way for all blocks. Building leaves the global generators as they
were, and the same seed builds the same network.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from xrbench import blocks
from xrbench.cards import ModelCard
from xrbench.errors import CardError, UnknownNameError, suggestion
from xrbench.progress import Reporter
from xrbench.training.models import state_dict, weights
from xrbench.training.models.features import NoOutputs, remove_outputs


def build(card: ModelCard, outputs: int, *, seed: int, reporter: Reporter | None = None) -> nn.Module:
    """Build the network of a card with its initial weights, for training.

    Args:
        card: The model card.
        outputs: Number of outputs; the output layer is always new. With 0 there is none, and the network returns its features.
        seed: Seed of all random values, from 0 to 2**63 - 1.
        reporter: Where a download is shown.

    Raises:
        CardError: The card names a network, an option or weights that do not exist.
        WeightsError: The weights are not available, or do not fit.
    """
    # a network is built with an output layer, which shows where its features are
    count = outputs or 1
    with isolated(seed):
        network = _build_random(card, count)
        if card.weights != "none":
            _start_from_weights(network, card, count, keep_head=False, reporter=reporter)
    if not outputs:
        remove_outputs(network, first_and_head(network, count)[1], where=f"model {card.name}")
    return network


def build_pretrained(card: ModelCard, *, reporter: Reporter | None = None) -> nn.Module:
    """Build the network of a card with all its weights, for use without training; one output for each of ``card.outputs``.

    Raises:
        CardError: The card names no outputs or no weights, or names outputs that its published weights do not have.
        WeightsError: As for ``build``.
    """
    if not card.outputs or card.weights == "none":
        raise CardError(
            f"model {card.name}: 'outputs' and 'weights' are expected in a pretrained model that is used without training"
        )
    block, _ = blocks.split("network", card.network, where=f"model {card.name}")
    # a fixed seed for layers that the weights do not cover, such as a new first layer
    with isolated(0):
        network = _build_random(card, len(card.outputs))
        if block == "torchxrayvision" and not weights.is_local(card):
            network = _with_published_outputs(network, card)
        _start_from_weights(network, card, len(card.outputs), keep_head=True, reporter=reporter)
    return network.eval()


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Run a block under a seed of its own and leave the generators of torch (CPU), numpy and random as they were."""
    # libraries that build networks draw from, or reseed, all three generators
    before = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


def timm_network(*, name: str, channels: int, outputs: int, norm_factors: bool = True, **options: Any) -> nn.Module:
    """Build a network of timm with random weights.

    Args:
        name: Its name in timm, optionally with the tag of the weights that ``imagenet`` means: ``resnet18.a1_in1k``.
        channels: Channels of its input.
        outputs: Number of its outputs.
        norm_factors: Whether batch normalisation learns a factor for each channel; False keeps those it starts with, as Keras's
            layers with ``scale=False``.
        options: Passed on, such as ``drop_rate``; ``widths`` (one for each stage) is the option ``channels`` of timm's residual networks.
    """
    import timm

    if not timm.is_model(name):
        raise UnknownNameError("timm network", name, timm.list_models())
    if "widths" in options:
        options["channels"] = tuple(options.pop("widths"))
    network: nn.Module = timm.create_model(name, pretrained=False, in_chans=channels, num_classes=outputs, **options)
    if not norm_factors:
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d) and layer.weight is not None:
                layer.weight.requires_grad_(False)
    return network


def torchvision_network(*, name: str, channels: int, outputs: int, pretrained: str = "", **options: Any) -> nn.Module:
    """Build a network of torchvision with random weights.

    Args:
        name: Its name in torchvision, such as ``densenet121``.
        channels: Channels of its input; other than three, the first convolution is replaced by one with that many.
        outputs: Number of its outputs.
        pretrained: Which of torchvision's weights ``imagenet`` means, such as ``IMAGENET1K_V1``; empty for its default.
        options: Passed on, such as ``drop_rate``.
    """
    from torchvision import models

    del pretrained  # an option of the card that only the look-up of weights reads
    if name not in models.list_models(module=models):
        raise UnknownNameError("torchvision network", name, models.list_models(module=models))
    network: nn.Module = models.get_model(name, weights=None, num_classes=outputs, **options)
    _replace_first_layer(network, channels)
    return network


def torchxrayvision_network(*, name: str = "densenet121", channels: int = 1, outputs: int) -> nn.Module:
    """Build a network of torchxrayvision (one channel) with random weights.

    Args:
        name: ``densenet121`` or ``resnet50``.
        channels: 1.
        outputs: Number of its outputs.
    """
    if channels != 1:
        raise CardError(f"torchxrayvision's networks take 1 channel, not {channels}")
    if name == "densenet121":
        body: nn.Module = weights.torchxrayvision_models().DenseNet(num_classes=outputs, in_channels=1, weights=None)
    elif name == "resnet50":
        body = torchvision_network(name="resnet50", channels=1, outputs=outputs)
    else:
        raise UnknownNameError("torchxrayvision network", name, ["densenet121", "resnet50"])
    return body


class Published(nn.Module):
    """Network as torchxrayvision publishes it: images are resized to its resolution, and outputs are probabilities.

    Each sigmoid p is calibrated so that the published operating point t is at 0.5, as in that library: p / 2t below t, and
    1 - (1 - p) / 2(1 - t) above it. An output without an operating point, which is 0.5 throughout there, keeps p.

    Args:
        body: The network with logits as outputs.
        resolution: Side in pixels of the body's input.
        points: Operating point of each output, NaN for none, shape (outputs,).
    """

    gives_probabilities = True

    def __init__(self, body: nn.Module, *, resolution: int, points: Tensor) -> None:
        super().__init__()
        self.body, self.resolution = body, resolution
        self.register_buffer("points", points, persistent=False)

    def logits(self, images: Tensor) -> Tensor:
        """Return the body's outputs for images of any resolution, shape (images, outputs)."""
        if images.shape[-2:] != (self.resolution, self.resolution):
            size = (self.resolution, self.resolution)
            images = functional.interpolate(images, size=size, mode="bilinear", antialias=True)
        logits: Tensor = self.body(images)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Return probabilities, shape (images, outputs)."""
        probabilities = torch.sigmoid(self.logits(images))
        # both branches are computed for all outputs and chosen below; NaN points give NaN branches that are never chosen
        points = self.points.expand_as(probabilities)  # type: ignore[operator]
        low = probabilities / (2 * points)
        high = 1 - (1 - probabilities) / (2 * (1 - points))
        return torch.where(points.isnan(), probabilities, torch.where(probabilities < points, low, high))


def first_and_head(network: nn.Module, outputs: int) -> tuple[str, str]:
    """Return the names of the first convolution and of the output layer; ``""`` where there is none.

    timm records both; elsewhere the output layer is the last linear layer with that many outputs, or what stands in its place.
    """
    layers = list(network.named_modules())
    first = next((name for name, layer in layers if isinstance(layer, nn.Conv2d)), "")
    heads = [
        name
        for name, layer in layers
        if isinstance(layer, NoOutputs) or (isinstance(layer, nn.Linear) and layer.out_features == outputs)
    ]
    config = getattr(network, "pretrained_cfg", None)
    config = config if isinstance(config, dict) else {}
    first_by_timm, head_by_timm = config.get("first_conv"), config.get("classifier")
    return (
        first_by_timm if isinstance(first_by_timm, str) else first,
        head_by_timm if isinstance(head_by_timm, str) else (heads[-1] if heads else ""),
    )


def _build_random(card: ModelCard, outputs: int) -> nn.Module:
    where = f"model {card.name}"
    name, options = blocks.split("network", card.network, where=where)
    make = blocks.check_options("network", name, options, where=where)
    try:
        network = make(channels=card.channels, outputs=outputs, **options)
    except UnknownNameError as error:
        raise CardError(f"{where}: network: {error}") from error
    except TypeError as error:
        raise CardError(f"{where}: network {name!r}: {error}") from error
    if not isinstance(network, nn.Module):
        raise CardError(f"{where}: network {name!r} gave a {type(network).__name__}, not a torch.nn.Module")
    return network


def _start_from_weights(
    network: nn.Module, card: ModelCard, outputs: int, *, keep_head: bool, reporter: Reporter | None
) -> None:
    path = weights.obtain(card, reporter=reporter)
    state = state_dict.read(path)
    block, options = blocks.split("network", card.network)
    if block == "timm" and card.weights == "imagenet":
        state = _renamed_by_timm(state, str(options["name"]))
    target = network.body if isinstance(network, Published) else network
    first, head = first_and_head(target, outputs)
    state_dict.copy_into(
        state, target, first=first, head=head, stem=card.stem, keep_head=keep_head, where=f"model {card.name}: {path}"
    )


def _renamed_by_timm(state: state_dict.State, name: str) -> state_dict.State:
    """Load the weights into a network of timm and return its state: timm renames the tensors of older files."""
    import timm

    network = timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"state_dict": state, "file": None})
    return dict(network.state_dict())


def _replace_first_layer(network: nn.Module, channels: int) -> None:
    name, _ = first_and_head(network, 0)
    old = network.get_submodule(name)
    if not isinstance(old, nn.Conv2d) or old.in_channels == channels:
        return
    new = nn.Conv2d(
        channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        old.stride,  # type: ignore[arg-type]
        old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, new)


def _with_published_outputs(network: nn.Module, card: ModelCard) -> Published:
    published = weights.torchxrayvision_models().model_urls.get(card.weights)
    if published is None:
        urls = weights.torchxrayvision_models().model_urls
        raise CardError(f"model {card.name}: weights: no {card.weights!r}{suggestion(card.weights, urls)}")
    names = [str(name).replace("_", " ") for name in published["labels"]]
    for place, (expected, name_there) in enumerate(zip(card.outputs, names, strict=False)):
        if expected.replace("_", " ") != name_there:
            raise CardError(
                f"model {card.name}: outputs[{place}]: {expected!r} here, {name_there!r} in the published weights"
            )
    if len(names) != len(card.outputs):
        raise CardError(f"model {card.name}: outputs: {len(card.outputs)} here, {len(names)} in the published weights")
    return Published(
        network,
        resolution=int(published["input_resolution"]),
        points=torch.tensor(published["op_threshs"], dtype=torch.float32),
    )
