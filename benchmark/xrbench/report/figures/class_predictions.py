"""Predictions of images that have exactly one class each: true class, predicted class, and its probability."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xrbench.report.effects.class_effects import classes_of, confidence
from xrbench.report.figures.cell_selection import ShownCell, patients_text
from xrbench.report.figures.layout.style import legend_text
from xrbench.report.run_folder import Run
from xrbench.statistics.resampling.clusters import number_ids


@dataclass(frozen=True, eq=False)
class ClassPredictions:
    """The labelled images of a cell.

    Attributes:
        cell: The cell.
        truth: Number of the true class, shape (images,).
        predicted: Number of the class with the highest score, the first of equals, shape (images,).
        confidence: That score, shape (images,).
        patients: Number of patients; None where that is not known.
    """

    cell: ShownCell
    truth: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    patients: int | None

    @property
    def accuracy(self) -> float:
        """Share of images whose class is predicted; NaN without images."""
        return float((self.truth == self.predicted).mean()) if len(self.truth) else float("nan")

    @property
    def mean_confidence(self) -> float:
        """Mean confidence; NaN without images."""
        return float(self.confidence.mean()) if len(self.truth) else float("nan")

    @property
    def place(self) -> tuple[str, str]:
        """Panel of the cell in a figure with a panel for each training set."""
        return "all", self.cell.training

    @property
    def reason(self) -> str:
        """Why nothing can be drawn; else empty."""
        return "" if len(self.truth) else "no labelled image"

    @property
    def counts(self) -> str:
        """Numbers of images and patients as text."""
        return f"{len(self.truth):,} images, {patients_text(self.patients)}"

    @property
    def text(self) -> str:
        """Entry of a legend: test set, mean confidence, accuracy and counts."""
        figures = f"mean confidence {self.mean_confidence:.3f}, accuracy {self.accuracy:.3f}"
        return legend_text(self.cell.where, self.reason or figures, self.counts)

    def matrix(self, classes: int) -> npt.NDArray[np.int64]:
        """Count images by true class (rows) and predicted class (columns), shape (classes, classes)."""
        # A pair of classes is one number: row * classes + column.
        return np.bincount(self.truth * classes + self.predicted, minlength=classes * classes).reshape(classes, classes)


def class_predictions(run: Run, cell: ShownCell) -> Iterator[ClassPredictions]:
    """Read the predictions of a cell of a multi-class suite, on its labelled images; nothing where there are none."""
    classes = classes_of(run, cell) if run.suite.task == "multiclass" else None
    if classes is None:
        return
    truth, predicted = classes.classified.truth, classes.classified.called
    patients = None if classes.patient is None else number_ids(classes.patient)[1]
    yield ClassPredictions(cell, truth, predicted, confidence(classes), patients)
