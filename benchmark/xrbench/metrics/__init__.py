"""Metrics of one set of predictions: pure functions of truth and score.

Conventions: arguments stand as ``truth, score``; truth is 1, 0 or NaN (not labelled, left out); an undefined metric is
NaN; a NaN score where a label exists is an error that names the row; options are given by name.

The metrics, and what is to be known of each (direction, range, what it needs, how its interval is made), stand in ``table``; cards
name them by the names there. ``evaluate`` and ``evaluate_classes`` compute one by its name; ``parse`` and ``parse_classes`` read a
name with its operating point.
"""

from xrbench.metrics.calibration import brier, calibration_intercept, calibration_slope, expected_calibration_error
from xrbench.metrics.checks import validate
from xrbench.metrics.decisions import (
    accuracy,
    confusion,
    f1,
    macro_recall,
    net_benefit,
    npv,
    positive_calls_per_1000,
    ppv,
    recall,
    specificity,
)
from xrbench.metrics.evaluation import evaluate, evaluate_classes, validation_threshold
from xrbench.metrics.metric import Better, Metric
from xrbench.metrics.multiclass import (
    multiclass_accuracy,
    multiclass_auc,
    multiclass_confusion,
    multiclass_f1,
    multiclass_macro_f1,
    multiclass_macro_precision,
    multiclass_macro_recall,
    multiclass_precision,
    multiclass_recall,
    multiclass_weighted_f1,
    multiclass_weighted_precision,
    multiclass_weighted_recall,
)
from xrbench.metrics.names import MetricSpec, metric_title, parse, parse_as, parse_classes
from xrbench.metrics.ranking import auc, average_precision, partial_auc
from xrbench.metrics.table import TABLE
from xrbench.metrics.thresholds import threshold_at

__all__ = [
    "TABLE",
    "Better",
    "Metric",
    "MetricSpec",
    "accuracy",
    "auc",
    "average_precision",
    "brier",
    "calibration_intercept",
    "calibration_slope",
    "confusion",
    "evaluate",
    "evaluate_classes",
    "expected_calibration_error",
    "f1",
    "macro_recall",
    "metric_title",
    "multiclass_accuracy",
    "multiclass_auc",
    "multiclass_confusion",
    "multiclass_f1",
    "multiclass_macro_f1",
    "multiclass_macro_precision",
    "multiclass_macro_recall",
    "multiclass_precision",
    "multiclass_recall",
    "multiclass_weighted_f1",
    "multiclass_weighted_precision",
    "multiclass_weighted_recall",
    "net_benefit",
    "npv",
    "parse",
    "parse_as",
    "parse_classes",
    "partial_auc",
    "positive_calls_per_1000",
    "ppv",
    "recall",
    "specificity",
    "threshold_at",
    "validate",
    "validation_threshold",
]
