"""What a reader returns, and the steps that all readers share: naming labels, finding files, putting the frame together."""

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
"""Columns that every tidy frame begins with; one float32 column a label follows, then what a dataset has besides."""

States = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """What stands in a dataset's metadata.

    Attributes:
        frame: The tidy frame, one row an image, in published order.
        labels: Names of its label columns.
        dropped: Reason -> how many published images were left out for it.
        notes: Things worth knowing about this copy, one line each.
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
    """Put the standard columns, the labels and what is left into one frame.

    Args:
        columns: Standard columns; those that are absent are missing throughout.
        labels: Vocabulary name -> states, 1, 0, -1 or NaN.
        extra: Further columns.
    """
    n = len(columns["image"])
    made: dict[str, Any] = {}
    for name in STANDARD:
        given = columns.get(name)
        if name == "age":
            made[name] = np.full(n, np.nan) if given is None else np.asarray(given, np.float64)
        else:
            made[name] = text_column([None] * n if given is None else given).reset_index(drop=True)
    made |= {name: states.astype(np.float32, copy=False) for name, states in labels.items()}
    made |= {name: values.reset_index(drop=True) for name, values in (extra or {}).items()}
    return pd.DataFrame(made)


def image_ids(sheet: Sheet, key: str = "image") -> pd.Series[Any]:
    """Return the ids of the images that a sheet lists, one row each.

    Raises:
        DataError: A row has no id, or two rows have the same one.
    """
    images = sheet.text(key)
    if images.isna().any():
        raise sheet.wrong(int(np.argmax(images.isna())), key, "an image id")
    twice = images.duplicated()
    if twice.any():
        again = images[int(np.argmax(twice))]
        rows = " and ".join(str(at + FIRST_ROW) for at in np.flatnonzero(images == again)[:2])
        raise DataError(
            f"{sheet.path}: image {again!r} stands in rows {rows}; an id must be unique ({int(twice.sum()):,} repeated)"
        )
    return images


def named_labels(
    published: Iterable[str], vocabulary: Vocabulary, labels: Mapping[str, str], *, where: str
) -> dict[str, str]:
    """Give each label of a dataset its name in the vocabulary.

    Args:
        published: The dataset's own label names.
        vocabulary: The shared names.
        labels: Own name -> shared name, from the dataset's card; it goes before the vocabulary's synonyms.
        where: What to name in a message.

    Returns:
        Own name -> shared name.

    Raises:
        UnknownNameError: Neither the card nor the vocabulary knows a name.
        DataError: Two labels of the dataset get the same name.
    """
    lookup = Lookup(vocabulary)
    names = {own: lookup(labels.get(own, own), where=where) for own in published}
    seen: dict[str, str] = {}
    for own, name in names.items():
        if name in seen:
            raise DataError(f"{where}: labels {seen[name]!r} and {own!r} are both {name!r}")
        seen[name] = own
    return names


def files_in(root: Path, folders: Iterable[str]) -> dict[str, str]:
    """List the files of some folders with one scan each: file name -> path relative to the root.

    Folders that do not exist are passed over; a file name found twice keeps its first place.
    """
    found: dict[str, str] = {}
    for folder in folders:
        here = root / folder
        if here.is_dir():
            with os.scandir(here) as entries:
                names = sorted(entry.name for entry in entries if entry.is_file())
            prefix = f"{folder}/" if folder else ""
            for name in names:
                found.setdefault(name, prefix + name)
    return found


def placed(images: pd.Series[Any], found: Mapping[str, str], *, otherwise: str) -> pd.Series[Any]:
    """Say where each image is, or should be.

    Args:
        images: File names, with or without an ending.
        found: File name -> relative path, as ``files_in`` returns it.
        otherwise: Where an image that was not found is expected, such as ``images/{}``.

    Returns:
        Relative paths. A file of the same name with another ending counts as found: copies are often converted.
    """
    if not found:
        return text_column([otherwise.format(image) for image in images])
    stems = {_stem(name): path for name, path in reversed(list(found.items()))}
    return text_column(
        [found.get(image) or stems.get(image) or stems.get(_stem(image)) or otherwise.format(image) for image in images]
    )


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name
