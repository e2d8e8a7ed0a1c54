"""Figures of one set of predictions: pure functions of truth and score.

Conventions: arguments stand as ``truth, score``; truth is 1, 0 or NaN (not labelled, left out); an undefined figure is
NaN; a NaN score where a label exists is an error that names the row; options are given by name.

Metrics: of the order of scores ``auc``, ``average_precision``; of a decision at a threshold ``recall``, ``specificity``,
``ppv``, ``npv``, ``f1``, ``accuracy``, ``macro_recall``, ``alarms_per_1000``, ``net_benefit``; of probabilities ``brier``,
``expected_calibration_error``, ``calibration_slope``, ``calibration_intercept``; of exclusive classes ``multiclass_auc``,
``multiclass_accuracy``, of each class ``multiclass_recall``, ``multiclass_precision``, ``multiclass_f1``, and their means
``multiclass_macro_...`` and ``multiclass_weighted_...``. By name: ``evaluate``; ``parse`` and ``parse_classes`` say what a name means.
"""

from xrbench.metrics.calibration import brier, calibration_intercept, calibration_slope, expected_calibration_error
from xrbench.metrics.checks import validate
from xrbench.metrics.decisions import (
    accuracy,
    alarms_per_1000,
    confusion,
    f1,
    macro_recall,
    net_benefit,
    npv,
    ppv,
    recall,
    specificity,
)
from xrbench.metrics.evaluation import evaluate, validation_threshold
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
from xrbench.metrics.names import MetricSpec, parse, parse_classes
from xrbench.metrics.ranking import auc, average_precision
from xrbench.metrics.thresholds import threshold_at

__all__ = [
    "MetricSpec",
    "accuracy",
    "alarms_per_1000",
    "auc",
    "average_precision",
    "brier",
    "calibration_intercept",
    "calibration_slope",
    "confusion",
    "evaluate",
    "expected_calibration_error",
    "f1",
    "macro_recall",
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
    "parse_classes",
    "ppv",
    "recall",
    "specificity",
    "threshold_at",
    "validate",
    "validation_threshold",
]
