"""Losses by epoch of every fit and their mean, one panel a training set; fits that only others start from have pictures of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from xrbench.cards import FigureLayout
from xrbench.report.figures import cell_selection
from xrbench.report.figures.layout.options import Names, asked
from xrbench.report.figures.layout.panel_grid import Page, pages
from xrbench.report.figures.layout.style import canvas_of, file_name, notes, save, say_empty, title
from xrbench.report.run_folder import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES: Mapping[str, tuple[str, str]] = {"train": ("-", "o"), "valid": ("--", "s")}
"""Kind of images -> line and mark."""
WORDS: Mapping[str, str] = {"train": "training", "valid": "validation"}
SAME = ("method", "model", "configuration", "train", "stage")
"""What the fits of one mean have in common."""
MARKED = 30
"""Epochs up to which the points of a curve are marked."""


def loss(
    run: Run,
    layout: FigureLayout,
    folder: Path,
    /,
    *,
    method: Names = (),
    model: Names = (),
    configuration: Names = (),
    valid: bool = True,
) -> list[Path]:
    """Draw training loss, and validation loss where there is one, by epoch: single fits thin, their mean thick.

    Fits that others start from and that are not measured themselves are drawn apart, one picture a stage: what they learn may be another
    quantity, so they have a scale of their own.

    Options:
        method, model, configuration: As for all figures; fits without a log are left out.
        valid: Whether validation losses are drawn.
    """
    fits = _chosen(run, layout, {"method": method, "model": model, "configuration": configuration})
    paths = []
    for stage in dict.fromkeys(["", *fits["apart"]]):
        numbers = _losses(run, fits[fits["apart"] == stage], valid=valid)
        if not numbers.empty:
            paths += _draw_stage(run, layout, folder, stage, numbers)
    return paths


def _draw_stage(run: Run, layout: FigureLayout, folder: Path, stage: str, numbers: pd.DataFrame) -> list[Path]:
    """Draw the pages of one picture; ``stage`` is empty for the fits that are measured."""
    lowest, highest = float(numbers["loss"].min()), float(numbers["loss"].max())
    spare = 0.05 * (highest - lowest) or 0.1
    scale, paths = (lowest - spare, highest + spare), []
    sheets = pages(list(dict.fromkeys(numbers["configuration"])), list(dict.fromkeys(numbers["system"])))
    for page, sheet in enumerate(sheets, 1):
        places = {(panel.training, panel.label) for panel in sheet.panels}
        shown = numbers[[place in places for place in zip(numbers["configuration"], numbers["system"], strict=True)]]
        if len(shown):
            name = file_name(layout.name, stage, "" if page == 1 else str(page))
            paths += _draw(run, layout, folder, name, sheet, shown, scale)
    return paths


def _chosen(run: Run, layout: FigureLayout, options: Mapping[str, Names]) -> pd.DataFrame:
    """List the fits that the options choose."""
    fits = _fits(run)
    known = cell_selection.names_of(run, fits)
    for option, value in options.items():
        names = asked(value, option, known[option], layout)
        fits = fits[fits[option].isin(names)] if names else fits
    return fits


def _losses(run: Run, fits: pd.DataFrame, *, valid: bool) -> pd.DataFrame:
    """List the losses of single fits, seed by seed, and their means.

    Returns:
        Columns: method, model, configuration, train, stage, system, seed (-1 for the mean), fits, images (training images), kind, epoch,
        loss.
    """
    fits = fits.assign(configuration=cell_selection.training_names(fits.to_dict("records")), system=_systems(fits))
    parts = [part for entry in fits.to_dict("records") for part in _of_fit(run, entry, valid=valid)]
    return _with_means(pd.concat([pd.DataFrame(), *parts], ignore_index=True))


def _systems(fits: pd.DataFrame) -> list[str]:
    """Name method and model as far as they differ."""
    varied = [name for name in ("method", "model") if fits[name].nunique() > 1]
    return [", ".join(row[name] for name in varied) for row in fits.to_dict("records")]


def _of_fit(run: Run, entry: Mapping[Any, Any], *, valid: bool) -> list[pd.DataFrame]:
    log = run.log(entry["cell"])
    if log is None or "epoch" not in log:
        return []
    about = {str(name): value for name, value in entry.items() if name not in ("cell", "valid", "apart")}
    kinds = [
        kind for kind in ("train", "valid")[: 1 + valid] if f"{kind}_loss" in log and log[f"{kind}_loss"].notna().any()
    ]
    return [pd.DataFrame({**about, "kind": kind, "epoch": log["epoch"], "loss": log[f"{kind}_loss"]}) for kind in kinds]


def _fits(run: Run) -> pd.DataFrame:
    """List the run's fits.

    ``cell`` is the fit's name, ``images`` the number of its training images, ``apart`` the stage of a fit that only others start from.
    """
    entries = run.manifest.get("fits", ())
    parents = {name for entry in entries for name in entry.get("parents", ())}
    measured = {cell.method for cell in run.results.cells}
    rows = [
        {
            **{name: entry[name] for name in ("method", "model", "valid", "seed")},
            "configuration": entry.get("configuration", ""),
            "train": "+".join(entry["train"]),
            "stage": entry.get("stage", "training"),
            "cell": entry["name"],
            "images": sum(entry.get("images", {}).get("train", {}).values()),
            "apart": entry["stage"] if entry["name"] in parents and entry["method"] not in measured else "",
        }
        for entry in entries
    ]
    return pd.DataFrame(rows, columns=[*SAME, "valid", "seed", "cell", "images", "apart"])


def _with_means(single: pd.DataFrame) -> pd.DataFrame:
    """Add the mean over seeds of every epoch that all fits reached."""
    if single.empty:
        return single
    same = [*SAME, "system", "kind"]
    single = single.assign(fits=single.groupby(same)["seed"].transform("nunique"))
    grouped = single.groupby([*same, "epoch"], sort=False)
    means = grouped.agg(
        loss=("loss", "mean"), fits=("fits", "first"), images=("images", "max"), reached=("seed", "nunique")
    )
    means = means[(means["reached"] == means["fits"]) & (means["fits"] > 1)].reset_index().drop(columns="reached")
    return pd.concat([single, means.assign(seed=-1)], ignore_index=True)


def _draw(
    run: Run,
    layout: FigureLayout,
    folder: Path,
    name: str,
    sheet: Page,
    numbers: pd.DataFrame,
    scale: tuple[float, float],
) -> list[Path]:
    with canvas_of(0.5 + 2.6 * sheet.across, 1.1 + 2.2 * sheet.down) as canvas:
        for panel in sheet.panels:
            axes = canvas.add_subplot(*sheet.place(panel))
            shown = numbers[(numbers["configuration"] == panel.training) & (numbers["system"] == panel.label)]
            _draw_panel(axes, shown)
            axes.set_ylim(*scale)
            axes.set_title("\n".join(part for part in (sheet.heading(panel), _size(shown)) if part), fontsize=7)
            axes.set_ylabel("loss" if panel.column == 0 else "", fontsize=7)
        common = [str(numbers[name].iloc[0]) for name in ("method", "model") if numbers[name].nunique() == 1]
        subject = f": {', '.join(common)}" if common else ""
        stages = ", ".join(stage for stage in dict.fromkeys(numbers["stage"]) if stage != "training")
        about = f"{layout.caption or 'Loss by epoch'}{f', {stages}' if stages else ''}"
        title(canvas, f"{about}{subject}", run.stamp, _keys(numbers))
        notes(canvas, ["All panels have the same scale."])
        written = numbers.drop(columns="system").assign(seed=numbers["seed"].replace(-1, "mean").astype(str))
        return save(canvas, written, folder, name, run.stamp)


def _draw_panel(axes: Axes, numbers: pd.DataFrame) -> None:
    from matplotlib.ticker import MaxNLocator

    if numbers.empty:
        say_empty(axes, "no fit")
        return
    for (kind, seed), part in numbers.groupby(["kind", "seed"], sort=False):
        thick = seed == -1 or part["fits"].iloc[0] == 1
        axes.plot(part["epoch"], part["loss"], **_line(str(kind), thick=thick, marked=len(part) <= MARKED))
    axes.set_xlabel("epoch", fontsize=7)
    axes.tick_params(labelsize=6.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _size(numbers: pd.DataFrame) -> str:
    if numbers.empty:
        return ""
    fits, images = int(numbers["fits"].max()), int(numbers["images"].max())
    text = "1 fit" if fits == 1 else f"{fits} fits"
    return f"{text}, {images:,} training images" if images else text


def _line(kind: str, *, thick: bool, marked: bool = True) -> dict[str, Any]:
    line, mark = LINES[kind]
    if not thick:
        return {"linestyle": line, "color": "0.55", "linewidth": 0.6, "zorder": 2}
    dots = {"marker": mark, "markersize": 3, "markerfacecolor": "white"} if marked else {}
    return {"linestyle": line, "color": "black", "linewidth": 1.4, "zorder": 3, **dots}


def _keys(numbers: pd.DataFrame) -> list[Any]:
    from matplotlib.lines import Line2D

    keys = []
    for kind, word in WORDS.items():
        of_kind = numbers[numbers["kind"] == kind]
        several = bool((of_kind["seed"] == -1).any())
        if len(of_kind):
            keys.append(Line2D([], [], label=f"{word} (mean)" if several else word, **_line(kind, thick=True)))
        if several:
            keys.append(Line2D([], [], label=f"{word}, one fit", **_line(kind, thick=False)))
    return keys
