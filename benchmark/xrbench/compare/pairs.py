"""Which cells face each other, and their predictions side by side, row by row.

Two runs are matched by the names of their cells; two methods of one run by everything else that a cell's name says. Rows are
matched by dataset and image id. Images that only one side has are left out and counted; on the images that both have, the truth
must be the same, or the two sides answer different questions and the comparison is refused.
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

FIELDS = (
    *("cell", "method", "model", "train", "valid", "test", "protocol", "seed", "setting", "seen"),
    *("configuration", "members"),
)
MEAN = "mean"
GUARD = "/without-"


@dataclass(frozen=True)
class CellRow:
    """A cell as the scores describe it."""

    cell: str
    method: str
    model: str
    train: str
    valid: str
    test: str
    protocol: str
    seed: int
    setting: str
    seen: bool
    configuration: str = ""
    members: float = 1.0

    @property
    def fit(self) -> str:
        """Name of the fit it measures."""
        return self.cell.rsplit("/", 1)[0]


@dataclass(frozen=True)
class Pair:
    """Two cells on the same test set: a is the older or the baseline, b the newer or the challenger."""

    a: CellRow
    b: CellRow


@dataclass(frozen=True)
class Sides:
    """The predictions of a pair.

    Attributes:
        cell: Both sides on their common images, ready for the statistics.
        only_a, only_b: Images that one side alone has.
    """

    cell: statistics.PairedCell
    only_a: int
    only_b: int


def cells_of(results: Results) -> list[CellRow]:
    """List the cells that results hold, in order."""
    found = results.scores.drop_duplicates("cell")
    return [CellRow(**{str(name): row[name] for name in FIELDS}) for row in found.to_dict("records")]


def labels_of(results: Results) -> tuple[str, ...]:
    """List the labels that were scored, in order, without figures over several of them."""
    if results.card is not None and results.card.task == "multiclass":
        return results.card.labels
    return tuple(dict.fromkeys(label for label in results.scores["label"] if label != MEAN))


def matched(a: Iterable[CellRow], b: Iterable[CellRow]) -> tuple[list[Pair], list[str]]:
    """Match the cells of two runs by name; also return the names in a that are missing in b."""
    there = {cell.cell: cell for cell in b}
    listed = list(a)
    pairs = [Pair(cell, there[cell.cell]) for cell in listed if cell.cell in there]
    return pairs, [cell.cell for cell in listed if cell.cell not in there]


def facing(cells: Sequence[CellRow], challenger: str, baseline: str) -> list[Pair]:
    """Match the cells of two methods in the same model, setting, seed and test set.

    An ensemble over the seeds faces the cell of every seed.

    A method that has only one model, other than those of its opponent, faces each of them; a model that is used as it comes
    faces every cell on its test set.
    """
    ours, theirs = ([c for c in cells if c.method == name] for name in (challenger, baseline))
    shared = {c.model for c in ours} & {c.model for c in theirs}
    pairs = []
    for b in ours:
        for a in theirs:
            same_model = a.model == b.model or not shared
            if same_model and (a.test, a.protocol) == (b.test, b.protocol) and _same_training(a, b):
                pairs.append(Pair(a, b))
    return pairs


def sides(pair: Pair, a: Results, b: Results, labels: Sequence[str]) -> Sides | None:
    """Put the predictions of a pair side by side on their common images; None when a side has none.

    Raises:
        MeasureError: An image stands twice, there is no common image, a column is missing, or the truth differs.
    """
    left, right = a.predictions(pair.a.cell), b.predictions(pair.b.cell)
    if left is None or right is None:
        return None
    rows_a, rows_b = _common(_images(left, pair.a.cell, a.where), _images(right, pair.b.cell, b.where))
    if not len(rows_a):
        raise MeasureError(f"{pair.b.cell}: no test image in common with {a.where}")
    truth = _columns(left, "truth:", labels, a.where).iloc[rows_a].to_numpy(np.float64)
    _check_truth(truth, _columns(right, "truth:", labels, b.where).iloc[rows_b].to_numpy(np.float64), labels, pair)
    cell = statistics.PairedCell(
        domain=a.domain(pair.a.test),
        truth=truth,
        score_a=_columns(left, "score:", labels, a.where).iloc[rows_a].to_numpy(np.float64),
        score_b=_columns(right, "score:", labels, b.where).iloc[rows_b].to_numpy(np.float64),
        patient=_patients(left).iloc[rows_a].to_numpy(object),
        thresholds_a=thresholds(a, pair.a.cell),
        thresholds_b=thresholds(b, pair.b.cell),
        image=_named_within(left, "image").iloc[rows_a].to_numpy(object),
    )
    return Sides(cell, len(left) - len(rows_a), len(right) - len(rows_b))


def single(cell: CellRow, results: Results, labels: Sequence[str]) -> statistics.Cell | None:
    """Return one cell's predictions, ready for the statistics; None when there are none."""
    frame = results.predictions(cell.cell)
    if frame is None:
        return None
    return statistics.Cell(
        domain=results.domain(cell.test),
        truth=_columns(frame, "truth:", labels, results.where).to_numpy(np.float64),
        score=_columns(frame, "score:", labels, results.where).to_numpy(np.float64),
        patient=_patients(frame).to_numpy(object),
        thresholds=thresholds(results, cell.cell),
        image=_named_within(frame, "image").to_numpy(object),
    )


