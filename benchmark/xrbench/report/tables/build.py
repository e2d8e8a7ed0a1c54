"""From tidy scores to the tables that a suite asks for, and those that every suite gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from xrbench import blocks
from xrbench.cards import SuiteCard, TableLayout
from xrbench.compare.scores_io import check_scores
from xrbench.errors import UnknownNameError, UsageError
from xrbench.fixture_notice import STAMP
from xrbench.metrics import metric_title
from xrbench.rendering.numbers import MISSING, count, interval, number
from xrbench.rendering.table import Table
from xrbench.report.reported_values import Reported
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import Selection, is_fixture
from xrbench.report.tables.analysis_table import layouts_of
from xrbench.report.tables.best_marks import Marks, marks_of
from xrbench.report.tables.by_setting import SEEN, seen_note, settings_table
from xrbench.report.tables.generalization_gap import gap_table
from xrbench.report.tables.reported_beside import Brackets
from xrbench.report.tables.win_tie_loss import wins_table

Descriptions = Sequence[Mapping[str, Any]]
SCORES = "scores"
OF_SCORES = ("datasets", "settings", "internal-external")
"""Kinds of table that are made of the scores alone."""
DATASET_COLUMNS = {"images": "total", "patients": "", "used": "used", "pathologies": "pathologies"}
"""Number that a run tells of a dataset -> the paper's column; empty where papers have none."""


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
    if layout.kind not in OF_SCORES:
        raise UsageError(
            f"table {layout.name}: a table of kind {layout.kind!r} is made of a run folder, not of scores alone: "
            f"xrbench report RUN --table {layout.name}"
        )
    scores = check_scores(scores)
    if layout.kind == "datasets":
        laid_out = datasets_table(scores, layout, descriptions or (), paper=paper)
    elif layout.kind == "settings":
        selection = Selection(scores, suite, layout.metric)
        laid_out = settings_table(selection, layout, paper=paper, intervals=intervals, marks=marks)
    else:
        laid_out = gap_table(Selection(scores, suite, layout.metric), layout)
    return with_unreadable(laid_out, descriptions or ())


def run_table(run: Run, layout: TableLayout) -> Table | None:
    """Make a table of a run by the block of its kind; None when the run has nothing for it.

    Raises:
        UnknownNameError: No kind of table of that name; the nearest one is offered.
        CardError: An option that this kind does not take.
    """
    where = f"suite {run.suite.name}: table {layout.name}"
    make = blocks.check_options("table", layout.kind, layout.options, where=where)
    table_of_run: Table | None = make(run, layout, **layout.options)
    return table_of_run


def with_unreadable(laid_out: Table, descriptions: Descriptions) -> Table:
    """Add a note on how many images were left out because they cannot be read."""
    left = [f"{about['unreadable']:,} of {about['dataset']}" for about in descriptions if about.get("unreadable")]
    note = f"Left out, since they cannot be read: {', '.join(left)}."
    return replace(laid_out, notes=(*laid_out.notes, note)) if left else laid_out


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
    if run is not None and layout.kind not in OF_SCORES:
        of_run = run_table(run, layout)
        if of_run is None:
            raise UsageError(f"table {name}: {run.folder} has nothing for a table of kind {layout.kind!r}")
        return with_unreadable(of_run, descriptions or ())
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
    tables = suite_tables(scores, suite, paper=paper, descriptions=descriptions, run=run)
    marks = None if run is None else marks_of(run.folder)
    for layout in suite.tables:
        if layout.kind == "settings":
            tables.append(table(scores, suite, layout, descriptions=descriptions, intervals=True, marks=marks))
    analysed = [] if run is None else analysis_tables(run)
    others = [*analysed, *wins_tables(check_scores(scores), suite), scores_table(scores, suite)]
    return [*tables, *(with_unreadable(other, descriptions or ()) for other in others)]


