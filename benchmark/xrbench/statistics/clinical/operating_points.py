"""Operating points and decision curves: a fixed threshold at another hospital.

A threshold is chosen on the validation set for a target sensitivity or specificity and applied unchanged to each test set.
There it reaches another sensitivity and specificity (drift), and the predictive value of a positive call depends on how common
the finding is. A threshold chosen on 200 images is itself an estimate: whether it has drifted is decided by the interval in which
validation patients vary as well (``threshold_transport``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np
import numpy.typing as npt

from xrbench.errors import UsageError
from xrbench.metrics.evaluation import validation_threshold
from xrbench.metrics.names import names_of, parse
from xrbench.statistics.clinical.threshold_transport import Images, Share, on_both_sides, procedure_interval
from xrbench.statistics.intervals.estimate import estimate
from xrbench.statistics.intervals.estimate_row import Estimate
from xrbench.statistics.intervals.formulas import NOTHING
from xrbench.statistics.intervals.input_checks import matrices
from xrbench.statistics.options import OptionFields
from xrbench.statistics.predictions import MEAN

FIGURES = ("recall", "specificity", "ppv", "npv", "positive-calls-per-1000")


@dataclass(frozen=True)
class OperatingPoint:
    """One label's threshold on a test set.

    Attributes:
        label: The label.
        target: The condition behind the threshold, such as ``sensitivity=0.9``.
        threshold: Images with a score at or above it are called positive.
        figures: Metric -> estimate: ``recall``, ``specificity``, ``ppv``, ``npv``, ``positive-calls-per-1000``, and ``ppv`` and ``npv``
            at stated prevalences as ``ppv,prevalence=0.02``.
        prevalence: Share of positives in the test set.
        procedure: ``recall`` and ``specificity`` -> interval of this procedure: validation and test patients vary. The intervals of
            ``figures`` are at this threshold: test patients vary.
        drift: The targeted figure minus its target.
        drift_low, drift_high: Interval of the drift, of this procedure.
    """

    label: str
    target: str
    threshold: float
    figures: Mapping[str, Estimate]
    prevalence: float
    procedure: Mapping[str, tuple[float, float]]
    drift: float
    drift_low: float
    drift_high: float

    @property
    def has_drifted(self) -> bool:
        """Whether the interval of this procedure excludes the target."""
        return self.drift_low > 0 or self.drift_high < 0


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
    names_of(metrics, "metrics")
    specs = [parse(name) for name in metrics]
    thresholds = {}
    for i, label in enumerate(labels):
        for spec in specs:
            threshold = validation_threshold(spec, true[:, i], given[:, i])
            if threshold is not None:
                thresholds[label, spec.name] = threshold
    return thresholds


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
    valid_patient: npt.ArrayLike | None = None,
    **options: Unpack[OptionFields],
) -> list[OperatingPoint]:
    """Choose each label's threshold on validation data and evaluate it on test data.

    Args:
        valid_truth: Of the validation set: 1, 0 or NaN (not labelled), shape (m, labels).
        valid_score: Higher for positive, shape (m, labels).
        truth: Of the test set, shape (n, labels).
        score: Higher for positive, shape (n, labels).
        patient: Patient id of each test image, shape (n,).
        labels: Names of the columns.
        target: ``sensitivity=0.9`` or ``specificity=0.9``; at a stated ``threshold=0.5`` nothing is chosen, and nothing drifts.
        prevalences: Prevalences, between 0 and 1, at which predictive values are also stated (Bayes' rule).
        valid_patient: Patient id of each validation image, shape (m,); the same id as in ``patient`` is the same patient.
        options: See ``Options``.

    Raises:
        UsageError: The target is not of that form.
        MeasureError: A row is not usable.

    >>> point = operating_points([1, 1, 0, 0], [0.8, 0.6, 0.4, 0.1], [1, 1, 0, 0], [0.9, 0.5, 0.7, 0.2],
    ...                          labels=["Edema"], target="sensitivity=0.9")[0]
    >>> point.threshold, point.figures["recall"].value, point.figures["positive-calls-per-1000"].value, round(point.drift, 3)
    (0.6, 0.5, 500.0, -0.4)
    """
    if not target.startswith(("sensitivity=", "specificity=", "threshold=")):
        raise UsageError(
            f"target {target!r} is not of the form 'sensitivity=0.9' or 'specificity=0.9', nor 'threshold=0.5'"
        )
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
        **options,
    )
    by_name = {(row.label, row.metric): row for row in rows if row.label != MEAN}
    true, given = (matrices(t, s, labels) for t, s in ((valid_truth, valid_score), (truth, score)))
    if options.get("unit") == "image":
        patient = valid_patient = None
    points = []
    for i, label in enumerate(labels):
        figures = {name: by_name[label, metric] for name, metric in names.items()}
        sides = on_both_sides(given[0][:, i], given[1][:, i], patient, true[0][:, i], true[1][:, i], valid_patient)
        points.append(_point(label, target, figures, sides))
    return points


def _point(label: str, target: str, figures: Mapping[str, Estimate], sides: tuple[Images, Images]) -> OperatingPoint:
    condition, _, goal_text = target.partition("=")
    aimed: Share = "recall" if condition == "sensitivity" else "specificity"
    at = figures[aimed]
    goal = float("nan" if condition == "threshold" else goal_text)
    procedure = {name: _procedure(name, condition, goal, figures[name], sides) for name in ("recall", "specificity")}
    labelled = at.n_positive + at.n_negative
    return OperatingPoint(
        label=label,
        target=target,
        threshold=at.threshold,
        figures=figures,
        prevalence=at.n_positive / labelled if labelled else float("nan"),
        procedure=procedure,
        drift=at.value - goal,
        drift_low=procedure[aimed][0] - goal,
        drift_high=procedure[aimed][1] - goal,
    )


def _procedure(
    name: str, condition: str, goal: float, row: Estimate, sides: tuple[Images, Images]
) -> tuple[float, float]:
    """Compute the interval of recall or specificity over validation and test patients; at a stated threshold there is none."""
    if condition == "threshold":
        return NOTHING
    return procedure_interval(
        *sides,
        share="recall" if name == "recall" else "specificity",
        condition="sensitivity" if condition == "sensitivity" else "specificity",
        target=goal,
        at_threshold=(row.low, row.high),
        level=row.level,
    )


@dataclass(frozen=True)
class NetBenefit:
    """One threshold of a decision curve.

    Attributes:
        label: The label.
        threshold: Probability from which one would act.
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
    **options: Unpack[OptionFields],
) -> list[NetBenefit]:
    """Compute the net benefit over threshold probabilities (Vickers & Elkin 2006, Med Decis Making 26:565).

    Args:
        truth: 1, 0 or NaN (not labelled), shape (n, labels).
        score: Probabilities within 0..1, shape (n, labels).
        patient: Patient id of each image, shape (n,).
        labels: Names of the columns.
        thresholds: Probabilities from 0 to below 1.
        options: See ``Options``.

    Returns:
        Label by label: one row a threshold.

    Raises:
        UsageError: A threshold is out of range.
        MeasureError: A row is not usable.

    >>> curve = decision_curve([1, 1, 0, 0], [0.9, 0.3, 0.5, 0.1], labels=["Edema"], thresholds=[0.2])
    >>> curve[0].model.value, curve[0].treat_all, curve[0].above  # (2 - 0.25) / 4 against (2 - 2 * 0.25) / 4
    (0.4375, 0.375, 0.0625)
    """
    true, given = matrices(truth, score, labels)
    names = [f"net-benefit@threshold={threshold!r}" for threshold in map(float, thresholds)]
    rows = estimate(true, given, patient, labels=labels, metrics=names, **options)
    by_name = {(row.label, row.metric): row for row in rows}
    curve = []
    for i, label in enumerate(labels):
        labelled = true[:, i][~np.isnan(true[:, i])]
        prevalence = float(labelled.mean()) if len(labelled) else float("nan")
        for threshold, name in zip(map(float, thresholds), names, strict=True):
            everyone = prevalence - (1 - prevalence) * threshold / (1 - threshold)
            row = replace(by_name[label, name], threshold=threshold)
            curve.append(NetBenefit(label, threshold, row, everyone, row.value - max(everyone, 0.0)))
    return curve
