"""Draw ROC curves per label, internal and external, with bands over patients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from xrbench import metrics
from xrbench.cards import FigureLayout
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
from xrbench.scoring import interval_seed
from xrbench.statistics.clinical.roc_and_calibration_curves import POINTS, RocBand, roc_band

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = dict[tuple[str, str, str], dict[str, Any]]


@dataclass(frozen=True)
class Curve:
    """One label of one cell.

    Attributes:
        measured: The cell.
        label: The label.
        band: The curve; NaN where there is none.
        auc: Value, low and high.
        counts: Positive images, labelled images, and patients (None where they are not known).
        reason: Why there is no curve.
    """

    measured: ShownCell
    label: str
    band: RocBand
    auc: tuple[float, float, float]
    counts: tuple[int, int, int | None]
    reason: str

    @property
    def text(self) -> str:
        """Say in the legend what it is, its area and its size."""
        value, low, high = self.auc
        area = self.reason or f"AUC {number(value, 3)} {interval(low, high, 3)}".rstrip()
        where = f"{self.measured.where}:"
        first = (f"{where} {area}",) if len(where) + len(area) < 46 else (where, area)
        return legend_text(*first, cell_selection.counts_text(*self.counts))


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
        band: Whether pointwise bands are drawn; their level and replicates are those of the suite's intervals.
        grid: How many false-positive rates the curves are computed at.

    Returns:
        The written files; none when nothing was measured.

    Raises:
        CardError, UnknownNameError: An option is not usable.
    """
    cells = cell_selection.measured(
        run, layout, method=method, model=model, configuration=configuration, protocol=protocol, seed=seed
    )
    labels = asked(label, "label", run.suite.labels, layout) or run.suite.labels
    points = whole(grid, "grid", 2, layout)
    paths: list[Path] = []
    rows = cell_selection.score_rows(run)
    for name, members in cell_selection.by_system(cells):
        drawn = [curve for cell in members for curve in _curves(run, cell, labels, rows, points, band=band)]
        there = [cell for cell in members if any(curve.measured == cell for curve in drawn)]
        sheets = pages(cell_selection.trainings(there), labels) if drawn else []
        for page, sheet in enumerate(sheets, 1):
            part = "" if page == 1 else str(page)
            paths += _draw(run, layout, folder, file_name(layout.name, name, part), sheet, drawn, band=band)
    return paths


def _curves(run: Run, cell: ShownCell, labels: Sequence[str], rows: Rows, points: int, *, band: bool) -> list[Curve]:
    frame = run.results.predictions(cell.cell)
    if frame is None or not len(frame):
        return []
    patient, asked = patients_of(frame), run.suite.interval
    found = []
    for label in labels:
        if label not in store.labels_of(frame):
            continue
        truth, score = (frame[f"{kind}:{label}"].to_numpy(np.float64) for kind in ("truth", "score"))
        known = ~np.isnan(truth)
        counts = (int((truth == 1).sum()), int(known.sum()), cell_selection.patients_among(frame, known))
        traced = roc_band(
            truth,
            score,
            patient,
            grid=points,
            replicates=asked.replicates if band else 0,
            level=asked.level,
            seed=interval_seed(frame),
            unit=asked.unit,
        )
        row = rows.get((cell.cell, label, "auc"))
        auc = (row["value"], row["low"], row["high"]) if row else (metrics.auc(truth, score), math.nan, math.nan)
        reason = _reason(counts) if np.isnan(traced.tpr).any() else ""
        found.append(Curve(cell, label, traced, auc, counts, reason))
    return found


def _reason(counts: tuple[int, int, int | None]) -> str:
    positive, labelled, _ = counts
    if not labelled:
        return "no labelled image"
    return f"no {'positive' if not positive else 'negative'} among {labelled:,} labelled images"


