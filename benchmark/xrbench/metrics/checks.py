"""Check truth, score and weights before anything is computed from them.

All metrics share these checks, so that an unusable row is named in the same words everywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class Labelled(NamedTuple):
    """The labelled rows.

    Attributes:
        positive: Whether the truth is 1, shape (rows,).
        score: Their scores, shape (rows,).
        weights: Their weights, 0 or more, shape (rows,); all one when none were given.
        rows: Their positions in the input, shape (rows,).
    """

    positive: BoolArray
    score: FloatArray
    weights: FloatArray
    rows: npt.NDArray[np.int64]


def validate(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    probability: bool = False,
    label: str = "",
) -> Labelled:
    """Check one label's truth and score and keep the labelled rows.

    Args:
        truth: 1 positive, 0 negative, NaN not labelled (left out), shape (n,).
        score: The model's output, higher for positive, shape (n,). Rows without a label may hold any value.
        weights: How often each row counts, at least 0 and finite, shape (n,).
        probability: Whether scores must be probabilities: finite and within 0..1. Otherwise infinite scores are allowed.
        label: The label's name, for messages.

    Returns:
        The labelled rows, in their order.

    Raises:
        MeasureError: Shapes differ, or a row is not usable; the first such row is named, counting from 0.

    >>> validate([1, 0, float("nan")], [0.9, 0.2, 0.5]).score
    array([0.9, 0.2])
    >>> validate([1, 0], [0.9, float("nan")])
    Traceback (most recent call last):
        ...
    xrbench.errors.MeasureError: row 1: the score is NaN where the truth is 0
    """
    place = f"{label}: " if label else ""
    all_truth, all_scores = _column(truth, "truth", place), _column(score, "score", place)
    if len(all_truth) != len(all_scores):
        raise MeasureError(f"{place}truth has {len(all_truth):,} rows, score has {len(all_scores):,}")
    # Scores of rows without a label are not looked at: a model may have no output there.
    rows = np.flatnonzero(~np.isnan(all_truth))
    true, scores = all_truth[rows], all_scores[rows]
    _refuse((true != 0) & (true != 1), rows, place, true, "the truth is {}, expected 0, 1 or NaN")
    _refuse(np.isnan(scores), rows, place, true, "the score is NaN where the truth is {:.0f}")
    if probability:
        outside = (scores < 0) | (scores > 1)
        _refuse(outside, rows, place, scores, "score {:.6g} is outside 0..1: are these logits?")
    return Labelled(true == 1, scores, _weights(weights, len(all_truth), place)[rows], rows)


def to_floats(values: npt.ArrayLike, what: str, place: str = "") -> FloatArray:
    """Convert to float64 of the same shape; masked entries become NaN.

    Args:
        values: Numbers, in any container that NumPy reads.
        what: What they are, for messages.
        place: What stands before the message.

    Raises:
        MeasureError: They are not numbers, or a tensor that NumPy cannot read (with gradients, on a GPU, bfloat16).

    >>> to_floats(np.ma.masked_array([1, 0], mask=[False, True]), "truth")
    array([ 1., nan])
    """
    try:
        if isinstance(values, np.ma.MaskedArray):
            return np.where(np.ma.getmaskarray(values), np.nan, np.asarray(values.data, np.float64))
        return np.asarray(values, np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        if hasattr(values, "detach"):
            hint = f"pass {what}.detach().cpu().float()"
            raise MeasureError(f"{place}{what} is a tensor that NumPy cannot read: {hint}") from error
        raise MeasureError(f"{place}{what} holds something that is not a number") from error


def _column(values: npt.ArrayLike, what: str, place: str) -> FloatArray:
    """Convert to floats, shape (n,)."""
    column = to_floats(values, what, place)
    if column.ndim != 1:
        raise MeasureError(f"{place}{what} has shape {column.shape}, expected one column of shape (n,)")
    return column


def _weights(weights: npt.ArrayLike | None, rows: int, place: str) -> FloatArray:
    """Check weights of all rows, shape (rows,); ones when none are given."""
    if weights is None:
        return np.ones(rows)
    column = _column(weights, "weights", place)
    if len(column) != rows:
        raise MeasureError(f"{place}weights have {len(column):,} rows, truth has {rows:,}")
    _refuse(~((column >= 0) & np.isfinite(column)), np.arange(rows), place, column, "weight {} is not 0 or more")
    return column


def _refuse(wrong: BoolArray, rows: npt.NDArray[np.int64], place: str, shown: FloatArray, words: str) -> None:
    """Raise an error about the first row that is wrong; all arrays have shape (rows,)."""
    if wrong.any():
        first = int(np.argmax(wrong))
        raise MeasureError(f"{place}row {rows[first]}: {words.format(shown[first])}")
