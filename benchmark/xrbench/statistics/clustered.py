"""Means of something that every image has, such as being right, with patients instead of images as what varies.

A mean over images is a ratio of two sums over patients; its error comes from how far each patient's sum is from what the mean
expects (linearisation: Cochran 1977, Sampling Techniques, 6.3; the same as a regression's cluster-robust error with the
factor n / (n - 1)). Degrees of freedom are those of that error: see ``jackknife.freedom``. No random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray
from xrbench.statistics.intervals import check_level
from xrbench.statistics.jackknife import freedom
from xrbench.statistics.patients import encode


@dataclass(frozen=True)
class ClusteredMean:
    """A mean over images, or a difference of two, with patients as clusters.

    Attributes:
        value: The mean, or mean a minus mean b; NaN when a side has no image.
        low, high: Interval at ``level``; NaN without an error.
        error: Standard error; NaN with fewer than two patients on a side.
        df: Its degrees of freedom.
        p: Two-sided p-value of the value being 0; NaN when all patients agree on another value.
        level: Confidence level.
        unit: ``patient`` or ``image``.
        n_images: Images on both sides.
        n_patients: Distinct patients behind them.
    """

    value: float
    low: float
    high: float
    error: float
    df: float
    p: float
    level: float
    unit: str
    n_images: int
    n_patients: int


def clustered_mean(
    values: npt.ArrayLike, patient: npt.ArrayLike | None = None, *, null: float = 0.0, level: float = 0.95
) -> ClusteredMean:
    """Compute the mean of a value that every image has.

    Args:
        values: One an image, NaN left out, shape (n,).
        patient: Patient id of each image, shape (n,); None makes images the unit.
        null: What the p-value tests the mean against.
        level: Confidence level, between 0 and 1.

    Raises:
        MeasureError: There are not as many patients as values.

    >>> found = clustered_mean([1, 1, 0, 0], ["a", "a", "b", "b"])  # two patients, wholly right and wholly wrong
    >>> found.value, found.n_patients, found.error
    (0.5, 2, 0.5)
    """
    check_level(level)
    code, kept, unit = _codes([(values, patient)])
    return _judged(_mean(kept[0]), _influence(kept[0], code[0]), code, kept, null, level, unit)


def clustered_difference(
    a: npt.ArrayLike,
    patient_a: npt.ArrayLike | None,
    b: npt.ArrayLike,
    patient_b: npt.ArrayLike | None,
    *,
    level: float = 0.95,
) -> ClusteredMean:
    """Compute the mean of a minus the mean of b; a patient on both sides is one patient.

    Args:
        a: One value an image, NaN left out, shape (n,).
        patient_a: Patient id of each of these images; None on either side makes images the unit, all of them different.
        b: As a, shape (m,).
        patient_b: As patient_a; the same id on both sides means the same patient.
        level: Confidence level, between 0 and 1.

    >>> found = clustered_difference([1, 1, 0, 1], None, [0, 1, 0, 0], None)
    >>> found.value, round(found.error, 4)  # each side's variance is 3/16 / 4 x 4/3, with 8 / 7 in place of 4 / 3 for both
    (0.5, 0.3273)
    """
    check_level(level)
    code, kept, unit = _codes([(a, patient_a), (b, patient_b)])
    parts = [_influence(side, of) for side, of in zip(kept, code, strict=True)]
    size = max(map(len, parts))
    first, second = (np.pad(part, (0, size - len(part))) for part in parts)
    return _judged(_mean(kept[0]) - _mean(kept[1]), first - second, code, kept, 0.0, level, unit)


def _codes(
    sides: list[tuple[npt.ArrayLike, npt.ArrayLike | None]],
) -> tuple[list[npt.NDArray[np.int32]], list[FloatArray], str]:
    """Number the patients of the images that have a value, the same number for the same patient on every side."""
    values = [np.asarray(given, np.float64) for given, _ in sides]
    for given, (_, patient) in zip(values, sides, strict=True):
        if patient is not None and len(np.asarray(patient)) != len(given):
            raise MeasureError(
                f"{len(given):,} values of {len(np.asarray(patient)):,} patients; wanted one patient each"
            )
    known = all(patient is not None for _, patient in sides)
    ids = np.concatenate([np.asarray(patient, object) for _, patient in sides]) if known else None
    patients = encode(ids, sum(map(len, values)))
    parts = np.split(patients.code, np.cumsum([len(each) for each in values])[:-1])
    keep = [~np.isnan(each) for each in values]
    kept = [each[there] for each, there in zip(values, keep, strict=True)]
    return [part[there] for part, there in zip(parts, keep, strict=True)], kept, patients.unit


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _influence(values: FloatArray, code: npt.NDArray[np.int32]) -> FloatArray:
    """Sum for each patient how far its images are from the mean, over the number of images."""
    if not len(values):
        return np.zeros(1)
    return np.asarray(np.bincount(code, (values - values.mean()) / len(values)), np.float64)


def _judged(
    value: float,
    influence: FloatArray,
    code: list[npt.NDArray[np.int32]],
    kept: list[FloatArray],
    null: float,
    level: float,
    unit: str,
) -> ClusteredMean:
    there = np.unique(np.concatenate(code))
    nan = float("nan")
    error, df, low, high, p = nan, nan, nan, nan, nan
    if not np.isnan(value) and min(len(np.unique(of)) for of in code) > 1:
        mine = influence[there] * np.sqrt(len(there) / (len(there) - 1))
        error = float(np.sqrt(mine @ mine))
        df = freedom([mine], [np.zeros(len(mine), np.int64)])
        if error > 0:
            reach = -float(special.stdtrit(df, (1 - level) / 2)) * error
            low, high = value - reach, value + reach
            p = float(2 * special.stdtr(df, -abs(value - null) / error))
        elif value == null:
            p = 1.0
    images = sum(map(len, kept))
    return ClusteredMean(value, low, high, error, df, p, level, unit, images, len(there))
