"""From tidy scores to the tables that a suite asks for, and those that every suite gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from xrbench.cards import SuiteCard, TableLayout
from xrbench.compare.scores_io import check_scores
from xrbench.errors import UnknownNameError, UsageError
from xrbench.fixture_notice import STAMP
from xrbench.rendering.numbers import MISSING, count, interval, metric_title, number
from xrbench.rendering.table import Cell, Table
from xrbench.report.reported_values import Reported
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import Selection, is_fixture
from xrbench.report.tables.analysis_table import layouts_of
from xrbench.report.tables.best_marks import Marks, marks_of
from xrbench.report.tables.by_setting import SEEN, seen_note, settings_table
from xrbench.report.tables.dispatch import block_table, is_block
from xrbench.report.tables.generalization_gap import gap_table
from xrbench.report.tables.win_tie_loss import wins_table

Descriptions = Sequence[Mapping[str, Any]]
SCORES = "scores"


def table(
    scores: pd.DataFrame,
    suite: SuiteCard,
    layout: TableLayout,
    *,
    paper: Reported | None = None,
    descriptions: Descriptions | None = None,
    intervals: bool = False,
    marks: Marks | None = None,
) -> Table:
    """Lay out one table that is made of scores alone.

    Args:
        scores: Tidy scores.
        suite: The suite they belong to.
        layout: One of the suite's table layouts.
        paper: Reported figures, set beside ours where the images are the paper's.
        descriptions: For a table of datasets: ``dataset, images, patients, used, pathologies, region`` of each.
        intervals: For a table of settings: whether intervals follow the figures.
        marks: For a table of settings: what is known of the differences between methods.

    Raises:
        UsageError: A table of this kind is made of a whole run.
    """
    if is_block(layout):
        raise UsageError(
            f"table {layout.name}: a table of kind {layout.kind!r} is made of a run folder, not of scores alone: "
            f"xrbench report RUN --table {layout.name}"
        )
    scores = check_scores(scores)
    if layout.kind == "datasets":
        made = datasets_table(scores, layout, descriptions or (), paper=paper)
    elif layout.kind == "settings":
        selection = Selection(scores, suite, layout.metric)
        made = settings_table(selection, layout, paper=paper, intervals=intervals, marks=marks)
    else:
        made = gap_table(Selection(scores, suite, layout.metric), layout)
    return with_unreadable(made, descriptions or ())


def with_unreadable(made: Table, descriptions: Descriptions) -> Table:
    """Say under a table how many images were left out because they cannot be read."""
    left = [f"{about['unreadable']:,} of {about['dataset']}" for about in descriptions if about.get("unreadable")]
    note = f"Left out, since they cannot be read: {', '.join(left)}."
    return replace(made, notes=(*made.notes, note)) if left else made


def named(
    scores: pd.DataFrame,
    suite: SuiteCard,
    name: str,
    *,
    paper: Reported | None = None,
    descriptions: Descriptions | None = None,
    run: Run | None = None,
) -> Table:
    """Lay out the suite's table of that name; ``NAME-intervals`` has intervals, and ``scores`` is there for every suite.

    Raises:
        UnknownNameError: No such table.
        UsageError: The table is made of a whole run and none is given, or the run has nothing for it.
    """
    if name == SCORES:
        return scores_table(scores, suite)
    layouts = {layout.name: layout for layout in suite.tables}
    with_intervals = {f"{layout.name}-intervals": layout for layout in suite.tables if layout.kind == "settings"}
    concluded = {layout.name: layout for layout in layouts_of(suite)}
    layout = layouts.get(name) or with_intervals.get(name) or concluded.get(name)
    if layout is None:
        known = (*layouts, *with_intervals, *concluded, SCORES)
        raise UnknownNameError("table", name, known, where=f"suite {suite.name}")
    if run is not None and is_block(layout):
        made = block_table(run, layout)
        if made is None:
            raise UsageError(f"table {name}: {run.folder} has nothing for a table of kind {layout.kind!r}")
        return with_unreadable(made, descriptions or ())
    marks = None if run is None else marks_of(run.folder)
    return table(
        scores, suite, layout, paper=paper, descriptions=descriptions, intervals=name in with_intervals, marks=marks
    )


def every_table(
    scores: pd.DataFrame,
    suite: SuiteCard,
    *,
    paper: Reported | None = None,
    descriptions: Descriptions | None = None,
    run: Run | None = None,
) -> list[Table]:
    """Lay out all tables: the suite's, with and without intervals, wins and losses of each comparison, and scores.

    Tables that are made of a whole run are left out where none is given, or where it has nothing for them.
    """
    found = suite_tables(scores, suite, paper=paper, descriptions=descriptions, run=run)
    marks = None if run is None else marks_of(run.folder)
    for layout in suite.tables:
        if layout.kind == "settings":
            found.append(table(scores, suite, layout, descriptions=descriptions, intervals=True, marks=marks))
    checked = check_scores(scores)
    others = [] if run is None else judgement_tables(run)
    wins = [
        wins_table(Selection(checked, suite, one.metric), one.challenger, one.baseline) for one in suite.comparisons
    ]
    others += [table for table in wins if table.blocks]
    others.append(scores_table(scores, suite))
    return [*found, *(with_unreadable(made, descriptions or ()) for made in others)]


def judgement_tables(run: Run) -> list[Table]:
    """Lay out the analyses that a suite asks for and that it does not lay out itself."""
    made = (block_table(run, layout) for layout in layouts_of(run.suite))
    return [table for table in made if table is not None]


def suite_tables(
    scores: pd.DataFrame,
    suite: SuiteCard,
    *,
    paper: Reported | None = None,
    descriptions: Descriptions | None = None,
    run: Run | None = None,
) -> list[Table]:
    """Lay out the tables that the suite names, in its order."""
    found = []
    marks = None if run is None else marks_of(run.folder)
    for layout in suite.tables:
        if not is_block(layout):
            found.append(table(scores, suite, layout, paper=paper, descriptions=descriptions, marks=marks))
        elif run is not None and (made := block_table(run, layout)) is not None:
            found.append(with_unreadable(made, descriptions or ()))
    return found


def datasets_table(
    scores: pd.DataFrame, layout: TableLayout, descriptions: Descriptions, *, paper: Reported | None = None
) -> Table:
    """Make the table of what was used of each dataset, with what the paper says of it in brackets."""
    fixture = is_fixture(scores)
    said = {} if paper is None or fixture else {row["dataset"]: row for row in paper.datasets.to_dict("records")}
    rows = []
    for about in descriptions:
        there = said.get(about["dataset"]) or {}
        numbers = [
            _count(about.get(ours)) + (f" [{count(float(there[theirs]))}]" if theirs in there else "")
            for ours, theirs in (
                ("images", "total"),
                ("patients", ""),
                ("used", "used"),
                ("pathologies", "pathologies"),
            )
        ]
        region = str(about.get("region") or MISSING) + (f" [{there['region']}]" if "region" in there else "")
        rows.append(tuple(Cell(text) for text in (str(about["dataset"]), *numbers, region)))
    notes = [] if rows else ["Nothing is stored about the datasets of these scores."]
    if any(about["dataset"] in said for about in descriptions) and paper is not None:
        notes.append(f"In brackets: reported by {paper.card.cite}")
    elif paper is not None and fixture:
        notes.append(
            f"The figures reported in {paper.card.name!r} are left out: these images are synthetic, not the paper's."
        )
    return Table(
        name=layout.name,
        caption=layout.caption or "Datasets",
        header=(("dataset", "# samples total", "# patients", "# samples used", "# pathologies", "region"),),
        blocks=(tuple(rows),) if rows else (),
        align="lrrrrl",
        notes=tuple(notes),
        stamp=STAMP if fixture else "",
    )


def scores_table(scores: pd.DataFrame, suite: SuiteCard, *, metric: str = "auc", digits: int = 3) -> Table:
    """List every cell and label with its interval and its counts."""
    selection = Selection(check_scores(scores), suite, metric)
    blocks = []
    rows = selection.scores[selection.scores["label"].isin(selection.with_mean)]
    for line in selection.lines:
        mine = rows[(rows["method"] == line.method) & (rows["model"] == line.model)]
        blocks.append(tuple(_score_row(selection.title(line), row, digits) for _, row in mine.iterrows()))
    heads = ("method", "train", "valid", "test", "protocol", "seed", "label", metric_title(metric), "interval")
    return Table(
        name=SCORES,
        caption=f"{metric_title(metric)} of every cell and label",
        header=((*heads, "positive", "negative", "masked", "patients", "images"),),
        blocks=tuple(blocks),
        align="lllllrlrrrrrrr",
        titled=True,
        notes=tuple(seen_note(bool(selection.scores["seen"].any()))),
        stamp=selection.stamp,
    )


def _score_row(title: str, row: pd.Series, digits: int) -> tuple[Cell, ...]:
    value = number(row["value"], digits) + (SEEN if row["seen"] else "")
    spread = interval(row["low"], row["high"], digits).strip("()") or MISSING
    train = f"{row['configuration']}: {row['train']}" if row["configuration"] else row["train"]
    where = (train or MISSING, row["valid"] or MISSING, row["test"], row["protocol"], str(row["seed"]))
    counts = (count(row[name]) for name in ("n_positive", "n_negative", "n_masked", "n_patients", "n_images"))
    return tuple(Cell(text) for text in (title, *where, row["label"], value, spread, *counts))


def _count(value: object) -> str:
    return MISSING if value is None else count(float(str(value)))
