"""The ROC curve of one label in 64 bootstrap replicates at once (compiled)."""

from __future__ import annotations

import numpy as np

from xrbench.statistics.resampling.numba_jit import compiled
from xrbench.statistics.resampling.replicates import LANES

NEAR = 1e-9
"""A number of negatives this near to a whole number, relative to all of them, is that number: 0.1 x 30 is not exactly 3."""


@compiled
def roc_pass(counts, patient, positive, last, grid, height):  # type: ignore[no-untyped-def]
    """Compute each lane's true-positive rate at given false-positive rates.

    Between two scores the curve is straight, and where it is vertical its upper end counts.

    Args:
        counts: Patients' counts, uint8 of shape (patients, LANES).
        patient: Patient number of each labelled image from the highest score down, shape (images,).
        positive: Whether the truth is 1, shape (images,).
        last: Whether the next image has another score, shape (images,).
        grid: False-positive rates, rising, shape (points,).
        height: Filled, float64 of shape (points, LANES); NaN where a lane lacks a class.
    """
    total = np.zeros((2, LANES))
    for i in range(len(patient)):
        row, kind = counts[patient[i]], 1 if positive[i] else 0
        for lane in range(LANES):
            total[kind, lane] += row[lane]
    # Negatives and positives above the last score and above this one; ``reached`` is the first grid point not yet filled.
    before, now = np.zeros((2, LANES)), np.zeros((2, LANES))
    reached = np.zeros(LANES, np.int64)
    for i in range(len(patient)):
        row, kind = counts[patient[i]], 1 if positive[i] else 0
        for lane in range(LANES):
            now[kind, lane] += row[lane]
        if last[i]:
            for lane in range(LANES):
                if now[0, lane] > before[0, lane] and total[1, lane] > 0:
                    _fill(grid, total[:, lane], before[:, lane], now[:, lane], reached, height, lane)
                before[0, lane], before[1, lane] = now[0, lane], now[1, lane]
    # Grid points at the right end, where all negatives are above: the curve ends at 1.
    for lane in range(LANES):
        both = total[0, lane] > 0 and total[1, lane] > 0
        for point in range(len(grid)):
            if not both:
                height[point, lane] = np.nan
            elif point >= reached[lane]:
                height[point, lane] = 1.0


@compiled
def _fill(grid, total, before, now, reached, height, lane):  # type: ignore[no-untyped-def]
    """Fill the grid points at which the number of negatives lies from ``before`` to below ``now``.

    ``total``, ``before`` and ``now`` are the negatives and positives of the lane, shape (2,): all, those above the last score, those
    above this one. ``reached`` is the first grid point of each lane that is not filled, shape (LANES,), and is moved on.
    """
    while reached[lane] < len(grid):
        negatives = grid[reached[lane]] * total[0]
        whole = np.floor(negatives + 0.5)
        if abs(negatives - whole) < NEAR * total[0]:
            negatives = whole
        if negatives >= now[0]:
            return
        part = (negatives - before[0]) / (now[0] - before[0])
        height[reached[lane], lane] = (before[1] + part * (now[1] - before[1])) / total[1]
        reached[lane] += 1
