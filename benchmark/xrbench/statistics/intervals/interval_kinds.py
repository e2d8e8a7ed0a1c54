"""Kinds of interval, and which one a metric gets.

``default``    the kind that holds its level for the metric (``tests/validation``): ``wilson`` for proportions, else ``jackknife``
``jackknife``  leaving out one patient at a time, Student's t on the logit scale
``bootstrap``  percentiles of replicates in which patients (with all their images) are drawn with replacement
``bca``        the same replicates, bias-corrected and accelerated
``stratified`` percentiles; patients with and without positives are drawn apart, label by label
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
from xrbench.statistics.resampling.jackknife import Left, jackknife, side
from xrbench.statistics.resampling.label_columns import Column
from xrbench.statistics.resampling.scale import UNBOUNDED, scale_of

KINDS = ("default", "jackknife", "bootstrap", "bca", "stratified", "delong", "delong-plain", "wilson")
DRAWN = ("bootstrap", "bca", "stratified")
"""Kinds that need replicates."""
DROPPED_LIMIT = 0.05
"""Share of replicates that may be without a value before there is no interval."""
ENOUGH = 20
"""Positive and negative patients from which the default interval is known to hold."""
ENOUGH_FOR = {"bootstrap": 100, "bca": 100, "stratified": 100, "delong": 100, "delong-plain": 200}
"""The same for kinds that need more."""


def chosen(kind: str, spec: MetricSpec, *, mean: bool = False) -> str:
    """Name the kind of interval that a metric gets: those that do not apply give way to the default."""
    own = ("jackknife",) if mean or (spec.metric.share_of and not spec.is_share) else spec.metric.intervals
    fits = {
        "wilson": "wilson" in own,
        "delong": "delong" in own,
        "delong-plain": "delong-plain" in own,
        "stratified": not mean,
    }
    return kind if kind != "default" and fits.get(kind, True) else own[0]


@dataclass(frozen=True)
class Figure:
    """One figure and what its interval is made of.

    Attributes:
        spec: The metric.
        value: On the sample itself.
        level: Confidence level.
        column: The label's predictions; None for means and for figures of exclusive classes.
        replicates: Gives the value in each replicate.
        left_out: Gives the value without each group of patients.
        stratum: Kind of each group, shape (groups,).
        behind: Patients behind the denominator of a proportion without a column.
    """

    spec: MetricSpec
    value: float
    level: float
    column: Column | None
    replicates: Callable[[], FloatArray]
    left_out: Callable[[], FloatArray]
    stratum: npt.NDArray[np.int64]
    behind: int = 0


@dataclass(frozen=True)
class Found:
    """An interval, or why there is none, and how many replicates were drawn and dropped."""

    low: float
    high: float
    reason: str = ""
    replicates: int = 0
    dropped: int = 0


def interval(kind: str, figure: Figure) -> Found:
    """Compute one kind of interval."""
    if kind in DRAWN:
        return _drawn(kind, figure)
    if kind in ("delong", "delong-plain") and figure.column is not None:
        return _delong(figure, figure.column, logit=kind == "delong")
    parts = [Left(figure.left_out(), figure.stratum)]
    if np.isnan(parts[0].values).any():
        return Found(*formulas.NOTHING, "interval: one patient alone carries what the figure is made of")
    if kind == "wilson":
        return Found(*_wilson(figure, parts))
    scale = scale_of(figure.spec)
    if figure.spec.metric.u_statistic and scale.is_end(figure.value) and figure.column is not None:
        return Found(*formulas.newcombe(figure.value, *patients_of(figure.column), figure.level))
    low, high = jackknife(figure.value, parts, figure.level, scale=scale)
    words = f"interval: all patients agree on {figure.value:g}, which says nothing about its uncertainty"
    return Found(low, high, words if np.isnan(low) else "")


def patients_of(column: Column) -> tuple[int, int]:
    """Count the patients with positives and those with negatives."""
    positive = column.rows.positive
    return len(members(column.code[positive])), len(members(column.code[~positive]))


def too_many_dropped(dropped: int, replicates: int) -> str:
    """Say why replicates give no interval, if they do not."""
    if dropped > DROPPED_LIMIT * replicates:
        return (
            f"interval: {dropped:,} of {replicates:,} replicates have no value (at most {DROPPED_LIMIT:.0%} may), "
            "too few patients"
        )
    return ""


def _drawn(kind: str, figure: Figure) -> Found:
    drawn = figure.replicates()
    dropped = int(np.isnan(drawn).sum())
    reason = too_many_dropped(dropped, len(drawn))
    if reason:
        return Found(*formulas.NOTHING, reason, len(drawn), dropped)
    if kind == "bca":
        ends = formulas.bca(figure.value, drawn, figure.left_out(), figure.level)
        words = "interval: all replicates lie on one side of the value" if np.isnan(ends[0]) else ""
        return Found(*ends, words, len(drawn), dropped)
    return Found(*formulas.percentile(drawn, figure.level), "", len(drawn), dropped)


def _delong(figure: Figure, column: Column, *, logit: bool) -> Found:
    rows = column.rows
    low, high = delong_interval(rows.positive, rows.score, patient=column.code, level=figure.level, logit=logit)
    return Found(low, high, "DeLong's variance needs two positive and two negative patients" if np.isnan(low) else "")


def _wilson(figure: Figure, parts: list[Left]) -> tuple[float, float]:
    """Compute Wilson's interval for as many independent images as the patients' spread stands for.

    The effective number is the one whose binomial variance is the jackknife's: images divided by the design effect (Rao &
    Scott 1992, Biometrics 48:577). Where all images agree there is no spread, and each patient counts once.
    """
    found = side(figure.value, parts, scale=UNBOUNDED)
    v = figure.value
    if found is not None and found.error > 0 and 0 < v < 1:
        return formulas.wilson(v, v * (1 - v) / found.error**2, figure.level, df=found.df)
    patients = figure.behind if figure.column is None else denominator_patients(figure.spec, figure.column)
    return formulas.wilson(v, patients, figure.level, df=max(1.0, patients - 1.0))


def denominator_patients(spec: MetricSpec, column: Column) -> int:
    """Count the patients behind the denominator of a share."""
    positive, threshold = column.rows.positive, column.thresholds[column.specs.index(spec)]
    called = column.rows.score >= threshold
    rows = {
        "positives": positive,
        "negatives": ~positive,
        "positive calls": called,
        "negative calls": ~called,
        "images": np.ones(len(called), np.bool_),
    }[spec.metric.share_of]
    return len(members(column.code[rows]))