def thresholds(results: Results, cell: str) -> dict[tuple[str, str], float]:
    """Return (label, metric) -> threshold that was fixed on the validation images, as the scores carry it."""
    rows = results.scores[results.scores["cell"] == cell]
    return dict(zip(zip(rows["label"], rows["metric"], strict=True), rows["threshold"], strict=True))


def _same_training(a: CellRow, b: CellRow) -> bool:
    if not a.train or not b.train:
        return True
    guarded = (GUARD in a.cell) or (GUARD in b.cell)
    same = (a.configuration, a.train, a.valid) == (b.configuration, b.train, b.valid)
    same = same and (a.seed == b.seed or a.members != b.members)
    return same and (a.setting == b.setting or not guarded)


def _images(frame: pd.DataFrame, cell: str, where: str) -> pd.Index:
    if "image" not in frame.columns:
        raise MeasureError(f"{where}: {cell}: column 'image' missing")
    image = frame["image"].astype(str)
    keys = pd.Index(frame["dataset"].astype(str) + "\x1f" + image if "dataset" in frame.columns else image)
    if keys.has_duplicates:
        name = str(keys[keys.duplicated()][0]).rpartition("\x1f")[2]
        raise MeasureError(f"{where}: {cell}: image {name!r} stands twice")
    return keys


def _common(a: pd.Index, b: pd.Index) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the positions of the common images on both sides, in the order of a."""
    at = b.get_indexer(a)
    kept = np.flatnonzero(at >= 0)
    return kept, at[kept]


def _columns(frame: pd.DataFrame, prefix: str, labels: Sequence[str], where: str) -> pd.DataFrame:
    names = [f"{prefix}{label}" for label in labels]
    for name in names:
        if name not in frame.columns:
            raise MeasureError(f"{where}: predictions: column {name!r} missing")
    return frame[names]


def _check_truth(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], labels: Sequence[str], pair: Pair) -> None:
    differs = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if differs.any():
        worst = int(differs.sum(axis=0).argmax())
        raise MeasureError(
            f"{pair.b.cell}: the truth of {labels[worst]} differs on {int(differs[:, worst].sum()):,} of {len(a):,} common "
            "images: other labels or another label policy; such results cannot be compared"
        )


def _patients(frame: pd.DataFrame) -> pd.Series:
    known = "patient_id" in frame.columns
    return _named_within(frame, "patient_id") if known else pd.Series([None] * len(frame), dtype=object)


def _named_within(frame: pd.DataFrame, column: str) -> pd.Series:
    """Put the dataset before ids in a test set of several datasets: two hospitals may use the same id."""
    if "dataset" not in frame.columns or frame["dataset"].nunique() < 2:
        return frame[column]
    pairs = zip(frame["dataset"], frame[column], strict=True)
    return pd.Series([None if pd.isna(own) else f"{dataset}/{own}" for dataset, own in pairs], dtype=object)
