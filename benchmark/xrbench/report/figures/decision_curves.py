"""Decision curves: net benefit of acting on the model against acting on everyone and on no one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from xrbench.cards import FigureLayout
from xrbench.report.figures.layout.style import canvas_of, file_name, look, notes, save, title
from xrbench.report.run_folder import Run
from xrbench.report.tables import analysis_table
from xrbench.report.tables.analysis_table import AnalysisRow, grouped, labelled_rows, method_name, train_and_test

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS = 3
"""Panels side by side."""


def decision_curve(
    run: Run, layout: FigureLayout, folder: Path, /, *, label: str = "", protocol: str = "external", bands: bool = True
) -> list[Path]:
    """Draw one panel a training and test set with a curve a method; one picture a label.

    The suite of the run must ask for ``decision_thresholds``.

    Options:
        label: One label; all by default.
        protocol: ``external``, ``internal`` or ``resubstitution``.
        bands: Whether pointwise intervals are drawn.
    """
    frame = analysis_table.read_rows(run, "decision-curve", protocol=protocol, label=label)
    measured = None if frame is None else frame[frame["value"].notna() & (frame["label"] != "")]
    if measured is None or measured.empty:
        return []
    paths: list[Path] = []
    for name in dict.fromkeys(measured["label"]):
        paths += _picture(run, layout, folder, measured[measured["label"] == name], str(name), bands=bands)
    return paths


def _picture(
    run: Run, layout: FigureLayout, folder: Path, frame: pd.DataFrame, label: str, *, bands: bool
) -> list[Path]:
    rows = labelled_rows(frame)
    lines = {key: number for number, key in enumerate(grouped(rows, "method", "model"))}
    panels: dict[tuple[str, str], list[AnalysisRow]] = {}
    for row in rows:
        panels.setdefault(train_and_test(row), []).append(row)
    across = min(ACROSS, len(panels))
    down = math.ceil(len(panels) / across)
    with canvas_of(2.5 * across, 2.1 * down + 0.9) as canvas:
        from matplotlib.lines import Line2D

        for at, (place, shown) in enumerate(panels.items(), 1):
            axes = canvas.add_subplot(down, across, at)
            _panel(axes, shown, lines, bands=bands)
            axes.set_title(f"{place[0]}\n{place[1]}, {_sizes(shown)}", fontsize=6)
        names = {key: method_name(of[0]) for key, of in grouped(rows, "method", "model").items()}
        keys = [
            Line2D([], [], color="black", linestyle=look(n).line, marker=look(n).mark, markersize=3, label=names[key],
                   markerfacecolor=look(n).face) for key, n in lines.items()
        ]  # fmt: skip
        keys += [
            Line2D([], [], color="0.6", linewidth=0.8, label="act on everyone"),
            Line2D([], [], color="black", linewidth=0.5, label="act on no one"),
        ]
        title(canvas, layout.caption or f"Net benefit, {label}", run.stamp, keys)
        share = f"{100 * float(frame['level'].dropna().iloc[0]):g} %"
        notes(canvas, (f"Bars: pointwise {share} intervals, resampling {frame['unit'].iloc[0]}s.",) if bands else ())
        numbers = frame.drop(columns=["metric", "stamp"], errors="ignore")
        return save(canvas, numbers, folder, file_name(layout.name, label), run.stamp)


def _panel(axes: Axes, rows: list[AnalysisRow], lines: dict[tuple[Any, ...], int], *, bands: bool) -> None:
    for key, of in grouped(rows, "method", "model").items():
        style = look(lines[key])
        at, value = ([row[name] for row in of] for name in ("threshold", "value"))
        axes.plot(
            at, value, linestyle=style.line, marker=style.mark, markersize=3, color="black", markerfacecolor=style.face
        )
        if bands:
            low, high = ([row[name] for row in of] for name in ("low", "high"))
            axes.vlines(at, low, high, color="0.4", linewidth=0.8)
    everyone = {row["threshold"]: row["treat_all"] for row in rows}
    axes.plot(sorted(everyone), [everyone[at] for at in sorted(everyone)], color="0.6", linewidth=0.8)
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set_xlabel("threshold probability")
    axes.set_ylabel("net benefit")
    # Acting on everyone falls without end as the threshold nears 1: it must not flatten the rest.
    lowest = min(0.0, *(row["low"] for row in rows if not math.isnan(row["low"])), *(row["value"] for row in rows))
    axes.set_ylim(bottom=lowest - 0.03)


def _sizes(rows: list[AnalysisRow]) -> str:
    first = rows[0]
    return f"{first['n_positive']:,.0f} of {first['n_positive'] + first['n_negative']:,.0f} positive"
