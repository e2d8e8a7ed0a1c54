"""Passes over the images of a label for 64 bootstrap replicates at once (compiled).

Each image looks up its patient's 64 counts (one cache line) and adds them to 64 running sums. Sums of counts are whole
numbers, and sums of reals are taken in the order of the rows for each replicate by itself, so the values of a replicate are the
same to the last bit whatever the other lanes hold and whichever thread computes them.

The lower bound: a pass has to read one byte (a count) for each image and replicate, a draw to make four random bytes for each
patient and replicate, and the transposition of counts to read and write one byte each. Nanoseconds of one core of an AMD EPYC for
one image (of ``draw`` and ``transpose``: patient) and replicate, and the ratio to the lower bound measured there:

==================  =====================================  ============================================
kernel              20,000 images of 8,000 patients        1,000,000 images of 400,000 patients
==================  =====================================  ============================================
``draw``            0.93, 8 to 10 times (Philox)           1.36, 10 times (rows no longer fit the cache)
``transpose``       0.25, 10 times                         0.37, 5 times
``auc_pass``        0.12, 2.0 times                        0.62, 1.2 times (waits for memory)
``precision_pass``  0.13, 2.2 times                        0.63, 1.3 times
``sums_pass``       0.16, 3.8 times (64-bit sums)          0.14, 3.3 times
``overlap_pass``    0.17, 4.0 times                        0.18, 4.2 times
``logistic_pass``   10.5, 2.6 times (five exponentials)
==================  =====================================  ============================================

``pytest -s -m perf tests/perf/test_statistics_perf.py -k floor`` measures them where it runs. Leaving out groups of patients
reads counts of at most 1,024 groups, which never leave the cache.
"""

from __future__ import annotations

import numpy as np

from xrbench.statistics.resampling.numba_jit import compiled
from xrbench.statistics.resampling.replicates import LANES


@compiled
def _add(total, counts, patient, start, stop):  # type: ignore[no-untyped-def]
    """Add the counts of images ``start`` to ``stop`` - 1 to the totals of the lanes, uint32 of shape (LANES,)."""
    for i in range(start, stop):
        row = counts[patient[i]]
        for lane in range(LANES):
            total[lane] += np.uint32(row[lane])


@compiled
def auc_pass(counts, patient, start, mid, end, auc):  # type: ignore[no-untyped-def]
    """Compute the AUC of each lane: the share of pairs of a positive and a negative in which the positive ranks higher.

    From the highest score down, each negative counts the positives above it. Pairs are counted twice, so that a tie, worth half
    a pair, is a whole number as well: the sum is exact until the only division.

    Args:
        counts: Patients' counts, uint8 of shape (patients, LANES).
        patient: Patient number of each labelled image from the highest score down, within one score positives first, int32 of
            shape (images,).
        start: First image of each step, shape (steps,): ``start:mid`` are positives.
        mid: First negative of the same score: ``mid:end`` are negatives.
        end: End of the step; negatives between two steps belong to neither.
        auc: Filled, float64 of shape (LANES,); NaN where a class is missing.
    """
    # Counts fit 32 bits, of which twice as many lanes fit a register; products of two of them need 64.
    above, negative = np.zeros(LANES, np.uint32), np.zeros(LANES, np.uint32)
    twice = np.zeros(LANES, np.uint64)
    group, tied = np.zeros(LANES, np.uint32), np.zeros(LANES, np.uint32)
    at = 0
    for step in range(len(start)):
        # Negatives between the last step and this one: all positives so far are above them.
        tied[:] = 0
        _add(tied, counts, patient, at, start[step])
        for lane in range(LANES):
            negative[lane] += tied[lane]
            twice[lane] += np.uint64(2) * np.uint64(tied[lane]) * np.uint64(above[lane])
        group[:] = 0
        _add(group, counts, patient, start[step], mid[step])
        if end[step] > mid[step]:
            # Negatives with the score of this step's positives: these count half, those above count whole.
            tied[:] = 0
            _add(tied, counts, patient, mid[step], end[step])
            for lane in range(LANES):
                negative[lane] += tied[lane]
                twice[lane] += np.uint64(tied[lane]) * (np.uint64(2) * np.uint64(above[lane]) + np.uint64(group[lane]))
        for lane in range(LANES):
            above[lane] += group[lane]
        at = end[step]
    # Negatives below all positives.
    tied[:] = 0
    _add(tied, counts, patient, at, len(patient))
    for lane in range(LANES):
        negative[lane] += tied[lane]
        twice[lane] += np.uint64(2) * np.uint64(tied[lane]) * np.uint64(above[lane])
        pairs = 2.0 * np.float64(above[lane]) * np.float64(negative[lane])
        auc[lane] = np.float64(twice[lane]) / pairs if pairs > 0 else np.nan


