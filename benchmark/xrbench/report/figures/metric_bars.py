"""Metrics of several systems side by side, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from xrbench.cards import FigureLayout
from xrbench.metrics import metric_title, parse_as
from xrbench.rendering.numbers import interval, number
from xrbench.report.figures import cell_selection
from xrbench.report.figures.cell_selection import ShownCell
from xrbench.report.figures.layout.options import Names, asked
from xrbench.report.figures.layout.style import canvas_of, file_name, look, notes, save, short, title
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import MEAN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OVERALL = ("all classes", MEAN)
"""Labels of figures over everything, the first that a metric has."""
System = tuple[str, str, str]
ACROSS = 3
"""Panels beside each other."""


@dataclass(frozen=True)
class Value:
    """One metric of one cell, or its mean over seeds.

    Attributes:
        cell: The cell.
        metric, label: What was measured.
        value, low, high: With several seeds the mean, without an interval.
        single: The value of each seed.
        row: The scores' row of the cell.
    """

    cell: ShownCell
    metric: str
    label: str
    value: float
    low: float
    high: float
    single: tuple[float, ...]
    row: Mapping[str, Any]

    @property
    def system(self) -> System:
        """Training set, method and model."""
        return self.cell.training, self.cell.system, self.cell.model

    @property
    def ends(self) -> tuple[float, ...]:
        """The value, and the ends of its interval if it has one."""
        return tuple(end for end in (self.value, self.low, self.high) if not math.isnan(end))


def metrics(
    run: Run,
    layout: FigureLayout,
    folder: Path,
    /,
    *,
    metric: Names = (),
    label: str = "",
    method: Names = (),
    model: Names = (),
    configuration: Names = (),
    protocol: Names = ("internal", "resubstitution", "external"),
) -> list[Path]:
    """Draw metrics with intervals: kinds of test sets in panels, training sets, methods and models in rows, in the suite's order.

    Figures on training images (resubstitution) have a panel of their own, last and hollow on grey: they are not to be compared.
    With several seeds the mark is their mean, without an interval, and small ticks are the single fits.

    Options:
        metric: Metrics; all of the suite whose values lie within -1..1 when empty.
        label: The label; when empty, what is measured over all classes or labels.
        method, model, configuration, protocol: As for all figures.
    """
    cells = cell_selection.measured(
        run, layout, method=method, model=model, configuration=configuration, protocol=protocol
    )
    known = dict.fromkeys([*run.suite.metrics, *run.scores["metric"]])
    names = asked(metric, "metric", known, layout)
    labels = asked(label, "label", {*run.suite.labels, *run.scores["label"]}, layout) if label else ()
    specs = [parse_as(run.suite.task, name).metric for name in run.suite.metrics]
    near = [name for name, row in zip(run.suite.metrics, specs, strict=True) if row.low >= -1 and row.high <= 1]
    values = [
        value
        for name in names or near
        for value in _values(run, cells, name, labels or (*OVERALL, *run.suite.labels[: len(run.suite.labels) == 1]))
    ]
    return _draw(run, layout, folder, values) if values else []


def _values(run: Run, cells: Sequence[ShownCell], metric: str, labels: Sequence[str]) -> list[Value]:
    rows = cell_selection.score_rows(run)
    values = []
    for cell in cells:
        label = next((label for label in labels if (cell.cell, label, metric) in rows), None)
        if label is None:
            continue
        of_seeds = [rows[name, label, metric] for name in cell.cells if (name, label, metric) in rows]
        single = tuple(float(row["value"]) for row in of_seeds)
        defined = [value for value in single if not math.isnan(value)]
        if not defined:
            continue
        row = of_seeds[0]
        low, high = (row["low"], row["high"]) if len(single) == 1 else (math.nan, math.nan)
        values.append(Value(cell, metric, label, float(np.mean(defined)), low, high, single, row))
    return values


def _draw(run: Run, layout: FigureLayout, folder: Path, values: Sequence[Value]) -> list[Path]:
    rows = Rows.of(values)
    panels = _panels(values)
    across = min(ACROSS, len(panels))
    down = math.ceil(len(panels) / across)
    with canvas_of(2.2 + 2.4 * across, 0.9 + (0.7 + 0.15 * rows.height) * down) as canvas:
        for at, (place, shown) in enumerate(panels.items()):
            axes = canvas.add_subplot(down, across, at + 1)
            _draw_panel(axes, shown, rows, named=at % across == 0)
            axes.set_title(_heading(place, shown), fontsize=7)
            if all(0 <= end <= 1 for value in values for end in value.ends):
                axes.set_xlim(-0.02, 1.02)
        labels = ", ".join(dict.fromkeys(value.label for value in values))
        systems = {value.system for value in values}
        subject = f": {', '.join(values[0].system)}" if len(systems) == 1 else ""
        title(canvas, f"{layout.caption or f'Figures of {labels}'}{subject}", run.stamp)
        notes(canvas, _notes(values, run.suite.interval.level))
        return save(canvas, _numbers(values), folder, file_name(layout.name), run.stamp)


@dataclass(frozen=True)
class Rows:
    """Row of each metric of each system, from the top: a heading for the metric and its systems below, or one row for both."""

    names: tuple[tuple[float, str], ...]
    at: Mapping[tuple[str, System], float]
    marks: Mapping[str, str]

    @classmethod
    def of(cls, values: Sequence[Value]) -> Rows:
        """Give every metric a block with a row for each system, in the order of the values."""
        systems = list(dict.fromkeys(value.system for value in values))
        varied = [len({system[part] for system in systems}) > 1 for part in range(3)]
        names: list[tuple[float, str]] = []
        at: dict[tuple[str, System], float] = {}
        for number_of, metric in enumerate(dict.fromkeys(value.metric for value in values)):
            top = number_of * (len(systems) + 1.5) if len(systems) > 1 else float(number_of)
            names.append((top, metric_title(metric)))
            if len(systems) == 1:
                at[metric, systems[0]] = top
                continue
            for row, system in enumerate(systems, 1):
                at[metric, system] = top + row
                parts = [text for text, several in zip(system, varied, strict=True) if several]
                names.append((top + row, short(", ".join(parts), 44)))
        methods = dict.fromkeys(value.cell.method for value in values)
        return cls(tuple(names), at, {method: look(i).mark for i, method in enumerate(methods)})

    @property
    def height(self) -> float:
        """How many rows there are."""
        return self.names[-1][0] + 1

    def is_heading(self, place: float) -> bool:
        """Tell whether a place is that of a metric's name."""
        return place not in self.at.values()


