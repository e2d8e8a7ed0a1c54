"""External images that exactly one of two networks classifies wrongly, with both probabilities: are errors borderline cases?"""

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
from xrbench.rendering.numbers import UNDEFINED, number, p_text, signed, signed_interval
from xrbench.rendering.table import Table
from xrbench.report.effects import measured
from xrbench.report.effects.cells import count_people, known, names_of
from xrbench.report.run_folder import Run
from xrbench.report.tables.reported_beside import Brackets
from xrbench.runs.prediction_frame import images_of, patients_of
from xrbench.runs.run_cell import RunCell
from xrbench.statistics.intervals.clustered_mean import ClusteredMean, clustered_difference

THRESHOLD = 0.5
DEVICES = "Support Devices"
"""The label that may stand for a pacemaker."""
COLUMNS = ("a", "b")
"""Columns of the first and the second network's probabilities."""
Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]
Patients = npt.NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class TwoModels:
    """Two networks on the same external images.

    Attributes:
        label: The finding.
        configuration: The training set.
        cells: The two cells.
        frame: One row an image: ``dataset, image, truth, a, b`` and what else is stored of it.
        patient: The patient of each image; the image where no ids are known.
    """

    label: str
    configuration: str
    cells: tuple[RunCell, RunCell]
    frame: pd.DataFrame
    patient: Patients

    @property
    def wrong(self) -> tuple[Flags, Flags]:
        """Images that each network classifies wrongly at a threshold of one half, shape (images,) each."""
        truth = self.frame["truth"].to_numpy() == 1
        a, b = ((self.frame[column].to_numpy() >= THRESHOLD) != truth for column in COLUMNS)
        return a, b

    @property
    def one_wrong(self) -> Flags:
        """Images that exactly one of the networks classifies wrongly, shape (images,)."""
        a, b = self.wrong
        return np.asarray(a != b)


