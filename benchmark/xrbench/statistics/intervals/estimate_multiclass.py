"""Estimates of the predicted class, over all classes or of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xrbench.metrics.names import MetricSpec
from xrbench.statistics.intervals.cautions import join_cautions
from xrbench.statistics.intervals.class_columns import ClassColumns
from xrbench.statistics.intervals.estimate_row import UNDEFINED, Estimate, blank_estimate, with_interval
from xrbench.statistics.intervals.interval_kinds import Figure, applicable_kind
from xrbench.statistics.options import Options
from xrbench.statistics.predictions import ALL, Predictions
from xrbench.statistics.resampling.clusters import encode
from xrbench.statistics.resampling.replicates import key_of
from xrbench.statistics.resampling.resampled import Resampled


def estimate_classes(predictions: Predictions, specs: Sequence[MetricSpec], options: Options) -> list[Estimate]:
    """Compute metrics of the predicted class; see ``estimate``.

    Returns:
        Metric by metric: one row of ``all classes``, or one a class.
    """
    if not specs:
        return []
    images = len(np.asarray(predictions.score))
    patients = encode(predictions.patient, images, unit=options.unit)
    columns = predictions.class_columns(specs, patients.code)
    resampled = Resampled([columns], patients, key_of(options.seed), options)
    return [
        _row(columns, number, predictions.labels, resampled, images, options) for number in range(len(columns.rows))
    ]


def _row(
    columns: ClassColumns,
    number: int,
    classes: Sequence[str],
    resampled: Resampled[ClassColumns],
    images: int,
    options: Options,
) -> Estimate:
    """Compute row ``number`` of the values."""
    spec, k = columns.rows[number]
    labelled, positive = len(columns.code), columns.images_of(k)
    row = blank_estimate(
        ALL if k is None else classes[k],
        resampled.patients,
        [columns.code],
        images=images,
        positive=positive,
        negative=labelled - positive,
        masked=images - labelled,
        level=options.level,
    )
    row = replace(row, metric=spec.name, value=float(resampled.value[0, number]))
    if np.isnan(row.value):
        return replace(row, reason=_why_undefined(columns, spec, k))
    # A bootstrap within classes would hold the size of every class fixed, on which macro and weighted means depend.
    kind = applicable_kind("default" if options.kind == "stratified" else options.kind, spec)
    figure = Figure(
        spec,
        row.value,
        row.level,
        None,
        lambda: resampled.replicates()[:, 0, number],
        lambda: resampled.left_out()[:, 0, number],
        resampled.stratum(0),
        columns.denominator_patients(spec, k),
    )
    caution = join_cautions(resampled.patients.caution, columns.caution(spec, k, classes, kind))
    return with_interval(replace(row, caution=caution), kind, figure, resampled.patients)


def _why_undefined(columns: ClassColumns, spec: MetricSpec, k: int | None) -> str:
    if not len(columns.code):
        return "no labelled image"
    if k is not None:
        return spec.metric.undefined or "no image of this class"
    alone = len(np.unique(columns.labelled.truth)) < 2
    return "fewer than two classes have images" if alone else spec.metric.undefined or UNDEFINED
