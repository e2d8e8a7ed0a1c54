"""One metric over several cells, in replicates that respect who is shared between them.

Cells of one domain are tests on the same hospital's patients, often the same images. Patients are drawn once a domain and
replicate, and every cell of the domain sees the same draw; domains are independent of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec
from xrbench.progress import Reporter
from xrbench.statistics.intervals.cautions import enough_for, joined, of_bias, patients
from xrbench.statistics.intervals.input_checks import matrices
from xrbench.statistics.intervals.interval_kinds import patients_of
from xrbench.statistics.resampling.jackknife import Left, groups_of
from xrbench.statistics.resampling.label_columns import Column, column
from xrbench.statistics.resampling.replicates import key_of, replicate
from xrbench.statistics.resampling.resampled import Laid, by_group, once, without_each

Thresholds = Mapping[tuple[str, str], float]


@dataclass(frozen=True, eq=False)
class Cell:
    """One model's predictions on one test set.

    Attributes:
        domain: Whose patients they are; cells of one domain share them.
        truth: 1, 0 or NaN (not labelled), shape (n, labels).
        score: Higher for positive, shape (n, labels).
        patient: Patient id of each image, shape (n,); None or all missing makes images the unit.
        thresholds: (label, metric) -> threshold chosen on the validation set.
        image: Id of each image, shape (n,); used when there are no patients, to know the same image in another cell.
    """

    domain: str
    truth: npt.ArrayLike
    score: npt.ArrayLike
    patient: npt.ArrayLike | None = None
    thresholds: Thresholds = field(default_factory=dict)
    image: npt.ArrayLike | None = None


@dataclass(frozen=True, eq=False)
class PairedCell:
    """Two models' predictions on the same test set.

    Attributes:
        domain: Whose patients they are; cells of one domain share them.
        truth: 1, 0 or NaN (not labelled), shape (n, labels).
        score_a, score_b: Higher for positive, shape (n, labels).
        patient: Patient id of each image, shape (n,); None or all missing makes images the unit.
        thresholds_a, thresholds_b: (label, metric) -> threshold chosen on each model's validation set.
        image: Id of each image, shape (n,); used when there are no patients, to know the same image in another cell.
    """

    domain: str
    truth: npt.ArrayLike
    score_a: npt.ArrayLike
    score_b: npt.ArrayLike
    patient: npt.ArrayLike | None = None
    thresholds_a: Thresholds = field(default_factory=dict)
    thresholds_b: Thresholds = field(default_factory=dict)
    image: npt.ArrayLike | None = None

    def sides(self) -> tuple[Cell, Cell]:
        """Part it into the cells of model a and model b."""
        return (
            Cell(self.domain, self.truth, self.score_a, self.patient, self.thresholds_a, self.image),
            Cell(self.domain, self.truth, self.score_b, self.patient, self.thresholds_b, self.image),
        )


class Behind(NamedTuple):
    """What a figure of one cell and label is made of.

    Attributes:
        laid: The predictions.
        positive: Images with the label, or of the class.
        fewest: Patients of the rarer class.
        most: Patients of the commoner class.
    """

    laid: Laid
    positive: int
    fewest: int
    most: int


class Layout(NamedTuple):
    """One cell's predictions: together the columns have as many values as there are labels."""

    columns: Sequence[Laid]
    labels: Sequence[Behind]


Lay = Callable[[Cell, npt.NDArray[np.int32]], Layout]
"""How a cell is laid out, given the patient number of each of its rows."""


class Domain(NamedTuple):
    """One domain's share of the left-out values.

    Attributes:
        cells: Numbers of the domain's cells.
        left_out: Their values without each group of patients, shape (groups, cells of the domain, labels).
        kinds: Kind of each group (with positives or without, or its class), shape (groups, labels).
    """

    cells: list[int]
    left_out: FloatArray
    kinds: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CellValues:
    """One metric of each cell and label.

    Attributes:
        value: On the samples themselves, shape (cells, labels); NaN where undefined.
        replicates: Shape (replicates, cells, labels).
        domains: Left-out values, domain by domain.
        behind: What they are made of, by cell and label.
        unit: ``patient`` when every cell has patients, else ``image``.
        torn: Cells with patients whose images are nevertheless taken as independent, because others have none.
    """

    value: FloatArray
    replicates: FloatArray
    domains: list[Domain]
    behind: list[Sequence[Behind]]
    unit: str
    torn: int = 0

    def parts(self, statistic: Callable[[FloatArray], FloatArray], labels: Sequence[int]) -> list[Left]:
        """Leave out each domain's groups of patients from a figure made of all cells.

        Args:
            statistic: Turns values of shape (groups, cells, labels) into figures of shape (groups,).
            labels: Numbers of the labels that it looks at; one alone parts the groups by their kinds.
        """
        found = []
        for domain in self.domains:
            values = np.repeat(self.value[None], len(domain.left_out), axis=0)
            values[:, domain.cells] = domain.left_out
            stratum = domain.kinds[:, labels[0]] if len(labels) == 1 else np.zeros(len(values), np.int64)
            found.append(Left(statistic(values), stratum))
        return found

    def fewest(self, kept: npt.NDArray[np.bool_]) -> int:
        """Count the patients of the rarest class behind the figures that are kept; 0 when none is."""
        return min((self.behind[cell][label].fewest for cell, label in np.argwhere(kept)), default=0)

    def most(self, kept: npt.NDArray[np.bool_]) -> int:
        """Count the patients of the commonest class in the smallest cell that is kept; 0 when none is."""
        return min((self.behind[cell][label].most for cell, label in np.argwhere(kept)), default=0)

    def caution(self, kept: npt.NDArray[np.bool_]) -> str:
        """Say what a reader should know before trusting an interval of the figures that are kept; else empty."""
        few, enough = self.fewest(kept), enough_for("default")
        short = f"only {patients(few)} of one class in a cell: intervals are known to hold from {enough}"
        has = "cell has" if self.torn == 1 else "cells have"
        torn = f"images taken as independent: {self.torn} {has} patient ids, others none"
        return joined(short if kept.any() and few < enough else "", torn if self.torn else "", self._bias(kept))

    def _bias(self, kept: npt.NDArray[np.bool_]) -> str:
        for cell, label in np.argwhere(kept):
            laid = self.behind[cell][label].laid
            words = of_bias(laid, laid.specs[0], float(self.value[cell, label])) if isinstance(laid, Column) else ""
            if words:
                return words
        return ""


