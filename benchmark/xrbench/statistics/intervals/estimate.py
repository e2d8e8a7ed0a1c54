"""Every metric of every label with its interval: the table that a page prints.

The kinds of interval are described in ``kinds``. Where replicates are drawn, one in which a figure does not exist (such as
one without positives) is dropped and counted; when more than 5 % are, the label has too few patients for an interval: it is
NaN and the reason says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from xrbench.metrics.names import MetricSpec, parse
from xrbench.progress import Reporter
from xrbench.statistics.intervals.cautions import few, joined, of_bias, of_point
from xrbench.statistics.intervals.input_checks import check_options, matrices
from xrbench.statistics.intervals.interval_kinds import Figure, chosen, interval
from xrbench.statistics.resampling.clusters import Patients, encode, members
from xrbench.statistics.resampling.label_columns import Column, column
from xrbench.statistics.resampling.replicates import key_of
from xrbench.statistics.resampling.resampled import Drawn, L

MEAN = "mean"
"""The label of the macro mean."""
UNDEFINED = "its denominator is 0"
"""Why a metric has no value, where nothing more is known."""


@dataclass(frozen=True)
class Estimate:
    """One figure with its interval and the counts behind it.

    Attributes:
        label: The label, or ``mean`` for the macro mean over all labels that have a value.
        metric: Name of the metric.
        value: The figure; NaN where undefined.
        low, high: Ends of the interval; NaN where there is none.
        interval: Kind of interval that was computed.
        unit: What was resampled: ``patient``, or ``image`` when no ids are known.
        level: Confidence level.
        replicates: Replicates drawn; 0 for kinds that draw none.
        dropped: Replicates in which the figure was undefined.
        threshold: At or above it an image was called positive; NaN when the metric has none.
        n_positive, n_negative, n_masked: Images with label 1, label 0, no label; of ``mean`` their sums over labels.
        n_patients: Patients with a labelled image (images, when they are the unit).
        n_images: All images.
        reason: Why the value or its interval is NaN; else empty.
        caution: What a reader should know before trusting the interval; else empty.
    """

    label: str
    metric: str
    value: float
    low: float
    high: float
    interval: str
    unit: str
    level: float
    replicates: int
    dropped: int
    threshold: float
    n_positive: int
    n_negative: int
    n_masked: int
    n_patients: int
    n_images: int
    reason: str = ""
    caution: str = ""


def estimate(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    patient: npt.ArrayLike | None = None,
    *,
    labels: Sequence[str],
    metrics: Sequence[str] = ("auc",),
    thresholds: Mapping[tuple[str, str], float] | None = None,
    kind: str = "default",
    unit: str = "patient",
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> list[Estimate]:
    """Compute metrics with intervals for each label and for their macro mean.

    Args:
        truth: 1, 0 or NaN (not labelled), shape (n, labels); (n,) for one label.
        score: Higher for positive, same shape.
        patient: Patient id of each image, shape (n,); None or all missing makes images the unit.
        labels: Names of the columns.
        metrics: Names such as ``"auc"`` or ``"recall@specificity=0.9"``.
        thresholds: (label, metric) -> threshold chosen on the validation set, for metrics that need one.
        kind: Kind of interval, see ``kinds``; one that does not apply to a metric gives way to the default.
        unit: ``patient``, or ``image`` to treat images as independent although patients are known.
        replicates: Bootstrap replicates.
        level: Confidence level, between 0 and 1.
        seed: Names the replicates' streams; calls with the same seed and patients draw the same replicates.
        threads: At most so many; the figures do not depend on it.
        reporter: Where a progress bar goes when it takes longer than about a second.

    Returns:
        Metric by metric: one estimate a label in their order, then ``mean``.

    Raises:
        MeasureError: A row is not usable, shapes differ, or a threshold is missing.
        UsageError: An option is out of range or unknown.

    >>> truth = [[1], [1], [0], [0], [1], [0]]
    >>> score = [[0.9], [0.6], [0.4], [0.7], [0.8], [0.1]]
    >>> found = estimate(truth, score, labels=["Edema"], replicates=100)
    >>> [(row.label, round(row.value, 3), row.unit, row.n_positive) for row in found]
    [('Edema', 0.889, 'image', 3), ('mean', 0.889, 'image', 3)]
    """
    check_options(kind, replicates, level)
    specs = [parse(name) for name in metrics]
    true, given = matrices(truth, score, labels)
    patients = encode(patient, len(true), unit=unit)
    columns = [
        column(true[:, i], given[:, i], patients.code, label=label, specs=specs, thresholds=thresholds)
        for i, label in enumerate(labels)
    ]
    drawn = Drawn(columns, patients, replicates, key_of(seed), threads, reporter)
    blank = _blank(patients, len(true), level)
    counted = [_counted(replace(blank, label=name), [one]) for name, one in zip(labels, columns, strict=True)]
    mean = _counted(replace(blank, label=MEAN), columns)
    found = []
    for number, spec in enumerate(specs):
        rows = [_of_label(spec, number, i, counted[i], drawn, kind) for i in range(len(columns))]
        found += [*rows, _of_mean(spec, number, rows, mean, drawn, kind)]
    return found


def _of_label(spec: MetricSpec, number: int, i: int, blank: Estimate, drawn: Drawn[Column], kind: str) -> Estimate:
    one, value = drawn.columns[i], float(drawn.value[i, number])
    row = replace(blank, metric=spec.name, value=value, threshold=one.thresholds[number])
    if np.isnan(value):
        return replace(row, reason=_why(spec, one, number))
    kind = chosen(kind, spec)
    figure = Figure(
        spec,
        value,
        row.level,
        one,
        lambda: drawn.stratified(i)[:, 0, number] if kind == "stratified" else drawn.replicates()[:, i, number],
        lambda: drawn.left_out()[:, i, number],
        drawn.stratum(i),
    )
    words = joined(drawn.patients.caution, few(one, spec, kind), of_bias(one, spec, value))
    row = replace(row, caution=words)
    return with_interval(row, kind, figure, drawn)


def _of_mean(
    spec: MetricSpec, number: int, rows: Sequence[Estimate], blank: Estimate, drawn: Drawn[Column], kind: str
) -> Estimate:
    defined = [i for i, row in enumerate(rows) if not np.isnan(row.value)]
    row = replace(blank, metric=spec.name)
    if not defined:
        return replace(row, reason="no label has a value")
    if len(rows) == 1:
        return replace(rows[0], label=MEAN, threshold=float("nan"))
    kind = chosen(kind, spec, mean=True)
    columns = {rows[i].label: drawn.columns[i] for i in defined}
    words = joined(
        drawn.patients.caution,
        _undefined(rows, defined),
        _named("few patients", [label for label, one in columns.items() if few(one, spec, kind)]),
        _named("biased upwards", [rows[i].label for i in defined if of_bias(drawn.columns[i], spec, rows[i].value)]),
    )
    row = replace(row, value=float(drawn.value[defined, number].mean()), caution=words)
    figure = Figure(
        spec,
        row.value,
        row.level,
        None,
        lambda: drawn.replicates()[:, defined, number].mean(axis=1),
        lambda: drawn.left_out()[:, defined, number].mean(axis=1),
        np.zeros(int(drawn.group.max()) + 1, np.int64),
    )
    return with_interval(row, kind, figure, drawn)


def with_interval(row: Estimate, kind: str, figure: Figure, drawn: Drawn[L]) -> Estimate:
    """Add an interval of one kind to a figure, or why it has none."""
    if drawn.patients.size < 2:
        return replace(row, interval=kind, reason=f"interval: one {drawn.patients.unit} cannot be resampled")
    found = interval(kind, figure)
    return replace(
        row,
        low=found.low,
        high=found.high,
        caution=joined(row.caution, of_point(found.low, found.high)),
        interval=kind,
        reason=found.reason,
        replicates=found.replicates,
        dropped=found.dropped,
    )


def _undefined(rows: Sequence[Estimate], defined: Sequence[int]) -> str:
    names = ", ".join(row.label for i, row in enumerate(rows) if i not in defined)
    return f"mean of {len(defined)} of {len(rows)} labels: {names} undefined" if names else ""


def _named(what: str, labels: Sequence[str]) -> str:
    return f"{what}: {', '.join(labels)}" if labels else ""


def _blank(patients: Patients, images: int, level: float) -> Estimate:
    nan = float("nan")
    return Estimate("", "", nan, nan, nan, "", patients.unit, level, 0, 0, nan, 0, 0, 0, 0, n_images=images)


def _counted(blank: Estimate, columns: Sequence[Column]) -> Estimate:
    positive = sum(int(one.rows.positive.sum()) for one in columns)
    labelled = sum(len(one.code) for one in columns)
    seen = members(*(one.code for one in columns))
    return replace(
        blank,
        n_positive=positive,
        n_negative=labelled - positive,
        n_masked=len(columns) * blank.n_images - labelled,
        n_patients=len(seen),
    )


def _why(spec: MetricSpec, one: Column, number: int) -> str:
    positive = one.rows.positive
    if not len(positive):
        return "no labelled image"
    if spec.family == "decision" and np.isnan(one.thresholds[number]):
        return "no threshold: the validation set lacks a class"
    if not positive.any() or positive.all():
        return f"no {'negative' if positive.all() else 'positive'} among {len(positive):,} labelled images"
    return spec.metric.undefined or UNDEFINED
