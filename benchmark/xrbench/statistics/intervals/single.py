"""One interval at a time, for a notebook."""

from __future__ import annotations

import math
import warnings
from typing import Unpack

import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.statistics.intervals.estimate import estimate
from xrbench.statistics.options import OptionFields


def auc_interval(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    *,
    patient: npt.ArrayLike | None = None,
    **options: Unpack[OptionFields],
) -> tuple[float, float]:
    """Compute an interval of the AUC; a Python warning says where its kind is not known to hold.

    Args:
        truth: 1, 0 or NaN (left out), shape (n,).
        score: Higher for positive, shape (n,).
        patient: Patient id of each image, shape (n,); None takes images as independent.
        options: ``kind``, ``level``, ``replicates``, ``seed`` and the others of ``Options``.

    Returns:
        Low and high, 0..1.

    Raises:
        MeasureError: There is no interval, such as with one class or too few patients; the message says why.

    >>> truth, score = [0, 0, 0, 1, 1, 1] * 40, [0.1, 0.4, 0.5, 0.35, 0.8, 0.9] * 40
    >>> tuple(round(end, 3) for end in auc_interval(truth, score, kind="delong"))
    (0.708, 0.835)
    """
    row = estimate(truth, score, patient, labels=["score"], **options)[0]
    if math.isnan(row.low) or math.isnan(row.high):
        raise MeasureError(f"no interval of the AUC: {row.reason}")
    if row.caution:
        warnings.warn(row.caution, stacklevel=2)
    return row.low, row.high
