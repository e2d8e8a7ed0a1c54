"""Variance of the AUC without resampling: DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44:837.

The structural components come from ranks in O(n log n): Sun & Xu (2014), IEEE Signal Process Lett 21:1389. When patients
have several images their components are summed first: Obuchowski (1997), Biometrics 53:567; with one image a patient this is
DeLong's variance exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from xrbench.errors import MeasureError
from xrbench.metrics.checks import BoolArray, FloatArray, to_floats, validate
from xrbench.statistics.intervals.formulas import NOTHING, check_level, logit_normal, normal
from xrbench.statistics.resampling.clusters import encode, members

ENOUGH = 100
"""Patients of each class from which intervals and tests are known to hold (``tests/validation``)."""


@dataclass(frozen=True)
class DeLong:
    """AUCs of models on the same images.

    Attributes:
        auc: Shape (models,); NaN without both classes.
        covariance: Shape (models, models); NaN with fewer than two positive or two negative patients.
        caution: What to know before trusting it; else empty.
    """

    auc: FloatArray
    covariance: FloatArray
    caution: str = ""


@dataclass(frozen=True)
class DeLongTest:
    """Test of two AUCs on the same images.

    Attributes:
        difference: AUC of b minus AUC of a.
        error: Its standard error; NaN where there is no covariance.
        z, p: Test statistic and two-sided p-value.
        caution: What to know before trusting it; else empty.
    """

    difference: float
    error: float
    z: float
    p: float
    caution: str = ""


def delong(truth: npt.ArrayLike, scores: npt.ArrayLike, *, patient: npt.ArrayLike | None = None) -> DeLong:
    """Compute the AUCs of one or more models on the same images, and their covariance.

    Args:
        truth: 1, 0 or NaN (left out), shape (n,).
        scores: Higher for positive, shape (n,) or (n, models).
        patient: Patient of each image, shape (n,); None takes images as independent.

    >>> result = delong([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> float(result.auc[0]), float(result.covariance[0, 0])  # V10 = (1/2, 1), V01 = (1, 1/2): 1/8/2 + 1/8/2
    (0.75, 0.125)
    """
    given = to_floats(scores, "score")
    matrix = given[:, None] if given.ndim == 1 else given
    checked = [validate(truth, matrix[:, model]) for model in range(matrix.shape[1])]
    if not checked:
        raise MeasureError("scores have no column")
    positive, rows = checked[0].positive, checked[0].rows
    patients = encode(patient, len(matrix))
    code = patients.code[rows] if patients.unit == "patient" else None
    parts = [components(row.score, positive) for row in checked]
    auc = np.array([part.auc for part in parts])
    return DeLong(auc, _covariance(parts, positive, code), _few(positive, code))


def delong_interval(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    *,
    patient: npt.ArrayLike | None = None,
    level: float = 0.95,
    logit: bool = True,
) -> tuple[float, float]:
    """Compute an interval of the AUC from its variance; ``delong(...).caution`` says whether there are patients enough.

    Args:
        truth: 1, 0 or NaN (left out), shape (n,).
        score: Higher for positive, shape (n,).
        patient: Patient of each image, shape (n,); None takes images as independent.
        level: Confidence level, between 0 and 1.
        logit: Whether the interval is symmetric in the logit (stays inside 0..1) rather than in the AUC.

    >>> truth, score = [0, 0, 0, 1, 1, 1], [0.1, 0.4, 0.5, 0.35, 0.8, 0.9]
    >>> tuple(round(end, 3) for end in delong_interval(truth, score, logit=False))
    (0.291, 1.265)
    """
    result = delong(truth, score, patient=patient)
    value, variance = float(result.auc[0]), float(result.covariance[0, 0])
    if np.isnan(variance):
        return NOTHING
    return (logit_normal if logit else normal)(value, float(np.sqrt(variance)), check_level(level))


def delong_test(
    truth: npt.ArrayLike, score_a: npt.ArrayLike, score_b: npt.ArrayLike, *, patient: npt.ArrayLike | None = None
) -> DeLongTest:
    """Test whether two models' AUCs differ on the same images, two-sided.

    Args:
        truth: 1, 0 or NaN (left out), shape (n,).
        score_a: One model's output, higher for positive, shape (n,).
        score_b: The other's.
        patient: Patient of each image, shape (n,); None takes images as independent.

    >>> delong_test([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], [0.1, 0.4, 0.35, 0.8])
    DeLongTest(difference=0.0, error=0.0, z=0.0, p=1.0, caution='2 positive images: known to hold from 100')
    """
    scores = [to_floats(score_a, "score_a"), to_floats(score_b, "score_b")]
    if scores[0].shape != scores[1].shape:
        raise MeasureError(f"score_a has shape {scores[0].shape}, score_b {scores[1].shape}")
    both = delong(truth, np.stack(scores, axis=1), patient=patient)
    difference = float(both.auc[1] - both.auc[0])
    contrast = np.array([-1.0, 1.0])
    # Rounding may leave the variance of two equal models slightly negative.
    error = float(np.sqrt(max(0.0, contrast @ both.covariance @ contrast)))
    return DeLongTest(difference, error, *z_test(difference, error), both.caution)


def delong_unpaired_test(
    truth_a: npt.ArrayLike,
    score_a: npt.ArrayLike,
    truth_b: npt.ArrayLike,
    score_b: npt.ArrayLike,
    *,
    patient_a: npt.ArrayLike | None = None,
    patient_b: npt.ArrayLike | None = None,
) -> DeLongTest:
    """Test whether AUCs on two sets of different patients differ, two-sided.

    The difference over its error is compared with Student's distribution with Welch's degrees of freedom, as pROC does.

    Args:
        truth_a: Of one set 1, 0 or NaN (left out), shape (n,).
        score_a: Higher for positive, shape (n,).
        truth_b: Of the other set, shape (m,).
        score_b: Likewise, shape (m,).
        patient_a: Patient of each image, shape (n,); None takes images as independent.
        patient_b: Likewise, shape (m,). No patient may be in both sets.

    Returns:
        The test; ``z`` holds Student's t.

    >>> test = delong_unpaired_test([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> test.difference, test.error, test.p  # the variance of either is 0.125
    (0.0, 0.5, 1.0)
    """
    a, b = delong(truth_a, score_a, patient=patient_a), delong(truth_b, score_b, patient=patient_b)
    variances = [float(part.covariance[0, 0]) for part in (a, b)]
    sizes = [
        encode(patient, len(np.asarray(truth))).size for truth, patient in ((truth_a, patient_a), (truth_b, patient_b))
    ]
    difference, error = float(b.auc[0] - a.auc[0]), float(np.sqrt(sum(variances)))
    if not error > 0:
        return DeLongTest(difference, error, *z_test(difference, error), a.caution or b.caution)
    df = error**4 / sum(variance**2 / (size - 1) for variance, size in zip(variances, sizes, strict=True))
    t = difference / error
    return DeLongTest(difference, error, t, float(2 * special.stdtr(df, -abs(t))), a.caution or b.caution)


def z_test(difference: float, error: float) -> tuple[float, float]:
    """Compute z and its two-sided p-value; a difference of 0 without error has p = 1, another one without error NaN.

    >>> tuple(round(x, 4) for x in z_test(0.0196, 0.01))
    (1.96, 0.05)
    """
    if difference == 0 and error == 0:
        return 0.0, 1.0
    if not error > 0:
        return float("nan"), float("nan")
    z = difference / error
    return z, float(2 * special.ndtr(-abs(z)))


@dataclass(frozen=True)
class Components:
    """One model's AUC and its structural components.

    Attributes:
        auc: 0..1; NaN without both classes.
        placement: For each image the share of the other class that is ranked correctly against it (ties count half), shape (n,).
    """

    auc: float
    placement: FloatArray


def components(score: FloatArray, positive: BoolArray) -> Components:
    """Compute the AUC and DeLong's structural components from ranks.

    Args:
        score: Shape (n,).
        positive: Whether the truth is 1, shape (n,).
    """
    order = np.argsort(score)
    ascending, kind = score[order], positive[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = ascending[1:] != ascending[:-1]
    # Equal scores form one group: everything is counted once a group and handed to its images.
    group = np.cumsum(new) - 1
    starts = np.flatnonzero(new)
    m, n = int(np.sum(positive)), int(len(positive) - np.sum(positive))
    placement = np.full(len(score), np.nan)
    if not (m and n):
        return Components(float("nan"), placement)
    positives = np.add.reduceat(kind.astype(np.int64), starts)
    negatives = np.diff(np.append(starts, len(order))) - positives
    below = np.cumsum(negatives) - 0.5 * negatives
    above = m - np.cumsum(positives) + 0.5 * positives
    placement[order] = np.where(kind, below[group] / n, above[group] / m)
    return Components(float(np.sum(positives * below) / (m * n)), placement)


def _few(positive: BoolArray, code: npt.NDArray[np.int32] | None) -> str:
    """Caution that a class has too few patients (images, where these are the unit) for a normal interval or test."""
    unit = "image" if code is None else "patient"
    for word, kind in (("positive", positive), ("negative", ~positive)):
        count = int(kind.sum()) if code is None else len(members(code[kind]))
        if count < ENOUGH:
            return f"{count:,} {word} {unit}{'' if count == 1 else 's'}: known to hold from {ENOUGH}"
    return ""


def _covariance(parts: list[Components], positive: BoolArray, code: npt.NDArray[np.int32] | None) -> FloatArray:
    """Combine the models' components over patients, after Obuchowski's equations for S10, S01 and S11.

    Args:
        parts: Components of each model.
        positive: Whether the truth is 1, shape (n,).
        code: Patient number of each image, shape (n,); None takes each image for a patient, which leaves DeLong's own equations.

    Returns:
        Shape (models, models).
    """
    models = len(parts)
    m, n = int(positive.sum()), int((~positive).sum())
    rest = np.stack([part.placement - part.auc for part in parts])
    kinds = (positive, ~positive)
    x, y = (rest[:, kind] for kind in kinds)
    members = [m, n]
    if code is not None:
        size = int(code.max()) + 1 if len(code) else 0
        sums = ([np.bincount(code[kind], row[kind], size) for row in rest] for kind in kinds)
        x, y = (np.asarray(part, np.float64) for part in sums)
        members = [int(np.count_nonzero(np.bincount(code[kind], minlength=size))) for kind in kinds]
    if min(members) < 2:
        return np.full((models, models), np.nan)
    covariance: FloatArray = x @ x.T * (members[0] / (members[0] - 1) / m**2)
    covariance += y @ y.T * (members[1] / (members[1] - 1) / n**2)
    if code is not None:
        # S11: a patient with positive and negative images links both classes.
        everyone = int(np.count_nonzero(np.bincount(code)))
        both = x @ y.T * (everyone / (everyone - 1) / (m * n))
        covariance += both + both.T
    return covariance
