"""What figures of panels share: a picture a method and model, a panel a training set and label, a series a test set.

Below each panel is a legend with an entry for each series. Panels that do not fit into one picture continue in the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import pandas as pd

from xrbench.cards import FigureLayout
from xrbench.report.figures.cell_selection import ShownCell, by_system, looks, seeds_note, training_note, trainings
from xrbench.report.figures.layout.panel_grid import Page, Panel
from xrbench.report.figures.layout.style import (
    Look,
    canvas_of,
    file_name,
    legend_below,
    legend_inches,
    notes,
    save,
    say_empty,
    title,
)
from xrbench.report.run_folder import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


class Series(Protocol):
    """What a panel shows of one cell."""

    @property
    def cell(self) -> ShownCell:
        """The cell."""

    @property
    def place(self) -> tuple[str, str]:
        """Training set and label of the panel."""

    @property
    def text(self) -> str:
        """Entry of the legend."""

    @property
    def reason(self) -> str:
        """Why nothing can be drawn; else empty."""


S = TypeVar("S", bound=Series)


@dataclass(frozen=True)
class Picture(Generic[S]):
    """One picture: where its panels are, and the series in them."""

    page: Page
    series: Sequence[S]

    def in_panel(self, panel: Panel) -> list[S]:
        """List the series of a panel."""
        return [each for each in self.series if each.place == (panel.training, panel.label)]

    @cached_property
    def looks(self) -> dict[str, Look]:
        """Look of each cell, by its name."""
        return looks(each.cell for each in self.series)

    @property
    def legend_inches(self) -> float:
        """Height of the highest legend."""
        return max(legend_inches([each.text for each in self.in_panel(panel)]) for panel in self.page.panels)


@dataclass(frozen=True)
class PanelFigure(Generic[S]):
    """What distinguishes one kind of figure from the others.

    Attributes:
        width, height: Inches of a panel without its legend.
        above: Inches for title and notes.
        draw: Draws the panels of a picture into its canvas.
        title: Cells -> title of a picture.
        notes: Series -> sentences below a picture.
        numbers: Series -> what is written as CSV.
    """

    width: float
    height: float
    above: float
    draw: Callable[[Canvas, Picture[S]], None]
    title: Callable[[Sequence[ShownCell]], str]
    notes: Callable[[Sequence[S]], list[str]]
    numbers: Callable[[Sequence[S]], pd.DataFrame]


def draw_panels(
    run: Run,
    layout: FigureLayout,
    folder: Path,
    cells: Sequence[ShownCell],
    figure: PanelFigure[S],
    *,
    read: Callable[[ShownCell], Iterable[S]],
    pages: Callable[[Sequence[str]], Sequence[Page]],
) -> list[Path]:
    """Draw a figure of panels, one or more pictures for each method and model, and return the written files.

    Args:
        run: The run.
        layout: Name of the figure.
        folder: Where the files go.
        cells: What is shown.
        figure: The kind of figure.
        read: Reads the series of a cell; none where it has no predictions.
        pages: Training sets -> pages of panels.
    """
    paths: list[Path] = []
    for name, members in by_system(cells):
        series = [each for cell in members for each in read(cell)]
        grids = pages(trainings([each.cell for each in series])) if series else ()
        for number, page in enumerate(grids, 1):
            places = {(panel.training, panel.label) for panel in page.panels}
            picture = Picture(page, [each for each in series if each.place in places])
            stem = file_name(layout.name, name, "" if number == 1 else str(number))
            paths += _draw(run, folder, stem, figure, picture)
    return paths


def _draw(run: Run, folder: Path, name: str, figure: PanelFigure[S], picture: Picture[S]) -> list[Path]:
    width = 0.4 + figure.width * picture.page.across
    height = figure.above + (figure.height + picture.legend_inches) * picture.page.down
    cells, series = [each.cell for each in picture.series], picture.series
    with canvas_of(width, height) as canvas:
        figure.draw(canvas, picture)
        annotate(canvas, run, cells, figure.title(cells), figure.notes(series))
        return save(canvas, figure.numbers(series), folder, name, run.stamp)


def annotate(canvas: Canvas, run: Run, cells: Sequence[ShownCell], heading: str, sentences: Sequence[str]) -> None:
    """Put a title over a picture, and below it sentences with what must be known of its cells."""
    title(canvas, heading, run.stamp)
    notes(canvas, [*sentences, training_note(cells), seeds_note(cells)])


def name_axes(axes: Axes, panel: Panel, *, x: str | None = None, y: str) -> None:
    """Put small names at the axes of a panel: of y in the first column only."""
    axes.tick_params(labelsize=6.5)
    if x is not None:
        axes.set_xlabel(x, fontsize=6.5, labelpad=1)
    axes.set_ylabel(y if panel.column == 0 else "", fontsize=6.5, labelpad=1)


def unit_square(axes: Axes) -> None:
    """Scale both axes from 0 to 1, with the diagonal."""
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.5)


def line_key(look: Look, **style: Any) -> Any:
    """Make the key of a series in a legend: a black line in its style."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **{"color": "black", "linewidth": 1.1, "linestyle": look.line, **style})


def explain_panel(
    axes: Axes, series: Sequence[Series], keys: Sequence[Any], *, below: Axes | None = None, drop: float
) -> None:
    """Say in a panel why nothing is drawn, if so, and put the legend under it, or under the axes below it."""
    if all(each.reason for each in series):
        say_empty(axes, "; ".join(dict.fromkeys(each.reason for each in series)) or "not measured")
    legend_below(below or axes, keys, [each.text for each in series], drop=drop)


def numbers_of(about: dict[str, Any], rows: pd.DataFrame) -> pd.DataFrame:
    """Put the same columns before every row of a table."""
    return pd.DataFrame([about] * len(rows)).join(rows)
