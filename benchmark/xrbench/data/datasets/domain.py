"""A domain: one dataset, or a slice of one, read into a tidy frame with what is known about where it came from.

A slice such as "nih where view is PA" is a domain of its own, but its patients are those of the dataset it is cut from.
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
"""A file of this name in a dataset's folder, or beside it, says that its images are drawn."""

GIVEN = ("root", "vocabulary", "labels")
"""Arguments that every reader is given; the rest are a card's options."""

Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Domain:
    """A dataset or a slice of one.

    Attributes:
        card: Its card.
        base: Name of the dataset whose patients these are: its own, or that of the dataset it is a slice of.
        root: The dataset's folder; paths in the frame are relative to it.
        frame: Tidy frame, one row an image, in published order.
        labels: Label columns of the frame.
        dropped: Reason -> how many published images were left out of the whole dataset for it.
        notes: Things worth knowing about this copy, one line each.
        synthetic: Whether the images are drawn, not taken.
        layout: ``published``, or ``table`` for xrbench's own layout.
        read_options: Options that the reader was given.
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

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def name(self) -> str:
        """The domain's name."""
        return self.card.name

    @cached_property
    def digest(self) -> str:
        """Hash of what the frame says, 32 hexadecimal digits.

        Where the files lie (``path``) does not count: two copies of a dataset in different layouts say the same.
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
        folder: The dataset's folder, if it is not to be looked for.

    Raises:
        UsageError: The data root is not a folder.
        MissingDataError: The dataset is not there.
        DataError: Its metadata are not as its layout promises, or nothing is left of a slice.
        CardError: The card's options do not fit its reader, or the cards below a slice are not given.
    """
    chain = [card, *([base] if isinstance(base, DatasetCard) else base or ())]
    for upper, lower in zip(chain, [*chain[1:], None], strict=True):
        if upper.base != (lower.name if lower else ""):
            raise CardError(f"{upper.name}: a slice of {upper.base!r} needs the card of {upper.base!r}")
    bottom = chain[-1]
    root = folder or find_folder(bottom, data_root)
    if root is None:
        raise MissingDataError(
            f"{bottom.name}: not found in {data_root} (looked for {_looked_for(bottom)}){_ask(bottom)}"
        )
    check_folder(root)
    domain = _read(bottom, vocabulary, root)
    for upper in reversed(chain[:-1]):
        domain = slice_of(domain, upper)
    return domain


def slice_of(domain: Domain, card: DatasetCard) -> Domain:
    """Cut the slice that a card describes out of the domain that it names as its base.

    Raises:
        DataError: Its condition names a column or value that the domain does not have.
    """
    frame = select(domain.frame, card.where, name=card.name)
    return replace(domain, card=card, frame=frame, synthetic=domain.synthetic or card.synthetic)


def find_folder(card: DatasetCard, data_root: Path) -> Path | None:
    """Find a dataset's folder under a data root: its own name first, then those of its card, whatever their case.

    Raises:
        UsageError: The data root is not a folder.
    """
    check_folder(data_root)
    for name in (card.name, *card.folders):
        found: Path | None = data_root
        for part in name.split("/"):
            found = _inside(found, part) if found else None
        if found is not None:
            return found
    return None


def check_folder(folder: Path) -> None:
    """Refuse a data root that is a file or does not exist.

    Raises:
        UsageError: It is.
    """
    if not folder.is_dir():
        raise UsageError(f"data root {folder}: {'not a folder' if folder.exists() else 'no such folder'}")


def select(frame: pd.DataFrame, where: Mapping[str, Any], *, name: str = "") -> pd.DataFrame:
    """Keep the rows that meet every condition, in their order.

    Args:
        frame: A tidy frame.
        where: Column -> a value, a list of values (any of them), or ``{min = .., max = ..}`` (both included; either may be left
            out). Rows where the column is missing meet no condition.
        name: What to name in a message.

    Raises:
        DataError: There is no such column, or no row meets a condition; what there is instead is named.

    >>> frame = pd.DataFrame({"view": ["PA", "AP", "PA"], "age": [30.0, 60.0, 90.0]})
    >>> select(frame, {"view": "PA", "age": {"min": 40}}).to_dict("list")
    {'view': ['PA'], 'age': [90.0]}
    """
    kept = np.ones(len(frame), bool)
    place = f"{name}: " if name else ""
    for column, condition in where.items():
        if column not in frame.columns:
            raise DataError(f"{place}where: no column {column!r}{suggestion(column, map(str, frame.columns))}")
        kept &= _meets(frame[column], condition, f"{place}where: {column}")
    if not kept.any():
        raise DataError(f"{place}where: no row meets all of {dict(where)}")
    return frame[kept].reset_index(drop=True)


