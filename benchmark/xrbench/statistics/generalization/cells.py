"""One metric of several cells, in replicates that respect which patients the cells share.

A cell is one model's predictions on one test set. Cells of one domain are tests on the same hospital's patients, often the same
images. Patients are drawn once a domain and replicate, and every cell of the domain sees the same draw; domains are independent of
each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec
from xrbench.statistics.generalization.cell_layout import Support, has_patients, lay_out, number_patients
from xrbench.statistics.intervals.cautions import (
    calibration_bias,
    count_patients,
    groups_caution,
    join_cautions,
    patients_needed,
)
from xrbench.statistics.options import Resampling
from xrbench.statistics.predictions import MEAN, Predictions, is_of_predicted_class
from xrbench.statistics.resampling.jackknife import LeftOut
from xrbench.statistics.resampling.label_columns import LabelColumn
from xrbench.statistics.resampling.replicates import key_of, replicate
from xrbench.statistics.resampling.resampled import (
    PatientColumn,
    group_strata,
    left_out_groups,
    left_out_values,
    sample_values,
)
from xrbench.statistics.resampling.standardised_columns import at_shares

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


class Domain(NamedTuple):
    """One domain's share of the left-out values.

    Attributes:
        cells: Numbers of the domain's cells.
        left_out: Their values without each patient (or group of patients), shape (groups, cells of the domain, labels).
        stratum: Stratum of each group (with positives or without, or its class), shape (groups, labels).
        grouped: Number of patients that are left out in groups; 0 when everyone is alone.
    """

    cells: list[int]
    left_out: FloatArray
    stratum: IntArray
    grouped: int = 0


@dataclass(frozen=True, eq=False)
class CellValues:
    """One metric of each cell and label.

    Attributes:
        spec: The metric.
        labels: Names of its values.
        has_mean: Whether their mean is a value of its own.
        value: On the samples themselves, shape (cells, labels); NaN where undefined.
        replicates: Shape (replicates, cells, labels).
        domains: Left-out values, domain by domain.
        support: What each value rests on, by cell and label.
        unit: ``patient`` when every cell has patients, else ``image``.
        torn: Cells with patients whose images are nevertheless taken as independent, because others have none.
    """

    spec: MetricSpec
    labels: Sequence[str]
    has_mean: bool
    value: FloatArray
    replicates: FloatArray
    domains: list[Domain]
    support: list[list[Support]]
    unit: str
    torn: int = 0

    def unstandardised(self) -> FloatArray:
        """Compute the metric at each cell's own class shares, shape (cells, labels)."""
        rows = []
        for support in self.support:
            # Predicted classes are one column with all values, labels a column each.
            columns = list({id(each.column): each.column for each in support}.values())
            patients = 1 + max((int(column.code.max()) for column in columns if len(column.code)), default=0)
            rows.append(sample_values(columns, patients).reshape(-1))
        return np.stack(rows)

    def rows(self) -> list[tuple[str, list[int]]]:
        """List the rows of a table: each label with its number, then the mean with all of them."""
        rows = [(label, [number]) for number, label in enumerate(self.labels)]
        return [*rows, (MEAN, list(range(len(self.labels))))] if self.has_mean else rows

    def parts(self, statistic: Callable[[FloatArray], FloatArray], labels: Sequence[int]) -> list[LeftOut]:
        """Leave out each domain's groups of patients from a statistic of all cells.

        Args:
            statistic: Turns values of shape (groups, cells, labels) into statistics of shape (groups,).
            labels: Numbers of the labels that it depends on; a single one has strata.
        """
        parts = []
        for domain in self.domains:
            # Cells of other domains keep their value while this domain's patients are left out. With many patients the array is
            # large: what other labels would hold is neither written nor read, so that it takes no memory.
            values = np.moveaxis(np.empty((*self.value.shape, len(domain.left_out))), -1, 0)
            for label in labels:
                values[:, :, label] = self.value[:, label]
                values[:, domain.cells, label] = domain.left_out[:, :, label]
            stratum = domain.stratum[:, labels[0]] if len(labels) == 1 else np.zeros(len(values), np.int64)
            parts.append(LeftOut(statistic(values), stratum))
        return parts

    def supports(self, used: BoolArray) -> list[tuple[int, Support]]:
        """List the number of the cell and the support of each value that is used, a mask of shape (cells, labels)."""
        return [(int(cell), self.support[cell][label]) for cell, label in np.argwhere(used)]

    def fewest(self, used: BoolArray) -> int:
        """Count the patients of the rarest class behind the values that are used; 0 when none is."""
        return min((support.fewest for _, support in self.supports(used)), default=0)

    def most(self, used: BoolArray) -> int:
        """Count the patients of the commonest class in the smallest cell that is used; 0 when none is."""
        return min((support.most for _, support in self.supports(used)), default=0)

    def caution(self, used: BoolArray) -> str:
        """Caution a reader of an interval of the values that are used; else empty."""
        fewest, enough = self.fewest(used), patients_needed("default")
        few = f"only {count_patients(fewest)} of one class in a cell: intervals are known to hold from {enough}"
        has = "cell has" if self.torn == 1 else "cells have"
        torn = f"images taken as independent: {self.torn} {has} patient ids, others none"
        grouped = groups_caution(max((domain.grouped for domain in self.domains), default=0))
        few = few if used.any() and fewest < enough else ""
        return join_cautions(few, torn if self.torn else "", self._bias(used), grouped)

    def _bias(self, used: BoolArray) -> str:
        for cell, label in np.argwhere(used):
            column = self.support[cell][label].column
            if isinstance(column, LabelColumn):
                caution = calibration_bias(column, self.spec, float(self.value[cell, label]))
                if caution:
                    return caution
        return ""


