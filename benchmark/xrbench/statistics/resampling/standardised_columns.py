"""Predictions whose metrics are computed as if the classes had stated shares: standardised to one prevalence.

Every image of a class gets the same weight, the stated share of the class over its share in the sample: what a metric would be in a
population with other class shares and the same scores within each class. The weights are those of each replicate, so that the
uncertainty of the sample's own shares is in the intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from xrbench.metrics.calibration import BINS, bin_of
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.crosstables import share
from xrbench.metrics.decisions import Counts
from xrbench.metrics.names import MetricSpec
from xrbench.metrics.table import formula
from xrbench.statistics.intervals.class_columns import ClassColumns
from xrbench.statistics.resampling.label_columns import LabelColumn
from xrbench.statistics.resampling.resampled import PatientColumn

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelAtPrevalence:
    """One label at a stated prevalence.

    Attributes:
        column: The label, laid out for one metric.
        prevalence: Share of positives, 0..1; where it is 0, 1 or NaN nothing is defined.
    """

    column: LabelColumn
    prevalence: float

    @property
    def specs(self) -> tuple[MetricSpec, ...]:
        """The metric."""
        return self.column.specs

    @property
    def code(self) -> npt.NDArray[np.int32]:
        """Patient number of each labelled row, shape (rows,)."""
        return self.column.code

    def values(self, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Compute the metric in every lane: counts of shape (patients, 64) give shape (1, 64); NaN where it is undefined."""
        (spec,) = self.specs
        if not 0 < self.prevalence < 1:
            return np.full((1, counts.shape[1]), np.nan)
        if spec.family == "decision":
            value = self._decision(spec, counts)
        elif spec.base == "average-precision":
            value = self._precision(counts)
        elif spec.base == "brier":
            value = self._class_means(counts, (self.column.rows.score - self.column.rows.positive) ** 2)[0]
        elif spec.base == "expected-calibration-error":
            error = self.column.rows.score - self.column.rows.positive
            value = np.abs(self._class_means(counts, error, bin_of(self.column.rows.score, BINS), BINS)).sum(axis=0)
        else:
            value = self._lane_by_lane(spec, counts)
        return value[None]

    @property
    def exact(self) -> bool:
        """Whether ``left_out`` knows the metric: it does not, the weights change with every patient."""
        return False

    def left_out(self, patients: int) -> FloatArray:
        """Refuse: the metric is computed anew without each patient, as ``exact`` says."""
        raise NotImplementedError(f"{self.specs[0].name} at a prevalence, without each of {patients} patients")

    def content(self, patients: int) -> npt.NDArray[np.uint64]:
        """Compute a number from what each patient's images hold, shape (patients,)."""
        return self.column.content(patients)

    def grouped(self, group: IntArray) -> LabelAtPrevalence:
        """Replace patients by groups of patients; ``group`` is the group of each patient, shape (patients,)."""
        return replace(self, column=self.column.grouped(group))

    def strata(self, patients: int) -> IntArray:
        """Give 1 for each patient with a positive image and 0 for all others, shape (patients,)."""
        return self.column.strata(patients)

    def _class_means(
        self, counts: npt.NDArray[np.uint8], value: FloatArray, slot: IntArray | None = None, slots: int = 1
    ) -> FloatArray:
        """Add up an image's value over the slots, each class with its stated share.

        Args:
            counts: Shape (patients, 64).
            value: Of each labelled row, shape (rows,).
            slot: Where each row adds to, shape (rows,); all to the first by default.
            slots: Number of slots.

        Returns:
            Share times sum over the images of a class / their number, added over both classes, shape (slots, 64); NaN in lanes
            that lack a class.
        """
        from xrbench.statistics.resampling import kernels

        positive = self.column.rows.positive.astype(np.int64)
        place = positive * slots + (0 if slot is None else slot)
        sums, sizes = np.empty((2 * slots, counts.shape[1])), np.empty((2, counts.shape[1]))
        kernels.sums_pass(counts, self.code, place, np.asarray(value, np.float64), sums)
        kernels.sums_pass(counts, self.code, positive, np.ones(len(positive)), sizes)
        of_class = share(sums.reshape(2, slots, -1), sizes[:, None])
        return np.asarray((1 - self.prevalence) * of_class[0] + self.prevalence * of_class[1])

    def _decision(self, spec: MetricSpec, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Compute a decision from shares of the outcomes that add up to 1."""
        (threshold,), positive = self.column.thresholds, self.column.rows.positive
        called = self.column.rows.score >= threshold
        slot = np.where(positive, np.where(called, 0, 2), np.where(called, 1, 3))
        outcomes = self._class_means(counts, np.ones(len(slot)), slot, 4)
        return spec.of_counts(Counts(*outcomes), threshold)

    def _precision(self, counts: npt.NDArray[np.uint8]) -> FloatArray:
        from xrbench.statistics.resampling.prevalence_kernel import precision_at_prevalence
        from xrbench.statistics.resampling.score_steps import score_steps

        out = np.empty(counts.shape[1])
        steps = score_steps(self.column.rows.score, self.column.rows.positive, self.code)
        precision_at_prevalence(counts, *steps, self.prevalence, out)
        return out

    def _lane_by_lane(self, spec: MetricSpec, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Compute a metric by its formula, with weights by class, shape (64,)."""
        function, rows = formula(spec.metric.multilabel), self.column.rows
        drawn = counts[self.code].astype(np.float64)
        sizes = np.stack([drawn[~rows.positive].sum(axis=0), drawn[rows.positive].sum(axis=0)])
        stated = np.array([[1 - self.prevalence], [self.prevalence]]) * sizes.sum(axis=0)
        weights = drawn * share(stated, sizes)[rows.positive.astype(np.int64)]
        both = np.asarray((sizes > 0).all(axis=0))
        values = [
            function(rows.positive, rows.score, weights=column) if known else np.nan
            for column, known in zip(weights.T, both, strict=True)
        ]
        return np.array(values)


@dataclass(frozen=True)
class ClassesAtShares:
    """The predicted classes of one model at stated class shares.

    Attributes:
        column: The predicted classes.
        shares: Share of each class, shape (classes,).
    """

    column: ClassColumns
    shares: tuple[float, ...]

    @property
    def specs(self) -> tuple[MetricSpec, ...]:
        """The metric of each row of values."""
        return self.column.specs

    @property
    def code(self) -> npt.NDArray[np.int32]:
        """Patient number of each labelled row, shape (rows,)."""
        return self.column.code

    def values(self, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Compute every row in every lane, shape (rows, 64); NaN in lanes that lack a class with a stated share."""
        return self._of_table(self.column.table(counts))

    @property
    def exact(self) -> bool:
        """Whether ``left_out`` knows all metrics: it does, they are made of counts."""
        return True

    def left_out(self, patients: int) -> FloatArray:
        """Compute every row without each patient in turn, shape (patients, rows)."""
        return self._of_table(self.column.left_out_table(patients)).T

    def content(self, patients: int) -> npt.NDArray[np.uint64]:
        """Nothing has to be told apart by content, as ``exact`` is true: zeros, shape (patients,)."""
        return self.column.content(patients)

    def _of_table(self, table: FloatArray) -> FloatArray:
        stated = np.array(self.shares)[:, None, None]
        standard = np.where(stated > 0, stated * share(table, table.sum(axis=1, keepdims=True)), 0.0)
        return np.concatenate([spec.of_table(standard) for spec in self.column.metrics])

    def grouped(self, group: IntArray) -> ClassesAtShares:
        """Replace patients by groups of patients; ``group`` is the group of each patient, shape (patients,)."""
        return replace(self, column=self.column.grouped(group))

    def strata(self, patients: int) -> IntArray:
        """Number each patient's class, the highest of several, shape (patients,)."""
        return self.column.strata(patients)


def at_shares(columns: Sequence[PatientColumn], shares: Sequence[float]) -> list[PatientColumn]:
    """Standardise the columns of one cell to stated class shares.

    Args:
        columns: One a label, or one of predicted classes.
        shares: Prevalence of each label, or share of each class.
    """
    if len(columns) == 1 and isinstance(columns[0], ClassColumns):
        return [ClassesAtShares(columns[0], tuple(shares))]
    labels = [column for column in columns if isinstance(column, LabelColumn)]
    return [LabelAtPrevalence(column, share) for column, share in zip(labels, shares, strict=True)]
