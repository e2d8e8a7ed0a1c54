"""Reader of ChestX-ray14 as the NIH Clinical Center publishes it: ``Data_Entry_2017*.csv`` and twelve folders of PNG files.

Every image was given a full list of findings, so a finding that is not listed is negative; nothing is uncertain.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xrbench.cards import Vocabulary
from xrbench.data.readers import parsing
from xrbench.data.readers.base import Reading, States, files_in, image_ids, locate_files, named_labels, tidy
from xrbench.data.readers.box_tables import box_frame, check_edges, coordinates, refuse_rows
from xrbench.data.readers.csv_files import Sheet, find_sheet, read_sheet
from xrbench.errors import suggestion

FINDINGS = (
    "No Finding",
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)
CSV = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017*.csv")
BOX_CSV = ("BBox_List_2017.csv", "BBox_List_2017*.csv")
INFILTRATE = {"Infiltrate": "Infiltration"}
"""The box table's own word for a finding of the other table."""

PATIENT_DIGITS = 8
"""Patient ids are numbers in the table and eight digits in file names; the latter is the id."""


def read(root: Path, *, vocabulary: Vocabulary, labels: Mapping[str, str], csv: str = "") -> Reading:
    """Read ChestX-ray14.

    Args:
        root: Its folder; images lie in it, in ``images/``, or in ``images_001/images/`` to ``images_012/images/``.
        vocabulary: The shared names of findings.
        labels: The dataset's own label names -> shared names, where they differ.
        csv: Name of the metadata file, if it is not ``Data_Entry_2017*.csv``.

    Raises:
        MissingDataError: The metadata are not there.
        DataError: They are not as published.
    """
    sheet = read_sheet(
        find_sheet(root, *([csv] if csv else CSV), needed="the metadata of ChestX-ray14"),
        {
            "image": "Image Index",
            "findings": "Finding Labels",
            "patient_id": "Patient ID",
            "age": "Patient Age",
            "sex": ("Patient Sex", "Patient Gender"),
            "view": "View Position",
        },
    )
    images = image_ids(sheet)
    columns: dict[str, Any] = {
        "image": images,
        "path": locate_files(images, files_in(root, _folders(root)), fallback="images/{}"),
        # copies that a program has saved again may have ids such as 13.0
        "patient_id": sheet.text("patient_id").str.removesuffix(".0").str.zfill(PATIENT_DIGITS),
        "view": sheet.values("view", parsing.view, expected="a view"),
        "age": sheet.values("age", parsing.years, expected=parsing.YEARS, dtype=np.float64),
        "sex": sheet.values("sex", parsing.sex, expected=parsing.SEX),
    }
    names = named_labels(FINDINGS, vocabulary, labels, where=str(sheet.path))
    states = _states(sheet)
    states_of_label = {names[finding]: states[:, number] for number, finding in enumerate(FINDINGS)}
    return Reading(tidy(columns, states_of_label), tuple(states_of_label))


def boxes(root: Path, *, vocabulary: Vocabulary, labels: Mapping[str, str], csv: str = "") -> pd.DataFrame:
    """Read ``BBox_List_2017.csv``: 984 boxes on 880 images; see ``data.annotations.boxes.load_boxes``.

    The readers are not named. Coordinates are pixels of the published PNG files, all of 1024 x 1024.

    Args:
        root: Its folder; the box table lies beside the other one, against which image ids are checked.
        vocabulary: The shared names of findings.
        labels: The dataset's own label names -> shared names, where they differ.
        csv: Name of the metadata file, if it is not ``Data_Entry_2017*.csv``.

    Raises:
        MissingDataError: A table is not there.
        DataError: One is not as published, or a row names an unknown image or label, or no real box.
    """
    path = find_sheet(root, *BOX_CSV, needed="the boxes of ChestX-ray14")
    sheet = read_sheet(
        path, {"image": "Image Index", "label": "Finding Label", "x0": "Bbox [x", "y0": "y", "w": "w", "h": "h]"}
    )
    entries = find_sheet(root, *([csv] if csv else CSV), needed="the metadata of ChestX-ray14")
    known_images = image_ids(read_sheet(entries, {"image": "Image Index"}))
    images = sheet.text("image")
    refuse_rows(sheet, "image", ~images.isin(known_images).to_numpy(bool), f"an image of {entries.name}")
    edges = {key: coordinates(sheet, key) for key in ("x0", "y0", "w", "h")}
    for key, edge in edges.items():
        refuse_rows(sheet, key, np.isnan(edge), "a number of pixels")
    for key in ("w", "h"):
        refuse_rows(sheet, key, edges[key] <= 0, "a width and height above 0")
    unknown = np.full(len(sheet), np.nan)
    x1, y1 = edges["x0"] + edges["w"], edges["y0"] + edges["h"]
    check_edges(sheet, ("x0", edges["x0"]), ("w", x1), ("width", unknown))
    check_edges(sheet, ("y0", edges["y0"]), ("h", y1), ("height", unknown))
    names = named_labels(FINDINGS, vocabulary, labels, where=str(path))
    return box_frame(
        image=images,
        label=sheet.values("label", lambda word: names[_box_label(word)], expected=f"one of {', '.join(FINDINGS[1:])}"),
        reader=[None] * len(sheet),
        x0=edges["x0"],
        y0=edges["y0"],
        x1=x1,
        y1=y1,
        width=unknown,
        height=unknown,
    )


def _box_label(word: str) -> str:
    finding = INFILTRATE.get(word, word)
    if finding not in FINDINGS[1:]:
        raise ValueError(word)
    return finding


def _folders(root: Path) -> list[str]:
    numbered = sorted(path.name for path in root.glob("images_*") if path.is_dir())
    return [
        "images",
        *(folder for name in numbered for folder in (f"{name}/images", name)),
        *sorted(path.name for path in root.glob("images-*") if path.is_dir()),
        "",
    ]


def _states(sheet: Sheet) -> States:
    """Read lists such as ``Cardiomegaly|Effusion`` into 0 and 1, shape (n, findings)."""
    codes, words = sheet.coded("findings")
    position = {finding: number for number, finding in enumerate(FINDINGS)}
    # one row for each distinct list of findings; codes spread them over the images at the end
    table = np.zeros((len(words), len(FINDINGS)), np.float32)
    for row, word in enumerate(words):
        for finding in map(str.strip, word.split("|")):
            if finding not in position:
                at = int(np.flatnonzero(codes == row)[0])
                hint = suggestion(finding, FINDINGS)
                raise sheet.wrong(at, "findings", f"known findings ({finding!r} is not)", hint=hint)
            table[row, position[finding]] = 1
    return table[codes]
