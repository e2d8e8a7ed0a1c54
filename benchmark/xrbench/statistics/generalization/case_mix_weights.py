"""The AUC to expect of internal images under the external case mix, and whether the case mixes overlap enough for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.ranking import auc
from xrbench.statistics.generalization.membership import fit, odds
from xrbench.statistics.intervals.cautions import join_cautions, patients_needed

LEAST = 10.0
"""Effective number of internal images of a class below which nothing is expected of them."""
BALANCED, APART = 0.1, 0.5
"""Standardised difference of a variable after weighting above which there is a caution (Austin 2009, Stat Med 28:3083), and above which
the case mixes overlap too little for an expected AUC."""

BoolArray = npt.NDArray[np.bool_]


class Side(NamedTuple):
    """One label's labelled images on one side.

    Attributes:
        positive: Whether the truth is 1, shape (n,).
        score: Shape (n,).
        x: Case-mix columns, shape (n, columns).
        patient: Patient of each image, numbered over both sides, shape (n,).
    """

    positive: BoolArray
    score: FloatArray
    x: FloatArray
    patient: npt.NDArray[np.int64]

    def without(self, patients: BoolArray) -> Side:
        """Leave out patients, marked by a mask of shape (patients,)."""
        rows = ~patients[self.patient]
        return Side(self.positive[rows], self.score[rows], self.x[rows], self.patient[rows])

    def of_class(self, kind: bool) -> FloatArray:
        """Return the case-mix columns of the positives or negatives."""
        return np.asarray(self.x[self.positive == kind])


def expected_auc(
    inside: Side, outside: Side, start: Mapping[bool, FloatArray] | None
) -> tuple[dict[bool, FloatArray], float]:
    """Fit both membership models and compute the AUC of weighted internal images.

    Args:
        inside: Internal images.
        outside: External images.
        start: Coefficients to start from, of either class.

    Returns:
        Coefficients of either class, and the AUC; NaN where a class is missing on either side.
    """
    betas: dict[bool, FloatArray] = {}
    weights = np.zeros(len(inside.score))
    for kind in (True, False):
        parts = inside.of_class(kind), outside.of_class(kind)
        if not all(map(len, parts)):
            return {}, float("nan")
        member = np.repeat([False, True], list(map(len, parts)))
        betas[kind] = fit(np.concatenate(parts), member, np.ones(len(member)), None if start is None else start[kind])
        weights[inside.positive == kind] = odds(parts[0], betas[kind])
    return betas, auc(inside.positive, inside.score, weights=weights)


def overlap(
    inside: Side, outside: Side, betas: Mapping[bool, FloatArray], linear: BoolArray
) -> tuple[tuple[float, float], float]:
    """Compute how well weighted internal images stand for external ones.

    Args:
        inside: Internal images.
        outside: External images.
        betas: Coefficients of either class; empty where there are none.
        linear: Columns that are balanced, which squares need not be, shape (columns,).

    Returns:
        Effective numbers of negatives and of positives (Kish 1965), and the largest standardised difference that is left.
    """
    if not betas:
        return (float("nan"), float("nan")), float("nan")
    effective, imbalance = [], [0.0]
    for kind in (False, True):
        x, other = inside.of_class(kind), outside.of_class(kind)
        weight = odds(x, betas[kind])
        effective.append(float(weight.sum() ** 2 / (weight @ weight)))
        distance = np.abs(np.average(x, axis=0, weights=weight) - other.mean(axis=0))[linear]
        spread = np.sqrt((x.var(axis=0) + other.var(axis=0)) / 2)[linear]
        differs = np.divide(distance, spread, out=np.full(len(distance), np.inf), where=spread > 0)
        imbalance += np.where(distance < 1e-9, 0.0, differs).tolist()
    return (effective[0], effective[1]), max(imbalance)


def apart(inside: Side, effective: tuple[float, float], imbalance: float) -> str:
    """Say why nothing can be expected where the case mixes hardly overlap; else empty."""
    for kind, word, number in ((True, "positive", effective[1]), (False, "negative", effective[0])):
        if number < LEAST:
            count = int((inside.positive == kind).sum())
            return f"case mixes hardly overlap: {count:,} internal {word} images count as {number:.1f} after weighting"
    if imbalance > APART:
        return f"case mixes hardly overlap: after weighting a variable still differs by {imbalance:.2g} standard deviations"
    return ""


def overlap_caution(effective: float, imbalance: float) -> str:
    """Caution that a class counts as few images after weighting, or that a variable still differs; else empty."""
    few = f"internal images of a class count as {effective:.0f} after weighting"
    unbalanced = f"after weighting a variable still differs by {imbalance:.2f} standard deviations"
    return join_cautions(
        few if effective < patients_needed("default") else "", unbalanced if imbalance > BALANCED else ""
    )
