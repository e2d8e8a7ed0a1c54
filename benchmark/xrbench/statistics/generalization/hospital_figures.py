"""One figure with its variance for a hospital: the mean of a method's trainings on its patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.metric import Task
from xrbench.metrics.names import parse_as
from xrbench.statistics.generalization.cells import CellValues, cell_values
from xrbench.statistics.generalization.next_hospital import Hospital
from xrbench.statistics.options import Resampling
from xrbench.statistics.predictions import Predictions, named
from xrbench.statistics.resampling.jackknife import scaled_figure
from xrbench.statistics.resampling.scale import scale_of


class HospitalFigure(NamedTuple):
    """One label's figure at one hospital.

    Attributes:
        label: The label or class, ``mean``, or ``all classes``.
        hospital: Mean over trainings, and its variance over patients and trainings; NaN where undefined.
        trainings: Trainings with a value; with one, their variance is not in the figure's.
    """

    label: str
    hospital: Hospital
    trainings: int


def hospital_figures(
    cells: Sequence[Predictions], *, metric: str = "auc", labels: Sequence[str] | None = None, task: Task | None = None
) -> list[HospitalFigure]:
    """Average a metric over the trainings of a method that were tested at one hospital.

    The variance is that of patients (jackknife of the mean over trainings) plus the trainings' sample variance over their number.

    Args:
        cells: One for each training, all of one domain.
        metric: A metric of the task.
        labels: Names of the columns of every cell; None takes the cells' own.
        task: ``multilabel`` or ``multiclass``; None takes the cells' own.

    Returns:
        One row a label, then ``mean``; or one of ``all classes``.

    >>> rng = np.random.default_rng(0)
    >>> truth = rng.random(400) < 0.3
    >>> cells = [Predictions("there", truth, truth + rng.normal(size=400)) for training in range(3)]
    >>> row = hospital_figures(cells, labels=["Edema"])[0]
    >>> round(row.hospital.value, 2), round(row.hospital.variance**0.5, 3), row.trainings
    (0.77, 0.017, 3)
    """
    given = named(cells, labels, task)
    values = cell_values(given, parse_as(given[0].task, metric), Resampling(replicates=0))
    return [HospitalFigure(label, *_figure(values, numbers)) for label, numbers in values.rows()]


def _figure(values: CellValues, labels: Sequence[int]) -> tuple[Hospital, int]:
    usable = [i for i in labels if not np.isnan(values.value[:, i]).all()]
    trainings = np.flatnonzero(~np.isnan(values.value[:, usable]).any(axis=1)) if usable else np.zeros(0, np.int64)
    if not len(trainings):
        return Hospital(float("nan"), float("nan")), 0

    def mean(array: FloatArray) -> FloatArray:
        return np.asarray(array[..., trainings, :][..., usable].mean(axis=(-2, -1)))

    by_training = values.value[trainings][:, usable].mean(axis=1)
    value, number = float(by_training.mean()), len(by_training)
    figure = scaled_figure(value, values.parts(mean, usable), scale=scale_of(values.spec))
    of_patients = float("nan") if figure is None else (figure.error * figure.slope) ** 2
    of_trainings = float(by_training.var(ddof=1)) / number if number > 1 else 0.0
    return Hospital(value, of_patients + of_trainings), number
