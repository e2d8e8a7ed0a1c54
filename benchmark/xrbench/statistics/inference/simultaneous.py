"""Several differences of the same patients at once: intervals that all hold together, and p-values that agree with them (max-t).

The largest of several correlated errors is as large as chance makes it: intervals are widened by its distribution, which takes the
correlations into account and is never wider than Bonferroni's (Westfall & Young 1993; Hothorn, Bretz & Westfall 2008, Biom J 50:346).
The distribution is that of normal errors with the correlations of the patients' influences; Student's quantile of each difference's own
degrees of freedom is taken at the level that it gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import special

from xrbench.metrics.checks import FloatArray

DRAWS = 1 << 15
"""Draws of the largest error, always the same: the level of 5 % is met to 0.12 %."""
LEAST = 100
"""Draws beyond a value from which their share is used; Bonferroni's bound is nearly exact for rarer ones."""


@dataclass(frozen=True, eq=False)
class MaxT:
    """The distribution of the largest of several errors.

    Attributes:
        size: How many there are.
        largest: Draws of the largest absolute standardised error, rising, shape (draws,).
    """

    size: int
    largest: FloatArray

    def significance(self, family: float) -> float:
        """Return the significance of each difference at which one of them errs with the probability ``family``.

        >>> round(max_t(np.eye(1)).significance(0.05), 3), round(max_t(np.eye(5)).significance(0.05), 3)  # 1 - 0.95^(1/5)
        (0.05, 0.01)
        """
        if self.size == 1:
            return family
        reach = float(np.quantile(self.largest, 1 - family))
        return float(np.clip(2 * special.ndtr(-reach), family / self.size, family))

    def adjust(self, pvalues: npt.ArrayLike) -> FloatArray:
        """Adjust two-sided p-values for their number, so that they agree with intervals at ``significance``.

        Args:
            pvalues: 0..1, shape (k,); NaN stays NaN.

        >>> max_t(np.eye(5)).adjust([0.01, 0.5]).round(2)  # 1 - 0.99^5, 1 - 0.5^5
        array([0.05, 0.97])
        """
        given = np.asarray(pvalues, np.float64)
        beyond = len(self.largest) - np.searchsorted(self.largest, -special.ndtri(given / 2))
        bound = np.minimum(self.size * given, 1.0)
        share = np.clip(beyond / len(self.largest), given, bound)
        return np.where(beyond >= LEAST, share, bound) if self.size > 1 else given


def max_t(correlation: FloatArray) -> MaxT:
    """Draw the largest of normal errors with these correlations; semi-definite matrices are allowed, shape (k, k)."""
    size = len(correlation)
    # A triangular root changes little when the correlations do: eigenvectors of equal values would turn with the last bit.
    root = np.linalg.cholesky(correlation + 1e-8 * np.eye(size))
    return MaxT(size, np.sort(np.abs(_normal(size) @ root.T).max(axis=1)))


def correlation_of(influence: FloatArray, error: FloatArray) -> FloatArray:
    """Compute correlations from the patients' influences.

    Args:
        influence: Of each patient on each figure, shape (figures, patients).
        error: Standard error of each figure, above 0; larger than the influences show where something hidden adds to it, shape (figures,).

    Returns:
        Shape (figures, figures), 1 on the diagonal.
    """
    scaled = influence / error[:, None]
    correlation: FloatArray = scaled @ scaled.T
    np.fill_diagonal(correlation, 1.0)
    return correlation


@cache
def _normal(size: int) -> FloatArray:
    """Draw standard normal numbers, shape (DRAWS, size)."""
    return np.random.default_rng(20061108).normal(size=(DRAWS, size))
