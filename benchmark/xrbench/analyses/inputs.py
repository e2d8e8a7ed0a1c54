"""What analyses are made of: a test set with its truth, scores and patients, and the cells of a run that have one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench import statistics
from xrbench.cards import SuiteCard
from xrbench.compare.scores_io import Results
from xrbench.errors import MeasureError
from xrbench.metrics import MetricSpec, parse_as
from xrbench.runs.prediction_frame import patients_of, truth_and_score
from xrbench.runs.run_cell import RunCell
from xrbench.statistics import OptionFields

HELD_OUT = ("external", "internal")
"""Protocols whose images took no part in training: only these are ranked, averaged and compared."""


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
    patient: npt.NDArray[np.object_] | None
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
    truth, score = truth_and_score(frame, labels)
    return Sample(tuple(labels), truth, score, patients_of(frame) if unit == "patient" else None, frame)


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
    def options(self) -> OptionFields:
        """Kind and confidence level of all intervals, as keywords of the statistics."""
        return {"kind": self.suite.interval.kind, "level": self.level}

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
        return parse_as(self.suite.task, metric)

    def cells(self, *protocols: str) -> list[RunCell]:
        """List the cells of these protocols, in the order of the scores."""
        return [cell for cell in self.results.cells if cell.protocol in protocols]

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

    def labelled(self, cell: RunCell) -> statistics.Predictions:
        """Return the predictions of a cell with their domain and thresholds, as the statistics of several cells take them.

        Raises:
            MeasureError: There are none.
        """
        found = self.results.predictions_of(cell, self.suite.labels)
        if found is None:
            raise MeasureError(f"{cell.cell}: predictions are missing")
        return found if self.suite.interval.unit == "patient" else replace(found, patient=None)

    def validation(self, cell: RunCell) -> Sample | None:
        """Return the validation predictions of the fit (or ensemble) behind a cell; None where it has none."""
        there = any(other.cell == cell.validation for other in self.results.cells)
        return self.sample(cell.validation) if there else None

    def line(self, cell: RunCell) -> str:
        """Name who made a cell: the method, with the model where the method has several."""
        models = {other.model for other in self.results.cells if other.method == cell.method}
        return f"{cell.method} ({cell.model})" if len(models) > 1 else cell.method


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as dicts.

    >>> records(pd.DataFrame({"method": ["plain"], "seed": [0]}))
    [{'method': 'plain', 'seed': 0}]
    """
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


MOST = 64
"""Samples kept in memory at a time."""
