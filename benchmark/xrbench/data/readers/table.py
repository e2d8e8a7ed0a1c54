"""Reader of xrbench's own layout, for any dataset: a folder ``images/`` and a ``labels.csv`` with one row an image.

``labels.csv`` has a column ``image`` (a file name, with or without its ending) and, as far as they are known, ``patient_id``,
``study``, ``view``, ``age`` and ``sex``; every other column whose name the vocabulary knows is a label with cells 1, 0, -1
(uncertain) or blank. A table that names one diagnosis for each image in a single column is read with the option ``class_column``.
All other columns are kept as text, so that a site or a scanner can define a slice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import Vocabulary
from xrbench.data.labels.policies import Lookup
from xrbench.data.readers import parsing
from xrbench.data.readers.base import STANDARD, Reading, files_in, image_ids, locate_files, named_labels, tidy
from xrbench.data.readers.csv_files import Sheet, find_sheet, header_of, read_sheet
from xrbench.errors import CardError, DataError, MissingDataError, suggestion

LABELS = "labels.csv"
IMAGES = "images"
REQUIRED = ("image", "patient_id", "view", "age", "sex")
"""Columns by which a folder is recognised as holding this layout, whatever its published one is."""


def read(
    root: Path,
    *,
    vocabulary: Vocabulary,
    labels: Mapping[str, str],
    csv: str = LABELS,
    images: str = IMAGES,
    columns: Mapping[str, str] | None = None,
    label_columns: Sequence[str] = (),
    class_column: str = "",
) -> Reading:
    """Read a folder of images with one table.

    Args:
        root: The folder.
        vocabulary: The shared names of findings.
        labels: Names of label columns in the table, or of classes in ``class_column``, -> shared names, where they differ.
        csv: Name of the table.
        images: Folder of the images, relative to the root.
        columns: Standard name (``image``, ``path``, ``patient_id``, ``study``, ``view``, ``age``, ``sex``) -> the table's
            column, where they differ. ``path`` is relative to the root and goes before ``images``.
        label_columns: The table's label columns; by default all those that ``labels`` or the vocabulary knows, or none where there
            is a ``class_column``.
        class_column: Column that names one class for each image. Each class of the column or of ``labels`` is a label: 1 in its own
            images, 0 in those of other classes, not mentioned where the cell is blank. Several classes may have one shared name.

    Raises:
        MissingDataError: The table is not there.
        DataError: A column is missing, a cell is not what it should be, or there is no label.
        UnknownNameError: Neither ``labels`` nor the vocabulary knows a class.
        CardError: ``columns`` names something that is not a standard column.
    """
    path = find_sheet(root, csv, needed="one row an image")
    renamed = dict(columns or {})
    for name in renamed:
        if name not in STANDARD:
            raise CardError(f"{root.name}: options.columns: unknown column {name!r}{suggestion(name, STANDARD)}")
    header = header_of(path)
    own_labels = {}
    if label_columns or not class_column:
        named = {} if class_column else labels
        own_labels = _labels(path, header, vocabulary, named, label_columns, {renamed.get(n, n) for n in STANDARD})
    others = [n for n in header if n and n not in own_labels and n not in {renamed.get(s, s) for s in STANDARD}]
    column_names = {"image": "image", **renamed} | {f"label:{own}": own for own in own_labels}
    column_names |= {f"other:{name}": name for name in others}
    column_names |= {"class": class_column} if class_column else {}
    sheet = read_sheet(path, column_names, optional={name: name for name in STANDARD if name not in column_names})
    standard = {**_standard(sheet), "path": _paths(root, sheet, images)}
    states_of_label = {
        name: sheet.values(f"label:{own}", parsing.state, expected=parsing.STATE, dtype=np.float32)
        for own, name in own_labels.items()
    }
    if class_column:
        states_of_label |= _class_states(sheet, vocabulary, labels)
    extra = {name: sheet.text(f"other:{name}") for name in others}
    return Reading(
        tidy(standard, states_of_label, extra), tuple(states_of_label), notes=_notes(path, others, standard, vocabulary)
    )


def holds(root: Path) -> bool:
    """Say whether a folder holds this layout under its standard names."""
    if not (root / IMAGES).is_dir():
        return False
    try:
        header = header_of(find_sheet(root, LABELS))
    except (MissingDataError, DataError):
        return False
    return set(REQUIRED) <= set(header)


def _labels(
    path: Path,
    header: Sequence[str],
    vocabulary: Vocabulary,
    labels: Mapping[str, str],
    label_columns: Sequence[str],
    standard: set[str],
) -> dict[str, str]:
    """Choose the label columns: the table's name -> the shared name."""
    lookup = Lookup(vocabulary)
    # without a list of label columns, every column that the card or the vocabulary knows is one
    label_names = list(label_columns) or [
        name for name in header if name not in standard and (name in labels or lookup.get(name) is not None)
    ]
    for name in [*label_names, *(labels if not label_columns else ())]:
        if name not in header:
            raise DataError(f"{path}: no column {name!r}{suggestion(name, [known for known in header if known])}")
    if not label_names:
        other_names = [name for name in header if name and name not in standard]
        raise DataError(f"{path}: no column is a label of the vocabulary (columns: {', '.join(other_names) or 'none'})")
    return named_labels(label_names, vocabulary, labels, where=str(path))


def _class_states(
    sheet: Sheet, vocabulary: Vocabulary, labels: Mapping[str, str]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the states of each label, float32 of shape (rows,), from the column of classes."""
    classes = sheet.text("class", missing=parsing.BLANK)
    lookup, where = Lookup(vocabulary), f"{sheet.path}: column {sheet.columns['class']!r}"
    shared = {name: lookup(labels.get(name, name), where=where) for name in dict.fromkeys([*labels, *classes.dropna()])}
    of_row = classes.map(shared).to_numpy(object)
    blank = classes.isna().to_numpy(bool)
    return {name: np.where(blank, np.nan, of_row == name).astype(np.float32) for name in dict.fromkeys(shared.values())}


def _standard(sheet: Sheet) -> dict[str, Any]:
    columns: dict[str, Any] = {"image": image_ids(sheet)}
    for key in ("patient_id", "study"):
        if key in sheet:
            columns[key] = sheet.text(key, missing=parsing.BLANK)
    if "view" in sheet:
        columns["view"] = sheet.values("view", parsing.view, expected="a view")
    if "age" in sheet:
        columns["age"] = sheet.values("age", parsing.years, expected=parsing.YEARS, dtype=np.float64)
    if "sex" in sheet:
        columns["sex"] = sheet.values("sex", parsing.sex, expected=parsing.SEX)
    return columns


def _paths(root: Path, sheet: Sheet, images: str) -> pd.Series[Any]:
    if "path" in sheet:
        return sheet.text("path")
    folder = images.strip("/")
    prefix = f"{folder}/" if folder not in ("", ".") else ""
    return locate_files(sheet.text("image"), files_in(root, [prefix.rstrip("/")]), fallback=prefix + "{}")


def _notes(path: Path, others: Sequence[str], standard: Mapping[str, Any], vocabulary: Vocabulary) -> tuple[str, ...]:
    notes = []
    if "patient_id" not in standard or standard["patient_id"].isna().all():
        notes.append(f"{path.name} has no patient ids: splits and intervals are by image")
    for name in others:
        near = suggestion(name, vocabulary.pathologies)
        if near.startswith("; did you mean"):
            notes.append(f"{path.name}: column {name!r} is not a label{near}")
    return tuple(notes)
