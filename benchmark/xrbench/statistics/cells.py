"""One metric over several cells, in replicates that respect who is shared between them.

Cells of one domain are tests on the same hospital's patients, often the same images. Patients are drawn once a domain and
replicate, and every cell of the domain sees the same draw; domains are independent of each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec
from xrbench.progress import Reporter
from xrbench.statistics.estimates import matrices
from xrbench.statistics.replicates import key_of, replicate
from xrbench.statistics.samples import Column, column

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


class CellValues(NamedTuple):
    """One metric of each cell and label.

    Attributes:
        value: On the samples themselves, shape (cells, labels); NaN where undefined.
        replicates: Shape (replicates, cells, labels).
        columns: The columns behind them, by cell and label.
        unit: ``patient`` when every cell has patients, else ``image``.
    """

    value: FloatArray
    replicates: FloatArray
    columns: list[list[Column]]
    unit: str


def cell_values(
    cells: Sequence[Cell],
    spec: MetricSpec,
    labels: Sequence[str],
    *,
    replicates: int,
    seed: int,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> CellValues:
    """Compute a metric of every cell and label, and its replicates."""
    from xrbench.statistics.draws import Bootstrap, Once

    if not cells:
        raise MeasureError("nothing to measure: no cell was given")
    shape = (len(cells), len(labels))
    value, drawn = np.full(shape, np.nan), np.full((replicates, *shape), np.nan)
    laid: dict[int, list[Column]] = {}
    units = set()
    for domain in dict.fromkeys(cell.domain for cell in cells):
        mine = [i for i, cell in enumerate(cells) if cell.domain == domain]
        codes, size, unit = _codes([cells[i] for i in mine])
        units.add(unit)
        for i, code in zip(mine, codes, strict=True):
            laid[i] = _columns(cells[i], code, spec, labels)
        columns = [one for i in mine for one in laid[i]]
        part = replicate(columns, Once(size), 1, threads=1)[0, :, 0]
        value[mine] = part.reshape(len(mine), -1)
        source = Bootstrap(size, key_of(seed, domain))
        part = replicate(columns, source, replicates, threads=threads, reporter=reporter, label=domain)[:, :, 0]
        drawn[:, mine] = part.reshape(replicates, len(mine), -1)
    return CellValues(value, drawn, [laid[i] for i in range(len(cells))], "image" if "image" in units else "patient")


def _columns(cell: Cell, code: npt.NDArray[np.int32], spec: MetricSpec, labels: Sequence[str]) -> list[Column]:
    truth, score = matrices(cell.truth, cell.score, labels)
    return [
        column(truth[:, i], score[:, i], code, label=label, specs=[spec], thresholds=cell.thresholds)
        for i, label in enumerate(labels)
    ]


def _codes(cells: Sequence[Cell]) -> tuple[list[npt.NDArray[np.int32]], int, str]:
    """Number the patients of one domain, the same number for the same patient in every cell."""
    rows = [len(np.asarray(cell.truth)) for cell in cells]
    for cell, size in zip(cells, rows, strict=True):
        for what, ids in (("patient", cell.patient), ("image", cell.image)):
            if ids is not None and len(np.asarray(ids)) != size:
                raise MeasureError(f"{cell.domain}: {what} has {len(np.asarray(ids)):,} rows, truth has {size:,}")
    known = [cell.patient is not None and not pd.isna(np.asarray(cell.patient, object)).all() for cell in cells]
    unit = "patient" if all(known) else "image"
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
