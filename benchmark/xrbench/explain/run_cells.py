"""The cells of a run whose networks can be asked where they found their evidence, with what they predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

EVEN_ODDS = 0.5
"""Where a label is called present if no threshold was fixed on validation images."""


@dataclass(frozen=True)
class Measured:
    """One measured cell.

    Attributes:
        name, method, model, train, valid, test, protocol, seed, configuration: As in the scores; ``train`` is joined by ``+``.
        members: How many fits an ensemble has; 1 for a single network.
        fit_keys: Keys of its fits; none for a model that is used as it comes.
        thresholds: Label -> score at or above which it is called present, as fixed on validation images.
        path, key: The file of its predictions, and the key that stands in it.
        labels: The suite's labels.
        exclusive: Whether the labels are classes of which each image has one.
    """

    name: str
    method: str
    model: str
    train: str
    valid: str
    test: str
    protocol: str
    seed: int
    configuration: str
    members: int
    fit_keys: tuple[str, ...]
    thresholds: Mapping[str, float]
    path: Path
    key: str
    labels: tuple[str, ...]
    exclusive: bool

    @property
    def network(self) -> str:
        """Name what was trained: the cell's name without its test."""
        return self.name.rpartition("/")[0]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """What it predicted, one row an image.

        Raises:
            StoreError: The file is not there, or damaged.
        """
        return store.read_predictions(self.path, key=self.key)[0]

    @cached_property
    def truth(self) -> npt.NDArray[np.float64]:
        """1, 0 or NaN, shape (images, labels)."""
        return self.frame[[f"truth:{label}" for label in self.labels]].to_numpy(np.float64)

    @cached_property
    def score(self) -> npt.NDArray[np.float64]:
        """Shape (images, labels)."""
        return self.frame[[f"score:{label}" for label in self.labels]].to_numpy(np.float64)

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
        cells: Measured cells that are no validation, in order.
    """

    folder: Path
    manifest: dict[str, Any]
    suite: SuiteCard
    cells: tuple[Measured, ...]

    @property
    def out(self) -> Path:
        """The ``--out`` folder."""
        return self.folder.parent.parent

    @property
    def profile(self) -> Profile:
        """The profile of the run."""
        return msgspec.convert(self.manifest["profile"], Profile)

    def chosen(self, only: Sequence[str]) -> list[Measured]:
        """Keep the cells that match ``field=value`` filters, at least one.

        Raises:
            UsageError: Nothing matches; the nearest value is offered.
        """
        wanted = parse_only(only)
        kept = [cell for cell in self.cells if _matches(cell, wanted)]
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
    entries = [entry for entry in manifest["cells"] if entry["protocol"] != "validation" and not entry.get("failed")]
    cells = tuple(_measured(entry, folder, suite, thresholds.get(entry["cell"], {})) for entry in entries)
    return Explorable(folder.resolve(), manifest, suite, cells)


def _measured(entry: Mapping[str, Any], folder: Path, suite: SuiteCard, thresholds: Mapping[str, float]) -> Measured:
    return Measured(
        **{field: entry[field] for field in ("method", "model", "valid", "test", "protocol", "seed", "key")},
        name=entry["cell"],
        train="+".join(entry["train"]),
        configuration=entry.get("configuration", ""),
        members=max(1, len(entry["fits"])),
        fit_keys=tuple(entry["fit_keys"]),
        thresholds=thresholds,
        path=folder / entry["file"],
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


def _matches(cell: Measured, wanted: Mapping[str, Sequence[str]]) -> bool:
    return all(str(getattr(cell, field)) in values for field, values in wanted.items())


def _offer(cells: Sequence[Measured], field: str, values: Sequence[str]) -> str:
    there = {str(getattr(cell, field)) for cell in cells}
    return next((f": no {field} {value!r}{suggestion(value, there)}" for value in values if value not in there), "")