@compiled
def precision_pass(counts, patient, start, mid, end, precision):  # type: ignore[no-untyped-def]
    """Compute the average precision of each lane: the mean over positives of the precision at their score.

    Arguments as for ``auc_pass``, with one step for each score that has positives; ``precision`` is filled, float64 of shape
    (LANES,), NaN where a class is missing.
    """
    true, false = np.zeros(LANES, np.uint32), np.zeros(LANES, np.uint32)
    area, group = np.zeros(LANES, np.float64), np.zeros(LANES, np.uint32)
    at = 0
    for step in range(len(start)):
        _add(false, counts, patient, at, start[step])
        group[:] = 0
        _add(group, counts, patient, start[step], mid[step])
        _add(false, counts, patient, mid[step], end[step])
        for lane in range(LANES):
            true[lane] += group[lane]
            # A lane without any image so far adds 0, and must not divide by 0.
            predicted = np.float64(true[lane] + false[lane])
            area[lane] += np.float64(group[lane]) * np.float64(true[lane]) / max(predicted, 1.0)
        at = end[step]
    _add(false, counts, patient, at, len(patient))
    for lane in range(LANES):
        both = true[lane] > 0 and false[lane] > 0
        precision[lane] = area[lane] / np.float64(true[lane]) if both else np.nan


@compiled
def sums_pass(counts, patient, slot, value, sums):  # type: ignore[no-untyped-def]
    """Sum values weighted by patient counts, slot by slot.

    Args:
        counts: Patients' counts, uint8 of shape (patients, LANES).
        patient: Patient number of each entry, shape (entries,).
        slot: The sum that each entry adds to, shape (entries,).
        value: What it adds for each time that the patient is drawn, shape (entries,).
        sums: Filled, float64 of shape (slots, LANES).
    """
    # Each lane adds in the order of the entries, so that rounding does not depend on what the other lanes hold.
    sums[:] = 0.0
    for i in range(len(patient)):
        row, total, each = counts[patient[i]], sums[slot[i]], value[i]
        for lane in range(LANES):
            total[lane] += each * np.float64(row[lane])


@compiled
def overlap_pass(counts, patient, x, positive, overlap):  # type: ignore[no-untyped-def]
    """Find the lanes in which the classes overlap, so that a logistic regression on ``x`` has a finite fit.

    Args:
        counts: Patients' counts, uint8 of shape (patients, LANES).
        patient: Patient number of each labelled image, shape (images,).
        x: Covariate, shape (images,).
        positive: Whether the truth is 1, shape (images,).
        overlap: Filled, bool of shape (LANES,).
    """
    # Comparisons instead of min and max, whose handling of NaN keeps the compiler from vectorising over the lanes.
    # Images of patients who are not drawn take the value that moves neither end.
    low, high = np.full((2, LANES), np.inf), np.full((2, LANES), -np.inf)
    for i in range(len(patient)):
        row, kind, here = counts[patient[i]], 1 if positive[i] else 0, x[i]
        least, most = low[kind], high[kind]
        for lane in range(LANES):
            under = here if row[lane] > 0 else np.inf
            over = here if row[lane] > 0 else -np.inf
            least[lane] = under if under < least[lane] else least[lane]
            most[lane] = over if over > most[lane] else most[lane]
    for lane in range(LANES):
        overlap[lane] = high[0, lane] > low[1, lane] and high[1, lane] > low[0, lane]
