"""Published CSV files: plain or gzipped, with or without a byte-order mark, every cell read as text.

Each distinct text is converted to a value once, so that a column of 200,000 cells takes a handful of conversions, and a wrong cell
can be named by file, row and column. Rows are counted as in a spreadsheet: the header is row 1.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv

from xrbench.errors import DataError, MissingDataError, suggestion

FIRST_ROW = 2
"""Spreadsheet number of the first row below the header."""

Parse = Callable[[str], object]
ColumnNames = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True)
class Sheet:
    """Columns of a CSV file under keys of the reader's choice.

    Attributes:
        path: The file.
        cells: Key -> its cells, as text.
        columns: Key -> the column's name in the file.
        header: All column names of the file, in order.
    """

    path: Path
    cells: Mapping[str, Any]
    columns: Mapping[str, str]
    header: tuple[str, ...]

    def __len__(self) -> int:
        return len(next(iter(self.cells.values())))

    def __contains__(self, key: str) -> bool:
        return key in self.cells

    def text(self, key: str, *, missing: Iterable[str] = ("",)) -> pd.Series[Any]:
        """Return a column's texts, stripped; those in ``missing`` (compared in lower case) become missing."""
        gone = frozenset(missing)
        return text_column(self.values(key, lambda word: None if word.casefold() in gone else word, expected="text"))

    def values(self, key: str, parse: Parse, *, expected: str, dtype: Any = object) -> npt.NDArray[Any]:
        """Convert a column of texts to values, each distinct text once.

        Args:
            key: The column.
            parse: Text without outer spaces -> value; raises ValueError for a text without a meaning.
            expected: Description of a valid cell, for the message.
            dtype: Type of the array returned.

        Returns:
            Values, shape (rows,).

        Raises:
            DataError: A cell cannot be parsed; its row, column and content are named.
        """
        codes, words = self.coded(key)
        values = np.empty(len(words), dtype)
        for number, word in enumerate(words):
            try:
                values[number] = parse(word.strip())
            except ValueError:
                # the first row with this text
                raise self.wrong(int(np.flatnonzero(codes == number)[0]), key, expected) from None
        return values[codes]

    def coded(self, key: str) -> tuple[npt.NDArray[np.int64], list[str]]:
        """Return a column as positions in the list of its distinct texts, shape (rows,), and that list."""
        encoded = self.cells[key].combine_chunks().dictionary_encode()
        return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist()

    def wrong(self, position: int, key: str, expected: str, *, hint: str = "") -> DataError:
        """Return the error that names a cell, what was expected of it, and its content."""
        cell = _short(self.cells[key][position].as_py())
        place = f"{self.path}: row {position + FIRST_ROW}, column {self.columns[key]!r}"
        return DataError(f"{place}: expected {expected}, got {cell!r}{hint}")


def text_column(values: Sequence[Any] | npt.NDArray[Any] | pd.Series[Any]) -> pd.Series[Any]:
    """Make a column of texts from values of shape (rows,), some of them missing; its type is the same when all are missing.

    >>> text_column([None, None]).isna().tolist()
    [True, True]
    """
    return pd.Series(values, dtype=pd.Series(["text"]).dtype)


def find_sheet(root: Path, *patterns: str, needed: str = "") -> Path:
    """Find the first file, plain or gzipped, that matches one of the patterns, which are tried in order.

    Args:
        root: The dataset's folder.
        patterns: Shell patterns of the plain file's name, such as ``Data_Entry_2017*.csv``.
        needed: Description of the file, for the message.

    Raises:
        MissingDataError: No file matches; the message offers the nearest name.
    """
    for pattern in patterns:
        for candidate in (pattern, f"{pattern}.gz"):
            matches = sorted(path for path in root.glob(candidate) if path.is_file())
            if matches:
                return matches[0]
    csv_files = [path.name for path in root.glob("*.csv*") if path.is_file()]
    what = f" ({needed})" if needed else ""
    nearest = suggestion(patterns[0].replace("*", ""), csv_files) if csv_files else "; no CSV file is there"
    raise MissingDataError(f"{root}: no {patterns[0]} or {patterns[0]}.gz{what}{nearest}")


