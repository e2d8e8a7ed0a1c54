"""Every metric of every label with its interval: the table that a page prints.

Kinds of interval
- ``bootstrap``: percentiles of replicates in which patients (with all their images) are drawn with replacement.
- ``bca``: the same replicates, bias-corrected and accelerated.
- ``delong``: without resampling, for the AUC only; other metrics then take ``bootstrap``.

A replicate in which a figure does not exist (such as one without positives) is dropped and counted. When more than
``DROPPED_LIMIT`` of them are, the label has too few patients for an interval: it is NaN and the reason says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError, UsageError, suggestion
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec, parse
from xrbench.progress import Reporter
from xrbench.statistics import intervals
from xrbench.statistics.delong import delong_interval
from xrbench.statistics.patients import Patients, encode
from xrbench.statistics.replicates import key_of, replicate
from xrbench.statistics.samples import Column, column

KINDS = ("bootstrap", "bca", "delong")
MEAN = "mean"
"""The label of the macro mean."""
DROPPED_LIMIT = 0.05
"""Share of replicates that may be without a value before there is no interval."""
ENOUGH = 20
"""Positive and negative patients from which intervals are known to hold."""
GROUPS = 2048
"""At most so many groups of patients are left out in turn for ``bca``; with fewer patients each is its own group."""


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
        replicates: Replicates drawn.
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
    kind: str = "bootstrap",
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
        kind: ``bootstrap``, ``bca`` or ``delong``.
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
    _check_options(kind, replicates, level)
    specs = [parse(name) for name in metrics]
    true, given = matrices(truth, score, labels)
    patients = encode(patient, len(true), unit=unit)
    columns = [
        column(true[:, i], given[:, i], patients.code, label=label, specs=specs, thresholds=thresholds)
        for i, label in enumerate(labels)
    ]
    drawn = _Drawn(columns, patients, kind, replicates, key_of(seed), threads, reporter)
    blanks = [_blank(label, patients, len(true), kind, level, replicates) for label in (*labels, MEAN)]
    counted = [_counted(blank, [c]) for blank, c in zip(blanks, columns, strict=False)]
    counted.append(_counted(blanks[-1], columns))
    return [
        row for number, spec in enumerate(specs) for row in _of_metric(spec, number, columns, counted, drawn, level)
    ]


class _Drawn:
    """The sample's own values, its replicates and, for BCa, its left-out values; each (rows, labels, metrics)."""

    def __init__(
        self,
        columns: Sequence[Column],
        patients: Patients,
        kind: str,
        replicates: int,
        key: int,
        threads: int | None,
        reporter: Reporter | None,
    ) -> None:
        from xrbench.statistics.draws import Bootstrap, Jackknife, Once

        self.patients, self.kind = patients, kind
        self.value = replicate(columns, Once(patients.size), 1, threads=1)[0]
        source = Bootstrap(patients.size, key)
        self.replicates = replicate(columns, source, replicates, threads=threads, reporter=reporter, label="bootstrap")
        self.left_out: FloatArray | None = None
        if kind == "bca":
            groups = min(patients.size, GROUPS)
            jackknife = Jackknife(np.arange(patients.size) % groups)
            self.left_out = replicate(columns, jackknife, groups, threads=threads, reporter=reporter, label="jackknife")


def _of_metric(
    spec: MetricSpec,
    number: int,
    columns: Sequence[Column],
    counted: Sequence[Estimate],
    drawn: _Drawn,
    level: float,
) -> list[Estimate]:
    rows = []
    for i, (one, blank) in enumerate(zip(columns, counted[:-1], strict=True)):
        left_out = None if drawn.left_out is None else drawn.left_out[:, i, number]
        row = replace(blank, metric=spec.name, value=float(drawn.value[i, number]), threshold=one.thresholds[number])
        reason = _why(spec, one, number) if np.isnan(row.value) else ""
        row = replace(row, reason=reason, caution=_few(one))
        rows.append(_with_interval(row, drawn.replicates[:, i, number], left_out, drawn, level, one))
    defined = [i for i, row in enumerate(rows) if not np.isnan(row.value)]
    return [*rows, _macro(spec, number, rows, defined, counted[-1], drawn, level)]


