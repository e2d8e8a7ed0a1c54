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

from xrbench.errors import MeasureError, UsageError, suggestion
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec, parse
from xrbench.progress import Reporter
from xrbench.statistics.intervals import check_level
from xrbench.statistics.jackknife import groups_of
from xrbench.statistics.kinds import ENOUGH, ENOUGH_FOR, KINDS, Figure, chosen, interval, patients_of
from xrbench.statistics.patients import Patients, encode
from xrbench.statistics.replicates import key_of, replicate
from xrbench.statistics.samples import Column, column

MEAN = "mean"
"""The label of the macro mean."""


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
    drawn = _Drawn(columns, patients, replicates, key_of(seed), threads, reporter)
    blank = _blank(patients, len(true), level)
    counted = [_counted(replace(blank, label=name), [one]) for name, one in zip(labels, columns, strict=True)]
    mean = _counted(replace(blank, label=MEAN), columns)
    found = []
    for number, spec in enumerate(specs):
        rows = [_of_label(spec, number, i, counted[i], drawn, kind) for i in range(len(columns))]
        found += [*rows, _of_mean(spec, number, rows, mean, drawn, kind)]
    return found


class _Drawn:
    """The sample's own values and, once something asks for them, its replicates and its left-out values."""

    def __init__(
        self,
        columns: Sequence[Column],
        patients: Patients,
        replicates: int,
        key: int,
        threads: int | None,
        reporter: Reporter | None,
    ) -> None:
        from xrbench.statistics.draws import Once

        self.columns, self.patients, self.size, self.key = columns, patients, replicates, key
        self.threads, self.reporter = threads, reporter
        self.value = replicate(columns, Once(patients.size), 1, threads=1)[0]
        self.group = groups_of(patients.size)
        self._kept: dict[str, FloatArray] = {}

    def replicates(self) -> FloatArray:
        """Draw patients for all labels at once, shape (replicates, labels, metrics)."""
        from xrbench.statistics.draws import Bootstrap

        if "plain" not in self._kept:
            source = Bootstrap(self.patients.size, self.key)
            self._kept["plain"] = replicate(
                self.columns, source, self.size, threads=self.threads, reporter=self.reporter, label="bootstrap"
            )
        return self._kept["plain"]

    def stratified(self, label: int) -> FloatArray:
        """Draw patients with and without positives of one label apart, shape (replicates, 1, metrics)."""
        from xrbench.statistics.draws import Bootstrap

        name = f"stratified {label}"
        if name not in self._kept:
            source = Bootstrap(self.patients.size, self.key, positives(self.columns[label], self.patients.size))
            self._kept[name] = replicate([self.columns[label]], source, self.size, threads=self.threads)
        return self._kept[name]

    def left_out(self) -> FloatArray:
        """Leave out each group of patients in turn, shape (groups, labels, metrics)."""
        from xrbench.statistics.draws import Jackknife

        if "left out" not in self._kept:
            groups = int(self.group.max()) + 1 if len(self.group) else 0
            source = Jackknife(self.group)
            self._kept["left out"] = replicate(
                self.columns, source, groups, threads=self.threads, reporter=self.reporter, label="jackknife"
            )
        return self._kept["left out"]

    def stratum(self, label: int) -> npt.NDArray[np.int64]:
        """Tell the groups with positives of a label from those without."""
        return by_group(positives(self.columns[label], self.patients.size), self.group)


def positives(one: Column, patients: int) -> npt.NDArray[np.int64]:
    """Give 1 for each patient with a positive image and 0 for all others."""
    found = np.zeros(patients, np.int64)
    found[one.code[one.rows.positive]] = 1
    return found


def by_group(kind: npt.NDArray[np.int64], group: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Give each group the highest kind among its patients."""
    found = np.zeros(int(group.max()) + 1 if len(group) else 0, np.int64)
    np.maximum.at(found, group, kind)
    return found


def _of_label(spec: MetricSpec, number: int, i: int, blank: Estimate, drawn: _Drawn, kind: str) -> Estimate:
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
    return replace(_with_interval(row, kind, figure, drawn), caution=_few(one, kind))


def _of_mean(
    spec: MetricSpec, number: int, rows: Sequence[Estimate], blank: Estimate, drawn: _Drawn, kind: str
) -> Estimate:
    defined = [i for i, row in enumerate(rows) if not np.isnan(row.value)]
    row = replace(blank, metric=spec.name)
    if not defined:
        return replace(row, reason="no label has a value")
    if len(rows) == 1:
        return replace(rows[0], label=MEAN, threshold=float("nan"))
    row = replace(row, value=float(drawn.value[defined, number].mean()), caution=_mean_caution(rows, defined))
    figure = Figure(
        spec,
        row.value,
        row.level,
        None,
        lambda: drawn.replicates()[:, defined, number].mean(axis=1),
        lambda: drawn.left_out()[:, defined, number].mean(axis=1),
        np.zeros(int(drawn.group.max()) + 1, np.int64),
    )
    return _with_interval(row, chosen(kind, spec, mean=True), figure, drawn)


def _with_interval(row: Estimate, kind: str, figure: Figure, drawn: _Drawn) -> Estimate:
    if drawn.patients.size < 2:
        return replace(row, interval=kind, reason=f"interval: one {drawn.patients.unit} cannot be resampled")
    found = interval(kind, figure)
    return replace(
        row,
        low=found.low,
        high=found.high,
        interval=kind,
        reason=found.reason,
        replicates=found.replicates,
        dropped=found.dropped,
    )


def _mean_caution(rows: Sequence[Estimate], defined: Sequence[int]) -> str:
    names = ", ".join(row.label for i, row in enumerate(rows) if i not in defined)
    if names:
        return f"mean of {len(defined)} of {len(rows)} labels: {names} undefined"
    few = [row.label for row in rows if row.caution]
    return f"few patients: {', '.join(few)}" if few else ""


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


def check_options(kind: str, replicates: int, level: float) -> None:
    """Refuse an unknown kind of interval, fewer than one replicate, or a level outside 0..1.

    Raises:
        UsageError: One of them.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown kind of interval {kind!r}{suggestion(kind, KINDS)}")
    if replicates < 1:
        raise UsageError(f"replicates {replicates} is below 1")
    check_level(level)


def _blank(patients: Patients, images: int, level: float) -> Estimate:
    nan = float("nan")
    return Estimate("", "", nan, nan, nan, "", patients.unit, level, 0, 0, nan, 0, 0, 0, 0, n_images=images)


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


def _few(one: Column, kind: str) -> str:
    enough = ENOUGH_FOR.get(kind, ENOUGH)
    for word, count in zip(("positive", "negative"), patients_of(one), strict=True):
        if 0 < count < enough:
            return f"{count} {word} patients: {kind} intervals are known to hold from {enough}"
    return ""
