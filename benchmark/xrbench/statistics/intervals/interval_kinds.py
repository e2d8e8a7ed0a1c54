"""Kinds of interval, and which one a metric gets.

``default``    the kind that holds its level for the metric (``tests/validation``): ``wilson`` for proportions, else ``jackknife``
``jackknife``  leaving out one patient at a time, Student's t on the logit scale; of the AUC, with a floor where outliers may be unseen
``bootstrap``  percentiles of replicates in which patients (with all their images) are drawn with replacement
``bca``        the same replicates, bias-corrected and accelerated
``stratified`` percentiles; patients with and without positives are drawn separately, label by label
``delong``     of the AUC, from DeLong's variance with patients as clusters, on the logit scale
``delong-plain`` the same without the logit, as most programs print it
``wilson``     of proportions, Wilson's score interval with the effective number of images that patients leave

A kind is a row of ``blocks.BLOCKS["interval"]``: ``f(figure)`` returns an ``Interval``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xrbench import blocks
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec
from xrbench.metrics.thresholds import is_called
from xrbench.statistics.intervals import formulas
from xrbench.statistics.intervals.delong import delong_interval
from xrbench.statistics.resampling.clusters import members
from xrbench.statistics.resampling.jackknife import LeftOut, jackknife, scaled_figure
from xrbench.statistics.resampling.label_columns import LabelColumn
from xrbench.statistics.resampling.scale import UNBOUNDED, scale_of

ONE_PATIENT = "interval: one patient alone carries what the figure is made of"
DROPPED_LIMIT = 0.05
"""Share of replicates that may be without a value before there is no interval."""
ENOUGH = 20
"""Positive and negative patients from which the default interval is known to hold."""
CONSTANT = 1e-9
"""An error on the logit scale below which no patient moves the figure, such as that of equal scores."""
PRIOR = 10
"""Patients that the variance of exponential scores counts as in the error of an AUC."""
ENOUGH_FOR = {
    "bootstrap": 100,
    "bca": 100,
    "stratified": 100,
    "delong": 100,
    "delong-plain": 200,
}
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
    """Compute one kind of interval, named as in ``blocks``."""
    interval: Interval = blocks.find("interval", kind)(figure)
    return interval


def by_jackknife(figure: Figure) -> Interval:
    """Compute the jackknife's interval; of an AUC of 0 or 1, which leaves no spread, Newcombe's."""
    parts = _parts(figure)
    if parts is None:
        return Interval(*formulas.NOTHING, ONE_PATIENT)
    scale = scale_of(figure.spec)
    if figure.spec.metric.u_statistic and scale.is_end(figure.value) and figure.column is not None:
        return Interval(*formulas.newcombe(figure.value, *figure.column.class_patients(), figure.level))
    low, high = jackknife(figure.value, parts, figure.level, scale=scale)
    if figure.spec.metric.u_statistic and figure.column is not None and not np.isnan(low):
        low, high = _moderated(figure, parts, low, high)
    reason = f"interval: all patients agree on {figure.value:g}, which says nothing about its uncertainty"
    return Interval(low, high, reason if np.isnan(low) else "")


def by_percentiles(figure: Figure) -> Interval:
    """Compute percentiles of the replicates, however they were drawn."""
    values = figure.replicates()
    return of_replicates(values, lambda: formulas.percentile(values, figure.level))


def by_bca(figure: Figure) -> Interval:
    """Compute the bias-corrected and accelerated percentiles of the replicates."""
    values = figure.replicates()
    one_side = "interval: all replicates lie on one side of the value"
    return of_replicates(values, lambda: formulas.bca(figure.value, values, figure.left_out(), figure.level), one_side)


def by_delong(figure: Figure) -> Interval:
    """Compute DeLong's interval on the logit scale."""
    return _delong(figure, logit=True)


def by_delong_plain(figure: Figure) -> Interval:
    """Compute DeLong's interval without the logit."""
    return _delong(figure, logit=False)


