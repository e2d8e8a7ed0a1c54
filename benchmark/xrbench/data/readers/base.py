"""Return type of readers, and the steps that they share: names of labels, paths of files, and the tidy frame."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import Vocabulary
from xrbench.data.labels.policies import Lookup
from xrbench.data.readers.csv_files import FIRST_ROW, Sheet, text_column
from xrbench.errors import DataError

STANDARD = ("image", "path", "patient_id", "study", "view", "age", "sex")
"""First columns of every tidy frame; then follow one float32 column for each label, and further columns of the dataset."""

States = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """Metadata of a dataset.

    Attributes:
        frame: The tidy frame, one row an image, in published order.
        labels: Names of its label columns.
        dropped: Reason -> number of published images left out for it.
        notes: Remarks on this copy, one line each.
    """

    frame: pd.DataFrame
    labels: tuple[str, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def tidy(
    columns: Mapping[str, Sequence[Any] | pd.Series[Any] | npt.NDArray[Any]],
    labels: Mapping[str, States],
    extra: Mapping[str, pd.Series[Any]] | None = None,
) -> pd.DataFrame:
    """Combine the standard columns, the labels and further columns in one frame.

    Args:
        columns: Standard columns, each with n values; one that is absent is missing in every row.
        labels: Vocabulary name -> states, 1, 0, -1 or NaN, shape (n,).
        extra: Further columns.
    """
    n = len(columns["image"])
    columns_of_frame: dict[str, Any] = {}
    for name in STANDARD:
        values = columns.get(name)
        # ages are numbers, with NaN for missing; all other standard columns are texts
        if name == "age":
            columns_of_frame[name] = np.full(n, np.nan) if values is None else np.asarray(values, np.float64)
        else:
            columns_of_frame[name] = text_column([None] * n if values is None else values).reset_index(drop=True)
    columns_of_frame |= {name: states.astype(np.float32, copy=False) for name, states in labels.items()}
    columns_of_frame |= {name: values.reset_index(drop=True) for name, values in (extra or {}).items()}
    return pd.DataFrame(columns_of_frame)


def image_ids(sheet: Sheet, key: str = "image") -> pd.Series[Any]:
    """Return the ids of the images of a sheet, one for each row.

    Raises:
        DataError: A row has no id, or two rows have the same one.
    """
    images = sheet.text(key)
    if images.isna().any():
        raise sheet.wrong(int(np.argmax(images.isna())), key, "an image id")
    is_repeated = images.duplicated()
    if is_repeated.any():
        repeated = images[int(np.argmax(is_repeated))]
        rows = " and ".join(str(position + FIRST_ROW) for position in np.flatnonzero(images == repeated)[:2])
        raise DataError(
            f"{sheet.path}: image {repeated!r} stands in rows {rows}; an id must be unique ({int(is_repeated.sum()):,} repeated)"
        )
    return images


def named_labels(
    published: Iterable[str], vocabulary: Vocabulary, labels: Mapping[str, str], *, where: str
) -> dict[str, str]:
    """Map each label of a dataset to its name in the vocabulary.

    Args:
        published: The dataset's own label names.
        vocabulary: The shared names.
        labels: Own name -> shared name, from the dataset's card; it takes precedence over the vocabulary's synonyms.
        where: The file, for messages.

    Returns:
        Own name -> shared name.

    Raises:
        UnknownNameError: Neither the card nor the vocabulary knows a name.
        DataError: Two labels of the dataset get the same name.
    """
    lookup = Lookup(vocabulary)
    names = {
        published_name: lookup(labels.get(published_name, published_name), where=where) for published_name in published
    }
    published_name_of: dict[str, str] = {}
    for published_name, shared_name in names.items():
        if shared_name in published_name_of:
            raise DataError(
                f"{where}: labels {published_name_of[shared_name]!r} and {published_name!r} are both {shared_name!r}"
            )
        published_name_of[shared_name] = published_name
    return names


def files_in(root: Path, folders: Iterable[str]) -> dict[str, str]:
    """List the files of several folders, with one scan each: file name -> path relative to the root.

    Folders that do not exist are skipped; of two files with one name the first is listed.
    """
    path_of_file: dict[str, str] = {}
    for folder in folders:
        directory = root / folder
        if directory.is_dir():
            with os.scandir(directory) as entries:
                names = sorted(entry.name for entry in entries if entry.is_file())
            prefix = f"{folder}/" if folder else ""
            for name in names:
                path_of_file.setdefault(name, prefix + name)
    return path_of_file


def locate_files(images: pd.Series[Any], files: Mapping[str, str], *, fallback: str) -> pd.Series[Any]:
    """Return the path of each image, or where it is expected.

    Args:
        images: File names, with or without an ending.
        files: File name -> relative path, as ``files_in`` returns it.
        fallback: Where an image that was not found is expected, such as ``images/{}``.

    Returns:
        Relative paths. A file of the same name with another ending is accepted: copies are often converted.
    """
    if not files:
        return text_column([fallback.format(image) for image in images])
    # reversed, so that of several files with one stem the first one stays
    stems = {_stem(name): path for name, path in reversed(list(files.items()))}
    return text_column(
        [files.get(image) or stems.get(image) or stems.get(_stem(image)) or fallback.format(image) for image in images]
    )


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name