def wins_tables(scores: pd.DataFrame, suite: SuiteCard) -> list[Table]:
    """Lay out wins, ties and losses of each declared comparison that was measured."""
    tables = [
        wins_table(Selection(scores, suite, declared.metric), declared.challenger, declared.baseline)
        for declared in suite.comparisons
    ]
    return [table for table in tables if table.blocks]


def analysis_tables(run: Run) -> list[Table]:
    """Lay out the analyses that a suite asks for and that it does not lay out itself."""
    tables = (run_table(run, layout) for layout in layouts_of(run.suite))
    return [table for table in tables if table is not None]


def suite_tables(
    scores: pd.DataFrame,
    suite: SuiteCard,
    *,
    paper: Reported | None = None,
    descriptions: Descriptions | None = None,
    run: Run | None = None,
) -> list[Table]:
    """Lay out the tables that the suite names, in its order."""
    tables = []
    marks = None if run is None else marks_of(run.folder)
    for layout in suite.tables:
        if layout.kind in OF_SCORES:
            tables.append(table(scores, suite, layout, paper=paper, descriptions=descriptions, marks=marks))
        elif run is not None and (of_run := run_table(run, layout)) is not None:
            tables.append(with_unreadable(of_run, descriptions or ()))
    return tables


def datasets_table(
    scores: pd.DataFrame, layout: TableLayout, descriptions: Descriptions, *, paper: Reported | None = None
) -> Table:
    """Make the table of what was used of each dataset, with what the paper says of it in brackets."""
    brackets = Brackets(paper, fixture=is_fixture(scores))
    listed = [] if brackets.shown is None else brackets.shown.datasets.to_dict("records")
    reported = {row["dataset"]: row for row in listed}
    rows = []
    for about in descriptions:
        printed = reported.get(about["dataset"]) or {}
        numbers = [
            brackets.behind(count(about.get(ours)), count(float(printed[theirs])) if theirs in printed else "")
            for ours, theirs in DATASET_COLUMNS.items()
        ]
        region = brackets.behind(str(about.get("region") or MISSING), str(printed.get("region", "")))
        rows.append((str(about["dataset"]), *numbers, region))
    empty = [] if rows else ["Nothing is stored about the datasets of these scores."]
    return Table.of(
        layout.name,
        layout.caption or "Datasets",
        ("dataset", "# samples total", "# patients", "# samples used", "# pathologies", "region"),
        [rows],
        "lrrrrl",
        notes=[*empty, *brackets.notes()],
        stamp=STAMP if is_fixture(scores) else "",
    )


def scores_table(scores: pd.DataFrame, suite: SuiteCard, *, metric: str = "auc", digits: int = 3) -> Table:
    """List every cell and label with its interval and its counts."""
    selection = Selection(check_scores(scores), suite, metric)
    by_line = []
    rows = selection.scores[selection.scores["label"].isin(selection.with_mean)]
    for line in selection.lines:
        of_line = rows[(rows["method"] == line.method) & (rows["model"] == line.model)]
        by_line.append(tuple(_score_row(selection.title(line), row, digits) for _, row in of_line.iterrows()))
    heads = ("method", "train", "valid", "test", "protocol", "seed", "label", metric_title(metric), "interval")
    return Table.of(
        SCORES,
        f"{metric_title(metric)} of every cell and label",
        (*heads, "positive", "negative", "masked", "patients", "images"),
        by_line,
        "lllllrlrrrrrrr",
        titled=True,
        notes=seen_note(bool(selection.scores["seen"].any())),
        stamp=selection.stamp,
    )


def _score_row(title: str, row: pd.Series, digits: int) -> tuple[str, ...]:
    value = number(row["value"], digits) + (SEEN if row["seen"] else "")
    ends = interval(row["low"], row["high"], digits).strip("()") or MISSING
    train = f"{row['configuration']}: {row['train']}" if row["configuration"] else row["train"]
    where = (train or MISSING, row["valid"] or MISSING, row["test"], row["protocol"], str(row["seed"]))
    counts = (count(row[name]) for name in ("n_positive", "n_negative", "n_masked", "n_patients", "n_images"))
    return (title, *where, row["label"], value, ends, *counts)
