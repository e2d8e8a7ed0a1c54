"""The cells of a run whose networks can be asked where they found their evidence, with what they predicted."""

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

EVEN_ODDS = 0.5
"""Where a label is called present if no threshold was fixed on validation images."""


@dataclass(frozen=True, kw_only=True)
class NetworkCell(RunCell):
    """A measured cell with what is needed to ask its networks again.

    Attributes:
        fit_keys: Keys of its fits; none for a pretrained model.
        thresholds: Label -> score at or above which it is called present, as chosen on validation images.
        path, key: The file of its predictions, and the key that stands in it.
        labels: The suite's labels.
        exclusive: Whether the labels are classes of which each image has one.
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
            StoreError: The file is not there, or damaged.
        """
        return store.read_predictions(self.path, key=self.key)[0]

    @cached_property
    def truth(self) -> FloatArray:
        """1, 0 or NaN, shape (images, labels)."""
        return truth_and_score(self.frame, self.labels)[0]

    @cached_property
    def score(self) -> FloatArray:
        """Shape (images, labels)."""
        return truth_and_score(self.frame, self.labels)[1]

    @cached_property
    def called(self) -> npt.NDArray[np.bool_]:
        """Which labels were called present, shape (images, labels): the highest class, or all from their threshold on."""
        if self.exclusive:
            return np.asarray(np.arange(len(self.labels)) == self.score.argmax(axis=1)[:, None])
        return np.asarray(self.score >= np.array([self.threshold(label) for label in self.labels]))

    def threshold(self, label: str) -> float:
        """Return the score from which a label is called present; NaN where classes exclude each other."""
        return float("nan") if self.exclusive else self.thresholds.get(label, EVEN_ODDS)


@dataclass(frozen=True)
class Explorable:
    """A run folder, opened.

    Attributes:
        folder: The run folder.
        manifest: What the run says about itself.
        suite: The suite as it was when the run was made.
        cells: NetworkCell cells that are no validation, in order.
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

    def chosen(self, only: Sequence[str]) -> list[NetworkCell]:
        """Keep the cells that match ``field=value`` filters, at least one.

        Raises:
            UsageError: Nothing matches; the nearest value is offered.
        """
        wanted = parse_only(only)
        kept = [cell for cell in self.cells if cell.matches(wanted)]
        if kept:
            return kept
        offers = (_offer(self.cells, field, values) for field, values in wanted.items())
        reason = next((offer for offer in offers if offer), "")
        asked = f"--only {' '.join(only)}: " if only else ""
        raise UsageError(f"{asked}no measured cell in {self.folder}{' matches' if only else ''}{reason}")


def open_run(folder: Path) -> Explorable:
    """Open a run folder.

    Raises:
        StoreError: It is not one, or was damaged.
    """
    manifest = store.read_manifest(folder)
    suite = msgspec.convert(manifest["suite"], SuiteCard)
    thresholds = _thresholds(folder / store.SCORES, suite)
    entries = [entry for entry in manifest["cells"] if entry["protocol"] != VALIDATION and not entry.get("failed")]
    cells = tuple(_network_cell(entry, folder, suite, thresholds.get(entry["cell"], {})) for entry in entries)
    return Explorable(folder.resolve(), manifest, suite, cells)


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
    """Read cell -> label -> threshold of the suite's first metric that has one; nothing before the run is scored."""
    if not path.is_file():
        return {}
    try:
        scores = pd.read_csv(path, usecols=["cell", "label", "metric", "threshold"], dtype={"threshold": float})
    except (ValueError, pd.errors.ParserError) as error:
        raise StoreError(f"{path}: not a CSV of scores: {str(error).splitlines()[0]}") from error
    fixed = scores[scores["threshold"].notna()]
    first = next((metric for metric in suite.metrics if (fixed["metric"] == metric).any()), None)
    found: dict[str, dict[str, float]] = {}
    for cell, label, threshold in fixed.loc[fixed["metric"] == first, ["cell", "label", "threshold"]].to_numpy(object):
        found.setdefault(str(cell), {})[str(label)] = float(threshold)
    return found


def _offer(cells: Sequence[NetworkCell], field: str, values: Sequence[str]) -> str:
    there = {str(getattr(cell, field)) for cell in cells}
    return next((f": no {field} {value!r}{suggestion(value, there)}" for value in values if value not in there), "")
