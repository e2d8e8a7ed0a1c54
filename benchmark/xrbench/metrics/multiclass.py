"""Multi-class metrics: each image belongs to exactly one of several classes.

Conventions: ``truth`` is the number of the class, 0 .. classes - 1, or NaN (not labelled, left out), shape (n,); or one column a
class with a single 1 in each row (all NaN: not labelled), shape (n, classes). ``score`` has one column a class, shape (n, classes),
and ``weights`` say how often each row counts, shape (n,). The predicted class is the one with the highest score, the first of
equals. A class that is absent from the truth has no recall, one that is never predicted has no precision, and means over classes
leave them out; with fewer than two classes they are NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics import crosstables
from xrbench.metrics.checks import FloatArray, to_floats, validate
from xrbench.metrics.ranking import auc

Array = npt.ArrayLike


class Classified(NamedTuple):
    """The labelled rows.

    Attributes:
        truth: Numbers of the true classes, shape (rows,).
        score: Scores of all classes, shape (rows, classes).
        called: Numbers of the predicted classes, shape (rows,).
        weights: Their weights, 0 or more, shape (rows,).
        rows: Their positions in the input, shape (rows,).
    """

    truth: npt.NDArray[np.int64]
    score: FloatArray
    called: npt.NDArray[np.int64]
    weights: FloatArray
    rows: npt.NDArray[np.int64]


def validate_classes(truth: Array, score: Array, weights: Array | None = None) -> Classified:
    """Check class numbers and scores and keep the labelled rows.

    Raises:
        MeasureError: Shapes differ, a class number is not one of the columns', a row has no single class, or a score is NaN;
            the row is named.

    >>> validate_classes([0, 2], [[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]]).called.tolist()
    [0, 1]
    >>> validate_classes([[1, 0, 0], [0, 0, 1]], [[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]]).truth.tolist()
    [0, 2]
    """
    all_truth, all_scores = to_floats(truth, "truth"), to_floats(score, "score")
    size = len(all_scores)
    if all_scores.ndim != 2 or len(all_truth) != size or all_truth.shape not in ((size,), all_scores.shape):
        words = "expected (n,) and (n, classes), or (n, classes) for both"
        raise MeasureError(f"truth has shape {all_truth.shape}, score {all_scores.shape}; {words}")
    if all_truth.ndim == 2:
        all_truth = _numbers(all_truth)
    rows = np.flatnonzero(~np.isnan(all_truth))
    true, scores = all_truth[rows], all_scores[rows]
    wrong = (true != np.floor(true)) | (true < 0) | (true >= scores.shape[1])
    if wrong.any():
        first = int(np.argmax(wrong))
        raise MeasureError(f"row {rows[first]}: class {true[first]:g} is not one of 0 to {scores.shape[1] - 1}")
    if np.isnan(scores).any():
        raise MeasureError(f"row {rows[int(np.argmax(np.isnan(scores).any(axis=1)))]}: a score is NaN")
    # Weights are checked by the function for single labels, with rows that are always valid.
    checked = validate(np.zeros(size), np.zeros(size), weights).weights[rows]
    predicted = scores.argmax(axis=1) if len(rows) else np.zeros(0, np.int64)
    return Classified(true.astype(np.int64), scores, predicted, checked, rows)


def _numbers(columns: FloatArray) -> FloatArray:
    """Turn one column a class, shape (n, classes), into class numbers, shape (n,); rows of NaN alone stay NaN."""
    unknown = np.isnan(columns)
    blank = unknown.all(axis=1)
    wrong = ~blank & (unknown.any(axis=1) | ((columns != 0) & (columns != 1)).any(axis=1) | (columns.sum(axis=1) != 1))
    if wrong.any():
        row = int(np.argmax(wrong))
        shown = " ".join(f"{value:g}" for value in columns[row])
        raise MeasureError(f"row {row}: the truth is {shown}; expected a single 1 among zeros, or NaN in all columns")
    numbers = columns.argmax(axis=1).astype(np.float64) if len(columns) else np.zeros(0)
    numbers[blank] = np.nan
    return numbers


def multiclass_confusion(truth: Array, score: Array, *, weights: Array | None = None) -> FloatArray:
    """Count images by true class (rows) and predicted class (columns), shape (classes, classes).

    >>> multiclass_confusion([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    array([[1., 0.],
           [1., 1.]])
    """
    labelled = validate_classes(truth, score, weights)
    classes = labelled.score.shape[1]
    # The cell of true class i and predicted class j has the number i * classes + j.
    flat = np.bincount(labelled.truth * classes + labelled.called, labelled.weights, classes * classes)
    return np.asarray(flat, np.float64).reshape(classes, classes)


def multiclass_accuracy(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the share of images that are correctly classified.

    >>> round(multiclass_accuracy([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), 4)
    0.6667
    """
    return float(crosstables.accuracy(multiclass_confusion(truth, score, weights=weights)))


def multiclass_recall(truth: Array, score: Array, *, weights: Array | None = None) -> FloatArray:
    """Compute the share of each class's images that are correctly classified, shape (classes,); NaN without any.

    >>> multiclass_recall([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    array([1. , 0.5])
    """
    return crosstables.recall(multiclass_confusion(truth, score, weights=weights))


def multiclass_precision(truth: Array, score: Array, *, weights: Array | None = None) -> FloatArray:
    """Compute the share of each class's predictions that are right, shape (classes,); NaN where it is never predicted.

    >>> multiclass_precision([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    array([0.5, 1. ])
    """
    return crosstables.precision(multiclass_confusion(truth, score, weights=weights))


def multiclass_f1(truth: Array, score: Array, *, weights: Array | None = None) -> FloatArray:
    """Compute the harmonic mean of each class's recall and precision, shape (classes,); NaN for one neither true nor predicted.

    >>> multiclass_f1([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    array([0.66666667, 0.66666667])
    """
    return crosstables.f1(multiclass_confusion(truth, score, weights=weights))


def multiclass_macro_recall(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the mean over classes of their recall (balanced accuracy).

    >>> multiclass_macro_recall([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    0.75
    """
    return float(crosstables.macro_recall(multiclass_confusion(truth, score, weights=weights)))


def multiclass_macro_precision(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the mean over classes of the share of their predictions that are right.

    >>> multiclass_macro_precision([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    0.75
    """
    return float(crosstables.macro_precision(multiclass_confusion(truth, score, weights=weights)))


def multiclass_macro_f1(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the mean over classes of F1; a class that is neither true nor predicted anywhere is left out.

    >>> round(multiclass_macro_f1([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), 4)
    0.6667
    """
    return float(crosstables.macro_f1(multiclass_confusion(truth, score, weights=weights)))


def multiclass_weighted_recall(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the mean of recall over classes, each weighted by its images: the accuracy under another name.

    >>> round(multiclass_weighted_recall([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), 4)
    0.6667
    """
    return float(crosstables.weighted_recall(multiclass_confusion(truth, score, weights=weights)))


def multiclass_weighted_precision(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the mean of precision over classes, each weighted by its images.

    >>> round(multiclass_weighted_precision([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), 4)  # (1 x 0.5 + 2 x 1) / 3
    0.8333
    """
    return float(crosstables.weighted_precision(multiclass_confusion(truth, score, weights=weights)))


def multiclass_weighted_f1(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the mean of F1 over classes, each weighted by its images.

    >>> round(multiclass_weighted_f1([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), 4)
    0.6667
    """
    return float(crosstables.weighted_f1(multiclass_confusion(truth, score, weights=weights)))


def multiclass_auc(truth: Array, score: Array, *, weights: Array | None = None) -> float:
    """Compute the mean over classes of the AUC of each class against the rest; absent classes are left out.

    Returns:
        0..1, or NaN with fewer than two classes. Source: Provost & Domingos (2001), with equal weights for classes.

    >>> multiclass_auc([0, 1, 2], [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5]])
    1.0
    """
    rows = validate_classes(truth, score, weights)
    values = [auc(rows.truth == k, rows.score[:, k], weights=rows.weights) for k in range(rows.score.shape[1])]
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
