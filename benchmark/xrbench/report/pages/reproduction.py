"""Measured figures against those that a paper reported."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pandas as pd

from xrbench.cards import SuiteCard
from xrbench.metrics import metric_title
from xrbench.rendering.numbers import MISSING, interval, number
from xrbench.rendering.table import Table
from xrbench.report.reported_values import OVER_SETTINGS, Reported, domains, same_domains
from xrbench.report.score_grid import Figure, Line, Selection
from xrbench.runs.shared_parents import notes_of_scores

NEAR = 3
"""A figure within so many tolerances of the reported one is near."""

Verdict = Literal["reproduced", "near", "off", "not measured"]
WHERE = {"external": "test", "validation": "valid", "internal": "internal", "resubstitution": "training images"}
"""Protocol -> how it stands before a figure."""


def verdicts(scores: pd.DataFrame, suite: SuiteCard, paper: Reported) -> pd.DataFrame:
    """Compare every reported figure with the measured one.

    A figure is *reproduced* when it is within the card's tolerance of the reported one or the reported one lies inside its
    interval, *near* within three tolerances, else *off*; synthetic images measure nothing that a paper reported. The mean
    over settings is taken over the same settings as the paper's, contaminated ones included, as papers do. Where a paper names
    networks and training sets, a figure is compared with those alone, and with figures of the same kind of test: one on training
    images (resubstitution) with such figures only. Of several fits it is the mean.

    Args:
        scores: Tidy scores.
        suite: The suite.
        paper: What was reported.

    Returns:
        One row a reported figure: method, model, setting, protocol, label, metric, reported, measured, low, high, verdict.
    """
    selections = {metric: Selection(scores, suite, str(metric)) for metric in paper.scores["metric"].unique()}
    rows = []
    for _, row in paper.scores[paper.scores["value"].notna()].iterrows():
        selection = selections[row["metric"]]
        if selection.fixture:
            value, low, high = (math.nan,) * 3
        elif row["configuration"]:
            value, low, high = _of_training_set(scores, row)
        else:
            value, low, high = _measured(selection, row, paper)
        rows.append(
            {
                **{
                    name: row[name] for name in ("method", "model", "setting", "protocol", "label", "metric", "printed")
                },
                "reported": row["value"],
                "measured": value,
                "low": low,
                "high": high,
                "verdict": verdict(row["value"], value, low, high, tolerance=paper.card.tolerance),
            }
        )
    return pd.DataFrame(rows)


def verdict(reported: float, measured: float, low: float, high: float, *, tolerance: float) -> Verdict:
    """Judge one figure.

    Args:
        reported: The paper's figure.
        measured: Ours; NaN where it was not measured.
        low: Lower end of our interval.
        high: Upper end of our interval.
        tolerance: Largest difference that counts as reproduced.

    >>> verdict(0.86, 0.853, 0.84, 0.87, tolerance=0.01), verdict(0.86, 0.84, 0.82, 0.85, tolerance=0.01)
    ('reproduced', 'near')
    >>> verdict(0.86, 0.70, 0.68, 0.72, tolerance=0.01), verdict(0.86, float("nan"), 0, 1, tolerance=0.01)
    ('off', 'not measured')
    """
    if math.isnan(measured):
        return "not measured"
    # Decimal figures are not exact in binary: 0.86 - 0.85 is a little more than 0.01.
    distance = abs(measured - reported) - 1e-9
    if distance <= tolerance or low <= reported <= high:
        return "reproduced"
    return "near" if distance <= NEAR * tolerance else "off"


def reproduction(scores: pd.DataFrame, suite: SuiteCard, paper: Reported) -> Table:
    """Make the table "paper said, we got, verdict"."""
    judged = verdicts(scores, suite, paper)
    selection = Selection(scores, suite, "auc")
    blocks = [[_row(row) for _, row in rows.iterrows()] for _, rows in judged.groupby("method", sort=False)]
    counts = judged["verdict"].value_counts()
    summary = ", ".join(f"{counts.get(name, 0)} {name}" for name in ("reproduced", "near", "off", "not measured"))
    notes = [
        f"{summary}, of {len(judged)} reported figures.",
        f"Reproduced: within {paper.card.tolerance} of the reported figure, or the reported figure inside our interval; "
        f"near: within {NEAR * paper.card.tolerance:g}.",
        f"Reported in: {paper.card.cite}",
        *(f"{text}." for text in notes_of_scores(scores)),
    ]
    if selection.fixture:
        notes.append("Synthetic images measure nothing that a paper reported: no figure is compared.")
    return Table.of(
        "reproduction",
        "What the paper reported and what was measured",
        ("method", "setting", "figure", "reported", "measured", "interval", "verdict"),
        blocks,
        "lllrrrl",
        titled=True,
        notes=notes,
        stamp=selection.stamp,
    )


def _row(row: pd.Series) -> tuple[str, ...]:
    where = WHERE[row["protocol"]]
    measured = MISSING if math.isnan(row["measured"]) else number(row["measured"], 3)
    texts = (
        f"{row['method']} ({row['model']})" if row["model"] else row["method"],
        row["setting"],
        f"{where} {metric_title(row['metric'])} {row['label']}",
        row["printed"],
        measured,
        interval(row["low"], row["high"], 3).strip("()") or MISSING,
        row["verdict"],
    )
    return tuple(map(str, texts))


def _of_training_set(scores: pd.DataFrame, row: pd.Series) -> tuple[float, float, float]:
    """Find the figure of a named training set: the mean over its fits, with an interval where there is one."""
    kept = pd.Series(True, index=scores.index)
    for column in ("method", "model", "configuration", "protocol", "label", "metric", "members"):
        kept &= scores[column] == row[column]
    rows = scores[kept]
    for role in ("train", "test"):
        rows = rows[same_domains(rows[role], row[role])]
    values = rows["value"].dropna()
    if len(rows) == 1 and len(values):
        return float(values.iloc[0]), float(rows["low"].iloc[0]), float(rows["high"].iloc[0])
    return (float(values.mean()) if len(values) else math.nan), math.nan, math.nan


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
