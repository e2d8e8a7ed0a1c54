"""The cells of a run whose networks can be explained, with their predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import Profile, SuiteCard
from xrbench.errors import StoreError, UsageError, suggestion
from xrbench.planning import parse_only
from xrbench.runs import store
from xrbench.runs.prediction_frame import FloatArray, truth_and_score
from xrbench.runs.run_cell import VALIDATION, RunCell

DEFAULT_THRESHOLD = 0.5
"""Score from which a label is predicted where no threshold was chosen on validation images."""


@dataclass(frozen=True, kw_only=True)
class NetworkCell(RunCell):
    """A measured cell with what is needed to run its networks again.

    Attributes:
        fit_keys: Keys of its fits; none for a pretrained model.
        thresholds: Label -> score at or above which it is predicted, as chosen on validation images.
        path, key: The file of its predictions, and the key that stands in it.
        labels: The suite's labels.
        exclusive: Whether the task is multi-class: each image has exactly one of the labels.
    """

    fit_keys: tuple[str, ...]
    thresholds: Mapping[str, float]
    path: Path
    key: str
    labels: tuple[str, ...]
    exclusive: bool

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Its predictions, one row an image.

        Raises:
            StoreError: The file is missing or damaged.
        """
        return store.read_predictions(self.path, key=self.key)[0]

    @cached_property
    def truth(self) -> FloatArray:
        """1, 0 or NaN (not labelled), shape (images, labels)."""
        return truth_and_score(self.frame, self.labels)[0]

    @cached_property
    def score(self) -> FloatArray:
        """Scores, 0..1, shape (images, labels)."""
        return truth_and_score(self.frame, self.labels)[1]

    @cached_property
    def predicted(self) -> npt.NDArray[np.bool_]:
        """Predicted labels, shape (images, labels): all from their threshold on, or the class with the highest score."""
        if self.exclusive:
            # argmax takes the first of equal scores, so that every row has exactly one class.
            return np.asarray(np.arange(len(self.labels)) == self.score.argmax(axis=1)[:, None])
        return np.asarray(self.score >= np.array([self.threshold(label) for label in self.labels]))

    def threshold(self, label: str) -> float:
        """Return the score from which a label is predicted; NaN in a multi-class task."""
        return float("nan") if self.exclusive else self.thresholds.get(label, DEFAULT_THRESHOLD)


@dataclass(frozen=True)
class ExplainableRun:
    """An opened run folder.

    Attributes:
        folder: The run folder.
        manifest: The run's manifest.
        suite: The suite as it was when the run was made.
        cells: Measured cells, without those of validation images, in order.
    """

    folder: Path
    manifest: dict[str, Any]
    suite: SuiteCard
    cells: tuple[NetworkCell, ...]

    @property
    def out(self) -> Path:
        """The ``--out`` folder."""
        return self.folder.parent.parent

    @property
    def profile(self) -> Profile:
        """The profile of the run."""
        return msgspec.convert(self.manifest["profile"], Profile)

    def select(self, only: Sequence[str]) -> list[NetworkCell]:
        """Select the cells that match ``field=value`` filters, at least one.

        Raises:
            UsageError: Nothing matches; the nearest value is offered.
        """
        values = parse_only(only)
        selected = [cell for cell in self.cells if cell.matches(values)]
        if selected:
            return selected
        offers = (_nearest(self.cells, field, names) for field, names in values.items())
        reason = next((offer for offer in offers if offer), "")
        filters = f"--only {' '.join(only)}: " if only else ""
        raise UsageError(f"{filters}no measured cell in {self.folder}{' matches' if only else ''}{reason}")


def open_run(folder: Path) -> ExplainableRun:
    """Open a run folder.

    Raises:
        StoreError: It is not one, or was damaged.
    """
    manifest = store.read_manifest(folder)
    suite = msgspec.convert(manifest["suite"], SuiteCard)
    thresholds = _thresholds(folder / store.SCORES, suite)
    entries = [entry for entry in manifest["cells"] if entry["protocol"] != VALIDATION and not entry.get("failed")]
    cells = tuple(_network_cell(entry, folder, suite, thresholds.get(entry["cell"], {})) for entry in entries)
    return ExplainableRun(folder.resolve(), manifest, suite, cells)


def _network_cell(
    entry: Mapping[str, Any], folder: Path, suite: SuiteCard, thresholds: Mapping[str, float]
) -> NetworkCell:
    return NetworkCell(
        **asdict(RunCell.of_manifest(entry)),
        fit_keys=tuple(entry["fit_keys"]),
        thresholds=thresholds,
        path=folder / entry["file"],
        key=entry["key"],
        labels=suite.labels,
        exclusive=suite.task == "multiclass",
    )


def _thresholds(path: Path, suite: SuiteCard) -> dict[str, dict[str, float]]:
    """Read cell -> label -> threshold of the suite's first metric that has one; empty before the run is scored."""
    if not path.is_file():
        return {}
    try:
        columns = ["cell", "label", "metric", "threshold"]
        scores = pd.read_csv(path, usecols=columns, dtype={"threshold": float})
    except (ValueError, pd.errors.ParserError) as error:
        raise StoreError(f"{path}: not a CSV of scores: {str(error).splitlines()[0]}") from error
    known = scores[scores["threshold"].notna()]
    first = next((metric for metric in suite.metrics if (known["metric"] == metric).any()), None)
    thresholds: dict[str, dict[str, float]] = {}
    for cell, label, threshold in known.loc[known["metric"] == first, ["cell", "label", "threshold"]].to_numpy(object):
        thresholds.setdefault(str(cell), {})[str(label)] = float(threshold)
    return thresholds


def _nearest(cells: Sequence[NetworkCell], field: str, values: Sequence[str]) -> str:
    """Name the first value that no cell has, with the nearest one that a cell has."""
    known = {str(getattr(cell, field)) for cell in cells}
    return next((f": no {field} {value!r}{suggestion(value, known)}" for value in values if value not in known), "")
