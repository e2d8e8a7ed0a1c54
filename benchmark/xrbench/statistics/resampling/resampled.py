"""Values of a sample's metrics on all patients, in bootstrap replicates, and without each patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.progress import Reporter
from xrbench.statistics.options import Resampling
from xrbench.statistics.resampling.clusters import Patients
from xrbench.statistics.resampling.jackknife import GROUPS
from xrbench.statistics.resampling.replicates import MetricColumn, parallel, replicate

IntArray = npt.NDArray[np.int64]


class PatientColumn(MetricColumn, Protocol):
    """A column whose patients belong to strata and can be merged into groups: ``LabelColumn`` or ``ClassColumns``."""

    def strata(self, patients: int) -> IntArray:
        """Number the stratum of each patient, shape (patients,): patients of one stratum weigh alike in a metric."""

    def grouped(self, group: IntArray) -> PatientColumn:
        """Replace patients by groups of patients; ``group`` is the group of each patient, shape (patients,)."""

    @property
    def exact(self) -> bool:
        """Whether ``left_out`` knows all metrics."""

    def left_out(self, patients: int) -> FloatArray:
        """Compute every metric without each patient in turn, shape (patients, metrics)."""

    def content(self, patients: int) -> npt.NDArray[np.uint64]:
        """Compute a number from what each patient's images hold, shape (patients,)."""


C = TypeVar("C", bound=PatientColumn)


class Resampled(Generic[C]):
    """The values of columns on the sample and, computed when first asked for, its replicates and left-out values.

    Attributes:
        columns: Predictions of the same patients.
        patients: Who is resampled.
        value: Metrics on the sample itself, shape (columns, metrics).
        group: Group in which each patient is left out, shape (patients,); see ``left_out_groups``.
    """

    def __init__(self, columns: Sequence[C], patients: Patients, key: int, options: Resampling) -> None:
        self.columns, self.patients = columns, patients
        self.value = sample_values(columns, patients.size)
        self.group = left_out_groups(columns, patients.size)
        self._key, self._options = key, options
        self._computed: dict[str, FloatArray] = {}

    @property
    def grouped(self) -> int:
        """Number of patients that are left out in groups; 0 when each is left out alone."""
        return self.patients.size if len(self.group) and self.group.max() + 1 < self.patients.size else 0

    def replicates(self) -> FloatArray:
        """Draw patients with replacement for all columns at once, shape (replicates, columns, metrics)."""
        from xrbench.statistics.resampling.bootstrap_counts import Bootstrap

        if "bootstrap" not in self._computed:
            options, source = self._options, Bootstrap(self.patients.size, self._key)
            self._computed["bootstrap"] = replicate(
                self.columns,
                source,
                options.replicates,
                threads=options.threads,
                reporter=options.reporter,
                label="bootstrap",
            )
        return self._computed["bootstrap"]

    def stratified(self, number: int) -> FloatArray:
        """Draw patients within the strata of one column, shape (replicates, 1, metrics)."""
        from xrbench.statistics.resampling.bootstrap_counts import Bootstrap

        name = f"stratified {number}"
        if name not in self._computed:
            column = self.columns[number]
            source = Bootstrap(self.patients.size, self._key, column.strata(self.patients.size))
            options = self._options
            self._computed[name] = replicate([column], source, options.replicates, threads=options.threads)
        return self._computed[name]

    def left_out(self) -> FloatArray:
        """Leave out each patient (or group of patients) in turn, shape (groups, columns, metrics)."""
        if "jackknife" not in self._computed:
            options = self._options
            self._computed["jackknife"] = left_out_values(
                self.columns, self.group, threads=options.threads, reporter=options.reporter, label="jackknife"
            )
        return self._computed["jackknife"]

    def stratum(self, number: int) -> IntArray:
        """Number the stratum of each group of patients in one column, shape (groups,)."""
        return group_strata(self.columns[number].strata(self.patients.size), self.group)


def sample_values(columns: Sequence[PatientColumn], patients: int) -> FloatArray:
    """Compute every metric of every column on the sample itself, shape (columns, metrics)."""
    from xrbench.statistics.resampling.bootstrap_counts import FullSample

    if patients > GROUPS:
        # Everyone counts once, so all patients may share one row of counts, which stays in the cache.
        columns, patients = [column.grouped(np.zeros(patients, np.int64)) for column in columns], 1
    values: FloatArray = replicate(columns, FullSample(patients), 1, threads=1)[0]
    return values


def left_out_groups(columns: Sequence[PatientColumn], patients: int) -> IntArray:
    """Number the group in which each patient is left out: everyone alone, unless a metric would have to be computed anew for each.

    A metric without a form of its own (see ``LabelColumn.exact``) is computed anew for each group; beyond ``GROUPS`` patients, they are
    put into that many groups by what their images hold, so that neither names nor the order of rows decide.

    Args:
        columns: Predictions of the same patients.
        patients: How many there are.

    Returns:
        Shape (patients,).
    """
    if patients <= GROUPS or all(column.exact for column in columns):
        return np.arange(patients)
    content = np.sum([column.content(patients) for column in columns], axis=0, dtype=np.uint64)
    group = np.empty(patients, np.int64)
    group[np.argsort(content, kind="stable")] = np.arange(patients) % GROUPS
    return group


def left_out_values(
    columns: Sequence[PatientColumn],
    group: IntArray,
    *,
    threads: int | None = None,
    reporter: Reporter | None = None,
    label: str = "jackknife",
) -> FloatArray:
    """Compute every metric of every column without each group of patients.

    Args:
        columns: Predictions of the same patients.
        group: Group of each patient, 0 to groups - 1, shape (patients,); see ``left_out_groups``.
        threads: Threads at most.
        reporter: Where a progress bar goes.
        label: Label of the bar.

    Returns:
        Shape (groups, columns, metrics).
    """
    from xrbench.statistics.resampling.bootstrap_counts import Jackknife

    groups = int(group.max()) + 1 if len(group) else 0
    if len(group) > groups:
        # Counts of groups instead of patients: at most GROUPS cache lines, however many patients there are.
        columns, group = [column.grouped(group) for column in columns], np.arange(groups)
    if all(column.exact for column in columns):
        parts = parallel(
            lambda column: column.left_out(groups), columns, threads=threads, reporter=reporter, label=label
        )
        return np.stack(parts, axis=1)
    return replicate(columns, Jackknife(group), groups, threads=threads, reporter=reporter, label=label)


def group_strata(stratum: IntArray, group: IntArray) -> IntArray:
    """Give each group of patients the highest stratum among its patients.

    Args:
        stratum: Stratum of each patient, shape (patients,).
        group: Group of each patient, shape (patients,).

    Returns:
        Shape (groups,).

    >>> group_strata(np.array([0, 1, 0, 0]), np.array([0, 0, 1, 1])).tolist()
    [1, 0]
    """
    highest = np.zeros(int(group.max()) + 1 if len(group) else 0, np.int64)
    np.maximum.at(highest, group, stratum)
    return highest
