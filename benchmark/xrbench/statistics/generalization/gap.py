"""The generalization gap: how much a metric loses on another hospital's images, internal minus external.

Metrics that move with prevalence (predictive values, F1, average precision, accuracy, Brier score, ...) differ between hospitals
where the finding is rarer, whatever the network does. Their gap is standardised: both sides are weighted by class to one prevalence,
that of the internal images unless one is stated, as in direct standardization of rates (Rothman et al. 2008, Modern Epidemiology,
ch. 3). The difference of the figures as they are is the raw gap, which has no test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.metric import Task
from xrbench.metrics.names import parse_as
from xrbench.statistics.generalization.cells import BoolArray, CellValues, average, cell_values, only_labels
from xrbench.statistics.generalization.rare_outcomes import unseen_variance
from xrbench.statistics.generalization.standard_prevalence import reference_shares, standard
from xrbench.statistics.intervals.formulas import NOTHING
from xrbench.statistics.options import Resampling, ResamplingFields
from xrbench.statistics.predictions import MEAN, Predictions, named
from xrbench.statistics.resampling.contrast import Contrast, contrast
from xrbench.statistics.resampling.scale import scale_of


@dataclass(frozen=True)
class Gap:
    """The generalization gap of one label or class, of the mean of all, or of all classes together.

    Attributes:
        label: The label or class, ``mean``, or ``all classes``.
        metric: Name of the metric.
        internal, external: Mean over the cells of each side that have a value; of a metric that moves with prevalence both at one
            prevalence.
        gap: Internal minus external.
        low, high: Jackknife interval over patients.
        error: Standard error of the gap.
        unit: ``patient`` or ``image``.
        level: Confidence level.
        replicates, dropped: Replicates drawn, and those without a value.
        n_internal, n_external: Cells with a value.
        reason: Why there is no figure; else empty.
        p: Two-sided p-value of no gap.
        caution: What to know before trusting the interval; else empty.
        at: What both sides are standardised to, such as ``prevalence 0.12``; empty for metrics that do not move with prevalence.
        raw_internal, raw_external, raw: The same at each side's own prevalence, over the same cells and labels; ``raw`` is their
            difference, which may be one of prevalence alone.
    """

    label: str
    metric: str
    internal: float
    external: float
    gap: float
    low: float
    high: float
    error: float
    unit: str
    level: float
    replicates: int
    dropped: int
    n_internal: int
    n_external: int
    reason: str = ""
    p: float = float("nan")
    caution: str = ""
    at: str = ""
    raw_internal: float = float("nan")
    raw_external: float = float("nan")
    raw: float = float("nan")


def gap(
    internal: Sequence[Predictions],
    external: Sequence[Predictions],
    *,
    metric: str = "auc",
    labels: Sequence[str] | None = None,
    task: Task | None = None,
    prevalence: float | None = None,
    **options: Unpack[ResamplingFields],
) -> list[Gap]:
    """Compute the generalization gap for each label or class, and for their mean or all of them together.

    Patients are left out one at a time, from all cells of their domain together, on whichever side those are. A label's mean
    is over the cells in which it has a value, on each side by itself; the macro mean is over the labels that have one on both.

    Args:
        internal: Cells on held-out patients of the training domains.
        external: Cells on other domains.
        metric: A metric of the task, such as ``"auc"``; see ``estimate``.
        labels: Names of the columns of every cell; None takes the cells' own.
        task: ``multilabel`` or ``multiclass``; None takes the cells' own.
        prevalence: Prevalence, between 0 and 1, at which both sides of a metric that moves with it are computed; None takes that of
            each label (or the share of each class) among the internal images. It counts as given: intervals are at this prevalence.
        options: ``level``, ``replicates`` (of the bootstrap that counts undefined replicates; 0 for none), ``seed``, ``threads``,
            ``reporter``; see ``Resampling``.

    Returns:
        One row a label, then ``mean``; or one of ``all classes``.

    Raises:
        MeasureError: There is no cell, a row is not usable, or a threshold is missing.
        UsageError: No such metric, an option is out of range, or a prevalence is stated for the predicted class.

    >>> inside = Predictions("here", [[1], [1], [0], [0]], [[0.9], [0.8], [0.2], [0.1]])
    >>> outside = Predictions("there", [[1], [1], [0], [0]], [[0.9], [0.3], [0.4], [0.1]])
    >>> row = gap([inside], [outside], labels=["Edema"], replicates=200)[0]
    >>> row.internal, row.external, row.gap
    (1.0, 0.75, 0.25)
    >>> inside = Predictions("here", [0, 0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9]])
    >>> outside = Predictions("there", [0, 0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.1, 0.9]])
    >>> row = gap([inside], [outside], metric="macro-recall", labels=["sick", "well"], task="multiclass")[0]
    >>> row.label, row.internal, row.external, row.gap
    ('all classes', 1.0, 0.75, 0.25)

    Recall 1/2 and specificity 1/2 on both sides; a quarter instead of half of the images are positive:

    >>> inside = Predictions("here", [[1], [1], [0], [0]], [[0.9], [0.2], [0.7], [0.1]])
    >>> outside = Predictions("there", [[1], [1], *[[0]] * 6], [[0.9], [0.2], *[[0.7]] * 3, *[[0.1]] * 3])
    >>> row = gap([inside], [outside], metric="ppv@threshold=0.5", labels=["Edema"], replicates=0)[0]
    >>> row.at, row.internal, row.external, row.gap, row.raw_external, row.raw
    ('prevalence 0.5', 0.5, 0.5, 0.0, 0.25, 0.25)
    """
    how = Resampling(**options)
    cells = named([*internal, *external], labels, task)
    spec = parse_as(cells[0].task, metric)
    shares = reference_shares(cells[: len(internal)], spec, prevalence) if spec.moves_with_prevalence else None
    values = cell_values(cells, spec, how, shares=shares)
    raw = values.value if shares is None else values.unstandardised()
    defined = ~np.isnan(values.value)
    inside, at_shares = (
        len(internal),
        shares or [0.5] * len(values.labels),
    )  # others have the same value at any prevalence
    # The mean is of the same labels on both sides; a label known on one side alone would look like a gap.
    on_both_sides = np.flatnonzero(defined[:inside].any(axis=0) & defined[inside:].any(axis=0)).tolist()
    rows = []
    for label, numbers in values.rows():
        used = on_both_sides if label == MEAN else numbers
        row = _gap(label, used, values, only_labels(defined, used), inside, how.level, at_shares)
        at = "" if shares is None else standard(spec, [shares[i] for i in used])
        rows.append(_beside(row, raw, only_labels(~np.isnan(raw), used), inside, at))
    return rows


def _beside(row: Gap, raw: FloatArray, used: BoolArray, inside: int, at: str) -> Gap:
    """Put the raw figures, of shape (cells, labels) for all labels, beside a gap."""
    internal, external = float(average(raw[:inside], used[:inside])), float(average(raw[inside:], used[inside:]))
    reason = row.reason
    if at and np.isnan(row.gap) and not np.isnan(internal - external):
        reason = "at one prevalence: each side needs every class that the other has"
    return replace(row, raw_internal=internal, raw_external=external, raw=internal - external, at=at, reason=reason)


def _gap(
    label: str,
    labels: Sequence[int],
    values: CellValues,
    used: BoolArray,
    inside: int,
    level: float,
    shares: Sequence[float],
) -> Gap:
    """Subtract the mean of the external cells from that of the internal ones.

    Args:
        label: Label of the row.
        labels: Numbers of the labels that it is about.
        values: Values of all cells, ``inside`` internal ones first.
        used: Values that take part, shape (cells, labels).
        inside: Number of internal cells.
        level: Confidence level.
        shares: Prevalence of each label at which the metric is computed.
    """

    def mean_internal(array: FloatArray) -> FloatArray:
        return average(array[..., :inside, :], used[:inside])

    def mean_external(array: FloatArray) -> FloatArray:
        return average(array[..., inside:, :], used[inside:])

    internal, external = float(mean_internal(values.value)), float(mean_external(values.value))
    defined = not np.isnan(internal - external)
    difference = None
    if defined:
        # Domains on both sides share their patients: each part is of all cells, so that common patients cancel.
        parts = (values.parts(mean_external, labels), values.parts(mean_internal, labels))
        unseen = (
            unseen_variance(values.support[inside:], used[inside:], values.spec, shares),
            unseen_variance(values.support[:inside], used[:inside], values.spec, shares),
        )
        difference = contrast((external, internal), parts, scale=scale_of(values.spec), unseen=unseen)
    low, high = NOTHING if difference is None else difference.limits(1 - level)
    replicates = mean_internal(values.replicates) - mean_external(values.replicates)
    return Gap(
        label=label,
        metric=values.spec.name,
        internal=internal,
        external=external,
        gap=internal - external,
        low=low,
        high=high,
        error=float("nan") if difference is None else difference.error,
        unit=values.unit,
        level=level,
        replicates=len(replicates),
        dropped=int(np.isnan(replicates).sum()) if defined else 0,
        n_internal=int(used[:inside].any(axis=1).sum()),
        n_external=int(used[inside:].any(axis=1).sum()),
        reason=_why(internal, external, difference),
        p=float("nan") if difference is None else difference.p(),
        caution=values.caution(used),
    )


def _why(internal: float, external: float, difference: Contrast | None) -> str:
    if np.isnan(internal) or np.isnan(external):
        return f"no {'internal' if np.isnan(internal) else 'external'} cell has a value"
    return "interval: one patient alone carries what a figure is made of" if difference is None else ""
