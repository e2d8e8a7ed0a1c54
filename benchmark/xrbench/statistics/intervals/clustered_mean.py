"""Means of something that every image has, such as being right, with patients instead of images as what varies.

A mean over images is a ratio of two sums over patients; its error comes from how far each patient's sum is from what the mean
expects (linearisation: Cochran 1977, Sampling Techniques, 6.3; the same as a regression's cluster-robust error with the
factor n / (n - 1)). Degrees of freedom are those of that error: see ``jackknife.freedom``. No random numbers.

A share whose images are all right, or all wrong, shows no spread although another patient might differ. By itself it is then judged as n
of n patients, exactly (Clopper & Pearson 1934, Biometrika 26:404); in a difference, one success and one failure are added to its
patients (Agresti & Caffo 2000, Am Stat 54:280), which moves the interval's centre, not the figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray
from xrbench.statistics.intervals.formulas import check_level
from xrbench.statistics.resampling.clusters import encode
from xrbench.statistics.resampling.jackknife import freedom


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
    values: npt.ArrayLike,
    patient: npt.ArrayLike | None = None,
    *,
    null: float = 0.0,
    level: float = 0.95,
    share: bool = False,
) -> ClusteredMean:
    """Compute the mean of a value that every image has.

    Args:
        values: One an image, NaN left out, shape (n,).
        patient: Patient id of each image, shape (n,); None makes images the unit.
        null: What the p-value tests the mean against.
        level: Confidence level, between 0 and 1.
        share: Whether the values are 0 and 1, so that the mean is a share.

    Raises:
        MeasureError: There are not as many patients as values.

    >>> found = clustered_mean([1, 1, 0, 0], ["a", "a", "b", "b"])  # two patients, wholly right and wholly wrong
    >>> found.value, found.n_patients, found.error
    (0.5, 2, 0.5)
    """
    check_level(level)
    code, kept, unit = _codes([(values, patient)])
    sides = _Sides(code, kept, unit, share)
    return _judged(_mean(kept[0]), _influence(kept[0], code[0]), sides, null, level)


def clustered_difference(
    a: npt.ArrayLike,
    patient_a: npt.ArrayLike | None,
    b: npt.ArrayLike,
    patient_b: npt.ArrayLike | None,
    *,
    level: float = 0.95,
    share: bool = False,
) -> ClusteredMean:
    """Compute the mean of a minus the mean of b; a patient on both sides is one patient.

    Args:
        a: One value an image, NaN left out, shape (n,).
        patient_a: Patient id of each of these images; None on either side makes images the unit, all of them different.
        b: As a, shape (m,).
        patient_b: As patient_a; the same id on both sides means the same patient.
        level: Confidence level, between 0 and 1.
        share: Whether the values are 0 and 1, so that the means are shares.

    >>> found = clustered_difference([1, 1, 0, 1], None, [0, 1, 0, 0], None)
    >>> found.value, round(found.error, 4)  # each side's variance is 3/16 / 4 x 4/3, with 8 / 7 in place of 4 / 3 for both
    (0.5, 0.3273)
    """
    check_level(level)
    code, kept, unit = _codes([(a, patient_a), (b, patient_b)])
    parts = [_influence(side, of) for side, of in zip(kept, code, strict=True)]
    size = max(map(len, parts))
    first, second = (np.pad(part, (0, size - len(part))) for part in parts)
    return _judged(_mean(kept[0]) - _mean(kept[1]), first - second, _Sides(code, kept, unit, share), 0.0, level)


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


class _Sides(NamedTuple):
    """Patient numbers and values of each side, what a number stands for, and whether means are shares."""

    code: list[npt.NDArray[np.int32]]
    kept: list[FloatArray]
    unit: str
    share: bool

    def patients(self, side: int) -> int:
        """Count the patients of a side."""
        return len(np.unique(self.code[side]))

    def uniform(self, side: int) -> bool:
        """Tell whether all images of a share are right, or all wrong."""
        return self.share and bool(self.kept[side].min() == self.kept[side].max())

    def added(self, side: int) -> tuple[float, float]:
        """Compute how one success and one failure more move a side's share, and its variance; nothing where it has spread."""
        if not self.uniform(side):
            return 0.0, 0.0
        n, value = self.patients(side), self.kept[side][0]
        return (1 - 2 * value) / (n + 2), (n + 1) / (n + 2) ** 3


def _judged(value: float, influence: FloatArray, sides: _Sides, null: float, level: float) -> ClusteredMean:
    there = np.unique(np.concatenate(sides.code))
    nan = float("nan")
    error, df, low, high, p = nan, nan, nan, nan, nan
    if not np.isnan(value) and min(map(sides.patients, range(len(sides.code)))) > 1:
        moves = [sides.added(side) for side in range(len(sides.code))]
        mine = influence[there] * np.sqrt(len(there) / (len(there) - 1))
        parts = [mine, *(np.sqrt([variance]) for _, variance in moves if variance)]
        error = float(np.sqrt(sum(float(part @ part) for part in parts)))
        df = freedom(parts, [np.zeros(len(part), np.int64) for part in parts])
        if len(sides.code) == 1 and sides.uniform(0):
            low, high, p = _exact(value, sides.patients(0), null, level)
        elif error > 0:
            centre = value + moves[0][0] - (moves[1][0] if len(moves) > 1 else 0.0)
            reach = -float(special.stdtrit(df, (1 - level) / 2)) * error
            low, high = _ended(centre - reach, centre + reach, sides)
            p = float(2 * special.stdtr(df, -abs(centre - null) / error))
        elif value == null:
            p = 1.0
    images = sum(map(len, sides.kept))
    return ClusteredMean(value, low, high, error, df, p, level, sides.unit, images, len(there))


def _exact(value: float, patients: int, null: float, level: float) -> tuple[float, float, float]:
    """Judge a share of 0 or 1 of so many patients: interval and two-sided p-value."""
    reach = ((1 - level) / 2) ** (1 / patients)
    low, high = (reach, 1.0) if value == 1 else (0.0, 1 - reach)
    return low, high, min(1.0, 2 * (null if value == 1 else 1 - null) ** patients)


def _ended(low: float, high: float, sides: _Sides) -> tuple[float, float]:
    """End the interval of a share at 0 and 1, that of a difference of shares at -1 and 1."""
    if not sides.share:
        return low, high
    return max(low, 0.0 if len(sides.code) == 1 else -1.0), min(high, 1.0)
