"""Prevalence of each label in each split of each dataset, and images by class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from xrbench.cards import FigureLayout
from xrbench.report.figures.cell_selection import datasets_of, patients_text
from xrbench.report.figures.layout.options import Names, asked
from xrbench.report.figures.layout.style import canvas_of, file_name, notes, save, say_empty, short, title
from xrbench.report.run_folder import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPLITS = ("all", "train", "valid", "test")
FACES: Mapping[str, Mapping[str, str]] = {
    "all": {"facecolor": "0.35", "hatch": ""},
    "train": {"facecolor": "0.7", "hatch": ""},
    "valid": {"facecolor": "white", "hatch": "//////"},
    "test": {"facecolor": "white", "hatch": "......"},
}
SHOWN = "Positive among labelled images in per cent, and both counts. A part that is all of its dataset is drawn once."
ACROSS = 3
"""Panels beside each other."""


def prevalence(
    run: Run, layout: FigureLayout, folder: Path, /, *, dataset: Names = (), split: Names = (), label: Names = ()
) -> list[Path]:
    """Draw the prevalence of each label: a panel a label, a bar for each split of each dataset.

    The manifest of the run lists positive and labelled images of each split.

    Options:
        dataset, label: As for all figures.
        split: ``all``, ``train``, ``valid``, ``test``.
    """
    numbers = _parts(run, layout, dataset, asked(split, "split", SPLITS, layout))
    labels = asked(label, "label", run.suite.labels, layout) or run.suite.labels
    numbers = numbers[numbers["label"].isin(labels)]
    if numbers.empty:
        return []
    bars = list(dict.fromkeys(zip(numbers["part"], numbers["split"], strict=True)))
    across = min(ACROSS, len(labels))
    down = math.ceil(len(labels) / across)
    with canvas_of(1.2 + 2.3 * across, 0.9 + (0.55 + 0.17 * (_places(bars)[-1] + 1)) * down) as canvas:
        most = float(numbers["prevalence"].max()) or 1.0
        for at, name in enumerate(labels):
            axes = canvas.add_subplot(down, across, at + 1)
            _draw_prevalence(axes, numbers[numbers["label"] == name], bars, most, named=at % across == 0)
            axes.set_title(short(name, 40), fontsize=7.5)
        title(canvas, layout.caption or "How frequent each label is", run.stamp)
        notes(canvas, [SHOWN, _people_note(numbers), _seed_note(numbers)])
        return save(canvas, numbers.drop(columns="part"), folder, file_name(layout.name), run.stamp)


def classes(
    run: Run, layout: FigureLayout, folder: Path, /, *, dataset: Names = (), split: Names = ("all",)
) -> list[Path]:
    """Draw the number of images of each class: a panel for each split of each dataset; multi-class suites only.

    The manifest of the run lists images by class of each split.

    Options:
        dataset: As for all figures.
        split: ``all``, ``train``, ``valid``, ``test``; a dataset that has none of the chosen splits is shown with all of its own.
    """
    chosen = asked(split, "split", SPLITS, layout)
    numbers = _parts(run, layout, dataset, ())
    if numbers.empty or run.suite.task != "multiclass":
        return []
    has = {name for name, part in zip(numbers["dataset"], numbers["split"], strict=True) if part in chosen}
    shown = [
        not chosen or name not in has or part in chosen
        for name, part in zip(numbers["dataset"], numbers["split"], strict=True)
    ]
    numbers = numbers[shown].drop(columns="prevalence")
    numbers["share"] = numbers["positive"] / numbers.groupby(["part", "split"])["positive"].transform("sum")
    panels = list(numbers.groupby(["part", "split"], sort=False))
    across = min(2, len(panels))
    down = math.ceil(len(panels) / across)
    with canvas_of(0.6 + 3.4 * across, 0.9 + (0.8 + 0.22 * len(run.suite.labels)) * down) as canvas:
        for at, ((part, name), counts) in enumerate(panels):
            axes = canvas.add_subplot(down, across, at + 1)
            _draw_classes(axes, counts)
            axes.set_title(f"{short(str(part), 50)}{'' if name == 'all' else f' {name}'}\n{_sizes(counts)}", fontsize=7)
        title(canvas, layout.caption or "Images by class", run.stamp)
        guessing = "Guessing: share of images correctly classified when classes are drawn at random in these shares."
        notes(canvas, [guessing, _seed_note(numbers)])
        return save(canvas, numbers.drop(columns="part"), folder, file_name(layout.name), run.stamp)


def _parts(run: Run, layout: FigureLayout, dataset: Names, split: Sequence[str]) -> pd.DataFrame:
    """List the labels of each split; of several seeds the lowest, and what several training sets share once.

    Returns:
        Columns: configuration, dataset, seed, split, images, patients, label, positive, labelled, prevalence, part (name of the
        dataset in the picture).
    """
    entries = run.manifest.get("splits") or ()
    known = dict.fromkeys([*(entry["dataset"] for entry in entries), *datasets_of(run)])
    names = asked(dataset, "dataset", known, layout)
    chosen = [
        entry
        for entry in _distinct(entries)
        if (not names or entry["dataset"] in names) and (not split or entry["split"] in split)
    ]
    rows = [_row(entry, label) for entry in chosen for label in run.suite.labels if label in entry["positive"]]
    columns = ["configuration", "dataset", "seed", "split", "images", "patients"]
    frame = pd.DataFrame(rows, columns=[*columns, "label", "positive", "labelled", "prevalence"])
    several = frame.groupby(["dataset", "split"])["configuration"].transform("nunique") > 1
    frame["part"] = frame["dataset"].where(~several, frame["dataset"] + " (" + frame["configuration"] + ")")
    datasets = list(dict.fromkeys(frame["dataset"]))
    places = [
        (datasets.index(name), SPLITS.index(part)) for name, part in zip(frame["dataset"], frame["split"], strict=True)
    ]
    return frame.iloc[sorted(range(len(frame)), key=places.__getitem__)].reset_index(drop=True)


def _distinct(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Leave out all seeds but the lowest, and splits of a dataset with the same content as another one, such as all of it."""
    lowest: dict[tuple[str, ...], int] = {}
    for entry in entries:
        lowest[_place(entry)] = min(lowest.get(_place(entry), entry["seed"]), entry["seed"])
    first: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for entry in sorted(entries, key=lambda entry: SPLITS.index(entry["split"])):
        content = (entry["dataset"], entry["images"], entry["patients"], *sorted(entry["positive"].items()))
        if entry["seed"] == lowest[_place(entry)]:
            first.setdefault(content, entry)
    return [entry for entry in entries if any(entry is other for other in first.values())]


