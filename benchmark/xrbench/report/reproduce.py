"""Whether what we measured agrees with what a paper reported."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pandas as pd

from xrbench.cards import SuiteCard
from xrbench.report.numbers import MISSING, interval, metric_title, number
from xrbench.report.papers import OVER_SETTINGS, Reported, domains
from xrbench.report.selection import Figure, Line, Selection
from xrbench.report.writers import Cell, Table

NEAR = 3
"""A figure within so many tolerances of the reported one is near."""

Verdict = Literal["reproduced", "near", "off", "not measured"]


def verdicts(scores: pd.DataFrame, suite: SuiteCard, paper: Reported) -> pd.DataFrame:
    """Set every reported figure beside the measured one.

    A figure is *reproduced* when it is within the card's tolerance of the reported one or the reported one lies inside its
    interval, *near* within three tolerances, else *off*; synthetic images measure nothing that a paper reported. The mean
    over settings is taken over the same settings as the paper's, contaminated ones included, as papers do.

    Args:
        scores: Tidy scores.
        suite: The suite.
        paper: What was reported.

    Returns:
        One row a reported figure: method, setting, protocol, label, metric, reported, measured, low, high, verdict.
    """
    selections = {metric: Selection(scores, suite, str(metric)) for metric in paper.scores["metric"].unique()}
    rows = []
    for _, row in paper.scores[paper.scores["value"].notna()].iterrows():
        selection = selections[row["metric"]]
        value, low, high = (math.nan,) * 3 if selection.fixture else _measured(selection, row, paper)
        rows.append(
            {
                **{name: row[name] for name in ("method", "setting", "protocol", "label", "metric", "printed")},
                "reported": row["value"],
                "measured": value,
                "low": low,
                "high": high,
                "verdict": verdict(row["value"], value, low, high, tolerance=paper.card.tolerance),
            }
        )
    return pd.DataFrame(rows)


def verdict(said: float, got: float, low: float, high: float, *, tolerance: float) -> Verdict:
    """Judge one figure.

    >>> verdict(0.86, 0.853, 0.84, 0.87, tolerance=0.01), verdict(0.86, 0.84, 0.82, 0.85, tolerance=0.01)
    ('reproduced', 'near')
    >>> verdict(0.86, 0.70, 0.68, 0.72, tolerance=0.01), verdict(0.86, float("nan"), 0, 1, tolerance=0.01)
    ('off', 'not measured')
    """
    if math.isnan(got):
        return "not measured"
    # Decimal figures are not exact in binary: 0.86 - 0.85 is a little more than 0.01.
    distance = abs(got - said) - 1e-9
    if distance <= tolerance or low <= said <= high:
        return "reproduced"
    return "near" if distance <= NEAR * tolerance else "off"


def reproduction(scores: pd.DataFrame, suite: SuiteCard, paper: Reported) -> Table:
    """Make the table "paper said, we got, verdict"."""
    judged = verdicts(scores, suite, paper)
    selection = Selection(scores, suite, "auc")
    blocks = []
    for _, part in judged.groupby("method", sort=False):
        blocks.append(tuple(_row(row) for _, row in part.iterrows()))
    counts = judged["verdict"].value_counts()
    summary = ", ".join(f"{counts.get(name, 0)} {name}" for name in ("reproduced", "near", "off", "not measured"))
    notes = [
        f"{summary}, of {len(judged)} reported figures.",
        f"Reproduced: within {paper.card.tolerance} of the reported figure, or the reported figure inside our interval; "
        f"near: within {NEAR * paper.card.tolerance:g}.",
        f"Reported in: {paper.card.cite}",
    ]
    if selection.fixture:
        notes.append("Synthetic images measure nothing that a paper reported: no figure is compared.")
    return Table(
        name="reproduction",
        caption="What the paper reported and what was measured",
        header=(("method", "setting", "figure", "reported", "measured", "interval", "verdict"),),
        blocks=tuple(blocks),
        align="lllrrrl",
        titled=True,
        notes=tuple(notes),
        stamp=selection.stamp,
    )


def _row(row: pd.Series) -> tuple[Cell, ...]:
    where = {"external": "test", "validation": "valid", "internal": "internal"}[row["protocol"]]
    measured = MISSING if math.isnan(row["measured"]) else number(row["measured"], 3)
    texts = (
        row["method"],
        row["setting"],
        f"{where} {metric_title(row['metric'])} {row['label']}",
        row["printed"],
        measured,
        interval(row["low"], row["high"], 3).strip("()") or MISSING,
        row["verdict"],
    )
    return tuple(Cell(str(text)) for text in texts)


def _measured(selection: Selection, row: pd.Series, paper: Reported) -> tuple[float, float, float]:
    line = next((line for line in selection.lines if line.method == row["method"]), None)
    if line is None:
        return (math.nan,) * 3
    if row["setting"] != OVER_SETTINGS:
        figure = _at(selection, line, row)
        return (figure.value, figure.low, figure.high) if figure else (math.nan,) * 3
    same = [name for name in ("method", "protocol", "label", "metric", "table") if name in paper.scores]
    printed = paper.scores[(paper.scores[same] == row[same]).all(axis=1) & (paper.scores["setting"] != OVER_SETTINGS)]
    figures = [_at(selection, line, setting) for _, setting in printed.iterrows()]
    values = [figure.value for figure in figures if figure is not None and figure.defined]
    whole = bool(values) and len(values) == len(printed)
    return (float(np.mean(values)) if whole else math.nan, math.nan, math.nan)


def _at(selection: Selection, line: Line, row: pd.Series) -> Figure | None:
    for column in selection.columns:
        if (domains(column.train), column.valid, column.test) == (domains(row["train"]), row["valid"], row["test"]):
            find = selection.validation if row["protocol"] == "validation" else selection.external
            return find(line, column, row["label"])
    return None
