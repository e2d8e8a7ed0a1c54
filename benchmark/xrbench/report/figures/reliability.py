"""Draw how far probabilities mean what they say: share of positives against score, inside and outside the training datasets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from xrbench.cards import FigureLayout
from xrbench.metrics.calibration import BINS
from xrbench.rendering.numbers import interval, number
from xrbench.report.figures import cell_selection
from xrbench.report.figures.cell_selection import ShownCell
from xrbench.report.figures.options import Names, asked, whole
from xrbench.report.figures.panel_grid import Page, Panel, pages
from xrbench.report.figures.style import (
    Look,
    canvas_of,
    file_name,
    legend_below,
    legend_inches,
    legend_text,
    notes,
    save,
    say_empty,
    title,
)
from xrbench.report.run_folder import Run
from xrbench.runs import store
from xrbench.runs.prediction_frame import patients_of
from xrbench.statistics.clinical.roc_and_calibration_curves import reliability_bins

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = dict[tuple[str, str, str], dict[str, Any]]
ECE = "expected-calibration-error"
SIDE = (3.2, 1.0)
"""Heights of the diagram and of the histogram below it, to each other."""


@dataclass(frozen=True)
class Diagram:
    """One label of one cell.

    Attributes:
        measured: The cell.
        label: The label.
        bins: One row a bin: ``bin_low, bin_high, images, positive, patients, mean_score, share, low, high``.
        error: Expected calibration error with its interval, from the scores; NaN where they have none.
        counts: Positive images, labelled images, and patients (None where they are not known).
        reason: Why there is no diagram.
    """

    measured: ShownCell
    label: str
    bins: pd.DataFrame
    error: tuple[float, float, float]
    counts: tuple[int, int, int | None]
    reason: str

    @property
    def text(self) -> str:
        """Say in the legend what it is, its error and its size."""
        value, low, high = self.error
        error = () if math.isnan(value) else (f"ECE {number(value, 3)} {interval(low, high, 3)}".rstrip(),)
        return legend_text(self.measured.where, *error, self.reason or cell_selection.counts_text(*self.counts))


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
    & Caruana 2005). Each mark stands at the mean score of its bin; its line is Wilson's interval for as many independent images
    as the spread over patients stands for. Below stands which share of the images each bin holds.

    Args:
        run: The run; cells without predictions are left out.
        layout: Name and caption.
        folder: Where the files go.
        method: Methods; all when empty, as for the others.
        model: Models.
        configuration: Training sets.
        protocol: Protocols; validation images only when asked for.
        label: Labels.
        seed: The seed that is shown; the lowest by default.
        bins: How many bins.

    Returns:
        The written files; none when nothing was measured.

    Raises:
        CardError, UnknownNameError: An option is not usable.
    """
    cells = cell_selection.measured(
        run, layout, method=method, model=model, configuration=configuration, protocol=protocol, seed=seed
    )
    labels = asked(label, "label", run.suite.labels, layout) or run.suite.labels
    parts = whole(bins, "bins", 2, layout)
    rows = cell_selection.score_rows(run)
    paths: list[Path] = []
    for name, members in cell_selection.by_system(cells):
        drawn = [one for cell in members for one in _diagrams(run, cell, labels, rows, parts)]
        trained = cell_selection.trainings([one.measured for one in drawn])
        for page, sheet in enumerate(pages(trained, labels) if drawn else [], 1):
            part = "" if page == 1 else str(page)
            paths += _draw(run, layout, folder, file_name(layout.name, name, part), sheet, drawn)
    return paths


def _diagrams(run: Run, cell: ShownCell, labels: Sequence[str], rows: Rows, bins: int) -> list[Diagram]:
    frame = run.results.predictions(cell.cell)
    if frame is None or not len(frame):
        return []
    patient, found = patients_of(frame), []
    for label in labels:
        if label not in store.labels_of(frame):
            continue
        truth, score = (frame[f"{kind}:{label}"].to_numpy(np.float64) for kind in ("truth", "score"))
        known = ~np.isnan(truth)
        counts = (int((truth == 1).sum()), int(known.sum()), cell_selection.patients_among(frame, known))
        reason = "" if known.any() else "no labelled image"
        if np.any((score[known] < 0) | (score[known] > 1)):
            reason = "scores are not probabilities"
        usable = known if not reason else np.zeros(len(known), np.bool_)
        ids = None if patient is None else patient[usable]
        table = reliability_bins(truth[usable], score[usable], ids, bins=bins, level=run.suite.interval.level)
        row = rows.get((cell.cell, label, ECE))
        error = (row["value"], row["low"], row["high"]) if row else (math.nan, math.nan, math.nan)
        found.append(Diagram(cell, label, table, error, counts, reason))
    return found


