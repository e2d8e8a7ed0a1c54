"""What the tables of analyses share: the stored rows, numbers with their intervals, and remarks below the table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from xrbench import analyses
from xrbench.analyses.inputs import records
from xrbench.cards import SuiteCard, TableLayout
from xrbench.rendering.numbers import MISSING, UNDEFINED, signed_with_interval, with_interval
from xrbench.rendering.table import Table
from xrbench.report.run_folder import Run

KINDS = (
    *("operating", "decision-curve", "subgroups", "policies"),
    *("seeds", "ranks", "signed-rank", "variance", "matrix", "hospitals", "case-mix"),
)
"""Analyses that have a table of their own, under the same name."""

EACH = "each"
"""Value of the option ``label`` that asks for all labels."""

SEEN = "† The weights have seen images of this test dataset: not an external result."

COUNTED = ("positive", "negative", "patients")
"""Heads of the columns of counts."""

AnalysisRow = dict[str, Any]
"""One row of a stored analysis, by column."""


def layouts_of(suite: SuiteCard) -> list[TableLayout]:
    """List the tables of analyses that a suite asks for and does not lay out itself."""
    named = {layout.kind for layout in suite.tables}
    return [
        TableLayout(name=name, kind=name, metric=suite.metrics[0], digits=3)
        for name in analyses.asked(suite)
        if name in KINDS and name not in named
    ]


def read_rows(run: Run, analysis: str, **values: str) -> pd.DataFrame | None:
    """Read an analysis of a run and keep the rows with these values; None when it was not made or nothing is left.

    A row without a figure of its own (one that says why an analysis could not be made) has no label; it is always kept.

    Args:
        run: The run.
        analysis: Name of the analysis.
        values: Column -> value that a row must have; an empty value accepts all.
    """
    frame = run.analysis(analysis)
    if frame is None:
        return None
    for column, value in values.items():
        if value:
            frame = frame[(frame[column] == value) | (frame[column] == "")]
    frame.attrs["where"] = f"analyses/{analysis}.csv" if run.computed is None else "--json and --csv"
    return frame if len(frame) else None


def read_metric_rows(run: Run, analysis: str, layout: TableLayout, **values: str) -> pd.DataFrame | None:
    """Read the rows of one metric: the layout's if it was measured, else the suite's first."""
    frame = read_rows(run, analysis, **values)
    if frame is None:
        return None
    metric = layout.metric if (frame["metric"] == layout.metric).any() else run.suite.metrics[0]
    rows = frame[frame["metric"] == metric]
    return rows if len(rows) else None


def mean_label(run: Run) -> str:
    """Name the label that a table is about unless it names another: the mean over labels, or the only one."""
    return "mean" if len(run.suite.labels) > 1 else run.suite.labels[0]


def label_value(run: Run, label: str) -> str:
    """Turn the option ``label`` into a value for ``read_rows``: empty accepts all labels."""
    return "" if label == EACH else label or mean_label(run)


def figure(row: Mapping[str, Any], digits: int) -> str:
    """Write the value of a row with its interval.

    >>> figure({"value": 0.8547, "low": 0.81, "high": 0.89}, 2)
    '0.85 (0.81-0.89)'
    """
    return with_interval(float(row["value"]), float(row["low"]), float(row["high"]), digits)


def change(row: Mapping[str, Any], value: str, low: str, high: str, digits: int) -> str:
    """Write a difference with its interval, from the columns of these names.

    >>> change({"d": 0.031, "a": -0.01, "b": 0.07}, "d", "a", "b", 3)
    '+0.031 (-0.010 … +0.070)'
    """
    middle = float(row[value])
    return MISSING if math.isnan(middle) else signed_with_interval(middle, float(row[low]), float(row[high]), digits)


def method_name(row: Mapping[str, Any]) -> str:
    """Name the method of a row, and how many fits an ensemble averages."""
    members = row.get("members")
    several = members is not None and not math.isnan(float(members)) and float(members) > 1
    return f"{row['method']} ({float(members or 0):.0f} fits)" if several else str(row["method"])


def subject_heads(rows: Sequence[AnalysisRow]) -> tuple[str, ...]:
    """Head the columns that say what was tested: predictions from a file have no method and no training set, only a site."""
    return ("site",) if rows and not rows[0]["method"] else ("method", "train", "test")


def subject(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what was tested, under ``subject_heads``."""
    return (method_name(row), *train_and_test(row)) if row["method"] else (str(row["test"]),)


