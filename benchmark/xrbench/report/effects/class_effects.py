"""True and predicted classes of cells, and means over their images of whatever every image has."""

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
from xrbench.runs.prediction_frame import Ids, images_of, patients_of, truth_and_score
from xrbench.runs.run_cell import RunCell
from xrbench.scoring import class_of
from xrbench.statistics.intervals.clustered_mean import clustered_difference, clustered_mean
from xrbench.statistics.predictions import ALL

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Classes:
    """The predictions of a cell of multi-class labels.

    Attributes:
        found: True and predicted classes of its images.
        score: Probabilities of those images, shape (n, classes).
        patient: Who they are of; None without ids.
        image: Which images they are.
        frame: The predictions.
    """

    found: Classified
    score: Values
    patient: Ids | None
    image: Ids
    frame: pd.DataFrame

    @property
    def people(self) -> Ids:
        """Who each image is of; itself, where no ids are known."""
        return self.image if self.patient is None else self.patient

    @property
    def right(self) -> Values:
        """Whether each image's class is predicted: 1 or 0, shape (n,)."""
        return np.asarray(self.found.truth == self.found.called, np.float64)

    def counts(self) -> npt.NDArray[np.int64]:
        """How many images each class has, shape (classes,)."""
        return np.bincount(self.found.truth, minlength=self.score.shape[1])


def classes_of(run: Run, one: RunCell) -> Classes | None:
    """Take true and predicted classes out of a cell's predictions; None when they are missing."""
    frame = run.results.predictions(one.cell)
    if frame is None:
        return None
    truth, score = truth_and_score(frame, run.suite.labels)
    found = validate_classes(class_of(truth), score)
    who = patients_of(frame, run.results.domain)
    kept = frame.iloc[found.rows].reset_index(drop=True)
    return Classes(found, found.score, None if who is None else who[found.rows], images_of(kept), kept)


Value = Callable[[Classes], Values]
"""Something that every image has: an array as long as there are images, NaN where it does not count."""


def right(found: Classes) -> Values:
    """Tell which images' class is predicted."""
    return found.right


def of_class(value: Value, number: int) -> Value:
    """Look at the images of one class only."""
    return lambda found: np.where(found.found.truth == number, value(found), np.nan)


def called(number: int) -> Value:
    """Tell which images a class is predicted for."""
    return lambda found: np.asarray(found.found.called == number, np.float64)


def confidence(found: Classes) -> Values:
    """Take the probability of the predicted class."""
    return np.asarray(found.score.max(axis=1), np.float64)


def unpaired(
    run: Run, first: Sequence[RunCell], second: Sequence[RunCell], value: Value, *, name: str = ALL
) -> Contrast | None:
    """Subtract the mean of a value over the images of the second cells from that over the first; None without predictions."""
    a, b = every(run, first), every(run, second)
    if not a or not b:
        return None
    (left, who), (other, whose) = _pooled(a, value), _pooled(b, value)
    found = clustered_difference(left, who, other, whose, level=run.suite.interval.level)
    return difference_of(name, found, _mean(left), _mean(other), by_patient=_by_patient([*a, *b]))


def gain(run: Run, whole: RunCell, members: Sequence[RunCell]) -> Contrast | None:
    """Subtract the members' mean accuracy from their ensemble's, on the same images; None without predictions.

    Each image's difference is whether the ensemble is right minus the share of members that are.
    """
    mean, ours = members_right(run, members), classes_of(run, whole)
    if mean is None or ours is None:
        return None
    here, there = _join(ours.image, mean[0])
    by_patient = _by_patient([ours])
    return _one(run, ALL, ours.right[here], mean[1][there], ours.people[here], by_patient=by_patient)


def members_right(run: Run, members: Sequence[RunCell]) -> tuple[Ids, Values] | None:
    """Compute for each image the share of members that predict its class: image names and shares; None without predictions.

    Raises:
        UsageError: Members were not measured on the same images.
    """
    each = every(run, members)
    if not each:
        return None
    shares = np.zeros(len(each[0].image))
    for one in each:
        here, there = _join(each[0].image, one.image)
        if len(here) != len(shares):
            raise UsageError(f"suite {run.suite.name}: the fits of an ensemble were not measured on the same images")
        shares[here] += one.right[there]
    return each[0].image, shares / len(each)


def against(
    run: Run, cells: Sequence[RunCell], value: Value, *, null: float, share: bool = True, name: str = ALL
) -> Contrast | None:
    """Set the mean of a value over images against a fixed number; None without predictions.

    Args:
        run: The run.
        cells: Whose images count.
        value: What every image has.
        null: The number.
        share: Whether the value is 0 or 1.
        name: What the contrast is called.
    """
    each = every(run, cells)
    if not each:
        return None
    values, who = _pooled(each, value)
    found = clustered_mean(values, who, null=null, level=run.suite.interval.level, share=share)
    shifted = replace(found, value=found.value - null, low=found.low - null, high=found.high - null)
    return difference_of(name, shifted, found.value, null, by_patient=_by_patient(each))


def between(run: Run, cells: Sequence[RunCell], first: Value, second: Value, *, name: str = ALL) -> Contrast | None:
    """Subtract the share that one value gives from that of another, where each counts for images of its own."""
    each = every(run, cells)
    if not each:
        return None
    (a, who), (b, whose) = _pooled(each, first), _pooled(each, second)
    found = clustered_difference(a, who, b, whose, level=run.suite.interval.level, share=True)
    return difference_of(name, found, _mean(a), _mean(b), by_patient=_by_patient(each))


def every(run: Run, cells: Sequence[RunCell]) -> list[Classes]:
    """Take the classes of all cells; none when predictions of one are missing."""
    found = [classes_of(run, one) for one in cells]
    there = [one for one in found if one is not None]
    return there if len(there) == len(cells) else []


def _pooled(side: Sequence[Classes], value: Value) -> tuple[Values, Ids]:
    return np.concatenate([value(one) for one in side]), np.concatenate([one.people for one in side])


def _one(run: Run, name: str, first: Values, second: Values, who: Ids, *, by_patient: bool) -> Contrast:
    known = ~np.isnan(first + second)
    found = clustered_mean(np.where(known, first - second, np.nan), who, level=run.suite.interval.level)
    return difference_of(name, found, _mean(first[known]), _mean(second[known]), by_patient=by_patient)


def _join(a: Ids, b: Ids) -> tuple[Rows, Rows]:
    """Return the positions of the common images on both sides, in the order of a."""
    at = pd.Index(b).get_indexer(pd.Index(a))
    kept = np.flatnonzero(at >= 0)
    return kept, at[kept]


def _mean(values: Values) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _by_patient(found: Sequence[Classes]) -> bool:
    return all(one.patient is not None for one in found)


def training_counts(run: Run, configuration: str) -> npt.NDArray[np.int64] | None:
    """Count the training images of each class of a training set, as the manifest describes them; None if it does not.

    With several splits of one training set it is the first.
    """
    counts = np.zeros(len(run.suite.labels), np.int64)
    there: dict[str, int] = {}
    for side in run.manifest.get("splits", ()):
        first = there.setdefault(str(side["dataset"]), side["seed"])
        if (side["split"], side["configuration"]) == ("train", configuration) and side["seed"] == first:
            counts += [int(side["positive"].get(label, 0)) for label in run.suite.labels]
    return counts if counts.any() else None
