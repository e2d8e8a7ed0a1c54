"""The table of metrics: one row each, which everything that depends on a metric asks.

To add a metric, write its formula and add a row. Formulas are named as ``"module:function"`` and imported when they are used:

* ``rank`` and ``probability``: ``function(truth, score, *, weights)`` of one label; in multi-class suites the same function is applied to
  each class against the rest;
* ``decision``, ``multilabel``: ``function(counts, **options)`` of the four outcomes at a threshold (``decisions.Counts``);
* ``decision``, ``multiclass``: ``function(counts)`` of images by true and predicted class, shape (true, predicted, ...).

Formulas of counts take arrays of replicates behind the first axes and return one value a replicate (and, with ``per_class``, a class).
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from xrbench.metrics.metric import Metric, Task

ROWS = (
    Metric(
        name="auc",
        title="AUC",
        family="rank",
        better="higher",
        multilabel="xrbench.metrics.ranking:auc",
        u_statistic=True,
        aliases=("auroc", "roc-auc"),
        multiclass_aliases=("macro-auc",),
    ),
    Metric(
        name="average-precision",
        family="rank",
        better="higher",
        multilabel="xrbench.metrics.ranking:average_precision",
        prevalence=True,
        aliases=("ap", "auprc"),
    ),
    Metric(
        name="recall",
        family="decision",
        better="higher",
        multilabel="xrbench.metrics.decisions:recall_of",
        share_of="positives",
        aliases=("sensitivity", "tpr"),
    ),
    Metric(
        name="specificity",
        family="decision",
        better="higher",
        multilabel="xrbench.metrics.decisions:specificity_of",
        share_of="negatives",
        aliases=("tnr",),
    ),
    Metric(
        name="ppv",
        title="PPV",
        family="decision",
        better="higher",
        multilabel="xrbench.metrics.decisions:ppv_of",
        prevalence=True,
        share_of="positive calls",
        options=("prevalence",),
        undefined="no image is called positive",
        aliases=("precision",),
    ),
    Metric(
        name="npv",
        title="NPV",
        family="decision",
        better="higher",
        multilabel="xrbench.metrics.decisions:npv_of",
        prevalence=True,
        share_of="negative calls",
        options=("prevalence",),
        undefined="no image is called negative",
    ),
    Metric(
        name="f1", family="decision", better="higher", multilabel="xrbench.metrics.decisions:f1_of", prevalence=True
    ),
    Metric(
        name="accuracy",
        family="decision",
        better="higher",
        multilabel="xrbench.metrics.decisions:accuracy_of",
        multiclass="xrbench.metrics.crosstables:accuracy",
        prevalence=True,
        share_of="images",
        multiclass_aliases=("micro-f1",),
    ),
    Metric(
        name="macro-recall",
        family="decision",
        better="higher",
        multilabel="xrbench.metrics.decisions:macro_recall_of",
        multiclass="xrbench.metrics.crosstables:macro_recall",
        aliases=("balanced-accuracy",),
        multiclass_aliases=("weighted-accuracy",),
    ),
    Metric(
        name="mcc",
        title="Matthews correlation",
        family="decision",
        better="higher",
        low=-1.0,
        multilabel="xrbench.metrics.agreement:mcc_of",
        multiclass="xrbench.metrics.agreement:mcc",
        prevalence=True,
        undefined="all images are predicted as one class",
        aliases=("matthews", "matthews-corrcoef", "phi"),
    ),
    Metric(
        name="cohen-kappa",
        title="Cohen's kappa",
        family="decision",
        better="higher",
        low=-1.0,
        multilabel="xrbench.metrics.agreement:cohen_kappa_of",
        multiclass="xrbench.metrics.agreement:cohen_kappa",
        prevalence=True,
        undefined="truth and predictions are one and the same class",
        aliases=("kappa", "cohens-kappa"),
    ),
    Metric(
        name="positive-calls-per-1000",
        title="positive calls per 1,000",
        family="decision",
        better="neither",
        high=1000.0,
        multilabel="xrbench.metrics.decisions:positive_calls_of",
        unit="images per 1,000",
        decimals=0,
        prevalence=True,
    ),
    Metric(
        name="net-benefit",
        family="decision",
        better="higher",
        low=-math.inf,
        multilabel="xrbench.metrics.decisions:net_benefit_of",
        unit="true positives per image",
        probabilities=True,
        prevalence=True,
        options=("threshold",),
    ),
    Metric(
        name="brier",
        family="probability",
        better="lower",
        multilabel="xrbench.metrics.calibration:brier",
        probabilities=True,
        prevalence=True,
    ),
    Metric(
        name="expected-calibration-error",
        family="probability",
        better="lower",
        multilabel="xrbench.metrics.calibration:expected_calibration_error",
        probabilities=True,
        prevalence=True,
        chance="xrbench.metrics.calibration:error_by_chance",
        aliases=("ece",),
    ),
    Metric(
        name="calibration-slope",
        family="probability",
        better="neither",
        low=-math.inf,
        high=math.inf,
        multilabel="xrbench.metrics.calibration:calibration_slope",
        probabilities=True,
        undefined="no finite slope: the scores of the classes do not overlap",
    ),
    Metric(
        name="calibration-intercept",
        family="probability",
        better="neither",
        low=-math.inf,
        high=math.inf,
        multilabel="xrbench.metrics.calibration:calibration_intercept",
        unit="log odds",
        probabilities=True,
        prevalence=True,
    ),
    Metric(
        name="macro-precision",
        family="decision",
        better="higher",
        multiclass="xrbench.metrics.crosstables:macro_precision",
        prevalence=True,
    ),
    Metric(
        name="macro-f1",
        family="decision",
        better="higher",
        multiclass="xrbench.metrics.crosstables:macro_f1",
        prevalence=True,
    ),
    Metric(
        name="weighted-recall",
        family="decision",
        better="higher",
        multiclass="xrbench.metrics.crosstables:weighted_recall",
        prevalence=True,
        share_of="images",
    ),
    Metric(
        name="weighted-precision",
        family="decision",
        better="higher",
        multiclass="xrbench.metrics.crosstables:weighted_precision",
        prevalence=True,
    ),
    Metric(
        name="weighted-f1",
        family="decision",
        better="higher",
        multiclass="xrbench.metrics.crosstables:weighted_f1",
        prevalence=True,
    ),
    Metric(
        name="class-recall",
        family="decision",
        better="higher",
        multiclass="xrbench.metrics.crosstables:recall",
        per_class=True,
        share_of="positives",
        multiclass_aliases=("recall", "sensitivity", "tpr"),
    ),
    Metric(
        name="class-precision",
        family="decision",
        better="higher",
        multiclass="xrbench.metrics.crosstables:precision",
        per_class=True,
        prevalence=True,
        share_of="positive calls",
        undefined="no image is predicted as this class",
        multiclass_aliases=("precision", "ppv"),
    ),
    Metric(
        name="class-f1",
        family="decision",
        better="higher",
        multiclass="xrbench.metrics.crosstables:f1",
        per_class=True,
        prevalence=True,
        multiclass_aliases=("f1",),
    ),
)
"""All metrics, in the order in which they are listed."""

TABLE: Mapping[str, Metric] = MappingProxyType({row.name: row for row in ROWS})
"""Name -> row."""


@cache
def named(task: Task) -> Mapping[str, Metric]:
    """Select the metrics of a task, by name.

    >>> list(named("multilabel"))[:3]
    ['auc', 'average-precision', 'recall']
    """
    return MappingProxyType({row.name: row for row in ROWS if task in row.tasks})


@cache
def aliases(task: Task) -> Mapping[str, str]:
    """Map the words of other programs to the names of a task's metrics.

    >>> aliases("multilabel")["precision"], aliases("multiclass")["precision"]
    ('ppv', 'class-precision')
    """

    def words(row: Metric) -> Iterable[str]:
        return (*row.aliases, *row.multiclass_aliases) if task == "multiclass" else row.aliases

    return MappingProxyType({word: row.name for row in named(task).values() for word in words(row)})


@cache
def formula(target: str) -> Callable[..., Any]:
    """Import a formula by its ``"module:function"``.

    >>> formula("xrbench.metrics.ranking:auc")([0, 1], [0.2, 0.9])
    1.0
    """
    module, _, name = target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function
