"""Predictions laid out for the passes: sorted once for each label, whatever is computed from them.

A ``Column`` is one label of one model. It turns 64 replicates' patient counts into 64 values of every metric asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics.calibration import BINS, bin_of, cox, logit, shift
from xrbench.metrics.checks import FloatArray, Labelled, validate
from xrbench.metrics.decisions import Counts
from xrbench.metrics.names import MetricSpec
from xrbench.metrics.table import formula
from xrbench.statistics.resampling.clusters import members

IntArray = npt.NDArray[np.int64]
SUMS = ("brier", "expected-calibration-error")
"""Metrics of probabilities that are made of sums over images."""


class Steps(NamedTuple):
    """Images in the order of their scores, as ``auc_pass`` wants them."""

    patient: npt.NDArray[np.int32]
    start: IntArray
    mid: IntArray
    end: IntArray

    def merged(self) -> Steps:
        """Join steps that follow each other without a negative between: the AUC sees no difference."""
        if not len(self.start):
            return self
        pure = self.mid == self.end
        joins = pure[:-1] & pure[1:] & (self.end[:-1] == self.start[1:])
        first, last = np.concatenate([[True], ~joins]), np.concatenate([~joins, [True]])
        return Steps(self.patient, self.start[first], self.mid[last], self.end[last])


@dataclass(frozen=True)
class Column:
    """One label of one model, ready for the passes.

    Attributes:
        rows: The labelled rows.
        code: Patient number of each labelled row.
        specs: The metrics, in order.
        thresholds: Threshold of each metric; NaN where it has none.
    """

    rows: Labelled
    code: npt.NDArray[np.int32]
    specs: tuple[MetricSpec, ...]
    thresholds: tuple[float, ...]
    _parts: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def prepare(self) -> Column:
        """Sort and tabulate what the metrics need; done once, before threads share the column."""
        bases = {spec.base for spec in self.specs}
        if bases & {"auc", "average-precision"}:
            steps = sort(self.rows.score, self.rows.positive, self.code)
            self._parts["steps"], self._parts["merged"] = steps, steps.merged()
        entries = [self._entries(spec, at) for spec, at in zip(self.specs, self.thresholds, strict=True)]
        self._parts["sums"] = _join(entries, self.code)
        if bases & {"calibration-slope", "calibration-intercept"}:
            self._parts["x"] = logit(self.rows.score)
        if "calibration-slope" in bases:
            self._parts["fit"] = cox(self.rows)
        if "calibration-intercept" in bases:
            # Each fit starts where that of the whole sample ends.
            self._parts["shift"] = shift(self.rows)
        return self

    def values(self, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Compute every metric in every lane, shape (metrics, 64)."""
        from xrbench.statistics.resampling import kernels

        lanes = counts.shape[1]
        out = np.full((len(self.specs), lanes), np.nan)
        sums = self._sums(counts)
        for number, spec in enumerate(self.specs):
            if spec.base == "auc":
                kernels.auc_pass(counts, *self._parts["merged"], out[number])
            elif spec.base == "average-precision":
                kernels.precision_pass(counts, *self._parts["steps"], out[number])
            elif spec.base in ("calibration-slope", "calibration-intercept"):
                out[number] = self._logistic(counts, free=spec.base == "calibration-slope")
            elif spec.family == "decision" or spec.base in SUMS:
                out[number] = _of_sums(spec, sums[number], self.thresholds[number])
            else:
                out[number] = self._lane_by_lane(spec, counts)
        return out

    def _lane_by_lane(self, spec: MetricSpec, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Compute a metric that has no pass of its own: its formula once a lane, patients' counts as weights, shape (64,)."""
        function, rows = formula(spec.metric.multilabel), self.rows
        weights = counts[self.code].astype(np.float64)
        return np.array([function(rows.positive, rows.score, weights=column) for column in weights.T])

    def grouped(self, group: IntArray) -> Column:
        """Put groups of patients in the place of patients; ``group`` is the number of each patient's group."""
        groups = group.astype(np.int32)
        parts = dict(self._parts)
        for name in ("steps", "merged"):
            if name in parts:
                parts[name] = parts[name]._replace(patient=groups[parts[name].patient])
        patient, *rest = parts["sums"]
        parts["sums"] = (groups[patient], *rest)
        return replace(self, code=groups[self.code], _parts=parts)

    def kinds(self, patients: int) -> IntArray:
        """Give 1 for each patient with a positive image and 0 for all others, shape (patients,)."""
        found = np.zeros(patients, np.int64)
        found[self.code[self.rows.positive]] = 1
        return found

    def _entries(self, spec: MetricSpec, threshold: float) -> tuple[IntArray, FloatArray, int]:
        """List slot and value of each labelled row for a metric that is a function of sums, and its number of slots."""
        positive, score = self.rows.positive, self.rows.score
        if spec.family == "decision":
            called = score >= threshold
            slot = np.where(positive, np.where(called, 0, 2), np.where(called, 1, 3))
            return slot, np.ones(len(slot)), 4
        if spec.base == "brier":
            return np.zeros(len(score), np.int64), (score - positive) ** 2, 1
        if spec.base == "expected-calibration-error":
            return bin_of(score, BINS), score - positive, BINS
        return np.zeros(0, np.int64), np.zeros(0), 0

    def _sums(self, counts: npt.NDArray[np.uint8]) -> list[FloatArray]:
        """Sum each metric's entries, the number of labelled rows last, shape (slots + 1, 64) each."""
        from xrbench.statistics.resampling import kernels

        patient, slot, value, bounds = self._parts["sums"]
        if not len(patient):
            return [np.zeros((b - a + 1, counts.shape[1])) for a, b in pairwise(bounds)]
        sums = np.empty((bounds[-1] + 1, counts.shape[1]))
        kernels.sums_pass(counts, patient, slot, value, sums)
        return [np.concatenate([sums[a:b], sums[-1:]]) for a, b in pairwise(bounds)]

    def _logistic(self, counts: npt.NDArray[np.uint8], *, free: bool) -> FloatArray:
        from xrbench.statistics.resampling import kernels, logistic_kernel

        lanes, positive = counts.shape[1], self.rows.positive
        x = self._parts["x"]
        if not free:
            kinds = [counts[members(self.code[positive == kind])].any(axis=0) for kind in (True, False)]
            a, b = np.full(lanes, self._parts["shift"]), np.ones(lanes)
            logistic_kernel.logistic_pass(counts, self.code, x, positive, False, kinds[0] & kinds[1], a, b)
            return a
        intercept, slope = self._parts["fit"]
        if not np.isfinite(slope):
            return np.full(lanes, np.nan)
        defined = np.zeros(lanes, np.bool_)
        kernels.overlap_pass(counts, self.code, x, positive, defined)
        centre, spread = float(x.mean()), float(x.std())
        a, b = np.full(lanes, intercept + slope * centre), np.full(lanes, slope * spread)
        logistic_kernel.logistic_pass(counts, self.code, (x - centre) / spread, positive, True, defined, a, b)
        return b / spread


def column(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    code: npt.NDArray[np.int32],
    *,
    label: str,
    specs: Sequence[MetricSpec],
    thresholds: Mapping[tuple[str, str], float] | None,
) -> Column:
    """Check one label's predictions and lay them out.

    Raises:
        MeasureError: A row is not usable, or a threshold from validation is missing.
    """
    probability = any(spec.metric.probabilities for spec in specs)
    rows = validate(truth, score, probability=probability, label=label)
    at = tuple(_threshold(spec, label, thresholds or {}) for spec in specs)
    return Column(rows, code[rows.rows], tuple(specs), at).prepare()


def sort(score: FloatArray, positive: npt.NDArray[np.bool_], code: npt.NDArray[np.int32]) -> Steps:
    """Order images from the highest score down, positives first among equals, and find the steps."""
    order = np.argsort(-score)
    if not len(order):
        empty = np.zeros(0, np.int64)
        return Steps(code[order], empty, empty, empty)
    descending, kind = score[order], positive[order]
    first = np.flatnonzero(np.concatenate([[True], descending[1:] != descending[:-1]]))
    size = np.diff(np.append(first, len(order)))
    positives = np.add.reduceat(kind.astype(np.int64), first)
    if len(first) < len(order):
        # Within one score a positive moves behind the positives before it, a negative behind all positives.
        before: IntArray = np.cumsum(kind) - kind
        before = before - np.repeat(before[first], size)
        start = np.repeat(first, size)
        behind = np.arange(len(order)) - start - before + np.repeat(positives, size)
        place = start + np.where(kind, before, behind)
        moved = np.empty_like(order)
        moved[place] = order
        order = moved
    kept = np.flatnonzero(positives)
    start = first[kept]
    return Steps(code[order], start, start + positives[kept], start + size[kept])


def _threshold(spec: MetricSpec, label: str, thresholds: Mapping[tuple[str, str], float]) -> float:
    if not spec.from_validation:
        return spec.target
    try:
        return float(thresholds[label, spec.name])
    except KeyError:
        raise MeasureError(
            f"{label}: {spec.name} wants a threshold chosen on the validation set: thresholds[{label!r}, {spec.name!r}]"
        ) from None


def _join(
    entries: Sequence[tuple[IntArray, FloatArray, int]], code: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], FloatArray, IntArray]:
    """Put the entries of all metrics one after the other, with the number of rows in a last slot."""
    bounds = np.cumsum([0, *(slots for _, _, slots in entries)])
    used = [(slot + start, value) for (slot, value, slots), start in zip(entries, bounds[:-1], strict=True) if slots]
    if not used:
        return np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0), bounds
    used.append((np.full(len(code), bounds[-1]), np.ones(len(code))))
    slot, value = (np.concatenate(part) for part in zip(*used, strict=True))
    return np.tile(code, len(used)), slot, value, bounds


def _of_sums(spec: MetricSpec, sums: FloatArray, threshold: float) -> FloatArray:
    if spec.family == "decision":
        return spec.of_counts(Counts(*sums[:4]), threshold)
    total = sums[-1]
    part = np.abs(sums[:-1]).sum(axis=0)
    share: FloatArray = np.divide(part, total, out=np.full(len(total), np.nan), where=total > 0)
    return share
