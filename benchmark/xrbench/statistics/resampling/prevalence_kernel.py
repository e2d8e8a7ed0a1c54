"""Average precision at a stated prevalence in 64 replicates at once (compiled)."""

from __future__ import annotations

import numpy as np

from xrbench.statistics.resampling.numba_jit import compiled
from xrbench.statistics.resampling.replicates import LANES


@compiled
def _count(total, counts, patient, start, stop):  # type: ignore[no-untyped-def]
    """Add the counts of images ``start`` to ``stop`` - 1 to the totals of the lanes, float64 of shape (LANES,)."""
    for i in range(start, stop):
        row = counts[patient[i]]
        for lane in range(LANES):
            total[lane] += np.float64(row[lane])


@compiled
def precision_at_prevalence(counts, patient, start, mid, end, prevalence, precision):  # type: ignore[no-untyped-def]
    """Compute the average precision of each lane as if a share ``prevalence`` of the images were positive.

    Precision at a score is p T / (p T + (1 - p) F) with T and F the shares of positives and of negatives at or above it (Bayes' rule).

    Args:
        counts: Patients' counts, uint8 of shape (patients, LANES).
        patient: Patient number of each labelled image from the highest score down, within one score positives first, shape (images,).
        start: First image of each step, shape (steps,): ``start:mid`` are positives.
        mid: First negative of the same score: ``mid:end`` are negatives.
        end: End of the step; negatives between two steps belong to neither.
        prevalence: Between 0 and 1.
        precision: Filled, float64 of shape (LANES,); NaN where a class is missing.
    """
    positives, negatives = np.zeros(LANES), np.zeros(LANES)
    at = 0
    for step in range(len(start)):
        _count(negatives, counts, patient, at, start[step])
        _count(positives, counts, patient, start[step], mid[step])
        _count(negatives, counts, patient, mid[step], end[step])
        at = end[step]
    _count(negatives, counts, patient, at, len(patient))
    true, false, area, group = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    at = 0
    for step in range(len(start)):
        _count(false, counts, patient, at, start[step])
        group[:] = 0
        _count(group, counts, patient, start[step], mid[step])
        _count(false, counts, patient, mid[step], end[step])
        for lane in range(LANES):
            true[lane] += group[lane]
            hits = prevalence * true[lane] / positives[lane]
            alarms = (1 - prevalence) * false[lane] / negatives[lane]
            if hits > 0:
                area[lane] += group[lane] * hits / (hits + alarms)
        at = end[step]
    for lane in range(LANES):
        both = positives[lane] > 0 and negatives[lane] > 0
        precision[lane] = area[lane] / positives[lane] if both else np.nan