def _panels(values: Sequence[Value]) -> dict[tuple[str, str], list[Value]]:
    """Divide values by protocol, and by test set where one training set has several; resubstitution comes last."""
    tests: dict[tuple[str, System], set[str]] = {}
    for value in values:
        tests.setdefault((value.cell.protocol, value.system), set()).add(value.cell.test)
    several = {protocol for (protocol, _), names in tests.items() if len(names) > 1}
    order = ("internal", "validation", "external", "resubstitution")
    panels: dict[tuple[str, str], list[Value]] = {}
    for value in sorted(values, key=lambda value: order.index(value.cell.protocol)):
        cell = value.cell
        panels.setdefault((cell.protocol, cell.test if cell.protocol in several else ""), []).append(value)
    return panels


def _heading(place: tuple[str, str], values: Sequence[Value]) -> str:
    kind = cell_selection.WORDS.get(place[0], place[0])
    tests = ", ".join(dict.fromkeys(value.cell.test for value in values))
    counted = ("images", "patients") if all(value.row["unit"] != "image" for value in values) else ("images",)
    sizes = [_range([value.row[f"n_{what}"] for value in values], what) for what in counted]
    return "\n".join(part for part in (kind, short(tests, 44), ", ".join(filter(None, sizes))) if part)


def _range(counts: Sequence[float], what: str) -> str:
    """Write a number of things, or the smallest and largest; nothing where it is not known.

    >>> _range([20, 20], "images"), _range([20, 1000], "patients"), _range([float("nan")], "images")
    ('20 images', '20 to 1,000 patients', '')
    """
    if any(math.isnan(count) for count in counts):
        return ""
    low, high = min(counts), max(counts)
    return f"{low:,.0f} {what}" if low == high else f"{low:,.0f} to {high:,.0f} {what}"


def _draw_panel(axes: Axes, values: Sequence[Value], rows: Rows, *, named: bool) -> None:
    for value in values:
        y = rows.at[value.metric, value.system]
        if len(value.ends) == 3:
            axes.hlines(y, value.low, value.high, color="0.4", linewidth=0.8)
        if len(value.single) > 1:
            axes.plot(value.single, [y] * len(value.single), marker="|", color="0.4", markersize=5, linestyle="none")
        face = "white" if value.cell.protocol == "resubstitution" else "black"
        mark = rows.marks[value.cell.method]
        axes.plot([value.value], [y], marker=mark, markersize=4, color="black", linestyle="none", markerfacecolor=face)
        text = f"{number(value.value, 3)} {interval(value.low, value.high, 2)}".rstrip()
        axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=5.5)
    axes.set_ylim(rows.height - 0.4, -0.6)
    axes.set_yticks([at for at, _ in rows.names], [name if named else "" for _, name in rows.names], fontsize=6.5)
    for (at, _), shown in zip(rows.names, axes.get_yticklabels(), strict=True):
        shown.set_fontweight("bold" if rows.is_heading(at) else "normal")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=6.5)
    axes.grid(axis="x", color="0.85", linewidth=0.4)
    axes.set_axisbelow(True)
    if values[0].cell.protocol == "resubstitution":
        axes.set_facecolor("0.93")


def _notes(values: Sequence[Value], level: float) -> list[str]:
    sentences = [f"Lines: {level:.0%} intervals."] if any(not math.isnan(value.low) for value in values) else []
    if any(len(value.single) > 1 for value in values):
        counts = sorted({len(value.single) for value in values if len(value.single) > 1})
        sentences.append(
            f"Marks among ticks are means of {', '.join(map(str, counts))} fits, the ticks are the single fits."
        )
    if any(value.cell.protocol == "resubstitution" for value in values):
        sentences.append(
            "Resubstitution (hollow): measured on the images that the model was trained on; not to be compared."
        )
    return sentences


def _numbers(values: Sequence[Value]) -> pd.DataFrame:
    rows = []
    for value in values:
        about = value.cell.about()
        about["seed"] = "+".join(map(str, value.cell.seeds))
        figures = {"value": value.value, "low": value.low, "high": value.high, "fits": len(value.single)}
        single = " ".join(repr(each) for each in value.single)
        sizes = {name: value.row[name] for name in ("n_images", "n_patients")}
        rows.append({**about, "label": value.label, "metric": value.metric, **figures, "single": single, **sizes})
    return pd.DataFrame(rows)
