"""Tables of analyses made test set by test set: operating points, decision curves, label policies.

Each reads the analysis that is stored beside the run's scores, and returns None where that was not made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from xrbench.cards import TableLayout
from xrbench.metrics.names import decimals, point_title
from xrbench.rendering.numbers import MISSING, count, number
from xrbench.rendering.table import Table
from xrbench.report.run_folder import Run
from xrbench.report.tables import analysis_table
from xrbench.report.tables.analysis_table import (
    COUNTED,
    AnalysisRow,
    by_subject,
    change,
    figure,
    grouped,
    labelled_rows,
    method_name,
    subject,
    subject_heads,
    train_and_test,
)

PROCEDURE = (
    "In parentheses at this threshold: test patients vary. In brackets, and for drift: of this procedure, in which the validation patients "
    "that it was chosen on vary as well; only these intervals say whether a threshold has drifted."
)


def operating(run: Run, layout: TableLayout, *, protocol: str = "external", label: str = "") -> Table | None:
    """Show what thresholds fixed on validation images mean on every test set.

    Options:
        protocol: As for all tables.
        label: One label; empty for all.
    """
    frame = analysis_table.read_rows(run, "operating", protocol=protocol, label=label)
    if frame is None:
        return None
    stated = [metric for metric in frame["metric"].unique() if ",prevalence=" in metric]
    metrics = ("recall", "specificity", "ppv", "npv", *stated)
    rows = labelled_rows(frame)
    first, *others = subject_heads(rows)
    heads = (first, "target", *others, "label", "threshold")
    blocks = [
        [_operating_point(point, metrics, layout.digits) for point in grouped(of_target, "cell", "label").values()]
        for of_target in by_subject(rows, "target")
    ]
    return analysis_table.table_of(
        run,
        layout,
        "Thresholds fixed on validation images, and what they mean on every test set",
        (
            *(
                *heads,
                *map(point_title, metrics),
                "positive calls per 1,000",
                "drift from target",
                "drifted",
                "prevalence",
            ),
            *COUNTED,
        ),
        blocks,
        "l" * len(heads) + "r" * (len(metrics) + 2) + "l" + "r" * 4,
        notes=[
            PROCEDURE,
            f"PPV and NPV at the test set's own prevalence unless another is stated. {analysis_table.level_of(frame)}",
            *analysis_table.remarks(frame),
        ],
    )


def _operating_point(rows: Sequence[AnalysisRow], metrics: Sequence[str], digits: int) -> tuple[str, ...]:
    by_metric = {row["metric"]: row for row in rows}
    first = rows[0]
    shown = [_figure(by_metric[name], digits) if name in by_metric else MISSING for name in metrics]
    positive_calls = (
        figure(by_metric["positive-calls-per-1000"], decimals("positive-calls-per-1000", digits))
        if "positive-calls-per-1000" in by_metric
        else MISSING
    )
    drift = change(by_metric["drift"], "value", "low", "high", digits) if "drift" in by_metric else MISSING
    drifted = str(by_metric.get("drift", {}).get("drifted") or MISSING)
    prevalence = number(by_metric["prevalence"]["value"], digits) if "prevalence" in by_metric else MISSING
    counts = [count(first[f"n_{name}"]) for name in COUNTED]
    method, *tested = subject(first)
    about = (method, first["target"], *tested, first["label"])
    return (*about, number(first["threshold"], 4), *shown, positive_calls, drift, drifted, prevalence, *counts)


def _figure(row: AnalysisRow, digits: int) -> str:
    """Write a figure with its interval at this threshold and, in brackets, that of this procedure where it has one."""
    low, high = (float(row.get(name, math.nan)) for name in ("procedure_low", "procedure_high"))
    return figure(row, digits) + ("" if math.isnan(low) else f" [{number(low, digits)}-{number(high, digits)}]")


def decision_curve(run: Run, layout: TableLayout, *, protocol: str = "external", label: str = "") -> Table | None:
    """Show the net benefit of acting on the model, on everyone and on no one.

    Options:
        protocol: As for all tables.
        label: One label; empty for all.
    """
    frame = analysis_table.read_rows(run, "decision-curve", protocol=protocol, label=label)
    if frame is None:
        return None
    rows = labelled_rows(frame)
    heads = subject_heads(rows)
    blocks = [[_net_benefit(row, layout.digits) for row in block] for block in by_subject(rows)]
    return analysis_table.table_of(
        run,
        layout,
        "Net benefit of acting at a threshold probability; acting on no one is 0",
        (
            *(*heads, "label", "threshold", "net benefit", "act on everyone"),
            *("above the better default", *COUNTED),
        ),
        blocks,
        "l" * len(heads) + "l" + "r" * 7,
        notes=[analysis_table.level_of(frame), *analysis_table.remarks(frame)],
    )


def _net_benefit(row: AnalysisRow, digits: int) -> tuple[str, ...]:
    about = (*subject(row), row["label"], f"{row['threshold']:g}")
    others = (number(row["treat_all"], digits), number(row["above"], digits))
    return (*about, figure(row, digits), *others, *(count(row[f"n_{name}"]) for name in COUNTED))


def policies(run: Run, layout: TableLayout, *, protocol: str = "external", label: str = "") -> Table | None:
    """Show every method under every label policy, and whether the order of methods is the same under all.

    Options:
        protocol: As for all tables.
        label: As for all tables.
    """
    chosen = analysis_table.label_value(run, label)
    frame = analysis_table.read_rows(run, "policies", protocol=protocol, label=chosen)
    if frame is None:
        return None
    rows = [row for row in labelled_rows(frame) if row["policy"]]
    names = tuple(dict.fromkeys(row["policy"] for row in rows))
    blocks = [list(_policy_rows(family, names, layout.digits)) for family in _families(rows)]
    return analysis_table.table_of(
        run,
        layout,
        "The same predictions under other policies for uncertain and blank labels",
        ("method", "train", "test", "label", *names, "lowest tau", "same best", "patients"),
        blocks,
        "llll" + "r" * len(names) + "rlr",
        titled=False,
        notes=[
            "Tau: Kendall's tau-b of the order of methods, the lowest between any two policies; with two methods it is 1 or -1. "
            f"{analysis_table.level_of(frame)} Images that a policy leaves out differ: see n_masked in analyses/policies.csv.",
            *analysis_table.remarks(frame),
        ],
    )


def _families(rows: Sequence[AnalysisRow]) -> list[list[AnalysisRow]]:
    """Group the rows that were compared with each other: one setting, test set, seed and protocol.

    Rows of a pretrained model have no setting; they follow those of the trained methods with which they were compared.
    """
    families: dict[tuple[str, ...], list[AnalysisRow]] = {}
    key: tuple[str, ...] = ()
    for row in rows:
        if row["train"]:
            key = (row["setting"], row["test"], str(row["seed"]), row["protocol"])
        elif not key or key[1] != row["test"]:
            key = ("", row["test"], "", row["protocol"])
        families.setdefault(key, []).append(row)
    return list(families.values())


def _policy_rows(family: Sequence[AnalysisRow], policies: Sequence[str], digits: int) -> Iterator[tuple[str, ...]]:
    for rows in grouped(family, "method", "model", "label").values():
        by_policy = {row["policy"]: row for row in rows}
        values = [figure(by_policy[name], digits) if name in by_policy else MISSING for name in policies]
        first = rows[0]
        tau = MISSING if math.isnan(first["lowest_tau"]) else f"{first['lowest_tau']:.2f}"
        stable = {"True": "yes", "False": "no"}.get(str(first["stable"]), MISSING)
        about = (method_name(first), *train_and_test(first), first["label"])
        yield (*about, *values, tau, stable, count(first["n_patients"]))
