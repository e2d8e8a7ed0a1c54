"""Reader of VinDr-CXR as the VinBigData challenge publishes it: ``train.csv``, several rows an image, and DICOM or converted files.

Three of seventeen radiologists read each image, and each box of each of them is a row. A label is positive when any of them
drew it: their union, as torchxrayvision takes it. Patient ids, sex and age are not published with the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xrbench.cards import Vocabulary
from xrbench.data.readers.base import Reading, files_in, locate_files, named_labels, tidy
from xrbench.data.readers.box_tables import box_frame, check_edges, coordinates
from xrbench.data.readers.csv_files import find_sheet, read_sheet

FINDINGS = (
    "No finding",
    "Aortic enlargement",
    "Atelectasis",
    "Calcification",
    "Cardiomegaly",
    "Consolidation",
    "ILD",
    "Infiltration",
    "Lung Opacity",
    "Nodule/Mass",
    "Other lesion",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary fibrosis",
)
NOTE = "no patient ids are published: splits and intervals are by image"


def read(root: Path, *, vocabulary: Vocabulary, labels: Mapping[str, str], csv: str = "train.csv") -> Reading:
    """Read VinDr-CXR.

    Args:
        root: The folder with ``train.csv``; images are ``train/<id>`` with any ending.
        vocabulary: The shared names of findings.
        labels: The dataset's own label names -> shared names, where they differ.
        csv: Name of the table; its first part is also the name of the images' folder.

    Raises:
        MissingDataError: The table is not there.
        DataError: It is not as published.
    """
    path = find_sheet(root, csv, needed="the annotations of VinDr-CXR")
    sheet = read_sheet(path, {"image": "image_id", "finding": "class_name"})
    rows, unique = pd.factorize(sheet.text("image"))
    if (rows < 0).any():
        raise sheet.wrong(int(np.argmax(rows < 0)), "image", "an image id")
    images = pd.Series(unique)
    classes = sheet.values("finding", _class, expected="a class of VinDr-CXR such as Cardiomegaly", dtype=np.int64)
    # one row of the table a box: several rows set the same cell, which makes the union of the readers
    marked = np.zeros((len(images), len(FINDINGS)), np.float32)
    marked[rows, classes] = 1
    # "No finding" is taken from the union, not from the readers who drew nothing
    marked[:, 0] = ~marked[:, 1:].any(axis=1)
    names = named_labels(FINDINGS, vocabulary, labels, where=str(path))
    folder = csv.partition(".")[0]
    columns: dict[str, Any] = {
        "image": images,
        "path": locate_files(images, files_in(root, [folder]), fallback=folder + "/{}.dicom"),
    }
    states_of_label = {names[own]: marked[:, number] for number, own in enumerate(FINDINGS)}
    return Reading(tidy(columns, states_of_label), tuple(states_of_label), notes=(NOTE,))


def boxes(root: Path, *, vocabulary: Vocabulary, labels: Mapping[str, str], csv: str = "train.csv") -> pd.DataFrame:
    """Read the radiologists' boxes, each of each reader; see ``data.annotations.boxes.load_boxes``.

    Args:
        root: The folder with ``train.csv``.
        vocabulary: The shared names of findings.
        labels: The dataset's own label names -> shared names, where they differ.
        csv: Name of the table; resized copies of the dataset have columns ``width`` and ``height`` in it.

    Raises:
        MissingDataError: The table is not there.
        DataError: It is not as published, or a box lies outside of its image.
    """
    path = find_sheet(root, csv, needed="the annotations of VinDr-CXR")
    column_names = {"x0": "x_min", "y0": "y_min", "x1": "x_max", "y1": "y_max", "reader": "rad_id"}
    sizes = {"width": "width", "height": "height"}
    sheet = read_sheet(path, {"image": "image_id", "finding": "class_name", **column_names}, optional=sizes)
    edges = {key: coordinates(sheet, key) for key in ("x0", "y0", "x1", "y1")}
    size = {key: coordinates(sheet, key) if key in sheet else np.full(len(sheet), np.nan) for key in sizes}
    classes = sheet.values("finding", _class, expected="a class of VinDr-CXR such as Cardiomegaly", dtype=np.int64)
    # rows of "No finding" have no box
    has_box = (classes > 0) & ~np.isnan(edges["x0"])
    check_edges(sheet, ("x0", edges["x0"]), ("x1", edges["x1"]), ("width", size["width"]))
    check_edges(sheet, ("y0", edges["y0"]), ("y1", edges["y1"]), ("height", size["height"]))
    names = named_labels(FINDINGS, vocabulary, labels, where=str(path))
    return box_frame(
        image=sheet.text("image")[has_box],
        label=np.array([names[own] for own in FINDINGS], object)[classes[has_box]],
        reader=sheet.text("reader")[has_box],
        **{key: column[has_box] for key, column in (edges | size).items()},
    )


def _class(word: str) -> int:
    """Return the position of a class in ``FINDINGS``, whatever its case."""
    return [name.casefold() for name in FINDINGS].index(word.casefold())
