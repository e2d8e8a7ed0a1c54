"""Reader of CheXpert as Stanford publishes it: ``train.csv`` and ``valid.csv`` beside folders of the same names.

Blank cells are findings that the report does not mention. ``train.csv`` alone is what papers call CheXpert (223,414 images);
``valid.csv`` has 234 images that radiologists labelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from xrbench.cards import Vocabulary
from xrbench.data.readers import parsing
from xrbench.data.readers.base import Reading, image_ids, named_labels, tidy
from xrbench.data.readers.csv_files import Sheet, find_sheet, read_sheet, text_column

FINDINGS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
PATH = r"^(?:CheXpert[^/]*/)*(?P<path>(?:.*/)?(?P<study>(?P<patient_id>patient\d+)/study\d+)/[^/]+)$"


def read(
    root: Path, *, vocabulary: Vocabulary, labels: Mapping[str, str], files: Sequence[str] = ("train.csv",)
) -> Reading:
    """Read CheXpert, the original or the small release.

    Args:
        root: The folder that holds ``train.csv``; its own name does not matter.
        vocabulary: The shared names of findings.
        labels: The dataset's own label names -> shared names, where they differ.
        files: Metadata files to read, in order; the column ``split`` says which one a row is from.

    Raises:
        MissingDataError: The metadata are not there.
        DataError: They are not as published.
    """
    parts = [_read(find_sheet(root, name, needed="the metadata of CheXpert"), vocabulary, labels) for name in files]
    frame = parts[0][0] if len(parts) == 1 else pd.concat([part for part, _ in parts], ignore_index=True)
    return Reading(frame, parts[0][1])


def _read(path: Path, vocabulary: Vocabulary, labels: Mapping[str, str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    column_names = {"image": "Path", "sex": "Sex", "age": "Age", "side": "Frontal/Lateral", "view": "AP/PA"}
    sheet = read_sheet(path, column_names | {finding: finding for finding in FINDINGS})
    names = named_labels(FINDINGS, vocabulary, labels, where=str(path))
    ages = sheet.values("age", parsing.years, expected=parsing.YEARS, dtype=np.float64)
    path_parts = _path_parts(sheet)
    columns: dict[str, Any] = {
        **path_parts,
        "image": path_parts["path"],  # no other id is published
        "view": _views(sheet),
        # all patients of CheXpert are adults: an age of 0 means unknown
        "age": np.where(ages == 0, np.nan, ages),
        "sex": sheet.values("sex", parsing.sex, expected=parsing.SEX),
    }
    states_of_label = {
        names[finding]: sheet.values(finding, parsing.state, expected=parsing.STATE, dtype=np.float32)
        for finding in FINDINGS
    }
    split = text_column([path.name.partition(".")[0]] * len(sheet))
    return tidy(columns, states_of_label, {"split": split}), tuple(states_of_label)


def _path_parts(sheet: Sheet) -> dict[str, pd.Series[Any]]:
    """Split paths such as ``CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg``; the release does not matter."""
    image_ids(sheet)
    parts = pc.extract_regex(sheet.cells["image"].combine_chunks(), PATH)
    if parts.null_count:
        row = int(np.argmax(parts.is_null().to_numpy(zero_copy_only=False)))
        raise sheet.wrong(row, "image", "a path such as CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg")
    return {key: text_column(parts.field(key).to_pylist()) for key in ("path", "study", "patient_id")}


def _views(sheet: Sheet) -> Any:
    """Take the projection of frontal images as it stands (AP, PA; a few say LL or RL); all others are lateral."""
    sides = sheet.values("side", _side, expected="Frontal or Lateral")
    projections = sheet.values("view", lambda word: word.upper() or None, expected="a view")
    return np.where(sides == "Lateral", "LATERAL", projections)


def _side(word: str) -> str:
    side = word.capitalize()
    if side not in ("Frontal", "Lateral"):
        raise ValueError(word)
    return side
