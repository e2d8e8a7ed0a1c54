"""What to expect of a method at a hospital that was not measured.

A hospital is a dataset whose images took no part in training and were not seen by the weights; slices of one dataset are one hospital. Its
figure is the mean over all trainings of the method that were tested there: seeds and, where the training data differ by setting, settings.
"""

from __future__ import annotations

from collections.abc import Sequence

from xrbench import statistics
from xrbench.analyses.inputs import Material
from xrbench.analyses.rows import FIGURE, NAN, Row, repeats
from xrbench.runs.run_cell import RunCell
from xrbench.statistics.intervals.cautions import join_cautions
from xrbench.statistics.resampling.scale import scale_of

COLUMNS = (
    *("configuration", "method", "model", "hospitals", *FIGURE, "next_low", "next_high"),
    *("tau", "i2", "df", "n_hospitals", "n_trainings"),
)


def families(material: Material) -> list[list[RunCell]]:
    """Gather the external cells of each method, model and named training set: unseen images, single fits."""
    groups: dict[tuple[str, ...], list[RunCell]] = {}
    for cell in material.cells("external"):
        if not cell.seen and not cell.is_ensemble:
            groups.setdefault((cell.method, cell.model, cell.configuration), []).append(cell)
    return list(groups.values())


def rows_of(material: Material, family: Sequence[RunCell]) -> list[Row]:
    """Summarise the first metric over the hospitals of one family.

    Returns:
        One row a label (and their mean): ``value`` is the mean over hospitals with its interval, ``next_low`` and ``next_high`` the
        prediction interval.
    """
    by_hospital: dict[str, list[statistics.Predictions]] = {}
    for cell in family:
        predictions = material.predictions(cell)
        by_hospital.setdefault(predictions.domain, []).append(predictions)
    tables = [statistics.hospital_figures(cells, metric=material.metric) for cells in by_hospital.values()]
    scale = scale_of(material.spec(material.metric))
    first = family[0]
    about = {"configuration": first.configuration, "method": first.method, "model": first.model}
    table: list[Row] = []
    for figures in zip(*tables, strict=True):
        if repeats(figures[0].label, material.suite.labels):
            continue
        row = statistics.next_hospital([each.hospital for each in figures], level=material.level, scale=scale)
        trainings = min(each.trainings for each in figures)
        alone = (
            "a hospital has one training: how much trainings differ is not in the intervals" if trainings == 1 else ""
        )
        table.append(
            {
                **about,
                "hospitals": ", ".join(by_hospital),
                "label": figures[0].label,
                "metric": material.metric,
                "value": row.mean,
                "low": row.low,
                "high": row.high,
                "interval": "hartung-knapp" if row.hospitals > 1 else "",
                "unit": "hospital",
                "level": material.level,
                "next_low": row.next_low,
                "next_high": row.next_high,
                "tau": row.tau,
                "i2": row.i2,
                "df": row.df if row.hospitals > 1 else NAN,
                "n_hospitals": row.hospitals,
                "n_trainings": trainings,
                "reason": row.reason,
                "caution": join_cautions(row.caution, alone),
            }
        )
    return table
