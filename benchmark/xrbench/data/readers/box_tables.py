"""Shared parts of the readers of box tables: the frame of boxes, and the checks of every row.

Conventions: coordinates are edges in pixels of the published file, x from the left and y from the top; the pixel in column i
covers i to i + 1, so that a box around the whole of an image is 0, 0, width, height.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.data.readers import parsing
from xrbench.data.readers.csv_files import Sheet, text_column

COLUMNS = ("image", "label", "reader", "x0", "y0", "x1", "y1", "width", "height")
SLACK = 1.0
"""Pixels that a box may reach over an image's edge, from rounding."""

Numbers = npt.NDArray[np.float64]


def coordinate(word: str) -> float:
    """Read one coordinate; NaN where the cell is blank.

    >>> coordinate("225.5"), coordinate("")
    (225.5, nan)
    """
    if word.casefold() in parsing.BLANK:
        return math.nan
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(word)
    return number


def coordinates(sheet: Sheet, key: str) -> Numbers:
    """Read a column of coordinates in pixels, shape (rows,); NaN where blank."""
    return sheet.values(key, coordinate, expected="a number of pixels", dtype=np.float64)


def refuse_rows(sheet: Sheet, key: str, wrong: npt.NDArray[np.bool_], expected: str | Callable[[int], str]) -> None:
    """Raise for the first wrong row, naming its cell of a key.

    Args:
        sheet: The table.
        key: Column of the cell.
        wrong: Mask of the wrong rows, shape (rows,).
        expected: Description of a valid cell; may depend on the row.

    Raises:
        DataError: There is a wrong row.
    """
    if wrong.any():
        row = int(np.argmax(wrong))
        raise sheet.wrong(row, key, expected if isinstance(expected, str) else expected(row))


def check_edges(sheet: Sheet, low: tuple[str, Numbers], high: tuple[str, Numbers], size: tuple[str, Numbers]) -> None:
    """Check that boxes begin inside the image, end after they begin, and end inside the image (size NaN: not known).

    Args:
        sheet: The table.
        low: Key and values of the first edge along one axis; NaN where a row has no box.
        high: Likewise of the second edge.
        size: Name and values of the image's extent along it.

    Raises:
        DataError: A row has such a box, or only some of its numbers.
    """
    low_key, starts = low
    high_key, ends = high
    axis, extent = size
    refuse_rows(sheet, low_key, np.isnan(starts) & ~np.isnan(ends), "a number of pixels")
    refuse_rows(sheet, high_key, ~np.isnan(starts) & np.isnan(ends), "a number of pixels")
    refuse_rows(sheet, low_key, starts < -SLACK, "0 or more: a box lies inside its image")
    first = sheet.columns[low_key]
    refuse_rows(sheet, high_key, ends <= starts, lambda at: f"more than {first} = {starts[at]:g}")
    refuse_rows(sheet, high_key, ends > extent + SLACK, lambda at: f"at most the image's {axis} of {extent[at]:g}")


def box_frame(**columns: Any) -> pd.DataFrame:
    """Combine columns of boxes in one frame, whose types are the same with and without rows."""
    frame_columns = {name: columns[name] for name in COLUMNS}
    for name in ("image", "label", "reader"):
        frame_columns[name] = text_column(frame_columns[name]).reset_index(drop=True)
    return pd.DataFrame(frame_columns)