def discordant_errors(
    run: Run,
    layout: TableLayout,
    *,
    label: str,
    configuration: str = "",
    models: Sequence[str] = (),
    count: int = 4,
    seed: int = 0,
) -> Table | None:
    """Show a few external images that exactly one of two networks classifies wrongly; needs predictions.

    Options:
        label: The finding.
        configuration: The training set; the suite's last by default.
        models: The two networks; the first two that were measured by default.
        count: Number of images that are shown.
        seed: Seed of the choice; the same seed chooses the same images, whatever their order.
    """
    pair = two_models(run, label=label, configuration=configuration, models=models, where=f"table {layout.name}")
    if pair is None:
        return None
    rows = []
    for place, (_, row) in enumerate(chosen(pair, count=count, seed=seed).iterrows(), 1):
        scores = [float(row[column]) for column in COLUMNS]
        truth = row["truth"] == 1
        wrong = [cell.model for cell, score in zip(pair.cells, scores, strict=True) if (score >= THRESHOLD) != truth]
        probabilities = (number(score, layout.digits) for score in scores)
        distances = (number(abs(score - THRESHOLD), layout.digits) for score in scores)
        name = label if truth else f"no {label}"
        rows.append((str(place), str(row["image"]), name, *probabilities, wrong[0], *distances))
    ours = [cell.model for cell in pair.cells]
    return Table.of(
        layout.name,
        layout.caption or f"Images that exactly one of two networks gets wrong: probability of {label}",
        ("", "image", "truth", *ours, "wrong", *(f"{name}, distance to 0.5" for name in ours)),
        [rows],
        "rllrrlrr",
        notes=(*_notes(run, pair, count), *device_notes(run, pair), *_paper_notes(run, label)),
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
    cells = measured(run, protocol="external", members=1)
    if models and len(models) != 2:
        raise UsageError(f"suite {run.suite.name}: {where}: models: expected two, got {len(models)}")
    if not cells:
        return None
    if configuration:
        known(run, "configuration", configuration, names_of(run, "configuration"), where=where)
    training = configuration or list(dict.fromkeys(cell.training_set for cell in cells))[-1]
    cells = [cell for cell in cells if cell.training_set == training]
    names = tuple(known(run, "model", name, names_of(run, "model"), where=where) for name in models)
    names = names or tuple(dict.fromkeys(cell.model for cell in cells))[:2]
    of_model = [[cell for cell in cells if cell.model == name] for name in names]
    if len(of_model) < 2 or not all(of_model):
        return None
    first, second = (min(each, key=lambda cell: (cell.test, cell.seed)) for each in of_model)
    return _joined(run, label, training, first, second)


def chosen(pair: TwoModels, *, count: int, seed: int) -> pd.DataFrame:
    """Choose at random some of the images that exactly one network classifies wrongly.

    Each image has a number of its own, derived from its name: neither the order of images nor other images change the choice.
    """
    rows = pair.frame[pair.one_wrong]

    def place(at: int) -> int:
        row = rows.iloc[at]
        return rng.seed_of("borderline", seed, pair.label, str(row["dataset"]), str(row["image"]))

    return rows.iloc[sorted(range(len(rows)), key=place)[:count]]


def device_notes(run: Run, pair: TwoModels) -> list[str]:
    """Write the difference in probability between images with and without a device, among images without the finding.

    Among all images the difference would say little, since patients with a large heart have pacemakers.
    """
    if not device_column(pair.frame):
        return [
            f"Whether devices raise the probability of {pair.label} cannot be said: {DEVICES!r} is not in the predictions."
        ]
    texts = []
    for column, cell in zip(COLUMNS, pair.cells, strict=True):
        with_, without = by_device(pair, column, truth=0)
        difference = clustered_difference(*with_, *without, level=run.suite.interval.level)
        texts.append(f"{cell.model} {_difference(difference)}")
    return [
        f"Probability of {pair.label} with a device minus without, among images without {pair.label}: {'; '.join(texts)}."
    ]


def _difference(mean: ClusteredMean) -> str:
    if math.isnan(mean.value):
        return UNDEFINED
    return f"{signed(mean.value)} ({signed_interval(mean.low, mean.high)}), p {p_text(mean.p)}"


def device_column(frame: pd.DataFrame) -> str:
    """Name the column that tells whether a device is in the image; empty when there is none."""
    return next((name for name in (f"truth:{DEVICES}", f"raw:{DEVICES}", DEVICES) if name in frame), "")


def by_device(pair: TwoModels, column: str, *, truth: int) -> tuple[tuple[Values, Patients], tuple[Values, Patients]]:
    """Divide the images of one truth by whether a device is in them.

    Args:
        pair: The two networks.
        column: Column of the network, ``a`` or ``b``.
        truth: 1 for images with the finding, 0 for those without.

    Returns:
        Probabilities and patients of the images with a device, then of those without.
    """
    device = pair.frame[device_column(pair.frame)].to_numpy(np.float64) == 1
    scores, same = pair.frame[column].to_numpy(np.float64), pair.frame["truth"].to_numpy() == truth
    with_, without = same & device, same & ~device
    return (scores[with_], pair.patient[with_]), (scores[without], pair.patient[without])


def _joined(run: Run, label: str, configuration: str, a: RunCell, b: RunCell) -> TwoModels | None:
    left, right = run.results.predictions(a.cell), run.results.predictions(b.cell)
    if left is None or right is None:
        return None
    first = left.assign(key=images_of(left), truth=left[f"truth:{label}"], a=left[f"score:{label}"])
    second = pd.DataFrame({"key": images_of(right), "b": right[f"score:{label}"].to_numpy()})
    both = first.merge(second, on="key", how="inner", validate="one_to_one")
    both = both[both["truth"].notna()].reset_index(drop=True)
    patient = patients_of(both, run.results.domain)
    return TwoModels(label, configuration, (a, b), both, both["key"].to_numpy(object) if patient is None else patient)


def _notes(run: Run, pair: TwoModels, count: int) -> list[str]:
    a, b = pair.wrong
    one, both, neither = pair.one_wrong, a & b, ~a & ~b
    notes = [
        f"Trained on {pair.configuration}, tested on {pair.cells[0].test} ({count_people(pair.frame, run)}), threshold 0.5. "
        f"Exactly one is wrong in {one.sum():,} images, both in {both.sum():,}, neither in {neither.sum():,}; "
        f"{min(count, int(one.sum()))} are drawn here."
    ]
    if one.any() and not one.all():
        nearer = np.abs(pair.frame[[*COLUMNS]].to_numpy() - THRESHOLD).min(axis=1)
        notes.append(
            f"Median distance of the nearer probability to 0.5: {np.median(nearer[one]):.3f} where exactly one is wrong, "
            f"{np.median(nearer[~one]):.3f} elsewhere."
        )
    return notes


def _paper_notes(run: Run, label: str) -> list[str]:
    brackets = Brackets.of(run)
    paper = brackets.shown
    if paper is None or paper.cases.empty:
        return brackets.notes()
    cases = paper.cases[paper.cases["label"] == label]
    texts = [
        f"{model} {', '.join(f'{score:.3f}' for score in part['score'])}" for model, part in cases.groupby("model")
    ]
    return [
        f"The paper shows {cases['image'].nunique()} such images, called {part}: {'; '.join(texts)}."
        for part in cases["assessment"].unique()[:1]
    ]
