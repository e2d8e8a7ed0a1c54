"""The scale on which a metric's error is nearly normal."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec


class Scale(NamedTuple):
    """The logit of a finite range, ``log((value - low) / (high - value))``; the identity where an end is infinite.

    Attributes:
        low, high: Smallest and largest value of the metric.
    """

    low: float
    high: float

    @property
    def finite(self) -> bool:
        """Whether values are transformed."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))

    @property
    def width(self) -> float:
        """Distance of the ends."""
        return self.high - self.low

    def is_end(self, value: float) -> bool:
        """Tell whether a value is the smallest or largest of a finite range."""
        return self.finite and value in (self.low, self.high)

    def holds(self, values: npt.ArrayLike) -> bool:
        """Tell whether all values lie between the ends of a finite range, where the logit exists."""
        array = np.asarray(values, np.float64)
        return self.finite and bool(((array > self.low) & (array < self.high)).all())

    def logit(self, values: npt.ArrayLike) -> FloatArray:
        """Transform values of any shape; the ends become infinite."""
        return np.asarray(special.logit((np.asarray(values, np.float64) - self.low) / self.width))

    def expit(self, values: npt.ArrayLike) -> FloatArray:
        """Transform logits of any shape back to values."""
        return np.asarray(self.low + special.expit(np.asarray(values, np.float64)) * self.width)

    def slope(self, value: float) -> float:
        """Return the derivative of a value with respect to its logit."""
        return (value - self.low) * (self.high - value) / self.width


UNIT = Scale(0.0, 1.0)
"""The logit of values within 0..1."""
UNBOUNDED = Scale(-np.inf, np.inf)
"""No transformation."""


def scale_of(spec: MetricSpec) -> Scale:
    """Return the scale on which a metric's error is estimated: the logit of its range, if that is finite."""
    return Scale(spec.metric.low, spec.metric.high)
