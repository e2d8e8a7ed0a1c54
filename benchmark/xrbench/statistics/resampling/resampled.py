"""What a sample says of its own uncertainty: its figures in replicates, and without each group of its patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.progress import Reporter
from xrbench.statistics.resampling.clusters import Patients
from xrbench.statistics.resampling.jackknife import GROUPS, groups_of
from xrbench.statistics.resampling.replicates import Figures, replicate

IntArray = npt.NDArray[np.int64]


class Laid(Figures, Protocol):
    """Predictions laid out for the passes whose patients are of several kinds: a ``Column``, or ``Calls``."""

    def kinds(self, patients: int) -> IntArray:
        """Give the kind of each patient, shape (patients,): kinds differ in how much a patient weighs in a figure."""

    def grouped(self, group: IntArray) -> Laid:
        """Put groups of patients in the place of patients."""


L = TypeVar("L", bound=Laid)


class Drawn(Generic[L]):
    """The sample's own values and, once something asks for them, its replicates and its left-out values."""

    def __init__(
        self,
        columns: Sequence[L],
        patients: Patients,
        replicates: int,
        key: int,
        threads: int | None,
        reporter: Reporter | None,
    ) -> None:
        self.columns, self.patients, self.size, self.key = columns, patients, replicates, key
        self.threads, self.reporter = threads, reporter
        self.value = once(columns, patients.size)
        self.group = groups_of(patients.size)
        self._kept: dict[str, FloatArray] = {}

    def replicates(self) -> FloatArray:
        """Draw patients for all labels at once, shape (replicates, labels, metrics)."""
        from xrbench.statistics.resampling.bootstrap_counts import Bootstrap

        if "plain" not in self._kept:
            source = Bootstrap(self.patients.size, self.key)
            self._kept["plain"] = replicate(
                self.columns, source, self.size, threads=self.threads, reporter=self.reporter, label="bootstrap"
            )
        return self._kept["plain"]

    def stratified(self, label: int) -> FloatArray:
        """Draw the kinds of patients of one label apart, shape (replicates, 1, metrics)."""
        from xrbench.statistics.resampling.bootstrap_counts import Bootstrap

        name = f"stratified {label}"
        if name not in self._kept:
            source = Bootstrap(self.patients.size, self.key, self.columns[label].kinds(self.patients.size))
            self._kept[name] = replicate([self.columns[label]], source, self.size, threads=self.threads)
        return self._kept[name]

    def left_out(self) -> FloatArray:
        """Leave out each group of patients in turn, shape (groups, labels, metrics)."""
        if "left out" not in self._kept:
            self._kept["left out"] = without_each(
                self.columns, self.group, threads=self.threads, reporter=self.reporter, label="jackknife"
            )
        return self._kept["left out"]

    def stratum(self, label: int) -> IntArray:
        """Give the kind of each group of patients, shape (groups,)."""
        return by_group(self.columns[label].kinds(self.patients.size), self.group)


def once(columns: Sequence[Laid], patients: int) -> FloatArray:
    """Compute every metric of every column on the sample itself, shape (columns, metrics)."""
    from xrbench.statistics.resampling.bootstrap_counts import Once

    if patients > GROUPS:
        columns, patients = [one.grouped(np.zeros(patients, np.int64)) for one in columns], 1
    values: FloatArray = replicate(columns, Once(patients), 1, threads=1)[0]
    return values


def without_each(
    columns: Sequence[Laid],
    group: IntArray,
    *,
    threads: int | None = None,
    reporter: Reporter | None = None,
    label: str = "left out",
) -> FloatArray:
    """Compute every metric of every column without each group of patients, shape (groups, columns, metrics).

    Counts are those of groups, not of patients: at most ``GROUPS`` cache lines, however many patients there are.
    """
    from xrbench.statistics.resampling.bootstrap_counts import Jackknife

    groups = int(group.max()) + 1 if len(group) else 0
    if len(group) > groups:
        columns, group = [one.grouped(group) for one in columns], np.arange(groups)
    return replicate(columns, Jackknife(group), groups, threads=threads, reporter=reporter, label=label)


def by_group(kind: IntArray, group: IntArray) -> IntArray:
    """Give each group the highest kind among its patients."""
    found = np.zeros(int(group.max()) + 1 if len(group) else 0, np.int64)
    np.maximum.at(found, group, kind)
    return found
