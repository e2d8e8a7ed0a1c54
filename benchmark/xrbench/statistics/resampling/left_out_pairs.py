"""The AUC without each patient in turn, in one pass over the images (compiled).

Without a patient, all pairs of a positive and a negative that contain one of the patient's images are gone. Each image's share of the
pairs (its placement: DeLong et al. 1988, Biometrics 44:837) is known from the order of the scores; pairs of two images of the patient are
counted once. All counts are whole numbers, so that the values are exact until their only division.
"""

from __future__ import annotations

import numpy as np

from xrbench.metrics.checks import FloatArray
from xrbench.statistics.resampling.numba_jit import compiled
from xrbench.statistics.resampling.score_steps import Steps


@compiled
def pairs_pass(patient, start, mid, end, lost, own, positive, negative):  # type: ignore[no-untyped-def]
    """Count pairs in which the positive ranks higher, each twice so that a tie is 1, by the patients of their images.

    Args:
        patient: Patient number of each image from the highest score down, shape (images,); see ``kernels.auc_pass``.
        start: First image of each step, shape (steps,).
        mid: Its first negative, shape (steps,).
        end: Its end, shape (steps,).
        lost: Filled: pairs with a positive of the patient plus pairs with a negative of the patient, int64 of shape (patients,).
        own: Filled: pairs of two images of the patient, int64 of shape (patients,).
        positive: Filled: positive images of the patient, int64 of shape (patients,).
        negative: Filled: negative ones.

    Returns:
        All pairs in which the positive ranks higher, twice.
    """
    # Positives of each patient above this step and at its score.
    mine, level = np.zeros(len(lost), np.int64), np.zeros(len(lost), np.int64)
    below = len(patient)
    for step in range(len(start)):
        below -= mid[step] - start[step]
    above, twice, at = 0, 0, 0
    for step in range(len(start)):
        for i in range(at, start[step]):
            p = patient[i]
            lost[p] += 2 * above
            own[p] += 2 * mine[p]
            negative[p] += 1
        tied, group = end[step] - mid[step], mid[step] - start[step]
        below -= start[step] - at + tied
        for i in range(start[step], mid[step]):
            p = patient[i]
            lost[p] += 2 * below + tied
            level[p] += 1
            positive[p] += 1
        twice += group * (2 * below + tied)
        for i in range(mid[step], end[step]):
            p = patient[i]
            lost[p] += 2 * above + group
            own[p] += 2 * mine[p] + level[p]
            negative[p] += 1
        for i in range(start[step], mid[step]):
            p = patient[i]
            mine[p] += level[p]
            level[p] = 0
        above += group
        at = end[step]
    for i in range(at, len(patient)):
        p = patient[i]
        lost[p] += 2 * above
        own[p] += 2 * mine[p]
        negative[p] += 1
    return twice


def auc_left_out(steps: Steps, patients: int) -> FloatArray:
    """Compute the AUC without each patient.

    Args:
        steps: The images in the order of their scores.
        patients: How many there are.

    Returns:
        Shape (patients,); NaN where a class is missing without the patient.

    >>> from xrbench.statistics.resampling.score_steps import score_steps
    >>> score, positive = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    >>> auc_left_out(score_steps(score, positive, np.arange(4, dtype=np.int32)), 4)  # of four pairs one is wrong: 0.4 above 0.35
    array([0.5, 1. , 1. , 0.5])
    """
    lost, own, positive, negative = (np.zeros(patients, np.int64) for _ in range(4))
    twice = pairs_pass(*steps, lost, own, positive, negative)
    pairs = 2.0 * (positive.sum() - positive) * (negative.sum() - negative)
    left: FloatArray = np.full(patients, np.nan)
    np.divide(twice - lost + own, pairs, out=left, where=pairs > 0)
    return left
