"""From a run to the tables that its suite asks for, and those that every suite gets."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pandas as pd

from xrbench import blocks
from xrbench.cards import SuiteCard, TableLayout
from xrbench.errors import UnknownNameError, UsageError
from xrbench.metrics import metric_title
from xrbench.rendering.numbers import MISSING, count, interval, number
from xrbench.rendering.table import Table
from xrbench.report.run_folder import NOWHERE, Run
from xrbench.report.score_grid import Selection
from xrbench.report.tables.analysis_table import layouts_of
from xrbench.report.tables.by_setting import SEEN, seen_note
from xrbench.report.tables.win_tie_loss import wins_table
from xrbench.runs.shared_parents import notes_of_scores

SCORES = "scores"
ABOUT_DATA = ("datasets", "splits", "trainings")
"""Kinds of tables that say nothing of a method's results."""


def run_table(run: Run, layout: TableLayout) -> Table | None:
    """Make a table of a run by the block of its kind; None when the run has nothing for it.

    Raises:
        UnknownNameError: No kind of table of that name; the nearest one is offered.
        CardError: An option that this kind does not take.
    """
    where = f"suite {run.suite.name}: table {layout.name}"
    make = blocks.check_options("table", layout.kind, layout.options, where=where)
    made: Table | None = make(run, layout, **layout.options)
    if made is None:
        return None
    return with_unreadable(run, made if layout.kind in ABOUT_DATA else with_given(run, made))


def with_given(run: Run, table: Table) -> Table:
    """Add a note on each method whose seeds share one parent: figures over seeds, and what follows from them, hold for that parent."""
    notes = tuple(f"{text}." for text in notes_of_scores(run.scores))
    return replace(table, notes=(*table.notes, *notes))


def with_unreadable(run: Run, table: Table) -> Table:
    """Add a note on how many images were left out because they cannot be read."""
    described = run.manifest.get("datasets", ())
    left = [f"{about['unreadable']:,} of {about['dataset']}" for about in described if about.get("unreadable")]
    note = f"Left out, since they cannot be read: {', '.join(left)}."
    return replace(table, notes=(*table.notes, note)) if left else table


def named(run: Run, name: str) -> Table:
    """Lay out the suite's table of that name; ``NAME-intervals`` has intervals, and ``scores`` is there for every suite.

    Raises:
        UnknownNameError: No such table.
        UsageError: The run has nothing for the table, or is of scores alone.
    """
    if name == SCORES:
        return scores_table(run)
    layouts = {layout.name: layout for layout in layouts_with_intervals(run.suite)}
    layouts = {layout.name: layout for layout in layouts_of(run.suite)} | layouts
    if name not in layouts:
        raise UnknownNameError("table", name, (*layouts, SCORES), where=f"suite {run.suite.name}")
    made, kind = run_table(run, layouts[name]), layouts[name].kind
    if made is None and run.folder == NOWHERE:
        raise UsageError(
            f"table {name}: a table of kind {kind!r} is made of a run folder, not of scores alone: "
            f"xrbench report RUN --table {name}"
        )
    if made is None:
        raise UsageError(f"table {name}: {run.folder} has nothing for a table of kind {kind!r}")
    return made


def layouts_with_intervals(suite: SuiteCard) -> list[TableLayout]:
    """List the layouts that a suite names, then those of settings again with intervals."""
    again = [
        msgspec.structs.replace(layout, name=f"{layout.name}-intervals", options={**layout.options, "intervals": True})
        for layout in suite.tables
        if layout.kind == "settings"
    ]
    return [*suite.tables, *again]


def every_table(run: Run) -> list[Table]:
    """Lay out all tables: the suite's, with and without intervals, wins and losses of each comparison, and scores.

    Tables for which the run has nothing are left out.
    """
    made = [run_table(run, layout) for layout in layouts_with_intervals(run.suite)]
    others = [with_unreadable(run, table) for table in (*wins_tables(run), scores_table(run))]
    return [*(table for table in made if table is not None), *analysis_tables(run), *others]


def suite_tables(run: Run) -> list[Table]:
    """Lay out the tables that the suite names, in its order."""
    tables = (run_table(run, layout) for layout in run.suite.tables)
    return [table for table in tables if table is not None]


def analysis_tables(run: Run) -> list[Table]:
    """Lay out the analyses that a suite asks for and that it does not lay out itself."""
    tables = (run_table(run, layout) for layout in layouts_of(run.suite))
    return [table for table in tables if table is not None]


def wins_tables(run: Run) -> list[Table]:
    """Lay out wins, ties and losses of each declared comparison that was measured."""
    tables = [
        wins_table(Selection(run.scores, run.suite, declared.metric), declared.challenger, declared.baseline)
        for declared in run.suite.comparisons
    ]
    return [with_given(run, table) for table in tables if table.blocks]


def scores_table(run: Run, *, metric: str = "auc", digits: int = 3) -> Table:
    """List every cell and label with its interval and its counts."""
    selection = Selection(run.scores, run.suite, metric)
    by_line = []
    rows = selection.scores[selection.scores["label"].isin(selection.with_mean)]
    for line in selection.lines:
        of_line = rows[(rows["method"] == line.method) & (rows["model"] == line.model)]
        by_line.append(tuple(_score_row(selection.title(line), row, digits) for _, row in of_line.iterrows()))
    heads = ("method", "train", "valid", "test", "protocol", "seed", "label", metric_title(metric), "interval")
    table = Table.of(
        SCORES,
        f"{metric_title(metric)} of every cell and label",
        (*heads, "positive", "negative", "masked", "patients", "images"),
        by_line,
        "lllllrlrrrrrrr",
        titled=True,
        notes=seen_note(bool(selection.scores["seen"].any())),
        stamp=selection.stamp,
    )
    return with_given(run, table)


def _score_row(title: str, row: pd.Series, digits: int) -> tuple[str, ...]:
    value = number(row["value"], digits) + (SEEN if row["seen"] else "")
    ends = interval(row["low"], row["high"], digits).strip("()") or MISSING
    train = f"{row['configuration']}: {row['train']}" if row["configuration"] else row["train"]
    where = (train or MISSING, row["valid"] or MISSING, row["test"], row["protocol"], str(row["seed"]))
    counts = (count(row[name]) for name in ("n_positive", "n_negative", "n_masked", "n_patients", "n_images"))
    return (title, *where, row["label"], value, ends, *counts)