def cell_values(
    cells: Sequence[Predictions], spec: MetricSpec, options: Resampling, *, shares: Sequence[float] | None = None
) -> CellValues:
    """Compute a metric of every cell and label, its replicates and its left-out values.

    Args:
        cells: At least one; all with the same labels and task.
        spec: The metric.
        options: How patients are resampled; without replicates only the left-out values are computed.
        shares: Prevalence of each label, or share of each class, to which the metric is standardised; None takes each cell's own.

    Raises:
        MeasureError: A row is not usable, or a threshold is missing.
    """
    from xrbench.statistics.resampling.bootstrap_counts import Bootstrap

    labels = cells[0].value_labels(spec)
    shape = (len(cells), len(labels))
    value, replicates = np.full(shape, np.nan), np.full((options.replicates, *shape), np.nan)
    support: dict[int, list[Support]] = {}
    domains, units, torn = [], set(), 0
    for name in dict.fromkeys(cell.domain for cell in cells):
        numbers = [i for i, cell in enumerate(cells) if cell.domain == name]
        codes, size, unit = number_patients([cells[i] for i in numbers])
        units.add(unit)
        torn += sum(has_patients(cells[i]) for i in numbers) if unit == "image" else 0
        columns: list[PatientColumn] = []
        for i, code in zip(numbers, codes, strict=True):
            of_cell, support[i] = lay_out(cells[i], spec, code)
            columns += of_cell if shares is None else at_shares(of_cell, shares)
        group, source = left_out_groups(columns, size), Bootstrap(size, key_of(options.seed, name))
        part = (len(numbers), len(labels))
        # A cell's columns hold as many values as there are labels, in one column each or all in one.
        value[numbers] = sample_values(columns, size).reshape(part)
        drawn = replicate(
            columns, source, options.replicates, threads=options.threads, reporter=options.reporter, label=name
        )
        replicates[:, numbers] = drawn.reshape(options.replicates, *part)
        left_out = left_out_values(columns, group, threads=options.threads, reporter=options.reporter, label=name)
        strata = _strata([support[i] for i in numbers], size, group)
        grouped = size if len(left_out) < size else 0
        domains.append(Domain(numbers, left_out.reshape(len(left_out), *part), strata, grouped))
    return CellValues(
        spec=spec,
        labels=labels,
        has_mean=not is_of_predicted_class(spec),
        value=value,
        replicates=replicates,
        domains=domains,
        support=[support[i] for i in range(len(cells))],
        unit="image" if "image" in units else "patient",
        torn=torn,
    )


def average(values: FloatArray, used: BoolArray) -> FloatArray:
    """Average over labels in each cell, then over cells, using the entries that are marked.

    Args:
        values: Shape (..., cells, labels).
        used: Which entries have a value on the samples themselves, shape (cells, labels).

    Returns:
        Shape (...); NaN when no entry is marked.

    >>> average(np.array([[1.0, 3.0], [5.0, np.nan]]), np.array([[True, True], [True, False]]))
    array(3.5)
    """
    rows = np.flatnonzero(used.any(axis=1))
    if not len(rows):
        return np.full(values.shape[:-2], np.nan)
    return np.asarray(np.mean([values[..., row, used[row]].mean(axis=-1) for row in rows], axis=0))


def only_labels(mask: BoolArray, labels: Sequence[int]) -> BoolArray:
    """Unmark all labels but these, shape (cells, labels)."""
    part = np.zeros_like(mask)
    part[:, list(labels)] = mask[:, list(labels)]
    return part


def _strata(support: Sequence[Sequence[Support]], patients: int, group: IntArray) -> IntArray:
    """Number each group's stratum for each label: the highest among its patients in any cell, shape (groups, labels)."""
    by_label = [np.max([row[i].column.strata(patients) for row in support], axis=0) for i in range(len(support[0]))]
    return np.stack([group_strata(stratum, group) for stratum in by_label], axis=1)
