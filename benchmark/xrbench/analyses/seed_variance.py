"""Variation over seeds and settings.

A method's score in a setting is the mean over its seeds, with an interval over patients and seeds. Over settings there is the mean
with the sample standard deviation (ddof 1), as papers print it. Ensembles are not one training and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import pandas as pd

from xrbench import statistics
from xrbench.analyses.inputs import HELD_OUT, Material
from xrbench.analyses.rows import COUNTS, FIGURE, Row, nothing, repeats, within
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
    table = []
    for (method, model), of_line in unseen_external(material.results.scores).groupby(["method", "model"], sort=False):
        for (metric, label), rows in of_line.groupby(["metric", "label"], sort=False):
            if repeats(str(label), material.suite.labels):
                continue
            values = setting_means(rows)
            summary = statistics.mean_and_spread(values.to_numpy(), level=material.level)
            about = {"method": method, "model": model, "protocol": "external", "label": label, "metric": metric}
            ends = {"value": summary.mean, "sd": summary.sd}
            ends |= within(material.spec(str(metric)), summary.low, summary.high)
            counts = {
                "n_settings": summary.n,
                "n_seeds": rows["seed"].nunique(),
                "interval": "t",
                "level": material.level,
                "over": SETTINGS,
            }
            table.append({**about, **ends, **counts, "reason": _reason(summary.n)})
    return table


def _reason(n: int) -> str:
    if n == 0:
        return "no setting has a value"
    return "" if n > 1 else "interval: one setting cannot show how much settings differ"
