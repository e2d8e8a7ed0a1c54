"""Every shipped suite from the command line to its tables, claims and gate, at a smoke size.

A network of a few thousand parameters learns for one epoch from images of 32 px; the quick profiles have tests of their own.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xrbench import blocks, cli
from xrbench.catalogue import open_catalogue
from xrbench.data.fixture import write_fixture
from xrbench.planning import make_plan

pytestmark = [pytest.mark.train, pytest.mark.slow]

MODELS = {"tiny-one": "4, 4, 8, 8", "tiny-two": "4, 4, 4, 8"}
MODEL = """
title = "A network of a few thousand parameters"
network = {{ block = "timm", name = "resnet10t", stem_width = 4, widths = [{widths}] }}
"""
SUITE = """
title = "Smoke"
extends = "{name}"
figures = []
preprocessing = ["resize"]
[interval]
replicates = 100
[profiles.smoke]
image_size = 32
epochs = 1
batch_size = 32
threads = 1
channels_last = false
{profile}
"""
LIMITS = "limits = { train = 80, valid = 80, test = 80 }\n"
LEAVE_OUT = (
    'models = ["tiny-one"]\nmethods = ["random-batching", "balanced-batching"]\n'
    + LIMITS
    + "split = { test_fraction = 0.3, seed = 0 }"
)
PROFILES = {
    "ood-cxr": LEAVE_OUT,
    "ood-cxr-all-pairs": LEAVE_OUT,
    "ood-cxr-three-seeds": LEAVE_OUT,
    "internal-external-cxr": 'models = ["tiny-one", "tiny-two"]\n'
    + LIMITS
    + "split = { test_fraction = 0.25, valid_fraction = 0.2, seed = 0 }",
    "vindr-to-chexpert": 'models = ["tiny-one"]\nmethods = ["sgd-quick", "sgd-quick-ensemble"]',
    "open-cxr": 'models = ["tiny-one"]\nsplit = { test_fraction = 0.3, valid_fraction = 0.3, seed = 0 }',
    "open-multiclass": 'models = ["tiny-one"]',
}
"""Suite -> what its smoke profile adds; a test holds the names against the shipped suites."""

OPEN = ("open-cxr", "open-multiclass")
"""Suites on real data that anybody may have: here on drawn images in the same layout."""

PAPERS = ("internal-external-cxr", "vindr-to-chexpert")
"""Suites whose claims are judged and whose Table 1 has reported figures."""


@pytest.fixture(scope="module")
def smoke_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a catalogue with a ``smoke-NAME`` for each shipped suite."""
    registry = tmp_path_factory.mktemp("smoke") / "registry"
    for folder in ("models", "suites"):
        (registry / folder).mkdir(parents=True)
    for name, widths in MODELS.items():
        (registry / "models" / f"{name}.toml").write_text(MODEL.format(widths=widths))
    for name, profile in PROFILES.items():
        (registry / "suites" / f"smoke-{name}.toml").write_text(SUITE.format(name=name, profile=profile))
    return registry.parent


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw the fixture once for all suites."""
    return write_fixture(tmp_path_factory.mktemp("phantoms") / "data")


@pytest.fixture(scope="module")
def open_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw a few images in the tidy layout of the two small open sets; a bright patch is what they call Pneumonia."""
    root = tmp_path_factory.mktemp("open")
    for name, views in (("nih", ("PA", "AP")), ("guangzhou", ("AP",))):
        rng = np.random.default_rng(len(name))
        rows = []
        for number in range(60 * len(views)):
            ill = int(rng.random() < 0.5)
            pixels = rng.normal(110, 25, (48, 48))
            pixels[24:36, 8:20] += 45 * ill
            path = root / name / "images" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
            rows.append([path.name, f"p{number // 2}", views[number // 2 % len(views)], 50, "F", 1 - ill, ill])
        with (root / name / "labels.csv").open("w", newline="") as file:
            header = ["image", "patient_id", "view", "age", "sex", "No Finding", "Pneumonia"]
            csv.writer(file).writerows([header, *rows])
    return root


@pytest.fixture(scope="module", params=PROFILES)
def finished(
    request: pytest.FixtureRequest,
    smoke_catalogue: Path,
    phantoms: Path,
    open_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Path, Path]:
    """Name of the suite, its run folder, and the catalogue."""
    name, out = request.param, tmp_path_factory.mktemp("runs")
    words = ["run", "--suite", f"smoke-{name}", "--profile", "smoke", "--catalogue", smoke_catalogue]
    words += ["--data-root", open_data if name in OPEN else phantoms, "--out", out, "--quiet"]
    assert cli.invoke(list(map(str, words))) == 0
    return name, next((out / f"smoke-{name}").iterdir()), smoke_catalogue


def test_every_table_of_the_suite_is_written(finished: tuple[str, Path, Path]) -> None:
    name, folder, _ = finished
    suite = open_catalogue().suite(name)
    tables = {path.stem for path in (folder / "tables").glob("*.md")}
    assert {layout.name for layout in suite.tables} <= tables
    for path in [*(folder / "tables").glob("*.md"), folder / "README.md"]:
        assert ("FIXTURE" in path.read_text()) is (name not in OPEN)


def test_no_figure_of_the_paper_stands_beside_synthetic_images(finished: tuple[str, Path, Path]) -> None:
    name, folder, _ = finished
    if name not in PAPERS:
        return
    table = (folder / "tables" / "table1.md").read_text()
    assert "[" not in table.replace("[FIXTURE", "")
    assert "these images are synthetic" in table


def test_every_claim_is_answered(finished: tuple[str, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    name, folder, catalogue = finished
    if name not in PAPERS:
        return
    words = ["reproduce", str(folder), "--catalogue", str(catalogue)]
    assert cli.invoke([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    claims = open_catalogue().papers[name][0].claims
    assert [one["text"] for one in found["claims"]] == [claim.text for claim in claims]
    assert {one["outcome"] for one in found["claims"]} <= {"holds", "does not hold", "cannot tell"}
    assert {row[-1] for block in found["blocks"] for row in block} == {"not measured"}
    assert cli.invoke(words) == 0
    shown = capsys.readouterr().out
    assert shown.count("FIXTURE") >= 2
    assert f"  1  {found['claims'][0]['outcome']}" in shown


@pytest.mark.parametrize("name", PROFILES)
def test_figures_have_kinds_and_options_that_exist(name: str) -> None:
    for layout in open_catalogue().suite(name).figures:
        blocks.check_options("figure", layout.kind, layout.options, where=layout.name)


def test_every_shipped_suite_has_a_smoke_size() -> None:
    assert set(PROFILES) == set(open_catalogue().names("suite"))


def test_a_run_is_no_regression_against_itself(
    finished: tuple[str, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder, _ = finished
    words = ["compare", str(folder), str(folder), "--gate", "--quiet"]
    assert cli.invoke(words) == 0
    assert "no regression" in capsys.readouterr().out


def test_the_list_of_suites_counts_the_fits_that_are_planned(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(["list", "suites", "--json"]) == 0
    listed = {row["suite"]: row["fits"] for row in json.loads(capsys.readouterr().out)}
    found = open_catalogue()
    assert listed == {name: len(make_plan(found.suite(name), found).fits) for name in found.names("suite")}
