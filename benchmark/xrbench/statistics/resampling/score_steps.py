"""Sort images by score into the steps of the ROC and precision-recall curves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray

IntArray = npt.NDArray[np.int64]


class Steps(NamedTuple):
    """Images in descending order of their scores, in the form that ``auc_pass`` reads.

    A step is one score that has positives; see ``auc_pass``.

    Attributes:
        patient: Patient number of each image, shape (images,).
        start, mid, end: Positions of each step's first positive, first negative, and end, shape (steps,).
    """

    patient: npt.NDArray[np.int32]
    start: IntArray
    mid: IntArray
    end: IntArray

    def merged(self) -> Steps:
        """Join steps that follow each other without a negative between: the AUC does not depend on their order."""
        if not len(self.start):
            return self
        # A step joins the next one when it ends where that begins and neither holds a negative.
        without_negative = self.mid == self.end
        joins = without_negative[:-1] & without_negative[1:] & (self.end[:-1] == self.start[1:])
        first, last = np.concatenate([[True], ~joins]), np.concatenate([~joins, [True]])
        return Steps(self.patient, self.start[first], self.mid[last], self.end[last])


def score_steps(score: FloatArray, positive: npt.NDArray[np.bool_], code: npt.NDArray[np.int32]) -> Steps:
    """Order images from the highest score down, positives first among equal scores, and find the steps.

    Args:
        score: Shape (images,).
        positive: Whether the truth is 1, shape (images,).
        code: Patient number of each image, shape (images,).
    """
    order = np.argsort(-score)
    if not len(order):
        empty = np.zeros(0, np.int64)
        return Steps(code[order], empty, empty, empty)
    descending, kind = score[order], positive[order]
    # Runs of equal scores: where each begins, how many images it has, and how many of them are positive.
    first = np.flatnonzero(np.concatenate([[True], descending[1:] != descending[:-1]]))
    size = np.diff(np.append(first, len(order)))
    positives = np.add.reduceat(kind.astype(np.int64), first)
    if len(first) < len(order):
        # A second sort by class would cost as much as the first. Each image's place among equal scores is known instead: a
        # positive stands behind the positives before it, a negative behind all positives and the negatives before it.
        before: IntArray = np.cumsum(kind) - kind
        before = before - np.repeat(before[first], size)
        start = np.repeat(first, size)
        behind = np.arange(len(order)) - start - before + np.repeat(positives, size)
        place = start + np.where(kind, before, behind)
        moved = np.empty_like(order)
        moved[place] = order
        order = moved
    steps = np.flatnonzero(positives)
    start = first[steps]
    return Steps(code[order], start, start + positives[steps], start + size[steps])