def read_sheet(path: Path, columns: ColumnNames, *, optional: ColumnNames | None = None) -> Sheet:
    """Read columns of a CSV file as text.

    Args:
        path: The file, ``.csv`` or ``.csv.gz``.
        columns: Key -> the column's name, or the names of different releases, in order of preference.
        optional: Likewise, for columns that may be absent.

    Raises:
        DataError: The file is empty, broken or ragged, or a column is missing (the nearest one is offered).
    """
    header, width = _read_head(path)
    positions = {key: _position(path, header, names) for key, names in columns.items()}
    for key, names in (optional or {}).items():
        position = next((header.index(name) for name in _alternatives(names) if name in header), None)
        if position is not None:
            positions[key] = position
    table = _read(path, width, sorted(set(positions.values())))
    if not table.num_rows:
        raise DataError(f"{path}: no rows below the header")
    cells = {key: table.column(_column_name(position)) for key, position in positions.items()}
    return Sheet(path, cells, {key: header[position] for key, position in positions.items()}, tuple(header))


def header_of(path: Path) -> tuple[str, ...]:
    """Read the column names of a CSV file.

    Raises:
        DataError: The file is empty or broken.
    """
    return tuple(_read_head(path)[0])


def _read_head(path: Path) -> tuple[list[str], int]:
    """Read the column names and the number of cells in a row, which some published headers fall short of.

    Empty names at the end of a header, for which rows have no cells, are dropped.
    """
    # utf-8-sig drops the byte-order mark that spreadsheets write
    opened = gzip.open if path.suffix == ".gz" else Path.open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = [name.strip() for name in next(rows, [])]
            while header and not header[-1]:
                header.pop()
            first = next(rows, header)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as CSV: {_one_line(error)}") from error
    if not any(header):
        raise DataError(f"{path}: the file is empty")
    return header, max(len(header), len(first))


def _read(path: Path, width: int, positions: Sequence[int]) -> Any:
    names = [_column_name(position) for position in range(width)]
    columns = [_column_name(position) for position in positions]
    # positions as names, since published headers repeat names or fall short of the rows; text, so that no id turns into a number
    parse = pacsv.ParseOptions(newlines_in_values=True)
    convert = pacsv.ConvertOptions(
        include_columns=columns, column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
    )
    # only the slower reading in one thread names the wrong row in its error
    for threads in (True, False):
        try:
            how = pacsv.ReadOptions(column_names=names, skip_rows=1, use_threads=threads, block_size=1 << 24)
            return pacsv.read_csv(path, read_options=how, parse_options=parse, convert_options=convert)
        except (pa.ArrowInvalid, OSError) as error:
            if not threads:
                raise DataError(f"{path}: cannot be read as CSV: {_one_line(error)}") from error
    raise AssertionError("unreachable")


def _position(path: Path, header: Sequence[str], names: str | tuple[str, ...]) -> int:
    for name in _alternatives(names):
        if header.count(name) > 1:
            raise DataError(f"{path}: column {name!r} stands {header.count(name)} times in the header")
        if name in header:
            return header.index(name)
    name = _alternatives(names)[0]
    raise DataError(f"{path}: no column {name!r}{suggestion(name, [known for known in header if known])}")


def _alternatives(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _column_name(position: int) -> str:
    return f"column {position}"


def _short(cell: str, limit: int = 60) -> str:
    return cell if len(cell) <= limit else f"{cell[: limit - 1]}…"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    match = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", text)
    if match:
        row, expected, got = match.groups()
        return f"row {row} has {got} cells, the first row has {expected}"
    return _short(text, 160)