def frame_digest(frame: pd.DataFrame) -> str:
    """Hash column names, order, values and gaps of a frame into 32 hexadecimal digits, the same on every machine."""
    digest = hashlib.blake2b(digest_size=16)
    for name in frame.columns:
        values = frame[name]
        if values.dtype.kind == "f":
            numbers = values.to_numpy(np.float64)
            data = np.where(np.isnan(numbers), np.nan, numbers).astype("<f8").tobytes()
        else:
            words = values.astype(object).where(values.notna(), "\x00").tolist()
            data = "\x1f".join(map(str, words)).encode()
        digest.update(f"{name}\x1f{len(values)}\x1f{len(data)}\x1f".encode())
        digest.update(data)
    return digest.hexdigest()


def _read(card: DatasetCard, vocabulary: Vocabulary, root: Path) -> Domain:
    stands_in = card.reader != "table" and table.holds(root)
    options = {} if stands_in else _options(card)
    if stands_in:
        reading = table.read(root, vocabulary=vocabulary, labels={})
    else:
        reader = blocks.find("reader", card.reader, where=card.name)
        reading = reader(root, vocabulary=vocabulary, labels=card.labels, **options)
    if not isinstance(reading, Reading):
        raise CardError(f"{card.name}: reader {card.reader!r} returned {type(reading).__name__}, not a Reading")
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
        layout="table" if stands_in or card.reader == "table" else "published",
        read_options=options,
    )


def _options(card: DatasetCard) -> dict[str, Any]:
    """Check a card's reader options against the reader's signature: names and types."""
    reader = blocks.check_options("reader", card.reader, card.options, where=card.name)
    types = typing.get_type_hints(reader)
    for name, value in card.options.items():
        if name in GIVEN:
            raise CardError(f"{card.name}: options: {name!r} is not an option of a reader")
        try:
            msgspec.convert(value, types.get(name, Any))
        except msgspec.ValidationError as error:
            raise CardError(f"{card.name}: options.{name}: {error}") from error
    return dict(card.options)


def _inside(folder: Path, name: str) -> Path | None:
    """Find a folder of that name in another one; the exact spelling goes before one that differs in case."""
    if (folder / name).is_dir():
        return folder / name
    same = [path for path in sorted(folder.iterdir()) if path.name.casefold() == name.casefold() and path.is_dir()]
    return same[0] if same else None


def _looked_for(card: DatasetCard) -> str:
    return ", ".join(dict.fromkeys((card.name, *card.folders)))


def _ask(card: DatasetCard) -> str:
    return f"; {card.access}" if card.access else ""


def _meets(values: pd.Series[Any], condition: Any, place: str) -> Rows:
    if isinstance(condition, Mapping):
        return _in_range(values, condition, place)
    accepted = list(condition) if isinstance(condition, list | tuple) else [condition]
    if values.dtype.kind == "f":
        wanted = [float(value) for value in accepted if isinstance(value, int | float)]
        met = values.isin(wanted).to_numpy() if len(wanted) == len(accepted) else np.zeros(len(values), bool)
    else:
        met = values.isin([str(value) for value in accepted]).to_numpy(bool)
    if not met.any():
        shown = ", ".join(repr(value) for value in accepted)
        raise DataError(f"{place}: no row has {shown}{_offer(values, accepted)}")
    return met


def _in_range(values: pd.Series[Any], limits: Mapping[str, Any], place: str) -> Rows:
    for key, limit in limits.items():
        if key not in ("min", "max"):
            raise CardError(f"{place}: wanted min and max, got {key!r}{suggestion(key, ['min', 'max'])}")
        if not isinstance(limit, int | float):
            raise CardError(f"{place}.{key}: wanted a number, got {limit!r}")
    if values.dtype.kind != "f":
        raise DataError(f"{place}: min and max need a column of numbers; this one holds text{_offer(values, [])}")
    low, high = limits.get("min", -np.inf), limits.get("max", np.inf)
    met = values.between(low, high).to_numpy()
    if not met.any():
        there = f"{values.min():g} to {values.max():g}" if values.notna().any() else "no value at all"
        raise DataError(f"{place}: no row lies between {low:g} and {high:g}; here: {there}")
    return met


def _offer(values: pd.Series[Any], asked: Sequence[Any]) -> str:
    there = [str(value) for value in values.dropna().unique()]
    return suggestion(str(asked[0]) if asked else "", there) if there else "; it has no value at all"
