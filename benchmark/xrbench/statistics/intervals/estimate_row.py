"""One row of a table of estimates: a value, its interval, and the counts behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from xrbench.statistics.intervals.cautions import join_cautions, zero_width
from xrbench.statistics.intervals.interval_kinds import Figure, compute_interval
from xrbench.statistics.resampling.clusters import Patients, members

UNDEFINED = "its denominator is 0"
"""Why a metric has no value, where nothing more is known."""


@dataclass(frozen=True)
class Estimate:
    """The value of a metric with its interval and the counts behind it.

    Attributes:
        label: The label or class, ``mean`` for the macro mean over all of them that have a value, or ``all classes``.
        metric: Name of the metric.
        value: The value; NaN where undefined.
        low, high: Ends of the interval; NaN where there is none.
        interval: Kind of interval that was computed.
        unit: What was resampled: ``patient``, or ``image`` when no ids are known.
        level: Confidence level.
        replicates: Replicates drawn; 0 for kinds that draw none.
        dropped: Replicates in which the metric was undefined.
        threshold: Scores at or above it are positive; NaN when the metric has none.
        n_positive, n_negative, n_masked: Images with label 1, label 0, no label; of ``mean`` their sums over labels.
        n_patients: Patients with a labelled image (images, when they are the unit).
        n_images: All images.
        reason: Why the value or its interval is NaN; else empty.
        caution: What to know before trusting the interval; else empty.
    """

    label: str
    metric: str
    value: float
    low: float
    high: float
    interval: str
    unit: str
    level: float
    replicates: int
    dropped: int
    threshold: float
    n_positive: int
    n_negative: int
    n_masked: int
    n_patients: int
    n_images: int
    reason: str = ""
    caution: str = ""


def blank_estimate(
    label: str,
    patients: Patients,
    codes: Sequence[npt.NDArray[np.int32]],
    *,
    images: int,
    positive: int,
    negative: int,
    masked: int,
    level: float,
) -> Estimate:
    """Make a row without a value.

    Args:
        label: The label.
        patients: Who is resampled.
        codes: Patient numbers of the labelled images of each label that the row is about.
        images: Number of all images.
        positive: Images with label 1.
        negative: Images with label 0.
        masked: Images without a label.
        level: Confidence level.
    """
    return Estimate(
        label=label,
        metric="",
        value=math.nan,
        low=math.nan,
        high=math.nan,
        interval="",
        unit=patients.unit,
        level=level,
        replicates=0,
        dropped=0,
        threshold=math.nan,
        n_positive=positive,
        n_negative=negative,
        n_masked=masked,
        n_patients=len(members(*codes)),
        n_images=images,
    )


def with_interval(row: Estimate, kind: str, figure: Figure, patients: Patients) -> Estimate:
    """Add an interval of one kind to a row, or the reason why it has none."""
    if patients.size < 2:
        return replace(row, interval=kind, reason=f"interval: one {patients.unit} cannot be resampled")
    interval = compute_interval(kind, figure)
    return replace(
        row,
        low=interval.low,
        high=interval.high,
        caution=join_cautions(row.caution, zero_width(interval.low, interval.high)),
        interval=kind,
        reason=interval.reason,
        replicates=interval.replicates,
        dropped=interval.dropped,
    )
