"""Reading of scores and predictions from a run, an ``--out`` folder or a committed leaderboard.

Four forms are understood, and ``open_results`` tells them apart:

* a run folder (``OUT/<suite>/<run>`` with ``manifest.json`` and ``scores.csv``); predictions are in ``OUT/cells``;
* the ``--out`` folder itself: the run written last, of the asked suite if one is asked for;
* a leaderboard folder (``scores.csv``, ``meta.json`` and, where the data allow it, ``predictions.parquet``);
* a ``scores.csv``; the files beside it count as for its folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from xrbench import statistics
from xrbench.cards import SuiteCard
from xrbench.cards.base import Task
from xrbench.errors import MeasureError, StoreError, suggestion
from xrbench.fixture_notice import FIXTURE
from xrbench.runs import store
from xrbench.runs.prediction_frame import FloatArray, images_of, patients_of, truth_and_score
from xrbench.runs.run_cell import SOMETIMES, RunCell, cells_of

PREDICTIONS, META = "predictions.parquet", "meta.json"

PROTOCOLS = ("external", "internal", "validation", "resubstitution")
REQUIRED_TEXT = ("method", "model", "train", "valid", "test", "protocol", "label", "metric", "cell")
OPTIONAL_TEXT = (
    *("suite", "profile", "data", "setting", "configuration"),
    *("interval", "unit", "reason", "caution", "key"),
)
REQUIRED_NUMBERS = ("seed", "value", "low", "high")
OPTIONAL_NUMBERS = (
    "members",
    *("level", "replicates", "dropped", "threshold"),
    *("n_positive", "n_negative", "n_masked", "n_patients", "n_images"),
)

Loader = Callable[[str], "pd.DataFrame | None"]

FRAMES_IN_MEMORY = 32
"""Predictions of a run that are in memory at a time."""


@dataclass(frozen=True)
class Results:
    """Tidy scores, with access to the predictions behind them.

    Attributes:
        where: The path they come from, for messages.
        scores: Tidy scores, one row a cell, label and metric.
        predictions: Loads a cell's predictions by the cell's name; returns None where there are none.
        folder: The folder of the scores.
    """

    where: str
    scores: pd.DataFrame
    predictions: Loader
    folder: Path

    @cached_property
    def about(self) -> dict[str, Any]:
        """The manifest or ``meta.json`` beside the scores; empty when there is none."""
        for name in (store.MANIFEST, META):
            if (self.folder / name).is_file():
                return store.read_json(self.folder / name)
        return {}

    @cached_property
    def card(self) -> SuiteCard | None:
        """The suite as it was when the results were made, if that is known."""
        if "suite" not in self.about:
            return None
        try:
            return msgspec.convert(self.about["suite"], SuiteCard)
        except msgspec.ValidationError as error:
            raise StoreError(f"{self.folder}: suite: {error}") from error

    @cached_property
    def cells(self) -> tuple[RunCell, ...]:
        """The cells that were measured, in the order of the scores."""
        return cells_of(self.scores)

    def thresholds(self, cell: str) -> dict[tuple[str, str], float]:
        """Return (label, metric) -> threshold that was chosen on validation images, as the scores of a cell carry it."""
        rows = self.scores[self.scores["cell"] == cell]
        return dict(zip(zip(rows["label"], rows["metric"], strict=True), rows["threshold"], strict=True))

    def predictions_of(
        self, cell: RunCell, labels: Sequence[str], *, domain: str | None = None
    ) -> statistics.Predictions | None:
        """Return a cell's predictions as the statistics take them; None when there are none.

        Args:
            cell: One of ``cells``.
            labels: Labels, or all classes, that become the columns.
            domain: Whose patients they are; by default those of the test set.

        Raises:
            MeasureError: A label has no column of truth or scores.
        """
        frame = self.predictions(cell.cell)
        if frame is None:
            return None
        truth, score = self.truth_and_score(frame, labels)
        return statistics.Predictions(
            domain=self.domain(cell.test) if domain is None else domain,
            truth=truth,
            score=score,
            patient=patients_of(frame, self.domain),
            thresholds=self.thresholds(cell.cell),
            image=images_of(frame, self.domain),
            labels=labels,
            task=self.task,
        )

    def truth_and_score(self, frame: pd.DataFrame, labels: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Take truth and scores out of predictions, each of shape (n, labels).

        Raises:
            MeasureError: A column is not there.
        """
        for name in (f"{prefix}{label}" for prefix in ("truth:", "score:") for label in labels):
            if name not in frame.columns:
                raise MeasureError(f"{self.where}: predictions: column {name!r} missing")
        return truth_and_score(frame, labels)

    def domain(self, dataset: str) -> str:
        """Name the dataset whose patients a dataset holds: its base, if it is a slice and the manifest says so."""
        for entry in self.about.get("datasets", ()):
            if entry.get("dataset") == dataset:
                return str(entry.get("base") or dataset)
        return dataset

    @property
    def suite(self) -> str:
        """Name of the suite; empty where the scores name none or several."""
        names = set(self.scores["suite"])
        return next(iter(names)) if len(names) == 1 else ""

    @property
    def task(self) -> Task:
        """The suite's task; ``multilabel`` where no suite is known."""
        return self.card.task if self.card is not None else "multilabel"

    @property
    def fixture(self) -> bool:
        """Whether any score comes from synthetic images."""
        return bool((self.scores["data"] == FIXTURE).any())


