"""One metric by its name on one set of predictions; defines no figure of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics import calibration, decisions, ranking
from xrbench.metrics.names import MetricSpec, parse
from xrbench.metrics.thresholds import threshold_at

FUNCTIONS: Mapping[str, Callable[..., float]] = MappingProxyType(
    {
        "auc": ranking.auc,
        "average-precision": ranking.average_precision,
        "recall": decisions.recall,
        "specificity": decisions.specificity,
        "ppv": decisions.ppv,
        "npv": decisions.npv,
        "f1": decisions.f1,
        "accuracy": decisions.accuracy,
        "macro-recall": decisions.macro_recall,
        "alarms-per-1000": decisions.alarms_per_1000,
        "net-benefit": decisions.net_benefit,
        "brier": calibration.brier,
        "expected-calibration-error": calibration.expected_calibration_error,
        "calibration-slope": calibration.calibration_slope,
        "calibration-intercept": calibration.calibration_intercept,
    }
)
"""Base name -> function of ``truth, score``."""


def evaluate(
    metric: str | MetricSpec,
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    *,
    threshold: float | None = None,
    weights: npt.ArrayLike | None = None,
) -> float:
    """Compute a metric by its name.

    Args:
        metric: Such as ``"auc"`` or ``"recall@specificity=0.9"``.
        truth: 1, 0 or NaN (left out), shape (n,).
        score: Higher for positive, shape (n,).
        threshold: From the validation set, for a metric at a target sensitivity or specificity.
        weights: How often each row counts, shape (n,).

    Raises:
        MeasureError: A threshold from validation is needed and missing.

    >>> evaluate("recall@threshold=0.5", [1, 1, 0], [0.7, 0.4, 0.2])
    0.5
    """
    spec = parse(metric) if isinstance(metric, str) else metric
    function = FUNCTIONS[spec.base]
    if spec.family != "decision":
        return function(truth, score, weights=weights)
    options = {} if spec.prevalence is None else {"prevalence": spec.prevalence}
    at = spec.target if not spec.from_validation else threshold
    if at is None:
        raise MeasureError(f"{spec.name}: wants the threshold that was chosen on the validation set")
    return function(truth, score, threshold=at, weights=weights, **options)


def validation_threshold(metric: str | MetricSpec, truth: npt.ArrayLike, score: npt.ArrayLike) -> float | None:
    """Choose the threshold that a metric's name asks for on validation data; None when it asks for none.

    >>> validation_threshold("recall@specificity=0.5", [1, 1, 1, 0, 0], [0.9, 0.7, 0.2, 0.4, 0.1])
    0.2
    >>> validation_threshold("auc", [1, 0], [0.9, 0.7]) is None
    True
    """
    spec = parse(metric) if isinstance(metric, str) else metric
    if not spec.from_validation:
        return None
    if spec.condition == "sensitivity":
        return threshold_at(truth, score, sensitivity=spec.target)
    return threshold_at(truth, score, specificity=spec.target)
