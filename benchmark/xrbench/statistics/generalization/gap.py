"""How much is lost on another hospital's images: internal minus external."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec, parse
from xrbench.progress import Reporter
from xrbench.statistics.generalization.cells import Cell, CellValues, average, by_label, cell_values
from xrbench.statistics.generalization.seed_variance import MeanAndSpread, mean_and_spread
from xrbench.statistics.intervals.estimate import MEAN
from xrbench.statistics.intervals.formulas import NOTHING, check_level
from xrbench.statistics.resampling.jackknife import Contrast, contrast
from xrbench.statistics.resampling.scale import scale_of


@dataclass(frozen=True)
class Gap:
    """The generalization gap of one label, or of the mean of all labels.

    Attributes:
        label: The label, or ``mean``.
        metric: Name of the metric.
        internal, external: Mean over the cells of each side that have a value.
        gap: Internal minus external.
        low, high: Jackknife interval over patients.
        error: Standard error of the gap.
        unit: ``patient`` or ``image``.
        level: Confidence level.
        replicates, dropped: Replicates drawn, and those without a value.
        n_internal, n_external: Cells with a value.
        reason: Why there is no figure; else empty.
        p: Two-sided p-value of no gap.
        caution: What a reader should know before trusting the interval; else empty.
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


def gap(
    internal: Sequence[Cell],
    external: Sequence[Cell],
    *,
    metric: str = "auc",
    labels: Sequence[str],
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> list[Gap]:
    """Compute the generalization gap for each label and for the macro mean.

    Patients are left out one at a time, from all cells of their domain together, on whichever side those are. A label's mean
    is over the cells in which it has a value, on each side by itself; the macro mean is over the labels that have one on both.

    Args:
        internal: Cells on held-out patients of the training domains.
        external: Cells on other domains.
        metric: Such as ``"auc"``.
        labels: Names of the columns of every cell.
        replicates: Bootstrap replicates, for the standard error that stands beside.
        level: Confidence level, between 0 and 1.
        seed: Names the replicates' streams.
        threads: At most so many; the figures do not depend on it.
        reporter: Where a progress bar goes.

    Raises:
        MeasureError: There is no cell, a row is not usable, or a threshold is missing.

    >>> inside = Cell("here", [[1], [1], [0], [0]], [[0.9], [0.8], [0.2], [0.1]])
    >>> outside = Cell("there", [[1], [1], [0], [0]], [[0.9], [0.3], [0.4], [0.1]])
    >>> found = gap([inside], [outside], labels=["Edema"], replicates=200)[0]
    >>> found.internal, found.external, found.gap
    (1.0, 0.75, 0.25)
    """
    check_level(level)
    spec = parse(metric)
    values = cell_values(
        [*internal, *external],
        by_label(spec, labels),
        len(labels),
        replicates=replicates,
        seed=seed,
        threads=threads,
        reporter=reporter,
    )
    return gaps_of(values, len(internal), spec, labels, level=level, mean=True)


def gaps_of(
    values: CellValues, inside: int, spec: MetricSpec, labels: Sequence[str], *, level: float, mean: bool
) -> list[Gap]:
    """Set the first ``inside`` cells against all others, for each label and, if asked for, for their mean."""
    kept = ~np.isnan(values.value)
    named: list[tuple[str, Sequence[int]]] = [(label, [number]) for number, label in enumerate(labels)]
    if mean:
        both = kept[:inside].any(axis=0) & kept[inside:].any(axis=0)
        named.append((MEAN, np.flatnonzero(both).tolist()))
    return [_gap(label, spec, values, _only(kept, mine), inside, level, mine) for label, mine in named]


def _only(kept: npt.NDArray[np.bool_], labels: Sequence[int]) -> npt.NDArray[np.bool_]:
    mask = np.zeros_like(kept)
    mask[:, list(labels)] = kept[:, list(labels)]
    return mask


def _gap(
    label: str,
    spec: MetricSpec,
    values: CellValues,
    kept: npt.NDArray[np.bool_],
    inside: int,
    level: float,
    labels: Sequence[int],
) -> Gap:
    def mean_inside(array: FloatArray) -> FloatArray:
        return average(array[..., :inside, :], kept[:inside])

    def mean_outside(array: FloatArray) -> FloatArray:
        return average(array[..., inside:, :], kept[inside:])

    internal, external = float(mean_inside(values.value)), float(mean_outside(values.value))
    found = None
    if not np.isnan(internal - external):
        parts = (values.parts(mean_outside, labels), values.parts(mean_inside, labels))
        found = contrast((external, internal), parts, scale=scale_of(spec))
    low, high = NOTHING if found is None else found.limits(1 - level)
    drawn = mean_inside(values.replicates) - mean_outside(values.replicates)
    return Gap(
        label=label,
        metric=spec.name,
        internal=internal,
        external=external,
        gap=internal - external,
        low=low,
        high=high,
        error=float("nan") if found is None else found.error,
        unit=values.unit,
        level=level,
        replicates=len(drawn),
        dropped=0 if np.isnan(internal - external) else int(np.isnan(drawn).sum()),
        n_internal=int(kept[:inside].any(axis=1).sum()),
        n_external=int(kept[inside:].any(axis=1).sum()),
        reason=_why(internal, external, found),
        p=float("nan") if found is None else found.p(),
        caution=values.caution(kept),
    )


def _why(internal: float, external: float, found: Contrast | None) -> str:
    if np.isnan(internal) or np.isnan(external):
        return f"no {'internal' if np.isnan(internal) else 'external'} cell has a value"
    return "interval: one patient alone carries what a figure is made of" if found is None else ""


def domain_matrix(
    values: Mapping[tuple[str, str], Sequence[float]], *, level: float = 0.95
) -> dict[tuple[str, str], MeanAndSpread]:
    """Summarise figures by training domain and test domain; the diagonal is internal.

    Args:
        values: (training domain, test domain) -> the figures of all settings and seeds that have both.
        level: Confidence level of the t-interval of each mean.

    Returns:
        (training domain, test domain) -> mean, sample SD, interval and number.

    >>> found = domain_matrix({("nih", "nih"): [0.9, 0.88], ("nih", "mimic"): [0.8]})
    >>> round(found["nih", "nih"].mean, 2), found["nih", "mimic"].n
    (0.89, 1)
    """
    return {pair: mean_and_spread(list(figures), level=level) for pair, figures in values.items()}
