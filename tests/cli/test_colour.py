"""A dataset in colour from its check to the pages of a run, on small drawn lesions laid out as PH2 is."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xrbench.catalogue import open_catalogue
from xrbench.data.cache.index import Index
from xrbench.report.figures.layout.image_access import cached_images
from xrbench.report.run_folder import open_run
from xrbench.runs import store

if TYPE_CHECKING:
    from tests.cli.conftest import Lab

pytestmark = pytest.mark.train

NETWORK = """
title = "A network of a few thousand parameters, in colour"
network = { block = "timm", name = "resnet10t", stem_width = 4, widths = [4, 4, 8, 8] }
channels = 3
mean = [0.7, 0.5, 0.4]
std = [0.2, 0.2, 0.2]
"""
AUGMENTED = """
title = "Turned, mirrored"
augmentation = ["horizontal-flip", { block = "affine", degrees = 90.0, translate = 0.1, fill = 0.0 }]
"""
SUITE = """
title = "Melanoma, at another clinic"
labels = ["Melanoma"]
models = ["colour-net"]
methods = ["turned"]
metrics = ["auc"]
preprocessing = ["centre-crop", "clahe", "resize"]
[protocol]
kind = "internal-external"
external = ["clinic"]
seeds = [0]
configurations = [{ name = "ph2-alone", train = ["ph2"] }]
[profiles.quick]
image_size = 32
epochs = 2
batch_size = 8
threads = 1
split = { test_fraction = 0.3, valid_fraction = 0.3, seed = 0 }
[[figures]]
name = "where"
kind = "explain"
options = { label = "Melanoma", count = 2 }
"""
SKIN, PIGMENT = np.array([225, 170, 145.0]), np.array([120, 70, 45.0])


def draw_lesions(folder: Path, *, seed: int, images: int = 48, tint: float = 1.0) -> None:
    """Draw round brown nevi and lopsided blue-black melanomas; one table with legends as PH2's, most cells blank."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    y, x = np.mgrid[-1:1:36j, -1.3:1.3:48j]
    rows = []
    for number in range(images):
        melanoma = number % 3 == 0
        shape = np.hypot(x, y) < 0.5 + (0.2 * np.cos(3 * np.arctan2(y, x)) if melanoma else 0)
        pixels = np.where(shape[..., None], np.array([40, 40, 70.0]) if melanoma else PIGMENT, SKIN)
        pixels = pixels * [1, 1, tint] + rng.normal(0, 12, (36, 48, 1))
        name = f"IMD{seed}{number:03}"
        path = folder / "images" / f"{name}.jpg"
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=95)
        os.utime(path, (1e9, 1e9))
        rows.append([f"{name}.jpg", name, "mel" if melanoma else "nv", "", "", ""])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "lesion_id", "dx", "age", "sex", "site"], *rows])


@pytest.fixture
def clinic(lab: Lab) -> Lab:
    draw_lesions(lab.data / "ph2", seed=1)
    draw_lesions(lab.data / "clinic", seed=2, tint=0.8)
    registry = lab.catalogue / "registry"
    ph2 = 'reader = "table"\noptions = { class_column = "dx", columns = { patient_id = "lesion_id" } }\n'
    (registry / "datasets" / "clinic.toml").write_text(f'title = "Another clinic"\n{ph2}channels = 3\n')
    (registry / "models" / "colour-net.toml").write_text(NETWORK)
    (registry / "methods" / "turned.toml").write_text(AUGMENTED)
    (registry / "suites" / "skin.toml").write_text(SUITE)
    return lab


def options(lab: Lab, *more: str | Path) -> list[str | Path]:
    return ["--suite", "skin", "--catalogue", lab.catalogue, "--data-root", lab.data, "--out", lab.out, *more]


def hues(pixels: np.ndarray) -> np.ndarray:
    """Return red minus blue of each pixel; 0 everywhere in a grey image."""
    return np.asarray(pixels[..., 0].astype(int) - pixels[..., 2].astype(int))


def test_a_suite_in_colour_runs_from_the_check_to_the_pages(clinic: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--data-root", clinic.data, "--catalogue", clinic.catalogue)
    assert clinic.invoke("data", "check", "ph2", *asked) == 0
    assert "colour: 48 images show colours" in capsys.readouterr().out
    assert clinic.invoke("data", "describe", "ph2", "--json", *asked) == 0
    described = json.loads(capsys.readouterr().out)
    assert (described["channels"], described["patients"]) == (3, 48)
    assert {row["label"]: row["positive"] for row in described["labels"]} == {"Nevus": 32, "Melanoma": 16}
    assert clinic.invoke("plan", *options(clinic)) == 0

    assert clinic.invoke("run", *options(clinic, "--quiet")) == 0
    shapes = {Index.load(path).head.shape for path in (clinic.out / "cache").rglob("index.jsonl")}
    assert shapes == {(3, 32, 32)}
    folder = next((clinic.out / "skin").iterdir())
    cells = {(entry["protocol"], entry["test"]) for entry in store.read_manifest(folder)["cells"]}
    assert {("internal", "ph2"), ("external", "clinic")} <= cells
    scores = pd.read_csv(folder / "scores.csv")
    assert set(scores.loc[scores["metric"] == "auc", "label"]) >= {"Melanoma"}

    with np.load(folder / "explained" / "where" / "maps.npz") as arrays:
        drawn = [arrays[name] for name in arrays.files if name.startswith("pixels-")]
        maps = [arrays[name] for name in arrays.files if name.startswith("map-")]
    assert {array.shape for array in drawn} == {(32, 32, 3)}
    assert {array.shape for array in maps} == {(32, 32)}
    assert all(hues(array).std() > 10 for array in drawn)
    index = pd.read_csv(folder / "explained" / "where" / "index.csv")
    assert set(index["layer"]) == {"layer1, 8 x 8"}
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert "where-Melanoma.svg" in page
    with Image.open(folder / "figures" / "where-Melanoma.png") as panel:
        assert (np.abs(hues(np.asarray(panel.convert("RGB")))) > 40).mean() > 0.05
    read = cached_images(open_run(folder, open_catalogue([clinic.catalogue])), [("clinic", "IMD2000.jpg")])
    assert hues(read["clinic", "IMD2000.jpg"]).std() > 10


def test_a_network_for_grey_images_is_refused_before_anything_is_read(
    clinic: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    card = clinic.catalogue / "registry" / "models" / "colour-net.toml"
    card.write_text('title = "Grey"\nnetwork = { block = "timm", name = "resnet10t" }')
    for command in ("plan", "run"):
        assert clinic.invoke(command, *options(clinic)) == 3
        message = capsys.readouterr().err.strip()
        assert len(message.splitlines()) == 1
        assert "colour-net.toml: channels: expected 3 for the images in colour of dataset 'ph2', got 1" in message
    assert not (clinic.out / "cache").exists()
