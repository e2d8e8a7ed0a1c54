"""The generalization gap of each method: internal figure, external figure, and their difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xrbench.cards import TableLayout
from xrbench.metrics import metric_title
from xrbench.metrics.names import gap_note, parse_as
from xrbench.rendering.numbers import MISSING, number, signed
from xrbench.rendering.table import Table
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import Figure, Line, Selection
from xrbench.report.tables.by_setting import SEEN, any_seen, external_values, seen_note, undefined_notes

RAW = (
    "The raw gap may be one of prevalence alone, with which this metric moves; the table of gaps of single training sets, and "
    "`xrbench compare`, give gaps at one prevalence."
)
Setting = tuple[list[Figure], Figure | None]
"""Figures of one setting: internal ones, one a training dataset, and the external one."""


def internal_external(run: Run, layout: TableLayout) -> Table:
    """Show the internal and external figure of each method, and their gap.

    A setting's internal figure is the mean over its training datasets; both columns are means over the settings that have an
    internal and an external figure, so that their difference is the mean gap.
    """
    selection = Selection(run.scores, run.suite, layout.metric)
    metric = parse_as(selection.suite.task, layout.metric)
    labels = selection.with_mean
    rows: list[tuple[str, ...]] = []
    figures: list[Figure | None] = []
    counts: dict[str, dict[int, list[str]]] = {}
    for line in selection.lines:
        texts: list[str] = []
        for label in labels:
            measured = _settings(selection, line, label)
            figures += [figure for internal, external in measured for figure in (*internal, external)]
            pairs = _pairs(measured)
            counts.setdefault(selection.title(line), {}).setdefault(len(pairs), []).append(label)
            texts += _texts(pairs, measured, layout.digits)
        rows.append((selection.title(line), *texts))
    return Table.of(
        layout.name,
        layout.caption or f"Internal and external {metric_title(layout.metric)}",
        ("method", *("internal", "external", "raw gap" if metric.moves_with_prevalence else "gap") * len(labels)),
        [rows],
        "l" + "r" * 3 * len(labels),
        groups=(("", 1), *((label, 3) for label in labels)),
        notes=(
            *_notes(counts, len(selection.columns)),
            *([RAW] if metric.moves_with_prevalence else ()),
            *gap_note(metric),
            *seen_note(any_seen(figures)),
            *undefined_notes(figures),
        ),
        stamp=selection.stamp,
    )


def _settings(selection: Selection, line: Line, label: str) -> list[Setting]:
    return [
        (selection.internal(line, column, label), selection.external(line, column, label))
        for column in selection.columns
    ]


def _pairs(settings: Sequence[Setting]) -> list[tuple[float, float]]:
    """Return the internal and external value of each setting that has both."""
    pairs = []
    for internal_figures, external_figure in settings:
        internal, external = external_values(internal_figures), external_values([external_figure])
        if internal and external:
            pairs.append((float(np.mean(internal)), external[0]))
    return pairs


def _texts(pairs: Sequence[tuple[float, float]], settings: Sequence[Setting], digits: int) -> tuple[str, str, str]:
    if pairs:
        internal, external = np.mean(pairs, axis=0)
        return number(internal, digits), number(external, digits), signed(internal - external, digits)
    seen = any(figure is not None and figure.seen for _, figure in settings)
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