def _draw(
    run: Run, layout: FigureLayout, folder: Path, name: str, sheet: Page, curves: Sequence[Curve], *, band: bool
) -> list[Path]:
    shown = {(panel.training, panel.label): panel for panel in sheet.panels}
    mine = [curve for curve in curves if (curve.measured.training, curve.label) in shown]
    looks = cell_selection.looks(curve.measured for curve in mine)
    below = max(
        legend_inches([curve.text for curve in mine if (curve.measured.training, curve.label) == place])
        for place in shown
    )
    with canvas_of(0.4 + 2.2 * sheet.across, 1.0 + (2.15 + below) * sheet.down) as canvas:
        for place, panel in shown.items():
            axes = canvas.add_subplot(*sheet.place(panel))
            here = [curve for curve in mine if (curve.measured.training, curve.label) == place]
            _draw_panel(axes, panel, sheet, here, looks)
        cells = [curve.measured for curve in mine]
        title(canvas, f"{layout.caption or 'ROC curves'}: {cell_selection.subject(cells)}", run.stamp)
        notes(
            canvas,
            [_band_note(run, mine, band=band), cell_selection.training_note(cells), cell_selection.seeds_note(cells)],
        )
        return save(canvas, _numbers(run, mine), folder, name, run.stamp)


def _draw_panel(axes: Axes, panel: Panel, sheet: Page, curves: Sequence[Curve], looks: dict[str, Look]) -> None:
    from matplotlib.lines import Line2D

    axes.set_box_aspect(1)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.tick_params(labelsize=6.5)
    axes.set_title(sheet.heading(panel), fontsize=7.5)
    lowest = sheet.is_lowest(panel)
    axes.set_xlabel("false-positive rate" if lowest else "", fontsize=6.5, labelpad=1)
    axes.set_ylabel("true-positive rate" if panel.column == 0 else "", fontsize=6.5, labelpad=1)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.5)
    handles = []
    for curve in curves:
        style = looks[curve.measured.cell]
        handles.append(Line2D([], [], color="black", linewidth=1.1, linestyle=style.line))
        if not curve.reason:
            _draw_curve(axes, curve.band, style)
    if curves and all(curve.reason for curve in curves):
        say_empty(axes, "; ".join(dict.fromkeys(curve.reason for curve in curves)))
    if not curves:
        say_empty(axes, "not measured")
    legend_below(axes, handles, [curve.text for curve in curves], drop=25 if lowest else 14)


def _draw_curve(axes: Axes, band: RocBand, style: Look) -> None:
    if not np.isnan(band.low).any():
        axes.fill_between(band.fpr, band.low, band.high, linewidth=0, **style.area)
        for edge in (band.low, band.high):
            axes.plot(band.fpr, edge, color=style.shade, linewidth=0.4)
    fpr, tpr = np.append(0.0, band.fpr), np.append(0.0, band.tpr)
    axes.plot(fpr, tpr, color="black", linewidth=1.1, linestyle=style.line)


def _band_note(run: Run, curves: Sequence[Curve], *, band: bool) -> str:
    asked = run.suite.interval
    said = f"AUC with its {asked.level:.0%} interval."
    if any(not np.isnan(curve.band.low).any() for curve in curves):
        unit = "images" if any(curve.counts[2] is None for curve in curves) else f"{asked.unit}s"
        said += (
            f" Bands: pointwise {asked.level:.0%}, {asked.replicates:,} bootstrap replicates over {unit}, "
            "nowhere narrower than Wilson's interval of the curve's height."
        )
    if band and asked.replicates and any(not curve.reason and np.isnan(curve.band.low).any() for curve in curves):
        said += " No band where more than a twentieth of the replicates lack a class: too few patients."
    return said


def _numbers(run: Run, curves: Sequence[Curve]) -> pd.DataFrame:
    parts = []
    for curve in curves:
        (value, low, high), (positive, labelled, patients) = curve.auc, curve.counts
        part = pd.DataFrame(
            {
                "false_positive_rate": curve.band.fpr,
                "true_positive_rate": curve.band.tpr,
                "low": curve.band.low,
                "high": curve.band.high,
            }
        )
        head = {**curve.measured.about(), "label": curve.label, "auc": value, "auc_low": low, "auc_high": high}
        head |= {"n_positive": positive, "n_negative": labelled - positive, "n_patients": patients}
        head |= {"level": run.suite.interval.level, "reason": curve.reason}
        parts.append(pd.DataFrame([head] * len(part)).join(part))
    return pd.concat(parts, ignore_index=True)
