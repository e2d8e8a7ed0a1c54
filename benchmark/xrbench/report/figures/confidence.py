"""Distribution of the highest class probability of multi-class models, internal and external."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import FigureLayout
from xrbench.report.figures import cell_selection
from xrbench.report.figures.class_predictions import ClassPredictions, class_predictions
from xrbench.report.figures.layout.options import Names, whole
from xrbench.report.figures.layout.panel_grid import pages
from xrbench.report.figures.layout.panels import (
    PanelFigure,
    Picture,
    draw_panels,
    explain_panel,
    line_key,
    name_axes,
    numbers_of,
)
from xrbench.report.figures.layout.style import Look
from xrbench.report.run_folder import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


def confidence(
    run: Run,
    layout: FigureLayout,
    folder: Path,
    /,
    *,
    method: Names = (),
    model: Names = (),
    configuration: Names = (),
    protocol: Names = ("internal", "resubstitution", "external"),
    seed: int | None = None,
    bins: int = 20,
) -> list[Path]:
    """Draw the distribution of the highest class probability: a picture for each method and model, a panel a training set.

    The legend states mean confidence and accuracy: a model that is as confident on external images and has a lower accuracy there is
    overconfident.

    Options:
        method, model, configuration, protocol, seed: As for all figures; cells without predictions are left out, and runs whose images
            may have several labels.
        bins: Number of bins of equal width in 0..1.
    """
    cells = cell_selection.measured(
        run, layout, method=method, model=model, configuration=configuration, protocol=protocol, seed=seed
    )
    number = whole(bins, "bins", 2, layout)
    figure: PanelFigure[ClassPredictions] = PanelFigure(
        width=2.4,
        height=1.8,
        above=1.1,
        draw=lambda canvas, picture: _draw(canvas, picture, number),
        title=lambda cells: (
            f"{layout.caption or 'Confidence of predicted classes'}: {cells[0].system}, {cells[0].model}"
        ),
        notes=lambda _: [
            "Confidence: the probability of the predicted class. Accuracy: share of images whose class is predicted."
        ],
        numbers=lambda shown: pd.concat([_numbers(each, number) for each in shown], ignore_index=True),
    )
    return draw_panels(
        run,
        layout,
        folder,
        cells,
        figure,
        read=lambda cell: class_predictions(run, cell),
        pages=lambda trained: pages(["all"], trained),
    )


def _draw(canvas: Canvas, picture: Picture[ClassPredictions], bins: int) -> None:
    shares = np.concatenate([_shares(each, bins) for each in picture.series])
    highest = 1.0 if np.isnan(shares).all() else float(np.nanmax(shares))
    for panel in picture.page.panels:
        axes, shown = canvas.add_subplot(*picture.page.place(panel)), picture.in_panel(panel)
        axes.set_title(picture.page.heading(panel), fontsize=7.5)
        name_axes(axes, panel, x="confidence", y="share of images")
        for each in shown:
            if not each.reason:
                _draw_histogram(axes, _shares(each, bins), picture.looks[each.cell.cell])
        explain_panel(axes, shown, [line_key(picture.looks[each.cell.cell]) for each in shown], drop=25)
        axes.set(xlim=(0, 1), ylim=(0, 1.05 * highest))


def _draw_histogram(axes: Axes, shares: npt.NDArray[np.float64], look: Look) -> None:
    edges = np.linspace(0, 1, len(shares) + 1)
    if not look.hatch:
        axes.stairs(shares, edges, fill=True, facecolor=look.shade)
    axes.stairs(shares, edges, color="black", linewidth=1.1, linestyle=look.line)


def _histogram(predictions: ClassPredictions, bins: int) -> npt.NDArray[np.int64]:
    return np.histogram(predictions.confidence, bins=bins, range=(0, 1))[0]


def _shares(predictions: ClassPredictions, bins: int) -> npt.NDArray[np.float64]:
    """Compute the share of images in each bin, shape (bins,); NaN without images."""
    return _histogram(predictions, bins) / (len(predictions.truth) or math.nan)


def _numbers(predictions: ClassPredictions, bins: int) -> pd.DataFrame:
    edges = np.linspace(0, 1, bins + 1)
    about = {
        **predictions.cell.about(),
        "n_images": len(predictions.truth),
        "n_patients": predictions.patients,
        "mean_confidence": predictions.mean_confidence,
        "accuracy": predictions.accuracy,
    }
    counts, shares = _histogram(predictions, bins), _shares(predictions, bins)
    return numbers_of(about, pd.DataFrame({"low": edges[:-1], "high": edges[1:], "images": counts, "share": shares}))
