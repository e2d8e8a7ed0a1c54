"""True and predicted classes of cells, and means of values over their images with intervals over patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.errors import UsageError
from xrbench.metrics.multiclass import Classified, validate_classes
from xrbench.report.effects.effect import Contrast, difference_of
from xrbench.report.run_folder import Run
from xrbench.runs.prediction_frame import Ids, common_rows, images_of, patients_of, truth_and_score
from xrbench.runs.run_cell import RunCell
from xrbench.scoring import class_of
from xrbench.statistics.intervals.clustered_mean import clustered_difference, clustered_mean
from xrbench.statistics.predictions import ALL

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Classes:
    """Predictions of a cell of a multi-class suite, on its labelled images.

    Attributes:
        classified: True and predicted classes, each of shape (n,).
        score: Probabilities, shape (n, classes).
        patient: Patient of each image, shape (n,); None without ids.
        image: Dataset and id of each image, shape (n,).
        frame: The predictions.
    """

    classified: Classified
    score: Values
    patient: Ids | None
    image: Ids
    frame: pd.DataFrame

    @property
    def unit(self) -> Ids:
        """The patient of each image, or the image itself where no ids are known, shape (n,)."""
        return self.image if self.patient is None else self.patient

    @property
    def correct(self) -> Values:
        """Whether each image is correctly classified: 1 or 0, shape (n,)."""
        return np.asarray(self.classified.truth == self.classified.called, np.float64)

    def counts(self) -> npt.NDArray[np.int64]:
        """Count the images of each class, shape (classes,)."""
        return np.bincount(self.classified.truth, minlength=self.score.shape[1])


def classes_of(run: Run, cell: RunCell) -> Classes | None:
    """Read true and predicted classes from a cell's predictions; None when they are missing."""
    frame = run.results.predictions(cell.cell)
    if frame is None:
        return None
    truth, score = truth_and_score(frame, run.suite.labels)
    classified = validate_classes(class_of(truth), score)
    patients = patients_of(frame, run.results.domain)
    labelled = frame.iloc[classified.rows].reset_index(drop=True)
    patient = None if patients is None else patients[classified.rows]
    return Classes(classified, classified.score, patient, images_of(labelled), labelled)


Value = Callable[[Classes], Values]
"""A value of each image, shape (n,); NaN for images that do not count."""


def correct(classes: Classes) -> Values:
    """Give 1 for correctly classified images, else 0."""
    return classes.correct


def of_class(value: Value, number: int) -> Value:
    """Restrict a value to the images of one class."""
    return lambda classes: np.where(classes.classified.truth == number, value(classes), np.nan)


def predicted(number: int) -> Value:
    """Give 1 for images for which a class is predicted, else 0."""
    return lambda classes: np.asarray(classes.classified.called == number, np.float64)


def confidence(classes: Classes) -> Values:
    """Give the probability of the predicted class."""
    # The initial value, below every probability, lets a cell without images have none.
    return np.asarray(classes.score.max(axis=1, initial=-np.inf), np.float64)


def unpaired(
    run: Run, first: Sequence[RunCell], second: Sequence[RunCell], value: Value, *, name: str = ALL
) -> Contrast | None:
    """Subtract the mean of a value over the images of the second cells from that over the first; None without predictions."""
    a, b = all_classes(run, first), all_classes(run, second)
    if not a or not b:
        return None
    (values_a, units_a), (values_b, units_b) = _pooled(a, value), _pooled(b, value)
    mean = clustered_difference(values_a, units_a, values_b, units_b, level=run.suite.interval.level)
    return difference_of(name, mean, _mean(values_a), _mean(values_b), by_patient=_by_patient([*a, *b]))


def gain(run: Run, ensemble: RunCell, members: Sequence[RunCell]) -> Contrast | None:
    """Subtract the members' mean accuracy from their ensemble's, on the same images; None without predictions.

    Each image's difference is whether the ensemble is correct minus the share of members that are.
    """
    shares, classes = members_correct(run, members), classes_of(run, ensemble)
    if shares is None or classes is None:
        return None
    here, there = common_rows(classes.image, shares[0])
    a, b = classes.correct[here], shares[1][there]
    mean = clustered_mean(a - b, classes.unit[here], level=run.suite.interval.level)
    return difference_of(ALL, mean, _mean(a), _mean(b), by_patient=_by_patient([classes]))


def members_correct(run: Run, members: Sequence[RunCell]) -> tuple[Ids, Values] | None:
    """Compute for each image the share of members that classify it correctly: images and shares; None without predictions.

    Raises:
        UsageError: Members were not measured on the same images.
    """
    each = all_classes(run, members)
    if not each:
        return None
    shares = np.zeros(len(each[0].image))
    for classes in each:
        here, there = common_rows(each[0].image, classes.image)
        if len(here) != len(shares):
            raise UsageError(f"suite {run.suite.name}: the fits of an ensemble were not measured on the same images")
        shares[here] += classes.correct[there]
    return each[0].image, shares / len(each)


def against(
    run: Run, cells: Sequence[RunCell], value: Value, *, null: float, share: bool = True, name: str = ALL
) -> Contrast | None:
    """Compare the mean of a value over images with a fixed number; None without predictions.

    Args:
        run: The run.
        cells: Cells whose images count.
        value: Value of each image.
        null: The number.
        share: Whether the value is 0 or 1.
        name: Name of the contrast.
    """
    each = all_classes(run, cells)
    if not each:
        return None
    values, units = _pooled(each, value)
    mean = clustered_mean(values, units, null=null, level=run.suite.interval.level, share=share)
    shifted = replace(mean, value=mean.value - null, low=mean.low - null, high=mean.high - null)
    return difference_of(name, shifted, mean.value, null, by_patient=_by_patient(each))


def between(run: Run, cells: Sequence[RunCell], first: Value, second: Value, *, name: str = ALL) -> Contrast | None:
    """Subtract the mean of a second share from that of a first; each may count for other images of the same cells."""
    each = all_classes(run, cells)
    if not each:
        return None
    (a, units_a), (b, units_b) = _pooled(each, first), _pooled(each, second)
    mean = clustered_difference(a, units_a, b, units_b, level=run.suite.interval.level, share=True)
    return difference_of(name, mean, _mean(a), _mean(b), by_patient=_by_patient(each))


def all_classes(run: Run, cells: Sequence[RunCell]) -> list[Classes]:
    """Read the classes of all cells; empty when predictions of one are missing."""
    each = [classes_of(run, cell) for cell in cells]
    known = [classes for classes in each if classes is not None]
    return known if len(known) == len(cells) else []


def _pooled(side: Sequence[Classes], value: Value) -> tuple[Values, Ids]:
    """Concatenate the values and units of all images."""
    return np.concatenate([value(classes) for classes in side]), np.concatenate([classes.unit for classes in side])


def _mean(values: Values) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _by_patient(each: Sequence[Classes]) -> bool:
    return all(classes.patient is not None for classes in each)


def training_counts(run: Run, configuration: str) -> npt.NDArray[np.int64] | None:
    """Count the training images of each class of a training set from the manifest; None if it does not describe them.

    Of several splits of one training set the first counts.
    """
    counts = np.zeros(len(run.suite.labels), np.int64)
    first_seed: dict[str, int] = {}
    for side in run.manifest.get("splits", ()):
        first = first_seed.setdefault(str(side["dataset"]), side["seed"])
        if (side["split"], side["configuration"]) == ("train", configuration) and side["seed"] == first:
            counts += [int(side["positive"].get(label, 0)) for label in run.suite.labels]
    return counts if counts.any() else None
