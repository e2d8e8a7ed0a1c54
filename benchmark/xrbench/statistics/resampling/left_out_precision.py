"""The average precision without each patient in turn (compiled).

From the highest score down, a patient has been seen with ``a`` positives and ``b`` negatives; between two of the patient's images both
stay as they are. Over such a segment of steps the precision without the patient depends on the step, ``a`` and ``b`` alone, so that all
segments with the same two numbers share one cumulative sum over the steps. With n images that is O(n log n) for the sort of the
segments, and one pass over the steps for each distinct pair of numbers, of which there are few: patients have few images.

What is summed is the distance of the precision from 1: where the order is perfect without a patient, the sum is exactly 0.
"""

from __future__ import annotations

import numpy as np

from xrbench.metrics.checks import FloatArray
from xrbench.statistics.resampling.numba_jit import compiled
from xrbench.statistics.resampling.score_steps import Steps


@compiled
def _short(true, called, step, a, b):  # type: ignore[no-untyped-def]
    """Return 1 minus the precision at a step without ``a`` positives and ``b`` negatives of those called."""
    return (called[step] - true[step] - b) / max(called[step] - a - b, 1.0)


@compiled
def segments_pass(patient, start, mid, end, true, called, segments, short):  # type: ignore[no-untyped-def]
    """Cut the steps into segments in which no image of a patient lies, patient by patient.

    Args:
        patient: Patient number of each image from the highest score down, shape (images,); see ``kernels.precision_pass``.
        start: First image of each step, shape (steps,).
        mid: Its first negative, shape (steps,).
        end: Its end, shape (steps,).
        true: Positives down to each step, float64 of shape (steps,).
        called: Images down to each step, float64 of shape (steps,).
        segments: Filled: patient, a, b, first step and step behind the last, int64 of shape (5, images + patients).
        short: Increased by the terms of steps at which the patient has positives, shape (patients,).

    Returns:
        How many segments there are.
    """
    size = len(short)
    a, b, since = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
    level = np.zeros(size, np.int64)
    count, at = 0, 0
    for step in range(len(start)):
        for i in range(at, end[step]):
            p = patient[i]
            if since[p] < step:
                segments[0, count], segments[1, count], segments[2, count] = p, a[p], b[p]
                segments[3, count], segments[4, count] = since[p], step
                count += 1
                since[p] = step
            if start[step] <= i < mid[step]:
                a[p] += 1
                level[p] += 1
            else:
                b[p] += 1
        for i in range(start[step], mid[step]):
            p = patient[i]
            if level[p] > 0:
                others = mid[step] - start[step] - level[p]
                short[p] += others * _short(true, called, step, a[p], b[p])
                level[p], since[p] = 0, step + 1
        at = end[step]
    for p in range(size):
        if since[p] < len(start):
            segments[0, count], segments[1, count], segments[2, count] = p, a[p], b[p]
            segments[3, count], segments[4, count] = since[p], len(start)
            count += 1
    return count


@compiled
def shortfall_pass(segments, size, true, called, short):  # type: ignore[no-untyped-def]
    """Add the terms of each segment to its patient.

    Args:
        segments: Segments with equal a and b in a row; see ``segments_pass``.
        size: Positives of each step, shape (steps,).
        true: Positives down to each step, float64 of shape (steps,).
        called: Images down to each step, float64 of shape (steps,).
        short: Increased, shape (patients,).
    """
    steps, first = len(size), 0
    cumulative = np.zeros(steps + 1)
    while first < segments.shape[1]:
        a, b = segments[1, first], segments[2, first]
        last, length = first, 0
        while last < segments.shape[1] and segments[1, last] == a and segments[2, last] == b:
            length += segments[4, last] - segments[3, last]
            last += 1
        # One cumulative sum over all steps costs as much as summing so many terms: whichever is less.
        if length > steps:
            for step in range(steps):
                cumulative[step + 1] = cumulative[step] + size[step] * _short(true, called, step, a, b)
        for i in range(first, last):
            if length > steps:
                short[segments[0, i]] += cumulative[segments[4, i]] - cumulative[segments[3, i]]
            else:
                for step in range(segments[3, i], segments[4, i]):
                    short[segments[0, i]] += size[step] * _short(true, called, step, a, b)
        first = last


def precision_left_out(steps: Steps, patients: int) -> FloatArray:
    """Compute the average precision without each patient.

    Args:
        steps: The images in the order of their scores, a step for each score that has positives.
        patients: How many there are.

    Returns:
        Shape (patients,); NaN where a class is missing without the patient.

    >>> from xrbench.statistics.resampling.score_steps import score_steps
    >>> score, positive = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    >>> left = precision_left_out(score_steps(score, positive, np.arange(4, dtype=np.int32)), 4)
    >>> left.round(4)  # with all: (1 + 2 / 3) / 2
    array([0.8333, 1.    , 1.    , 0.5   ])
    """
    size = (steps.mid - steps.start).astype(np.int64)
    true, called = np.cumsum(size).astype(np.float64), steps.end.astype(np.float64)
    segments, short = np.empty((5, len(steps.patient) + patients), np.int64), np.zeros(patients)
    count = segments_pass(*steps, true, called, segments, short)
    order = np.lexsort(segments[2:0:-1, :count])
    shortfall_pass(np.ascontiguousarray(segments[:, :count][:, order]), size, true, called, short)
    is_positive = np.zeros(len(steps.patient), np.int64)
    for first, last in ((steps.start, 1), (steps.mid, -1)):
        np.add.at(is_positive, first[first < len(is_positive)], last)
    positive = np.bincount(steps.patient, np.cumsum(is_positive), minlength=patients)
    negative = np.bincount(steps.patient, minlength=patients) - positive
    m, n = positive.sum() - positive, negative.sum() - negative
    left: FloatArray = np.full(patients, np.nan)
    np.divide(short, m, out=left, where=(m > 0) & (n > 0))
    return 1.0 - left