def _macro(
    spec: MetricSpec,
    number: int,
    rows: Sequence[Estimate],
    defined: Sequence[int],
    blank: Estimate,
    drawn: _Drawn,
    level: float,
) -> Estimate:
    if not defined:
        return replace(blank, metric=spec.name, interval="", reason="no label has a value")
    left_out = None if drawn.left_out is None else drawn.left_out[:, defined, number].mean(axis=1)
    names = ", ".join(row.label for i, row in enumerate(rows) if i not in defined)
    caution = f"mean of {len(defined)} of {len(rows)} labels: {names} undefined" if names else ""
    few = [row.label for row in rows if row.caution]
    caution = caution or (f"few patients: {', '.join(few)}" if few else "")
    row = replace(blank, metric=spec.name, value=float(drawn.value[defined, number].mean()), caution=caution)
    return _with_interval(row, drawn.replicates[:, defined, number].mean(axis=1), left_out, drawn, level, None)


def _with_interval(
    row: Estimate,
    replicates: FloatArray,
    left_out: FloatArray | None,
    drawn: _Drawn,
    level: float,
    one: Column | None,
) -> Estimate:
    if np.isnan(row.value):
        return replace(row, interval="")
    dropped = int(np.isnan(replicates).sum())
    reason = no_interval(drawn.patients, dropped, len(replicates))
    if one is not None and row.interval == "delong" and row.metric == "auc":
        low, high = delong_interval(one.rows.positive, one.rows.score, patient=one.code, level=level)
        reason = "DeLong's variance needs two positive and two negative patients" if np.isnan(low) else ""
        return replace(row, low=low, high=high, replicates=0, reason=reason)
    row = replace(row, dropped=dropped, reason=reason, interval="bca" if left_out is not None else "bootstrap")
    if reason:
        return row
    if left_out is None:
        low, high = intervals.percentile(replicates, level)
    else:
        low, high = intervals.bca(row.value, replicates, left_out, level)
    return replace(row, low=low, high=high)


def no_interval(patients: Patients, dropped: int, replicates: int) -> str:
    """Say why replicates give no interval, if they do not."""
    if patients.size < 2:
        return f"interval: one {patients.unit} cannot be resampled"
    if dropped > DROPPED_LIMIT * replicates:
        return (
            f"interval: {dropped:,} of {replicates:,} replicates have no value (at most {DROPPED_LIMIT:.0%} may), "
            f"too few {patients.unit}s"
        )
    return ""


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


def _check_options(kind: str, replicates: int, level: float) -> None:
    if kind not in KINDS:
        raise UsageError(f"unknown kind of interval {kind!r}{suggestion(kind, KINDS)}")
    if replicates < 1:
        raise UsageError(f"replicates {replicates} is below 1")
    intervals.check_level(level)


def _blank(label: str, patients: Patients, images: int, kind: str, level: float, replicates: int) -> Estimate:
    nan = float("nan")
    return Estimate(
        label, "", nan, nan, nan, kind, patients.unit, level, replicates, 0, nan, 0, 0, 0, 0, n_images=images
    )


def _counted(blank: Estimate, columns: Sequence[Column]) -> Estimate:
    positive = sum(int(one.rows.positive.sum()) for one in columns)
    labelled = sum(len(one.code) for one in columns)
    seen = np.unique(np.concatenate([one.code for one in columns])) if columns else ()
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
    if spec.base == "calibration-slope":
        return "no finite slope: the scores of the classes do not overlap"
    return "no image is called negative" if spec.base == "npv" else "no image is called positive"


def _few(one: Column) -> str:
    for word, kind in (("positive", True), ("negative", False)):
        count = len(np.unique(one.code[one.rows.positive == kind]))
        if 0 < count < ENOUGH:
            return f"{count} {word} patients: intervals are known to hold from {ENOUGH}"
    return ""
