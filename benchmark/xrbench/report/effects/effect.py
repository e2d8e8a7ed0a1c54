"""A difference between scores, with its interval, for claims and tables of differences."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from xrbench import statistics
from xrbench.statistics.intervals.clustered_mean import ClusteredMean


@dataclass(frozen=True)
class Contrast:
    """The first score minus the second.

    Attributes:
        name: A label, with whatever else distinguishes it from other contrasts.
        first, second: The scores; means where there are several cells.
        difference, low, high: First minus second with its interval; NaN where undefined.
        p: Two-sided p-value of no difference.
        error: Standard error.
        images: Number of images (of both sides where they differ).
        patients: Number of distinct patients, NaN where no ids are known.
        reason: Why there is no value; else empty.
        caution: Limits of the interval; else empty.
        at: What both scores are standardised to, such as ``prevalence 0.12``; empty where they are as they were measured.
        raw: Their difference as they were measured.
    """

    name: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    error: float
    images: int = 0
    patients: float = math.nan
    reason: str = ""
    caution: str = ""
    at: str = ""
    raw: float = math.nan

    @property
    def detectable(self) -> float:
        """Smallest true difference that such data would show with 80 % power; NaN where all patients agree."""
        return statistics.smallest_detectable(self.error) if self.error > 0 else math.nan

    def named(self, name: str) -> Contrast:
        """Return it under another name."""
        return replace(self, name=name)


def difference_of(name: str, mean: ClusteredMean, first: float, second: float, *, by_patient: bool) -> Contrast:
    """Turn a difference of means over images into a contrast; ``by_patient`` tells whether its units are patients."""
    return Contrast(
        name=name,
        first=first,
        second=second,
        difference=mean.value,
        low=mean.low,
        high=mean.high,
        p=mean.p,
        error=mean.error,
        images=mean.n_images,
        patients=mean.n_patients if by_patient else math.nan,
        reason=_reason(mean),
    )


def _reason(mean: ClusteredMean) -> str:
    if math.isnan(mean.value):
        return "a side has no image"
    return "interval: all patients agree, or there is one alone" if math.isnan(mean.p) else ""
