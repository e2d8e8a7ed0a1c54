"""Differences of every two methods in each setting: of the methods, trained anew, and of these networks.

Tables mark a value as the best of a column only where the others are shown to differ from it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pandas as pd

from xrbench import statistics
from xrbench.analyses.inputs import Material, records
from xrbench.analyses.rows import COUNTS, FIGURE, Row, nothing
from xrbench.compare.differences import section
from xrbench.compare.pairs import Pair, covering, labels_of
from xrbench.compare.rows import METHODS, NETWORKS, QUESTIONS, About, CompareOptions
from xrbench.compare.rows import Row as Difference
from xrbench.errors import XrbenchError
from xrbench.runs.run_cell import RunCell

COLUMNS = (
    *("setting", "train", "valid", "test", "protocol", "challenger", "model", "baseline", "other", "about"),
    *(*FIGURE, "error", "p", "detectable", "n_trainings", "n_settings", *COUNTS),
)
Line = tuple[str, str]
Family = tuple[Line, Line, str, list[Pair]]


def families(material: Material) -> list[Family]:
    """Pair the cells of every two methods (or models), setting by setting: challenger, baseline, setting, pairs of cells.

    Every training stands in a pair, cells of one seed face each other first; a pretrained model belongs to every setting with its test
    set. Cells on images that the weights have seen are left out.
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
            pairs = covering([Pair(a, b) for b in by_line[challenger] for a in by_line[baseline]])
            pairs_of_methods += [(challenger, baseline, setting, pairs)] if pairs else []
    return pairs_of_methods


def metrics_of(material: Material) -> tuple[str, ...]:
    """Name the metrics of the suite's tables of settings; without such tables the first metric."""
    named = (layout.metric for layout in material.suite.tables if layout.kind == "settings")
    measured = set(material.suite.metrics)
    return tuple(dict.fromkeys(name for name in named if name in measured)) or (material.metric,)


def rows_of(material: Material, family: Family) -> list[Row]:
    """Subtract the baseline from the challenger in one setting.

    Returns:
        One row a question, metric and label (and their mean): the difference with its interval and p-value (of this setting alone, not
        adjusted), and the smallest true difference that such data would show with 80 % power. Without predictions the interval is
        ``normal``, from the widths of both figures' intervals.
    """
    challenger, baseline, setting, pairs = family
    first = pairs[0]
    head = {"setting": setting, "challenger": challenger[0], "baseline": baseline[0], "protocol": "external"}
    head |= {"model": challenger[1], "other": baseline[1], **_trained(first.b if first.b.train else first.a)}
    table: list[Row] = []
    for metric in metrics_of(material):
        for about in QUESTIONS:
            how = CompareOptions(metric, 0.0, material.level, replicates=1, about=about)
            try:
                part = section("", pairs, material.results, material.results, labels_of(material.results), how)
            except XrbenchError as error:
                table.append({**head, "about": about, **nothing(str(error), metric=metric, label="")})
                continue
            interval = "t" if about == METHODS else "jackknife" if part.paired else "normal"
            table += [
                {**head, "about": about, **_row(row, metric, material.level), "interval": interval} for row in part.rows
            ]
    return table


def _trained(cell: RunCell) -> dict[str, Any]:
    return {"train": cell.train, "valid": cell.valid, "test": cell.test}


def _row(row: Difference, metric: str, level: float) -> Row:
    counts = {name: getattr(row, name) for name in ("n_positive", "n_negative", "n_patients", "n_images")}
    ends = {"value": row.difference, "low": row.low, "high": row.high, "error": row.error, "p": row.p}
    words = {"reason": row.reason, "caution": row.caution}
    about = {"metric": metric, "label": row.label, "level": level, "n_settings": row.settings}
    about |= {"n_trainings": row.trainings}
    return {**about, **ends, **counts, **words, "detectable": row.detectable}


def apart(
    rows: pd.DataFrame, name_of: Callable[[str, str], str], *, adjustment: str, significance: float
) -> dict[tuple[str, str, str], tuple[About, frozenset[frozenset[str]]]]:
    """Find the pairs of lines that are shown to differ in each column of a table.

    Args:
        rows: The rows of this analysis.
        name_of: Names a line by its method and model.
        adjustment: How the p-values of the pairs of a setting, metric and label are adjusted.
        significance: Of that family.

    Returns:
        (setting, metric, label) -> what it is about (methods where any pair can answer, else networks), and the pairs that differ.
    """
    columns = {}
    for (setting, metric, label), of_column in rows.groupby(["setting", "metric", "label"], sort=False):
        answered = of_column[(of_column["about"] == METHODS) & of_column["p"].notna()]
        about: About = METHODS if len(answered) else NETWORKS
        chosen = of_column[of_column["about"] == about]
        adjusted = statistics.adjust(chosen["p"].to_numpy(float), adjustment)
        pairs = frozenset(
            frozenset((name_of(row["challenger"], row["model"]), name_of(row["baseline"], row["other"])))
            for row, p in zip(records(chosen), adjusted, strict=True)
            if p < significance
        )
        columns[str(setting), str(metric), str(label)] = about, pairs
    return columns
