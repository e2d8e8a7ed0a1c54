"""What was used of each dataset: images, patients and pathologies, beside what a paper says of them."""

from __future__ import annotations

from xrbench.cards import TableLayout
from xrbench.rendering.numbers import MISSING, count
from xrbench.rendering.table import Table
from xrbench.report.run_folder import Run
from xrbench.report.tables.reported_beside import Brackets

COLUMNS = {"images": "total", "patients": "", "used": "used", "pathologies": "pathologies"}
"""Number that a run tells of a dataset -> the paper's column; empty where papers have none."""


def datasets(run: Run, layout: TableLayout) -> Table:
    """Show what was used of each dataset, with what the paper says of it in brackets."""
    brackets = Brackets.of(run)
    listed = [] if brackets.shown is None else brackets.shown.datasets.to_dict("records")
    reported = {row["dataset"]: row for row in listed}
    rows = []
    for about in run.manifest["datasets"]:
        printed = reported.get(about["dataset"]) or {}
        numbers = [
            brackets.behind(count(about.get(ours)), count(float(printed[theirs])) if theirs in printed else "")
            for ours, theirs in COLUMNS.items()
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
        stamp=run.stamp,
    )