def cell_values(
    cells: Sequence[Cell],
    lay: Lay,
    labels: int,
    *,
    replicates: int,
    seed: int,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> CellValues:
    """Compute a metric of every cell and label, its replicates and its left-out values."""
    from xrbench.statistics.resampling.bootstrap_counts import Bootstrap

    if not cells:
        raise MeasureError("nothing to measure: no cell was given")
    shape = (len(cells), labels)
    value, drawn = np.full(shape, np.nan), np.full((replicates, *shape), np.nan)
    laid: dict[int, Layout] = {}
    domains, units, torn = [], set(), 0
    for name in dict.fromkeys(cell.domain for cell in cells):
        mine = [i for i, cell in enumerate(cells) if cell.domain == name]
        codes, size, unit = _codes([cells[i] for i in mine])
        units.add(unit)
        torn += sum(has_patients(cells[i]) for i in mine) if unit == "image" else 0
        laid.update({i: lay(cells[i], code) for i, code in zip(mine, codes, strict=True)})
        columns = [one for i in mine for one in laid[i].columns]
        group = groups_of(size)

        source, here = Bootstrap(size, key_of(seed, name)), (len(mine), labels)
        value[mine] = once(columns, size).reshape(here)
        again = replicate(columns, source, replicates, threads=threads, reporter=reporter, label=name)
        drawn[:, mine] = again.reshape(replicates, *here)
        left_out = without_each(columns, group, threads=threads, reporter=reporter, label=name)
        left_out = left_out.reshape(len(left_out), *here)
        domains.append(Domain(mine, left_out, _kinds([laid[i].labels for i in mine], size, group)))
    unit = "image" if "image" in units else "patient"
    return CellValues(value, drawn, domains, [laid[i].labels for i in range(len(cells))], unit, torn)


def by_label(spec: MetricSpec, labels: Sequence[str]) -> Lay:
    """Lay cells out label by label."""

    def lay(cell: Cell, code: npt.NDArray[np.int32]) -> Layout:
        truth, score = matrices(cell.truth, cell.score, labels)
        columns = [
            column(truth[:, i], score[:, i], code, label=label, specs=[spec], thresholds=cell.thresholds)
            for i, label in enumerate(labels)
        ]
        return Layout(
            columns, [Behind(one, int(one.rows.positive.sum()), *sorted(patients_of(one))) for one in columns]
        )

    return lay


def average(values: FloatArray, kept: npt.NDArray[np.bool_]) -> FloatArray:
    """Average over labels in each cell, then over cells, using the entries that are kept.

    Args:
        values: Shape (..., cells, labels).
        kept: Which entries have a value on the samples themselves, shape (cells, labels).

    >>> average(np.array([[1.0, 3.0], [5.0, np.nan]]), np.array([[True, True], [True, False]]))
    array(3.5)
    """
    rows = np.flatnonzero(kept.any(axis=1))
    if not len(rows):
        return np.full(values.shape[:-2], np.nan)
    return np.asarray(np.mean([values[..., row, kept[row]].mean(axis=-1) for row in rows], axis=0))


def has_patients(cell: Cell) -> bool:
    """Tell whether any image's patient is known."""
    return cell.patient is not None and not bool(pd.isna(np.asarray(cell.patient, object)).all())


def _kinds(laid: Sequence[Sequence[Behind]], patients: int, group: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Give each group's kind for each label: the highest among its patients in any cell, shape (groups, labels)."""
    by_label = [np.max([row[i].laid.kinds(patients) for row in laid], axis=0) for i in range(len(laid[0]))]
    return np.stack([by_group(kind, group) for kind in by_label], axis=1)


def _codes(cells: Sequence[Cell]) -> tuple[list[npt.NDArray[np.int32]], int, str]:
    """Number the patients of one domain, the same number for the same patient in every cell."""
    rows = [len(np.asarray(cell.truth)) for cell in cells]
    for cell, size in zip(cells, rows, strict=True):
        for what, ids in (("patient", cell.patient), ("image", cell.image)):
            if ids is not None and len(np.asarray(ids)) != size:
                raise MeasureError(f"{cell.domain}: {what} has {len(np.asarray(ids)):,} rows, truth has {size:,}")
    unit = "patient" if all(has_patients(cell) for cell in cells) else "image"
    ids = np.concatenate([_ids(cell, unit, size) for cell, size in zip(cells, rows, strict=True)])
    code, names = pd.factorize(ids, use_na_sentinel=True)
    missing = code < 0
    code[missing] = len(names) + np.arange(int(missing.sum()))
    parts = np.split(code.astype(np.int32), np.cumsum(rows)[:-1])
    return list(parts), len(names) + int(missing.sum()), unit


def _ids(cell: Cell, unit: str, rows: int) -> npt.NDArray[np.object_]:
    """Name each row's unit; without any ids a cell's rows are known by their number and the cell's size."""
    if unit == "patient":
        return np.asarray(cell.patient, object)
    if cell.image is not None:
        return np.asarray(cell.image, object)
    return (np.arange(rows) + (rows << 32)).astype(object)
