"""One difference between measured figures, whatever it is made from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from xrbench import statistics
from xrbench.statistics.intervals.clustered_mean import ClusteredMean


@dataclass(frozen=True)
class Contrast:
    """The first figure minus the second.

    Attributes:
        name: What it is a difference of: a label, with what else tells it from others.
        first, second: The figures; means where there are several cells.
        difference, low, high: First minus second with its interval; NaN where undefined.
        p: Two-sided p-value of no difference.
        error: Standard error.
        images: Images behind it (of both sides where they differ).
        patients: Distinct patients behind it, NaN where no ids are known.
        reason: Why there is no figure; else empty.
        caution: What to know before trusting it; else empty.
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

    @property
    def detectable(self) -> float:
        """Smallest true difference that such data would show with 80 % power; NaN where all patients agree."""
        return statistics.smallest_detectable(self.error) if self.error > 0 else math.nan

    def called(self, name: str) -> Contrast:
        """Return it under another name."""
        return replace(self, name=name)


def difference_of(name: str, found: ClusteredMean, first: float, second: float, *, by_patient: bool) -> Contrast:
    """Put a difference of means over images into the form of a contrast; ``by_patient`` says whether ids are of patients."""
    return Contrast(
        name=name,
        first=first,
        second=second,
        difference=found.value,
        low=found.low,
        high=found.high,
        p=found.p,
        error=found.error,
        images=found.n_images,
        patients=found.n_patients if by_patient else math.nan,
        reason=_why(found),
    )


def _why(found: ClusteredMean) -> str:
    if math.isnan(found.value):
        return "a side has no image"
    return "interval: all patients agree, or there is one alone" if math.isnan(found.p) else ""
