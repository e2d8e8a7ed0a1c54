"""Figures of images that belong to exactly one of several classes.

Conventions: ``truth`` is the class's number 0 .. classes - 1 or NaN (not labelled, left out), shape (n,); ``score`` has one
column a class, shape (n, classes). The predicted class is the one with the highest score, the first of equals. A class that is
absent from the truth has no recall, and the mean over classes leaves it out; with fewer than two classes it is NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray, validate
from xrbench.metrics.ranking import auc

Array = npt.ArrayLike


class Classified(NamedTuple):
    """The labelled rows: class numbers, scores, predicted classes, weights, and where they stand in the input."""

    truth: npt.NDArray[np.int64]
    score: FloatArray
    called: npt.NDArray[np.int64]
    weights: FloatArray
    rows: npt.NDArray[np.int64]


def validate_classes(truth: Array, score: Array, weights: Array | None = None) -> Classified:
    """Check class numbers and scores and keep the labelled rows.

    Raises:
        MeasureError: Shapes differ, a class number is not one of the columns', or a score is NaN; the row is named.

    >>> validate_classes([0, 2], [[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]]).called.tolist()
    [0, 1]
    """
    true, given = np.asarray(truth, np.float64), np.asarray(score, np.float64)
    if given.ndim != 2 or true.ndim != 1 or len(true) != len(given):
        raise MeasureError(f"truth has shape {true.shape}, score {given.shape}; wanted (n,) and (n, classes)")
    rows = np.flatnonzero(~np.isnan(true))
    kept, scores = true[rows], given[rows]
    wrong = (kept != np.floor(kept)) | (kept < 0) | (kept >= given.shape[1])
    if wrong.any():
        first = int(np.argmax(wrong))
        raise MeasureError(f"row {rows[first]}: class {kept[first]:g} is not one of 0 to {given.shape[1] - 1}")
    if np.isnan(scores).any():
        raise MeasureError(f"row {rows[int(np.argmax(np.isnan(scores).any(axis=1)))]}: a score is NaN")
    each = validate(np.zeros(len(true)), np.zeros(len(true)), weights).weights[rows]
    called = scores.argmax(axis=1) if len(rows) else np.zeros(0, np.int64)
    return Classified(kept.astype(np.int64), scores, called, each, rows)


def multiclass_confusion(truth: Array, score: Array, *, weights: Array | None = None) -> FloatArray:
    """Count images by true class (rows) and predicted class (columns).

    >>> multiclass_confusion([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    array([[1., 0.],
           [1., 1.]])
    """
    found = validate_classes(truth, score, weights)
    classes = found.score.shape[1]
    flat = np.bincount(found.truth * classes + found.called, found.weights, classes * classes)
    return np.asarray(flat, np.float64).reshape(classes, classes)


def multiclass_accuracy(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the share of images whose class is predicted.

    >>> round(multiclass_accuracy([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), 4)
    0.6667
    """
    return float(accuracy_of_confusion(multiclass_confusion(truth, score, weights=weights)))


def multiclass_macro_recall(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the mean over classes of the share of their images that are predicted (balanced accuracy).

    >>> multiclass_macro_recall([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    0.75
    """
    return float(macro_recall_of_confusion(multiclass_confusion(truth, score, weights=weights)))


def multiclass_macro_f1(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the mean over classes of F1; a class that is neither true nor predicted anywhere is left out.

    >>> round(multiclass_macro_f1([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), 4)
    0.6667
    """
    return float(macro_f1_of_confusion(multiclass_confusion(truth, score, weights=weights)))


def multiclass_auc(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the mean over classes of the AUC of each class against the rest; absent classes are left out.

    Returns:
        0..1, or NaN with fewer than two classes. Source: Provost & Domingos (2001), with equal weights for classes.

    >>> multiclass_auc([0, 1, 2], [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5]])
    1.0
    """
    found = validate_classes(truth, score, weights)
    each = [auc(found.truth == k, found.score[:, k], weights=found.weights) for k in range(found.score.shape[1])]
    known = [value for value in each if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def accuracy_of_confusion(counts: FloatArray) -> FloatArray:
    """Compute accuracy from counts of shape (true, predicted, ...)."""
    return _share(np.trace(counts), counts.sum(axis=(0, 1)))


def macro_recall_of_confusion(counts: FloatArray) -> FloatArray:
    """Compute macro recall from counts of shape (true, predicted, ...); NaN with fewer than two classes."""
    recall = _share(np.einsum("ii...->i...", counts), counts.sum(axis=1))
    return _mean_over_classes(recall, counts)


def macro_f1_of_confusion(counts: FloatArray) -> FloatArray:
    """Compute macro F1 from counts of shape (true, predicted, ...); NaN with fewer than two classes."""
    f1 = _share(2 * np.einsum("ii...->i...", counts), counts.sum(axis=1) + counts.sum(axis=0))
    return _mean_over_classes(f1, counts)


def _mean_over_classes(each: FloatArray, counts: FloatArray) -> FloatArray:
    present = (counts.sum(axis=1) > 0).sum(axis=0)
    known = ~np.isnan(each)
    mean = _share(np.where(known, each, 0.0).sum(axis=0), known.sum(axis=0))
    return np.where(present >= 2, mean, np.nan)


def _share(part: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    share: FloatArray = np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
    return share
