"""Check what figures are made of before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError, UsageError, suggestion
from xrbench.metrics.checks import FloatArray
from xrbench.statistics.intervals.formulas import check_level
from xrbench.statistics.intervals.interval_kinds import KINDS


def matrices(truth: npt.ArrayLike, score: npt.ArrayLike, labels: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Check that truth and score are tables with one column a label.

    Raises:
        MeasureError: They are not.
    """
    found = []
    for what, values in (("truth", truth), ("score", score)):
        try:
            table = np.asarray(values, np.float64)
        except (TypeError, ValueError) as error:
            raise MeasureError(f"{what} holds something that is not a number") from error
        table = table[:, None] if table.ndim == 1 and len(labels) == 1 else table
        if table.ndim != 2 or table.shape[1] != len(labels):
            raise MeasureError(f"{what} has shape {table.shape}, wanted (n, {len(labels)}): one column a label")
        found.append(table)
    if len(found[0]) != len(found[1]):
        raise MeasureError(f"truth has {len(found[0]):,} rows, score has {len(found[1]):,}")
    return found[0], found[1]


def check_options(kind: str, replicates: int, level: float) -> None:
    """Refuse an unknown kind of interval, fewer than one replicate, or a level outside 0..1.

    Raises:
        UsageError: One of them.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown kind of interval {kind!r}{suggestion(kind, KINDS)}")
    if replicates < 1:
        raise UsageError(f"replicates {replicates} is below 1")
    check_level(level)
