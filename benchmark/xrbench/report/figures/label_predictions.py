"""Predictions of one label of a cell, with its counts and its score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xrbench.report.figures.cell_selection import ScoreRows, ShownCell, counts_text, patients_among
from xrbench.report.run_folder import Run
from xrbench.runs import store
from xrbench.runs.prediction_frame import Ids, patients_of
from xrbench.scoring import interval_seed

Figure = tuple[float, float, float]
"""Value, and the ends of its interval; NaN where not known."""


@dataclass(frozen=True, eq=False)
class LabelPredictions:
    """One label of one cell.

    Attributes:
        cell: The cell.
        label: The label.
        truth: 1, 0, or NaN for images that are not labelled, shape (images,).
        score: The model's output, shape (images,).
        patient: The patient of each image; None where that is not known.
        n_patients: Number of patients with labelled images; None where that is not known.
        seed: Seed of bootstrap intervals of this cell.
    """

    cell: ShownCell
    label: str
    truth: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    patient: Ids | None
    n_patients: int | None
    seed: int

    @property
    def place(self) -> tuple[str, str]:
        """Training set and label of the panel."""
        return self.cell.training, self.label

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Images that are labelled, shape (images,)."""
        return ~np.isnan(self.truth)

    @property
    def n_positive(self) -> int:
        """Number of positive images."""
        return int((self.truth == 1).sum())

    @property
    def n_labelled(self) -> int:
        """Number of labelled images."""
        return int(self.labelled.sum())

    @property
    def counts(self) -> str:
        """Numbers of images and patients as text."""
        return counts_text(self.n_positive, self.n_labelled, self.n_patients)


def label_predictions(run: Run, cell: ShownCell, labels: Sequence[str]) -> Iterator[LabelPredictions]:
    """Read the predictions of a cell, label by label; labels and cells without predictions are left out."""
    frame = run.results.predictions(cell.cell)
    if frame is None or not len(frame):
        return
    patient, seed = patients_of(frame), interval_seed(frame)
    for label in labels:
        if label in store.labels_of(frame):
            truth, score = (frame[f"{kind}:{label}"].to_numpy(np.float64) for kind in ("truth", "score"))
            n_patients = patients_among(frame, ~np.isnan(truth))
            yield LabelPredictions(cell, label, truth, score, patient, n_patients, seed)


def scored(rows: ScoreRows, data: LabelPredictions, metric: str) -> Figure | None:
    """Return the stored score of a metric with its interval; None where it was not computed."""
    row = rows.get((data.cell.cell, data.label, metric))
    return None if row is None else (float(row["value"]), float(row["low"]), float(row["high"]))
