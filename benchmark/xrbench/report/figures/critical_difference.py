"""Mean ranks of methods with Nemenyi's critical difference (Demšar 2006, JMLR 7:1, figure 1)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from xrbench.analyses.inputs import records
from xrbench.cards import FigureLayout
from xrbench.metrics import metric_title
from xrbench.rendering.numbers import p_text
from xrbench.report.figures.layout.style import SMALL, canvas_of, file_name, notes, save, short, title
from xrbench.report.run_folder import Run
from xrbench.report.tables import analysis_table
from xrbench.runs.shared_parents import notes_of_scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NUMBERS = (
    *("label", "metric", "method", "mean_rank", "group", "statistic", "p", "critical_difference"),
    *("significance", "n_settings", "n_methods", "value", "caution"),
)


def critical_difference(
    run: Run, layout: FigureLayout, folder: Path, /, *, metric: str = "", label: str = ""
) -> list[Path]:
    """Draw the methods on a line of mean ranks; a bar joins those that do not differ significantly.

    The suite of the run must ask for the analysis ``ranks``.

    Options:
        metric: The metric that ranks; the suite's first by default.
        label: The label; the mean over labels by default.
    """
    frame = analysis_table.read_rows(
        run, "ranks", metric=metric or run.suite.metrics[0], label=label or analysis_table.mean_label(run)
    )
    ranked = None if frame is None else frame[frame["mean_rank"].notna()]
    if ranked is None or ranked.empty:
        return []
    ranked = ranked.sort_values("mean_rank", kind="stable").reset_index(drop=True)
    first = ranked.iloc[0]
    apart = float(first["critical_difference"])
    with canvas_of(6.4, 1.5 + 0.24 * (len(ranked) // 2 + 1) + 0.09 * len(_bars(ranked))) as canvas:
        _draw(canvas.add_subplot(), ranked, apart)
        about = f"{metric_title(first['metric'])}, {first['label']}, {first['n_settings']:.0f} settings"
        title(canvas, layout.caption or f"Mean ranks by external {about}", run.stamp)
        tested = f"Friedman p {p_text(float(first['p']))}; critical difference {apart:.2f} at {first['significance']:g} (Nemenyi)."
        given = (f"{text}." for text in notes_of_scores(run.scores))
        notes(canvas, (f"Rank 1 is best; a bar joins methods that do not differ. {tested}", *given, *_cautions(ranked)))
        return save(canvas, ranked[list(NUMBERS)], folder, file_name(layout.name), run.stamp)


def _draw(axes: Axes, ranked: pd.DataFrame, apart: float) -> None:
    """Draw the line of ranks, the ruler of the critical difference above it, names left and right below."""
    methods = len(ranked)
    bars = _bars(ranked)
    deep = 0.55 + 0.28 * len(bars) + 0.6 * ((methods + 1) // 2)
    beside = 0.3 + 0.55 * (methods - 1)
    axes.set_xlim(1 - beside, methods + beside)
    axes.set_ylim(-deep - 0.2, 1.4)
    axes.set_axis_off()
    axes.hlines(0, 1, methods, color="black", linewidth=1.0)
    for tick in range(1, methods + 1):
        axes.vlines(tick, 0, 0.14, color="black", linewidth=0.8)
        axes.text(tick, 0.2, str(tick), ha="center", va="bottom", fontsize=7)
    axes.plot(
        [1, min(1 + apart, methods + beside)], [0.95, 0.95], color="black", linewidth=1.2, marker="|", markersize=6
    )
    axes.text(1, 1.05, f"critical difference {apart:.2f}", ha="left", va="bottom", fontsize=SMALL)
    for at, (low, high) in enumerate(bars):
        axes.hlines(-0.25 - 0.28 * at, low - 0.04, high + 0.04, color="black", linewidth=3.0)
    half = (methods + 1) // 2
    for number, row in enumerate(records(ranked)):
        left, rank = number < half, float(row["mean_rank"])
        step = number if left else methods - 1 - number
        y, end = -0.55 - 0.28 * len(bars) - 0.6 * step, 0.95 if left else methods + 0.05
        axes.plot([rank, rank, end], [0, y, y], color="black", linewidth=0.7)
        text = f" {short(str(row['method']), 34)}  {rank:.2f} "
        axes.text(end, y, text, ha="right" if left else "left", va="center", fontsize=7)


def _bars(ranked: pd.DataFrame) -> list[tuple[float, float]]:
    """Return the ends of the bars, one a letter that at least two methods share."""
    letters = sorted(set("".join(ranked["group"])))
    spans = [ranked.loc[ranked["group"].str.contains(letter), "mean_rank"] for letter in letters]
    return [(float(span.min()), float(span.max())) for span in spans if len(span) > 1]


def _cautions(ranked: pd.DataFrame) -> list[str]:
    return [f"Caution: {text}." for text in dict.fromkeys(ranked["caution"]) if text]
