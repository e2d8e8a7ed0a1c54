"""The films that exactly one of two networks gets wrong, side by side with both probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from xrbench.cards import FigureLayout
from xrbench.report.figures import style
from xrbench.report.figures.image_access import films
from xrbench.report.run_folder import Run
from xrbench.report.tables.discordant_errors import THRESHOLD, TwoModels, chosen, two_models


def borderline(
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
    """Draw a panel of films with what both networks say of them.

    Args:
        run: The run; its films are taken from the pixel cache, and nothing is drawn without it.
        layout: Name and caption.
        folder: Where the files go.
        label: The finding.
        configuration: The training set; the suite's last by default.
        models: The two networks; the first two that were measured by default.
        count: How many films are shown.
        seed: Which of them are, as in the table of this kind.
    """
    found = two_models(run, label=label, configuration=configuration, models=models, where=f"figure {layout.name}")
    if found is None:
        return []
    rows = chosen(found, count=count, seed=seed)
    there = films(run, [(str(row["dataset"]), str(row["image"])) for _, row in rows.iterrows()])
    rows = rows[[(str(row["dataset"]), str(row["image"])) in there for _, row in rows.iterrows()]]
    if rows.empty:
        return []
    names = [one.model for one in found.sides]
    with style.canvas_of(1.9 * len(rows), 3.0) as canvas:
        for place, (_, row) in enumerate(rows.iterrows(), 1):
            axes = canvas.add_subplot(1, len(rows), place)
            axes.imshow(there[str(row["dataset"]), str(row["image"])], cmap="gray", vmin=0, vmax=255)
            axes.set_axis_off()
            axes.set_title(f"{place}. {_truth(row, label)}", fontsize=7)
            axes.text(0.5, -0.04, _said(row, names), ha="center", va="top", fontsize=6.5, transform=axes.transAxes)
        style.title(
            canvas, layout.caption or f"Wrong for one of two networks: {label}, {found.configuration}", run.stamp
        )
        return style.save(canvas, _numbers(rows, found), folder, layout.name, run.stamp)


def _truth(row: pd.Series, label: str) -> str:
    return label if row["truth"] == 1 else f"no {label}"


def _said(row: pd.Series, names: Sequence[str]) -> str:
    right = ["" if (row[side] >= THRESHOLD) == (row["truth"] == 1) else " (wrong)" for side in ("a", "b")]
    return "\n".join(f"{name} {row[side]:.3f}{word}" for name, side, word in zip(names, ("a", "b"), right, strict=True))


def _numbers(rows: pd.DataFrame, found: TwoModels) -> pd.DataFrame:
    kept = rows[["dataset", "image", "truth", "a", "b"]].reset_index(drop=True)
    kept.insert(0, "number", range(1, len(kept) + 1))
    return kept.rename(columns={side: one.model for side, one in zip(("a", "b"), found.sides, strict=True)})
