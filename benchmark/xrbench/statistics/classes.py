"""Intervals for images that belong to exactly one of several classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from xrbench.errors import UnknownNameError
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.multiclass import (
    Classified,
    accuracy_of_confusion,
    macro_f1_of_confusion,
    macro_recall_of_confusion,
    validate_classes,
)
from xrbench.metrics.names import MetricSpec
from xrbench.progress import Reporter
from xrbench.statistics import intervals
from xrbench.statistics.estimates import Estimate, check_options, estimate
from xrbench.statistics.jackknife import Left, groups_of, jackknife, side
from xrbench.statistics.kinds import too_many_dropped
from xrbench.statistics.patients import Patients, encode
from xrbench.statistics.replicates import key_of, replicate

ALL = "all classes"
"""The label of figures over all classes."""
OF_CONFUSION: Mapping[str, Callable[[FloatArray], FloatArray]] = MappingProxyType(
    {
        "accuracy": accuracy_of_confusion,
        "macro-recall": macro_recall_of_confusion,
        "macro-f1": macro_f1_of_confusion,
    }
)
"""Name -> formula on counts of shape (true, predicted, replicates)."""


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
        truth: Number of the class, 0 .. classes - 1, or NaN (not labelled), shape (n,).
        score: One column a class, shape (n, classes).
        patient: Patient id of each image, shape (n,); None makes images the unit.
        classes: Names of the columns.
        metrics: ``accuracy``, ``macro-recall``, ``macro-f1`` (of the predicted class), and any metric of one label (``auc``,
            ``average-precision``, ...), which is computed for each class against the rest with its macro mean.
        kind: Kind of interval: ``default``, ``jackknife``, ``bootstrap`` or ``bca`` for figures over all classes.
        unit: ``patient`` or ``image``.
        replicates: Bootstrap replicates.
        level: Confidence level, between 0 and 1.
        seed: Names the replicates' streams.
        threads: At most so many; the figures do not depend on it.
        reporter: Where a progress bar goes.

    Raises:
        MeasureError: A row is not usable.
        UnknownNameError: No such metric.

    >>> truth, score = [0, 1, 1, 0], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]]
    >>> [(row.label, row.metric, row.value) for row in estimate_classes(truth, score, classes=["a", "b"])]
    [('a', 'auc', 1.0), ('b', 'auc', 1.0), ('mean', 'auc', 1.0), ('all classes', 'macro-recall', 0.75)]
    """
    check_options(kind, replicates, level)
    found = validate_classes(truth, score)
    if found.score.shape[1] != len(classes):
        raise UnknownNameError("class", f"column {len(classes)}", classes)
    patients = encode(patient, len(np.asarray(truth)), unit=unit)
    options = {"kind": kind, "unit": unit, "replicates": replicates, "level": level, "seed": seed, "threads": threads}
    rows: list[Estimate] = []
    for name in metrics:
        if name in OF_CONFUSION:
            column = _Confusion(found, patients.code[found.rows], name)
            rows.append(_overall(column, patients, len(np.asarray(truth)), kind, replicates, level, seed, threads))
        else:
            one_hot = np.full(np.asarray(score).shape, np.nan)
            one_hot[found.rows] = found.truth[:, None] == np.arange(len(classes))
            rows += estimate(
                one_hot,
                score,
                patient,
                labels=classes,
                metrics=[name],
                reporter=reporter,
                **options,  # type: ignore[arg-type]
            )
    return rows


@dataclass(frozen=True)
class _Confusion:
    """A figure of the confusion matrix, in the form that ``replicate`` wants."""

    found: Classified
    code: npt.NDArray[np.int32]
    name: str

    @property
    def specs(self) -> tuple[MetricSpec, ...]:
        return (MetricSpec(self.name, self.name, "decision", "higher"),)

    def values(self, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Compute the figure in every lane, shape (1, 64)."""
        from xrbench.statistics import kernels

        classes, lanes = self.found.score.shape[1], counts.shape[1]
        slot = self.found.truth * classes + self.found.called
        sums = np.empty((classes * classes, lanes))
        kernels.sums_pass(counts, self.code, slot, np.ones(len(slot)), sums)
        return OF_CONFUSION[self.name](sums.reshape(classes, classes, lanes))[None]


def _overall(
    column: _Confusion,
    patients: Patients,
    images: int,
    kind: str,
    replicates: int,
    level: float,
    seed: int,
    threads: int | None,
) -> Estimate:
    from xrbench.statistics.draws import Bootstrap, Jackknife, Once

    nan = float("nan")
    labelled = len(column.code)
    value = float(replicate([column], Once(patients.size), 1, threads=1)[0, 0, 0])
    row = Estimate(
        ALL, column.name, value, nan, nan, "", patients.unit, level, 0, 0, nan, 0, 0, images - labelled, 0, images
    )
    row = replace(row, n_patients=len(np.unique(column.code)))
    if np.isnan(value):
        return replace(row, reason="fewer than two classes have images" if labelled else "no labelled image")
    if patients.size < 2:
        return replace(row, interval=kind, reason=f"interval: one {patients.unit} cannot be resampled")
    group = groups_of(patients.size)
    left = replicate([column], Jackknife(group), int(group.max()) + 1, threads=threads)[:, 0, 0]
    if kind not in ("bootstrap", "bca"):
        return _jackknifed(row, Left(left, np.zeros(len(left), np.int64)), column, level)
    drawn = replicate([column], Bootstrap(patients.size, key_of(seed)), replicates, threads=threads)[:, 0, 0]
    dropped = int(np.isnan(drawn).sum())
    row = replace(
        row, interval=kind, replicates=replicates, dropped=dropped, reason=too_many_dropped(dropped, replicates)
    )
    if row.reason:
        return row
    percentile = kind == "bootstrap"
    low, high = intervals.percentile(drawn, level) if percentile else intervals.bca(value, drawn, left, level)
    return replace(row, low=low, high=high)


def _jackknifed(row: Estimate, left: Left, column: _Confusion, level: float) -> Estimate:
    if column.name == "accuracy":
        found = side(row.value, [left], bound=0.0)
        if found is not None and found.error > 0:
            size = row.value * (1 - row.value) / found.error**2
            low, high = intervals.wilson(row.value, size, level, df=found.df)
        else:
            low, high = intervals.wilson(row.value, row.n_patients, level, df=max(1.0, row.n_patients - 1.0))
        return replace(row, low=low, high=high, interval="wilson")
    low, high = jackknife(row.value, [left], level)
    words = f"interval: all patients agree on {row.value:g}" if row.value in (0, 1) else "interval: too few patients"
    return replace(row, low=low, high=high, interval="jackknife", reason=words if np.isnan(low) else "")
