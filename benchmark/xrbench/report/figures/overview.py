"""Figures of every run: internal and external figures with intervals, and each fit's losses by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from xrbench.fixture_notice import STAMP
from xrbench.metrics import metric_title
from xrbench.report.figures.layout.style import canvas_of, save, title
from xrbench.report.score_grid import MEAN, Figure, Selection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

MARKS = {"internal": ("o", "white"), "external": ("s", "black"), "external, seen": ("x", "black")}
LINES = {"train_loss": "-", "valid_loss": "--", "valid_auc": ":"}
PANELS = 36
"""Fits on one page of curves."""


def forest_numbers(selection: Selection, label: str = MEAN) -> pd.DataFrame:
    """List what the forest plot shows: one row a line, setting, protocol and test dataset.

    Returns:
        Columns: setting, method, model, protocol, test, value, low, high, seen.
    """
    rows = []
    for column in selection.columns:
        for line in selection.lines:
            figures: list[tuple[str, Figure | None]] = [
                *(("internal", figure) for figure in selection.internal(line, column, label)),
                ("external", selection.external(line, column, label)),
            ]
            for protocol, figure in figures:
                if figure is None or not figure.defined:
                    continue
                about = {"setting": column.name, "method": line.method, "model": line.model, "protocol": protocol}
                numbers = {"value": figure.value, "low": figure.low, "high": figure.high, "seen": figure.seen}
                rows.append({**about, "test": figure.rows[0]["test"], **numbers})
    columns = ["setting", "method", "model", "protocol", "test", "value", "low", "high", "seen"]
    return pd.DataFrame(rows, columns=columns)


def forest(selection: Selection, folder: Path, *, label: str = MEAN) -> list[Path]:
    """Draw internal against external figures with their intervals, and write the numbers.

    Args:
        selection: The scores of one metric.
        folder: Where the files go.
        label: The label that is drawn.

    Returns:
        The written files; none when nothing was measured.
    """
    numbers = forest_numbers(selection, label)
    if numbers.empty:
        return []
    names = [(s, m, d) for s, m, d in numbers[["setting", "method", "model"]].drop_duplicates().itertuples(index=False)]
    with canvas_of(7.0, 1.2 + 0.28 * len(names)) as canvas:
        axes = canvas.add_subplot()
        for at, name in enumerate(names):
            rows = numbers[(numbers[["setting", "method", "model"]] == list(name)).all(axis=1)]
            _draw_points(axes, rows, at)
        axes.set_yticks(range(len(names)), [f"{method}  {setting}" for setting, method, _ in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel(f"{metric_title(selection.metric)}, {label}")
        axes.grid(axis="x", color="0.85", linewidth=0.5)
        axes.set_axisbelow(True)
        marks = {"linestyle": "none", "markersize": 4}
        _legend(canvas, {name: {"marker": m, "markerfacecolor": face, **marks} for name, (m, face) in MARKS.items()})
        title(canvas, "Internal and external, with intervals", selection.stamp)
        return save(canvas, numbers, folder, f"forest-{selection.metric}", selection.stamp)


def curves(logs: Mapping[str, pd.DataFrame], folder: Path, *, fixture: bool = False) -> list[Path]:
    """Draw loss and validation AUC of each fit by epoch, and write the numbers.

    Args:
        logs: Fit name -> its log, with a column ``epoch`` and any of ``train_loss``, ``valid_loss``, ``valid_auc``.
        folder: Where the files go.
        fixture: Whether the images are synthetic.
    """
    filled = [(name, log) for name, log in logs.items() if len(log) and "epoch" in log]
    stamp = STAMP if fixture else ""
    paths = []
    for page, start in enumerate(range(0, len(filled), PANELS), 1):
        shown = filled[start : start + PANELS]
        across = min(3, len(shown))
        down = math.ceil(len(shown) / across)
        with canvas_of(3.4 * across, 2.2 * down + 0.7) as canvas:
            for at, (name, log) in enumerate(shown, 1):
                axes = canvas.add_subplot(down, across, at)
                _draw_log(axes, log)
                axes.set_title("\n".join(_halves(name)), fontsize=6)
            _legend(canvas, {name: {"linestyle": style} for name, style in LINES.items()})
            title(canvas, "Loss and validation AUC (right) by epoch", stamp)
            numbers = pd.concat([log.assign(fit=name) for name, log in shown], ignore_index=True)
            numbers = numbers[["fit", *numbers.columns.drop("fit")]]
            paths += save(canvas, numbers, folder, "curves" if page == 1 else f"curves-{page}", stamp)
    return paths


def _draw_points(axes: Axes, rows: pd.DataFrame, at: int) -> None:
    step = 0.18
    for number, row in enumerate(rows.to_dict("records")):
        mark, face = MARKS["external, seen" if row["seen"] and row["protocol"] == "external" else row["protocol"]]
        y = at + step * (number - (len(rows) - 1) / 2)
        low, high, value = row["low"], row["high"], row["value"]
        if not math.isnan(low) and not math.isnan(high):
            axes.hlines(y, low, high, color="0.4", linewidth=0.8)
        axes.plot([value], [y], marker=mark, markersize=4, color="black", markerfacecolor=face, linestyle="none")


def _draw_log(axes: Axes, log: pd.DataFrame) -> None:
    from matplotlib.ticker import MaxNLocator

    right = None
    for column, style in LINES.items():
        if column not in log:
            continue
        target = axes
        if column.endswith("auc"):
            right = right or axes.twinx()
            right.set_ylim(min(0.4, float(log[column].min())), 1.0)
            right.spines["right"].set_visible(True)
            right.set_ylabel("AUC")
            target = right
        # A single epoch would be a line of no length.
        mark = "o" if len(log) == 1 else ""
        target.plot(log["epoch"], log[column], style, color="black", linewidth=1.0, marker=mark)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("loss")


def _legend(canvas: Canvas, entries: Mapping[str, Mapping[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color="black", label=name.replace("_", " "), **look) for name, look in entries.items()]
    canvas.legend(handles=lines, fontsize=7, loc="outside lower center", ncols=len(lines))


def _halves(name: str) -> tuple[str, str]:
    """Break a fit's name in two lines at a slash."""
    parts = name.split("/")
    middle = (len(parts) + 1) // 2
    return "/".join(parts[:middle]), "/".join(parts[middle:])