def by_subject(rows: Sequence[AnalysisRow], *columns: str) -> list[list[AnalysisRow]]:
    """Group rows into the blocks of a table: by method and model, or by site, then by columns."""
    names = ("test",) if subject_heads(rows) == ("site",) else ("method", "model")
    return list(grouped(rows, *names, *columns).values())


def train_and_test(row: Mapping[str, Any]) -> tuple[str, str]:
    """Name what the model of a row was trained on and what it was tested on, with all that sets the test apart."""
    named = f"{row.get('configuration', '')}: " if row.get("configuration") else ""
    seed = "" if row.get("seed") is None or not row["train"] else f", seed {float(row['seed']):.0f}"
    kinds = {"external": "", "internal": " (internal)", "resubstitution": " (resubstitution: training images)"}
    test = row["test"] + kinds[row["protocol"]] + (" †" if row.get("seen") in (True, "True") else "")
    return f"{named}{row['train'] or MISSING}{seed}", test


def table_of(
    run: Run,
    layout: TableLayout,
    caption: str,
    heads: Sequence[str],
    blocks: Iterable[Sequence[Sequence[str]]],
    align: str,
    *,
    notes: Sequence[str] = (),
    titled: bool = True,
) -> Table:
    """Make the table of an analysis; without rows it still has its notes, which say why.

    Args:
        run: The run.
        layout: Name and caption.
        caption: Caption where the layout has none.
        heads: Texts of the header, one a column.
        blocks: Rows of texts, in groups.
        align: As in ``Table``.
        notes: Footnotes; what † means is added where it is used.
        titled: As in ``Table``.
    """
    blocks = list(blocks)
    seen = [SEEN] if any("†" in text for block in blocks for row in block for text in row) else []
    return Table.of(
        layout.name,
        layout.caption or caption,
        heads,
        blocks,
        align,
        titled=titled,
        notes=(*notes, *seen),
        stamp=run.stamp,
    )


def remarks(frame: pd.DataFrame, *, most: int = 6) -> list[str]:
    """List the reasons of undefined rows, then the cautions, each with the number of rows that it is about."""
    notes = []
    for column, head in (("reason", UNDEFINED), ("caution", "caution")):
        counts = frame.loc[frame[column] != "", column].value_counts(sort=True)
        for text, times in list(counts.items())[:most]:
            notes.append(f"{head}: {text}{f' ({times:,} rows)' if times > 1 else ''}.")
        if len(counts) > most:
            notes.append(f"{head}: {len(counts) - most} other remarks stand in {frame.attrs.get('where', 'analyses')}.")
    return notes


def level_of(frame: pd.DataFrame) -> str:
    """Name the level of the intervals.

    >>> level_of(pd.DataFrame({"level": [0.95, float("nan")]}))
    '95 % intervals in parentheses.'
    """
    known = frame["level"].dropna()
    return f"{100 * known.iloc[0]:g} % intervals in parentheses." if len(known) else ""


def labelled_rows(frame: pd.DataFrame) -> list[AnalysisRow]:
    """Return the rows that are about a label; those that only give a reason are not."""
    return records(frame[frame["label"] != ""])


def grouped(rows: Sequence[AnalysisRow], *columns: str) -> dict[tuple[Any, ...], list[AnalysisRow]]:
    """Group rows by the values of columns, in the order of their first row."""
    groups: dict[tuple[Any, ...], list[AnalysisRow]] = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in columns), []).append(row)
    return groups
