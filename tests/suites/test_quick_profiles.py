"""The quick profiles on the fixture, and the regression check of CI against the committed leaderboard."""

from __future__ import annotations

from pathlib import Path

import pytest

from xrbench import cli
from xrbench.catalogue import open_catalogue, shipped
from xrbench.compare.scores_io import read_scores

pytest.importorskip("torch")

import torch

from xrbench.training.components import losses

pytestmark = [pytest.mark.train, pytest.mark.slow]

BOARD = shipped() / "leaderboards" / "ood-cxr"
GATE = ["--gate", "--margin", "0.05", "--quiet"]
ONE_FIT = "method=balanced-batching,seed=0,train=nih+chexpert"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full run of the suite, as `make run` does it."""
    folder = tmp_path_factory.mktemp("gate") / "runs"
    assert cli.invoke(["run", "--suite", "ood-cxr", "--out", str(folder), "--quiet"]) == 0
    return folder


@pytest.mark.suites
def test_the_fixture_gives_a_table_worth_reading(out: Path) -> None:
    scores = read_scores(next((out / "ood-cxr").iterdir()) / "scores.csv")
    auc = scores[(scores["metric"] == "auc") & (scores["label"] == "mean")]
    assert set(scores["data"]) == {"FIXTURE"}
    for method, rows in auc.groupby("method"):
        mean = rows.groupby("protocol")["value"].mean()
        assert mean["internal"] > 0.80, method
        assert mean["external"] < mean["internal"] - 0.02, method


@pytest.mark.suites
def test_the_same_code_is_no_regression(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(["compare", str(BOARD), str(out), *GATE]) == 0
    assert "no regression" in capsys.readouterr().out


@pytest.mark.suites
def test_running_again_does_nothing_twice(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.glob("cells/*")}
    assert cli.invoke(["run", "--suite", "ood-cxr", "--out", str(out)]) == 0
    assert "144 of 144 cells are there, 0 to do" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in out.glob("cells/*")} == before


@pytest.mark.suites
def test_a_damaged_method_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = losses.masked_bce

    def damaged(scores: torch.Tensor, truth: torch.Tensor, *, task_weights: torch.Tensor | None = None) -> torch.Tensor:
        """Learn from labels that stand one image too low."""
        return sound(scores, truth.roll(1, dims=0), task_weights=task_weights)

    monkeypatch.setattr(losses, "masked_bce", damaged)
    # in this process, where the loss is damaged
    command = ["run", "--suite", "ood-cxr", "--out", str(tmp_path), "--only", ONE_FIT, "--quiet", "--jobs", "1"]
    assert cli.invoke(command) == 0
    capsys.readouterr()
    assert cli.invoke(["compare", str(BOARD), str(tmp_path), *GATE, "--only", ONE_FIT]) == 1
    assert "REGRESSION" in capsys.readouterr().out


@pytest.mark.suites
@pytest.mark.parametrize("name", ["internal-external-cxr", "vindr-to-chexpert"])
def test_the_other_papers_run_as_published(name: str, tmp_path: Path) -> None:
    assert cli.invoke(["run", "--suite", name, "--out", str(tmp_path), "--quiet"]) == 0
    folder = next((tmp_path / name).iterdir())
    assert set(read_scores(folder / "scores.csv")["data"]) == {"FIXTURE"}
    written = {path.stem for path in (folder / "figures").glob("*.svg")}
    suite = open_catalogue().suite(name)
    suffixes = {"", *(f"-{part}" for part in (*suite.profiles["quick"].models, *suite.labels))}
    drawn = {layout.name: {stem for stem in written if stem.startswith(layout.name)} for layout in suite.figures}
    for figure, stems in drawn.items():  # a figure of its own, or one for each model or label under its full name
        assert {stem.removeprefix(figure) for stem in stems} & suffixes, figure
