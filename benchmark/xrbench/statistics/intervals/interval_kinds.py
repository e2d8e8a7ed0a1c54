"""Kinds of interval, and which one a metric gets.

``default``    the kind that holds its level for the metric (``tests/validation``): ``wilson`` for proportions, else ``jackknife``
``jackknife``  leaving out one patient at a time, Student's t on the logit scale
``bootstrap``  percentiles of replicates in which patients (with all their images) are drawn with replacement
``bca``        the same replicates, bias-corrected and accelerated
``stratified`` percentiles; patients with and without positives are drawn separately, label by label
``delong``     of the AUC, from DeLong's variance with patients as clusters, on the logit scale
``delong-plain`` the same without the logit, as most programs print it
``wilson``     of proportions, Wilson's score interval with the effective number of images that patients leave
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec
from xrbench.statistics.intervals import formulas
from xrbench.statistics.intervals.delong import delong_interval
from xrbench.statistics.resampling.clusters import members
from xrbench.statistics.resampling.jackknife import LeftOut, jackknife, scaled_figure
from xrbench.statistics.resampling.label_columns import LabelColumn
from xrbench.statistics.resampling.scale import UNBOUNDED, scale_of

RESAMPLED = ("bootstrap", "bca", "stratified")
"""Kinds that need replicates."""
DROPPED_LIMIT = 0.05
"""Share of replicates that may be without a value before there is no interval."""
ENOUGH = 20
"""Positive and negative patients from which the default interval is known to hold."""
ENOUGH_FOR = {"bootstrap": 100, "bca": 100, "stratified": 100, "delong": 100, "delong-plain": 200}
"""The same for kinds that need more."""


def applicable_kind(kind: str, spec: MetricSpec, *, mean: bool = False) -> str:
    """Name the kind of interval that a metric gets: those that do not apply give way to the default.

    >>> from xrbench.metrics import parse
    >>> applicable_kind("delong", parse("auc")), applicable_kind("delong", parse("brier"))
    ('delong', 'jackknife')
    """
    # A mean of shares is no share, and at a stated prevalence a predictive value is none either.
    own = ("jackknife",) if mean or (spec.metric.share_of and not spec.is_share) else spec.metric.intervals
    applies = {
        "wilson": "wilson" in own,
        "delong": "delong" in own,
        "delong-plain": "delong-plain" in own,
        "stratified": not mean,
    }
    return kind if kind != "default" and applies.get(kind, True) else own[0]


@dataclass(frozen=True)
class Figure:
    """The value of a metric and what its interval is computed from.

    Attributes:
        spec: The metric.
        value: On the sample itself.
        level: Confidence level.
        column: The label's predictions; None for means and for metrics of the predicted class.
        replicates: Computes the value in each replicate, shape (replicates,).
        left_out: Computes the value without each group of patients, shape (groups,).
        stratum: Stratum of each group, shape (groups,).
        denominator: Patients behind the denominator of a proportion without a column.
    """

    spec: MetricSpec
    value: float
    level: float
    column: LabelColumn | None
    replicates: Callable[[], FloatArray]
    left_out: Callable[[], FloatArray]
    stratum: npt.NDArray[np.int64]
    denominator: int = 0


@dataclass(frozen=True)
class Interval:
    """An interval, or why there is none, with the number of replicates drawn and of those without a value."""

    low: float
    high: float
    reason: str = ""
    replicates: int = 0
    dropped: int = 0


def compute_interval(kind: str, figure: Figure) -> Interval:
    """Compute one kind of interval."""
    if kind in RESAMPLED:
        return _resampled(kind, figure)
    if kind in ("delong", "delong-plain") and figure.column is not None:
        return _delong(figure, figure.column, logit=kind == "delong")
    parts = [LeftOut(figure.left_out(), figure.stratum)]
    if np.isnan(parts[0].values).any():
        return Interval(*formulas.NOTHING, "interval: one patient alone carries what the figure is made of")
    if kind == "wilson":
        return Interval(*_wilson(figure, parts))
    scale = scale_of(figure.spec)
    if figure.spec.metric.u_statistic and scale.is_end(figure.value) and figure.column is not None:
        return Interval(*formulas.newcombe(figure.value, *figure.column.class_patients(), figure.level))
    low, high = jackknife(figure.value, parts, figure.level, scale=scale)
    reason = f"interval: all patients agree on {figure.value:g}, which says nothing about its uncertainty"
    return Interval(low, high, reason if np.isnan(low) else "")


def dropped_reason(dropped: int, replicates: int) -> str:
    """Say why replicates give no interval, if so many of them have no value; else empty."""
    if dropped > DROPPED_LIMIT * replicates:
        return (
            f"interval: {dropped:,} of {replicates:,} replicates have no value (at most {DROPPED_LIMIT:.0%} may), "
            "too few patients"
        )
    return ""


def _resampled(kind: str, figure: Figure) -> Interval:
    values = figure.replicates()
    dropped = int(np.isnan(values).sum())
    reason = dropped_reason(dropped, len(values))
    if reason:
        return Interval(*formulas.NOTHING, reason, len(values), dropped)
    if kind == "bca":
        low, high = formulas.bca(figure.value, values, figure.left_out(), figure.level)
        reason = "interval: all replicates lie on one side of the value" if np.isnan(low) else ""
    else:
        low, high = formulas.percentile(values, figure.level)
    return Interval(low, high, reason, len(values), dropped)


def _delong(figure: Figure, column: LabelColumn, *, logit: bool) -> Interval:
    rows = column.rows
    low, high = delong_interval(rows.positive, rows.score, patient=column.code, level=figure.level, logit=logit)
    reason = "DeLong's variance needs two positive and two negative patients"
    return Interval(low, high, reason if np.isnan(low) else "")


def _wilson(figure: Figure, parts: list[LeftOut]) -> tuple[float, float]:
    """Compute Wilson's interval for the number of independent images that has the same variance.

    The effective number is the one whose binomial variance is the jackknife's: images divided by the design effect (Rao &
    Scott 1992, Biometrics 48:577). Where all images agree there is no spread, and each patient counts once.
    """
    scaled = scaled_figure(figure.value, parts, scale=UNBOUNDED)
    value = figure.value
    if scaled is not None and scaled.error > 0 and 0 < value < 1:
        return formulas.wilson(value, value * (1 - value) / scaled.error**2, figure.level, df=scaled.df)
    patients = figure.denominator if figure.column is None else denominator_patients(figure.spec, figure.column)
    return formulas.wilson(value, patients, figure.level, df=max(1.0, patients - 1.0))


def denominator_patients(spec: MetricSpec, column: LabelColumn) -> int:
    """Count the patients behind the denominator of a share."""
    positive, threshold = column.rows.positive, column.thresholds[column.specs.index(spec)]
    predicted = column.rows.score >= threshold
    rows = {
        "positives": positive,
        "negatives": ~positive,
        "positive calls": predicted,
        "negative calls": ~predicted,
        "images": np.ones(len(predicted), np.bool_),
    }[spec.metric.share_of]
    return len(members(column.code[rows]))
