"""Confusion matrices and confidence: counts are scikit-learn's, and training images are never passed off as held-out ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix

from xrbench import cards
from xrbench.errors import UnknownNameError
from xrbench.report.figures.confidence import confidence
from xrbench.report.figures.confusion import confusion
from xrbench.report.run_folder import Run

Make = Callable[..., Run]
Layout = Callable[..., cards.FigureLayout]
CLASSES = ("No Finding", "Cardiomegaly", "Effusion")


def truth_and_called(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    known = frame.dropna(subset=[f"truth:{CLASSES[0]}"])
    truth = known[[f"truth:{name}" for name in CLASSES]].to_numpy().argmax(axis=1)
    return truth, known[[f"score:{name}" for name in CLASSES]].to_numpy().argmax(axis=1)


def test_counts_and_shares_are_those_of_scikit_learn(
    make_class_run: Make, figure_layout: Layout, tmp_path: Path
) -> None:
    run = make_class_run(classes=CLASSES, images=150, seeds=(0, 1))
    paths = confusion(run, figure_layout("confusion"), tmp_path, method="ensemble")
    numbers = pd.read_csv(paths[2], keep_default_na=False)
    assert list(dict.fromkeys(zip(numbers["configuration"], numbers["protocol"], strict=True))) == [
        ("full-data", "resubstitution"),
        ("full-data", "external"),
        ("val-split", "internal"),
        ("val-split", "external"),
    ]
    for (configuration, protocol), mine in numbers.groupby(["configuration", "protocol"]):
        cell = run.cells(method="ensemble", configuration=str(configuration), protocol=str(protocol))["cell"].iloc[0]
        frame = run.results.predictions(cell)
        assert frame is not None
        truth, called = truth_and_called(frame)
        counts = confusion_matrix(truth, called, labels=range(3))
        assert mine["images"].to_numpy().reshape(3, 3).tolist() == counts.tolist()
        shares = confusion_matrix(truth, called, labels=range(3), normalize="true")
        assert mine["share"].to_numpy(float).reshape(3, 3) == pytest.approx(shares)
        assert set(mine["n_images"]) == {147}
        assert set(mine["members"]) == {2}


def test_the_protocol_stands_over_every_matrix(
    make_class_run: Make, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    run = make_class_run(classes=CLASSES, images=90, seeds=(0, 1))
    svg = confusion(run, figure_layout("confusion"), tmp_path, method="single")[0]
    said = text_of(svg)
    assert "resubstitution (training images), vindr" in said
    assert "internal, vindr" in said
    assert said.count("external, chexpert") == 2
    assert "measured on the images that the model was trained on" in said
    assert "seed 0 of 0, 1" in said
    assert "87 images, 44 patients" in said
    held = confusion(
        run, figure_layout("confusion", name="held"), tmp_path, method="single", configuration="val-split"
    )[0]
    assert "resubstitution" not in text_of(held).casefold()


def test_the_asked_seed_is_shown(make_class_run: Make, figure_layout: Layout, tmp_path: Path) -> None:
    run = make_class_run(classes=CLASSES, images=60)
    options = {"method": "single", "configuration": "val-split", "protocol": "internal"}
    drawn = {
        seed: pd.read_csv(
            confusion(run, figure_layout("confusion", name=f"s{seed}"), tmp_path, seed=seed, **options)[2]
        )
        for seed in (0, 2)
    }
    assert set(drawn[2]["seed"]) == {2}
    assert list(drawn[0]["images"]) != list(drawn[2]["images"])
    assert confusion(run, figure_layout("confusion"), tmp_path, seed=7) == []


def test_ties_go_to_the_first_class_and_absent_classes_have_no_share(
    make_class_run: Make, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    def change(_: str, frame: pd.DataFrame) -> pd.DataFrame:
        for name in CLASSES:
            frame[f"score:{name}"] = 1 / 3
        frame.loc[frame["truth:Effusion"] == 1, [f"truth:{name}" for name in CLASSES]] = np.nan
        return frame

    run = make_class_run(classes=CLASSES, images=60, seeds=(0,), change=change)
    paths = confusion(run, figure_layout("confusion"), tmp_path, method="single", configuration="val-split")
    numbers = pd.read_csv(paths[2]).query("protocol == 'internal'")
    assert set(numbers[numbers["images"] > 0]["predicted"]) == {"No Finding"}
    assert numbers[numbers["true"] == "Effusion"]["share"].isna().all()
    assert "no image" in text_of(paths[0])


def test_a_cell_without_labels_says_so(
    make_class_run: Make, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    def change(cell: str, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{f"truth:{name}": np.nan for name in CLASSES}) if cell.endswith("chexpert") else frame

    run = make_class_run(classes=CLASSES, images=60, seeds=(0,), change=change)
    options: dict[str, Any] = {"method": "single", "configuration": "val-split"}
    assert "not drawn: no labelled" in text_of(confusion(run, figure_layout("confusion"), tmp_path, **options)[0])
    said = text_of(confidence(run, figure_layout("confidence", name="sure"), tmp_path, **options)[0])
    assert "no labelled image" in said
    assert "0 images, 0 patients" in said


def test_many_classes_and_long_names_fit(make_class_run: Make, figure_layout: Layout, tmp_path: Path) -> None:
    names = [f"{'very ' * 20}long class, number {i} $\\alpha{{ <b>" for i in range(6)]
    run = make_class_run(classes=names, images=60, seeds=(0,))
    paths = confusion(run, figure_layout("confusion"), tmp_path, method="single", configuration="val-split")
    assert list(dict.fromkeys(pd.read_csv(paths[2])["true"])) == names


def test_confidence_is_a_histogram_of_the_highest_probability(
    make_class_run: Make, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    run = make_class_run(classes=CLASSES, images=150, seeds=(0,))
    paths = confidence(run, figure_layout("confidence"), tmp_path, method="single", configuration="full-data", bins=4)
    numbers = pd.read_csv(paths[2])
    cell = run.cells(method="single", configuration="full-data", protocol="resubstitution")["cell"].iloc[0]
    frame = run.results.predictions(cell)
    assert frame is not None
    known = frame.dropna(subset=[f"truth:{CLASSES[0]}"])
    sure = known[[f"score:{name}" for name in CLASSES]].max(axis=1)
    mine = numbers[numbers["protocol"] == "resubstitution"]
    assert list(mine["images"]) == [int(((sure >= a) & (sure < a + 0.25)).sum()) for a in (0, 0.25, 0.5, 0.75)]
    assert mine["share"].sum() == pytest.approx(1)
    assert mine["mean_confidence"].iloc[0] == pytest.approx(sure.mean())
    accuracy = accuracy_score(*truth_and_called(frame))
    assert mine["accuracy"].iloc[0] == pytest.approx(accuracy)
    assert f"mean confidence {sure.mean():.3f}, accuracy {accuracy:.3f}" in text_of(paths[0])
    outside = numbers[numbers["protocol"] == "external"]["mean_confidence"].iloc[0]
    assert outside < sure.mean()


def test_runs_with_several_labels_an_image_have_none(
    make_labelled_run: Make, figure_layout: Layout, tmp_path: Path
) -> None:
    run = make_labelled_run(labels=("Edema",), images=40)
    assert confusion(run, figure_layout("confusion"), tmp_path) == []
    assert confidence(run, figure_layout("confidence"), tmp_path) == []


def test_an_unknown_method_is_one_line(make_class_run: Make, figure_layout: Layout, tmp_path: Path) -> None:
    run = make_class_run(classes=CLASSES, images=40, seeds=(0,))
    with pytest.raises(UnknownNameError, match="figure picture: unknown method 'ensembl'; did you mean 'ensemble'"):
        confusion(run, figure_layout("confusion"), tmp_path, method="ensembl")
