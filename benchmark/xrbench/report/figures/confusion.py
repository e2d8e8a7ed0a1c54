"""Draw confusion matrices: which class is taken for which, inside and outside the training datasets."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import FigureLayout
from xrbench.metrics.checks import FloatArray
from xrbench.rendering.numbers import interval, number
from xrbench.report.figures import cell_selection
from xrbench.report.figures.class_predictions import Classed, classed
from xrbench.report.figures.options import Names
from xrbench.report.figures.style import canvas_of, file_name, notes, save, say_empty, short, title, wrapped
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

    Shares are of the images of each true class; counts stand below them. Every matrix says what its images are: held out,
    external, or the training images themselves (resubstitution).

    Args:
        run: The run; cells without predictions are left out, and so are runs whose images may have several labels.
        layout: Name and caption.
        folder: Where the files go.
        method: Methods; all when empty, as for the others.
        model: Models.
        configuration: Training sets.
        protocol: Protocols; validation images only when asked for.
        seed: The seed that is shown; the lowest by default.

    Returns:
        The written files; none when nothing was measured.

    Raises:
        CardError, UnknownNameError: An option is not usable.
    """
    cells = cell_selection.measured(
        run, layout, method=method, model=model, configuration=configuration, protocol=protocol, seed=seed
    )
    paths: list[Path] = []
    for name, members in cell_selection.by_system(cells):
        drawn = classed(run, members)
        trained = cell_selection.trainings([one.measured for one in drawn])
        for page, start in enumerate(range(0, len(trained), ROWS), 1):
            rows = [[one for one in drawn if one.measured.training == t] for t in trained[start : start + ROWS]]
            part = "" if page == 1 else str(page)
            paths += _draw(run, layout, folder, file_name(layout.name, name, part), rows)
    return paths


def _draw(run: Run, layout: FigureLayout, folder: Path, name: str, rows: Sequence[Sequence[Classed]]) -> list[Path]:
    across = max(len(row) for row in rows)
    scores = cell_selection.score_rows(run)
    everything = list(itertools.chain.from_iterable(rows))
    with canvas_of(1.0 + 2.9 * across, 1.0 + 3.7 * len(rows)) as canvas:
        for i, row in enumerate(rows):
            for j, one in enumerate(row):
                axes = canvas.add_subplot(len(rows), across, i * across + j + 1)
                _draw_matrix(axes, one, run.suite.labels, first=j == 0)
                axes.set_title(_heading(one, scores), fontsize=7)
        first = everything[0].measured
        title(canvas, f"{layout.caption or 'Confusion matrices'}: {first.system}, {first.model}", run.stamp)
        said = (
            "Shares of the images of each true class (rows), images below. The predicted class has the highest score."
        )
        cells = [one.measured for one in everything]
        notes(canvas, [said, cell_selection.training_note(cells), cell_selection.seeds_note(cells)])
        return save(canvas, _numbers(everything, run.suite.labels), folder, name, run.stamp)


def _heading(one: Classed, scores: dict[tuple[str, str, str], dict[str, Any]]) -> str:
    row = scores.get((one.measured.cell, "all classes", "accuracy"))
    ends = interval(row["low"], row["high"], 3) if row else ""
    accuracy = f"accuracy {number(one.accuracy, 3)} {ends}".rstrip()
    lines = [one.measured.training, one.measured.where, accuracy]
    return "\n".join(
        [
            *(short(line, 50) for line in lines),
            f"{len(one.truth):,} images, {cell_selection.patients_text(one.patients)}",
        ]
    )


def _draw_matrix(axes: Axes, one: Classed, classes: Sequence[str], *, first: bool) -> None:
    size = len(classes)
    counts = one.counts(size)
    shares = _shares(counts)
    axes.set_box_aspect(1)
    axes.pcolormesh(np.nan_to_num(shares), cmap="Greys", vmin=0, vmax=1.25, edgecolor="0.7", linewidth=0.3)
    axes.invert_yaxis()
    letters = min(6.5, 38 / size)
    for true, called in itertools.product(range(size), range(size)):
        share = shares[true, called]
        if np.isnan(share):
            continue
        text = f"{share:.2f}\n{counts[true, called]:,}" if size <= 8 else f"{share:.2f}"
        colour = "white" if share > 0.75 else "black"
        axes.text(called + 0.5, true + 0.5, text, ha="center", va="center", fontsize=letters, color=colour)
    names = [wrapped(short(name, 24), 0.75, 6) for name in classes]
    at = np.arange(size) + 0.5
    axes.set_xticks(at, names, rotation=90, fontsize=min(6.5, 60 / size))
    axes.set_yticks(at, names if first else [""] * size, fontsize=min(6.5, 60 / size))
    axes.tick_params(length=0)
    axes.set_xlabel("predicted", fontsize=7)
    axes.set_ylabel("true" if first else "", fontsize=7)
    if not len(one.truth):
        say_empty(axes, "no labelled image")
        return
    for empty in np.flatnonzero(counts.sum(axis=1) == 0):
        axes.text(size / 2, empty + 0.5, "no image", ha="center", va="center", fontsize=letters, color="0.4")


def _shares(counts: npt.NDArray[np.int64]) -> FloatArray:
    rows = counts.sum(axis=1, keepdims=True)
    shares: FloatArray = np.divide(counts, rows, out=np.full(counts.shape, np.nan), where=rows > 0)
    return shares


def _numbers(shown: Sequence[Classed], classes: Sequence[str]) -> pd.DataFrame:
    rows = []
    for one in shown:
        counts = one.counts(len(classes))
        shares = _shares(counts)
        for true, called in itertools.product(range(len(classes)), range(len(classes))):
            about = {**one.measured.about(), "true": classes[true], "predicted": classes[called]}
            figures = {"images": counts[true, called], "share": shares[true, called], "n_true": counts[true].sum()}
            rows.append({**about, **figures, "n_images": len(one.truth), "n_patients": one.patients})
    return pd.DataFrame(rows)
