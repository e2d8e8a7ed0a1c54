"""Tables of subgroups of patients: the weakest group of every test set, or every group."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from xrbench.cards import TableLayout
from xrbench.metrics import metric_title
from xrbench.rendering.numbers import MISSING, count, number, p_text
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
from xrbench.statistics.inference.verdicts import CANNOT_TELL

TOGETHER = (
    "Intervals of figures hold for all groups of a label together, those of differences for all groups and labels of a test set, as do the "
    "adjusted p-values (max-t)."
)


def subgroups(
    run: Run, layout: TableLayout, *, protocol: str = "external", label: str = "", every: bool = False
) -> Table | None:
    """Show the weakest subgroup of patients of every test set, its difference to the others, and whether it is shown to be worse.

    Options:
        protocol: As for all tables; ``internal`` is shown where external patients have no attributes.
        label: As for all tables.
        every: Whether every group has a row, and not the weakest alone.
    """
    chosen = analysis_table.label_value(run, label)
    frame = analysis_table.read_rows(run, "subgroups", protocol=protocol, label=chosen)
    if frame is None and protocol == "external":
        return subgroups(run, layout, protocol="internal", label=label, every=every)
    if frame is None:
        return None
    if every:
        return _every_subgroup(run, layout, frame)
    blocks = []
    for rows in grouped(labelled_rows(frame), "method", "model").values():
        tests = grouped(rows, "cell", "column", "metric", "label")
        blocks.append([_weakest_subgroup(members, layout.digits) for members in tests.values()])
    heads = ("method", "train", "test", "by", "figure", "label", "weakest group", "its figure", "patients", "others")
    return analysis_table.table_of(
        run,
        layout,
        "The weakest group of patients of every test set",
        (*heads, "others minus weakest", "p adjusted", "worse than the others", "groups shown", "suppressed"),
        blocks,
        "lllllllrrrrrlrr",
        notes=[
            f"{TOGETHER} One of several groups always is the weakest: it is worse than the others where the adjusted p says so. "
            f"{analysis_table.level_of(frame)}",
            *analysis_table.remarks(frame[~frame["reason"].str.startswith("suppressed")]),
        ],
    )


def _weakest_subgroup(rows: Sequence[AnalysisRow], digits: int) -> tuple[str, ...]:
    first = rows[0]
    suppressed = sum(_true(row["suppressed"]) for row in rows)
    counts = (str(len(rows) - suppressed), str(suppressed))
    about = (method_name(first), *train_and_test(first), first["column"], metric_title(first["metric"]), first["label"])
    weakest = next((row for row in rows if _true(row.get("weakest"))), None)
    if weakest is None:
        return (*about, *(MISSING,) * 7, *counts)
    others = weakest["value"] + weakest["behind"]
    figures = (figure(weakest, digits), count(weakest["n_patients"]), number(others, digits))
    behind = change(weakest, "behind", "behind_low", "behind_high", digits)
    verdict = "yes" if _true(weakest["worst"]) else CANNOT_TELL
    return (*about, weakest["group"], *figures, behind, p_text(weakest["p_adjusted"]), verdict, *counts)


def _every_subgroup(run: Run, layout: TableLayout, frame: pd.DataFrame) -> Table:
    rows = labelled_rows(frame)
    heads = (*subject_heads(rows), "by", "group", "label")
    unknown = {(*subject(row), row["column"]): row["n_missing"] for row in rows if row["n_missing"]}
    return analysis_table.table_of(
        run,
        layout,
        "Groups of patients",
        (*heads, "figure", "value", "", "others minus group", "p", "p adjusted", *COUNTED),
        [[_subgroup(row, layout.digits) for row in block] for block in by_subject(rows)],
        "l" * (len(heads) + 1) + "rlrrrrrr",
        notes=[
            f"Others minus group: all other shown groups together. {TOGETHER} {analysis_table.level_of(frame)}",
            *(f"{' '.join(about)} is not known of {count(images)} images." for about, images in unknown.items()),
            *analysis_table.remarks(frame),
        ],
    )


def _subgroup(row: AnalysisRow, digits: int) -> tuple[str, ...]:
    about = (*subject(row), row["column"], row["group"], row["label"], metric_title(row["metric"]))
    behind = change(row, "behind", "behind_low", "behind_high", digits)
    counted = [MISSING if _true(row["suppressed"]) else count(row[f"n_{name}"]) for name in COUNTED]
    worst = "worst" if _true(row["worst"]) else ""
    return (*about, figure(row, digits), worst, behind, p_text(row["p"]), p_text(row["p_adjusted"]), *counted)


def _true(value: object) -> bool:
    """Read a flag of a stored analysis; in a column that also has empty fields it is a text."""
    return str(value) == "True"
