"""Lay out the predictions of cells for a metric, with the same number for the same patient in every cell of a domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics.names import MetricSpec
from xrbench.statistics.predictions import Predictions, is_of_predicted_class
from xrbench.statistics.resampling.clusters import any_known, number_ids, to_ids
from xrbench.statistics.resampling.resampled import PatientColumn


class Support(NamedTuple):
    """What the value of one cell and label rests on.

    Attributes:
        column: The predictions.
        positive: Images with the label, or of the class.
        fewest: Patients of the rarer class.
        most: Patients of the commoner class.
    """

    column: PatientColumn
    positive: int
    fewest: int
    most: int


def lay_out(
    cell: Predictions, spec: MetricSpec, code: npt.NDArray[np.int32]
) -> tuple[Sequence[PatientColumn], list[Support]]:
    """Lay out one cell for a metric.

    Args:
        cell: The predictions.
        spec: The metric.
        code: Patient number of each row, shape (n,).

    Returns:
        The columns, which together have as many values as the metric has labels, and what each value rests on.
    """
    if not is_of_predicted_class(spec):
        columns = cell.label_columns([spec], code)
        return columns, [
            Support(column, int(column.rows.positive.sum()), *sorted(column.class_patients())) for column in columns
        ]
    classes = cell.class_columns([spec], code)
    support = []
    for _, k in classes.rows:
        patients = [count for count in classes.patients_by_class(spec, k, cell.labels).values() if count]
        support.append(Support(classes, classes.images_of(k), min(patients, default=0), max(patients, default=0)))
    return [classes], support


def number_patients(cells: Sequence[Predictions]) -> tuple[list[npt.NDArray[np.int32]], int, str]:
    """Number the patients of one domain, the same number for the same patient in every cell.

    Returns:
        Patient number of each row of each cell, shape (n,); the number of patients; the unit.
    """
    rows = [len(np.asarray(cell.truth)) for cell in cells]
    for cell, size in zip(cells, rows, strict=True):
        for what, ids in (("patient", cell.patient), ("image", cell.image)):
            if ids is not None and len(np.asarray(ids)) != size:
                raise MeasureError(f"{cell.domain}: {what} has {len(np.asarray(ids)):,} rows, truth has {size:,}")
    unit = "patient" if all(has_patients(cell) for cell in cells) else "image"
    ids = np.concatenate([_ids(cell, unit, size) for cell, size in zip(cells, rows, strict=True)])
    code, size = number_ids(ids)
    return list(np.split(code, np.cumsum(rows)[:-1])), size, unit


def has_patients(cell: Predictions) -> bool:
    """Tell whether any image's patient is known."""
    return cell.patient is not None and any_known(to_ids(cell.patient))


def _ids(cell: Predictions, unit: str, rows: int) -> npt.NDArray[np.object_]:
    """Name the unit of each row, shape (rows,)."""
    if unit == "patient":
        return to_ids(cell.patient).astype(np.object_)
    if cell.image is not None:
        return np.asarray(cell.image, object)
    # Without any ids, cells of one size are taken for the same images in the same order.
    return (np.arange(rows) + (rows << 32)).astype(object)
