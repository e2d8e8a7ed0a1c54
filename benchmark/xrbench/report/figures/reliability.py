"""Reliability diagrams: share of positives against score, internal and external."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from xrbench.cards import FigureLayout
from xrbench.metrics.calibration import BINS
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
from xrbench.statistics.clinical.roc_and_calibration_curves import reliability_bins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

ECE = "expected-calibration-error"
HEIGHTS = (3.2, 1.0)
"""Heights of the diagram and of the histogram below it, relative to each other."""


@dataclass(frozen=True, eq=False)
class Diagram(LabelPredictions):
    """The diagram of one label of one cell.

    Attributes:
        bins: One row a bin: ``bin_low, bin_high, images, positive, patients, mean_score, share, low, high``.
        error: Expected calibration error with its interval, from the scores; NaN where they have none.
        reason: Why there is no diagram; else empty.
    """

    bins: pd.DataFrame
    error: Figure
    reason: str

    @property
    def text(self) -> str:
        """Entry of the legend: test set, calibration error and counts."""
        error = () if math.isnan(self.error[0]) else (f"ECE {with_interval(*self.error, 3)}",)
        return legend_text(self.cell.where, *error, self.reason or self.counts)

    @property
    def images(self) -> pd.Series:
        """Share of the images in each bin; NaN where there are none."""
        return self.bins["images"] / self.bins["images"].sum()


def reliability(
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
    bins: int = 10,
) -> list[Path]:
    """Draw reliability diagrams: a picture for each method and model, labels in rows and training sets in columns.

    Probabilities are put into bins of equal width, as for the expected calibration error (DeGroot & Fienberg 1983; Niculescu-Mizil
    & Caruana 2005). Each mark is at the mean score of its bin; its line is Wilson's interval for the effective number of independent
    images, which follows from the spread over patients. Below is the share of the images in each bin.

    Options:
        method, model, configuration, protocol, label, seed: As for all figures; cells without predictions are left out.
        bins: Number of bins.
    """
    cells = cell_selection.measured(
        run, layout, method=method, model=model, configuration=configuration, protocol=protocol, seed=seed
    )
    labels = asked(label, "label", run.suite.labels, layout) or run.suite.labels
    number = whole(bins, "bins", 2, layout)
    figure: PanelFigure[Diagram] = PanelFigure(
        width=2.2,
        height=2.6,
        above=1.0,
        draw=_draw,
        title=lambda cells: f"{layout.caption or 'Reliability of probabilities'}: {cell_selection.subject(cells)}",
        notes=lambda diagrams: _notes(run, diagrams),
        numbers=lambda diagrams: pd.concat(map(_numbers, diagrams), ignore_index=True),
    )

    rows = cell_selection.score_rows(run)

    def read(cell: ShownCell) -> Iterator[Diagram]:
        for data in label_predictions(run, cell, labels):
            yield _diagram(run, data, rows, number)

    return draw_panels(run, layout, folder, cells, figure, read=read, pages=lambda trained: pages(trained, labels))


def _diagram(run: Run, data: LabelPredictions, rows: ScoreRows, bins: int) -> Diagram:
    usable, reason = data.labelled, "" if data.n_labelled else "no labelled image"
    if np.any((data.score[usable] < 0) | (data.score[usable] > 1)):
        reason = "scores are not probabilities"
    if reason:
        usable = np.zeros(len(usable), np.bool_)
    patient = None if data.patient is None else data.patient[usable]
    level = run.suite.interval.level
    table = reliability_bins(data.truth[usable], data.score[usable], patient, bins=bins, level=level)
    error = scored(rows, data, ECE) or (math.nan, math.nan, math.nan)
    return Diagram(**vars(data), bins=table, error=error, reason=reason)


def _draw(canvas: Canvas, picture: Picture[Diagram]) -> None:
    page = picture.page
    # All histograms of a picture have one scale: up to the fullest bin, rounded up to a tenth.
    fullest = np.nanmax([0.1, *(each.images.max() for each in picture.series)])
    most = math.ceil(10 * fullest) / 10
    grid = canvas.add_gridspec(page.down, page.across)
    for panel in page.panels:
        inner = grid[panel.row, panel.column].subgridspec(2, 1, height_ratios=HEIGHTS, hspace=0.02)
        upper = canvas.add_subplot(inner[0])
        lower = canvas.add_subplot(inner[1], sharex=upper)
        diagrams, lowest = picture.in_panel(panel), page.is_lowest(panel)
        upper.set_title(page.heading(panel), fontsize=7.5)
        name_axes(upper, panel, y="share positive")
        unit_square(upper)
        upper.tick_params(labelbottom=False)
        name_axes(lower, panel, x="score" if lowest else "", y="images")
        lower.set(ylim=(0, 1.05 * most), yticks=(0, most))
        for diagram in diagrams:
            if not diagram.reason:
                _draw_diagram(upper, lower, diagram, picture.looks[diagram.cell.cell])
        keys = [line_key(look, **_mark(look)) for look in (picture.looks[each.cell.cell] for each in diagrams)]
        explain_panel(upper, diagrams, keys, below=lower, drop=25 if lowest else 14)


def _draw_diagram(upper: Axes, lower: Axes, diagram: Diagram, look: Look) -> None:
    filled = diagram.bins[diagram.bins["images"] > 0]
    upper.vlines(filled["mean_score"], filled["low"], filled["high"], color="0.45", linewidth=0.6)
    upper.plot(filled["mean_score"], filled["share"], color="black", linestyle=look.line, **_mark(look))
    edges = [*diagram.bins["bin_low"], 1.0]
    lower.stairs(diagram.images, edges, color="black", linewidth=0.8, linestyle=look.line)


def _mark(look: Look) -> dict[str, Any]:
    return {"linewidth": 0.9, "marker": look.mark, "markersize": 3, "markerfacecolor": look.face}


def _notes(run: Run, diagrams: Sequence[Diagram]) -> list[str]:
    sentences = [
        f"Lines at marks: {run.suite.interval.level:.0%} Wilson intervals that count patients. Below: share of the images in each bin."
    ]
    if any(not math.isnan(diagram.error[0]) for diagram in diagrams):
        sentences.append(f"ECE: expected calibration error over {BINS} bins of equal width, with its interval.")
    return sentences


def _numbers(diagram: Diagram) -> pd.DataFrame:
    value, low, high = diagram.error
    about = {**diagram.cell.about(), "label": diagram.label, "ece": value, "ece_low": low, "ece_high": high}
    return numbers_of({**about, "reason": diagram.reason}, diagram.bins)
