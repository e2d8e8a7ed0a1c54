"""Differences of every two methods in each setting, paired over patients, and the smallest detectable difference.

Tables mark a value as the best of a column only where it is ahead by at least that.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pandas as pd

from xrbench.analyses.inputs import Material, records
from xrbench.analyses.rows import COUNTS, FIGURE, Row, nothing
from xrbench.compare.differences import section
from xrbench.compare.pairs import Pair, labels_of
from xrbench.compare.rows import CompareOptions
from xrbench.compare.rows import Row as Difference
from xrbench.errors import XrbenchError
from xrbench.runs.run_cell import RunCell

COLUMNS = (
    *("setting", "train", "valid", "test", "protocol", "challenger", "model", "baseline", "other"),
    *(*FIGURE, "error", "p", "detectable", "n_settings", *COUNTS),
)
Line = tuple[str, str]
Family = tuple[Line, Line, str, list[Pair]]


def families(material: Material) -> list[Family]:
    """Pair the cells of every two methods (or models), setting by setting: challenger, baseline, setting, pairs of cells.

    Cells of one seed are paired; an ensemble and a pretrained model, which belongs to every setting with its test set, are
    paired with all seeds. Cells on images that the weights have seen are left out.
    """
    cells = [cell for cell in material.cells("external") if not cell.seen]
    places = dict.fromkeys((cell.setting, cell.test) for cell in cells if cell.train)
    places |= dict.fromkeys(("", cell.test) for cell in cells if cell.test not in {test for _, test in places})
    pairs_of_methods = []
    for setting, test in places:
        by_line: dict[Line, list[RunCell]] = {}
        for cell in cells:
            if cell.test == test and cell.setting in (setting, ""):
                by_line.setdefault(cell.line, []).append(cell)
        for baseline, challenger in combinations(by_line, 2):
            pairs = [
                Pair(a, b)
                for a in by_line[baseline]
                for b in by_line[challenger]
                if a.seed == b.seed or not a.train or not b.train or a.is_ensemble or b.is_ensemble
            ]
            pairs_of_methods += [(challenger, baseline, setting, pairs)] if pairs else []
    return pairs_of_methods


def metrics_of(material: Material) -> tuple[str, ...]:
    """Name the metrics of the suite's tables of settings; without such tables the first metric."""
    named = (layout.metric for layout in material.suite.tables if layout.kind == "settings")
    measured = set(material.suite.metrics)
    return tuple(dict.fromkeys(name for name in named if name in measured)) or (material.metric,)


def rows_of(material: Material, family: Family) -> list[Row]:
    """Subtract the baseline from the challenger in one setting, paired over patients.

    Returns:
        One row a metric and label (and their mean): the difference with its interval and p-value (of this setting alone, not
        adjusted), and the smallest true difference that such data would show with 80 % power. Without predictions the interval is
        ``normal``, from the widths of both figures' intervals.
    """
    challenger, baseline, setting, pairs = family
    first = pairs[0]
    head = {"setting": setting, "challenger": challenger[0], "baseline": baseline[0], "protocol": "external"}
    head |= {"model": challenger[1], "other": baseline[1], **_trained(first.b if first.b.train else first.a)}
    table: list[Row] = []
    for metric in metrics_of(material):
        how = CompareOptions(metric, 0.0, material.level, replicates=1)
        try:
            part = section("", pairs, material.results, material.results, labels_of(material.results), how)
        except XrbenchError as error:
            table.append({**head, **nothing(str(error), metric=metric, label="")})
            continue
        interval = "jackknife" if part.paired else "normal"
        table += [{**head, **_row(row, metric, material.level), "interval": interval} for row in part.rows]
    return table


def _trained(cell: RunCell) -> dict[str, Any]:
    return {"train": cell.train, "valid": cell.valid, "test": cell.test}


def _row(row: Difference, metric: str, level: float) -> Row:
    counts = {name: getattr(row, name) for name in ("n_positive", "n_negative", "n_patients", "n_images")}
    ends = {"value": row.difference, "low": row.low, "high": row.high, "error": row.error, "p": row.p}
    words = {"reason": row.reason, "caution": row.caution}
    about = {"metric": metric, "label": row.label, "level": level, "n_settings": row.settings}
    return {**about, **ends, **counts, **words, "detectable": row.detectable}


def detectable(rows: pd.DataFrame, name_of: Callable[[str, str], str]) -> dict[tuple[str, str, str, str, str], float]:
    """Look up the smallest detectable difference: (setting, metric, label, line, line), in either order of lines.

    Args:
        rows: The rows of this analysis.
        name_of: Names a line by its method and model.
    """
    differences = {}
    for row in records(rows):
        lines = (name_of(row["challenger"], row["model"]), name_of(row["baseline"], row["other"]))
        for a, b in (lines, lines[::-1]):
            differences[row["setting"], row["metric"], row["label"], a, b] = float(row["detectable"])
    return differences
