"""Cells whose images belong to exactly one class each, laid out for what is done with cells of labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec
from xrbench.statistics.generalization.cells import Behind, Cell, Lay, Layout
from xrbench.statistics.intervals.class_columns import Calls, called
from xrbench.statistics.intervals.estimate_multiclass import ALL, checked, one_hot


def by_class(spec: MetricSpec, classes: Sequence[str]) -> tuple[list[str], Lay]:
    """Name the rows of a metric of the predicted class, and lay cells out for it."""

    def lay(cell: Cell, code: npt.NDArray[np.int32]) -> Layout:
        column = called(checked(cell.truth, cell.score, classes), code, [spec])
        return Layout([column], [_behind(column, spec, k, classes) for _, k in column.rows])

    return list(classes) if spec.metric.per_class else [ALL], lay


def against_rest(truth: npt.ArrayLike, score: npt.ArrayLike, classes: Sequence[str]) -> FloatArray:
    """Turn the truth of exclusive classes into one label a class, shape (n, classes)."""
    return one_hot(checked(truth, score, classes), len(np.asarray(score)))


def _behind(column: Calls, spec: MetricSpec, k: int | None, classes: Sequence[str]) -> Behind:
    counts = [count for count in column.members(spec, k, classes).values() if count]
    positive = len(column.code) if k is None else int(np.sum(column.found.truth == k))
    return Behind(column, positive, min(counts, default=0), max(counts, default=0))