def open_results(path: Path, *, suite: str = "") -> Results:
    """Open a run folder, an ``--out`` folder, a leaderboard folder or a ``scores.csv``.

    Args:
        path: The folder or file.
        suite: For an ``--out`` folder: the suite whose newest run is expected; empty takes any.

    Raises:
        StoreError: There is nothing of the kind, or the scores are broken.
    """
    if not path.exists():
        raise StoreError(f"{path}: no such file or folder")
    if path.is_file():
        return _from_scores(path)
    if (path / store.SCORES).is_file():
        return _from_scores(path / store.SCORES)
    runs = [run for run in store.Store(path).runs(suite or None) if (run / store.SCORES).is_file()]
    if not runs:
        what = f"a run of suite {suite!r}" if suite else "a run"
        raise StoreError(f"{path}: holds no {store.SCORES} and no folder of {what}")
    return _from_scores(runs[0] / store.SCORES)


def read_scores(path: Path) -> pd.DataFrame:
    """Read tidy scores; text stays text, and a column that is missing but not needed is filled.

    Raises:
        StoreError: The file cannot be read, a column is missing, a number is none, or a row stands twice.
    """
    try:
        raw = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, pd.errors.ParserError) as error:
        raise StoreError(f"{path}: not a CSV of scores: {str(error).splitlines()[0]}") from error
    return check_scores(raw, str(path))


def check_scores(frame: pd.DataFrame, where: str = "scores") -> pd.DataFrame:
    """Check tidy scores and give every column its type.

    Raises:
        StoreError: As for ``read_scores``.
    """
    for column in (*REQUIRED_TEXT, *REQUIRED_NUMBERS):
        if column not in frame.columns:
            raise StoreError(f"{where}: column {column!r} missing{suggestion(column, map(str, frame.columns))}")
    checked = frame.copy().reset_index(drop=True)
    for column in (*REQUIRED_TEXT, *OPTIONAL_TEXT):
        checked[column] = _text(checked[column]) if column in checked else ""
    for column in SOMETIMES:
        if column in checked:
            checked[column] = _text(checked[column])
    for column in (*REQUIRED_NUMBERS, *OPTIONAL_NUMBERS):
        checked[column] = _numbers(checked[column], where) if column in checked else float("nan")
    checked["seed"] = checked["seed"].fillna(0).astype(int)
    checked["seen"] = checked["seen"].astype(str).str.casefold().isin(("true", "1")) if "seen" in checked else False
    odd = ~checked["protocol"].isin(PROTOCOLS).to_numpy()
    if odd.any():
        at = int(odd.argmax())
        given = str(checked["protocol"].iloc[at])
        raise StoreError(f"{where}: row {at + 2}, column 'protocol': unknown {given!r}{suggestion(given, PROTOCOLS)}")
    twice = checked.duplicated(["cell", "label", "metric"]).to_numpy()
    if twice.any():
        at = int(twice.argmax())
        row = checked.iloc[at]
        raise StoreError(f"{where}: row {at + 2}: {row['metric']} of {row['label']} in {row['cell']} stands twice")
    return checked


def _text(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), "").astype(str)


def _numbers(column: pd.Series, where: str) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    text = _text(column).str.strip()
    numbers = pd.to_numeric(text, errors="coerce").astype(float)
    wrong = (numbers.isna() & ~text.str.casefold().isin(("", "nan"))).to_numpy()
    if wrong.any():
        at = int(wrong.argmax())
        raise StoreError(f"{where}: row {at + 2}, column {column.name!r}: expected a number, got {text.iloc[at]!r}")
    return numbers


def _from_scores(path: Path) -> Results:
    scores, folder = read_scores(path), path.resolve().parent
    if (folder / PREDICTIONS).is_file():
        loader = _concatenated(folder / PREDICTIONS)
    elif (folder / store.MANIFEST).is_file():
        loader = _stored(scores, store.Store(folder.parent.parent))
    else:
        loader = _none
    return Results(where=str(path), scores=scores, predictions=loader, folder=folder)


def _none(_cell: str) -> pd.DataFrame | None:
    return None


def _stored(scores: pd.DataFrame, out: store.Store) -> Loader:
    """Load a cell's predictions from its own file, whose name is its key."""
    keys = dict(zip(scores["cell"], scores["key"], strict=True))

    @lru_cache(maxsize=FRAMES_IN_MEMORY)
    def load(cell: str) -> pd.DataFrame | None:
        key = keys.get(cell, "")
        return store.read_predictions(out.cell_file(key), key=key)[0] if key and out.has_cell(key) else None

    return load


def _concatenated(path: Path) -> Loader:
    """Load all cells' predictions from one file with a column ``cell``, once."""

    @cache
    def cells() -> dict[str, pd.DataFrame]:
        frame, _ = store.read_predictions(path)
        if "cell" not in frame.columns:
            raise StoreError(f"{path}: column 'cell' missing")
        return {str(name): part.reset_index(drop=True) for name, part in frame.groupby("cell", sort=False)}

    return lambda cell: cells().get(cell)
