"""Pictures of what the data are: ages, prevalence, classes, straight from what the manifest counted."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xrbench import cards
from xrbench.errors import UnknownNameError
from xrbench.report.figures.class_prevalence import classes, prevalence
from xrbench.report.figures.demographics import ages as draw_ages
from xrbench.report.run_folder import Run

Make = Callable[..., Run]
Layout = Callable[..., cards.FigureLayout]
Rows = list[dict[str, Any]]
TINY = {"labels": ("Edema", "Effusion"), "models": ("net",), "images": 40, "trained": {"nih-alone": ("nih",)}}


def test_ages_are_counted_and_summarised(
    make_labelled_run: Make, figure_layout: Layout, ages: Rows, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    run = make_labelled_run(**TINY, ages=ages)
    svg, _, table = draw_ages(run, figure_layout("ages"), tmp_path)
    numbers = pd.read_csv(table)
    assert numbers["patients"].sum() == sum(row["patients"] for row in ages)
    assert set(numbers["sex"]) == {"male", "female"}
    mine = [row for row in ages if row["dataset"] == "chexpert" and row["low"] is not None]
    years = np.repeat([row["low"] + 2.5 for row in mine], [row["patients"] for row in mine])
    said = text_of(svg)
    assert f"about {years.mean():.1f} ± {years.std(ddof=1):.1f} years; {len(years) + 3} patients, 3 without age" in said
    assert "female" in said


def test_recorded_means_are_printed_as_they_are(
    make_labelled_run: Make, figure_layout: Layout, ages: Rows, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    datasets = [{"dataset": "nih", "mean_age": 46.13, "sd_age": 17.01}]
    run = make_labelled_run(**TINY, ages=ages, datasets=datasets)
    assert "46.1 ± 17.0 years" in text_of(draw_ages(run, figure_layout("ages"), tmp_path, dataset="nih")[0])


def test_unknown_ages_and_sexes_are_said(
    make_labelled_run: Make, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    rows = [
        {"dataset": "mimic", "sex": "unknown", "low": None, "high": None, "patients": 12},
        {"dataset": "nih", "sex": "unknown", "low": 40, "high": 45, "patients": 1},
    ]
    said = " ".join(
        text_of(draw_ages(make_labelled_run(**TINY, ages=rows), figure_layout("ages"), tmp_path)[0]).split()
    )
    assert "not drawn: no patient's age is known" in said
    assert "age not known; 12 patients, 12 without age" in said
    assert "sex not recorded" in said
    assert "about 42.5 years; 1 patient" in said


def test_prevalence_is_positive_among_labelled(
    make_labelled_run: Make, figure_layout: Layout, splits: Rows, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    run = make_labelled_run(**TINY, splits=splits)
    svg, _, table = prevalence(run, figure_layout("prevalence"), tmp_path)
    numbers = pd.read_csv(table, keep_default_na=False)
    parts = list(dict.fromkeys(zip(numbers["dataset"], numbers["split"], strict=True)))
    assert parts == [("nih", "all"), ("nih", "train"), ("nih", "test"), ("mimic", "all")]
    assert set(numbers["seed"]) == {0}
    edema = numbers[numbers["label"] == "Edema"].set_index(["dataset", "split"])["prevalence"]
    assert edema.to_dict() == {
        ("nih", "all"): pytest.approx(30 / 200),
        ("nih", "train"): pytest.approx(20 / 140),
        ("nih", "test"): pytest.approx(10 / 60),
        ("mimic", "all"): pytest.approx(5 / 50),
    }
    said = text_of(svg)
    assert "14.3 % (20 / 140)" in said
    assert "0.0 % (0 / 50)" in said
    assert "Patients: nih all 100, train 70, test 30; mimic all 25." in said


def test_divisions_that_differ_between_configurations_are_told_apart(
    make_labelled_run: Make, figure_layout: Layout, splits: Rows, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    other = {**splits[2], "configuration": "both", "positive": {"Edema": 19, "Effusion": 35}}
    run = make_labelled_run(**TINY, splits=[*splits, other])
    said = text_of(prevalence(run, figure_layout("prevalence"), tmp_path, split="train", label="Edema")[0])
    assert "nih (nih-alone) train" in said
    assert "nih (both) train" in said
    assert "13.6 % (19 / 140)" in said


def test_unlabelled_parts_have_no_prevalence(
    make_labelled_run: Make, figure_layout: Layout, splits: Rows, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    blank = {**splits[0], "labelled": {"Edema": 0, "Effusion": 200}, "positive": {"Edema": 0, "Effusion": 50}}
    svg, _, table = prevalence(
        make_labelled_run(**TINY, splits=[blank]), figure_layout("prevalence"), tmp_path, dataset=["nih"]
    )
    assert pd.read_csv(table)["prevalence"].isna().tolist() == [True, False]
    assert "no labelled image" in text_of(svg)


def test_classes_are_counted_with_the_chance_of_guessing(
    make_class_run: Make, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    """Zhou et al. state the accuracy of guessing in proportion as the sum of squared shares."""
    names = ("No Finding", "Cardiomegaly", "Effusion")
    counts = {"No Finding": 50, "Cardiomegaly": 30, "Effusion": 20}
    whole = {
        "configuration": "", "dataset": "vindr", "seed": 0, "split": "all", "images": 100, "patients": None,
        "positive": counts, "labelled": dict.fromkeys(names, 100),
    }  # fmt: skip
    half = {**whole, "split": "train", "images": 50, "positive": {name: n // 2 for name, n in counts.items()}}
    run = make_class_run(classes=names, images=40, seeds=(0,), splits=[whole, half])
    svg, _, table = classes(run, figure_layout("classes"), tmp_path)
    numbers = pd.read_csv(table)
    assert numbers["positive"].tolist() == [50, 30, 20]
    assert numbers["share"].tolist() == pytest.approx([0.5, 0.3, 0.2])
    assert "100 images, patients not known; guessing 0.380" in text_of(svg)
    both = classes(run, figure_layout("classes", name="both"), tmp_path, split=["all", "train"])
    assert list(dict.fromkeys(pd.read_csv(both[2])["split"])) == ["all", "train"]
    other = classes(run, figure_layout("classes", name="valid"), tmp_path, split="valid")
    assert list(dict.fromkeys(pd.read_csv(other[2])["split"])) == ["all", "train"]


def test_nothing_recorded_draws_nothing(
    make_labelled_run: Make, make_class_run: Make, figure_layout: Layout, splits: Rows, tmp_path: Path
) -> None:
    run = make_labelled_run(**TINY)
    for draw in (draw_ages, prevalence, classes):
        assert draw(run, figure_layout("any"), tmp_path) == []
    assert classes(make_labelled_run(**TINY, splits=splits), figure_layout("classes"), tmp_path) == []
    assert draw_ages(make_labelled_run(**TINY, ages=[]), figure_layout("ages"), tmp_path) == []
    assert prevalence(make_labelled_run(**TINY, splits=splits), figure_layout("p"), tmp_path, split="valid") == []


def test_datasets_that_were_missing_are_no_mistake(
    make_labelled_run: Make, figure_layout: Layout, splits: Rows, ages: Rows, tmp_path: Path
) -> None:
    run = make_labelled_run(**TINY, splits=splits, ages=ages, missing={"padchest": "apply at ..."})
    both = draw_ages(run, figure_layout("ages"), tmp_path, dataset=["padchest", "nih"])
    assert set(pd.read_csv(both[2])["dataset"]) == {"nih"}
    assert draw_ages(run, figure_layout("ages"), tmp_path, dataset=["padchest", "mimic"]) == []
    assert prevalence(run, figure_layout("prevalence"), tmp_path, dataset="padchest") == []


def test_unknown_datasets_and_splits_are_one_line(
    make_labelled_run: Make, figure_layout: Layout, splits: Rows, ages: Rows, tmp_path: Path
) -> None:
    run = make_labelled_run(**TINY, splits=splits, ages=ages)
    with pytest.raises(
        UnknownNameError, match=re.escape("figure picture: unknown dataset 'mimc'; did you mean 'mimic'?")
    ):
        prevalence(run, figure_layout("prevalence"), tmp_path, dataset="mimc")
    with pytest.raises(UnknownNameError, match="unknown split 'training'; did you mean 'train'"):
        prevalence(run, figure_layout("prevalence"), tmp_path, split="training")
    with pytest.raises(UnknownNameError, match="unknown dataset 'NIH'; did you mean 'nih'"):
        draw_ages(run, figure_layout("ages"), tmp_path, dataset="NIH")
