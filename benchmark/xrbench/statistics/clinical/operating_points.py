"""What a fixed threshold means at another hospital.

A threshold is chosen on the validation set for a target sensitivity or specificity and carried unchanged to each test set.
There it reaches another sensitivity and specificity (drift), and what an alarm is worth depends on how common the finding is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from xrbench.errors import UsageError
from xrbench.metrics.evaluation import validation_threshold
from xrbench.metrics.names import parse
from xrbench.statistics.intervals.estimate import MEAN, Estimate, estimate
from xrbench.statistics.intervals.input_checks import matrices

FIGURES = ("recall", "specificity", "ppv", "npv", "alarms-per-1000")


@dataclass(frozen=True)
class OperatingPoint:
    """How one label's threshold does on a test set.

    Attributes:
        label: The label.
        target: The condition behind the threshold, such as ``sensitivity=0.9``.
        threshold: At or above it an image is called positive.
        figures: Metric -> estimate: ``recall``, ``specificity``, ``ppv``, ``npv``, ``alarms-per-1000``, and ``ppv`` and ``npv``
            at stated prevalences as ``ppv,prevalence=0.02``.
        prevalence: Share of positives in the test set.
        drift: The targeted figure minus its target: how far the threshold has moved from its purpose.
        drift_low, drift_high: Interval of the drift; the target is a number, so only the test set is uncertain.
    """

    label: str
    target: str
    threshold: float
    figures: Mapping[str, Estimate]
    prevalence: float
    drift: float
    drift_low: float
    drift_high: float


def thresholds_for(
    truth: npt.ArrayLike, score: npt.ArrayLike, *, labels: Sequence[str], metrics: Sequence[str]
) -> dict[tuple[str, str], float]:
    """Choose all thresholds that metrics ask for on validation data.

    Args:
        truth: 1, 0 or NaN (not labelled), shape (n, labels).
        score: Higher for positive, shape (n, labels).
        labels: Names of the columns.
        metrics: Names; those without a target need no threshold and are passed over.

    Returns:
        (label, metric) -> threshold; NaN where the validation set lacks the class that the target speaks of.

    >>> thresholds_for([[1], [1], [0]], [[0.9], [0.7], [0.2]], labels=["Edema"], metrics=["auc", "ppv@sensitivity=1.0"])
    {('Edema', 'ppv@sensitivity=1.0'): 0.7}
    """
    true, given = matrices(truth, score, labels)
    specs = [parse(name) for name in metrics]
    found = {}
    for i, label in enumerate(labels):
        for spec in specs:
            at = validation_threshold(spec, true[:, i], given[:, i])
            if at is not None:
                found[label, spec.name] = at
    return found


def operating_points(
    valid_truth: npt.ArrayLike,
    valid_score: npt.ArrayLike,
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    patient: npt.ArrayLike | None = None,
    *,
    labels: Sequence[str],
    target: str,
    prevalences: Sequence[float] = (),
    level: float = 0.95,
    kind: str = "default",
) -> list[OperatingPoint]:
    """Fix each label's threshold on validation data and describe it on test data.

    Args:
        valid_truth: Of the validation set: 1, 0 or NaN (not labelled), shape (m, labels).
        valid_score: Higher for positive, shape (m, labels).
        truth: Of the test set, shape (n, labels).
        score: Higher for positive, shape (n, labels).
        patient: Patient id of each test image, shape (n,).
        labels: Names of the columns.
        target: ``sensitivity=0.9`` or ``specificity=0.9``.
        prevalences: Prevalences, between 0 and 1, at which predictive values are also stated (Bayes' rule).
        level: Confidence level.
        kind: Kind of interval.

    Raises:
        UsageError: The target is not of that form.
        MeasureError: A row is not usable.

    >>> point = operating_points([1, 1, 0, 0], [0.8, 0.6, 0.4, 0.1], [1, 1, 0, 0], [0.9, 0.5, 0.7, 0.2],
    ...                          labels=["Edema"], target="sensitivity=0.9")[0]
    >>> point.threshold, point.figures["recall"].value, point.figures["alarms-per-1000"].value, round(point.drift, 3)
    (0.6, 0.5, 500.0, -0.4)
    """
    if not target.startswith(("sensitivity=", "specificity=")):
        raise UsageError(f"target {target!r} is not of the form 'sensitivity=0.9' or 'specificity=0.9'")
    names = {figure: f"{figure}@{target}" for figure in FIGURES}
    for prevalence in prevalences:
        for figure in ("ppv", "npv"):
            names[f"{figure},prevalence={prevalence:g}"] = f"{figure}@{target},prevalence={prevalence:g}"
    thresholds = thresholds_for(valid_truth, valid_score, labels=labels, metrics=list(names.values()))
    rows = estimate(
        truth,
        score,
        patient,
        labels=labels,
        metrics=list(names.values()),
        thresholds=thresholds,
        level=level,
        kind=kind,
    )
    found = {(row.label, row.metric): row for row in rows if row.label != MEAN}
    aimed = "recall" if target.startswith("sensitivity") else "specificity"
    return [_point(label, target, names, aimed, found) for label in labels]


def _point(
    label: str, target: str, names: Mapping[str, str], aimed: str, found: Mapping[tuple[str, str], Estimate]
) -> OperatingPoint:
    figures = {figure: found[label, name] for figure, name in names.items()}
    at, goal = figures[aimed], float(target.partition("=")[2])
    labelled = at.n_positive + at.n_negative
    return OperatingPoint(
        label=label,
        target=target,
        threshold=at.threshold,
        figures=figures,
        prevalence=at.n_positive / labelled if labelled else float("nan"),
        drift=at.value - goal,
        drift_low=at.low - goal,
        drift_high=at.high - goal,
    )


@dataclass(frozen=True)
class NetBenefit:
    """One threshold of a decision curve.

    Attributes:
        label: The label.
        threshold: Probability at which one would act.
        model: Net benefit of acting on the model, with its interval.
        treat_all: Net benefit of acting on everyone.
        above: The model minus the better of acting on everyone and on no one.
    """

    label: str
    threshold: float
    model: Estimate
    treat_all: float
    above: float


def decision_curve(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    patient: npt.ArrayLike | None = None,
    *,
    labels: Sequence[str],
    thresholds: Sequence[float],
    level: float = 0.95,
    kind: str = "default",
) -> list[NetBenefit]:
    """Compute the net benefit over threshold probabilities (Vickers & Elkin 2006, Med Decis Making 26:565).

    Args:
        truth: 1, 0 or NaN (not labelled), shape (n, labels).
        score: Probabilities within 0..1, shape (n, labels).
        patient: Patient id of each image, shape (n,).
        labels: Names of the columns.
        thresholds: Probabilities from 0 to below 1.
        level: Confidence level.
        kind: Kind of interval.

    >>> curve = decision_curve([1, 1, 0, 0], [0.9, 0.3, 0.5, 0.1], labels=["Edema"], thresholds=[0.2])
    >>> curve[0].model.value, curve[0].treat_all, curve[0].above  # (2 - 0.25) / 4 against (2 - 2 * 0.25) / 4
    (0.4375, 0.375, 0.0625)
    """
    true, given = matrices(truth, score, labels)
    names = [f"net-benefit@threshold={threshold!r}" for threshold in map(float, thresholds)]
    rows = estimate(true, given, patient, labels=labels, metrics=names, level=level, kind=kind)
    found = {(row.label, row.metric): row for row in rows}
    curve = []
    for i, label in enumerate(labels):
        labelled = true[:, i][~np.isnan(true[:, i])]
        prevalence = float(labelled.mean()) if len(labelled) else float("nan")
        for threshold, name in zip(map(float, thresholds), names, strict=True):
            everyone = prevalence - (1 - prevalence) * threshold / (1 - threshold)
            row = replace(found[label, name], threshold=threshold)
            curve.append(NetBenefit(label, threshold, row, everyone, row.value - max(everyone, 0.0)))
    return curve
