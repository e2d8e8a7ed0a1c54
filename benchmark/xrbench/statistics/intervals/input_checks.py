"""Check the arrays that estimates are computed from before anything is resampled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray, to_floats
from xrbench.metrics.names import names_of


def matrices(truth: npt.ArrayLike, score: npt.ArrayLike, labels: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Check that truth and score are tables with one column a label.

    Args:
        truth: Shape (n, labels); (n,) for one label.
        score: Same shape.
        labels: Names of the columns.

    Returns:
        Both as float64, shape (n, labels).

    Raises:
        MeasureError: They are not.
        UsageError: ``labels`` is one name instead of several.
    """
    names_of(labels, "labels")
    true, given = _matrix(truth, "truth", len(labels)), _matrix(score, "score", len(labels))
    if len(true) != len(given):
        raise MeasureError(f"truth has {len(true):,} rows, score has {len(given):,}")
    return true, given


def _matrix(values: npt.ArrayLike, what: str, columns: int) -> FloatArray:
    table = to_floats(values, what)
    table = table[:, None] if table.ndim == 1 and columns == 1 else table
    if table.ndim != 2 or table.shape[1] != columns:
        raise MeasureError(f"{what} has shape {table.shape}, expected (n, {columns}): one column a label")
    return table
