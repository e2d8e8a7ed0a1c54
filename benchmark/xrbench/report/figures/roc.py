"""ROC curves per label, internal and external, with bands over patients."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from xrbench import metrics
from xrbench.cards import FigureLayout
from xrbench.rendering.numbers import with_interval
from xrbench.report.figures import cell_selection
from xrbench.report.figures.cell_selection import ScoreRows, ShownCell
from xrbench.report.figures.label_predictions import Figure, LabelPredictions, label_predictions, scored
from xrbench.report.figures.layout.options import Names, asked, whole
from xrbench.report.figures.layout.panel_grid import pages
from xrbench.report.figures.layout.panels import (
    PanelFigure,
    Picture,
    draw_panels,
    explain_panel,
    line_key,
    name_axes,
    numbers_of,
    unit_square,
)
from xrbench.report.figures.layout.style import Look, legend_text
from xrbench.report.run_folder import Run
from xrbench.statistics.clinical.roc_and_calibration_curves import POINTS, RocBand, roc_band

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


@dataclass(frozen=True, eq=False)
class Curve(LabelPredictions):
    """The curve of one label of one cell.

    Attributes:
        band: The curve; NaN where there is none.
        auc: Area under the curve with its interval.
        reason: Why there is no curve; else empty.
    """

    band: RocBand
    auc: Figure
    reason: str

    @property
    def text(self) -> str:
        """Entry of the legend: test set, area and counts."""
        where, area = f"{self.cell.where}:", self.reason or f"AUC {with_interval(*self.auc, 3)}"
        first = (f"{where} {area}",) if len(where) + len(area) < 46 else (where, area)
        return legend_text(*first, self.counts)


def roc(
    run: Run,
    layout: FigureLayout,
    folder: Path,
    /,
    *,
    method: Names = (),
    model: Names = (),
    configuration: Names = (),
    protocol: Names = ("internal", "resubstitution", "external"),
    label: Names = (),
    seed: int | None = None,
    band: bool = True,
    grid: int = POINTS,
) -> list[Path]:
    """Draw ROC curves: a picture for each method and model, labels in rows and training sets in columns.

    Options:
        method, model, configuration, protocol, label, seed: As for all figures; cells without predictions are left out.
        band: Whether pointwise bands are drawn; their level and replicates are those of the suite's intervals.
        grid: Number of false-positive rates that the curves are computed at.
    """
    cells = cell_selection.measured(
        run, layout, method=method, model=model, configuration=configuration, protocol=protocol, seed=seed
    )
    labels = asked(label, "label", run.suite.labels, layout) or run.suite.labels
    points = whole(grid, "grid", 2, layout)
    figure: PanelFigure[Curve] = PanelFigure(
        width=2.2,
        height=2.15,
        above=1.0,
        draw=_draw,
        title=lambda cells: f"{layout.caption or 'ROC curves'}: {cell_selection.subject(cells)}",
        notes=lambda curves: [_band_note(run, curves, band=band)],
        numbers=lambda curves: pd.concat(
            [_numbers(curve, run.suite.interval.level) for curve in curves], ignore_index=True
        ),
    )

    rows = cell_selection.score_rows(run)

    def read(cell: ShownCell) -> Iterator[Curve]:
        for data in label_predictions(run, cell, labels):
            yield _curve(run, data, rows, points, band=band)

    return draw_panels(run, layout, folder, cells, figure, read=read, pages=lambda trained: pages(trained, labels))


def _curve(run: Run, data: LabelPredictions, rows: ScoreRows, points: int, *, band: bool) -> Curve:
    how = run.suite.interval
    traced = roc_band(
        data.truth,
        data.score,
        data.patient,
        grid=points,
        replicates=how.replicates if band else 0,
        level=how.level,
        seed=data.seed,
        unit=how.unit,
    )
    auc = scored(rows, data, "auc") or (metrics.auc(data.truth, data.score), math.nan, math.nan)
    reason = ""
    if np.isnan(traced.tpr).any():
        missing = "negative" if data.n_positive else "positive"
        reason = f"no {missing} among {data.n_labelled:,} labelled images" if data.n_labelled else "no labelled image"
    return Curve(**vars(data), band=traced, auc=auc, reason=reason)


def _draw(canvas: Canvas, picture: Picture[Curve]) -> None:
    page = picture.page
    for panel in page.panels:
        axes, curves, lowest = canvas.add_subplot(*page.place(panel)), picture.in_panel(panel), page.is_lowest(panel)
        axes.set_box_aspect(1)
        axes.set_title(page.heading(panel), fontsize=7.5)
        name_axes(axes, panel, x="false-positive rate" if lowest else "", y="true-positive rate")
        unit_square(axes)
        for curve in curves:
            if not curve.reason:
                _draw_curve(axes, curve.band, picture.looks[curve.cell.cell])
        keys = [line_key(picture.looks[curve.cell.cell]) for curve in curves]
        explain_panel(axes, curves, keys, drop=25 if lowest else 14)


def _draw_curve(axes: Axes, band: RocBand, look: Look) -> None:
    if not np.isnan(band.low).any():
        axes.fill_between(band.fpr, band.low, band.high, linewidth=0, **look.area)
        for edge in (band.low, band.high):
            axes.plot(band.fpr, edge, color=look.shade, linewidth=0.4)
    # The band's grid begins above 0; every curve begins in the corner.
    fpr, tpr = np.append(0.0, band.fpr), np.append(0.0, band.tpr)
    axes.plot(fpr, tpr, color="black", linewidth=1.1, linestyle=look.line)


def _band_note(run: Run, curves: Sequence[Curve], *, band: bool) -> str:
    how = run.suite.interval
    note = f"AUC with its {how.level:.0%} interval."
    if any(not np.isnan(curve.band.low).any() for curve in curves):
        unit = "images" if any(curve.n_patients is None for curve in curves) else f"{how.unit}s"
        note += (
            f" Bands: pointwise {how.level:.0%}, {how.replicates:,} bootstrap replicates over {unit}, "
            "nowhere narrower than Wilson's interval of the curve's height."
        )
    if band and how.replicates and any(not curve.reason and np.isnan(curve.band.low).any() for curve in curves):
        note += " No band where more than a twentieth of the replicates lack a class: too few patients."
    return note


def _numbers(curve: Curve, level: float) -> pd.DataFrame:
    value, low, high = curve.auc
    about = {**curve.cell.about(), "label": curve.label, "auc": value, "auc_low": low, "auc_high": high}
    about |= {"n_positive": curve.n_positive, "n_negative": curve.n_labelled - curve.n_positive}
    about |= {"n_patients": curve.n_patients, "level": level, "reason": curve.reason}
    band = curve.band
    points = {"false_positive_rate": band.fpr, "true_positive_rate": band.tpr, "low": band.low, "high": band.high}
    return numbers_of(about, pd.DataFrame(points))
