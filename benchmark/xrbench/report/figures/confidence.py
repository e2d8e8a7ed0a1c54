"""Draw how sure a model of exclusive classes is, inside and outside the training datasets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from xrbench.cards import FigureLayout
from xrbench.report.figures import cell_selection
from xrbench.report.figures.class_predictions import Classed, classed
from xrbench.report.figures.options import Names, whole
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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

    The legend states mean confidence and accuracy: a model that is as sure outside as inside and less often right is overconfident
    there.

    Args:
        run: The run; cells without predictions are left out, and so are runs whose images may have several labels.
        layout: Name and caption.
        folder: Where the files go.
        method: Methods; all when empty, as for the others.
        model: Models.
        configuration: Training sets.
        protocol: Protocols; validation images only when asked for.
        seed: The seed that is shown; the lowest by default.
        bins: How many bins of equal width in 0..1.

    Returns:
        The written files; none when nothing was measured.

    Raises:
        CardError, UnknownNameError: An option is not usable.
    """
    cells = cell_selection.measured(
        run, layout, method=method, model=model, configuration=configuration, protocol=protocol, seed=seed
    )
    parts = whole(bins, "bins", 2, layout)
    paths: list[Path] = []
    for name, members in cell_selection.by_system(cells):
        drawn = classed(run, members)
        trained = cell_selection.trainings([one.measured for one in drawn])
        for page, sheet in enumerate(pages(["all"], trained) if drawn else [], 1):
            part = "" if page == 1 else str(page)
            stem = file_name(layout.name, name, part)
            mine = [one for one in drawn if one.measured.training in {panel.label for panel in sheet.panels}]
            paths += _draw(run, layout, folder, stem, sheet, mine, parts)
    return paths


def _draw(
    run: Run, layout: FigureLayout, folder: Path, name: str, sheet: Page, shown: Sequence[Classed], bins: int
) -> list[Path]:
    looks = cell_selection.looks(one.measured for one in shown)
    numbers = pd.concat([_numbers(one, bins) for one in shown], ignore_index=True)
    highest = float(numbers["share"].max()) if numbers["share"].notna().any() else 1.0
    below = max(
        legend_inches([_text(one) for one in shown if one.measured.training == panel.label]) for panel in sheet.panels
    )
    with canvas_of(0.4 + 2.4 * sheet.across, 1.1 + (1.8 + below) * sheet.down) as canvas:
        for panel in sheet.panels:
            axes = canvas.add_subplot(*sheet.place(panel))
            here = [one for one in shown if one.measured.training == panel.label]
            _draw_panel(axes, panel, sheet, here, looks, bins)
            axes.set_ylim(0, 1.05 * highest)
        first = shown[0].measured
        title(
            canvas, f"{layout.caption or 'Confidence of predicted classes'}: {first.system}, {first.model}", run.stamp
        )
        said = "Confidence: the probability of the predicted class. Accuracy: share of images whose class is predicted."
        cells = [one.measured for one in shown]
        notes(canvas, [said, cell_selection.training_note(cells), cell_selection.seeds_note(cells)])
        return save(canvas, numbers, folder, name, run.stamp)


def _draw_panel(
    axes: Axes, panel: Panel, sheet: Page, shown: Sequence[Classed], looks: dict[str, Look], bins: int
) -> None:
    from matplotlib.lines import Line2D

    axes.set_title(sheet.heading(panel), fontsize=7.5)
    axes.set_xlim(0, 1)
    axes.tick_params(labelsize=6.5)
    axes.set_xlabel("confidence", fontsize=6.5, labelpad=1)
    axes.set_ylabel("share of images" if panel.column == 0 else "", fontsize=6.5, labelpad=1)
    handles = []
    for one in shown:
        style = looks[one.measured.cell]
        handles.append(Line2D([], [], color="black", linewidth=1.1, linestyle=style.line))
        if len(one.truth):
            share = _histogram(one, bins) / len(one.truth)
            edges = np.linspace(0, 1, bins + 1)
            if style.hatch:
                axes.stairs(share, edges, color="black", linewidth=1.1, linestyle=style.line)
            else:
                axes.stairs(share, edges, fill=True, facecolor=style.shade)
                axes.stairs(share, edges, color="black", linewidth=1.1, linestyle=style.line)
    if not any(len(one.truth) for one in shown):
        say_empty(axes, "no labelled image")
    legend_below(axes, handles, [_text(one) for one in shown], drop=25)


def _histogram(one: Classed, bins: int) -> np.ndarray:
    return np.histogram(one.confidence, bins=bins, range=(0, 1))[0]


def _text(one: Classed) -> str:
    figures = (
        f"mean confidence {one.confidence.mean():.3f}, accuracy {one.accuracy:.3f}"
        if len(one.truth)
        else "no labelled image"
    )
    return legend_text(
        one.measured.where, figures, f"{len(one.truth):,} images, {cell_selection.patients_text(one.patients)}"
    )


def _numbers(one: Classed, bins: int) -> pd.DataFrame:
    counts, edges = _histogram(one, bins), np.linspace(0, 1, bins + 1)
    images = len(one.truth)
    mean = float(one.confidence.mean()) if images else math.nan
    about = {
        **one.measured.about(),
        "n_images": images,
        "n_patients": one.patients,
        "mean_confidence": mean,
        "accuracy": one.accuracy,
    }
    return pd.DataFrame(
        [
            {
                **about,
                "low": edges[i],
                "high": edges[i + 1],
                "images": int(count),
                "share": count / images if images else math.nan,
            }
            for i, count in enumerate(counts)
        ]
    )
