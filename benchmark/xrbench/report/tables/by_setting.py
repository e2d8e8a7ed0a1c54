"""Lay scores out as the papers do: methods in blocks, settings as columns, the mean over settings at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from xrbench.cards import TableLayout
from xrbench.metrics import parse_as
from xrbench.rendering.numbers import MISSING, UNDEFINED, interval, mean_sd, metric_title, number
from xrbench.rendering.table import Cell, Table
from xrbench.report.reported_values import Reported
from xrbench.report.score_grid import MEAN, Column, Figure, Line, Selection
from xrbench.report.tables.best_marks import Marks

SEEN = "†"
Find = Callable[[Line, Column, str], Figure | None]


@dataclass(frozen=True)
class _RowKind:
    """One row of each block: its heading, where its figures come from, and whether methods are ranked in it."""

    title: str
    protocol: str
    label: str
    find: Find
    ranked: bool = True


def settings_table(
    selection: Selection,
    layout: TableLayout,
    *,
    paper: Reported | None = None,
    intervals: bool = False,
    marks: Marks | None = None,
) -> Table:
    """Make the table of methods by settings.

    Args:
        selection: The scores of the layout's metric.
        layout: Name, caption and decimals.
        paper: Reported figures, shown in brackets where the images are the paper's.
        intervals: Whether each figure is followed by its interval (or by the deviation over seeds where there are several).
        marks: What is known of the differences between methods; without it, intervals decide who is marked.
    """
    marks = marks or Marks()
    better = parse_as(selection.suite.task, layout.metric).better
    kinds = _kinds(selection)
    shown = paper if paper is not None and not selection.fixture else None
    grid = {
        (line, kind.title, column.name): kind.find(line, column, kind.label)
        for line in selection.lines
        for kind in kinds
        for column in selection.columns
    }
    best = {
        (kind.title, column.name): marks.leaders(
            {line: grid[line, kind.title, column.name] for line in selection.lines},
            layout.digits,
            better,
            setting=column.name,
            metric=layout.metric,
            label=kind.label,
        )
        for kind in kinds
        if kind.ranked
        for column in selection.columns
    }
    blocks, matched = [], False
    for line in selection.lines:
        rows = []
        for kind in kinds:
            figures = [grid[line, kind.title, column.name] for column in selection.columns]
            said = [_said(shown, line, column, kind, layout.metric) for column in selection.columns]
            matched = matched or any(said)
            cells = [Cell(selection.title(line)), Cell(kind.title)]
            for column, figure, reported in zip(selection.columns, figures, said, strict=True):
                text = figure_text(figure, layout.digits, intervals=intervals) + reported
                cells.append(Cell(text, best=line in best.get((kind.title, column.name), ())))
            # The paper's mean is over its own settings: it stands beside ours only if these are the same ones.
            mean_said = _said(shown, line, None, kind, layout.metric) if all(said) else ""
            rows.append((*cells, Cell(mean_sd(external_values(figures), layout.digits) + mean_said)))
        blocks.append(tuple(rows))
    figures_of = [
        grid[line, kind.title, column.name]
        for line in selection.lines
        for kind in kinds
        for column in selection.columns
    ]
    notes = [
        *_interval_note(figures_of, intervals=intervals),
        *_mean_notes(selection, kinds, grid),
        *([marks.note(better)] if any(best.values()) else []),
        *seen_note(any_seen(figures_of)),
        *undefined_notes(figures_of),
        *_paper_note(selection, paper, matched=matched),
        *_size_note(selection),
    ]
    return Table(
        name=layout.name + ("-intervals" if intervals else ""),
        caption=layout.caption or f"{metric_title(layout.metric)} by setting",
        header=_header(selection.columns, grid.values()),
        blocks=tuple(blocks),
        align="ll" + "r" * (len(selection.columns) + 1),
        titled=True,
        notes=tuple(notes),
        stamp=selection.stamp,
    )


def figure_text(figure: Figure | None, digits: int, *, intervals: bool = False) -> str:
    """Write one figure: missing, undefined or a number, with its interval if asked, and marked if contaminated."""
    if figure is None:
        return MISSING
    text = number(figure.value, digits)
    if intervals and figure.defined:
        spread = f"± {figure.sd:.{digits}f}" if len(figure.seeds) > 1 else interval(figure.low, figure.high, digits)
        text = f"{text} {spread}".rstrip().removesuffix(" ± nan")
    return text + (SEEN if figure.seen else "")


def external_values(figures: Iterable[Figure | None]) -> list[float]:
    """List the values that may stand in a mean: measured, defined, and on images that the weights have not seen."""
    return [figure.value for figure in figures if figure is not None and figure.defined and not figure.seen]


def any_seen(figures: Iterable[Figure | None]) -> bool:
    """Tell whether any figure is contaminated."""
    return any(figure is not None and figure.seen for figure in figures)


def seen_note(stands: bool) -> list[str]:
    """Say what the contamination mark means, if it stands anywhere."""
    if not stands:
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


def _said(paper: Reported | None, line: Line, column: Column | None, kind: _RowKind, metric: str) -> str:
    row = paper.find(line, column, kind.protocol, kind.label, metric) if paper is not None else None
    return "" if row is None else f" [{row['printed']}]"


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


def _mean_notes(
    selection: Selection, kinds: Sequence[_RowKind], grid: dict[tuple[Line, str, str], Figure | None]
) -> list[str]:
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


def _paper_note(selection: Selection, paper: Reported | None, *, matched: bool) -> list[str]:
    if paper is None:
        return []
    if selection.fixture:
        return [
            f"The figures reported in {paper.card.name!r} are left out: these images are synthetic, not the paper's."
        ]
    if not matched:
        return [f"No setting has the datasets of {paper.card.name!r}: its reported figures are left out."]
    profiles = ", ".join(sorted(set(selection.scores["profile"]) - {""})) or "unknown"
    return [f"In brackets: reported by {paper.card.cite} Ours: profile {profiles}."]


def _size_note(selection: Selection) -> list[str]:
    rows = selection.scores[(selection.scores["protocol"] == "external") & selection.scores["n_images"].notna()]
    parts = []
    for test in dict.fromkeys(column.test for column in selection.columns):
        mine = rows[rows["test"] == test]
        if len(mine):
            images, patients = mine["n_images"].max(), mine["n_patients"].max()
            parts.append(f"{test} {images:,.0f}" + (f" ({patients:,.0f})" if not np.isnan(patients) else ""))
    return [f"Test images (patients): {', '.join(parts)}."] if parts else []
