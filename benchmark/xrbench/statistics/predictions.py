"""Predictions of a model on a test set, of several labels or of one class out of several, laid out for the kernels.

In a ``multilabel`` task every label is positive, negative or unknown in each image; in a ``multiclass`` task every image belongs
to exactly one class. A metric then has one value a label (or class) and their mean, or one value over all classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError, UsageError, suggestion
from xrbench.metrics.checks import FloatArray, to_floats
from xrbench.metrics.metric import Task
from xrbench.metrics.multiclass import Classified, validate_classes
from xrbench.metrics.names import MetricSpec, names_of
from xrbench.statistics.intervals.class_columns import ClassColumns, class_columns
from xrbench.statistics.intervals.input_checks import matrices
from xrbench.statistics.resampling.label_columns import LabelColumn, label_column

TASKS = ("multilabel", "multiclass")
MEAN = "mean"
"""The label of the macro mean."""
ALL = "all classes"
"""The label of metrics over all classes."""

Thresholds = Mapping[tuple[str, str], float]


@dataclass(frozen=True, eq=False)
class Predictions:
    """One model's predictions on one test set.

    Attributes:
        domain: Whose patients they are; predictions of one domain share them.
        truth: Of several labels 1, 0 or NaN (not labelled), shape (n, labels), (n,) for one label. Of classes the number of the
            class, 0 to classes - 1, or NaN (not labelled), shape (n,); or a column a class, a single 1 in each row, all NaN
            where not labelled, shape (n, classes).
        score: Higher for positive, one column a label, shape (n, labels). Of classes the highest of a row is the predicted
            class, the first of equals.
        patient: Patient id of each image, shape (n,); None or all missing makes images the unit.
        thresholds: (label, metric) -> threshold chosen on the validation set.
        image: Id of each image, shape (n,); where there are no patients, identifies the same image in other predictions.
        labels: Names of the columns.
        task: ``multilabel`` or ``multiclass``.

    Raises:
        UsageError: There is no such task, or ``labels`` is one name instead of several.

    >>> from xrbench.metrics import parse_classes
    >>> nevi = Predictions("ham", [0, 1], [[0.9, 0.1], [0.2, 0.8]], labels=["nv", "mel"], task="multiclass")
    >>> nevi.value_labels(parse_classes("accuracy")), nevi.value_labels(parse_classes("auc"))
    (['all classes'], ['nv', 'mel'])
    """

    domain: str
    truth: npt.ArrayLike
    score: npt.ArrayLike
    patient: npt.ArrayLike | None = None
    thresholds: Thresholds = field(default_factory=dict)
    image: npt.ArrayLike | None = None
    labels: Sequence[str] = ()
    task: Task = "multilabel"

    def __post_init__(self) -> None:
        names_of(self.labels, "labels")
        if self.task not in TASKS:
            raise UsageError(f"unknown task {self.task!r}{suggestion(self.task, TASKS)}")

    def checked(self) -> Predictions:
        """Check shapes (and classes) and return the same predictions as arrays.

        Raises:
            MeasureError: Truth and score do not fit each other or the labels.
        """
        if self.task == "multiclass":
            self.classified()
            return replace(self, truth=to_floats(self.truth, "truth"), score=to_floats(self.score, "score"))
        truth, score = matrices(self.truth, self.score, self.labels)
        return replace(self, truth=truth, score=score)

    def label_columns(self, specs: Sequence[MetricSpec], code: npt.NDArray[np.int32]) -> list[LabelColumn]:
        """Lay out each label, or each class against the rest.

        Args:
            specs: Metrics of the order of scores, of probabilities, or of a decision at a threshold.
            code: Patient number of each row, shape (n,).

        Raises:
            MeasureError: A row is not usable, or a threshold is missing.
        """
        truth = one_hot(self.classified(), len(np.asarray(self.score))) if self.task == "multiclass" else self.truth
        truth, score = matrices(truth, self.score, self.labels)
        return [
            label_column(truth[:, i], score[:, i], code, label=label, specs=specs, thresholds=self.thresholds)
            for i, label in enumerate(self.labels)
        ]

    def class_columns(self, specs: Sequence[MetricSpec], code: npt.NDArray[np.int32]) -> ClassColumns:
        """Lay out the predicted classes; arguments and errors as for ``label_columns``."""
        return class_columns(self.classified(), code, specs)

    def classified(self) -> Classified:
        """Check the classes of a multi-class task and keep the labelled rows.

        Raises:
            MeasureError: A row is not usable, or there are more or fewer columns than names.
        """
        rows = validate_classes(self.truth, self.score)
        if rows.score.shape[1] != len(self.labels):
            raise MeasureError(f"score has {rows.score.shape[1]} columns, {len(self.labels)} classes are named")
        return rows

    def value_labels(self, spec: MetricSpec) -> list[str]:
        """Name the values that a metric has: one a label (or class), or one over all classes; without their mean."""
        over_all = is_of_predicted_class(spec) and not spec.metric.per_class
        return [ALL] if over_all else list(self.labels)


Cell = Predictions
Pair = tuple[Predictions, Predictions]
"""Predictions of model a and of model b on the same images."""


def paired(
    domain: str,
    truth: npt.ArrayLike,
    score_a: npt.ArrayLike,
    score_b: npt.ArrayLike,
    patient: npt.ArrayLike | None = None,
    thresholds_a: Thresholds | None = None,
    thresholds_b: Thresholds | None = None,
    image: npt.ArrayLike | None = None,
    labels: Sequence[str] = (),
    task: Task = "multilabel",
) -> Pair:
    """Put two models' predictions on the same images side by side; arguments as for ``Predictions``.

    >>> a, b = paired("nih", [1, 0], [0.9, 0.2], [0.8, 0.3])
    >>> a.score, b.score, a.truth is b.truth
    ([0.9, 0.2], [0.8, 0.3], True)
    """
    return (
        Predictions(domain, truth, score_a, patient, thresholds_a or {}, image, labels, task),
        Predictions(domain, truth, score_b, patient, thresholds_b or {}, image, labels, task),
    )


PairedCell = paired


def named(cells: Sequence[Predictions], labels: Sequence[str] | None, task: Task | None) -> list[Predictions]:
    """Give all predictions the same labels and task: those that are stated, else their own.

    Raises:
        MeasureError: There are no predictions, or they differ in labels or task.
        UsageError: No labels are stated, or the task is unknown.
    """
    if labels is not None:
        names_of(labels, "labels")
    if not cells:
        raise MeasureError("nothing to measure: no cell was given")
    given = [replace(cell, labels=cell.labels if labels is None else labels, task=task or cell.task) for cell in cells]
    first = given[0]
    for cell in given:
        if list(cell.labels) != list(first.labels) or cell.task != first.task:
            raise MeasureError(
                f"{cell.domain}: cells differ in their labels or task; state labels and task for all of them"
            )
    if not len(first.labels):
        raise UsageError("no labels: state the names of the columns of truth and score")
    return given


def is_of_predicted_class(spec: MetricSpec) -> bool:
    """Tell metrics of the predicted class from those of each label, or of each class against the rest."""
    return spec.task == "multiclass" and spec.family == "decision"


def one_hot(rows: Classified, images: int) -> FloatArray:
    """Turn classes into one column each: 1, 0, or NaN where not labelled, shape (images, classes)."""
    classes = rows.score.shape[1]
    table = np.full((images, classes), np.nan)
    table[rows.rows] = rows.truth[:, None] == np.arange(classes)
    return table
