"""Estimates of each label, or of each class against the rest, and of their mean.

Where replicates are drawn, one in which a metric is undefined (such as one without positives) is dropped and counted; when more
than 5 % are, the label has too few patients for an interval: it is NaN and the reason says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xrbench.metrics.names import MetricSpec
from xrbench.statistics.intervals.cautions import calibration_bias, few_patients, groups_caution, join_cautions
from xrbench.statistics.intervals.estimate_row import UNDEFINED, Estimate, blank_estimate, with_interval
from xrbench.statistics.intervals.interval_kinds import Figure, applicable_kind
from xrbench.statistics.options import Options
from xrbench.statistics.predictions import MEAN, Predictions
from xrbench.statistics.resampling.clusters import encode
from xrbench.statistics.resampling.label_columns import LabelColumn, has_left_out_values
from xrbench.statistics.resampling.replicates import key_of
from xrbench.statistics.resampling.resampled import Resampled


def estimate_labels(predictions: Predictions, specs: Sequence[MetricSpec], options: Options) -> list[Estimate]:
    """Compute metrics of each label and of their mean; see ``estimate``.

    Returns:
        Metric by metric, those without a form of their own behind the others: one row a label in their order, then ``mean``.
    """
    # Only patients of metrics without a form of their own may be left out in groups: others are not resampled with them.
    exact = [spec for spec in specs if has_left_out_values(spec)]
    if exact and len(exact) < len(specs):
        others = [spec for spec in specs if spec not in exact]
        return [*estimate_labels(predictions, exact, options), *estimate_labels(predictions, others, options)]
    if not specs:
        return []
    images = len(np.asarray(predictions.score))
    patients = encode(predictions.patient, images, unit=options.unit)
    columns = predictions.label_columns(specs, patients.code)
    resampled = Resampled(columns, patients, key_of(options.seed), options)
    blanks = [
        _counted(label, [column], resampled, images, options.level)
        for label, column in zip(predictions.labels, columns, strict=True)
    ]
    blank_mean = _counted(MEAN, columns, resampled, images, options.level)
    rows: list[Estimate] = []
    for number, spec in enumerate(specs):
        of_labels = [_label_row(spec, number, i, blank, resampled, options.kind) for i, blank in enumerate(blanks)]
        rows += [*of_labels, _mean_row(spec, number, of_labels, blank_mean, resampled, options.kind)]
    return rows


def _counted(
    label: str, columns: Sequence[LabelColumn], resampled: Resampled[LabelColumn], images: int, level: float
) -> Estimate:
    """Make a row of a label, or of the mean over labels, with its counts."""
    positive = sum(int(column.rows.positive.sum()) for column in columns)
    labelled = sum(len(column.code) for column in columns)
    return blank_estimate(
        label,
        resampled.patients,
        [column.code for column in columns],
        images=images,
        positive=positive,
        negative=labelled - positive,
        masked=len(columns) * images - labelled,
        level=level,
    )


def _label_row(
    spec: MetricSpec, number: int, i: int, blank: Estimate, resampled: Resampled[LabelColumn], kind: str
) -> Estimate:
    """Compute metric ``number`` of label ``i``."""
    column, value = resampled.columns[i], float(resampled.value[i, number])
    row = replace(blank, metric=spec.name, value=value, threshold=column.thresholds[number])
    if np.isnan(value):
        return replace(row, reason=_why_undefined(spec, column, number))
    kind = applicable_kind(kind, spec)
    figure = Figure(
        spec,
        value,
        row.level,
        column,
        lambda: resampled.stratified(i)[:, 0, number] if kind == "stratified" else resampled.replicates()[:, i, number],
        lambda: resampled.left_out()[:, i, number],
        resampled.stratum(i),
    )
    caution = join_cautions(
        resampled.patients.caution,
        few_patients(column, spec, kind),
        calibration_bias(column, spec, value),
        groups_caution(resampled.grouped),
    )
    return with_interval(replace(row, caution=caution), kind, figure, resampled.patients)


def _mean_row(
    spec: MetricSpec,
    number: int,
    rows: Sequence[Estimate],
    blank: Estimate,
    resampled: Resampled[LabelColumn],
    kind: str,
) -> Estimate:
    """Compute the mean of metric ``number`` over the labels that have a value."""
    defined = [i for i, row in enumerate(rows) if not np.isnan(row.value)]
    row = replace(blank, metric=spec.name)
    if not defined:
        return replace(row, reason="no label has a value")
    if len(rows) == 1:
        return replace(rows[0], label=MEAN, threshold=float("nan"))
    kind = applicable_kind(kind, spec, mean=True)
    few = [rows[i].label for i in defined if few_patients(resampled.columns[i], spec, kind)]
    biased = [rows[i].label for i in defined if calibration_bias(resampled.columns[i], spec, rows[i].value)]
    caution = join_cautions(
        resampled.patients.caution,
        _partial_mean(rows, defined),
        f"few patients: {', '.join(few)}" if few else "",
        f"biased upwards: {', '.join(biased)}" if biased else "",
        groups_caution(resampled.grouped),
    )
    row = replace(row, value=float(resampled.value[defined, number].mean()), caution=caution)
    figure = Figure(
        spec,
        row.value,
        row.level,
        None,
        lambda: resampled.replicates()[:, defined, number].mean(axis=1),
        lambda: resampled.left_out()[:, defined, number].mean(axis=1),
        # A patient may be positive for one label and negative for another: the mean has no strata.
        np.zeros(int(resampled.group.max()) + 1, np.int64),
    )
    return with_interval(row, kind, figure, resampled.patients)


def _partial_mean(rows: Sequence[Estimate], defined: Sequence[int]) -> str:
    missing = ", ".join(row.label for i, row in enumerate(rows) if i not in defined)
    return f"mean of {len(defined)} of {len(rows)} labels: {missing} undefined" if missing else ""


def _why_undefined(spec: MetricSpec, column: LabelColumn, number: int) -> str:
    positive = column.rows.positive
    if not len(positive):
        return "no labelled image"
    if spec.family == "decision" and np.isnan(column.thresholds[number]):
        return "no threshold: the validation set lacks a class"
    if not positive.any() or positive.all():
        return f"no {'negative' if positive.all() else 'positive'} among {len(positive):,} labelled images"
    return spec.metric.undefined or UNDEFINED
