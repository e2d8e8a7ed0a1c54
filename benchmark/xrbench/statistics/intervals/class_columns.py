"""Predicted classes laid out for the passes: one count of true by predicted class serves every figure made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.multiclass import Classified
from xrbench.metrics.names import MetricSpec
from xrbench.statistics.intervals.cautions import enough_for, joined
from xrbench.statistics.resampling.clusters import members

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Calls:
    """The predicted classes of one model.

    Attributes:
        found: The labelled rows.
        code: Patient number of each labelled row.
        metrics: Figures over all classes (one row of values) and of each class (as many rows as there are classes).
    """

    found: Classified
    code: npt.NDArray[np.int32]
    metrics: tuple[MetricSpec, ...]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.found.score.shape[1])

    @property
    def rows(self) -> list[tuple[MetricSpec, int | None]]:
        """The metric and class of each row of values; None stands for all classes."""
        each = range(self.classes)
        return [(spec, k) for spec in self.metrics for k in (each if spec.metric.per_class else (None,))]

    @property
    def specs(self) -> tuple[MetricSpec, ...]:
        """The metric of each row of values."""
        return tuple(spec for spec, _ in self.rows)

    def values(self, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Compute every row in every lane, shape (rows, 64)."""
        from xrbench.statistics.resampling import kernels

        classes, lanes = self.classes, counts.shape[1]
        slot = self.found.truth * classes + self.found.called
        sums = np.empty((classes * classes, lanes))
        kernels.sums_pass(counts, self.code, slot, np.ones(len(slot)), sums)
        table = sums.reshape(classes, classes, lanes)
        return np.concatenate([spec.of_table(table) for spec in self.metrics])

    def grouped(self, group: IntArray) -> Calls:
        """Put groups of patients in the place of patients; ``group`` is the number of each patient's group."""
        return replace(self, code=group.astype(np.int32)[self.code])

    def kinds(self, patients: int) -> IntArray:
        """Give each patient's class, the highest of several, shape (patients,)."""
        found = np.zeros(patients, np.int64)
        np.maximum.at(found, self.code, self.found.truth)
        return found

    def patients_of(self, k: int) -> tuple[int, int]:
        """Count the patients with an image of class ``k`` and those with one of another class."""
        mine = self.found.truth == k
        return len(members(self.code[mine])), len(members(self.code[~mine]))

    def behind(self, spec: MetricSpec, k: int | None) -> int:
        """Count the patients behind the denominator of a share."""
        column = self.found.called if spec.metric.share_of == "positive calls" else self.found.truth
        return len(members(self.code if k is None else self.code[column == k]))

    def members(self, spec: MetricSpec, k: int | None, classes: Sequence[str]) -> dict[str, int]:
        """Count the patients that a figure rests on, part by part."""
        if spec.metric.share_of == "images":  # every image counts alike, so no class has to be large
            return {"all classes": self.behind(spec, None)}
        if k is None:
            return {name: self.patients_of(number)[0] for number, name in enumerate(classes)}
        return dict(zip((classes[k], "the other classes"), self.patients_of(k), strict=True))

    def few(self, spec: MetricSpec, k: int | None, classes: Sequence[str], kind: str) -> str:
        """Say which classes have too few patients for a kind of interval, or are in no mean; else nothing."""
        enough, counts = enough_for(kind), self.members(spec, k, classes)
        absent = ", ".join(name for name, count in counts.items() if not count)
        listed = ", ".join(f"{name} ({count})" for name, count in counts.items() if 0 < count < enough)
        words = f"few patients of {listed}: {kind} intervals are known to hold from {enough}"
        return joined(f"{absent} without an image" if absent else "", words if listed else "")


def called(found: Classified, code: npt.NDArray[np.int32], metrics: Sequence[MetricSpec]) -> Calls:
    """Lay out the labelled rows; ``code`` is the patient number of every row of the input."""
    return Calls(found, code[found.rows], tuple(metrics))
