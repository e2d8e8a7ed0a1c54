"""Metrics of one head on validation images: they select an epoch, and stand in the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from xrbench.cards import Head
from xrbench.training.fitting import fast_auc

Array = npt.NDArray[np.float32]

METRICS: Mapping[str, tuple[Literal["auc", "accuracy", "mae"], ...]] = {
    "labels": ("auc", "accuracy"),
    "binary": ("auc", "accuracy"),
    "classes": ("auc", "accuracy"),
    "regression": ("mae",),
    "none": (),
}
"""Kind of head -> its metrics."""


def compute(
    head: Head, truth: Array, scores: Array, *, is_exclusive: bool
) -> tuple[dict[str, float], npt.NDArray[np.float64]]:
    """Compute the metrics of a head.

    Args:
        head: Its kind says which metrics there are.
        truth: NaN for not labelled, shape (images, outputs).
        scores: Logits, or predicted numbers in units of ``head.scale``, same shape.
        is_exclusive: Whether an image has at most one of the outputs as its class.

    Returns:
        Metric -> value, NaN where undefined; and the AUC of each output, shape (outputs,), empty for regression.
    """
    if head.kind == "regression":
        return {"mae": mean_absolute_error(truth, scores * head.scale)}, np.empty(0)
    aucs = fast_auc.auc(truth, scores)
    return {"auc": _mean(aucs), "accuracy": accuracy(truth, scores, is_exclusive=is_exclusive)}, aucs


def accuracy(truth: Array, scores: Array, *, is_exclusive: bool) -> float:
    """Compute the share of correct decisions.

    Args:
        truth: 1, 0 or NaN (not labelled), shape (images, outputs).
        scores: Logits, same shape.
        is_exclusive: True decides for the class with the highest score; False decides about each output by a probability of at least
            one half, and takes the mean over outputs.

    Returns:
        From 0 to 1; NaN when nothing is labelled.

    >>> truth = np.array([[1, 0], [0, 1], [np.nan, np.nan]], np.float32)
    >>> accuracy(truth, np.array([[2, 1], [2, 1], [0, 0]], np.float32), is_exclusive=True)
    0.5
    """
    labelled = ~np.isnan(truth)
    if is_exclusive:
        rows = labelled.all(1)
        return _mean(scores[rows].argmax(1) == truth[rows].argmax(1))
    correct = (scores >= 0) == (truth == 1)
    return _mean([_mean(correct[labelled[:, output], output]) for output in range(truth.shape[1])])


def mean_absolute_error(truth: Array, predicted: Array) -> float:
    """Compute the mean absolute error of the labelled entries; NaN when there is none.

    Args:
        truth: Numbers or NaN (not labelled), shape (images, outputs).
        predicted: Same shape and unit.

    >>> mean_absolute_error(np.array([[50.0], [np.nan]], np.float32), np.array([[53.0], [0.0]], np.float32))
    3.0
    """
    return _mean(np.abs(predicted.astype(np.float64) - truth))


def _mean(values: npt.ArrayLike) -> float:
    """Return the mean of the values that are defined, NaN when none is."""
    given = np.asarray(values, np.float64).ravel()
    defined = given[~np.isnan(given)]
    return float(defined.mean()) if len(defined) else float("nan")
