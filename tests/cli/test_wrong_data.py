"""Data that are not as they should be: named by file and row before anything is trained, or left out and said everywhere."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Lab

Said = Callable[[], str]
ONE_FIT = ("--only", "method=plain,train=east+west", "--quiet")


def edit(path: Path, row: int, column: str, cell: str) -> None:
    """Write another cell into a CSV; row 1 is the header, ``row`` 0 means every row."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table.loc[:, column] = cell if row == 0 else table[column].where(table.index != row - 2, cell)
    table.to_csv(path, index=False)


@pytest.mark.parametrize(
    ("row", "column", "cell", "expected"),
    [
        (5, "Edema", "7", "row 5, column 'Edema': expected 1, 0, -1 or blank, got '7'"),
        (6, "Edema", "yes", "row 6, column 'Edema': expected 1, 0, -1 or blank, got 'yes'"),
        (7, "age", "old", "row 7, column 'age': expected an age such as 57 or 057Y, got 'old'"),
        (8, "sex", "Q", "row 8, column 'sex': expected a sex such as F or male, got 'Q'"),
        (9, "image", "", "row 9, column 'image': expected an image id, got ''"),
        (5, "image", "000.png", "image '000.png' stands in rows 2 and 5; an id must be unique"),
    ],
)
def test_a_wrong_cell_is_named(row: int, column: str, cell: str, expected: str, lab: Lab, said: Said) -> None:
    edit(lab.data / "east" / "labels.csv", row, column, cell)
    assert lab.plan() == 3
    assert said().startswith(f"error: {lab.data / 'east' / 'labels.csv'}: {expected}")


def test_a_missing_table_or_column_is_named_with_the_nearest(lab: Lab, said: Said) -> None:
    table = lab.data / "east" / "labels.csv"
    table.write_text(table.read_text().replace("image,", "imag,", 1))
    assert lab.plan() == 3
    assert "labels.csv: no column 'image'; did you mean 'imag'?" in said()
    table.write_text("")
    assert lab.plan() == 3
    assert "labels.csv: the file is empty" in said()
    table.rename(table.with_name("label.csv"))
    assert lab.plan() == 1
    assert "east: no labels.csv or labels.csv.gz (one row an image); did you mean 'label.csv'?" in said()


