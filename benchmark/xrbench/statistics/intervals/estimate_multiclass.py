"""Intervals for images that belong to exactly one of several classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.multiclass import Classified, validate_classes
from xrbench.metrics.names import MetricSpec, parse_classes
from xrbench.progress import Reporter
from xrbench.statistics.intervals.cautions import joined
from xrbench.statistics.intervals.class_columns import Calls, called
from xrbench.statistics.intervals.estimate import UNDEFINED, Estimate, estimate, with_interval
from xrbench.statistics.intervals.input_checks import check_options
from xrbench.statistics.intervals.interval_kinds import Figure, chosen
from xrbench.statistics.resampling.clusters import Patients, encode, members
from xrbench.statistics.resampling.replicates import key_of
from xrbench.statistics.resampling.resampled import Drawn

ALL = "all classes"
"""The label of figures over all classes."""


def estimate_classes(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    patient: npt.ArrayLike | None = None,
    *,
    classes: Sequence[str],
    metrics: Sequence[str] = ("auc", "macro-recall"),
    kind: str = "default",
    unit: str = "patient",
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> list[Estimate]:
    """Compute figures of several exclusive classes with intervals.

    Args:
        truth: Number of the class, 0 .. classes - 1, or NaN (not labelled), shape (n,); or a column a class, a single 1 in each
            row, all NaN where not labelled, shape (n, classes).
        score: One column a class, shape (n, classes); the highest of a row is its predicted class, the first of equals.
        patient: Patient id of each image, shape (n,); None makes images the unit.
        classes: Names of the columns.
        metrics: Names that ``metrics.parse_classes`` knows. Of the predicted class: ``accuracy``, ``macro-recall``,
            ``macro-precision``, ``macro-f1``, ``weighted-recall``, ``weighted-precision``, ``weighted-f1`` (one row, label
            ``all classes``), ``class-recall``, ``class-precision``, ``class-f1`` (one row a class). Of each class against
            the rest, with their mean: ``auc``, ``average-precision``, ``brier`` and the others of probabilities.
        kind: Kind of interval, see ``kinds``; one that does not apply to a metric gives way to the default.
        unit: ``patient`` or ``image``.
        replicates: Bootstrap replicates.
        level: Confidence level, between 0 and 1.
        seed: Names the replicates' streams.
        threads: At most so many; the figures do not depend on it.
        reporter: Where a progress bar goes.

    Returns:
        Metric by metric: one estimate a class, ``mean`` behind those against the rest, or one of ``all classes``.

    Raises:
        MeasureError: A row is not usable.
        UsageError: No such metric, or an option is out of range.

    >>> truth, score = [0, 1, 1, 0], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]]
    >>> names = ["auc", "class-recall", "macro-recall"]
    >>> found = estimate_classes(truth, score, classes=["a", "b"], metrics=names)
    >>> [(row.label, row.value) for row in found]
    [('a', 1.0), ('b', 1.0), ('mean', 1.0), ('a', 1.0), ('b', 0.5), ('all classes', 0.75)]
    """
    check_options(kind, replicates, level)
    specs = [parse_classes(name) for name in dict.fromkeys(metrics)]
    found = checked(truth, score, classes)
    rows: dict[str, list[Estimate]] = {}
    predicted = [spec for spec in specs if is_called(spec)]
    if predicted:
        patients = encode(patient, len(np.asarray(score)), unit=unit)
        column = called(found, patients.code, predicted)
        drawn = Drawn([column], patients, replicates, key_of(seed), threads, reporter)
        blank = _blank(column, patients, len(np.asarray(score)), level)
        for number in range(len(column.rows)):
            row = _row(column, number, classes, blank, drawn, kind)
            rows.setdefault(row.metric, []).append(row)
    against = [spec.name for spec in specs if not is_called(spec)]
    if against:
        table = one_hot(found, len(np.asarray(score)))
        for row in estimate(
            table,
            score,
            patient,
            labels=classes,
            metrics=against,
            kind=kind,
            unit=unit,
            replicates=replicates,
            level=level,
            seed=seed,
            threads=threads,
            reporter=reporter,
        ):
            rows.setdefault(row.metric, []).append(row)
    return [row for spec in specs for row in rows[spec.name]]


def is_called(spec: MetricSpec) -> bool:
    """Tell figures of the predicted class from those of each class against the rest."""
    return spec.family == "decision"


def checked(truth: npt.ArrayLike, score: npt.ArrayLike, classes: Sequence[str]) -> Classified:
    """Check exclusive classes and that each column has a name.

    Raises:
        MeasureError: A row is not usable, or there are more or fewer columns than names.
    """
    found = validate_classes(truth, score)
    if found.score.shape[1] != len(classes):
        raise MeasureError(f"score has {found.score.shape[1]} columns, {len(classes)} classes are named")
    return found


def one_hot(found: Classified, images: int) -> FloatArray:
    """Turn classes into one column each: 1, 0, or NaN where not labelled, shape (images, classes)."""
    table = np.full((images, found.score.shape[1]), np.nan)
    table[found.rows] = found.truth[:, None] == np.arange(found.score.shape[1])
    return table


def _blank(column: Calls, patients: Patients, images: int, level: float) -> Estimate:
    nan = float("nan")
    labelled = len(column.code)
    row = Estimate(ALL, "", nan, nan, nan, "", patients.unit, level, 0, 0, nan, labelled, 0, 0, 0, images)
    return replace(row, n_masked=images - labelled, n_patients=len(members(column.code)))


def _row(
    column: Calls, number: int, classes: Sequence[str], blank: Estimate, drawn: Drawn[Calls], kind: str
) -> Estimate:
    spec, k = column.rows[number]
    row = replace(blank, metric=spec.name, value=float(drawn.value[0, number]))
    if k is not None:
        positive = int(np.sum(column.found.truth == k))
        row = replace(row, label=classes[k], n_positive=positive, n_negative=len(column.code) - positive)
    if np.isnan(row.value):
        return replace(row, reason=_why(column, spec, k))
    kind = chosen("default" if kind == "stratified" else kind, spec)
    figure = Figure(
        spec,
        row.value,
        row.level,
        None,
        lambda: drawn.replicates()[:, 0, number],
        lambda: drawn.left_out()[:, 0, number],
        drawn.stratum(0),
        column.behind(spec, k),
    )
    row = replace(row, caution=joined(drawn.patients.caution, column.few(spec, k, classes, kind)))
    return with_interval(row, kind, figure, drawn)


def _why(column: Calls, spec: MetricSpec, k: int | None) -> str:
    if not len(column.code):
        return "no labelled image"
    if k is None:
        alone = len(np.unique(column.found.truth)) < 2
        return "fewer than two classes have images" if alone else spec.metric.undefined or UNDEFINED
    return spec.metric.undefined or "no image of this class"
