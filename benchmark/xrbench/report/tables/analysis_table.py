"""What tables of conclusions share: the rows of an analysis, figures with their intervals, and the words below."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from xrbench import analyses
from xrbench.analyses.inputs import records
from xrbench.cards import SuiteCard, TableLayout
from xrbench.rendering.numbers import MISSING, UNDEFINED, interval, number, signed
from xrbench.rendering.table import Cell, Row, Table
from xrbench.report.run_folder import Run

KINDS = (
    *("operating", "decision-curve", "subgroups", "policies"),
    *("seeds", "ranks", "signed-rank", "variance", "matrix"),
)
"""Analyses that have a table of their own, under the same name."""

Finding = dict[str, Any]


def layouts_of(suite: SuiteCard) -> list[TableLayout]:
    """List the tables of analyses that a suite asks for and does not lay out itself."""
    named = {layout.kind for layout in suite.tables}
    return [
        TableLayout(name=name, kind=name, metric=suite.metrics[0], digits=3)
        for name in analyses.asked(suite)
        if name in KINDS and name not in named
    ]


def rows_of(run: Run, analysis: str, **wanted: str) -> pd.DataFrame | None:
    """Read an analysis of a run and keep the rows with these values; None when it was not made or nothing is left.

    A row without a figure of its own (one that says why an analysis could not be made) has no label; it is always kept.
    """
    frame = analyses.read(run.folder, analysis)
    if frame is None:
        return None
    for column, value in wanted.items():
        if value:
            frame = frame[(frame[column] == value) | (frame[column] == "")]
    frame.attrs["name"] = analysis
    return frame if len(frame) else None


def mean_label(run: Run) -> str:
    """Name the label that a table is about unless it names another: the mean over labels, or the only one."""
    return "mean" if len(run.suite.labels) > 1 else run.suite.labels[0]


def metric_of(run: Run, frame: pd.DataFrame, layout: TableLayout) -> str:
    """Name the metric of a table: the layout's if it was measured, else the suite's first."""
    return layout.metric if (frame["metric"] == layout.metric).any() else run.suite.metrics[0]


def figure(row: Mapping[str, Any], digits: int) -> str:
    """Write a figure with its interval.

    >>> figure({"value": 0.8547, "low": 0.81, "high": 0.89}, 2), figure({"value": float("nan")}, 2)
    ('0.85 (0.81-0.89)', 'n/a')
    """
    value = float(row["value"])
    if math.isnan(value):
        return UNDEFINED
    return f"{number(value, digits)} {interval(float(row['low']), float(row['high']), digits)}".rstrip()


def change(row: Mapping[str, Any], value: str, low: str, high: str, digits: int) -> str:
    """Write a difference with its interval.

    >>> change({"d": 0.031, "a": -0.01, "b": 0.07}, "d", "a", "b", 3)
    '+0.031 (-0.010 … +0.070)'
    """
    middle, ends = float(row[value]), (float(row[low]), float(row[high]))
    if math.isnan(middle):
        return MISSING
    if any(map(math.isnan, ends)):
        return signed(middle, digits)
    return f"{signed(middle, digits)} ({signed(ends[0], digits)} … {signed(ends[1], digits)})"


def amount(value: Any) -> str:
    """Write a count.

    >>> amount(1204.0), amount(float("nan")) == MISSING
    ('1,204', True)
    """
    return MISSING if value is None or math.isnan(float(value)) else f"{float(value):,.0f}"


def who(row: Mapping[str, Any]) -> str:
    """Name who made a figure: the method, and how many fits an ensemble averages."""
    members = row.get("members")
    several = members is not None and not math.isnan(float(members)) and float(members) > 1
    return f"{row['method']} ({float(members or 0):.0f} fits)" if several else str(row["method"])


def where(row: Mapping[str, Any]) -> tuple[str, str]:
    """Say on what a figure's model was trained and on what it was tested, with all that sets the test apart."""
    named = f"{row.get('configuration', '')}: " if row.get("configuration") else ""
    seed = "" if row.get("seed") is None or not row["train"] else f", seed {float(row['seed']):.0f}"
    kinds = {"external": "", "internal": " (internal)", "resubstitution": " (resubstitution: training images)"}
    test = row["test"] + kinds[row["protocol"]] + (" †" if row.get("seen") in (True, "True") else "")
    return f"{named}{row['train'] or MISSING}{seed}", test


SEEN = "† The weights have seen images of this test dataset: not an external result."


def table_of(
    run: Run,
    layout: TableLayout,
    caption: str,
    heads: Sequence[str],
    blocks: Iterable[Sequence[Sequence[str]]],
    *,
    align: str,
    notes: Sequence[str] = (),
    titled: bool = True,
) -> Table:
    """Put texts into a table; one without rows still has its notes, which say why."""
    laid: list[tuple[Row, ...]] = [tuple(tuple(Cell(text) for text in row) for row in block) for block in blocks]
    kept = [block for block in laid if block]
    seen = [SEEN] if any("†" in cell.text for block in kept for row in block for cell in row) else []
    return Table(
        name=layout.name,
        caption=layout.caption or caption,
        header=(tuple(heads),),
        blocks=tuple(kept),
        align=align,
        titled=titled,
        notes=(*notes, *seen),
        stamp=run.stamp,
    )


def words(frame: pd.DataFrame, *, most: int = 6) -> list[str]:
    """Say what must be known of the rows: reasons of what is undefined, then cautions, each with how many rows it is about."""
    notes = []
    for column, head in (("reason", UNDEFINED), ("caution", "caution")):
        counts = frame.loc[frame[column] != "", column].value_counts(sort=True)
        for text, times in list(counts.items())[:most]:
            notes.append(f"{head}: {text}{f' ({times:,} rows)' if times > 1 else ''}.")
        if len(counts) > most:
            notes.append(
                f"{head}: {len(counts) - most} other remarks stand in judgement/{frame.attrs.get('name', '*')}.csv."
            )
    return notes


def level_of(frame: pd.DataFrame) -> str:
    """Name the level of the intervals.

    >>> level_of(pd.DataFrame({"level": [0.95, float("nan")]}))
    '95 % intervals in parentheses.'
    """
    known = frame["level"].dropna()
    return f"{100 * known.iloc[0]:g} % intervals in parentheses." if len(known) else ""


def listed(frame: pd.DataFrame) -> list[Finding]:
    """Return the rows that have a figure, or a label without one."""
    return records(frame[frame["label"] != ""])


def grouped(rows: Sequence[Finding], *names: str) -> dict[tuple[Any, ...], list[Finding]]:
    """Gather rows by the values of columns, in the order in which they come."""
    found: dict[tuple[Any, ...], list[Finding]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found