def _place(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return entry["configuration"], entry["dataset"], entry["split"]


def _row(entry: Mapping[str, Any], label: str) -> dict[str, Any]:
    positive, labelled = entry["positive"][label], entry["labelled"].get(label, 0)
    about = {name: entry[name] for name in ("configuration", "dataset", "seed", "split", "images", "patients")}
    share = positive / labelled if labelled else math.nan
    return {**about, "label": label, "positive": positive, "labelled": labelled, "prevalence": share}


def _people_note(numbers: pd.DataFrame) -> str:
    texts = []
    known = numbers.drop_duplicates(["part", "split"]).dropna(subset="patients")
    for name, rows in known.groupby("part", sort=False):
        counts = (f"{split} {people:,.0f}" for split, people in zip(rows["split"], rows["patients"], strict=True))
        texts.append(f"{name} {', '.join(counts)}")
    return f"Patients: {'; '.join(texts)}." if texts else "How many patients there are is not known."


def _seed_note(numbers: pd.DataFrame) -> str:
    seeds = sorted({int(seed) for seed in numbers["seed"].dropna()})
    return f"Parts as divided under seed {', '.join(map(str, seeds))}." if seeds else ""


def _draw_prevalence(
    axes: Axes, numbers: pd.DataFrame, bars: Sequence[tuple[str, str]], most: float, *, named: bool
) -> None:
    by_bar = {(row["part"], row["split"]): row for row in numbers.to_dict("records")}
    texts = [_bar_text(by_bar.get(bar)) for bar in bars]
    limit, places = 100 * most, _places(bars)
    for at, bar, text in zip(places, bars, texts, strict=True):
        share = by_bar[bar]["prevalence"] if bar in by_bar else math.nan
        end = 0.0 if math.isnan(share) else 100 * share
        axes.barh(at, end, 0.75, edgecolor="black", linewidth=0.4, **_face(bar[1]))
        axes.text(end + 0.02 * limit, at, text, va="center", fontsize=5.5)
    axes.set_ylim(places[-1] + 0.6, -0.6)
    # The longest bar leaves room for the longest text in a panel of about 2.2 inches.
    axes.set_xlim(0, limit * 2.2 / max(0.7, 2.1 - 0.043 * max(map(len, texts))))
    names = [f"{short(part, 30)} {split}" for part, split in bars]
    axes.set_yticks(places, names if named else [""] * len(bars), fontsize=6.5)
    axes.tick_params(axis="x", labelsize=6)
    axes.set_xticks([tick for tick in axes.get_xticks() if tick <= limit])


def _places(bars: Sequence[tuple[str, str]]) -> list[float]:
    """Place the bars below each other, with a gap between datasets."""
    places = [0.0]
    for (before, _), (part, _) in pairwise(bars):
        places.append(places[-1] + (1.0 if part == before else 1.6))
    return places


def _bar_text(row: Mapping[Any, Any] | None) -> str:
    if row is None:
        return "not recorded"
    if math.isnan(row["prevalence"]):
        return "no labelled image"
    return f"{100 * row['prevalence']:.1f} % ({row['positive']:,} / {row['labelled']:,})"


def _sizes(numbers: pd.DataFrame) -> str:
    guessing = float((numbers["share"] ** 2).sum())
    first = numbers.iloc[0]
    images = numbers["positive"].sum()
    counts = f"{images:,} images, {patients_text(first['patients'])}"
    return counts if math.isnan(guessing) or not images else f"{counts}; guessing {guessing:.3f}"


def _draw_classes(axes: Axes, numbers: pd.DataFrame) -> None:
    rows = numbers.to_dict("records")
    most = max((row["positive"] for row in rows), default=0)
    axes.set_yticks(range(len(rows)), [short(str(row["label"]), 30) for row in rows], fontsize=6.5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    if not most:
        say_empty(axes, "no labelled image")
        return
    for at, row in enumerate(rows):
        axes.barh(at, row["positive"], 0.75, edgecolor="black", linewidth=0.4, **_face(row["split"]))
        axes.text(
            row["positive"] + 0.02 * most, at, f"{row['positive']:,} ({row['share']:.1%})", va="center", fontsize=6
        )
    axes.set_xlim(0, 1.35 * most)
    axes.tick_params(axis="x", labelsize=6)
    axes.set_xlabel("images", fontsize=7)


def _face(split: str) -> dict[str, Any]:
    return dict(FACES[split])
