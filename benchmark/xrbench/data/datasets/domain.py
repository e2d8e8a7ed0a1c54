"""Domains: a dataset, or a slice of one, as a tidy frame with its provenance.

A slice such as "nih where view is PA" is a domain of its own; its patients are those of the dataset that it is cut from.
"""

from __future__ import annotations

import hashlib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench import blocks
from xrbench.cards import DatasetCard, Vocabulary
from xrbench.data.readers import table
from xrbench.data.readers.base import Reading
from xrbench.errors import CardError, DataError, MissingDataError, UsageError, suggestion

FIXTURE_MARKER = "xrbench-fixture.json"
"""Name of a file in a dataset's folder, or beside it, that marks its images as synthetic."""

PASSED = ("root", "vocabulary", "labels")
"""Arguments that are passed to every reader; the others are a card's options."""

Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Domain:
    """A dataset or a slice of one.

    Attributes:
        card: Its card.
        base: Name of the dataset whose patients it has: its own, or that of the dataset it is a slice of.
        root: The dataset's folder; paths in the frame are relative to it.
        frame: Tidy frame, one row an image, in published order.
        labels: Label columns of the frame.
        dropped: Reason -> number of published images left out of the whole dataset for it.
        notes: Remarks on this copy, one line each.
        synthetic: Whether the images are synthetic.
        layout: ``published``, or ``table`` for xrbench's own layout.
        read_options: Options that were passed to the reader.
        channels: 3 where the dataset's images are read in colour, else 1.
    """

    card: DatasetCard
    base: str
    root: Path
    frame: pd.DataFrame
    labels: tuple[str, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    synthetic: bool = False
    layout: Literal["published", "table"] = "published"
    read_options: Mapping[str, Any] = field(default_factory=dict)
    channels: Literal[1, 3] = 1

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def name(self) -> str:
        """The domain's name."""
        return self.card.name

    @cached_property
    def digest(self) -> str:
        """Hash of the frame, 32 hexadecimal digits.

        ``path`` is left out, so that two copies of a dataset with other folders have the same digest.
        """
        return frame_digest(self.frame.drop(columns="path"))

    def where(self, where: Mapping[str, Any]) -> Domain:
        """Keep the rows that meet a condition; see ``select``."""
        return replace(self, frame=select(self.frame, where, name=self.name)) if where else self


def load_domain(
    card: DatasetCard,
    base: DatasetCard | Sequence[DatasetCard] | None,
    vocabulary: Vocabulary,
    data_root: Path,
    *,
    folder: Path | None = None,
) -> Domain:
    """Read a dataset's metadata, and cut the slice if the card is one.

    Args:
        card: The dataset or slice.
        base: For a slice, the card of the dataset it is cut from; for a slice of a slice, the cards below it, nearest first.
        vocabulary: The shared names of findings.
        data_root: Folder with one folder a dataset.
        folder: The dataset's folder; None to search for it.

    Raises:
        UsageError: The data root is not a folder.
        MissingDataError: The dataset is missing.
        DataError: Its metadata do not have the layout of its reader, or a slice is empty.
        CardError: The card's options do not fit its reader, or the cards below a slice are not given.
    """
    chain = [card, *([base] if isinstance(base, DatasetCard) else base or ())]
    # each card must name the next one as its base, and the last one none
    for upper, lower in zip(chain, [*chain[1:], None], strict=True):
        if upper.base != (lower.name if lower else ""):
            raise CardError(f"{upper.name}: a slice of {upper.base!r} needs the card of {upper.base!r}")
    bottom = chain[-1]
    root = folder or find_folder(bottom, data_root)
    if root is None:
        names = ", ".join(dict.fromkeys((bottom.name, *bottom.folders)))
        access = f"; {bottom.access}" if bottom.access else ""
        raise MissingDataError(f"{bottom.name}: not found in {data_root} (looked for {names}){access}")
    check_folder(root)
    domain = _read(bottom, vocabulary, root)
    # from the dataset upwards: a slice selects from what the slice below it left
    for upper in reversed(chain[:-1]):
        domain = slice_of(domain, upper)
    return domain


def slice_of(domain: Domain, card: DatasetCard) -> Domain:
    """Return the slice that a card describes of the domain that is its base.

    Raises:
        DataError: Its condition names a column or value that the domain does not have.
    """
    frame = select(domain.frame, card.where, name=card.name)
    return replace(domain, card=card, frame=frame, synthetic=domain.synthetic or card.synthetic)


def find_folder(card: DatasetCard, data_root: Path) -> Path | None:
    """Return a dataset's folder in a data root: its own name first, then those of its card, in any case of letters.

    Raises:
        UsageError: The data root is not a folder.
    """
    check_folder(data_root)
    for name in (card.name, *card.folders):
        folder: Path | None = data_root
        for part in name.split("/"):
            folder = _subfolder(folder, part) if folder else None
        if folder is not None:
            return folder
    return None


def check_folder(folder: Path) -> None:
    """Check that a data root is a folder.

    Raises:
        UsageError: It is a file or does not exist.
    """
    if not folder.is_dir():
        raise UsageError(f"data root {folder}: {'not a folder' if folder.exists() else 'no such folder'}")


def select(frame: pd.DataFrame, where: Mapping[str, Any], *, name: str = "") -> pd.DataFrame:
    """Keep the rows that meet every condition, in their order.

    Args:
        frame: A tidy frame.
        where: Column -> a value, a list of values (any of them), or ``{min = .., max = ..}`` (both included; either may be left
            out). Rows where the column is missing meet no condition.
        name: The domain, for messages.

    Raises:
        DataError: There is no such column, or no row meets a condition; the nearest one is offered.

    >>> frame = pd.DataFrame({"view": ["PA", "AP", "PA"], "age": [30.0, 60.0, 90.0]})
    >>> select(frame, {"view": "PA", "age": {"min": 40}}).to_dict("list")
    {'view': ['PA'], 'age': [90.0]}
    """
    mask = np.ones(len(frame), bool)
    place = f"{name}: " if name else ""
    for column, condition in where.items():
        if column not in frame.columns:
            raise DataError(f"{place}where: no column {column!r}{suggestion(column, map(str, frame.columns))}")
        mask &= _mask_of(frame[column], condition, f"{place}where: {column}")
    if not mask.any():
        raise DataError(f"{place}where: no row meets all of {dict(where)}")
    return frame[mask].reset_index(drop=True)


def frame_digest(frame: pd.DataFrame) -> str:
    """Hash column names, order, values and gaps of a frame into 32 hexadecimal digits, the same on every machine."""
    digest = hashlib.blake2b(digest_size=16)
    for name in frame.columns:
        values = frame[name]
        if values.dtype.kind == "f":
            numbers = values.to_numpy(np.float64)
            # one bit pattern for every NaN, and one byte order
            data = np.where(np.isnan(numbers), np.nan, numbers).astype("<f8").tobytes()
        else:
            words = values.astype(object).where(values.notna(), "\x00").tolist()
            data = "\x1f".join(map(str, words)).encode()
        digest.update(f"{name}\x1f{len(values)}\x1f{len(data)}\x1f".encode())
        digest.update(data)
    return digest.hexdigest()


def _read(card: DatasetCard, vocabulary: Vocabulary, root: Path) -> Domain:
    uses_table = card.reader != "table" and table.holds(root)
    options = {} if uses_table else _options(card)
    if uses_table:
        reading = table.read(root, vocabulary=vocabulary, labels={})
    else:
        reader = blocks.find("reader", card.reader, where=card.name)
        reading = reader(root, vocabulary=vocabulary, labels=card.labels, **options)
    if not isinstance(reading, Reading):
        raise CardError(f"{card.name}: reader {card.reader!r} returned {type(reading).__name__}, not a Reading")
    # the marker of the whole fixture is in the data root, also when the dataset's folder is a link to one
    marked = any((place / FIXTURE_MARKER).is_file() for place in (root, root.parent, root.resolve().parent))
    return Domain(
        card=card,
        base=card.name,
        root=root,
        frame=reading.frame,
        labels=reading.labels,
        dropped=reading.dropped,
        notes=reading.notes,
        synthetic=card.synthetic or marked,
        layout="table" if uses_table or card.reader == "table" else "published",
        read_options=options,
        channels=card.channels,
    )


def _options(card: DatasetCard) -> dict[str, Any]:
    """Return a card's reader options, after a check of names and types against the reader's signature."""
    reader = blocks.check_options("reader", card.reader, card.options, where=card.name)
    types = typing.get_type_hints(reader)
    for name, value in card.options.items():
        if name in PASSED:
            raise CardError(f"{card.name}: options: {name!r} is not an option of a reader")
        try:
            msgspec.convert(value, types.get(name, Any))
        except msgspec.ValidationError as error:
            raise CardError(f"{card.name}: options.{name}: {error}") from error
    return dict(card.options)


def _subfolder(folder: Path, name: str) -> Path | None:
    """Return the subfolder of a name; the exact spelling takes precedence over one that differs in case."""
    if (folder / name).is_dir():
        return folder / name
    alike = [path for path in sorted(folder.iterdir()) if path.name.casefold() == name.casefold() and path.is_dir()]
    return alike[0] if alike else None


def _mask_of(values: pd.Series[Any], condition: Any, place: str) -> Rows:
    if isinstance(condition, Mapping):
        return _in_range(values, condition, place)
    accepted = list(condition) if isinstance(condition, list | tuple) else [condition]
    if values.dtype.kind == "f":
        numbers = [float(value) for value in accepted if isinstance(value, int | float)]
        # a text among the accepted values can match no number
        mask = values.isin(numbers).to_numpy() if len(numbers) == len(accepted) else np.zeros(len(values), bool)
    else:
        mask = values.isin([str(value) for value in accepted]).to_numpy(bool)
    if not mask.any():
        shown = ", ".join(repr(value) for value in accepted)
        raise DataError(f"{place}: no row has {shown}{_nearest_value(values, accepted)}")
    return mask


def _in_range(values: pd.Series[Any], limits: Mapping[str, Any], place: str) -> Rows:
    for key, limit in limits.items():
        if key not in ("min", "max"):
            raise CardError(f"{place}: expected min and max, got {key!r}{suggestion(key, ['min', 'max'])}")
        if not isinstance(limit, int | float):
            raise CardError(f"{place}.{key}: expected a number, got {limit!r}")
    if values.dtype.kind != "f":
        raise DataError(
            f"{place}: min and max need a column of numbers; this one holds text{_nearest_value(values, [])}"
        )
    low, high = limits.get("min", -np.inf), limits.get("max", np.inf)
    mask = values.between(low, high).to_numpy()
    if not mask.any():
        range_text = f"{values.min():g} to {values.max():g}" if values.notna().any() else "no value at all"
        raise DataError(f"{place}: no row lies between {low:g} and {high:g}; here: {range_text}")
    return mask


def _nearest_value(values: pd.Series[Any], asked: Sequence[Any]) -> str:
    values_as_text = [str(value) for value in values.dropna().unique()]
    return suggestion(str(asked[0]) if asked else "", values_as_text) if values_as_text else "; it has no value at all"
