"""The input of analyses: a scored run with its suite, its cells and their predictions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from xrbench.cards import SuiteCard
from xrbench.compare.scores_io import Results
from xrbench.errors import MeasureError
from xrbench.metrics import MetricSpec, parse_as
from xrbench.runs.run_cell import RunCell
from xrbench.statistics import OptionFields, Predictions, TrainedCell

HELD_OUT = ("external", "internal")
"""Protocols whose images took no part in training: only these are ranked, averaged and compared."""


@dataclass(frozen=True, eq=False)
class Material:
    """A scored run and its suite, the argument of every analysis.

    Attributes:
        results: Scores, cells and predictions.
        suite: Labels, metrics, intervals, and the analyses that are asked for.
    """

    results: Results
    suite: SuiteCard

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
        """The suite's first metric, which analyses use unless they name another."""
        return self.suite.metrics[0]

    def spec(self, metric: str) -> MetricSpec:
        """Read a metric's name in the sense of the suite's task."""
        return parse_as(self.suite.task, metric)

    def cells(self, *protocols: str) -> list[RunCell]:
        """List the cells of these protocols, in the order of the scores."""
        return [cell for cell in self.results.cells if cell.protocol in protocols]

    def predictions(self, cell: RunCell) -> Predictions:
        """Return the predictions of a cell, with patients where the suite's unit is the patient.

        Raises:
            MeasureError: There are none, or a label has no column of truth or scores.
        """
        predictions = self.results.predictions_of(cell, self.suite.labels)
        if predictions is None:
            raise MeasureError(f"{cell.cell}: predictions are missing")
        by_patient = self.suite.interval.unit == "patient"
        return replace(predictions, task=self.suite.task, patient=predictions.patient if by_patient else None)

    def trained(self, cell: RunCell) -> TrainedCell:
        """Return the predictions of a cell with its training.

        Raises:
            MeasureError: As for ``predictions``.
        """
        return TrainedCell(self.predictions(cell), cell.chain, f"{cell.setting} {cell.test}")

    def frame(self, cell: RunCell) -> pd.DataFrame:
        """Return the predictions of a cell with all other columns, in the order of ``predictions``.

        Raises:
            MeasureError: There are none.
        """
        frame = self.results.predictions(cell.cell)
        if frame is None:
            raise MeasureError(f"{cell.cell}: predictions are missing")
        return frame

    def validation(self, cell: RunCell) -> Predictions | None:
        """Return the validation predictions of the fit (or ensemble) behind a cell; None where it has none."""
        valid = next((other for other in self.results.cells if other.cell == cell.validation), None)
        return None if valid is None else self.predictions(valid)

    def line(self, cell: RunCell) -> str:
        """Name the method of a cell, with the model where the method has several."""
        models = {other.model for other in self.results.cells if other.method == cell.method}
        return f"{cell.method} ({cell.model})" if len(models) > 1 else cell.method


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as dicts.

    >>> records(pd.DataFrame({"method": ["plain"], "seed": [0]}))
    [{'method': 'plain', 'seed': 0}]
    """
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
