"""Loss curves: every fit's numbers as logged, and their means over seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from xrbench import cards
from xrbench.errors import UnknownNameError
from xrbench.report.figures.losses import loss
from xrbench.report.run_folder import Run

Make = Callable[..., Run]
Layout = Callable[..., cards.FigureLayout]


@pytest.fixture
def run(make_class_run: Make, tmp_path: Path) -> Run:
    """Two fits that stop after 4 and 3 epochs, one with validation, one whose log is gone."""
    made = make_class_run(classes=("a", "b"), images=40, seeds=(0,))
    fits = [
        ("full-data", 0, 4, False),
        ("full-data", 1, 3, False),
        ("val-split", 0, 3, True),
        ("val-split", 1, 0, True),
    ]
    for configuration, seed, epochs, valid in fits:
        name = f"single/resnet18/{configuration}:vindr/valid-held-out/seed-{seed}"
        entry: dict[str, Any] = {
            "name": name,
            "key": f"{configuration}-{seed}",
            "method": "single",
            "model": "resnet18",
        }
        entry |= {"train": ["vindr"], "valid": "held-out", "seed": seed, "configuration": configuration}
        made.manifest["fits"].append({**entry, "images": {"train": {"vindr": 3204}}})
        log = pd.DataFrame({"epoch": range(1, epochs + 1)})
        log["train_loss"] = 1.0 / (log["epoch"] + seed)
        log["valid_loss"] = 2 * log["train_loss"] if valid else float("nan")
        if epochs:
            path = made.folder.parents[1] / "fits" / entry["key"] / "log.csv"
            path.parent.mkdir(parents=True)
            log.to_csv(path, index=False)
    return made


def test_single_fits_and_means_are_those_of_the_logs(run: Run, figure_layout: Layout, tmp_path: Path) -> None:
    numbers = pd.read_csv(loss(run, figure_layout("loss"), tmp_path)[2], dtype={"seed": str})
    assert sorted(set(numbers["kind"] + " " + numbers["configuration"])) == [
        "train full-data",
        "train val-split",
        "valid val-split",
    ]
    full = numbers[numbers["configuration"] == "full-data"].set_index(["seed", "epoch"])["loss"]
    assert full["0"].tolist() == [1, 1 / 2, pytest.approx(1 / 3), 1 / 4]
    assert full["1"].tolist() == [1 / 2, pytest.approx(1 / 3), 1 / 4]
    assert full["mean"].tolist() == pytest.approx([3 / 4, 5 / 12, 7 / 24])
    val = numbers[numbers["configuration"] == "val-split"]
    assert set(val["seed"]) == {"0"}
    assert val[val["kind"] == "valid"]["loss"].tolist() == pytest.approx([2, 1, 2 / 3])


def test_the_picture_says_how_many_fits_and_images(
    run: Run, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    said = text_of(loss(run, figure_layout("loss"), tmp_path)[0])
    assert "2 fits, 3,204 training images" in said
    assert "1 fit, 3,204 training images" in said
    for word in ("training (mean)", "training, one fit", "validation", "Loss by epoch: single, resnet18"):
        assert word in said


def test_options_choose(run: Run, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path) -> None:
    svg, _, table = loss(run, figure_layout("loss"), tmp_path, configuration="val-split", valid=False)
    assert set(pd.read_csv(table)["kind"]) == {"train"}
    assert "validation" not in text_of(svg)
    with pytest.raises(
        UnknownNameError, match="figure picture: unknown configuration 'full'; did you mean 'full-data'"
    ):
        loss(run, figure_layout("loss"), tmp_path, configuration="full")


def test_several_methods_stand_in_rows(
    run: Run, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    first = run.manifest["fits"][0]
    run.manifest["fits"] = [first, {**first, "method": "other"}]
    said = text_of(loss(run, figure_layout("loss"), tmp_path)[0])
    assert "single 1 fit" in said
    assert "other 1 fit" in said


def test_fits_without_logs_draw_nothing(run: Run, figure_layout: Layout, tmp_path: Path) -> None:
    assert loss(run, figure_layout("loss"), tmp_path, method="ensemble") == []
    run.manifest["fits"] = run.manifest["fits"][3:]
    assert loss(run, figure_layout("loss"), tmp_path) == []


def test_a_fit_that_others_start_from_has_a_picture_and_a_scale_of_its_own(
    run: Run, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    children = run.manifest["fits"]
    parent = {**children[0], "name": "pretext/resnet18/pretrain:nih/valid-held-out/seed-0", "key": "parent"}
    parent |= {"method": "pretext", "configuration": "", "train": ["nih"], "stage": "pre-training", "role": "pretrain"}
    run.manifest["fits"] = [parent, *({**child, "parents": [parent["name"]]} for child in children)]
    path = run.folder.parents[1] / "fits" / "parent" / "log.csv"
    path.parent.mkdir()
    pd.DataFrame({"epoch": [1, 2], "train_loss": [900.0, 700.0]}).to_csv(path, index=False)
    written = loss(run, figure_layout("loss", name="loss"), tmp_path)
    assert [path.name for path in written if path.suffix == ".csv"] == ["loss.csv", "loss-pre-training.csv"]
    assert set(pd.read_csv(written[2])["method"]) == {"single"}
    own = pd.read_csv(written[5])
    assert (set(own["method"]), set(own["stage"]), own["loss"].tolist()) == ({"pretext"}, {"pre-training"}, [900, 700])
    said = text_of(written[3])
    assert "Loss by epoch, pre-training: pretext, resnet18" in said
    assert "800" in said
    assert "800" not in text_of(written[0])
    only = loss(run, figure_layout("loss", name="loss"), tmp_path, method="pretext")
    assert {path.stem for path in only} == {"loss-pre-training"}
