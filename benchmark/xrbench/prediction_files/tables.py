"""Tables of predictions from files: their figures and the gap between two sites; what else is concluded has the tables of runs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from xrbench.analyses.inputs import records
from xrbench.cards import TableLayout
from xrbench.rendering.numbers import MISSING, count, interval, number
from xrbench.rendering.table import Table
from xrbench.report.tables.analysis_table import EACH, figure, grouped, remarks

HEADS = ("positive", "negative", "masked", "patients")


def layouts(target: str) -> tuple[TableLayout, ...]:
    """Lay out what can be asked of predictions beyond their figures.

    Args:
        target: The operating point; empty for none.
    """
    at = f"At {target.replace('=', ' ')}"
    options = {"label": EACH, "every": True}
    return (
        TableLayout(name="operating", kind="operating", caption=at, digits=3),
        TableLayout(name="decision-curve", kind="decision-curve", digits=3),
        TableLayout(name="subgroups", kind="subgroups", digits=3, options=options),
    )


def score_table(scores: pd.DataFrame, metrics: Sequence[str]) -> Table:
    """Lay out figures: a row a site and label, a column a metric."""
    blocks = []
    for of_site in grouped(records(scores), "site").values():
        rows = []
        for of_label in grouped(of_site, "label").values():
            by_metric = {row["metric"]: row for row in of_label}
            figures = [figure(by_metric[name], 3) if name in by_metric else MISSING for name in metrics]
            counts = (count(of_label[0][f"n_{name}"]) for name in HEADS)
            rows.append((str(of_label[0]["site"]), str(of_label[0]["label"]), *figures, *counts))
        blocks.append(rows)
    shown = scores[scores["metric"].isin(metrics)]
    unit = "patients" if scores["unit"].iloc[0] == "patient" else "images (no patient ids)"
    kinds = ", ".join(kind for kind in dict.fromkeys(shown["interval"]) if kind) or "none"
    return Table.of(
        "scores",
        f"Figures with {scores['level'].iloc[0]:.0%} intervals ({kinds}, resampling {unit})",
        ("site", "label", *metrics, *HEADS),
        blocks,
        "ll" + "r" * (len(metrics) + len(HEADS)),
        titled=True,
        notes=remarks(shown),
    )


def gap_table(gaps: pd.DataFrame, here: str) -> Table:
    """Lay out the gap between two sites."""
    rows = [
        (
            row["label"],
            *(number(row[name], 3) for name in ("internal", "external", "gap")),
            interval(row["low"], row["high"], 3),
        )
        for row in records(gaps)
    ]
    heads = ("label", "AUC at the reference site", f"AUC at {here}", "gap", "interval")
    return Table.of("gap", "Generalization gap (reference minus here)", heads, [rows], "lrrrr")
