"""Confusion matrices of multi-class models, internal and external."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import FigureLayout
from xrbench.metrics.checks import FloatArray
from xrbench.rendering.numbers import interval, number
from xrbench.report.figures import cell_selection
from xrbench.report.figures.cell_selection import ScoreRows
from xrbench.report.figures.class_predictions import ClassPredictions, class_predictions
from xrbench.report.figures.layout.options import Names
from xrbench.report.figures.layout.panels import annotate
from xrbench.report.figures.layout.style import canvas_of, file_name, save, say_empty, short, wrapped
from xrbench.report.run_folder import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS = 4
"""Training sets in one picture."""


def confusion(
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
) -> list[Path]:
    """Draw confusion matrices: a picture for each method and model, training sets in rows and test sets in columns.

    Shares are of the images of each true class, with counts below. The heading of a matrix says what its images are: held out,
    external, or the training images themselves (resubstitution).

    Options:
        method, model, configuration, protocol, seed: As for all figures; cells without predictions are left out, and runs whose images
            may have several labels.
    """
    cells = cell_selection.measured(
        run, layout, method=method, model=model, configuration=configuration, protocol=protocol, seed=seed
    )
    paths: list[Path] = []
    for name, members in cell_selection.by_system(cells):
        shown = [each for cell in members for each in class_predictions(run, cell)]
        trained = cell_selection.trainings([each.cell for each in shown])
        for page, start in enumerate(range(0, len(trained), ROWS), 1):
            rows = [[each for each in shown if each.cell.training == t] for t in trained[start : start + ROWS]]
            stem = file_name(layout.name, name, "" if page == 1 else str(page))
            paths += _draw(run, layout, folder, stem, rows)
    return paths


def _draw(
    run: Run, layout: FigureLayout, folder: Path, name: str, rows: Sequence[Sequence[ClassPredictions]]
) -> list[Path]:
    across, scores = max(len(row) for row in rows), cell_selection.score_rows(run)
    shown = list(itertools.chain.from_iterable(rows))
    with canvas_of(1.0 + 2.9 * across, 1.0 + 3.7 * len(rows)) as canvas:
        for i, row in enumerate(rows):
            for j, predictions in enumerate(row):
                axes = canvas.add_subplot(len(rows), across, i * across + j + 1)
                _draw_matrix(axes, predictions, run.suite.labels, first=j == 0)
                axes.set_title(_heading(predictions, scores), fontsize=7)
        cells = [each.cell for each in shown]
        heading = f"{layout.caption or 'Confusion matrices'}: {cells[0].system}, {cells[0].model}"
        note = (
            "Shares of the images of each true class (rows), images below. The predicted class has the highest score."
        )
        annotate(canvas, run, cells, heading, [note])
        return save(canvas, _numbers(shown, run.suite.labels), folder, name, run.stamp)


def _heading(predictions: ClassPredictions, scores: ScoreRows) -> str:
    cell = predictions.cell
    row = scores.get((cell.cell, "all classes", "accuracy"))
    ends = interval(row["low"], row["high"], 3) if row else ""
    accuracy = f"accuracy {number(predictions.accuracy, 3)} {ends}".rstrip()
    lines = [short(line, 50) for line in (cell.training, cell.where, accuracy)]
    return "\n".join([*lines, predictions.counts])


def _draw_matrix(axes: Axes, predictions: ClassPredictions, classes: Sequence[str], *, first: bool) -> None:
    size = len(classes)
    counts = predictions.matrix(size)
    shares = _shares(counts)
    axes.set_box_aspect(1)
    axes.pcolormesh(np.nan_to_num(shares), cmap="Greys", vmin=0, vmax=1.25, edgecolor="0.7", linewidth=0.3)
    axes.invert_yaxis()
    letters = min(6.5, 38 / size)
    for true, predicted in itertools.product(range(size), repeat=2):
        share = shares[true, predicted]
        if np.isnan(share):
            continue
        text = f"{share:.2f}\n{counts[true, predicted]:,}" if size <= 8 else f"{share:.2f}"
        colour = "white" if share > 0.75 else "black"
        axes.text(predicted + 0.5, true + 0.5, text, ha="center", va="center", fontsize=letters, color=colour)
    names = [wrapped(short(name, 24), 0.75, 6) for name in classes]
    at = np.arange(size) + 0.5
    axes.set_xticks(at, names, rotation=90, fontsize=min(6.5, 60 / size))
    axes.set_yticks(at, names if first else [""] * size, fontsize=min(6.5, 60 / size))
    axes.tick_params(length=0)
    axes.set_xlabel("predicted", fontsize=7)
    axes.set_ylabel("true" if first else "", fontsize=7)
    if predictions.reason:
        say_empty(axes, predictions.reason)
        return
    for empty in np.flatnonzero(counts.sum(axis=1) == 0):
        axes.text(size / 2, empty + 0.5, "no image", ha="center", va="center", fontsize=letters, color="0.4")


def _shares(counts: npt.NDArray[np.int64]) -> FloatArray:
    rows = counts.sum(axis=1, keepdims=True)
    shares: FloatArray = np.divide(counts, rows, out=np.full(counts.shape, np.nan), where=rows > 0)
    return shares


def _numbers(shown: Sequence[ClassPredictions], classes: Sequence[str]) -> pd.DataFrame:
    rows = []
    for each in shown:
        counts = each.matrix(len(classes))
        shares = _shares(counts)
        for true, predicted in itertools.product(range(len(classes)), repeat=2):
            about = {**each.cell.about(), "true": classes[true], "predicted": classes[predicted]}
            figures = {
                "images": counts[true, predicted],
                "share": shares[true, predicted],
                "n_true": counts[true].sum(),
            }
            rows.append({**about, **figures, "n_images": len(each.truth), "n_patients": each.patients})
    return pd.DataFrame(rows)
