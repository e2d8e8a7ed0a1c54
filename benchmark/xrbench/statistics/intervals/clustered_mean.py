"""Means over images of a value such as being correctly classified, with patients as clusters.

A mean over images is a ratio of two sums over patients; its error comes from the distance of each patient's sum from the one that
the mean predicts (linearisation: Cochran 1977, Sampling Techniques, 6.3; the same as a regression's cluster-robust error with the
factor n / (n - 1)). Degrees of freedom are those of that error: see ``jackknife.freedom``. No random numbers.

A share that is 1 or 0 in all images shows no spread although another patient might differ. By itself it is then taken as n of n
patients, exactly (Clopper & Pearson 1934, Biometrika 26:404); in a difference, one success and one failure are added to its
patients (Agresti & Caffo 2000, Am Stat 54:280), which moves the interval's centre, not the value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray, to_floats
from xrbench.statistics.intervals.formulas import check_level
from xrbench.statistics.resampling.clusters import encode, to_ids
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
    """Compute the mean of a value over images.

    Args:
        values: One an image, NaN left out, shape (n,).
        patient: Patient id of each image, shape (n,); None makes images the unit.
        null: What the p-value tests the mean against.
        level: Confidence level, between 0 and 1.
        share: Whether the values are 0 and 1, so that the mean is a share.

    Raises:
        MeasureError: There are not as many patients as values.

    >>> mean = clustered_mean([1, 1, 0, 0], ["a", "a", "b", "b"])  # two patients, one always 1 and one always 0
    >>> mean.value, mean.n_patients, mean.error
    (0.5, 2, 0.5)
    """
    check_level(level)
    (side,), unit = _sides([(values, patient)])
    return _clustered(side.mean, side.influence(), [side], unit, share=share, null=null, level=level)


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

    >>> change = clustered_difference([1, 1, 0, 1], None, [0, 1, 0, 0], None)
    >>> change.value, round(change.error, 4)  # each side's variance is 3/16 / 4 x 4/3, with 8 / 7 in place of 4 / 3 for both
    (0.5, 0.3273)
    """
    check_level(level)
    (first, second), unit = _sides([(a, patient_a), (b, patient_b)])
    parts = [first.influence(), second.influence()]
    size = max(map(len, parts))
    # A patient on both sides moves both means: the influences are subtracted patient by patient.
    padded = [np.pad(part, (0, size - len(part))) for part in parts]
    difference = first.mean - second.mean
    return _clustered(difference, padded[0] - padded[1], [first, second], unit, share=share, null=0.0, level=level)


class _Side(NamedTuple):
    """The images of one side that have a value: their values and patient numbers, shape (images,) each."""

    values: FloatArray
    code: npt.NDArray[np.int32]

    @property
    def mean(self) -> float:
        return float(self.values.mean()) if len(self.values) else float("nan")

    @property
    def patients(self) -> int:
        return len(np.unique(self.code))

    @property
    def uniform(self) -> bool:
        """Whether all values are the same."""
        return bool(self.values.min() == self.values.max())

    def influence(self) -> FloatArray:
        """Sum the distances from the mean over the images of each patient, over the number of images, shape (patients,)."""
        if not len(self.values):
            return np.zeros(1)
        return np.asarray(np.bincount(self.code, (self.values - self.values.mean()) / len(self.values)), np.float64)

    def added(self) -> tuple[float, float]:
        """Compute how one more success and failure move a share of 0 or 1, and the variance of the moved share."""
        n, value = self.patients, self.values[0]
        return (1 - 2 * value) / (n + 2), (n + 1) / (n + 2) ** 3


def _sides(given: list[tuple[npt.ArrayLike, npt.ArrayLike | None]]) -> tuple[list[_Side], str]:
    """Number the patients of the images that have a value, the same number for the same patient on every side.

    Args:
        given: Values and patient ids of each side, shape (n,) each.

    Returns:
        The sides, and the unit of resampling.
    """
    values = [to_floats(each, "values") for each, _ in given]
    for column, (_, patient) in zip(values, given, strict=True):
        if patient is not None and len(np.asarray(patient)) != len(column):
            raise MeasureError(
                f"{len(column):,} values of {len(np.asarray(patient)):,} patients; expected one patient each"
            )
    known = all(patient is not None for _, patient in given)
    ids = np.concatenate([to_ids(patient) for _, patient in given]) if known else None
    patients = encode(ids, sum(map(len, values)))
    codes = np.split(patients.code, np.cumsum([len(column) for column in values])[:-1])
    sides = []
    for column, code in zip(values, codes, strict=True):
        defined = ~np.isnan(column)
        sides.append(_Side(column[defined], code[defined]))
    return sides, patients.unit


def _clustered(
    value: float, influence: FloatArray, sides: list[_Side], unit: str, *, share: bool, null: float, level: float
) -> ClusteredMean:
    """Compute error, interval and p-value of a mean (one side) or of a difference of means (two sides).

    Args:
        value: Mean of the first side, minus that of the second if there is one.
        influence: Influence of each patient on the value, shape (patients,).
        sides: One or two.
        unit: ``patient`` or ``image``.
        share: Whether the values are 0 and 1.
        null: Value under the null hypothesis.
        level: Confidence level.
    """
    patients = np.unique(np.concatenate([side.code for side in sides]))
    nan = float("nan")
    error, df, low, high, p = nan, nan, nan, nan, nan
    if not np.isnan(value) and min(side.patients for side in sides) > 1:
        # How the sides' means move, and what that adds to the variance, where all images of a share agree.
        moves = [side.added() if share and side.uniform else (0.0, 0.0) for side in sides]
        # As the sample variance divides by n - 1: influences are about an estimated mean.
        scaled = influence[patients] * np.sqrt(len(patients) / (len(patients) - 1))
        parts = [scaled, *(np.sqrt([variance]) for _, variance in moves if variance)]
        error = float(np.sqrt(sum(float(part @ part) for part in parts)))
        df = freedom(parts, [np.zeros(len(part), np.int64) for part in parts])
        if share and len(sides) == 1 and sides[0].uniform:
            low, high, p = _exact(value, sides[0].patients, null, level)
        elif error > 0:
            # Agresti & Caffo: one success and one failure more pull a share of 0 or 1 inwards; the interval follows, the value stays.
            centre = value + moves[0][0] - (moves[1][0] if len(sides) > 1 else 0.0)
            reach = -float(special.stdtrit(df, (1 - level) / 2)) * error
            low, high = centre - reach, centre + reach
            if share:
                low, high = max(low, 0.0 if len(sides) == 1 else -1.0), min(high, 1.0)
            p = float(2 * special.stdtr(df, -abs(centre - null) / error))
        elif value == null:
            p = 1.0
    images = sum(len(side.values) for side in sides)
    return ClusteredMean(value, low, high, error, df, p, level, unit, images, len(patients))


def _exact(value: float, patients: int, null: float, level: float) -> tuple[float, float, float]:
    """Compute Clopper & Pearson's interval of a share of 0 or 1 of so many patients, and its two-sided p-value."""
    reach = ((1 - level) / 2) ** (1 / patients)
    low, high = (reach, 1.0) if value == 1 else (0.0, 1 - reach)
    return low, high, min(1.0, 2 * (null if value == 1 else 1 - null) ** patients)
