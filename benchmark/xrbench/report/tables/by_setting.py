"""Methods in blocks, settings as columns, the mean over settings at the end, as the papers print it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xrbench.cards import TableLayout
from xrbench.metrics import Better, metric_title, parse_as
from xrbench.rendering.numbers import MISSING, UNDEFINED, mean_sd, number, with_interval
from xrbench.rendering.table import Cell, Table
from xrbench.report.reported_values import Reported
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import MEAN, Column, Figure, Line, Selection
from xrbench.report.tables.best_marks import Marks, marks_of
from xrbench.report.tables.reported_beside import Brackets

SEEN = "†"
"""Mark of a figure on images that the weights have seen."""
UNMATCHED = "No setting has the datasets of {}: its reported figures are left out."
Find = Callable[[Line, Column, str], Figure | None]


@dataclass(frozen=True)
class _RowKind:
    """One row of each block: its heading, where its figures come from, and whether methods are ranked in it."""

    title: str
    protocol: str
    label: str
    find: Find
    ranked: bool = True


Grid = Mapping[tuple[Line, str, str], Figure | None]
"""Line, title of a row kind and name of a column -> figure."""


def settings(run: Run, layout: TableLayout, *, intervals: bool = False) -> Table:
    """Show methods in blocks and settings as columns, with the paper's figures in brackets.

    Options:
        intervals: Whether each figure is followed by its interval (or by the deviation over seeds where there are several), in the
            place of the paper's.
    """
    selection = Selection(run.scores, run.suite, layout.metric)
    marks = run.once("marks", lambda: marks_of(run))
    kinds = _kinds(selection)
    brackets = Brackets(None if intervals else run.paper, fixture=selection.fixture)
    grid = {
        (line, kind.title, column.name): kind.find(line, column, kind.label)
        for line in selection.lines
        for kind in kinds
        for column in selection.columns
    }
    better = parse_as(selection.suite.task, layout.metric).better
    best = _best(selection, layout, marks, kinds, grid, better)
    blocks = []
    for line in selection.lines:
        rows: list[tuple[str | Cell, ...]] = []
        for kind in kinds:
            figures = [grid[line, kind.title, column.name] for column in selection.columns]
            reported = [_reported(brackets.shown, line, column, kind, layout.metric) for column in selection.columns]
            cells: list[Cell] = []
            for column, figure, said in zip(selection.columns, figures, reported, strict=True):
                text = brackets.behind(figure_text(figure, layout.digits, intervals=intervals), said)
                cells.append(Cell(text, best=line in best.get((kind.title, column.name), ())))
            # The paper's mean is over its own settings: it stands beside ours only if these are the same ones.
            mean = _reported(brackets.shown, line, None, kind, layout.metric) if all(reported) else ""
            mean = brackets.behind(mean_sd(external_values(figures), layout.digits), mean)
            rows.append((selection.title(line), kind.title, *cells, mean))
        blocks.append(rows)
    profiles = ", ".join(sorted(set(selection.scores["profile"]) - {""})) or "unknown"
    notes = [
        *_interval_note(grid.values(), intervals=intervals),
        *_mean_notes(selection, kinds, grid),
        *([marks.note(better)] if any(best.values()) else []),
        *seen_note(any_seen(grid.values())),
        *undefined_notes(grid.values()),
        *brackets.notes(unmatched=UNMATCHED, more=f" Ours: profile {profiles}."),
        *_size_note(selection),
    ]
    *above, heads = _header(selection.columns, grid.values())
    return Table.of(
        layout.name,
        layout.caption or f"{metric_title(layout.metric)} by setting",
        heads,
        blocks,
        "ll" + "r" * (len(selection.columns) + 1),
        above=above,
        titled=True,
        notes=notes,
        stamp=selection.stamp,
    )


def figure_text(figure: Figure | None, digits: int, *, intervals: bool = False) -> str:
    """Write one figure: missing, undefined or a number, with its interval if ``intervals``, and marked if contaminated."""
    if figure is None:
        return MISSING
    text = number(figure.value, digits)
    if intervals and len(figure.seeds) > 1:
        text += "" if math.isnan(figure.sd) else f" ± {figure.sd:.{digits}f}"
    elif intervals:
        text = with_interval(figure.value, figure.low, figure.high, digits)
    return text + (SEEN if figure.seen else "")


def external_values(figures: Iterable[Figure | None]) -> list[float]:
    """List the values that count in a mean: measured, defined, and on images that the weights have not seen."""
    return [figure.value for figure in figures if figure is not None and figure.defined and not figure.seen]


def any_seen(figures: Iterable[Figure | None]) -> bool:
    """Tell whether any figure is contaminated."""
    return any(figure is not None and figure.seen for figure in figures)


def seen_note(seen: bool) -> list[str]:
    """Say what the contamination mark means, if any figure has it."""
    if not seen:
        return []
    return [
        f"{SEEN} The weights have seen images of this test dataset: not an external result; left out of means and of the marks."
    ]


def undefined_notes(figures: Iterable[Figure | None]) -> list[str]:
    """Say for each undefined figure how many images there were of each kind."""
    notes = []
    for figure in figures:
        if figure is None or figure.defined:
            continue
        row = figure.rows[0]
        # The counts belong to the test images, so methods and settings that share them share the note.
        counts = ", ".join(
            f"{row[name]:,.0f} {word}"
            for name, word in (("n_positive", "positive"), ("n_negative", "negative"), ("n_masked", "masked"))
            if not np.isnan(row[name])
        )
        reason = f" ({row['reason']})" if row["reason"] else ""
        notes.append(f"{UNDEFINED}: {row['label']} on {row['test']}: {counts or 'no counts'}{reason}.")
    return list(dict.fromkeys(notes))


def _kinds(selection: Selection) -> list[_RowKind]:
    """List the rows of a block; the mean over labels is left out where there is one label."""
    metric = metric_title(selection.metric)
    mean = [_RowKind(f"Avg Test {metric}", "external", MEAN, selection.external)]
    return [
        _RowKind(f"Best Valid {metric}", "validation", MEAN, selection.validation, ranked=False),
        *(mean if MEAN in selection.with_mean else []),
        *(_RowKind(label, "external", label, selection.external) for label in selection.labels),
    ]


def _header(columns: Sequence[Column], figures: Iterable[Figure | None]) -> tuple[tuple[str, ...], ...]:
    measured: dict[str, set[int]] = {column.name: set() for column in columns}
    for figure in figures:
        for row in figure.rows if figure is not None else ():
            if row["train"] and row["setting"] in measured:
                measured[row["setting"]].add(row["seed"])
    seeds = (", ".join(map(str, sorted(measured[c.name]) or c.seeds)) for c in columns)
    return (
        ("", "seed", *seeds, ""),
        ("", "train", *(column.trained_on for column in columns), ""),
        ("", "valid", *(column.valid for column in columns), ""),
        ("method", "test", *(column.test for column in columns), "MEAN"),
    )


def _best(
    selection: Selection, layout: TableLayout, marks: Marks, kinds: Sequence[_RowKind], grid: Grid, better: Better
) -> dict[tuple[str, str], frozenset[Line]]:
    """Choose the lines that are marked, by title of the row kind and name of the column."""
    best = {}
    for kind in (kind for kind in kinds if kind.ranked):
        for column in selection.columns:
            figures = {line: grid[line, kind.title, column.name] for line in selection.lines}
            best[kind.title, column.name] = marks.leaders(
                figures, layout.digits, better, setting=column.name, metric=layout.metric, label=kind.label
            )
    return best


def _reported(paper: Reported | None, line: Line, column: Column | None, kind: _RowKind, metric: str) -> str:
    row = paper.find(line, column, kind.protocol, kind.label, metric) if paper is not None else None
    return "" if row is None else str(row["printed"])


def _interval_note(figures: Iterable[Figure | None], *, intervals: bool) -> list[str]:
    measured = [figure for figure in figures if figure is not None]
    if not intervals or not measured:
        return []
    several = any(len(figure.seeds) > 1 for figure in measured)
    notes = ["After ±: the sample standard deviation over seeds."] if several else []
    for figure in measured:
        row = figure.rows[0]
        if len(figure.seeds) == 1 and not np.isnan(figure.low):
            share = f"{100 * row['level']:g} % interval" if not np.isnan(row["level"]) else "interval"
            how = f"{row['interval']} over {row['unit']}s" if row["interval"] and row["unit"] else row["interval"]
            times = f", {row['replicates']:,.0f} replicates" if row["replicates"] > 0 else ""
            return [*notes, f"In parentheses: {share}{f' ({how}{times})' if how else ''}."]
    return notes


def _mean_notes(selection: Selection, kinds: Sequence[_RowKind], grid: Grid) -> list[str]:
    several = any(figure is not None and len(figure.seeds) > 1 for figure in grid.values())
    each = "; each setting is the mean over its seeds" if several else ""
    notes = [f"MEAN: mean ± sample standard deviation over settings, from unrounded values{each}."]
    short: dict[tuple[str, int], list[str]] = {}
    for line in selection.lines:
        for kind in kinds:
            values = external_values(grid[line, kind.title, column.name] for column in selection.columns)
            if 0 < len(values) < len(selection.columns):
                short.setdefault((selection.title(line), len(values)), []).append(kind.title)
    for (title, measured), rows in short.items():
        which = "all rows" if len(rows) == len(kinds) else ", ".join(rows)
        notes.append(f"{title}: MEAN over {measured} of {len(selection.columns)} settings ({which}).")
    return notes


def _size_note(selection: Selection) -> list[str]:
    rows = selection.scores[(selection.scores["protocol"] == "external") & selection.scores["n_images"].notna()]
    parts = []
    for test in dict.fromkeys(column.test for column in selection.columns):
        of_test = rows[rows["test"] == test]
        if len(of_test):
            images, patients = of_test["n_images"].max(), of_test["n_patients"].max()
            parts.append(f"{test} {images:,.0f}" + (f" ({patients:,.0f})" if not np.isnan(patients) else ""))
    return [f"Test images (patients): {', '.join(parts)}."] if parts else []
