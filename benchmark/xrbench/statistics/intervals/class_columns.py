"""Predicted classes laid out for the kernels: one count of true by predicted class serves every metric made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.multiclass import Classified
from xrbench.metrics.names import MetricSpec
from xrbench.statistics.intervals.cautions import join_cautions, patients_needed
from xrbench.statistics.resampling.clusters import members

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassColumns:
    """The predicted classes of one model.

    Attributes:
        labelled: The labelled rows.
        code: Patient number of each labelled row, shape (rows,).
        metrics: Metrics over all classes (one row of values) and of each class (one row of values a class).
    """

    labelled: Classified
    code: npt.NDArray[np.int32]
    metrics: tuple[MetricSpec, ...]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.labelled.score.shape[1])

    @property
    def rows(self) -> list[tuple[MetricSpec, int | None]]:
        """The metric and class of each row of values; None stands for all classes."""
        every_class = range(self.classes)
        return [(spec, k) for spec in self.metrics for k in (every_class if spec.metric.per_class else (None,))]

    @property
    def specs(self) -> tuple[MetricSpec, ...]:
        """The metric of each row of values."""
        return tuple(spec for spec, _ in self.rows)

    def values(self, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Compute every row in every lane.

        Args:
            counts: Patients' counts in 64 replicates, shape (patients, 64).

        Returns:
            Shape (rows, 64); NaN where a metric is undefined in a lane.
        """
        table = self.table(counts)
        return np.concatenate([spec.of_table(table) for spec in self.metrics])

    def table(self, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Count the images by true and predicted class in every lane, shape (classes, classes, 64)."""
        from xrbench.statistics.resampling import kernels

        classes, lanes = self.classes, counts.shape[1]
        # One slot for each pair of true and predicted class, in the order of the flattened confusion matrix.
        slot = self.labelled.truth * classes + self.labelled.called
        sums = np.empty((classes * classes, lanes))
        kernels.sums_pass(counts, self.code, slot, np.ones(len(slot)), sums)
        return sums.reshape(classes, classes, lanes)

    @property
    def exact(self) -> bool:
        """Whether ``left_out`` knows all metrics: it does, they are made of counts."""
        return True

    def left_out(self, patients: int) -> FloatArray:
        """Compute every row without each patient in turn, shape (patients, rows); NaN where it is undefined."""
        table = self.left_out_table(patients)
        return np.concatenate([spec.of_table(table) for spec in self.metrics]).T

    def left_out_table(self, patients: int) -> FloatArray:
        """Count true and predicted classes without each patient in turn, shape (classes, classes, patients)."""
        classes = self.classes
        slot = self.labelled.truth * classes + self.labelled.called
        own = np.bincount(slot * patients + self.code, minlength=classes**2 * patients).reshape(-1, patients)
        rest = np.bincount(slot, minlength=classes**2)[:, None] - own
        return np.asarray(rest.reshape(classes, classes, patients).astype(np.float64))

    def content(self, patients: int) -> npt.NDArray[np.uint64]:
        """Nothing has to be told apart by content, as ``exact`` is true: zeros, shape (patients,)."""
        return np.zeros(patients, np.uint64)

    def grouped(self, group: IntArray) -> ClassColumns:
        """Replace patients by groups of patients; ``group`` is the group of each patient, shape (patients,)."""
        return replace(self, code=group.astype(np.int32)[self.code])

    def strata(self, patients: int) -> IntArray:
        """Number each patient's class, the highest of several, shape (patients,)."""
        stratum = np.zeros(patients, np.int64)
        np.maximum.at(stratum, self.code, self.labelled.truth)
        return stratum

    def images_of(self, k: int | None) -> int:
        """Count the labelled images of class ``k``, or of all classes."""
        return len(self.code) if k is None else int(np.sum(self.labelled.truth == k))

    def class_patients(self, k: int) -> tuple[int, int]:
        """Count the patients with an image of class ``k`` and those with one of another class."""
        of_class = self.labelled.truth == k
        return len(members(self.code[of_class])), len(members(self.code[~of_class]))

    def denominator_patients(self, spec: MetricSpec, k: int | None) -> int:
        """Count the patients behind the denominator of a proportion."""
        column = self.labelled.called if spec.metric.share_of == "positive calls" else self.labelled.truth
        return len(members(self.code if k is None else self.code[column == k]))

    def patients_by_class(self, spec: MetricSpec, k: int | None, classes: Sequence[str]) -> dict[str, int]:
        """Count the patients that a value rests on: class (or group of classes) -> patients."""
        if spec.metric.share_of == "images":
            # Every image counts alike, so that no class has to be large.
            return {"all classes": self.denominator_patients(spec, None)}
        if k is None:
            return {name: self.class_patients(number)[0] for number, name in enumerate(classes)}
        return dict(zip((classes[k], "the other classes"), self.class_patients(k), strict=True))

    def caution(self, spec: MetricSpec, k: int | None, classes: Sequence[str], kind: str) -> str:
        """Name the classes that have too few patients for a kind of interval, and those that are in no mean; else empty."""
        enough, counts = patients_needed(kind), self.patients_by_class(spec, k, classes)
        absent = ", ".join(name for name, count in counts.items() if not count)
        few = ", ".join(f"{name} ({count})" for name, count in counts.items() if 0 < count < enough)
        return join_cautions(
            f"{absent} without an image" if absent else "",
            f"few patients of {few}: {kind} intervals are known to hold from {enough}" if few else "",
        )


def class_columns(labelled: Classified, code: npt.NDArray[np.int32], metrics: Sequence[MetricSpec]) -> ClassColumns:
    """Lay out the labelled rows; ``code`` is the patient number of every row of the input, shape (n,)."""
    return ClassColumns(labelled, code[labelled.rows], tuple(metrics))
