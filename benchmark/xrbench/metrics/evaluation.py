"""Compute a metric by its name; defines no metric of its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray, validate
from xrbench.metrics.decisions import confusion
from xrbench.metrics.multiclass import multiclass_confusion, validate_classes
from xrbench.metrics.names import MetricSpec, parse, parse_classes
from xrbench.metrics.table import formula
from xrbench.metrics.thresholds import threshold_at


def evaluate(
    metric: str | MetricSpec,
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    *,
    threshold: float | None = None,
    weights: npt.ArrayLike | None = None,
) -> float:
    """Compute a metric of one label by its name.

    Args:
        metric: Such as ``"auc"`` or ``"recall@specificity=0.9"``.
        truth: 1, 0 or NaN (left out), shape (n,).
        score: Higher for positive, shape (n,).
        threshold: From the validation set, for a metric at a target sensitivity or specificity.
        weights: How often each row counts, shape (n,).

    Raises:
        UsageError: No such metric.
        MeasureError: A row is not usable, or a threshold from validation is needed and missing.

    >>> evaluate("recall@threshold=0.5", [1, 1, 0], [0.7, 0.4, 0.2])
    0.5
    """
    spec = metric if isinstance(metric, MetricSpec) else parse(metric)
    if spec.family != "decision":
        return float(formula(spec.metric.multilabel)(truth, score, weights=weights))
    at = threshold if spec.from_validation else spec.target
    if at is None:
        raise MeasureError(f"{spec.name}: wants the threshold that was chosen on the validation set")
    if spec.metric.probabilities:
        validate(truth, score, weights, probability=True)
    return float(spec.of_counts(confusion(truth, score, threshold=at, weights=weights), at))


def evaluate_classes(
    metric: str | MetricSpec, truth: npt.ArrayLike, score: npt.ArrayLike, *, weights: npt.ArrayLike | None = None
) -> FloatArray:
    """Compute a metric of a multi-class suite by its name.

    Args:
        metric: Such as ``"macro-f1"``, ``"class-recall"`` or ``"auc"``.
        truth: Class numbers or NaN (left out), shape (n,); or one column a class, shape (n, classes).
        score: One column a class, shape (n, classes).
        weights: How often each row counts, shape (n,).

    Returns:
        Shape (1,) for a metric over all classes; (classes,) for one a class, and for each class against the rest.

    Raises:
        UsageError: No such metric.
        MeasureError: A row is not usable.

    >>> evaluate_classes("class-recall", [0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    array([1. , 0.5])
    >>> evaluate_classes("brier", [0, 1], [[0.9, 0.1], [0.6, 0.4]]).round(3)  # (0.01 + 0.36) / 2 of both classes
    array([0.185, 0.185])
    """
    spec = metric if isinstance(metric, MetricSpec) else parse_classes(metric)
    if spec.family == "decision":
        return spec.of_table(multiclass_confusion(truth, score, weights=weights))
    rows = validate_classes(truth, score, weights)
    against_rest = formula(spec.metric.multilabel)
    return np.array(
        [against_rest(rows.truth == k, rows.score[:, k], weights=rows.weights) for k in range(rows.score.shape[1])]
    )


def validation_threshold(metric: str | MetricSpec, truth: npt.ArrayLike, score: npt.ArrayLike) -> float | None:
    """Choose the threshold that a metric's name asks for on validation data; None when it asks for none.

    >>> validation_threshold("recall@specificity=0.5", [1, 1, 1, 0, 0], [0.9, 0.7, 0.2, 0.4, 0.1])
    0.2
    >>> validation_threshold("auc", [1, 0], [0.9, 0.7]) is None
    True
    """
    spec = metric if isinstance(metric, MetricSpec) else parse(metric)
    if not spec.from_validation:
        return None
    if spec.condition == "sensitivity":
        return threshold_at(truth, score, sensitivity=spec.target)
    return threshold_at(truth, score, specificity=spec.target)
