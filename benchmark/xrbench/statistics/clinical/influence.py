"""How much a figure hangs on single patients: the figure without each of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from xrbench.errors import UsageError
from xrbench.metrics.names import parse
from xrbench.statistics.predictions import Thresholds
from xrbench.statistics.resampling.clusters import encode, to_ids
from xrbench.statistics.resampling.label_columns import label_column
from xrbench.statistics.resampling.resampled import left_out_values, sample_values


class Influence(NamedTuple):
    """What one patient does to a figure.

    Attributes:
        patient: The id (the number of the row where images are the unit).
        change: The figure with all patients minus that without this one: above 0 where the patient raises it.
        without: The figure without the patient; NaN where it is undefined.
        n_positive, n_negative: The patient's labelled images.
    """

    patient: Any
    change: float
    without: float
    n_positive: int
    n_negative: int


def influence(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    patient: npt.ArrayLike | None = None,
    *,
    metric: str = "auc",
    threshold: float | None = None,
    most: int | None = 10,
) -> list[Influence]:
    """Find the patients without whom a figure would change most.

    Args:
        truth: 1, 0 or NaN (left out), shape (n,).
        score: Higher for positive, shape (n,).
        patient: Patient id of each image, shape (n,); None takes images as independent.
        metric: A metric of one label, such as ``"auc"``.
        threshold: From the validation set, for a metric at a target sensitivity or specificity.
        most: How many are listed, None for all.

    Returns:
        From the largest change to the smallest; patients without whom the figure is undefined come first.

    Raises:
        MeasureError: A row is not usable, or a threshold is missing.
        UsageError: No such metric, or ``most`` is below 0.

    >>> first = influence([0, 0, 0, 1, 1], [0.1, 0.2, 0.4, 0.35, 0.8], ["a", "b", "c", "d", "e"], most=1)[0]
    >>> round(abs(first.change), 3)  # without c, the negative above a positive, the AUC is 1, and 5/6 with all
    0.167
    """
    if most is not None and most < 0:
        raise UsageError(f"most {most} is below 0")
    spec, rows = parse(metric), len(np.asarray(truth))
    patients = encode(patient, rows)
    chosen: Thresholds = {} if threshold is None else {("score", spec.name): threshold}
    column = label_column(truth, score, patients.code, label="score", specs=[spec], thresholds=chosen)
    value = sample_values([column], patients.size)[0, 0]
    without = left_out_values([column], np.arange(patients.size))[:, 0, 0]
    change = value - without
    ids = np.arange(rows) if patients.unit == "image" else to_ids(patient)
    first = np.unique(patients.code, return_index=True)[1]
    images = [
        np.bincount(column.code[kind], minlength=patients.size)
        for kind in (column.rows.positive, ~column.rows.positive)
    ]
    order = np.argsort(-np.where(np.isnan(change), np.inf, np.abs(change)), kind="stable")
    return [
        Influence(ids[first[i]], float(change[i]), float(without[i]), int(images[0][i]), int(images[1][i]))
        for i in order[:most].tolist()
        if images[0][i] + images[1][i]
    ]
