"""Pairs of cells that are compared, and their predictions on common images.

Two runs are matched by the names of their cells; two methods of one run by everything else that a cell's name says. Rows are
matched by dataset and image id. Images that only one side has are left out and counted; on the images that both have, the truth
must be the same; otherwise the two sides have other labels or label policies and the comparison is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench import statistics
from xrbench.compare.scores_io import Results
from xrbench.errors import MeasureError
from xrbench.runs.prediction_frame import Ids, common_rows, images_of, patients_of
from xrbench.runs.run_cell import RunCell

MEAN = "mean"
GUARD = "/without-"


@dataclass(frozen=True)
class Pair:
    """Two cells on the same test set: a is the older or the baseline, b the newer or the challenger."""

    a: RunCell
    b: RunCell


@dataclass(frozen=True)
class Sides:
    """The predictions of a pair.

    Attributes:
        cell: Both sides on their common images, ready for the statistics.
        only_a, only_b: Images that one side alone has.
    """

    cell: statistics.Pair
    only_a: int
    only_b: int


def labels_of(results: Results) -> tuple[str, ...]:
    """List the labels that were scored, in order, without figures over several of them."""
    if results.card is not None and results.card.task == "multiclass":
        return results.card.labels
    return tuple(dict.fromkeys(label for label in results.scores["label"] if label != MEAN))


def matched(a: Iterable[RunCell], b: Iterable[RunCell]) -> tuple[list[Pair], list[str]]:
    """Match the cells of two runs by name; also return the names in a that are missing in b."""
    by_name, of_a = {cell.cell: cell for cell in b}, list(a)
    pairs = [Pair(cell, by_name[cell.cell]) for cell in of_a if cell.cell in by_name]
    return pairs, [cell.cell for cell in of_a if cell.cell not in by_name]


def matched_trainings(a: Iterable[RunCell], b: Iterable[RunCell]) -> tuple[list[Pair], list[str]]:
    """Match the trainings of two runs, whatever their seeds; also return what a was tested on and b was not.

    Every cell stands in a pair of the same method, model, setting and test set; equal seeds face each other first.
    """

    def place(cell: RunCell) -> tuple[str, ...]:
        of_seed = f"/seed-{cell.seed}/"
        return cell.method, cell.model, cell.setting, cell.test, cell.protocol, cell.cell.replace(of_seed, "/", 1)

    by_place: dict[tuple[str, ...], tuple[list[RunCell], list[RunCell]]] = {}
    for side, cells in enumerate((a, b)):
        for cell in cells:
            by_place.setdefault(place(cell), ([], []))[side].append(cell)
    pairs = [pair for left, right in by_place.values() for pair in covering([Pair(x, y) for y in right for x in left])]
    return pairs, [cell.cell for left, right in by_place.values() if not right for cell in left]


def covering(pairs: Sequence[Pair]) -> list[Pair]:
    """Choose pairs so that every cell stands in one: those of equal seeds, then one for each cell that is left."""
    chosen = [pair for pair in pairs if pair.a.seed == pair.b.seed]
    there = {cell for pair in chosen for cell in (("a", pair.a.cell), ("b", pair.b.cell))}
    for pair in pairs:
        names = {("a", pair.a.cell), ("b", pair.b.cell)}
        if not names & there:
            chosen.append(pair)
            there |= names
    for pair in pairs:
        names = {("a", pair.a.cell), ("b", pair.b.cell)}
        if names - there:
            chosen.append(pair)
            there |= names
    return chosen


def facing(cells: Sequence[RunCell], challenger: str, baseline: str, *, any_seed: bool = False) -> list[Pair]:
    """Match the cells of two methods in the same model, setting, seed and test set.

    An ensemble over the seeds is paired with the cell of every seed; a pretrained model with every cell on its test set. Methods
    without a model in common are paired whatever their models.

    Args:
        cells: All cells.
        challenger: Method b.
        baseline: Method a.
        any_seed: Whether cells may face each other whatever their seeds; every cell then stands in a pair.
    """
    of_challenger, of_baseline = ([c for c in cells if c.method == name] for name in (challenger, baseline))
    shared = {c.model for c in of_challenger} & {c.model for c in of_baseline}
    pairs = []
    for b in of_challenger:
        for a in of_baseline:
            same_model = a.model == b.model or not shared
            if same_model and (a.test, a.protocol) == (b.test, b.protocol) and _same_training(a, b, any_seed=any_seed):
                pairs.append(Pair(a, b))
    if not any_seed:
        return pairs
    by_place: dict[tuple[str, ...], list[Pair]] = {}
    for pair in pairs:
        by_place.setdefault((pair.a.model, pair.b.model, place_of(pair), pair.b.test, pair.b.protocol), []).append(pair)
    return [pair for of_place in by_place.values() for pair in covering(of_place)]


def place_of(pair: Pair) -> str:
    """Name the setting of a pair, or the test set of two pretrained models."""
    return pair.b.setting or pair.a.setting or pair.b.test


def sides(pair: Pair, a: Results, b: Results, labels: Sequence[str]) -> Sides | None:
    """Put the predictions of a pair side by side on their common images; None when a side has none.

    Raises:
        MeasureError: An image stands twice, there is no common image, a column is missing, or the truth differs.
    """
    left, right = a.predictions(pair.a.cell), b.predictions(pair.b.cell)
    if left is None or right is None:
        return None
    rows_a, rows_b = common_rows(_images(left, pair.a.cell, a), _images(right, pair.b.cell, b))
    if not len(rows_a):
        raise MeasureError(f"{pair.b.cell}: no test image in common with {a.where}")
    truth_a, score_a = (array[rows_a] for array in a.truth_and_score(left, labels))
    truth_b, score_b = (array[rows_b] for array in b.truth_and_score(right, labels))
    _check_truth(truth_a, truth_b, labels, pair)
    patient = patients_of(left, a.domain)
    cell = statistics.paired(
        domain=a.domain(pair.a.test),
        truth=truth_a,
        score_a=score_a,
        score_b=score_b,
        patient=None if patient is None else patient[rows_a],
        thresholds_a=a.thresholds(pair.a.cell),
        thresholds_b=b.thresholds(pair.b.cell),
        image=images_of(left, a.domain)[rows_a],
        labels=labels,
        task=a.task,
    )
    return Sides(cell, len(left) - len(rows_a), len(right) - len(rows_b))


def _same_training(a: RunCell, b: RunCell, *, any_seed: bool = False) -> bool:
    if not a.train or not b.train:
        return True
    guarded = (GUARD in a.cell) or (GUARD in b.cell)
    same = (a.configuration, a.train, a.valid) == (b.configuration, b.train, b.valid)
    same = same and (any_seed or a.seed == b.seed or a.members != b.members)
    return same and (a.setting == b.setting or not guarded)


def _images(frame: pd.DataFrame, cell: str, results: Results) -> Ids:
    if "image" not in frame.columns:
        raise MeasureError(f"{results.where}: {cell}: column 'image' missing")
    names = images_of(frame)
    repeated = pd.Index(names).duplicated()
    if repeated.any():
        name = str(frame["image"][repeated].iloc[0])
        raise MeasureError(f"{results.where}: {cell}: image {name!r} stands twice")
    return names


def _check_truth(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], labels: Sequence[str], pair: Pair) -> None:
    differs = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if differs.any():
        worst = int(differs.sum(axis=0).argmax())
        raise MeasureError(
            f"{pair.b.cell}: the truth of {labels[worst]} differs on {int(differs[:, worst].sum()):,} of {len(a):,} common "
            "images: other labels or another label policy; such results cannot be compared"
        )
