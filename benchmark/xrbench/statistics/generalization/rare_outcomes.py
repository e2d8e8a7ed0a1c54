"""Uncertainty that leaving patients out does not show: of shares that are nearly 1 or 0.

Where 60 positives are all called positive, leaving one out changes nothing, although a recall of 0.99 would often do the same. The
variance of a recall or specificity is therefore at least that of Agresti & Caffo (2000, Am Stat 54:280), with one patient more on
either side of the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from xrbench.metrics.decisions import Counts
from xrbench.metrics.names import MetricSpec
from xrbench.statistics.generalization.cell_layout import Support
from xrbench.statistics.resampling.label_columns import LabelColumn

BoolArray = npt.NDArray[np.bool_]
STEP = 1e-4
"""Step of recall and specificity in numerical derivatives."""


def unseen_variance(
    support: Sequence[Sequence[Support]], used: BoolArray, spec: MetricSpec, shares: Sequence[float]
) -> float:
    """Compute the variance that the jackknife misses in the mean of a decision over labels and cells.

    Args:
        support: What each value rests on, by cell and label.
        used: Values that take part, shape (cells, labels).
        spec: The metric.
        shares: Prevalence of each label at which it is computed, shape (labels,).

    Returns:
        Variance of the mean; 0 for metrics that are no decision about single labels. Labels count as independent; cells, which may be
        of the same patients, do not.
    """
    errors = []
    for row, mask in zip(support, used, strict=True):
        columns = [(row[i].column, shares[i]) for i in np.flatnonzero(mask).tolist()]
        parts = [_unseen(column, spec, share) for column, share in columns if isinstance(column, LabelColumn)]
        if parts and spec.family == "decision":
            errors.append(float(np.sqrt(np.sum(parts))) / len(parts))
    return float(np.mean(errors)) ** 2 if errors else 0.0


def _unseen(column: LabelColumn, spec: MetricSpec, prevalence: float) -> float:
    """Compute the missed variance of one label's decision: of recall and specificity, times the squared slopes of the metric."""
    (threshold,), positive = column.thresholds, column.rows.positive
    right = (column.rows.score >= threshold) == positive
    parts = [(right[kind], column.code[kind]) for kind in (positive, ~positive)]
    if np.isnan(threshold) or not all(len(each) for each, _ in parts):
        return 0.0
    recall, specificity = (float(each.mean()) for each, _ in parts)

    def metric(up: float, along: float) -> float:
        true, false = np.float64(recall + up), np.float64(1 - specificity - along)
        shares = (prevalence * true, (1 - prevalence) * false, prevalence * (1 - true), (1 - prevalence) * (1 - false))
        return float(spec.of_counts(Counts(*map(np.asarray, shares)), threshold))

    slopes = [
        (metric(up=STEP, along=0.0) - metric(up=-STEP, along=0.0)) / (2 * STEP),
        (metric(up=0.0, along=STEP) - metric(up=0.0, along=-STEP)) / (2 * STEP),
    ]
    return sum(slope**2 * _missed(*part) for slope, part in zip(slopes, parts, strict=True))


def _missed(right: BoolArray, code: npt.NDArray[np.int32]) -> float:
    """Compute how much the variance of a share over patients falls short of its floor.

    Args:
        right: Whether each image counts, shape (n,).
        code: Patient number of each image, shape (n,).
    """
    value = float(right.mean())
    deviation = np.bincount(code, right - value)
    patients = len(np.unique(code))
    floor = (value * patients + 1) / (patients + 2)
    return max(0.0, floor * (1 - floor) / (patients + 2) - float(deviation @ deviation) / len(code) ** 2)
