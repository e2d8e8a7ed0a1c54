"""Variation over seeds and settings.

A method's score in a setting is the mean over its seeds, with an interval over trainings and patients. Over settings there is the mean
with an interval over trainings and patients, who enter once, and the sample standard deviation over settings (ddof 1), as papers print
it. Ensembles are not one training and are left out of the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import pandas as pd

from xrbench import statistics
from xrbench.analyses.inputs import HELD_OUT, Material
from xrbench.analyses.rows import COUNTS, FIGURE, Row, nothing, repeats
from xrbench.compare.across_runs import setting_means, unseen_external
from xrbench.errors import XrbenchError
from xrbench.runs.run_cell import RunCell

COLUMNS = (
    *("over", "setting", "configuration", "method", "model", "train", "valid", "test", "protocol"),
    *(*FIGURE, "sd", "error", "patient_share", "seed_share", "df", "n_seeds", "n_settings", *COUNTS),
)
SEEDS, SETTINGS = "seeds", "settings"


def families(material: Material) -> list[list[RunCell]]:
    """Gather the cells that differ in their seed only: held-out images that the weights have not seen, single fits."""
    groups: dict[tuple[str, ...], list[RunCell]] = {}
    for cell in material.cells(*HELD_OUT):
        if cell.train and not cell.seen and not cell.is_ensemble:
            groups.setdefault((cell.method, cell.model, cell.setting, cell.protocol, cell.test), []).append(cell)
    return list(groups.values())


def rows_of(material: Material, family: Sequence[RunCell]) -> list[Row]:
    """Average over the seeds of one method, setting and test set.

    Args:
        material: The run.
        family: Cells that differ in their seed only.

    Returns:
        One row a metric and label (and their mean), with the shares of the variance that patients and seeds contribute.
    """
    first = {name: value for name, value in asdict(family[0]).items() if name in COLUMNS}
    head = {**first, "over": SEEDS, "n_settings": 1}
    scores = material.results.scores[material.results.scores["cell"].isin([cell.cell for cell in family])]
    table: list[Row] = []
    for metric in material.suite.metrics:
        of_metric = scores[scores["metric"] == metric]
        try:
            rows = _two_level(material, family, metric)
            table += [{**head, **_counts(of_metric, row["label"]), **row} for row in rows]
        except XrbenchError as error:
            table.append({**head, **nothing(str(error), label="", metric=metric, n_seeds=len(family))})
    return table


def _counts(rows: pd.DataFrame, label: str) -> Row:
    """Return the counts of a label: those of its test images, which all seeds share, or else the largest of any seed."""
    of_label = rows[rows["label"] == label]
    return {name: of_label[name].max() for name in COUNTS} if len(of_label) else {}


def _two_level(material: Material, family: Sequence[RunCell], metric: str) -> Iterator[Row]:
    predictions = [material.predictions(cell) for cell in family]
    for one in statistics.two_level(predictions, metric=metric, level=material.level):
        if repeats(one.label, material.suite.labels):
            continue
        shares = {"patient_share": one.patient_share, "seed_share": one.seed_share, "df": one.df}
        ends = {"value": one.value, "low": one.low, "high": one.high, "sd": one.sd, "error": one.error}
        about = {"label": one.label, "metric": one.metric, "level": material.level, "interval": SEEDS}
        yield {**about, **ends, **shares, "n_seeds": one.n_seeds, "reason": one.reason, "caution": one.caution}


def over_settings(material: Material) -> list[Row]:
    """Average over settings, each being the mean over its seeds: external test sets that the weights have not seen."""
    lines: dict[tuple[str, str], list[RunCell]] = {}
    for cell in material.cells("external"):
        if not cell.seen:
            lines.setdefault(cell.line, []).append(cell)
    return [
        row
        for line, cells in lines.items()
        for metric in material.suite.metrics
        for row in _over(material, line, cells, metric)
    ]


def _over(material: Material, line: tuple[str, str], cells: Sequence[RunCell], metric: str) -> Iterator[Row]:
    method, model = line
    head = {"method": method, "model": model, "protocol": "external", "over": SETTINGS}
    scores = unseen_external(material.results.scores)
    scores = scores[scores["cell"].isin([cell.cell for cell in cells]) & (scores["metric"] == metric)]
    try:
        figures = statistics.method_mean(
            [material.trained(cell) for cell in cells], metric=metric, level=material.level
        )
    except XrbenchError as error:
        yield {**head, **nothing(str(error), label="", metric=metric)}
        return
    for one in figures:
        if repeats(one.label, material.suite.labels):
            continue
        spread = statistics.mean_and_spread(setting_means(scores[scores["label"] == one.label]).to_numpy())
        ends = {"value": one.value, "low": one.low, "high": one.high, "sd": spread.sd, "error": one.error}
        counts = {"n_settings": one.n_settings, "n_seeds": one.n_trainings, "df": one.df}
        shares = {"seed_share": one.training_share, "patient_share": 1 - one.training_share}
        about = {"label": one.label, "metric": one.metric, "interval": "t", "unit": one.unit, "level": one.level}
        yield {**head, **about, **ends, **counts, **shares, "reason": one.reason, "caution": one.caution}
