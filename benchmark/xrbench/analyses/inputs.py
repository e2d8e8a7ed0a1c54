"""What analyses are made of: a test set with its truth, scores and patients, and the cells of a run that have one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench import scoring, statistics
from xrbench.cards import SuiteCard
from xrbench.compare.scores_io import Results
from xrbench.errors import MeasureError
from xrbench.metrics import MetricSpec, parse, parse_classes

HEAD = (
    *("setting", "configuration", "method", "model", "members"),
    *("train", "valid", "test", "protocol", "seed", "seen", "cell"),
)
"""Columns that say which cell a row is about, as in ``scores.csv``."""

HELD_OUT = ("external", "internal")
"""Protocols whose images took no part in training: only these are ranked, averaged and compared."""

VALIDATION = "validation"


@dataclass(frozen=True, eq=False)
class Sample:
    """One model's predictions on one test set.

    Attributes:
        labels: Names of the columns of truth and score.
        truth: 1, 0 or NaN (not labelled), shape (n, labels).
        score: Higher for positive, shape (n, labels).
        patient: Who each image is of, shape (n,); None makes images the unit.
        frame: The predictions they come from, with what else is known of each image.
    """

    labels: tuple[str, ...]
    truth: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    patient: npt.NDArray[np.str_] | None
    frame: pd.DataFrame

    def thresholds(self, metrics: Sequence[str]) -> dict[tuple[str, str], float]:
        """Choose on this sample the thresholds that metrics ask for: (label, metric) -> threshold."""
        return statistics.thresholds_for(self.truth, self.score, labels=self.labels, metrics=metrics)


def sample_of(frame: pd.DataFrame, labels: Sequence[str], *, unit: str = "patient") -> Sample:
    """Take a sample out of a predictions frame.

    Args:
        frame: Predictions, as the store keeps them.
        labels: The labels that are judged.
        unit: ``patient``, or ``image`` to treat images as independent although patients are known.

    Raises:
        MeasureError: A label has no column of truth or scores.
    """
    truth, score = scoring.truth_and_score(frame, labels)
    return Sample(tuple(labels), truth, score, scoring.patients_of(frame) if unit == "patient" else None, frame)


@dataclass(frozen=True, eq=False)
class Material:
    """A scored run under its suite: what every analysis is given.

    Attributes:
        results: Scores, and where to get a cell's predictions.
        suite: How it is judged.
    """

    results: Results
    suite: SuiteCard
    _kept: dict[str, Sample | None] = field(default_factory=dict, repr=False)

    @property
    def level(self) -> float:
        """Confidence level of all intervals."""
        return self.suite.interval.level

    @property
    def metric(self) -> str:
        """The suite's first metric: the one that analyses are about unless they name another."""
        return self.suite.metrics[0]

    def spec(self, metric: str) -> MetricSpec:
        """Say what a metric's name means under the suite's task."""
        return parse_classes(metric) if self.suite.task == "multiclass" else parse(metric)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """List all cells, one row each, with the columns of ``HEAD``."""
        found = self.results.scores.drop_duplicates("cell")
        return found[list(HEAD)].reset_index(drop=True)

    def heads(self, *protocols: str) -> Iterator[dict[str, Any]]:
        """Go through the cells of these protocols, in the order of the scores."""
        kept = self.cells[self.cells["protocol"].isin(protocols)]
        yield from records(kept)

    def sample(self, cell: str) -> Sample:
        """Return the predictions of a cell.

        Raises:
            MeasureError: There are none.
        """
        if cell not in self._kept:
            frame = self.results.predictions(cell)
            unit = self.suite.interval.unit
            self._kept[cell] = None if frame is None else sample_of(frame, self.suite.labels, unit=unit)
            if len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
        found = self._kept[cell]
        if found is None:
            raise MeasureError(f"{cell}: predictions are missing")
        return found

    def validation(self, cell: str) -> Sample | None:
        """Return the validation predictions of the fit (or ensemble) behind a cell; None where it has none."""
        name = f"{cell.rpartition('/')[0]}/{VALIDATION}"
        return self.sample(name) if name in set(self.cells["cell"]) else None

    def line(self, head: Mapping[str, Any]) -> str:
        """Name who made a cell: the method, with the model where the method has several."""
        models = self.cells.loc[self.cells["method"] == head["method"], "model"].nunique()
        return f"{head['method']} ({head['model']})" if models > 1 else str(head["method"])


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as dicts.

    >>> records(pd.DataFrame({"method": ["plain"], "seed": [0]}))
    [{'method': 'plain', 'seed': 0}]
    """
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


MOST = 64
"""Samples kept in memory at a time."""
