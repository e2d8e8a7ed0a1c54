"""Truth of a head that is learned from a metadata column: view, sex, age and the like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import Head, MethodCard
from xrbench.errors import DataError, suggestion


def metadata_heads(method: MethodCard) -> tuple[Head, ...]:
    """List the heads of a method that a column of the metadata teaches."""
    return tuple(head for head in method.learned if head.column)


def head_truth(head: Head, frame: pd.DataFrame, *, dataset: str) -> npt.NDArray[np.float32]:
    """Return what a head learns of the images of a dataset.

    Args:
        head: A head of kind ``binary``, ``classes`` or ``regression``.
        frame: Metadata, one row an image.
        dataset: Name of the dataset, for messages.

    Returns:
        float32, shape (rows, outputs): 1 and 0, a 1 at each image's class, or the column's number; NaN where the column holds
        nothing or a value that the head does not list.

    Raises:
        DataError: The dataset has no such column, or it does not hold numbers.

    >>> head = Head(name="sex", kind="binary", column="sex", values=("F", "M"))
    >>> head_truth(head, pd.DataFrame({"sex": ["M", "F", None]}), dataset="d").ravel().tolist()
    [1.0, 0.0, nan]
    """
    if head.column not in frame:
        raise DataError(
            f"{dataset}: no column {head.column!r} for head {head.name!r}{suggestion(head.column, map(str, frame))}"
        )
    column = frame[head.column]
    if head.kind == "regression":
        return _numbers(head, column, dataset)
    given = column.astype(object).where(column.notna(), None)
    # one column a value; NaN in all of them where the image has none of the values
    truth: npt.NDArray[np.float32] = np.stack([(given == value).to_numpy(np.float32) for value in head.values], axis=1)
    truth[truth.sum(axis=1) == 0] = np.nan
    return truth[:, 1:] if head.kind == "binary" else truth


def check_head(head: Head, truth: npt.NDArray[np.float32], where: Sequence[str]) -> None:
    """Refuse training images from which a head cannot learn.

    Args:
        head: The head.
        truth: What it learns of them, shape (images, outputs).
        where: Names of the training datasets, for the message.

    Raises:
        DataError: Fewer than two different values are there.
    """
    known = truth[~np.isnan(truth).any(axis=1)]
    counts = (
        {value: int((known[:, 0] == number).sum()) for number, value in enumerate(head.values)}
        if head.kind == "binary"
        else dict(zip(head.values, known.sum(axis=0).astype(int).tolist(), strict=False))
    )
    lacking = [value for value, count in counts.items() if not count]
    if lacking or (head.kind == "regression" and len(np.unique(known)) < 2):
        what = f"no training image with {head.column} = {lacking[0]!r}" if lacking else "no two different numbers"
        raise DataError(f"{'+'.join(where)}: head {head.name!r}: {what} in column {head.column!r}")


def _numbers(head: Head, column: pd.Series, dataset: str) -> npt.NDArray[np.float32]:
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = numbers.isna() & column.notna()
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{dataset}: row {row + 2}: column {head.column!r} of head {head.name!r}: a number is expected, got {column.iloc[row]!r}"
        )
    values: npt.NDArray[np.float32] = numbers.to_numpy(np.float32)[:, None]
    return values
