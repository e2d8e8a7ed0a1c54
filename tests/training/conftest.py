"""Small images that a small network can learn from, and recipes that do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xrbench.cards import MethodCard, ModelCard, Recipe
from xrbench.data.images.image_set import ImageSet

MYLAB = Path(__file__).parent / "mylab"
LABELS = ("Spot", "Stripes")


def make_images(count: int, seed: int, *, name: str = "here", side: int = 16, blank: float = 0.2) -> ImageSet:
    """Draw noise with a bright spot and with stripes, each in a third of the images; some truth is missing."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((count, 2)) < 1 / 3).astype(np.float32)
    pixels = rng.normal(90, 12, (count, 1, side, side))
    for number, (spot, stripes) in enumerate(truth):
        x, y = rng.integers(2, side - 5, 2)
        pixels[number, 0, y : y + 4, x : x + 4] += 110 * spot
        pixels[number, 0, ::2] -= 60 * stripes
    truth[rng.random(truth.shape) < blank] = np.nan
    return ImageSet(
        domains=(name,),
        pixels=(np.clip(pixels, 0, 255).astype(np.uint8),),
        domain=np.zeros(count, np.int64),
        row=np.arange(count),
        truth=truth,
    )


def with_metadata(images: ImageSet) -> ImageSet:
    """Add patients (two images each) and truth of further heads: stripes as sex, and the mean brightness as an age."""
    count = len(images)
    brightness = np.array([images.gather(np.array([at])).mean() for at in range(count)], np.float32)
    stripes = images.truth[:, 1:]
    classes = np.column_stack([stripes == 0, stripes == 1]).astype(np.float32)
    classes[np.isnan(stripes).ravel()] = np.nan
    return replace(
        images,
        patient=np.arange(count) // 2,
        targets={"sex": stripes, "pattern": classes, "age": brightness[:, None]},
    )


def make_recipe(*, model: dict[str, Any] | None = None, **changes: Any) -> Recipe:
    """Make a recipe of a tiny network; what is not a field of a recipe goes to its method."""
    fields = {
        "labels",
        "image_size",
        "epochs",
        "batch_size",
        "steps_per_epoch",
        "precision",
        "channels_last",
        "seed",
        "identity",
        "task",
    }
    given = {name: changes.pop(name) for name in list(changes) if name in fields}
    method: dict[str, Any] = {
        "title": "a method",
        "name": "mine",
        "sampler": "balanced-batches",
        "optimiser": {"block": "adam", "lr": 0.02},
        **changes,
    }
    network = {"title": "a model", "name": "tiny", "network": "mylab_blocks:tiny_network", "scale": (-1.0, 1.0)}
    values: dict[str, Any] = {
        "labels": LABELS,
        "image_size": 16,
        "epochs": 3,
        "batch_size": 8,
        "steps_per_epoch": 0,
        "precision": "float32",
        "channels_last": True,
        "seed": 0,
        "identity": "k",
        **given,
    }
    return Recipe(method=MethodCard(**method), model=ModelCard(**{**network, **(model or {})}), **values)


class Listening:
    """A reporter that remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []
        self.steps = 0
        self.total = 0

    def line(self, text: str) -> None:
        self.lines.append(text)

    def detail(self, text: str) -> None:
        pass

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Listening]:
        self.total = total
        yield self

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.steps += steps
        self.notes += [note] if note else []


@pytest.fixture(autouse=True)
def mylab(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the blocks of another package importable."""
    monkeypatch.syspath_prepend(MYLAB)
    return MYLAB


@pytest.fixture(autouse=True)
def weights_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give every test an empty weights folder of its own, and no network."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XRBENCH_WEIGHTS", str(home / "weights"))
    monkeypatch.setenv("XRBENCH_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(home / "torch"))
    monkeypatch.setenv("HOME", str(home))
    (home / "weights").mkdir()
    return home / "weights"


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Tiny tensors are not worth a second thread, and waiting for one is slow on a busy machine."""
    try:
        import torch
    except ModuleNotFoundError:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def images() -> Callable[..., ImageSet]:
    return make_images


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    return make_recipe


@pytest.fixture
def listening() -> Listening:
    return Listening()


@pytest.fixture
def pair() -> ImageSet:
    """Two datasets of 40 and 24 images."""
    return ImageSet.join([make_images(40, 1, name="large"), make_images(24, 2, name="small")])


@pytest.fixture
def metadata() -> Callable[[ImageSet], ImageSet]:
    return with_metadata


@pytest.fixture
def valid() -> ImageSet:
    return make_images(60, 3, name="valid")
