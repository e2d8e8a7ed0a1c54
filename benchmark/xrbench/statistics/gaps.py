"""How much is lost on another hospital's images: internal minus external."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xrbench.metrics.names import parse
from xrbench.progress import Reporter
from xrbench.statistics.cells import Cell, CellValues, cell_values
from xrbench.statistics.comparing import average
from xrbench.statistics.estimates import DROPPED_LIMIT, MEAN
from xrbench.statistics.intervals import NOTHING, check_level, percentile


@dataclass(frozen=True)
class Gap:
    """The generalization gap of one label, or of the mean of all labels.

    Attributes:
        label: The label, or ``mean``.
        metric: Name of the metric.
        internal, external: Mean over the cells of each side that have a value.
        gap: Internal minus external.
        low, high: Percentile bootstrap interval over patients.
        error: Standard error of the gap.
        unit: ``patient`` or ``image``.
        level: Confidence level.
        replicates, dropped: Replicates drawn, and those without a value.
        n_internal, n_external: Cells with a value.
        reason: Why there is no figure; else empty.
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

    Patients of different domains are drawn independently; cells of one domain, on whichever side, share their draw. A
    label's mean is over the cells in which it has a value, on each side by itself.

    Args:
        internal: Cells on held-out patients of the training domains.
        external: Cells on other domains.
        metric: Such as ``"auc"``.
        labels: Names of the columns of every cell.
        replicates: Bootstrap replicates.
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
        [*internal, *external], spec, labels, replicates=replicates, seed=seed, threads=threads, reporter=reporter
    )
    kept = ~np.isnan(values.value)
    rows = []
    for number, label in enumerate((*labels, MEAN)):
        mask = kept.copy() if label == MEAN and number == len(labels) else kept & (np.arange(len(labels)) == number)
        rows.append(_gap(label, spec.name, values, mask, len(internal), level))
    return rows


def _gap(label: str, metric: str, values: CellValues, kept: npt.NDArray[np.bool_], inside: int, level: float) -> Gap:
    sides = [(slice(None, inside), kept[:inside]), (slice(inside, None), kept[inside:])]
    internal, external = (float(average(values.value[part], mask)) for part, mask in sides)
    drawn = average(values.replicates[:, sides[0][0]], sides[0][1]) - average(
        values.replicates[:, sides[1][0]], sides[1][1]
    )
    reason, dropped = "", int(np.isnan(drawn).sum())
    if np.isnan(internal) or np.isnan(external):
        reason, dropped = f"no {'internal' if np.isnan(internal) else 'external'} cell has a value", 0
    elif dropped > DROPPED_LIMIT * len(drawn):
        reason = f"interval: {dropped:,} of {len(drawn):,} replicates have no value, too few patients"
    low, high = NOTHING if reason else percentile(drawn, level)
    return Gap(
        label=label,
        metric=metric,
        internal=internal,
        external=external,
        gap=internal - external,
        low=low,
        high=high,
        error=float("nan") if reason else float(np.nanstd(drawn, ddof=1)),
        unit=values.unit,
        level=level,
        replicates=len(drawn),
        dropped=dropped,
        n_internal=int(sides[0][1].any(axis=1).sum()),
        n_external=int(sides[1][1].any(axis=1).sum()),
        reason=reason,
    )
