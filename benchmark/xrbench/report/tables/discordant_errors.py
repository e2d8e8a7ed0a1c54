"""External images that exactly one of two networks gets wrong, with both probabilities: are errors borderline cases?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench import rng
from xrbench.cards import TableLayout
from xrbench.errors import UsageError
from xrbench.rendering.differences import between, p_text, signed
from xrbench.rendering.numbers import number
from xrbench.rendering.table import Cell, Table
from xrbench.report.effects import measured
from xrbench.report.effects.cells import count_people, known, names_of
from xrbench.report.run_folder import Run
from xrbench.report.tables import reported_beside
from xrbench.runs.prediction_frame import images_of, patients_of
from xrbench.runs.run_cell import RunCell
from xrbench.statistics.intervals.clustered_mean import clustered_difference

THRESHOLD = 0.5
DEVICES = "Support Devices"
"""The label that may stand for a pacemaker."""
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TwoModels:
    """Two networks on the same external images.

    Attributes:
        label: The finding.
        configuration: The training set.
        sides: The two cells.
        frame: One row an image: ``dataset, image, truth, a, b`` and what else the predictions say of it.
        who: The patient of each image; the image where no ids are known.
    """

    label: str
    configuration: str
    sides: tuple[RunCell, RunCell]
    frame: pd.DataFrame
    who: npt.NDArray[np.object_]

    @property
    def wrong(self) -> tuple[Flags, Flags]:
        """Which images each network gets wrong at a threshold of one half."""
        truth = self.frame["truth"].to_numpy() == 1
        a, b = ((self.frame[side].to_numpy() >= THRESHOLD) != truth for side in ("a", "b"))
        return a, b

    @property
    def one_wrong(self) -> Flags:
        """Which images exactly one of the networks gets wrong."""
        a, b = self.wrong
        return np.asarray(a != b)


def borderline(
    run: Run,
    layout: TableLayout,
    *,
    label: str,
    configuration: str = "",
    models: Sequence[str] = (),
    count: int = 4,
    seed: int = 0,
) -> Table | None:
    """Make the table of a few external images that exactly one of two networks gets wrong.

    Args:
        run: The run, with predictions.
        layout: Name, caption and decimals.
        label: The finding.
        configuration: The training set; the suite's last by default.
        models: The two networks; the first two that were measured by default.
        count: How many images are shown.
        seed: Which of them are; the same seed chooses the same images, whatever their order.
    """
    found = two_models(run, label=label, configuration=configuration, models=models, where=f"table {layout.name}")
    if found is None:
        return None
    rows = []
    for place, (_, row) in enumerate(chosen(found, count=count, seed=seed).iterrows(), 1):
        scores = [float(row[side]) for side in ("a", "b")]
        truth = row["truth"] == 1
        names = [one.model for one, score in zip(found.sides, scores, strict=True) if (score >= THRESHOLD) != truth]
        texts = (
            *(str(place), str(row["image"]), label if truth else f"no {label}"),
            *(number(score, layout.digits) for score in scores),
            names[0],
            *(number(abs(score - THRESHOLD), layout.digits) for score in scores),
        )
        rows.append(tuple(Cell(text) for text in texts))
    ours = [one.model for one in found.sides]
    return Table(
        name=layout.name,
        caption=layout.caption or f"Images that exactly one of two networks gets wrong: probability of {label}",
        header=(("", "image", "truth", *ours, "wrong", *(f"{name}, distance to 0.5" for name in ours)),),
        blocks=(tuple(rows),) if rows else (),
        align="rllrrlrr",
        notes=(*_notes(run, found, count), *device_notes(run, found), *_paper_notes(run, label)),
        stamp=run.stamp,
    )


def two_models(
    run: Run, *, label: str, configuration: str = "", models: Sequence[str] = (), where: str
) -> TwoModels | None:
    """Put the external predictions of two networks side by side; None when there are not two or no predictions.

    Raises:
        UnknownNameError: The label, the training set or a network is not known.
        UsageError: Other than two networks are named.
    """
    known(run, "label", label, run.suite.labels, where=where)
    cells = [one for one in measured(run, protocol="external") if one.members == 1]
    there = list(dict.fromkeys(one.training_set for one in cells))
    if models and len(models) != 2:
        raise UsageError(f"suite {run.suite.name}: {where}: models: wanted two, got {len(models)}")
    if not there:
        return None
    every = names_of(run, "configuration")
    training = known(run, "configuration", configuration, every, where=where) if configuration else there[-1]
    cells = [one for one in cells if one.training_set == training]
    pair = tuple(known(run, "model", name, names_of(run, "model"), where=where) for name in models)
    pair = pair or tuple(dict.fromkeys(one.model for one in cells))[:2]
    sides = [[one for one in cells if one.model == name] for name in pair]
    if len(sides) < 2 or not all(sides):
        return None
    first, second = (min(side, key=lambda one: (one.test, one.seed)) for side in sides)
    return _joined(run, label, training, first, second)


def chosen(found: TwoModels, *, count: int, seed: int) -> pd.DataFrame:
    """Choose some of the images that exactly one network gets wrong; neither their order nor other images decide which."""
    rows = found.frame[found.one_wrong]

    def place(at: int) -> int:
        row = rows.iloc[at]
        return rng.seed_of("borderline", seed, found.label, str(row["dataset"]), str(row["image"]))

    return rows.iloc[sorted(range(len(rows)), key=place)[:count]]


def device_notes(run: Run, found: TwoModels) -> list[str]:
    """Say how far the probability lies higher in images with a device, among images with the same truth.

    That a device goes along with a finding says little, since patients with a large heart have pacemakers; that it raises the
    probability among images without the finding says more.
    """
    column = device_column(found.frame)
    if not column:
        return [
            f"Whether devices raise the probability of {found.label} cannot be said: {DEVICES!r} is not in the predictions."
        ]
    texts = []
    for side, one in zip(("a", "b"), found.sides, strict=True):
        with_, without = device_sides(found, side, truth=0)
        mean = clustered_difference(*with_, *without, level=run.suite.interval.level)
        shown = (
            "n/a"
            if math.isnan(mean.value)
            else f"{signed(mean.value)} ({between(mean.low, mean.high)}), p {p_text(mean.p)}"
        )
        texts.append(f"{one.model} {shown}")
    return [
        f"Probability of {found.label} with a device minus without, among images without {found.label}: {'; '.join(texts)}."
    ]


def device_column(frame: pd.DataFrame) -> str:
    """Name the column that says whether a device is seen; empty when there is none."""
    return next((name for name in (f"truth:{DEVICES}", f"raw:{DEVICES}", DEVICES) if name in frame), "")


def device_sides(
    found: TwoModels, side: str, *, truth: int
) -> tuple[
    tuple[npt.NDArray[np.float64], npt.NDArray[np.object_]], tuple[npt.NDArray[np.float64], npt.NDArray[np.object_]]
]:
    """Part the scores of a network by whether a device is seen, with their patients, among images with that truth."""
    device = found.frame[device_column(found.frame)].to_numpy(np.float64)
    scores, same = found.frame[side].to_numpy(np.float64), found.frame["truth"].to_numpy() == truth
    with_, without = same & (device == 1), same & ~(device == 1)
    return (scores[with_], found.who[with_]), (scores[without], found.who[without])


def _joined(run: Run, label: str, configuration: str, a: RunCell, b: RunCell) -> TwoModels | None:
    left, right = run.results.predictions(a.cell), run.results.predictions(b.cell)
    if left is None or right is None:
        return None
    there = left.assign(key=images_of(left), truth=left[f"truth:{label}"], a=left[f"score:{label}"])
    other = pd.DataFrame({"key": images_of(right), "b": right[f"score:{label}"].to_numpy()})
    both = there.merge(other, on="key", how="inner", validate="one_to_one")
    both = both[both["truth"].notna()].reset_index(drop=True)
    who = patients_of(both, run.results.domain)
    return TwoModels(label, configuration, (a, b), both, both["key"].to_numpy(object) if who is None else who)


def _notes(run: Run, found: TwoModels, count: int) -> list[str]:
    a, b = found.wrong
    one, near = found.one_wrong, np.minimum(*(np.abs(found.frame[side] - THRESHOLD).to_numpy() for side in ("a", "b")))
    same = int((~a & ~b).sum()), int((a & b).sum())
    notes = [
        f"Trained on {found.configuration}, tested on {found.sides[0].test} ({count_people(found.frame, run)}), threshold 0.5. "
        f"Exactly one is wrong in {int(one.sum()):,} images, both in {same[1]:,}, neither in {same[0]:,}; "
        f"{min(count, int(one.sum()))} are drawn here."
    ]
    if one.any() and not one.all():
        notes.append(
            f"Median distance of the nearer probability to 0.5: {np.median(near[one]):.3f} where exactly one is wrong, "
            f"{np.median(near[~one]):.3f} elsewhere."
        )
    return notes


def _paper_notes(run: Run, label: str) -> list[str]:
    paper = reported_beside.shown(run)
    if paper is None or paper.cases.empty:
        return reported_beside.notes(run, matched=True) if run.results.fixture else []
    cases = paper.cases[paper.cases["label"] == label]
    texts = [
        f"{model} {', '.join(f'{score:.3f}' for score in part['score'])}" for model, part in cases.groupby("model")
    ]
    return [
        f"The paper shows {cases['image'].nunique()} such images, called {part}: {'; '.join(texts)}."
        for part in cases["assessment"].unique()[:1]
    ]
