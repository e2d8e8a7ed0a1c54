"""Predictions of one label laid out for the kernels: sorted once, whatever metrics are computed from them.

A ``LabelColumn`` is one label of one model. It turns the patient counts of 64 replicates into 64 values of every metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics.calibration import BINS, bin_of, cox, logit, shift
from xrbench.metrics.checks import FloatArray, Labelled, validate
from xrbench.metrics.decisions import Counts
from xrbench.metrics.names import MetricSpec
from xrbench.metrics.table import formula
from xrbench.metrics.thresholds import is_called
from xrbench.statistics.resampling.clusters import members
from xrbench.statistics.resampling.replicates import LANES
from xrbench.statistics.resampling.score_steps import score_steps

IntArray = npt.NDArray[np.int64]
SUMS = ("brier", "expected-calibration-error")
"""Metrics of probabilities that are made of sums over images."""
LOGISTIC = ("calibration-slope", "calibration-intercept")
"""Metrics that are fitted."""


@dataclass(frozen=True)
class LabelColumn:
    """One label of one model, ready for the kernels.

    Attributes:
        rows: The labelled rows.
        code: Patient number of each labelled row, shape (rows,).
        specs: The metrics, in order.
        thresholds: Threshold of each metric; NaN where it has none.
    """

    rows: Labelled
    code: npt.NDArray[np.int32]
    specs: tuple[MetricSpec, ...]
    thresholds: tuple[float, ...]
    _parts: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def prepare(self) -> LabelColumn:
        """Sort and tabulate what the metrics need: once, before threads share the column."""
        bases = {spec.base for spec in self.specs}
        if bases & {"auc", "average-precision"}:
            steps = score_steps(self.rows.score, self.rows.positive, self.code)
            self._parts["steps"], self._parts["merged"] = steps, steps.merged()
        # All metrics that are sums over images share one pass over the counts.
        entries = [self._entries(spec, at) for spec, at in zip(self.specs, self.thresholds, strict=True)]
        self._parts["sums"] = _join(entries, self.code)
        if bases & set(LOGISTIC):
            self._parts["x"] = logit(self.rows.score)
        if "calibration-slope" in bases:
            self._parts["fit"] = cox(self.rows)
        if "calibration-intercept" in bases:
            # Each replicate's fit starts where that of the whole sample ends.
            self._parts["shift"] = shift(self.rows)
        return self

    def values(self, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Compute every metric in every lane.

        Args:
            counts: Patients' counts in 64 replicates, shape (patients, 64).

        Returns:
            Shape (metrics, 64); NaN where a metric is undefined in a lane.
        """
        from xrbench.statistics.resampling import kernels

        lanes = counts.shape[1]
        out = np.full((len(self.specs), lanes), np.nan)
        sums = self._sums(counts)
        for number, spec in enumerate(self.specs):
            if spec.base == "auc":
                kernels.auc_pass(counts, *self._parts["merged"], out[number])
            elif spec.base == "average-precision":
                kernels.precision_pass(counts, *self._parts["steps"], out[number])
            elif spec.base in LOGISTIC:
                out[number] = self._logistic(counts, free=spec.base == "calibration-slope")
            elif spec.family == "decision" or spec.base in SUMS:
                out[number] = _of_sums(spec, sums[number], self.thresholds[number])
            else:
                out[number] = self._lane_by_lane(spec, counts)
        return out

    @property
    def exact(self) -> bool:
        """Whether every metric is computed without each patient from what the whole sample has summed, however many there are."""
        return all(has_left_out_values(spec) for spec in self.specs)

    def left_out(self, patients: int) -> FloatArray:
        """Compute every metric without each patient in turn.

        Args:
            patients: How many there are.

        Returns:
            Shape (patients, metrics); NaN where a metric is undefined without the patient, or has no form of its own (``exact``).
        """
        from xrbench.statistics.resampling.left_out_pairs import auc_left_out
        from xrbench.statistics.resampling.left_out_precision import precision_left_out

        out = np.full((patients, len(self.specs)), np.nan)
        for number, (spec, threshold) in enumerate(zip(self.specs, self.thresholds, strict=True)):
            if spec.base == "auc":
                out[:, number] = auc_left_out(self._parts["merged"], patients)
            elif spec.base == "average-precision":
                out[:, number] = precision_left_out(self._parts["steps"], patients)
            elif spec.base in LOGISTIC:
                out[:, number] = self._logistic_left_out(patients, free=spec.base == "calibration-slope")
            elif has_left_out_values(spec):
                out[:, number] = _of_sums(spec, self._sums_left_out(spec, threshold, patients), threshold)
        return out

    def content(self, patients: int) -> npt.NDArray[np.uint64]:
        """Compute a number of 64 bits from the truth and scores of each patient's images, whatever their order, shape (patients,)."""
        bits = (self.rows.score + 0.0).view(np.uint64) ^ np.where(self.rows.positive, np.uint64(1 << 63), np.uint64(0))
        total = np.zeros(patients, np.uint64)
        np.add.at(total, self.code, mixed(bits))
        return total

    def _lane_by_lane(self, spec: MetricSpec, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Compute a metric that has no kernel by its formula, with patients' counts as weights, shape (64,)."""
        function, rows = formula(spec.metric.multilabel), self.rows
        weights = counts[self.code].astype(np.float64)
        return np.array([function(rows.positive, rows.score, weights=column) for column in weights.T])

    def grouped(self, group: IntArray) -> LabelColumn:
        """Replace patients by groups of patients; ``group`` is the group of each patient, shape (patients,)."""
        groups = group.astype(np.int32)
        parts = dict(self._parts)
        # Sorting does not depend on who an image is of: only the patient numbers change.
        for name in ("steps", "merged"):
            if name in parts:
                parts[name] = parts[name]._replace(patient=groups[parts[name].patient])
        patient, *rest = parts["sums"]
        parts["sums"] = (groups[patient], *rest)
        return replace(self, code=groups[self.code], _parts=parts)

    def strata(self, patients: int) -> IntArray:
        """Give 1 for each patient with a positive image and 0 for all others, shape (patients,)."""
        stratum = np.zeros(patients, np.int64)
        stratum[self.code[self.rows.positive]] = 1
        return stratum

    def class_patients(self) -> tuple[int, int]:
        """Count the patients with positive images and those with negative ones."""
        positive = self.rows.positive
        return len(members(self.code[positive])), len(members(self.code[~positive]))

    def _entries(self, spec: MetricSpec, threshold: float) -> tuple[IntArray, FloatArray, int]:
        """Express a metric as a function of weighted sums over the labelled rows.

        Returns:
            The sum (slot) that each row adds to, the value that it adds, both of shape (rows,), and the number of slots; empty
            for metrics that are not functions of sums.
        """
        positive, score = self.rows.positive, self.rows.score
        if spec.family == "decision":
            # Slots in the order of the fields of ``decisions.Counts``: TP, FP, FN, TN.
            predicted = is_called(score, threshold)
            slot = np.where(positive, np.where(predicted, 0, 2), np.where(predicted, 1, 3))
            return slot, np.ones(len(slot)), 4
        if spec.base == "brier":
            return np.zeros(len(score), np.int64), (score - positive) ** 2, 1
        if spec.base == "expected-calibration-error":
            return bin_of(score, BINS), score - positive, BINS
        return np.zeros(0, np.int64), np.zeros(0), 0

    def _sums(self, counts: npt.NDArray[np.uint8]) -> list[FloatArray]:
        """Sum the entries of each metric in every lane, shape (slots + 1, 64) each: the number of labelled rows comes last."""
        from xrbench.statistics.resampling import kernels

        patient, slot, value, bounds = self._parts["sums"]
        if not len(patient):
            # No metric is a sum: the kernel is not called, and the others do not read these.
            return [np.zeros((b - a + 1, counts.shape[1])) for a, b in pairwise(bounds)]
        sums = np.empty((bounds[-1] + 1, counts.shape[1]))
        kernels.sums_pass(counts, patient, slot, value, sums)
        return [np.concatenate([sums[a:b], sums[-1:]]) for a, b in pairwise(bounds)]

    def _sums_left_out(self, spec: MetricSpec, threshold: float, patients: int) -> FloatArray:
        """Compute the sums of a metric and the number of labelled rows without each patient, shape (slots + 1, patients)."""
        slot, value, slots = self._entries(spec, threshold)
        own = np.bincount(slot * patients + self.code, value, minlength=slots * patients).reshape(slots, patients)
        rest = np.bincount(slot, value, minlength=slots)[:, None] - own
        return np.concatenate([rest, len(self.code) - np.bincount(self.code, minlength=patients)[None]])

    def _logistic_left_out(self, patients: int, *, free: bool) -> FloatArray:
        """Fit the calibration slope (``free``) or intercept without each patient, shape (patients,)."""
        from xrbench.statistics.resampling.left_out_fits import near_fits

        x, (intercept, slope) = self._parts["x"], self._parts["fit"] if free else (self._parts["shift"], 1.0)
        if not np.isfinite(intercept):
            return np.full(patients, np.nan)
        centre, spread = (float(x.mean()), float(x.std())) if free else (0.0, 1.0)
        fit = (intercept + slope * centre, slope * spread)
        near = near_fits((x - centre) / spread, self.rows.positive, self.code, patients, fit, free=free)
        left = near[1] / spread if free else near[0]
        # A patient who moves the fit far, or without whom there is none: by a fit of all others.
        far = np.flatnonzero(np.isnan(left))
        for some in np.array_split(far, range(LANES, len(far), LANES)):
            counts = np.ones((patients, LANES), np.uint8)
            counts[some, np.arange(len(some))] = 0
            left[some] = self._logistic(counts, free=free)[: len(some)]
        return left

    def _logistic(self, counts: npt.NDArray[np.uint8], *, free: bool) -> FloatArray:
        """Fit the calibration slope (``free``) or intercept in every lane, shape (64,); NaN where there is no finite fit."""
        from xrbench.statistics.resampling import kernels, logistic_kernel

        lanes, positive = counts.shape[1], self.rows.positive
        x = self._parts["x"]
        if not free:
            # The intercept is finite as soon as both classes are in the lane.
            present = [counts[members(self.code[positive == kind])].any(axis=0) for kind in (True, False)]
            a, b = np.full(lanes, self._parts["shift"]), np.ones(lanes)
            logistic_kernel.logistic_pass(counts, self.code, x, positive, False, present[0] & present[1], a, b)
            return a
        intercept, slope = self._parts["fit"]
        if not np.isfinite(slope):
            # A subset of separable classes is separable too.
            return np.full(lanes, np.nan)
        defined = np.zeros(lanes, np.bool_)
        kernels.overlap_pass(counts, self.code, x, positive, defined)
        # Newton's method is stable on a standardised covariate; the slope is scaled back afterwards.
        centre, spread = float(x.mean()), float(x.std())
        a, b = np.full(lanes, intercept + slope * centre), np.full(lanes, slope * spread)
        logistic_kernel.logistic_pass(counts, self.code, (x - centre) / spread, positive, True, defined, a, b)
        return b / spread


def has_left_out_values(spec: MetricSpec) -> bool:
    """Tell whether a metric of one label is computed without each patient from what the whole sample has summed.

    >>> from xrbench.metrics import parse
    >>> has_left_out_values(parse("auc"))
    True
    """
    return spec.base in ("auc", "average-precision", *SUMS, *LOGISTIC) or spec.family == "decision"


def mixed(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spread numbers over 64 bits, so that their sums hardly ever agree (Steele et al. 2014, OOPSLA: SplitMix), same shape.

    >>> mixed(np.array([0], np.uint64)).tolist()  # the first output of SplitMix64 for the seed 0
    [16294208416658607535]
    """
    word = bits + np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


def label_column(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    code: npt.NDArray[np.int32],
    *,
    label: str,
    specs: Sequence[MetricSpec],
    thresholds: Mapping[tuple[str, str], float] | None,
) -> LabelColumn:
    """Check one label's predictions and lay them out.

    Args:
        truth: 1, 0 or NaN (not labelled), shape (n,).
        score: Higher for positive, shape (n,).
        code: Patient number of each row, shape (n,).
        label: Name of the label.
        specs: The metrics.
        thresholds: (label, metric) -> threshold chosen on validation data.

    Raises:
        MeasureError: A row is not usable, or a threshold from validation is missing.
    """
    probability = any(spec.metric.probabilities for spec in specs)
    rows = validate(truth, score, probability=probability, label=label)
    chosen = tuple(_threshold(spec, label, thresholds or {}) for spec in specs)
    return LabelColumn(rows, code[rows.rows], tuple(specs), chosen).prepare()


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
    """Concatenate the entries of all metrics, so that one pass over the counts serves them all.

    Returns:
        Patient number, slot and value of each entry, shape (entries,), and where each metric's slots begin, shape (metrics + 1,).
        A last slot behind all bounds counts the labelled rows.
    """
    bounds = np.cumsum([0, *(slots for _, _, slots in entries)])
    used = [(slot + start, value) for (slot, value, slots), start in zip(entries, bounds[:-1], strict=True) if slots]
    if not used:
        return np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0), bounds
    used.append((np.full(len(code), bounds[-1]), np.ones(len(code))))
    slot, value = (np.concatenate(part) for part in zip(*used, strict=True))
    return np.tile(code, len(used)), slot, value, bounds


def _of_sums(spec: MetricSpec, sums: FloatArray, threshold: float) -> FloatArray:
    """Compute a metric from its sums, shape (slots + 1, 64), in every lane, shape (64,)."""
    if spec.family == "decision":
        return spec.of_counts(Counts(*sums[:4]), threshold)
    # Brier score: one sum over the number of rows. Calibration error: the absolute sum of each bin over that number.
    total = sums[-1]
    part = np.abs(sums[:-1]).sum(axis=0)
    mean: FloatArray = np.divide(part, total, out=np.full(len(total), np.nan), where=total > 0)
    return mean
