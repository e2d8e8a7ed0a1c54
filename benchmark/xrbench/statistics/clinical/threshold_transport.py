"""Uncertainty of figures at a threshold that was itself estimated on validation patients.

*At this threshold* only the test patients vary. *Of this procedure* (choose a threshold on so many validation patients, apply it
elsewhere) the validation patients vary as well. The threshold with exactly the target share lies, with the confidence asked for,
between two order statistics of the validation scores (Woodruff 1952, JASA 47:635): those at which the observed share is the target plus
and minus its binomial error. What the test figure is at these two is the threshold's part of the interval. It is joined with the test
patients' part by the distances to both ends (MOVER: Zou & Donner 2008, Stat Med 27:1693), with the correlation of the two parts where
patients are on both sides (Zou 2007, Psychol Methods 12:399). No density is estimated, and no quantile is left out patient by patient,
for which the jackknife is inconsistent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray, validate
from xrbench.metrics.thresholds import threshold_at
from xrbench.statistics.intervals.formulas import NOTHING, quantile
from xrbench.statistics.resampling.clusters import number_ids

Condition = Literal["sensitivity", "specificity"]
Share = Literal["recall", "specificity"]
OF_TARGET: dict[Condition, Share] = {"sensitivity": "recall", "specificity": "specificity"}


@dataclass(frozen=True, eq=False)
class Images:
    """One label's images of one set.

    Attributes:
        truth: 1, 0 or NaN (not labelled), shape (n,).
        score: Higher for positive, shape (n,).
        patient: Patient of each image, the same number for the same patient on both sides, shape (n,).
    """

    truth: FloatArray
    score: FloatArray
    patient: npt.NDArray[np.int64]

    def right(self, share: Share, threshold: float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """Mark the images that a share counts, among those of its class, with their patients."""
        rows = validate(self.truth, self.score)
        mine = rows.positive if share == "recall" else ~rows.positive
        called = rows.score[mine] >= threshold
        return called if share == "recall" else ~called, self.patient[rows.rows][mine]

    def share(self, share: Share, threshold: float) -> float:
        """Compute recall or specificity at a threshold; NaN without the class."""
        right, _ = self.right(share, threshold)
        return float(right.mean()) if len(right) else float("nan")

    def influence(self, share: Share, threshold: float, patients: int) -> FloatArray:
        """Compute each patient's part in the error of a share, shape (patients,)."""
        right, patient = self.right(share, threshold)
        return np.bincount(patient, right - right.mean(), minlength=patients) / len(right)


def on_both_sides(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    patient: npt.ArrayLike | None,
    valid_truth: npt.ArrayLike,
    valid_score: npt.ArrayLike,
    valid_patient: npt.ArrayLike | None,
) -> tuple[Images, Images]:
    """Number the patients of test and validation images together; without ids on both sides no patient is common.

    Returns:
        The validation images and the test images.
    """
    sets = [
        (np.asarray(t, np.float64), np.asarray(s, np.float64)) for t, s in ((valid_truth, valid_score), (truth, score))
    ]
    ids = [
        np.arange(len(t)) if p is None else np.asarray(p, object)
        for (t, _), p in zip(sets, (valid_patient, patient), strict=True)
    ]
    if patient is not None and valid_patient is not None:
        codes = np.split(number_ids(np.concatenate(ids))[0], [len(ids[0])])
    else:
        first = number_ids(ids[0])
        codes = [first[0], number_ids(ids[1])[0] + first[1]]
    valid, test = (Images(*one, code.astype(np.int64)) for one, code in zip(sets, codes, strict=True))
    return valid, test


