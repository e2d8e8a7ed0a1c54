"""Tables of what was concluded test set by test set: operating points, decision curves, subgroups, label policies.

Each is a block: it is given the run and the layout, reads the analysis that stands beside the run's scores, and returns nothing
where that was not made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from xrbench.cards import TableLayout
from xrbench.rendering.differences import p_text
from xrbench.rendering.numbers import MISSING, metric_title, number
from xrbench.rendering.table import Table
from xrbench.report.run_folder import Run
from xrbench.report.tables import analysis_table
from xrbench.report.tables.analysis_table import Finding, amount, change, figure, grouped, listed, where, who

CELL = ("method", "model", "cell")


def operating(run: Run, layout: TableLayout, *, protocol: str = "external", label: str = "") -> Table | None:
    """Show what thresholds fixed on validation images mean on every test set.

    Args:
        run: The run.
        layout: Name, caption and decimals.
        protocol: ``external``, ``internal`` or ``resubstitution``; empty for all.
        label: One label; empty for all.
    """
    frame = analysis_table.rows_of(run, "operating", protocol=protocol, label=label)
    if frame is None:
        return None
    at = [metric for metric in frame["metric"].unique() if ",prevalence=" in metric]
    figures = ("recall", "specificity", "ppv", "npv", *at)
    heads = ("method", "target", "train", "test", "label", "threshold", *map(_title, figures))
    blocks = [
        [_point(of, figures, layout.digits) for of in grouped(rows, "cell", "label").values()]
        for rows in grouped(listed(frame), "method", "model", "target").values()
    ]
    return analysis_table.table_of(
        run,
        layout,
        "Thresholds fixed on validation images, and what they mean on every test set",
        (*heads, "alarms per 1,000", "drift from target", "prevalence", "positive", "negative", "patients"),
        blocks,
        align="llllll" + "r" * (len(figures) + 6),
        notes=[
            f"PPV and NPV at the test set's own prevalence unless another is stated. {analysis_table.level_of(frame)}",
            *analysis_table.words(frame),
        ],
    )


def _title(name: str) -> str:
    """Write a figure's name as a heading.

    >>> _title("ppv,prevalence=0.02"), _title("recall")
    ('PPV at 0.02', 'recall')
    """
    base, _, stated = name.partition(",prevalence=")
    shown = base.upper() if base in ("ppv", "npv") else base
    return f"{shown} at {stated}" if stated else shown


def _point(rows: list[Finding], figures: tuple[str, ...], digits: int) -> tuple[str, ...]:
    of = {row["metric"]: row for row in rows}
    first = rows[0]
    shown = [figure(of[name], digits) if name in of else MISSING for name in figures]
    drift = change(of["drift"], "value", "low", "high", digits) if "drift" in of else MISSING
    common = number(of["prevalence"]["value"], digits) if "prevalence" in of else MISSING
    counts = [amount(first[name]) for name in ("n_positive", "n_negative", "n_patients")]
    alarms = figure(of["alarms-per-1000"], 0) if "alarms-per-1000" in of else MISSING
    about = (who(first), first["target"], *where(first), first["label"], number(first["threshold"], 4))
    return (*about, *shown, alarms, drift, common, *counts)


def decision_curve(run: Run, layout: TableLayout, *, protocol: str = "external", label: str = "") -> Table | None:
    """Show the net benefit of acting on the model, on everyone and on no one.

    Args:
        run: The run.
        layout: Name, caption and decimals.
        protocol: ``external``, ``internal`` or ``resubstitution``; empty for all.
        label: One label; empty for all.
    """
    frame = analysis_table.rows_of(run, "decision-curve", protocol=protocol, label=label)
    if frame is None:
        return None
    blocks = [
        [
            (
                *(who(row), *where(row), row["label"], f"{row['threshold']:g}", figure(row, layout.digits)),
                *(number(row["treat_all"], layout.digits), number(row["above"], layout.digits)),
                *(amount(row["n_positive"]), amount(row["n_negative"]), amount(row["n_patients"])),
            )
            for row in rows
        ]
        for rows in grouped(listed(frame), "method", "model").values()
    ]
    heads = (
        "method",
        "train",
        "test",
        "label",
        "threshold",
        "net benefit",
        "act on everyone",
        "above the better default",
    )
    return analysis_table.table_of(
        run,
        layout,
        "Net benefit of acting at a threshold probability; acting on no one is 0",
        (*heads, "positive", "negative", "patients"),
        blocks,
        align="llll" + "r" * 7,
        notes=[analysis_table.level_of(frame), *analysis_table.words(frame)],
    )


def subgroups(run: Run, layout: TableLayout, *, protocol: str = "external", label: str = "") -> Table | None:
    """Show the worst group of patients of every test set, and how far it lies behind the others.

    Args:
        run: The run.
        layout: Name, caption and decimals.
        protocol: ``external``, ``internal`` or ``resubstitution``; empty for all.
        label: One label, ``each`` for all; the mean over labels when empty.
    """
    chosen = "" if label == "each" else label or analysis_table.mean_label(run)
    frame = analysis_table.rows_of(run, "subgroups", protocol=protocol, label=chosen)
    if frame is None and protocol == "external":  # the external dataset does not know its patients
        return subgroups(run, layout, protocol="internal", label=label)
    if frame is None:
        return None
    blocks = []
    for rows in grouped(listed(frame), "method", "model").values():
        cells = grouped(rows, "cell", "column", "metric", "label")
        blocks.append([_worst(of, layout.digits) for of in cells.values()])
    heads = ("method", "train", "test", "by", "figure", "label", "worst group", "its figure", "patients", "others")
    return analysis_table.table_of(
        run,
        layout,
        "The worst group of patients of every test set",
        (*heads, "others minus worst", "p", "p adjusted", "groups shown", "suppressed"),
        blocks,
        align="lllllllrrrrrrrr",
        notes=[
            "The worst of several groups looks worse than it is; p is of its distance to all others together, adjusted over the "
            f"groups and labels of one test set. {analysis_table.level_of(frame)}",
            *analysis_table.words(frame[~frame["reason"].str.startswith("suppressed")]),
        ],
    )


def _worst(rows: list[Finding], digits: int) -> tuple[str, ...]:
    first = rows[0]
    hidden = [row for row in rows if _true(row["suppressed"])]
    shown = [row for row in rows if not _true(row["suppressed"])]
    about = (who(first), *where(first), first["column"], metric_title(first["metric"]), first["label"])
    counts = (str(len(shown)), str(len(hidden)))
    worst = next((row for row in rows if _true(row["worst"])), None)
    if worst is None:
        return (*about, *(MISSING,) * 7, *counts)
    others = worst["value"] + worst["behind"]
    figures = (figure(worst, digits), amount(worst["n_patients"]), number(others, digits))
    behind = change(worst, "behind", "behind_low", "behind_high", digits)
    return (*about, worst["group"], *figures, behind, p_text(worst["p"]), p_text(worst["p_adjusted"]), *counts)


def policies(run: Run, layout: TableLayout, *, protocol: str = "external", label: str = "") -> Table | None:
    """Show every method under every label policy, and whether the order of methods holds.

    Args:
        run: The run.
        layout: Name, caption and decimals.
        protocol: ``external`` or ``internal``; empty for both.
        label: One label, ``each`` for all; the mean over labels when empty.
    """
    chosen = "" if label == "each" else label or analysis_table.mean_label(run)
    frame = analysis_table.rows_of(run, "policies", protocol=protocol, label=chosen)
    if frame is None:
        return None
    rows = [row for row in listed(frame) if row["policy"]]
    names = tuple(dict.fromkeys(row["policy"] for row in rows))
    blocks = [list(_family(of, names, layout.digits)) for of in _settings(rows).values()]
    return analysis_table.table_of(
        run,
        layout,
        "The same predictions under other readings of uncertain and blank labels",
        ("method", "train", "test", "label", *names, "lowest tau", "same best", "patients"),
        blocks,
        align="llll" + "r" * len(names) + "rlr",
        titled=False,
        notes=[
            "Tau: Kendall's tau-b of the order of methods, the lowest between any two policies; with two methods it is 1 or -1. "
            f"{analysis_table.level_of(frame)} Images that a policy leaves out differ: see n_masked in judgement/policies.csv.",
            *analysis_table.words(frame),
        ],
    )


def _settings(rows: list[Finding]) -> dict[tuple[str, ...], list[Finding]]:
    """Gather what was compared: a model that is used as it comes stands behind the trained methods of its family."""
    found: dict[tuple[str, ...], list[Finding]] = {}
    key: tuple[str, ...] = ()
    for row in rows:
        if row["train"]:
            key = (row["setting"], row["test"], str(row["seed"]), row["protocol"])
        elif not key or key[1] != row["test"]:
            key = ("", row["test"], "", row["protocol"])
        found.setdefault(key, []).append(row)
    return found


def _family(rows: list[Finding], names: tuple[str, ...], digits: int) -> Iterator[tuple[str, ...]]:
    for of in grouped(rows, "method", "model", "label").values():
        by_policy = {row["policy"]: row for row in of}
        values = [figure(by_policy[name], digits) if name in by_policy else MISSING for name in names]
        first = of[0]
        tau = MISSING if math.isnan(first["lowest_tau"]) else f"{first['lowest_tau']:.2f}"
        stable = {"True": "yes", "False": "no"}.get(str(first["stable"]), MISSING)
        yield (who(first), *where(first), first["label"], *values, tau, stable, amount(first["n_patients"]))


def _true(value: object) -> bool:
    return str(value) == "True"
