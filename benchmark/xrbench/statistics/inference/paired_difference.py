"""Is model b better than model a on the same images?

The difference is b minus a, averaged over cells (settings). Patients are left out one at a time from both models, all labels
and all cells of their domain together, so what the two models share cancels. Interval and p-value come from the same
calculation and never contradict each other; two more p-values are those of a paired patient bootstrap and, for the AUC in
a single cell, DeLong's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Unpack

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.metric import Task
from xrbench.metrics.names import parse_as
from xrbench.statistics.generalization.cells import BoolArray, CellValues, average, cell_values, only_labels
from xrbench.statistics.inference.verdicts import verdict
from xrbench.statistics.intervals.cautions import conservative_test, few_for_tests, join_cautions
from xrbench.statistics.intervals.delong import delong_test, z_test
from xrbench.statistics.intervals.formulas import NOTHING
from xrbench.statistics.intervals.interval_kinds import DROPPED_LIMIT
from xrbench.statistics.options import Resampling, ResamplingFields
from xrbench.statistics.predictions import MEAN, Pair, named
from xrbench.statistics.resampling.clusters import members
from xrbench.statistics.resampling.contrast import Contrast, contrast
from xrbench.statistics.resampling.label_columns import LabelColumn
from xrbench.statistics.resampling.scale import scale_of


@dataclass(frozen=True)
class Difference:
    """The difference of two models on one label or class, on the mean of all, or on all classes together.

    Attributes:
        label: The label or class, ``mean``, or ``all classes``.
        metric: Name of the metric.
        value_a, value_b: Mean over the cells in which both are defined.
        difference: b minus a.
        low, high: Interval at ``level``.
        p: Two-sided, from the same jackknife as the interval.
        p_bootstrap: Two-sided, from the standard error of a paired patient bootstrap.
        p_delong: Two-sided, after DeLong with patients as clusters; NaN unless there is one cell and the metric is the AUC.
        error: Standard error of the difference.
        detectable: Smallest true difference that this test would show at its level with 80 % power.
        verdict: ``better``, ``worse``, ``cannot tell``, ``not worse by more than m``, ``equivalent within m``.
        margin: The m of the verdict; 0 asks for superiority only.
        unit: ``patient`` or ``image``.
        level: Confidence level.
        replicates, dropped: Bootstrap replicates drawn, and those without a value.
        n_cells: Cells in which both models have a value.
        n_positive, n_negative, n_images: Labelled images of those cells, summed (over labels for ``mean``).
        n_patients: Distinct patients behind them.
        reason: Why there is no figure; else empty.
        caution: What to know before trusting it; else empty.
        caution_beside: What to know before trusting ``p_bootstrap`` and ``p_delong``; else empty.
        errors: Its errors, from which other intervals follow; None where there are none.
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
    errors: Contrast | None = field(default=None, repr=False, compare=False)


def compare(
    cells: Sequence[Pair],
    *,
    metric: str = "auc",
    labels: Sequence[str] | None = None,
    task: Task | None = None,
    margin: float = 0.0,
    **options: Unpack[ResamplingFields],
) -> list[Difference]:
    """Compare two models over cells, for each label or class, and for their mean or all of them together.

    Args:
        cells: One pair of predictions for each setting; see ``paired``.
        metric: A metric of the task, such as ``"auc"``; see ``estimate``.
        labels: Names of the columns of every cell; None takes the cells' own.
        task: ``multilabel`` or ``multiclass``; None takes the cells' own.
        margin: Smallest difference that matters, for non-inferiority and equivalence; 0 asks for superiority only.
        options: ``level``, ``replicates``, ``seed``, ``threads``, ``reporter``; see ``Resampling``.

    Returns:
        One difference a label, then ``mean``: the mean over labels in each cell, then over cells; or one of ``all classes``.

    Raises:
        MeasureError: There is no cell, a row is not usable, or a threshold is missing.
        UsageError: No such metric, or an option is out of range.

    >>> from xrbench.statistics import paired
    >>> truth = [[1], [1], [1], [0], [0], [0]]
    >>> a, b = [[0.9], [0.3], [0.5], [0.4], [0.6], [0.1]], [[0.9], [0.7], [0.5], [0.4], [0.6], [0.1]]
    >>> row = compare([paired("here", truth, a, b)], labels=["Edema"], replicates=200)[0]
    >>> round(row.value_a, 3), round(row.value_b, 3), round(row.difference, 3), row.verdict
    (0.667, 0.889, 0.222, 'cannot tell')
    """
    how = Resampling(**options)
    both = named([*(a for a, _ in cells), *(b for _, b in cells)], labels, task)
    values = cell_values(both, parse_as(both[0].task, metric), how)
    domains = [cell.domain for cell in both]
    return [_Row(label, numbers, values, domains).difference(how.level, margin) for label, numbers in values.rows()]


