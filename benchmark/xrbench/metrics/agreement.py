"""Agreement of predicted with true classes, corrected for chance.

Conventions: ``counts`` has shape (true, predicted, ...); further axes, such as replicates, are kept. A decision about one label is the
table of two classes. A metric whose denominator is 0 is NaN, where scikit-learn returns 0.
"""

from __future__ import annotations

import numpy as np

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.crosstables import share
from xrbench.metrics.decisions import Counts


def mcc(counts: FloatArray) -> FloatArray:
    """Compute Matthews' correlation of true and predicted classes.

    For two classes it is Pearson's correlation of truth and prediction (Matthews 1975, Biochim Biophys Acta 405:442), for more its
    generalization R_K (Gorodkin 2004, Comput Biol Chem 28:367).

    Args:
        counts: Images by true and predicted class, shape (classes, classes, ...).

    Returns:
        -1 to 1, shape (...); 0 for predictions that do not depend on the class, 1 for perfect ones. NaN with a single class among
        the truth or among the predictions.

    >>> round(float(mcc(np.array([[3.0, 1.0], [1.0, 3.0]]))), 3)  # (3 x 3 - 1 x 1) / (4 x 4 x 4 x 4) ** 0.5
    0.5
    """
    true, predicted, total = counts.sum(axis=1), counts.sum(axis=0), counts.sum(axis=(0, 1))
    covariance = total * np.trace(counts) - (true * predicted).sum(axis=0)
    spread = (total**2 - (true**2).sum(axis=0)) * (total**2 - (predicted**2).sum(axis=0))
    # With weights a spread of 0 may come out as a tiny number: classes are counted instead.
    varied = ((true > 0).sum(axis=0) > 1) & ((predicted > 0).sum(axis=0) > 1)
    return share(covariance, np.where(varied, np.sqrt(np.maximum(spread, 0.0)), 0.0))


def mcc_of(counts: Counts) -> FloatArray:
    """Compute Matthews' correlation of a decision from its four outcomes, each of shape (...); NaN where all images are alike.

    >>> round(float(mcc_of(Counts(*map(np.float64, (3, 1, 1, 3))))), 3)
    0.5
    """
    return mcc(_table(counts))


def cohen_kappa(counts: FloatArray) -> FloatArray:
    """Compute Cohen's kappa: the agreement of truth and prediction above that of chance, as a share of what is possible above it.

    Chance agreement is that of predictions with the same class shares that do not depend on the truth: Cohen (1960), Educ Psychol
    Meas 20:37.

    Args:
        counts: Images by true and predicted class, shape (classes, classes, ...).

    Returns:
        -1 to 1, shape (...); 0 for agreement by chance, 1 for perfect. NaN where all truth and all predictions are one and the same
        class, so that chance alone agrees perfectly.

    >>> round(float(cohen_kappa(np.array([[3.0, 1.0], [1.0, 3.0]]))), 3)  # (0.75 - 0.5) / (1 - 0.5)
    0.5
    """
    true, predicted, total = counts.sum(axis=1), counts.sum(axis=0), counts.sum(axis=(0, 1))
    by_chance = (true * predicted).sum(axis=0)
    varied = ((true + predicted) > 0).sum(axis=0) > 1
    return share(total * np.trace(counts) - by_chance, np.where(varied, total**2 - by_chance, 0.0))


def cohen_kappa_of(counts: Counts) -> FloatArray:
    """Compute Cohen's kappa of a decision from its four outcomes, each of shape (...); NaN where all are of one kind.

    >>> round(float(cohen_kappa_of(Counts(*map(np.float64, (3, 1, 1, 3))))), 3)
    0.5
    """
    return cohen_kappa(_table(counts))


def _table(counts: Counts) -> FloatArray:
    """Arrange four outcomes by true and predicted class, negative first, shape (2, 2, ...)."""
    return np.array(
        [[counts.true_negative, counts.false_positive], [counts.false_negative, counts.true_positive]], np.float64
    )
