"""Is model b better than model a on the same images?

The difference is b minus a, averaged over cells (settings). Patients are left out one at a time from both models, all labels
and all cells of their domain together, so what the two models share cancels. Interval and p-value come from the same
calculation and never contradict each other; beside them stand the p-value of a paired patient bootstrap and, for the AUC in
a single cell, DeLong's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec, parse
from xrbench.progress import Reporter
from xrbench.statistics.generalization.cells import CellValues, Lay, PairedCell, average, by_label, cell_values
from xrbench.statistics.inference.power import smallest_detectable
from xrbench.statistics.inference.verdicts import verdict
from xrbench.statistics.intervals.cautions import beside, joined, safe_side
from xrbench.statistics.intervals.delong import delong_test, z_test
from xrbench.statistics.intervals.estimate import MEAN
from xrbench.statistics.intervals.formulas import NOTHING, check_level
from xrbench.statistics.intervals.interval_kinds import DROPPED_LIMIT
from xrbench.statistics.resampling.clusters import members
from xrbench.statistics.resampling.jackknife import Contrast, contrast
from xrbench.statistics.resampling.label_columns import Column
from xrbench.statistics.resampling.scale import scale_of


@dataclass(frozen=True)
class Difference:
    """What sets two models apart on one label, or on the mean of all labels.

    Attributes:
        label: The label, or ``mean``.
        metric: Name of the metric.
        value_a, value_b: Mean over the cells in which both are defined.
        difference: b minus a.
        low, high: Interval at ``level``.
        p: Two-sided, from the same jackknife as the interval.
        p_bootstrap: Two-sided, from the standard error of a paired patient bootstrap.
        p_delong: Two-sided, after DeLong with patients as clusters; NaN unless there is one cell and the metric is the AUC.
        error: Standard error of the difference.
        detectable: Smallest true difference that such data would show with 80 % power at two-sided 5 %.
        verdict: ``better``, ``worse``, ``cannot tell``, ``not worse by more than m``, ``equivalent within m``.
        margin: The m of the verdict; 0 asks for superiority only.
        unit: ``patient`` or ``image``.
        level: Confidence level.
        replicates, dropped: Bootstrap replicates drawn, and those without a value.
        n_cells: Cells in which both models have a value.
        n_positive, n_negative, n_images: Labelled images of those cells, summed (over labels for ``mean``).
        n_patients: Distinct patients behind them.
        reason: Why there is no figure; else empty.
        caution: What a reader should know before trusting it; else empty.
        caution_beside: What a reader should know before trusting ``p_bootstrap`` and ``p_delong``; else empty.
    """

    label: str
    metric: str
    value_a: float
    value_b: float
    difference: float
    low: float
    high: float
    p: float
    p_bootstrap: float
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
    caution_beside: str = ""


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
    both = both_sides(
        cells, by_label(spec, labels), len(labels), replicates=replicates, seed=seed, threads=threads, reporter=reporter
    )
    judge = Judge(spec, both, cells, level, margin)
    return [*(judge.label(name, i) for i, name in enumerate(labels)), judge.mean()]


def both_sides(
    cells: Sequence[PairedCell],
    lay: Lay,
    labels: int,
    *,
    replicates: int,
    seed: int,
    threads: int | None,
    reporter: Reporter | None,
) -> CellValues:
    """Compute a metric of every cell: those of model a, then those of model b."""
    sides = [cell.sides() for cell in cells]
    laid = [pair[0] for pair in sides] + [pair[1] for pair in sides]
    return cell_values(laid, lay, labels, replicates=replicates, seed=seed, threads=threads, reporter=reporter)


class Judge:
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
        """Compare the models on one label."""
        kept = np.zeros_like(self.kept)
        kept[:, number] = self.kept[:, number]
        return self._difference(name, kept, [number], self._delong(kept, number))

    def mean(self) -> Difference:
        """Compare the models' means over labels."""
        return self._difference(MEAN, self.kept, range(self.kept.shape[1]), float("nan"))

    def _difference(
        self, label: str, kept: npt.NDArray[np.bool_], labels: Sequence[int], p_delong: float
    ) -> Difference:
        a, b = float(average(self.a, kept)), float(average(self.b, kept))
        drawn = average(self.drawn, kept)
        dropped = int(np.isnan(drawn).sum()) if kept.any() else 0
        found = self._contrast((a, b), kept, labels)
        low, high = NOTHING if found is None else found.limits(1 - self.level)
        inner = NOTHING if found is None else found.limits(2 * (1 - self.level))
        p = float("nan") if found is None else found.p()
        words = verdict(low, high, p=p, better=self.spec.better, margin=self.margin, level=self.level, inner=inner)
        error = float("nan") if found is None else found.error
        p_bootstrap = self._bootstrap(b - a, drawn, dropped, kept)
        others = [name for name, value in (("p_bootstrap", p_bootstrap), ("p_delong", p_delong)) if not np.isnan(value)]
        return Difference(
            label=label,
            metric=self.spec.name,
            value_a=a,
            value_b=b,
            difference=b - a,
            low=low,
            high=high,
            p=p,
            p_bootstrap=p_bootstrap,
            p_delong=p_delong,
            error=error,
            detectable=smallest_detectable(error),
            verdict=words,
            margin=self.margin,
            unit=self.both.unit,
            level=self.level,
            replicates=len(drawn),
            dropped=dropped,
            reason=self._why(kept, found),
            caution=self._caution(kept, (a + b) / 2),
            caution_beside=beside(self.both.fewest(kept), others),
            **self._counts(kept),
        )

    def _contrast(
        self, values: tuple[float, float], kept: npt.NDArray[np.bool_], labels: Sequence[int]
    ) -> Contrast | None:
        half = len(self.cells)

        def of_a(left_out: FloatArray) -> FloatArray:
            return average(left_out[:, :half], kept)

        def of_b(left_out: FloatArray) -> FloatArray:
            return average(left_out[:, half:], kept)

        parts = (self.both.parts(of_a, labels), self.both.parts(of_b, labels))
        return contrast(values, parts, scale=scale_of(self.spec)) if kept.any() else None

    def _bootstrap(self, difference: float, drawn: FloatArray, dropped: int, kept: npt.NDArray[np.bool_]) -> float:
        """Compute the p-value of the bootstrap's standard error, freed of its narrowness.

        With m patients of the rarer class the bootstrap's variance is (m - 1) / m of what it should be: Hesterberg (2015), Am
        Stat 69:371.
        """
        if not kept.any() or dropped > DROPPED_LIMIT * len(drawn) or len(drawn) - dropped < 2:
            return float("nan")
        few = max(self.both.fewest(kept), 2)
        return z_test(difference, float(np.nanstd(drawn, ddof=1)) * float(np.sqrt(few / (few - 1))))[1]

    def _why(self, kept: npt.NDArray[np.bool_], found: Contrast | None) -> str:
        if not kept.any():
            return "no cell in which both models have a value"
        return "interval: one patient alone carries what a figure is made of" if found is None else ""

    def _caution(self, kept: npt.NDArray[np.bool_], auc: float) -> str:
        rarely = self.spec.metric.u_statistic and kept.any()
        return joined(self.both.caution(kept), safe_side(self.both.most(kept), auc) if rarely else "")

    def _delong(self, kept: npt.NDArray[np.bool_], number: int) -> float:
        if not self.spec.metric.u_statistic or len(self.cells) != 1 or not kept.any():
            return float("nan")
        a, b = (self.both.behind[cell][number].laid for cell in (0, 1))
        if not isinstance(a, Column) or not isinstance(b, Column):
            return float("nan")
        return delong_test(a.rows.positive, a.rows.score, b.rows.score, patient=a.code).p

    def _counts(self, kept: npt.NDArray[np.bool_]) -> dict[str, int]:
        behind = [self.both.behind[cell][label] for cell, label in np.argwhere(kept)]
        positive = sum(one.positive for one in behind)
        images = sum(len(one.laid.code) for one in behind)
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
            codes.setdefault(self.cells[cell].domain, []).append(self.both.behind[cell][label].laid.code)
        return sum(len(members(*parts)) for parts in codes.values())
