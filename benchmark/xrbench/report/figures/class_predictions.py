"""Predictions of images that have exactly one class each: true class, predicted class, and how sure the model was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xrbench.report.figures.cell_selection import ShownCell, patients_among
from xrbench.report.run_folder import Run
from xrbench.runs.prediction_frame import truth_and_score


@dataclass(frozen=True)
class Classed:
    """The labelled images of a cell.

    Attributes:
        measured: The cell.
        truth: Number of the true class, shape (images,).
        called: Number of the class with the highest score, the first of equals, shape (images,).
        confidence: That score, shape (images,).
        patients: How many patients they are of; None where that is not known.
    """

    measured: ShownCell
    truth: npt.NDArray[np.int64]
    called: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    patients: int | None

    @property
    def accuracy(self) -> float:
        """Share of images whose class is predicted; NaN without images."""
        return float((self.truth == self.called).mean()) if len(self.truth) else float("nan")

    def counts(self, classes: int) -> npt.NDArray[np.int64]:
        """Count images by true class (rows) and predicted class (columns)."""
        return np.bincount(self.truth * classes + self.called, minlength=classes * classes).reshape(classes, classes)


def classed(run: Run, cells: Sequence[ShownCell]) -> list[Classed]:
    """Read the predictions of cells whose images have one class each; cells without predictions are left out.

    An image counts when exactly one of the classes is its truth; images that are not labelled do not.
    """
    found = []
    for cell in cells if run.suite.task == "multiclass" else ():
        frame = run.results.predictions(cell.cell)
        if frame is None:
            continue
        truth, score = truth_and_score(frame, run.suite.labels)
        known = (truth == 1).sum(axis=1) == 1
        called = score[known].argmax(axis=1)
        sure = score[known].max(axis=1) if known.any() else np.zeros(0)
        found.append(Classed(cell, truth[known].argmax(axis=1), called, sure, patients_among(frame, known)))
    return found
