"""Is model b better than model a on the same images?

The difference is b minus a, averaged over cells (settings). Its standard error comes from a paired patient bootstrap: both
models, all labels and all cells of a domain see the same patients in a replicate. Interval and p-value are normal with that
error, so that they never contradict each other; for a single cell and the AUC, DeLong's p-value stands beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec, parse
from xrbench.progress import Reporter
from xrbench.statistics.cells import CellValues, PairedCell, cell_values
from xrbench.statistics.delong import delong_test, z_test
from xrbench.statistics.estimates import DROPPED_LIMIT, ENOUGH, MEAN
from xrbench.statistics.intervals import NOTHING, check_level, normal
from xrbench.statistics.power import smallest_detectable
from xrbench.statistics.samples import Column
from xrbench.statistics.verdicts import verdict


@dataclass(frozen=True)
class Difference:
    """What sets two models apart on one label, or on the mean of all labels.

    Attributes:
        label: The label, or ``mean``.
        metric: Name of the metric.
        value_a, value_b: Mean over the cells in which both are defined.
        difference: b minus a.
        low, high: Interval at ``level``.
        p: Two-sided, from the paired patient bootstrap.
        p_delong: Two-sided, after DeLong with patients as clusters; NaN unless there is one cell and the metric is the AUC.
        error: Standard error of the difference.
        detectable: Smallest true difference that such data would show with 80 % power at two-sided 5 %.
        verdict: ``better``, ``worse``, ``cannot tell``, ``not worse by more than m``, ``equivalent within m``.
        margin: The m of the verdict; 0 asks for superiority only.
        unit: ``patient`` or ``image``.
        level: Confidence level.
        replicates, dropped: Replicates drawn, and those without a value.
        n_cells: Cells in which both models have a value.
        n_positive, n_negative, n_images: Labelled images of those cells, summed (over labels for ``mean``).
        n_patients: Distinct patients behind them.
        reason: Why there is no figure; else empty.
        caution: What a reader should know before trusting it; else empty.
    """

    label: str
    metric: str
    value_a: float
    value_b: float
    difference: float
    low: float
    high: float
    p: float
    p_delong: float
    error: float
    detectable: float
    verdict: str
    margin: float
    unit: str
    level: float
    replicates: int
    dropped: int
    n_cells: int
    n_positive: int
    n_negative: int
    n_images: int
    n_patients: int
    reason: str = ""
    caution: str = ""


def compare(
    cells: Sequence[PairedCell],
    *,
    metric: str = "auc",
    labels: Sequence[str],
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    margin: float = 0.0,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> list[Difference]:
    """Compare two models over cells, for each label and for the macro mean.

    Args:
        cells: One for each setting.
        metric: Such as ``"auc"``.
        labels: Names of the columns of every cell.
        replicates: Bootstrap replicates.
        level: Confidence level of intervals and verdicts, between 0 and 1.
        seed: Names the replicates' streams.
        margin: Smallest difference that matters, for non-inferiority and equivalence; 0 asks for superiority only.
        threads: At most so many; the figures do not depend on it.
        reporter: Where a progress bar goes.

    Returns:
        One difference a label, then ``mean``: the mean over labels in each cell, then over cells.

    Raises:
        MeasureError: There is no cell, a row is not usable, or a threshold is missing.

    >>> truth = [[1], [1], [1], [0], [0], [0]]
    >>> a, b = [[0.9], [0.3], [0.5], [0.4], [0.6], [0.1]], [[0.9], [0.7], [0.5], [0.4], [0.6], [0.1]]
    >>> found = compare([PairedCell("here", truth, a, b)], labels=["Edema"], replicates=200)[0]
    >>> round(found.value_a, 3), round(found.value_b, 3), round(found.difference, 3), found.verdict
    (0.667, 0.889, 0.222, 'cannot tell')
    """
    check_level(level)
    spec = parse(metric)
    sides = [cell.sides() for cell in cells]
    both = cell_values(
        [pair[0] for pair in sides] + [pair[1] for pair in sides],
        spec,
        labels,
        replicates=replicates,
        seed=seed,
        threads=threads,
        reporter=reporter,
    )
    judge = _Judge(spec, both, cells, level, margin)
    return [*(judge.label(name, i) for i, name in enumerate(labels)), judge.mean()]


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


class _Judge:
    """Puts differences, their errors and their words together."""

    def __init__(
        self, spec: MetricSpec, both: CellValues, cells: Sequence[PairedCell], level: float, margin: float
    ) -> None:
        self.spec, self.both, self.cells, self.level, self.margin = spec, both, cells, level, margin
        half = len(cells)
        self.a, self.b = both.value[:half], both.value[half:]
        self.drawn = both.replicates[:, half:] - both.replicates[:, :half]
        self.kept = ~np.isnan(self.a + self.b)

    def label(self, name: str, number: int) -> Difference:
        kept = np.zeros_like(self.kept)
        kept[:, number] = self.kept[:, number]
        return self._difference(name, kept, self._delong(kept, number))

    def mean(self) -> Difference:
        return self._difference(MEAN, self.kept, float("nan"))

    def _difference(self, label: str, kept: npt.NDArray[np.bool_], p_delong: float) -> Difference:
        a, b = float(average(self.a, kept)), float(average(self.b, kept))
        drawn = average(self.drawn, kept)
        dropped = int(np.isnan(drawn).sum()) if kept.any() else 0
        error, reason = self._error(drawn, dropped, kept)
        p = z_test(b - a, error)[1]
        low, high = NOTHING if np.isnan(error) else normal(b - a, error, self.level)
        inner = NOTHING if np.isnan(error) else normal(b - a, error, 2 * self.level - 1)
        words = verdict(low, high, p=p, better=self.spec.better, margin=self.margin, level=self.level, inner=inner)
        return Difference(
            label=label,
            metric=self.spec.name,
            value_a=a,
            value_b=b,
            difference=b - a,
            low=low,
            high=high,
            p=p,
            p_delong=p_delong,
            error=error,
            detectable=smallest_detectable(error),
            verdict=words,
            margin=self.margin,
            unit=self.both.unit,
            level=self.level,
            replicates=len(drawn),
            dropped=dropped,
            reason=reason,
            caution=self._caution(kept),
            **self._counts(kept),
        )

    def _error(self, drawn: FloatArray, dropped: int, kept: npt.NDArray[np.bool_]) -> tuple[float, str]:
        if not kept.any():
            return float("nan"), "no cell in which both models have a value"
        if dropped > DROPPED_LIMIT * len(drawn) or len(drawn) - dropped < 2:
            return float("nan"), f"interval: {dropped:,} of {len(drawn):,} replicates have no value, too few patients"
        return float(np.nanstd(drawn, ddof=1)), ""

    def _delong(self, kept: npt.NDArray[np.bool_], number: int) -> float:
        if self.spec.base != "auc" or len(self.cells) != 1 or not kept.any():
            return float("nan")
        a, b = self.both.columns[0][number], self.both.columns[1][number]
        return delong_test(a.rows.positive, a.rows.score, b.rows.score, patient=a.code).p

    def _counts(self, kept: npt.NDArray[np.bool_]) -> dict[str, int]:
        columns = [self.both.columns[cell][label] for cell, label in np.argwhere(kept)]
        positive = sum(int(one.rows.positive.sum()) for one in columns)
        images = sum(len(one.code) for one in columns)
        return {
            "n_cells": int(kept.any(axis=1).sum()),
            "n_positive": positive,
            "n_negative": images - positive,
            "n_images": images,
            "n_patients": self._patients(kept),
        }

    def _patients(self, kept: npt.NDArray[np.bool_]) -> int:
        codes: dict[str, list[npt.NDArray[np.int32]]] = {}
        for cell, label in np.argwhere(kept):
            codes.setdefault(self.cells[cell].domain, []).append(self.both.columns[cell][label].code)
        return sum(len(np.unique(np.concatenate(parts))) for parts in codes.values())

    def _caution(self, kept: npt.NDArray[np.bool_]) -> str:
        columns = [self.both.columns[cell][label] for cell, label in np.argwhere(kept)]
        few = min((_smaller_class(one) for one in columns), default=ENOUGH)
        return f"only {few} patients of one class in a cell: known to hold from {ENOUGH}" if few < ENOUGH else ""


def _smaller_class(one: Column) -> int:
    positive, code = one.rows.positive, one.code
    return min(len(np.unique(code[positive])), len(np.unique(code[~positive])))
