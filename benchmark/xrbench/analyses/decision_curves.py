"""Decision curves: net benefit of acting on the model, compared with acting on everyone and on no one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np

from xrbench import statistics
from xrbench.analyses.rows import COUNTS, FIGURE, Row, figure
from xrbench.errors import MeasureError
from xrbench.runs.run_cell import HEAD
from xrbench.statistics import OptionFields, Predictions

COLUMNS = (*HEAD, "threshold", *FIGURE, "treat_all", "above", *COUNTS)


def rows_of(test: Predictions, *, thresholds: Sequence[float], **options: Unpack[OptionFields]) -> list[Row]:
    """Compute the net benefit of one test set over threshold probabilities.

    Args:
        test: Predictions on one test set; scores are probabilities within 0..1.
        thresholds: Probabilities from 0 to below 1.
        options: Of the intervals; see ``statistics.Options``.

    Returns:
        One row a label and threshold: the model's net benefit with its interval, that of acting on everyone (``treat_all``), and
        the model minus the better of acting on everyone and on no one (``above``).

    Raises:
        UsageError: A threshold is out of range.
        MeasureError: A score is not a probability.
    """
    known = np.asarray(test.score)[~np.isnan(np.asarray(test.truth))]
    if ((known < 0) | (known > 1)).any():
        raise MeasureError("a score is outside 0..1: a decision curve wants probabilities")
    curve = statistics.decision_curve(
        test.truth, test.score, test.patient, labels=test.labels, thresholds=thresholds, **options
    )
    return [
        {
            **figure(point.model),
            "metric": "net-benefit",
            "threshold": point.threshold,
            "treat_all": point.treat_all,
            "above": point.above,
        }
        for point in curve
    ]
