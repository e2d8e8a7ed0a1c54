"""A small laboratory for the command line: three hospitals of 48 drawn images, a catalogue of its own, one finished run."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xrbench import cli

LONG_AGO = 1e9
os.environ.setdefault("XRBENCH_JOBS", "1")  # its networks are trained faster than a process starts
HOSPITALS = ("east", "west", "north")
CARDS = {
    "models/tiny-net": """
title = "A network of a few thousand parameters"
network = { block = "timm", name = "resnet10t", stem_width = 4, widths = [4, 4, 8, 8] }
""",
    "methods/plain": 'title = "Plain"',
    "methods/fancy": 'title = "Fancy"\nsampler = "balanced-batches"',
    "methods/never": 'title = "Loss is no number"\nobjective = { block = "lab.blocks:never" }',
    "methods/broken": 'title = "Loss raises"\nobjective = { block = "lab.blocks:broken" }',
    "methods/slow": 'title = "Takes its time"\nepochs = 4\nobjective = { block = "lab.blocks:slow" }',
    "suites/tiny": """
title = "Tiny"
labels = ["Effusion", "Edema"]
models = ["tiny-net"]
methods = ["plain", "fancy"]
metrics = ["auc", "recall@specificity=0.9"]
[protocol]
datasets = ["east", "west", "north"]
[interval]
replicates = 100
[[comparisons]]
challenger = "fancy"
baseline = "plain"
[profiles.quick]
image_size = 32
epochs = 1
batch_size = 8
threads = 1
channels_last = false
split = { test_fraction = 0.3, valid_fraction = 0.3, seed = 0 }
[[tables]]
name = "domains"
kind = "datasets"
[[tables]]
name = "settings"
kind = "settings"
""",
    "suites/ood-tiny": """
title = "The six settings, in seconds"
extends = "ood-cxr"
[interval]
replicates = 100
[profiles.quick]
image_size = 32
epochs = 1
batch_size = 16
threads = 1
channels_last = false
models = ["tiny-net"]
methods = ["random-batching", "balanced-batching"]
limits = { train = 60, valid = 60, test = 60 }
split = { test_fraction = 0.3, seed = 0 }
""",
}
BLOCKS = """
import time

import torch

from xrbench.training.components.losses import masked_bce


def never(scores, truth):
    return scores.sum() * float("nan")


def broken(scores, truth):
    raise KeyError("a weight of this label")


def slow(scores, truth):
    time.sleep(0.02)
    return masked_bce(scores, truth)
"""


@dataclass(frozen=True)
class Lab:
    """Where everything is, and how to run a command there."""

    catalogue: Path
    data: Path
    out: Path

    def invoke(self, *arguments: str | Path) -> int:
        return cli.invoke([str(argument) for argument in arguments])

    def options(self, *more: str | Path) -> list[str]:
        given = ("--suite", "tiny", "--catalogue", self.catalogue, "--data-root", self.data, "--out", self.out)
        return [str(option) for option in (*given, *more)]

    def plan(self, *more: str | Path) -> int:
        return self.invoke("plan", *self.options(*more))

    def run(self, *more: str | Path) -> int:
        return self.invoke("run", *self.options(*more))

    @property
    def folder(self) -> Path:
        return next((self.out / "tiny").iterdir())


def draw_hospital(folder: Path, seed: int, *, images: int = 48) -> None:
    """Draw images with two findings as bright squares, two images a patient."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    rows = []
    for number in range(images):
        findings = rng.random(2) < 0.5
        pixels = rng.normal(100 + 5 * seed, 20, (40, 40))
        pixels[5:15, 5:15] += 60 * findings[0]
        pixels[25:35, 25:35] += 60 * findings[1]
        name = f"{number:03}.png"
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / "images" / name)
        os.utime(folder / "images" / name, (LONG_AGO, LONG_AGO))
        rows.append([name, f"P{number // 2}", "PA", 40 + number % 30, "FM"[number % 2], *map(int, findings)])
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "patient_id", "view", "age", "sex", "Effusion", "Edema"])
        writer.writerows(rows)


def write_cards(root: Path) -> None:
    for name, text in CARDS.items():
        path = root / "registry" / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "registry" / "datasets").mkdir()
    for name in HOSPITALS:
        (root / "registry" / "datasets" / f"{name}.toml").write_text(f'title = "Hospital {name}"\nreader = "table"\n')
    (root / "blocks.py").write_text(BLOCKS)


@pytest.fixture(autouse=True)
def quiet_surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OUT", "CACHE", "DEVICE", "JOBS", "DATA_ROOT", "WEIGHTS", "PATH", "TRACEBACK"):
        monkeypatch.delenv(f"XRBENCH_{name}", raising=False)
    before = dict(os.environ)
    os.environ["XRBENCH_JOBS"] = "1"
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def first_lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The laboratory that others are copied from, with a finished run; do not change it."""
    pytest.importorskip("torch")
    root = tmp_path_factory.mktemp("cli")
    write_cards(root / "lab")
    for seed, name in enumerate(HOSPITALS):
        draw_hospital(root / "data" / name, seed)
    lab = Lab(root / "lab", root / "data", root / "runs")
    assert lab.run("--quiet") == 0
    return lab


@pytest.fixture
def lab(first_lab: Lab, tmp_path: Path) -> Lab:
    """A laboratory of a test's own, without results."""
    copied = Lab(tmp_path / "lab", tmp_path / "data", tmp_path / "runs")
    shutil.copytree(first_lab.catalogue, copied.catalogue, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(first_lab.data, copied.data)
    return copied


@pytest.fixture
def done(first_lab: Lab, tmp_path: Path) -> Lab:
    """A laboratory with a finished run of a test's own; cards and data are the first one's and stay as they are."""
    copied = Lab(first_lab.catalogue, first_lab.data, tmp_path / "runs")
    shutil.copytree(first_lab.out, copied.out)
    return copied


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What was said on standard error since the last time."""
    return lambda: capsys.readouterr().err
