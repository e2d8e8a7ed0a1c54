"""Reader of MIMIC-CXR-JPG v2 as PhysioNet publishes it: three tables beside ``files/p10/p10000032/s50414267/<dicom_id>.jpg``.

Labels belong to studies: every image of a study has those of its report. Blank cells are findings that the report does not
mention. Images of the few studies without labels are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import Vocabulary
from xrbench.data.readers import parsing
from xrbench.data.readers.base import Reading, image_ids, named_labels, tidy
from xrbench.data.readers.chexpert import FINDINGS
from xrbench.data.readers.csv_files import FIRST_ROW, Sheet, find_sheet, read_sheet, text_column
from xrbench.errors import DataError, MissingDataError

STUDY = {"patient_id": "subject_id", "study": "study_id"}


def read(
    root: Path,
    *,
    vocabulary: Vocabulary,
    labels: Mapping[str, str],
    labeller: Literal["chexpert", "negbio"] = "chexpert",
) -> Reading:
    """Read MIMIC-CXR-JPG.

    The official split stands in the column ``split``. Sex and age are in MIMIC-IV, not here: when its ``patients.csv`` lies in
    the folder, they are taken from it.

    Args:
        root: The folder with ``mimic-cxr-2.0.0-*.csv``.
        vocabulary: The shared names of findings.
        labels: The dataset's own label names -> shared names, where they differ.
        labeller: The labeller whose table is read: ``chexpert`` or ``negbio``.

    Raises:
        MissingDataError: A table is not there.
        DataError: One is not as published.
    """
    images = _sheet(root, "metadata", {"image": "dicom_id", **STUDY, "view": "ViewPosition", "date": "StudyDate"})
    studies = _sheet(root, labeller, {**STUDY, **{finding: finding for finding in FINDINGS}})
    names = named_labels(FINDINGS, vocabulary, labels, where=str(studies.path))
    study_row = _rows_of(images.text("study"), studies)
    labelled = study_row >= 0
    states_of_label = {
        names[finding]: studies.values(finding, parsing.state, expected=parsing.STATE, dtype=np.float32)[
            study_row[labelled]
        ]
        for finding in FINDINGS
    }
    columns = {key: column[labelled] for key, column in _columns(root, images).items()}
    if not labelled.any():
        raise DataError(f"{images.path}: none of its studies is in {studies.path.name}")
    dropped = {f"study without labels in {studies.path.name}": int((~labelled).sum())} if not labelled.all() else {}
    split = _splits(root, columns["image"])
    return Reading(tidy(columns, states_of_label, {"split": split}), tuple(states_of_label), dropped)


def _sheet(root: Path, table: str, column_names: dict[str, str]) -> Sheet:
    path = find_sheet(root, f"mimic-cxr-2.0.0-{table}.csv", f"mimic-cxr-2.*-{table}.csv", needed="MIMIC-CXR-JPG")
    return read_sheet(path, column_names)


def _columns(root: Path, sheet: Sheet) -> dict[str, pd.Series[Any]]:
    images, patients, studies = image_ids(sheet), sheet.text("patient_id"), sheet.text("study")
    if patients.isna().any():
        raise sheet.wrong(int(np.argmax(patients.isna())), "patient_id", "a patient id")
    # copies exist with and without the folder files/ on top
    top = "" if not (root / "files").is_dir() and any(root.glob("p1[0-9]")) else "files/"
    ages, sexes = _ages_and_sexes(root, patients, sheet)
    return {
        "image": images,
        "path": top + "p" + patients.str[:2] + "/p" + patients + "/s" + studies + "/" + images + ".jpg",
        "patient_id": patients,
        "study": studies,
        "view": pd.Series(sheet.values("view", parsing.view, expected="a view")),
        "age": ages,
        "sex": sexes,
    }


def _rows_of(studies_of_images: pd.Series[Any], studies: Sheet) -> npt.NDArray[np.int64]:
    """Find the row of each image's study in the table of labels; -1 where it has none."""
    index = pd.Index(studies.text("study"))
    if index.has_duplicates:
        row = int(np.argmax(index.duplicated()))
        raise DataError(f"{studies.path}: row {row + FIRST_ROW}: study {index[row]!r} stands more than once")
    return np.asarray(index.get_indexer(pd.Index(studies_of_images)), np.int64)


def _splits(root: Path, images: pd.Series[Any]) -> pd.Series[Any]:
    sheet = _sheet(root, "split", {"image": "dicom_id", "split": "split"})
    row = pd.Index(image_ids(sheet)).get_indexer(pd.Index(images))
    if (row < 0).any():
        raise DataError(f"{sheet.path}: no split for image {images.iloc[int(np.argmax(row < 0))]!r}")
    return text_column(sheet.text("split").to_numpy()[row])


def _ages_and_sexes(root: Path, patients: pd.Series[Any], images: Sheet) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Take age and sex from MIMIC-IV's ``patients.csv``, where dates are shifted for each patient alike."""
    unknown = pd.Series(np.full(len(patients), np.nan))
    try:
        path = find_sheet(root, "patients.csv")
    except MissingDataError:
        return unknown, text_column([None] * len(patients))
    sheet = read_sheet(path, {"patient_id": "subject_id", "sex": "gender", "age": "anchor_age", "year": "anchor_year"})
    row = pd.Index(sheet.text("patient_id")).get_indexer(pd.Index(patients))
    known = row >= 0  # row is -1 for the others: what it picks there is replaced below
    study_year = images.values("date", parsing.year, expected="a date such as 21800506", dtype=np.float64)
    years = sheet.values("age", parsing.years, expected=parsing.YEARS, dtype=np.float64)
    # the age at an anchor year is published: with the (shifted) year of the study it gives the age then
    years = years - sheet.values("year", parsing.year, expected="a year", dtype=np.float64)
    ages = np.where(known, years[row] + study_year, np.nan)
    sexes = np.where(known, sheet.values("sex", parsing.sex, expected=parsing.SEX)[row], None)
    return pd.Series(np.where((ages >= 0) & (ages <= parsing.OLDEST), ages, np.nan)), text_column(sexes)
