"""Rows about methods: trainings and patients vary (``statistics.inference.trainings``)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from xrbench import statistics
from xrbench.compare.pairs import Pair, Sides, place_of
from xrbench.compare.rows import CompareOptions, Row, SideGap
from xrbench.compare.scores_io import Results
from xrbench.runs.run_cell import RunCell
from xrbench.statistics.predictions import ALL, MEAN

UNKNOWN = "cannot tell"
NO_PREDICTIONS = f"{UNKNOWN}: without predictions it is not known what patients and what trainings bring"
ENOUGH = 3
"""Trainings of a method from which a comparison of methods is more than a formality."""


def about_methods(
    rows: Sequence[Row], ready: Sequence[tuple[Pair, Sides]], how: CompareOptions, *, paired: bool
) -> list[Row]:
    """Put the figures of methods in the place of those of networks.

    Args:
        rows: Rows about these networks.
        ready: Pairs with their predictions; every training of each side stands in one.
        how: Metric and level.
        paired: Whether all pairs have predictions.
    """
    if not paired:
        return [_without(row, row.reason or NO_PREDICTIONS) for row in rows]
    cells = _trained(ready)
    figures = {one.label: one for one in statistics.method_difference(*cells, metric=how.metric, level=how.level)}
    return [_with(row, figures[row.label]) for row in rows]


def gap_of_method(
    fits: Iterable[str], cells: Iterable[RunCell], results: Results, labels: Sequence[str], how: CompareOptions
) -> SideGap | None:
    """Compute a method's gap over all labels or classes; None without predictions, or for a metric of single classes."""
    names = set(fits)
    mine = [cell for cell in cells if cell.fit in names and not (cell.seen and cell.protocol == "external")]
    sides = [trained_cells(mine, results, labels, protocol) for protocol in ("internal", "external")]
    internal, external = sides
    if not internal or not external:
        return None
    gaps = statistics.method_gap(internal, external, metric=how.metric, level=how.level)
    one = next((gap for gap in reversed(gaps) if gap.label in (MEAN, ALL)), None)
    return None if one is None else SideGap(how.metric, one.value, one.low, one.high, one.reason, one.at)


def trained_cells(
    cells: Iterable[RunCell], results: Results, labels: Sequence[str], protocol: str
) -> list[statistics.TrainedCell] | None:
    """Return the cells of one protocol as trainings; None where one has no predictions."""
    trained = []
    for cell in cells:
        if cell.protocol != protocol:
            continue
        predictions = results.predictions_of(cell, labels)
        if predictions is None:
            return None
        trained.append(statistics.TrainedCell(predictions, cell.chain, setting_of(cell)))
    return trained


def setting_of(cell: RunCell) -> str:
    """Name the setting and test set of a cell."""
    return f"{cell.setting} {cell.test}"


def enough_trainings(pairs: Iterable[Pair]) -> bool:
    """Tell whether both sides of all settings have at least three trainings each."""
    chains: dict[tuple[str, str, int], set[tuple[str, ...]]] = {}
    for pair in pairs:
        for side, cell in enumerate((pair.a, pair.b)):
            chains.setdefault((cell.method, setting_of(cell), side), set()).add(cell.chain)
    return bool(chains) and min(map(len, chains.values())) >= ENOUGH


def _trained(ready: Sequence[tuple[Pair, Sides]]) -> tuple[list[statistics.TrainedCell], list[statistics.TrainedCell]]:
    """Return the trainings of side a and of side b; a cell that stands in several pairs is one."""
    sides: tuple[dict[tuple[str, str], statistics.TrainedCell], ...] = ({}, {})
    for pair, both in ready:
        place = f"{place_of(pair)} {pair.b.test}"
        for found, cell, predictions in zip(sides, (pair.a, pair.b), both.cell, strict=True):
            found.setdefault((cell.cell, place), statistics.TrainedCell(predictions, cell.chain, place))
    return list(sides[0].values()), list(sides[1].values())


def _with(row: Row, figure: statistics.MethodFigure) -> Row:
    reason = figure.reason if math.isnan(figure.value) else f"{UNKNOWN}: {figure.reason}" if figure.reason else ""
    a, b = figure.sides
    return replace(
        row,
        settings=figure.n_settings,
        value_a=a,
        value_b=b,
        difference=figure.value,
        **{name: getattr(figure, name) for name in ("low", "high", "error", "p", "errors", "over", "caution")},
        low_alone=figure.low,
        high_alone=figure.high,
        trainings=figure.n_trainings,
        detectable=math.nan if figure.errors is None else figure.errors.detectable(1 - figure.level),
        reason=reason,
        p_bootstrap=math.nan,
        p_delong=math.nan,
    )


def _without(row: Row, reason: str) -> Row:
    nan = math.nan
    unknown = replace(row, low=nan, high=nan, low_alone=nan, high_alone=nan, error=nan, p=nan, detectable=nan)
    return replace(unknown, errors=None, reason=reason, p_bootstrap=nan, p_delong=nan)