class _Row:
    """One row of a comparison: some labels of all cells, of which model a's come first.

    Attributes:
        used: Cells and labels in which both models have a value, shape (cells, labels).
        a, b: Mean over these values.
        contrast: Error of the difference; None where it cannot be computed.
        replicates: Differences in bootstrap replicates, shape (replicates,).
    """

    def __init__(self, label: str, labels: Sequence[int], values: CellValues, domains: Sequence[str]) -> None:
        self.label, self.values, self.domains = label, values, domains
        cells = self.cells = len(domains) // 2
        self.used: BoolArray = only_labels(~np.isnan(values.value[:cells] + values.value[cells:]), labels)
        self.a, self.b = (
            float(average(values.value[:cells], self.used)),
            float(average(values.value[cells:], self.used)),
        )
        self.replicates = average(values.replicates[:, cells:] - values.replicates[:, :cells], self.used)
        self.contrast = self._contrast(labels) if self.used.any() else None

    def difference(self, level: float, margin: float) -> Difference:
        """Put the row together."""
        values, spec, joint = self.values, self.values.spec, self.contrast
        low, high = NOTHING if joint is None else joint.limits(1 - level)
        # The interval of two one-sided tests, at 90 % for a level of 95 %.
        inner = NOTHING if joint is None else joint.limits(2 * (1 - level))
        p = float("nan") if joint is None else joint.p()
        error = float("nan") if joint is None else joint.error
        dropped = int(np.isnan(self.replicates).sum()) if self.used.any() else 0
        p_bootstrap, p_delong = self._p_bootstrap(dropped), self._p_delong()
        others = [name for name, other in (("p_bootstrap", p_bootstrap), ("p_delong", p_delong)) if not np.isnan(other)]
        return Difference(
            label=self.label,
            metric=spec.name,
            value_a=self.a,
            value_b=self.b,
            difference=self.b - self.a,
            low=low,
            high=high,
            p=p,
            p_bootstrap=p_bootstrap,
            p_delong=p_delong,
            error=error,
            detectable=float("nan") if joint is None else joint.detectable(1 - level),
            verdict=verdict(low, high, p=p, better=spec.better, margin=margin, level=level, inner=inner),
            margin=margin,
            unit=values.unit,
            level=level,
            replicates=len(self.replicates),
            dropped=dropped,
            **self._counts(),
            reason=self._reason(),
            caution=self._caution(),
            caution_beside=few_for_tests(values.fewest(self.used), others),
            errors=joint,
        )

    def _contrast(self, labels: Sequence[int]) -> Contrast | None:
        cells, used = self.cells, self.used

        def mean_a(left_out: FloatArray) -> FloatArray:
            return average(left_out[:, :cells], used)

        def mean_b(left_out: FloatArray) -> FloatArray:
            return average(left_out[:, cells:], used)

        parts = (self.values.parts(mean_a, labels), self.values.parts(mean_b, labels))
        return contrast((self.a, self.b), parts, scale=scale_of(self.values.spec))

    def _p_bootstrap(self, dropped: int) -> float:
        """Compute the p-value from the bootstrap's standard error, corrected for its narrowness.

        With m patients of the rarer class the bootstrap's variance is (m - 1) / m of what it should be: Hesterberg (2015), Am
        Stat 69:371.
        """
        size = len(self.replicates)
        if not self.used.any() or dropped > DROPPED_LIMIT * size or size - dropped < 2:
            return float("nan")
        few = max(self.values.fewest(self.used), 2)
        error = float(np.nanstd(self.replicates, ddof=1)) * float(np.sqrt(few / (few - 1)))
        return z_test(self.b - self.a, error)[1]

    def _p_delong(self) -> float:
        """Compute DeLong's p-value for the AUC of one label in a single cell; NaN for all else."""
        if not self.values.spec.metric.u_statistic or self.cells != 1 or self.label == MEAN or not self.used.any():
            return float("nan")
        label = int(np.flatnonzero(self.used[0])[0])
        a, b = (self.values.support[cell][label].column for cell in (0, 1))
        if not isinstance(a, LabelColumn) or not isinstance(b, LabelColumn):
            return float("nan")
        return delong_test(a.rows.positive, a.rows.score, b.rows.score, patient=a.code).p

    def _reason(self) -> str:
        if not self.used.any():
            return "no cell in which both models have a value"
        return "interval: one patient alone carries what a figure is made of" if self.contrast is None else ""

    def _caution(self) -> str:
        caution = self.values.caution(self.used)
        if not self.values.spec.metric.u_statistic or not self.used.any():
            return caution
        return join_cautions(caution, conservative_test(self.values.most(self.used), (self.a + self.b) / 2))

    def _counts(self) -> dict[str, int]:
        """Count cells, labelled images and distinct patients behind the row; both models have the same."""
        supports = self.values.supports(self.used)
        positive = sum(support.positive for _, support in supports)
        images = sum(len(support.column.code) for _, support in supports)
        codes: dict[str, list[npt.NDArray[np.int32]]] = {}
        for cell, support in supports:
            codes.setdefault(self.domains[cell], []).append(support.column.code)
        return {
            "n_cells": int(self.used.any(axis=1).sum()),
            "n_positive": positive,
            "n_negative": images - positive,
            "n_images": images,
            "n_patients": sum(len(members(*parts)) for parts in codes.values()),
        }
