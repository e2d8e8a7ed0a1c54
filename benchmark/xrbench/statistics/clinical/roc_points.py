"""Parts of a ROC curve with their uncertainty: sensitivity and threshold at given specificities, and the partial AUC.

Intervals are percentiles of replicates in which patients are drawn with replacement: at a given specificity the threshold is a quantile
of the negatives' scores, which leaving out one patient at a time describes badly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Unpack

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import BoolArray, FloatArray, Labelled, validate
from xrbench.metrics.names import MetricSpec, parse
from xrbench.metrics.ranking import mcclish, partial_auc
from xrbench.metrics.thresholds import threshold_at
from xrbench.statistics.clinical.roc_and_calibration_curves import roc_band
from xrbench.statistics.intervals.formulas import percentile
from xrbench.statistics.intervals.interval_kinds import of_replicates
from xrbench.statistics.options import Resampling, ResamplingFields
from xrbench.statistics.resampling.clusters import encode
from xrbench.statistics.resampling.replicates import key_of, replicate


class RocPoint(NamedTuple):
    """Where a ROC curve has a specificity.

    Attributes:
        specificity: The given one.
        sensitivity: The curve's height there (straight between two scores); NaN without both classes.
        low, high: Its interval, see ``roc_band``.
        threshold: Lowest score at which at least that share of negatives is called negative; see ``threshold_at``.
        threshold_low, threshold_high: Its interval.
    """

    specificity: float
    sensitivity: float
    low: float
    high: float
    threshold: float
    threshold_low: float
    threshold_high: float


@dataclass(frozen=True)
class PartialAuc:
    """The area under a part of a ROC curve.

    Attributes:
        value: The area itself, 0 to the width of the range of specificities.
        low, high: Its interval; NaN where more than a twentieth of the replicates lack a class.
        corrected: The area on McClish's scale: 0.5 for chance, 1 for a perfect order.
        corrected_low, corrected_high: Its interval.
        specificity: The range.
        reason: Why there is no interval; else empty.
    """

    value: float
    low: float
    high: float
    corrected: float
    corrected_low: float
    corrected_high: float
    specificity: tuple[float, float]
    reason: str = ""


def sensitivity_at(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    patient: npt.ArrayLike | None = None,
    *,
    specificities: Sequence[float] = (0.8, 0.9, 0.95),
    **options: Unpack[ResamplingFields],
) -> list[RocPoint]:
    """Compute the sensitivity and the threshold at given specificities, both with intervals over patients.

    Args:
        truth: 1, 0 or NaN (left out), shape (n,).
        score: Higher for positive, shape (n,).
        patient: Patient id of each image, shape (n,); None takes images as independent.
        specificities: 0..1, in any order.
        options: ``level``, ``replicates``, ``seed``, ``threads``, ``reporter``; see ``Resampling``.

    Raises:
        MeasureError: A row is not usable, or a specificity is outside 0..1.

    >>> point = sensitivity_at([0, 0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.6, 0.5, 0.7], specificities=[0.75], replicates=200)[0]
    >>> point.sensitivity, point.threshold  # one of four negatives may be called positive
    (1.0, 0.5)
    """
    how, rows = Resampling(**options), validate(truth, score)
    patients = encode(patient, len(np.asarray(truth)))
    chosen = [threshold_at(rows.positive, rows.score, specificity=value) for value in specificities]
    order = np.argsort(specificities)[::-1]
    band = roc_band(truth, score, patient, grid=[1 - specificities[i] for i in order], **options)
    column = _Thresholds(rows, patients.code[rows.rows], tuple(specificities))
    drawn = _drawn(column, patients.size, how)
    place = {int(number): at for at, number in enumerate(order)}
    points = []
    for number, specificity in enumerate(specificities):
        values, at = drawn[:, number], place[number]
        ends = of_replicates(values, lambda values=values: percentile(values, how.level))  # type: ignore[misc]
        height, low, high = (float(part[at]) for part in band[1:])
        points.append(RocPoint(specificity, height, low, high, chosen[number], ends.low, ends.high))
    return points


def partial_auc_interval(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    patient: npt.ArrayLike | None = None,
    *,
    specificity: tuple[float, float] = (0.9, 1.0),
    **options: Unpack[ResamplingFields],
) -> PartialAuc:
    """Compute the area under the ROC curve between two specificities, raw and on McClish's scale, with intervals over patients.

    Args:
        truth: 1, 0 or NaN (left out), shape (n,).
        score: Higher for positive, shape (n,).
        patient: Patient id of each image, shape (n,); None takes images as independent.
        specificity: The range, rising, within 0..1.
        options: ``level``, ``replicates``, ``seed``, ``threads``, ``reporter``; see ``Resampling``.

    Raises:
        MeasureError: A row is not usable, or the range is not.

    >>> found = partial_auc_interval([0, 0, 1, 1] * 30, [0.1, 0.4, 0.35, 0.8] * 30, specificity=(0.5, 1.0), replicates=200)
    >>> found.value, round(found.corrected, 3)  # height 0.5 over half of the axis; (1 + (0.25 - 0.125) / (0.5 - 0.125)) / 2
    (0.25, 0.667)
    """
    how, rows = Resampling(**options), validate(truth, score)
    value = partial_auc(rows.positive, rows.score, specificity=specificity)
    patients = encode(patient, len(np.asarray(truth)))
    drawn = _drawn(_Area(rows, patients.code[rows.rows], specificity), patients.size, how)[:, 0]
    ends = of_replicates(drawn, lambda: percentile(drawn, how.level))
    corrected, low, high = (mcclish(each, specificity) for each in (value, ends.low, ends.high))
    return PartialAuc(value, ends.low, ends.high, corrected, low, high, specificity, ends.reason)


def _drawn(column: _Thresholds | _Area, patients: int, how: Resampling) -> FloatArray:
    """Draw patients with replacement, shape (replicates, values)."""
    from xrbench.statistics.resampling.bootstrap_counts import Bootstrap

    source = Bootstrap(patients, key_of(how.seed))
    return replicate([column], source, how.replicates, threads=how.threads, reporter=how.reporter)[:, 0]


@dataclass(frozen=True)
class _Area:
    """The partial AUC in the form that ``replicate`` reads."""

    rows: Labelled
    code: npt.NDArray[np.int32]
    specificity: tuple[float, float]

    @property
    def specs(self) -> tuple[MetricSpec, ...]:
        """A stand-in: only the number is read."""
        return (parse("auc"),)

    def values(self, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Compute the area in every lane, shape (1, 64)."""
        weights = counts[self.code].T.astype(np.float64)
        area = (
            partial_auc(self.rows.positive, self.rows.score, specificity=self.specificity, weights=each)
            for each in weights
        )
        return np.array([list(area)])


@dataclass(frozen=True)
class _Thresholds:
    """Thresholds at specificities in the form that ``replicate`` reads."""

    rows: Labelled
    code: npt.NDArray[np.int32]
    specificities: tuple[float, ...]

    @property
    def specs(self) -> tuple[MetricSpec, ...]:
        """Stand-ins: only their number is read."""
        return (parse("auc"),) * len(self.specificities)

    def values(self, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Choose the thresholds in every lane among the scores that are drawn there, shape (specificities, 64)."""
        out = np.empty((len(self.specificities), counts.shape[1]))
        for lane in range(counts.shape[1]):
            weights = counts[self.code, lane].astype(np.float64)
            kept: BoolArray = weights > 0
            positive, score = self.rows.positive[kept], self.rows.score[kept]
            for number, specificity in enumerate(self.specificities):
                out[number, lane] = threshold_at(positive, score, specificity=specificity, weights=weights[kept])
        return out