def test_a_label_that_a_dataset_does_not_have_is_said(lab: Lab, said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    table = lab.data / "east" / "labels.csv"
    table.write_text(table.read_text().replace("Edema", "Pneumonia", 1))
    assert lab.plan() == 0
    assert "east: has no label Edema; masked there" in capsys.readouterr().out


def test_one_patient_id_missing_is_an_error_and_all_missing_is_said(
    lab: Lab, said: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    table = lab.data / "east" / "labels.csv"
    edit(table, 5, "patient_id", "")
    assert lab.plan() == 3
    assert "east: image '003.png' has no patient id (1 of 48 have none); splits need one for every image" in said()
    edit(table, 0, "patient_id", "")
    assert lab.plan() == 0
    assert "east: no patient ids; splits and intervals are by image" in capsys.readouterr().out


@pytest.mark.train
def test_without_patient_ids_intervals_are_labelled_as_of_images(lab: Lab) -> None:
    edit(lab.data / "north" / "labels.csv", 0, "patient_id", "")
    assert lab.run(*ONE_FIT) == 0
    scores = pd.read_csv(lab.folder / "scores.csv")
    assert set(scores.loc[scores["test"] == "north", "unit"]) == {"image"}
    assert set(scores.loc[scores["test"] == "east", "unit"]) == {"patient"}
    page = (lab.folder / "README.md").read_text()
    assert "north: no patient ids; splits and intervals are by image" in page


@pytest.mark.parametrize(("cell", "positives", "negatives"), [("0", 0, 44), ("1", 44, 0), ("", 0, 0)])
def test_a_label_with_one_class_in_training_is_refused_with_its_counts(
    cell: str, positives: int, negatives: int, lab: Lab, said: Said
) -> None:
    for name in ("east", "west"):
        edit(lab.data / name / "labels.csv", 0, "Edema", cell)
    assert lab.run("--only", "train=east+west", "--quiet") == 3
    words = f"east+west: label 'Edema' has {positives} positive and {negatives} negative training images; a classifier needs both"
    assert said() == f"error: {words}\n"
    assert not (lab.out / "cache").exists()


@pytest.mark.train
@pytest.mark.parametrize(("cell", "reason"), [("0", "no positive among 48 labelled images"), ("", "no labelled image")])
def test_a_label_with_one_class_in_the_test_is_undefined_with_its_counts(cell: str, reason: str, lab: Lab) -> None:
    edit(lab.data / "north" / "labels.csv", 0, "Edema", cell)
    assert lab.run("--only", "method=plain,train=east+west,test=north", "--quiet") == 0
    scores = pd.read_csv(lab.folder / "scores.csv")
    found = scores[(scores["test"] == "north") & (scores["label"] == "Edema") & (scores["metric"] == "auc")]
    assert found["value"].isna().all()
    assert found[["n_positive", "n_negative"]].values.tolist() == [[0, 48 if cell else 0]]
    assert found["reason"].tolist() == [reason]
    whole = scores[(scores["test"] == "north") & (scores["label"] == "Effusion") & (scores["metric"] == "auc")]
    assert whole["value"].notna().all()


def test_images_that_are_listed_but_absent_stop_the_run(lab: Lab, said: Said) -> None:
    (lab.data / "east" / "images" / "003.png").unlink()
    (lab.data / "east" / "images" / "004.png").unlink()
    assert lab.run("--quiet") == 1
    assert said().endswith(
        "east: 2 of 48 images are listed but not there: images/003.png, images/004.png; --skip-unreadable leaves them out\n"
    )
    assert not (lab.out / "fits").exists()


@pytest.fixture
def hurt(lab: Lab) -> Lab:
    """A laboratory where two images of the first patients are cut off and one is not there."""
    images = lab.data / "east" / "images"
    for name in ("005.png", "006.png"):
        (images / name).write_bytes((images / name).read_bytes()[:100])
        os.utime(images / name, (1e9, 1e9))
    (images / "007.png").unlink()
    return lab


@pytest.mark.train
def test_unreadable_images_are_listed_before_any_training(hurt: Lab, said: Said) -> None:
    hurt.invoke("data", "prepare", *hurt.options("--quiet"))
    (hurt.data / "east" / "images" / "007.png").write_text("no image")
    said()
    assert hurt.run("--quiet") == 3
    words = said()
    assert "east: 3 of 48 images cannot be read: images/005.png: " in words
    assert "images/007.png: not a JPEG, PNG, BMP or DICOM file" in words
    assert words.count("\n") == 1
    assert not (hurt.out / "fits").exists()


@pytest.mark.train
def test_skipped_images_are_said_in_every_result(hurt: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert hurt.run(*ONE_FIT, "--skip-unreadable") == 0
    printed = capsys.readouterr().out
    manifest = json.loads((hurt.folder / "manifest.json").read_text())
    assert "east: 3 unreadable images are left out (--skip-unreadable)" in manifest["notes"]
    assert {about["dataset"]: about["unreadable"] for about in manifest["datasets"]} == {
        "east": 3,
        "west": 0,
        "north": 0,
    }
    assert "3 unreadable images are left out" in (hurt.folder / "README.md").read_text()
    footnote = "Left out, since they cannot be read: 3 of east."
    assert printed.count(footnote) == 2
    tables = [*(hurt.folder / "tables").glob("*.md"), *(hurt.folder / "tables").glob("*.tex")]
    assert len(tables) >= 8
    assert all(footnote in path.read_text() for path in tables)
    assert hurt.plan(*ONE_FIT[:2], "--skip-unreadable") == 0
    assert "4 cells (1 external, 2 internal, 1 validation), 4 done" in capsys.readouterr().out


def test_nothing_is_trained_when_what_is_left_is_not_enough(lab: Lab, said: Said) -> None:
    for path in (lab.data / "east" / "images").glob("*.png"):
        path.unlink()
    assert lab.run("--only", "train=east+west", "--quiet", "--skip-unreadable") == 3
    assert re.match(r"error: east: no image is left to train on when north is the test", said())


def test_describe_and_check_tell_what_is_wrong(hurt: Lab, said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--catalogue", str(hurt.catalogue), "--data-root", str(hurt.data)]
    assert hurt.invoke("data", "check", "east", "west", "--json", *words) == 1
    east, west = json.loads(capsys.readouterr().out)
    assert (east["absent"], sorted(east["unreadable"])) == (["images/007.png"], ["images/005.png", "images/006.png"])
    assert west["ok"]
    assert hurt.invoke("data", "describe", "east", "--where", "sex=F", "--csv", *words) == 0
    counts = pd.read_csv(io.StringIO(capsys.readouterr().out))
    labels = pd.read_csv(hurt.data / "east" / "labels.csv")
    edema = counts[counts["label"] == "Edema"].iloc[0]
    assert edema["positive"] == labels.loc[labels["sex"] == "F", "Edema"].sum()
    assert hurt.invoke("data", "describe", "east", "--where", "sx=F", *words) == 3
    assert "east: where: no column 'sx'; did you mean 'sex'?" in said()
    assert hurt.invoke("data", "describe", "east", "--where", "sex", *words) == 3
    assert "--where sex: expected COLUMN=VALUE, such as view=PA" in said()