def by_wilson(figure: Figure) -> Interval:
    """Compute Wilson's interval for the number of independent images that has the same variance.

    The effective number is the one whose binomial variance is the jackknife's: images divided by the design effect (Rao &
    Scott 1992, Biometrics 48:577). Where all images agree there is no spread, and each patient counts once.
    """
    parts = _parts(figure)
    if parts is None:
        return Interval(*formulas.NOTHING, ONE_PATIENT)
    scaled = scaled_figure(figure.value, parts, scale=UNBOUNDED)
    value = figure.value
    if scaled is not None and scaled.error > 0 and 0 < value < 1:
        return Interval(*formulas.wilson(value, value * (1 - value) / scaled.error**2, figure.level, df=scaled.df))
    patients = figure.denominator if figure.column is None else denominator_patients(figure.spec, figure.column)
    return Interval(*formulas.wilson(value, patients, figure.level, df=max(1.0, patients - 1.0)))


def of_replicates(values: FloatArray, ends: Callable[[], tuple[float, float]], undefined: str = "") -> Interval:
    """Make an interval of replicates, or none where too many of them have no value.

    Args:
        values: Shape (replicates,); NaN have no value.
        ends: Computes low and high.
        undefined: Why they are NaN, if they are.
    """
    dropped = int(np.isnan(values).sum())
    reason = dropped_reason(dropped, len(values))
    low, high = formulas.NOTHING if reason else ends()
    return Interval(low, high, reason or (undefined if np.isnan(low) else ""), len(values), dropped)


def dropped_reason(dropped: int, replicates: int) -> str:
    """Say why replicates give no interval, if so many of them have no value; else empty."""
    if dropped > DROPPED_LIMIT * replicates:
        return (
            f"interval: {dropped:,} of {replicates:,} replicates have no value (at most {DROPPED_LIMIT:.0%} may), "
            "too few patients"
        )
    return ""


def _parts(figure: Figure) -> list[LeftOut] | None:
    """Leave out each group of patients; None where the figure has no value without one of them."""
    values = figure.left_out()
    return None if np.isnan(values).any() else [LeftOut(values, figure.stratum)]


def _moderated(figure: Figure, parts: list[LeftOut], low: float, high: float) -> tuple[float, float]:
    """Widen the end of an AUC's interval that is nearer to 0.5 by what few patients of a class may not have shown.

    An outlier among twenty positives decides the AUC's error, and in most samples there is none. The variance on that side is
    therefore a mean of the patients' and of that of exponential scores with the same AUC (Hanley & McNeil), which counts as much as
    ``PRIOR`` patients of the rarer class; moderated variances: Smyth 2004, Stat Appl Genet Mol Biol 3:3. It is never the smaller one.
    """
    assert figure.column is not None, "means and predicted classes are no U statistics"
    scaled, value = scaled_figure(figure.value, parts, scale=scale_of(figure.spec)), figure.value
    assert scaled is not None, "there is an interval"
    if scaled.error < CONSTANT:
        return low, high
    positive, negative = figure.column.class_patients()
    assumed = formulas.hanley_mcneil(value, positive, negative) / (value * (1 - value)) ** 2
    fewest, own = min(positive, negative), scaled.error**2
    error = float(np.sqrt(max(own, (fewest * own + PRIOR * assumed) / (fewest + PRIOR))))
    wide = scaled.limits(1 - figure.level, error=error)
    return (wide[0] if value >= 0.5 else low), (wide[1] if value <= 0.5 else high)


def _delong(figure: Figure, *, logit: bool) -> Interval:
    column = figure.column
    assert column is not None, "only single labels have this kind, see applicable_kind"
    rows = column.rows
    low, high = delong_interval(rows.positive, rows.score, patient=column.code, level=figure.level, logit=logit)
    reason = "DeLong's variance needs two positive and two negative patients"
    return Interval(low, high, reason if np.isnan(low) else "")


def denominator_patients(spec: MetricSpec, column: LabelColumn) -> int:
    """Count the patients behind the denominator of a share."""
    positive, threshold = column.rows.positive, column.thresholds[column.specs.index(spec)]
    predicted = is_called(column.rows.score, threshold)
    rows = {
        "positives": positive,
        "negatives": ~positive,
        "positive calls": predicted,
        "negative calls": ~predicted,
        "images": np.ones(len(predicted), np.bool_),
    }[spec.metric.share_of]
    return len(members(column.code[rows]))
