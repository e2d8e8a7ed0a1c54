"""From a run to its figures: those that every run has, and those that its suite names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xrbench import blocks
from xrbench.cards import FigureLayout
from xrbench.report.figures.overview import curves, forest
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import Selection


def draw_figures(run: Run, folder: Path) -> list[Path]:
    """Draw all figures of a run into a folder, and return the written files."""
    metrics = run.suite.metrics
    paths = forest(Selection(run.scores, run.suite, "auc" if "auc" in metrics else metrics[0]), folder)
    logs = {entry["name"]: run.log(entry["name"]) for entry in run.manifest["fits"]}
    paths += curves({name: log for name, log in logs.items() if log is not None}, folder, fixture=run.results.fixture)
    for layout in run.suite.figures:
        paths += draw_figure(run, layout, folder)
    return paths


def draw_figure(run: Run, layout: FigureLayout, folder: Path) -> list[Path]:
    """Draw a figure by the block of its kind, and return the written files, which may be none.

    Raises:
        UnknownNameError: No kind of figure of that name; the nearest one is offered.
        CardError: An option that this kind does not take.
    """
    where = f"suite {run.suite.name}: figure {layout.name}"
    draw = blocks.check_options("figure", layout.kind, layout.options, where=where)
    paths: Iterable[Path] = draw(run, layout, folder, **layout.options)
    return list(paths)
