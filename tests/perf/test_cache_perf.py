"""Images per second of the pixel cache beside torchxrayvision's dataset, both in one run on one core.

Each figure is a ratio of the best of several rounds taken in turns, so that a busy machine disturbs both sides alike.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from xrbench.data.cache.build import PixelCache, open_cache
from xrbench.data.images.image_set import ImageSet

pytestmark = [pytest.mark.perf, pytest.mark.train, pytest.mark.slow]

COUNT = 40
SIZE = 112
ROUNDS = 3
EPOCH_TARGET = 100
BUILD_TARGET = 2


@pytest.fixture(scope="module")
def nih_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay out 40 images of 1024 px as NIH does: drawn noise of an image's smoothness."""
    root = tmp_path_factory.mktemp("nih")
    names = [f"{number:08d}_000.png" for number in range(COUNT)]
    for number, name in enumerate(names):
        draw(number).save(root / name)
    header = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"
    rows = [f"{name},No Finding,0,{number},50,F,PA" for number, name in enumerate(names)]
    (root / "entries.csv").write_text("\n".join([header, *rows]))
    return root


def draw(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (1024, 1024), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(6)), np.int16)
    return Image.fromarray(np.clip(smooth + noise % 5, 0, 255).astype(np.uint8))


def theirs(root: Path) -> Callable[[], None]:
    """Make a loop over torchxrayvision's dataset, one image after the other as its loader's worker does."""
    xrv: Any = pytest.importorskip("torchxrayvision")
    steps = [xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(SIZE)]
    dataset = xrv.datasets.NIH_Dataset(
        imgpath=str(root),
        csvpath=str(root / "entries.csv"),
        unique_patients=False,
        transform=lambda image: steps[1](steps[0](image)),
    )
    assert len(dataset) == COUNT

    def epoch() -> None:
        for index in range(COUNT):
            assert dataset[index]["img"].shape == (1, SIZE, SIZE)

    return epoch


def build(folder: Path, root: Path, kind: str) -> PixelCache:
    paths = sorted(file.name for file in root.glob("*.png"))
    steps: list[Any] = ["centre-crop", {"block": "resize", "filter": kind}]
    return open_cache(folder / "nih", root=root, paths=paths, steps=steps, image_size=SIZE, channels=1, jobs=1)


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def report(what: str, ours: float, others: float) -> None:
    print(f"\n{what}: {ours:,.0f} images/s, torchxrayvision {others:,.1f}: {ours / others:,.1f} times")


def test_an_epoch_from_the_cache(nih_images: Path, tmp_path: Path, benchmark: Any) -> None:
    few = build(tmp_path, nih_images, "bilinear").pixels
    # 8,000 rows are 100 MB: more than a processor keeps at hand.
    np.tile(few, (200, 1, 1, 1)).tofile(tmp_path / "many.u8")
    many = np.memmap(tmp_path / "many.u8", np.uint8, "r", shape=(200 * COUNT, *few.shape[1:]))
    order = np.random.default_rng(0).permutation(len(many))
    images = ImageSet(
        domains=("nih",),
        pixels=(many,),
        domain=np.zeros(len(many), np.int64),
        row=np.arange(len(many)),
        truth=np.zeros((len(many), 1), np.float32),
    )

    def epoch() -> None:
        for start in range(0, len(images), 64):
            images.gather(order[start : start + 64])

    other = theirs(nih_images)
    other_seconds = min(seconds(other) for _ in range(ROUNDS))
    benchmark.pedantic(epoch, rounds=ROUNDS, warmup_rounds=1)
    ours, others = len(images) / benchmark.stats.stats.min, COUNT / other_seconds
    benchmark.extra_info["ratio"] = ours / others
    report("epoch in random order", ours, others)
    assert ours >= EPOCH_TARGET * others


@pytest.mark.parametrize("kind", ["bilinear", "skimage"])
def test_building_the_cache_on_one_core(nih_images: Path, tmp_path: Path, benchmark: Any, kind: str) -> None:
    other, folders = theirs(nih_images), (tmp_path / str(number) for number in itertools.count())
    other()
    build(next(folders), nih_images, kind)
    other_seconds: list[float] = []

    def before() -> tuple[tuple[Path, Path, str], dict[str, Any]]:
        other_seconds.append(seconds(other))
        return (next(folders), nih_images, kind), {}

    benchmark.pedantic(build, setup=before, rounds=ROUNDS)
    ours, others = COUNT / benchmark.stats.stats.min, COUNT / min(other_seconds)
    benchmark.extra_info["ratio"] = ours / others
    report(f"build ({kind})", ours, others)
    assert ours >= BUILD_TARGET * others
