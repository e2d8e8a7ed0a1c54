"""A step of a fit beside a bare PyTorch loop of the same network, in one run.

Ours is the whole step of the balanced-batching paper: bytes are gathered from the cache, scaled, augmented, weighed by label, and
the squared parameters are added. The bare loop has its images ready as floats and does forward, loss, backward and step only.
Both sides take turns, and the best of several rounds is compared, so that a busy machine disturbs them alike.
``XRBENCH_PERF_BATCH`` sets the images in a group (64, as in the paper; with few, the optimiser outweighs the convolutions).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from xrbench.cards import MethodCard, ModelCard, Recipe
from xrbench.data.images.image_set import ImageSet

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.perf, pytest.mark.train, pytest.mark.slow]

from torch.nn import functional  # noqa: E402

from xrbench.training.fitting import devices  # noqa: E402
from xrbench.training.fitting.loop import Loop  # noqa: E402
from xrbench.training.models import networks  # noqa: E402

BATCH = int(os.environ.get("XRBENCH_PERF_BATCH", "64"))
SIDE = 112
STEPS = 1
ROUNDS = 4
OVERHEAD = 0.03
SPEED_UP = 2.0
LABELS = ("Cardiomegaly", "Effusion", "Edema", "Consolidation")


def recipe(name: str, precision: Any, *, channels_last: bool) -> Recipe:
    affine = {"block": "affine", "degrees": 45.0, "translate": 0.15, "scale": [0.85, 1.15], "fill": 0.5}
    return Recipe(
        method=MethodCard(
            title="",
            sampler="balanced-batches",
            task_weights="rarity",
            l2_in_loss=1e-5,
            optimiser={"block": "adam", "lr": 1e-3, "amsgrad": True},
            augmentation=(affine,),
        ),
        model=ModelCard(title="", network={"block": "torchvision", "name": name}, scale=(-1024.0, 1024.0)),
        labels=LABELS,
        image_size=SIDE,
        epochs=1,
        batch_size=BATCH,
        steps_per_epoch=STEPS,
        precision=precision,
        channels_last=channels_last,
        seed=0,
    )


def draw_images(count: int = 4 * BATCH) -> ImageSet:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 1, SIDE, SIDE), dtype=np.uint8)
    truth = (rng.random((count, len(LABELS))) < 0.3).astype(np.float32)
    half = count // 2
    return ImageSet(
        domains=("a", "b"),
        pixels=(pixels[:half], pixels[half:]),
        domain=np.repeat([0, 1], half),
        row=np.tile(np.arange(half), 2),
        truth=truth,
    )


def ours(made: Recipe) -> Callable[[], None]:
    loop = Loop(made, draw_images(), device=torch.device("cpu"))
    numbers = iter(range(1_000_000))

    def epoch() -> None:
        with devices.deterministic(torch.device("cpu")):
            loop.epoch(next(numbers))

    return epoch


def bare(made: Recipe) -> Callable[[], None]:
    layout = torch.channels_last if made.channels_last else torch.contiguous_format
    network: Any = networks.build(made.model, len(LABELS), seed=0)
    network = network.to(memory_format=layout).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, amsgrad=True)
    images = (torch.rand(BATCH, 1, SIDE, SIDE) * 2048 - 1024).contiguous(memory_format=layout)
    truth = (torch.rand(BATCH, len(LABELS)) < 0.3).float()

    def epoch() -> None:
        for _ in range(STEPS):
            optimiser.zero_grad()
            for _ in range(2):
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=made.precision == "bfloat16"):
                    scores = network(images)
                loss: Any = functional.binary_cross_entropy_with_logits(scores.float(), truth)
                loss.backward()
            optimiser.step()

    return epoch


def bare_coral(made: Recipe) -> Callable[[], None]:
    """Both groups go forward before one backward pass; covariances of the features are compared; weights are averaged."""
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    network: Any = networks.build(made.model, len(LABELS), seed=0)
    network = network.to(memory_format=torch.channels_last).train()
    head, network.fc = network.fc, torch.nn.Identity()
    both = torch.nn.ModuleList([network, head])
    averaged = AveragedModel(both, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)  # type: ignore[no-untyped-call]
    optimiser = torch.optim.Adam(both.parameters(), lr=1e-3, amsgrad=True)
    images = (torch.rand(BATCH, 1, SIDE, SIDE) * 2048 - 1024).contiguous(memory_format=torch.channels_last)
    truth = (torch.rand(2 * BATCH, len(LABELS)) < 0.3).float()

    def epoch() -> None:
        for _ in range(STEPS):
            optimiser.zero_grad()
            features = [network(images) for _ in range(2)]
            loss: Any = functional.binary_cross_entropy_with_logits(head(torch.cat(features)), truth)
            one, other = (torch.cov(group.T) for group in features)
            (loss + 100 * ((one - other) ** 2).sum() / (4 * one.shape[0] ** 2)).backward()
            optimiser.step()
            averaged.update_parameters(both)

    return epoch


def best(rounds: int, *sides: Callable[[], None]) -> list[float]:
    """Run the sides in turns; return the seconds of each one's best round."""
    for side in sides:
        side()
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, taken in zip(sides, times, strict=True):
            started = time.perf_counter()
            side()
            taken.append(time.perf_counter() - started)
    return [min(taken) for taken in times]


@pytest.mark.parametrize("name", ["densenet121", "resnet18"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_costs_hardly_more_than_a_bare_loop(name: str, precision: str) -> None:
    made = recipe(name, precision, channels_last=True)
    mine, theirs = best(ROUNDS, ours(made), bare(made))
    rate = STEPS * 2 * BATCH / mine
    print(f"\n{name} {precision}: {mine / theirs - 1:+.1%} beside a bare loop, {rate:.0f} images/s")
    assert mine / theirs < 1 + OVERHEAD


def test_an_objective_of_all_groups_and_an_average_cost_hardly_more_than_in_a_bare_loop() -> None:
    plain = recipe("resnet18", "float32", channels_last=True)
    changes = {"objective": {"block": "coral", "weight": 100.0}, "task_weights": "none", "averaging": 0.9}
    made = replace(plain, method=replace(plain.method, **changes))
    mine, theirs = best(ROUNDS, ours(made), bare_coral(made))
    print(f"\ncoral with averaging: {mine / theirs - 1:+.1%} beside a bare loop")
    assert mine / theirs < 1 + OVERHEAD


@pytest.mark.parametrize("name", ["densenet121", "resnet18"])
def test_bfloat16_and_channels_last_are_faster_than_a_plain_loop(name: str) -> None:
    fast, plain = best(
        ROUNDS,
        ours(recipe(name, "bfloat16", channels_last=True)),
        bare(recipe(name, "float32", channels_last=False)),
    )
    print(f"\n{name}: {plain / fast:.2f} times as fast as plain float32")
    assert plain / fast > SPEED_UP
