"""Every metric of every label or class with its interval: the table that a page prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy.typing as npt

from xrbench.metrics.metric import Task
from xrbench.metrics.names import names_of, parse_as
from xrbench.statistics.intervals.estimate_multiclass import estimate_classes
from xrbench.statistics.intervals.estimate_multilabel import estimate_labels
from xrbench.statistics.intervals.estimate_row import Estimate
from xrbench.statistics.options import OptionFields, Options
from xrbench.statistics.predictions import Predictions, Thresholds, is_of_predicted_class


def estimate(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    patient: npt.ArrayLike | None = None,
    *,
    labels: Sequence[str],
    task: Task = "multilabel",
    metrics: Sequence[str] = ("auc",),
    thresholds: Thresholds | None = None,
    **options: Unpack[OptionFields],
) -> list[Estimate]:
    """Compute metrics with intervals for each label or class, and for their mean or all of them together.

    Args:
        truth: Of labels 1, 0 or NaN (not labelled), shape (n, labels), (n,) for one label; of classes their numbers, shape (n,),
            or one column each, shape (n, classes). See ``Predictions``.
        score: Higher for positive, shape (n, labels); (n,) for one label.
        patient: Patient id of each image, shape (n,); None or all missing makes images the unit.
        labels: Names of the columns.
        task: ``multilabel``, or ``multiclass`` where every image belongs to exactly one class.
        metrics: Names such as ``"auc"`` or ``"recall@specificity=0.9"``. Of classes ``accuracy``, ``macro-recall``,
            ``macro-precision``, ``macro-f1``, ``weighted-recall``, ``weighted-precision``, ``weighted-f1`` (one row),
            ``class-recall``, ``class-precision``, ``class-f1`` (one row a class), and of each class against the rest ``auc``,
            ``average-precision``, ``brier`` and the other metrics of probabilities.
        thresholds: (label, metric) -> threshold chosen on the validation set, for metrics that need one.
        options: ``kind``, ``unit``, ``replicates``, ``level``, ``seed``, ``threads``, ``reporter``; see ``Options``.

    Returns:
        Metric by metric: one estimate a label in their order, then ``mean``; or one of ``all classes``.

    Raises:
        MeasureError: A row is not usable, shapes differ, or a threshold is missing.
        UsageError: An option is out of range or unknown.

    >>> truth = [[1], [1], [0], [0], [1], [0]]
    >>> score = [[0.9], [0.6], [0.4], [0.7], [0.8], [0.1]]
    >>> rows = estimate(truth, score, labels=["Edema"], replicates=100)
    >>> [(row.label, round(row.value, 3), row.unit, row.n_positive) for row in rows]
    [('Edema', 0.889, 'image', 3), ('mean', 0.889, 'image', 3)]
    >>> truth, score = [0, 1, 1, 0], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]]
    >>> names = ["auc", "class-recall", "macro-recall"]
    >>> rows = estimate(truth, score, labels=["a", "b"], task="multiclass", metrics=names)
    >>> [(row.label, row.value) for row in rows]
    [('a', 1.0), ('b', 1.0), ('mean', 1.0), ('a', 1.0), ('b', 0.5), ('all classes', 0.75)]
    """
    how = Options(**options)
    names_of(metrics, "metrics")
    predictions = Predictions("", truth, score, patient, thresholds or {}, labels=labels, task=task)
    specs = [parse_as(task, name) for name in dict.fromkeys(metrics)]
    predictions = predictions.checked()
    of_class = [spec for spec in specs if is_of_predicted_class(spec)]
    of_label = [spec for spec in specs if not is_of_predicted_class(spec)]
    rows: dict[str, list[Estimate]] = {spec.name: [] for spec in specs}
    for row in [*estimate_labels(predictions, of_label, how), *estimate_classes(predictions, of_class, how)]:
        rows[row.metric].append(row)
    return [row for spec in specs for row in rows[spec.name]]
