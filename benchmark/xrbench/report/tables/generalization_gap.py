"""Lay out how far each method falls from its own hospitals to another one: internal, external, and the gap."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xrbench.cards import TableLayout
from xrbench.metrics.names import gap_note, parse_as
from xrbench.rendering.numbers import MISSING, metric_title, number, signed
from xrbench.rendering.table import Cell, Table
from xrbench.report.score_grid import Figure, Line, Selection
from xrbench.report.tables.by_setting import SEEN, any_seen, external_values, seen_note, undefined_notes


def gap_table(selection: Selection, layout: TableLayout) -> Table:
    """Make the table of internal and external figures.

    A setting's internal figure is the mean over its training datasets; both columns are means over the settings that have an
    internal and an external figure, so that their difference is the mean gap.
    """
    labels = selection.with_mean
    rows: list[tuple[Cell, ...]] = []
    figures: list[Figure | None] = []
    counts: dict[str, dict[int, list[str]]] = {}
    for line in selection.lines:
        cells = [Cell(selection.title(line))]
        for label in labels:
            found = list(_measured(selection, line, label))
            figures += [figure for inside, outside in found for figure in (*inside, outside)]
            pairs = _pairs(found)
            counts.setdefault(selection.title(line), {}).setdefault(len(pairs), []).append(label)
            cells += [Cell(text) for text in _texts(pairs, found, layout.digits)]
        rows.append(tuple(cells))
    return Table(
        name=layout.name,
        caption=layout.caption or f"Internal and external {metric_title(layout.metric)}",
        groups=(("", 1), *((label, 3) for label in labels)),
        header=(("method", *("internal", "external", "gap") * len(labels)),),
        blocks=(tuple(rows),) if rows else (),
        align="l" + "r" * 3 * len(labels),
        notes=(
            *_notes(counts, len(selection.columns)),
            *gap_note(parse_as(selection.suite.task, layout.metric)),
            *seen_note(any_seen(figures)),
            *undefined_notes(figures),
        ),
        stamp=selection.stamp,
    )


def _measured(selection: Selection, line: Line, label: str) -> Iterator[tuple[list[Figure], Figure | None]]:
    for column in selection.columns:
        yield selection.internal(line, column, label), selection.external(line, column, label)


def _pairs(found: list[tuple[list[Figure], Figure | None]]) -> list[tuple[float, float]]:
    """Keep the settings with an internal and an external value, one pair each."""
    pairs = []
    for inside, outside in found:
        internal, external = external_values(inside), external_values([outside])
        if internal and external:
            pairs.append((float(np.mean(internal)), external[0]))
    return pairs


def _texts(
    pairs: list[tuple[float, float]], found: list[tuple[list[Figure], Figure | None]], digits: int
) -> tuple[str, str, str]:
    if pairs:
        internal, external = np.mean(pairs, axis=0)
        return number(internal, digits), number(external, digits), signed(internal - external, digits)
    seen = any(outside is not None and outside.seen for _, outside in found)
    return MISSING, MISSING + (SEEN if seen else ""), MISSING


def _notes(counts: dict[str, dict[int, list[str]]], settings: int) -> list[str]:
    notes = [
        "Internal: held-out patients of the training datasets; external: the dataset that took no part. Gap: internal minus "
        "external. Means over settings that have both; a setting's internal figure is the mean over its training datasets."
    ]
    for title, by_number in counts.items():
        for number_of, labels in by_number.items():
            if number_of != settings:
                which = f" ({', '.join(labels)})" if len(by_number) > 1 else ""
                notes.append(f"{title}: {number_of} of {settings} settings have both{which}.")
    return notes
