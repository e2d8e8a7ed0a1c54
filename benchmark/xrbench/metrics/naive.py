"""Accuracy of multi-class guessing without looking at the image: the baseline that a classifier has to exceed.

Conventions: ``train`` and ``test`` are the numbers of images of each class, shape (classes,); the expected accuracy is 0..1, or NaN
where a set without images is involved.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray


class NaiveAccuracy(NamedTuple):
    """Expected accuracy of guessing on a test set.

    Attributes:
        uniform: Every class equally often: 1 / K for K classes.
        proportional: Each class as often as the test set has it: the sum of q_i squared, q the shares of the test set.
        from_training: Each class as often as the training set has it: the sum of p_i q_i, p the shares of the training set.
        commonest: Always the class that the training set has most of (the first of equals): its share of the test set.
    """

    uniform: float
    proportional: float
    from_training: float
    commonest: float


def naive_accuracy(train: npt.ArrayLike, test: npt.ArrayLike) -> NaiveAccuracy:
    """Compute the expected accuracy of guessing.

    A guess of class i with probability g_i is right with probability sum of g_i q_i, whatever the image; Zhou calls g = q
    proportional guessing.

    Args:
        train: Images of each class in the training set, shape (classes,).
        test: Images of each class in the test set, same shape.

    Raises:
        MeasureError: The shapes differ, or a count is below 0.

    >>> guess = naive_accuracy([3, 1], [1, 1])
    >>> guess.uniform, guess.proportional, guess.from_training, guess.commonest  # 3/4 x 1/2 + 1/4 x 1/2
    (0.5, 0.5, 0.5, 0.5)
    >>> naive_accuracy([3, 1], [3, 1]).proportional  # 9/16 + 1/16
    0.625
    """
    p, q = _shares(train, "train"), _shares(test, "test")
    if p.shape != q.shape:
        raise MeasureError(f"train has {len(p)} classes, test {len(q)}")
    known = not np.isnan(q).any()
    return NaiveAccuracy(
        uniform=1 / len(q) if known else float("nan"),
        proportional=float(q @ q),
        from_training=float(p @ q),
        commonest=float(q[int(p.argmax())]) if not np.isnan(p).any() else float("nan"),
    )


def _shares(counts: npt.ArrayLike, what: str) -> FloatArray:
    """Divide counts of classes, shape (classes,), by their sum; NaN for a sum of 0."""
    each = np.asarray(counts, np.float64)
    if each.ndim != 1 or not len(each) or not (each >= 0).all():
        raise MeasureError(f"{what}: expected how many images each class has, 0 or more, got {each.tolist()}")
    total = each.sum()
    return each / total if total > 0 else np.full(each.shape, np.nan)
