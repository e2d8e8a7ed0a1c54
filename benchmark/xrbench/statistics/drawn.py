"""What a sample says of its own uncertainty: its figures in replicates, and without each group of its patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.progress import Reporter
from xrbench.statistics.jackknife import groups_of
from xrbench.statistics.patients import Patients
from xrbench.statistics.replicates import Figures, replicate

IntArray = npt.NDArray[np.int64]


class Laid(Figures, Protocol):
    """Predictions laid out for the passes whose patients are of several kinds: a ``Column``, or ``Calls``."""

    def kinds(self, patients: int) -> IntArray:
        """Give the kind of each patient, shape (patients,): kinds differ in how much a patient weighs in a figure."""


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
        """Draw the kinds of patients of one label apart, shape (replicates, 1, metrics)."""
        from xrbench.statistics.draws import Bootstrap

        name = f"stratified {label}"
        if name not in self._kept:
            source = Bootstrap(self.patients.size, self.key, self.columns[label].kinds(self.patients.size))
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

    def stratum(self, label: int) -> IntArray:
        """Give the kind of each group of patients, shape (groups,)."""
        return by_group(self.columns[label].kinds(self.patients.size), self.group)


def by_group(kind: IntArray, group: IntArray) -> IntArray:
    """Give each group the highest kind among its patients."""
    found = np.zeros(int(group.max()) + 1 if len(group) else 0, np.int64)
    np.maximum.at(found, group, kind)
    return found
