"""Tables and figures that a building block makes of a whole run, named by the ``kind`` of a suite's layout.

Three kinds of table need the scores only and are made in ``tables``. All others are blocks: functions that are given the run (its
scores, predictions, manifest and paper) and the layout, and return nothing where the run has nothing for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xrbench import blocks
from xrbench.cards import FigureLayout, TableLayout
from xrbench.rendering.table import Table
from xrbench.report.run_folder import Run

OF_SCORES = ("datasets", "settings", "internal-external")
"""Kinds of table that are made of the scores alone."""


def is_block(layout: TableLayout) -> bool:
    """Tell whether a building block makes the table.

    >>> is_block(TableLayout(name="t", kind="settings")), is_block(TableLayout(name="t", kind="ranks"))
    (False, True)
    """
    return layout.kind not in OF_SCORES


def block_table(run: Run, layout: TableLayout) -> Table | None:
    """Have a building block make a table of a run; None when the run has nothing for it.

    Raises:
        UnknownNameError: No kind of table of that name; the nearest one is offered.
        CardError: An option that this kind does not take.
    """
    where = f"suite {run.suite.name}: table {layout.name}"
    make = blocks.check_options("table", layout.kind, layout.options, where=where)
    made: Table | None = make(run, layout, **layout.options)
    return made


def block_figure(run: Run, layout: FigureLayout, folder: Path) -> list[Path]:
    """Have a building block draw a figure of a run into a folder; returns what was written, which may be nothing.

    Raises:
        UnknownNameError: No kind of figure of that name; the nearest one is offered.
        CardError: An option that this kind does not take.
    """
    where = f"suite {run.suite.name}: figure {layout.name}"
    draw = blocks.check_options("figure", layout.kind, layout.options, where=where)
    paths: Iterable[Path] = draw(run, layout, folder, **layout.options)
    return list(paths)