def _draw(
    run: Run, layout: FigureLayout, folder: Path, name: str, sheet: Page, diagrams: Sequence[Diagram]
) -> list[Path]:
    shown = {(panel.training, panel.label): panel for panel in sheet.panels}
    mine = [one for one in diagrams if (one.measured.training, one.label) in shown]
    looks = cell_selection.looks(one.measured for one in mine)
    below = max(
        legend_inches([one.text for one in mine if (one.measured.training, one.label) == place]) for place in shown
    )
    with canvas_of(0.4 + 2.2 * sheet.across, 1.0 + (2.6 + below) * sheet.down) as canvas:
        shares = [float((one.bins["images"] / max(1, one.bins["images"].sum())).max()) for one in mine]
        most = max(0.1, math.ceil(10 * max(shares)) / 10)
        grid = canvas.add_gridspec(sheet.down, sheet.across)
        for place, panel in shown.items():
            inner = grid[panel.row, panel.column].subgridspec(2, 1, height_ratios=SIDE, hspace=0.02)
            upper = canvas.add_subplot(inner[0])
            lower = canvas.add_subplot(inner[1], sharex=upper)
            here = [one for one in mine if (one.measured.training, one.label) == place]
            _draw_panel(upper, lower, panel, sheet, here, looks, most)
        cells = [one.measured for one in mine]
        title(canvas, f"{layout.caption or 'Reliability of probabilities'}: {cell_selection.subject(cells)}", run.stamp)
        notes(canvas, [*_notes(run, mine), cell_selection.training_note(cells), cell_selection.seeds_note(cells)])
        return save(canvas, _numbers(mine), folder, name, run.stamp)


def _draw_panel(
    upper: Axes,
    lower: Axes,
    panel: Panel,
    sheet: Page,
    diagrams: Sequence[Diagram],
    looks: dict[str, Look],
    most: float,
) -> None:
    from matplotlib.lines import Line2D

    upper.set_title(sheet.heading(panel), fontsize=7.5)
    upper.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    upper.tick_params(labelsize=6.5, labelbottom=False)
    lower.tick_params(labelsize=6.5)
    upper.plot([0, 1], [0, 1], color="0.7", linewidth=0.5)
    first = panel.column == 0
    upper.set_ylabel("share positive" if first else "", fontsize=6.5, labelpad=1)
    lower.set_ylabel("images" if first else "", fontsize=6.5, labelpad=1)
    lower.set_xlabel("score" if sheet.is_lowest(panel) else "", fontsize=6.5, labelpad=1)
    lower.set(ylim=(0, 1.05 * most), yticks=(0, most))
    handles = []
    for one in diagrams:
        style = looks[one.measured.cell]
        line: dict[str, Any] = {"color": "black", "linewidth": 0.9, "linestyle": style.line}
        line |= {"marker": style.mark, "markersize": 3, "markerfacecolor": style.face}
        handles.append(Line2D([], [], **line))
        if one.reason:
            continue
        there = one.bins[one.bins["images"] > 0]
        upper.vlines(there["mean_score"], there["low"], there["high"], color="0.45", linewidth=0.6)
        upper.plot(there["mean_score"], there["share"], **line)
        share = one.bins["images"] / one.bins["images"].sum()
        edges = [*one.bins["bin_low"], 1.0]
        lower.stairs(share, edges, color="black", linewidth=0.8, linestyle=style.line)
    if not diagrams or all(one.reason for one in diagrams):
        say_empty(upper, "; ".join(dict.fromkeys(one.reason for one in diagrams)) or "not measured")
    legend_below(lower, handles, [one.text for one in diagrams], drop=25 if sheet.is_lowest(panel) else 14)


def _notes(run: Run, diagrams: Sequence[Diagram]) -> list[str]:
    said = [
        f"Lines at marks: {run.suite.interval.level:.0%} Wilson intervals that count patients. Below: share of the images in each bin."
    ]
    if any(not math.isnan(one.error[0]) for one in diagrams):
        said.append(f"ECE: expected calibration error over {BINS} bins of equal width, with its interval.")
    return said


def _numbers(diagrams: Sequence[Diagram]) -> pd.DataFrame:
    parts = []
    for one in diagrams:
        value, low, high = one.error
        head = {**one.measured.about(), "label": one.label, "ece": value, "ece_low": low, "ece_high": high}
        head["reason"] = one.reason
        parts.append(pd.DataFrame([head] * len(one.bins)).join(one.bins))
    return pd.concat(parts, ignore_index=True)
