"""External images that exactly one of two networks classifies wrongly, side by side with both probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from xrbench.cards import FigureLayout
from xrbench.report.figures.layout import style
from xrbench.report.figures.layout.image_access import cached_images
from xrbench.report.run_folder import Run
from xrbench.report.tables.discordant_errors import COLUMNS, THRESHOLD, chosen, two_models


def discordant_errors(
    run: Run,
    layout: FigureLayout,
    folder: Path,
    *,
    label: str,
    configuration: str = "",
    models: Sequence[str] = (),
    count: int = 4,
    seed: int = 0,
) -> list[Path]:
    """Draw a few images with the probabilities of both networks; from the pixel cache, without which nothing is drawn.

    Options:
        label: The finding.
        configuration: The training set; the suite's last by default.
        models: The two networks; the first two that were measured by default.
        count: Number of images that are shown.
        seed: Seed of the choice, as in the table of this kind.
    """
    pair = two_models(run, label=label, configuration=configuration, models=models, where=f"figure {layout.name}")
    if pair is None:
        return []
    rows = chosen(pair, count=count, seed=seed)
    names = [(str(row["dataset"]), str(row["image"])) for _, row in rows.iterrows()]
    pixels = cached_images(run, names)
    rows = rows[[name in pixels for name in names]]
    if rows.empty:
        return []
    models = [cell.model for cell in pair.cells]
    with style.canvas_of(1.9 * len(rows), 3.0) as canvas:
        for place, (_, row) in enumerate(rows.iterrows(), 1):
            axes = canvas.add_subplot(1, len(rows), place)
            axes.imshow(pixels[str(row["dataset"]), str(row["image"])], cmap="gray", vmin=0, vmax=255)
            axes.set_axis_off()
            axes.set_title(f"{place}. {label if row['truth'] == 1 else f'no {label}'}", fontsize=7)
            text = _probabilities(row, models)
            axes.text(0.5, -0.04, text, ha="center", va="top", fontsize=6.5, transform=axes.transAxes)
        caption = layout.caption or f"Wrong for one of two networks: {label}, {pair.configuration}"
        style.title(canvas, caption, run.stamp)
        return style.save(canvas, _numbers(rows, models), folder, layout.name, run.stamp)


def _probabilities(row: pd.Series, models: Sequence[str]) -> str:
    lines = []
    for model, column in zip(models, COLUMNS, strict=True):
        wrong = (row[column] >= THRESHOLD) != (row["truth"] == 1)
        lines.append(f"{model} {row[column]:.3f}{' (wrong)' if wrong else ''}")
    return "\n".join(lines)


def _numbers(rows: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    kept = rows[["dataset", "image", "truth", *COLUMNS]].reset_index(drop=True)
    kept.insert(0, "number", range(1, len(kept) + 1))
    return kept.rename(columns=dict(zip(COLUMNS, models, strict=True)))
