"""Metrics of a decision: an image is called positive when its score is at or above a threshold.

Conventions: ``truth, score`` in this order, shape (n,) each, the threshold by name; NaN truth is left out; ``weights`` say how often
each row counts, shape (n,); a metric whose denominator is 0 is NaN. A NaN threshold (none could be chosen on the validation set)
makes every metric NaN. The functions ``..._of`` compute a metric from counts of shape (...), such as those of replicates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray, validate
from xrbench.metrics.crosstables import share
from xrbench.metrics.thresholds import is_called

Array = npt.ArrayLike


class Counts(NamedTuple):
    """Numbers of images with each outcome of a decision, each of the same shape (...)."""

    true_positive: FloatArray
    false_positive: FloatArray
    false_negative: FloatArray
    true_negative: FloatArray


def confusion(truth: Array, score: Array, *, threshold: float, weights: Array | None = None) -> Counts:
    """Count the four outcomes at a threshold; all are NaN when the threshold is NaN.

    >>> [float(count) for count in confusion([1, 1, 0, 0], [0.9, 0.3, 0.5, 0.1], threshold=0.5)]
    [1.0, 1.0, 1.0, 1.0]
    """
    rows = validate(truth, score, weights)
    if np.isnan(threshold):
        return Counts(*(np.float64("nan") for _ in range(4)))  # type: ignore[arg-type]
    call = is_called(rows.score, threshold)
    outcomes = (call & rows.positive, call & ~rows.positive, ~call & rows.positive, ~call & ~rows.positive)
    return Counts(*(np.asarray(np.sum(rows.weights[outcome])) for outcome in outcomes))


def recall(truth: Array, score: Array, *, threshold: float, weights: Array | None = None) -> float:
    """Compute the share of positives that are called positive (sensitivity).

    >>> recall([1, 1, 0, 0], [0.9, 0.3, 0.5, 0.1], threshold=0.3)
    1.0
    """
    return float(recall_of(confusion(truth, score, threshold=threshold, weights=weights)))


def specificity(truth: Array, score: Array, *, threshold: float, weights: Array | None = None) -> float:
    """Compute the share of negatives that are called negative.

    >>> specificity([1, 1, 0, 0], [0.9, 0.3, 0.5, 0.1], threshold=0.3)
    0.5
    """
    return float(specificity_of(confusion(truth, score, threshold=threshold, weights=weights)))


def ppv(
    truth: Array, score: Array, *, threshold: float, weights: Array | None = None, prevalence: float | None = None
) -> float:
    """Compute the positive predictive value: the share of positive calls that are right.

    Args:
        truth: 1, 0 or NaN (left out), shape (n,).
        score: Higher for positive, shape (n,).
        threshold: Scores at or above it are positive calls.
        weights: How often each row counts, shape (n,).
        prevalence: Another share of positives than that of the data, 0..1, for which the value is computed from recall and
            specificity by Bayes' rule (Altman & Bland 1994, BMJ 309:102).

    >>> round(ppv([1, 1, 0, 0], [0.9, 0.3, 0.5, 0.1], threshold=0.3), 4)
    0.6667
    >>> ppv([1, 1, 0, 0], [0.9, 0.3, 0.5, 0.1], threshold=0.3, prevalence=0.2)  # 0.2 / (0.2 + 0.5 * 0.8)
    0.3333333333333333
    """
    return float(ppv_of(confusion(truth, score, threshold=threshold, weights=weights), prevalence))


def npv(
    truth: Array, score: Array, *, threshold: float, weights: Array | None = None, prevalence: float | None = None
) -> float:
    """Compute the negative predictive value: the share of negative calls that are right; ``prevalence`` as in ``ppv``.

    >>> npv([1, 1, 0, 0], [0.9, 0.3, 0.5, 0.1], threshold=0.4)
    0.5
    """
    return float(npv_of(confusion(truth, score, threshold=threshold, weights=weights), prevalence))


def f1(truth: Array, score: Array, *, threshold: float, weights: Array | None = None) -> float:
    """Compute the harmonic mean of recall and positive predictive value; NaN without positives.

    >>> f1([1, 1, 0, 0], [0.9, 0.3, 0.5, 0.1], threshold=0.5)
    0.5
    """
    return float(f1_of(confusion(truth, score, threshold=threshold, weights=weights)))


def accuracy(truth: Array, score: Array, *, threshold: float, weights: Array | None = None) -> float:
    """Compute the share of images that are correctly classified.

    >>> accuracy([1, 1, 0, 0], [0.9, 0.3, 0.5, 0.1], threshold=0.3)
    0.75
    """
    return float(accuracy_of(confusion(truth, score, threshold=threshold, weights=weights)))


def macro_recall(truth: Array, score: Array, *, threshold: float, weights: Array | None = None) -> float:
    """Compute the mean of recall and specificity (balanced accuracy); NaN without both classes.

    >>> macro_recall([1, 1, 0, 0], [0.9, 0.3, 0.5, 0.1], threshold=0.3)
    0.75
    """
    return float(macro_recall_of(confusion(truth, score, threshold=threshold, weights=weights)))


def positive_calls_per_1000(truth: Array, score: Array, *, threshold: float, weights: Array | None = None) -> float:
    """Compute how many of 1,000 labelled images are called positive.

    >>> positive_calls_per_1000([1, 1, 0, 0], [0.9, 0.3, 0.5, 0.1], threshold=0.3)
    750.0
    """
    return float(positive_calls_of(confusion(truth, score, threshold=threshold, weights=weights)))


def net_benefit(truth: Array, score: Array, *, threshold: float, weights: Array | None = None) -> float:
    """Compute the net benefit of acting on probabilities at or above the threshold.

    True positives per image minus false positives per image times the odds of the threshold: Vickers & Elkin (2006), Med Decis
    Making 26:565.

    Returns:
        At most the prevalence; unbounded below. NaN without labelled rows.

    Raises:
        MeasureError: A score or the threshold is not a probability; the threshold must be below 1.

    >>> net_benefit([1, 1, 0, 0], [0.9, 0.3, 0.5, 0.1], threshold=0.2)  # (2 - 1 * 0.2 / 0.8) / 4
    0.4375
    """
    validate(truth, score, weights, probability=True)
    if not 0 <= threshold < 1:
        raise MeasureError(f"net benefit: threshold {threshold} is not a probability from 0 to below 1")
    return float(net_benefit_of(confusion(truth, score, threshold=threshold, weights=weights), threshold))


def recall_of(counts: Counts) -> FloatArray:
    """Compute recall from counts."""
    return share(counts.true_positive, counts.true_positive + counts.false_negative)


def specificity_of(counts: Counts) -> FloatArray:
    """Compute specificity from counts."""
    return share(counts.true_negative, counts.true_negative + counts.false_positive)


def ppv_of(counts: Counts, prevalence: float | None = None) -> FloatArray:
    """Compute the positive predictive value from counts, at their own or at a stated prevalence."""
    if prevalence is None:
        return share(counts.true_positive, counts.true_positive + counts.false_positive)
    true_positive = recall_of(counts) * prevalence
    return share(true_positive, true_positive + (1 - specificity_of(counts)) * (1 - prevalence))


def npv_of(counts: Counts, prevalence: float | None = None) -> FloatArray:
    """Compute the negative predictive value from counts, at their own or at a stated prevalence."""
    if prevalence is None:
        return share(counts.true_negative, counts.true_negative + counts.false_negative)
    true_negative = specificity_of(counts) * (1 - prevalence)
    return share(true_negative, true_negative + (1 - recall_of(counts)) * prevalence)


def f1_of(counts: Counts) -> FloatArray:
    """Compute F1 from counts; NaN without positives."""
    positive = counts.true_positive + counts.false_negative
    value = share(2 * counts.true_positive, positive + counts.true_positive + counts.false_positive)
    return np.where(positive > 0, value, np.nan)


def accuracy_of(counts: Counts) -> FloatArray:
    """Compute accuracy from counts."""
    return share(counts.true_positive + counts.true_negative, _total(counts))


def macro_recall_of(counts: Counts) -> FloatArray:
    """Compute macro recall from counts."""
    return (recall_of(counts) + specificity_of(counts)) / 2


def positive_calls_of(counts: Counts) -> FloatArray:
    """Compute the positive calls per 1,000 images from counts."""
    return 1000 * share(counts.true_positive + counts.false_positive, _total(counts))


def net_benefit_of(counts: Counts, threshold: float) -> FloatArray:
    """Compute the net benefit at a threshold probability from counts."""
    return share(counts.true_positive - counts.false_positive * threshold / (1 - threshold), _total(counts))


def _total(counts: Counts) -> FloatArray:
    """Count all images, shape (...)."""
    return counts.true_positive + counts.false_positive + counts.false_negative + counts.true_negative
