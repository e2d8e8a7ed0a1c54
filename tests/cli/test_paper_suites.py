"""The suites of two papers from the command line to their tables and claims, on the fixture with a tiny network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xrbench import blocks, cli
from xrbench.catalogue import open_catalogue
from xrbench.data.fixture import write_fixture
from xrbench.planning import make_plan

pytestmark = [pytest.mark.train, pytest.mark.slow]

TINY = """
title = "A network of a few thousand parameters"
network = {{ block = "timm", name = "resnet10t", stem_width = 4, widths = [{widths}] }}
"""
QUICK = """
figures = []
preprocessing = ["resize"]
[interval]
replicates = 100
[profiles.quick]
image_size = 32
epochs = 1
batch_size = 32
threads = 1
channels_last = false
models = {models}
"""
SUITES = {
    "internal-external-cxr": """["tiny-one", "tiny-two"]
limits = { train = 80, valid = 80, test = 80 }
split = { test_fraction = 0.25, valid_fraction = 0.2, seed = 0 }""",
    "vindr-to-chexpert": '["tiny-one"]\nmethods = ["sgd-quick", "sgd-quick-ensemble"]',
}


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("papers") / "small"
    for name, widths in (("tiny-one", "4, 4, 8, 8"), ("tiny-two", "4, 4, 4, 8")):
        path = root / "registry" / "models" / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TINY.format(widths=widths))
    (root / "registry" / "suites").mkdir()
    for name, models in SUITES.items():
        text = f'title = "Small"\nextends = "{name}"\n{QUICK.format(models=models)}'
        (root / "registry" / "suites" / f"small-{name}.toml").write_text(text)
    return root


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fixture(tmp_path_factory.mktemp("phantoms") / "data")


@pytest.fixture(scope="module", params=list(SUITES))
def finished(
    request: pytest.FixtureRequest, catalogue: Path, phantoms: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Path]:
    """Name of the suite, its run folder, and the catalogue."""
    name, out = request.param, tmp_path_factory.mktemp("runs")
    words = ["run", "--suite", f"small-{name}", "--profile", "quick", "--catalogue", catalogue, "--data-root", phantoms]
    assert cli.invoke([*map(str, words), "--out", str(out), "--quiet"]) == 0
    return name, next((out / f"small-{name}").iterdir()), catalogue


def test_every_table_of_the_suite_is_written(finished: tuple[str, Path, Path]) -> None:
    name, folder, _ = finished
    suite = open_catalogue().suite(name)
    tables = {path.stem for path in (folder / "tables").glob("*.md")}
    assert {layout.name for layout in suite.tables} <= tables
    for path in [*(folder / "tables").glob("*.md"), folder / "README.md"]:
        assert "FIXTURE" in path.read_text()


def test_no_figure_of_the_paper_stands_beside_synthetic_images(finished: tuple[str, Path, Path]) -> None:
    _, folder, _ = finished
    table = (folder / "tables" / "table1.md").read_text()
    assert "[" not in table.replace("[FIXTURE", "")
    assert "these images are synthetic" in table


def test_every_claim_is_answered(finished: tuple[str, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    name, folder, catalogue = finished
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


@pytest.mark.parametrize("name", SUITES)
def test_figures_have_kinds_and_options_that_exist(name: str) -> None:
    for layout in open_catalogue().suite(name).figures:
        blocks.check_options("figure", layout.kind, layout.options, where=layout.name)


def test_the_list_of_suites_counts_the_fits_that_are_planned(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(["list", "suites", "--json"]) == 0
    listed = {row["suite"]: row["fits"] for row in json.loads(capsys.readouterr().out)}
    found = open_catalogue()
    assert listed == {name: len(make_plan(found.suite(name), found).fits) for name in found.names("suite")}