def procedure_interval(
    valid: Images,
    test: Images,
    *,
    share: Share,
    condition: Condition,
    target: float,
    at_threshold: tuple[float, float],
    level: float,
) -> tuple[float, float]:
    """Compute the interval of recall or specificity at the threshold that has exactly the target share, if only it were known.

    Args:
        valid: Validation images.
        test: Test images.
        share: The figure on the test images.
        condition: What the threshold aims at on the validation images.
        target: Its value, 0..1.
        at_threshold: Interval of the figure at the chosen threshold, over test patients.
        level: Confidence level, between 0 and 1.

    Returns:
        Low and high; NaN where no threshold could be chosen or the test set lacks the class.
    """
    threshold = threshold_at(valid.truth, valid.score, **{condition: target})
    value = test.share(share, threshold)
    if np.isnan(threshold) or np.isnan([value, *at_threshold]).any():
        return NOTHING
    ends = threshold_limits(valid, condition, target, level)
    moved = sorted(test.share(share, end) for end in ends)
    own = value - at_threshold[0], at_threshold[1] - value
    chosen = max(0.0, value - moved[0]), max(0.0, moved[1] - value)
    common = _correlation(valid, test, share, condition, threshold)
    low, high = (float(np.sqrt(max(0.0, a**2 + b**2 + 2 * common * a * b))) for a, b in zip(own, chosen, strict=True))
    return max(0.0, value - low), min(1.0, value + high)


def threshold_limits(valid: Images, condition: Condition, target: float, level: float) -> tuple[float, float]:
    """Find the thresholds between which the one with exactly the target share lies.

    Args:
        valid: Validation images; a patient's images may be alike.
        condition: What the threshold aims at.
        target: Its value, 0..1.
        level: Confidence level, between 0 and 1.

    Returns:
        Low and high; infinite where no observed score is far enough.

    >>> images = Images(np.ones(100), np.arange(100) / 100, np.arange(100))
    >>> threshold_limits(images, "sensitivity", 0.9, 0.95)  # 0.9 +- 1.96 x 0.03: 96 and 85 of 100 are called positive
    (0.04, 0.15)
    """
    threshold = threshold_at(valid.truth, valid.score, **{condition: target})
    right, patient = valid.right(OF_TARGET[condition], threshold)
    reach = quantile(level) * float(np.sqrt(target * (1 - target) * design_effect(right, patient) / len(right)))
    ends = [_at(valid, condition, target - reach), _at(valid, condition, target + reach)]
    return min(ends), max(ends)


def design_effect(right: npt.NDArray[np.bool_], patient: npt.NDArray[np.int64]) -> float:
    """Compare the variance of a share over patients with that of as many independent images; at least 1.

    Args:
        right: Whether each image counts, shape (n,).
        patient: Patient of each image, shape (n,).

    >>> design_effect(np.array([True, True, False, False]), np.array([0, 0, 1, 1]))
    2.0
    """
    value = float(right.mean())
    if value in (0.0, 1.0):
        return 1.0
    deviation = np.bincount(patient, right - value)
    return max(1.0, float(deviation @ deviation) / (len(right) * value * (1 - value)))


def _at(valid: Images, condition: Condition, target: float) -> float:
    """Choose a threshold; beyond the shares 0 and 1 it is infinite."""
    if target > 1 or target <= 0:
        return -np.inf if (target > 1) == (condition == "sensitivity") else np.inf
    return threshold_at(valid.truth, valid.score, **{condition: target})


def _correlation(valid: Images, test: Images, share: Share, condition: Condition, threshold: float) -> float:
    """Correlate the test figure's own error with the one that the threshold brings, which have patients in common; else 0.

    Where more validation images are right than should be, the chosen threshold lies farther on the other side: a figure that aims at
    the same is then too low, the other one too high.
    """
    patients = 1 + int(max(valid.patient.max(), test.patient.max()))
    first = test.influence(share, threshold, patients)
    second = valid.influence(OF_TARGET[condition], threshold, patients)
    size = float(np.sqrt((first @ first) * (second @ second)))
    if size == 0:
        return 0.0
    return float(first @ second) / size * (-1.0 if OF_TARGET[condition] == share else 1.0)
