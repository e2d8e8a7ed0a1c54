"""The prevalence to which both sides of a gap are standardised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xrbench.errors import UsageError
from xrbench.metrics.names import MetricSpec
from xrbench.statistics.predictions import Predictions, is_of_predicted_class, one_hot


def reference_shares(internal: Sequence[Predictions], spec: MetricSpec, prevalence: float | None) -> list[float]:
    """Return the share of positives of each label, or the share of each class, that both sides are given.

    Args:
        internal: Cells on internal images.
        spec: The metric.
        prevalence: A stated one, between 0 and 1; None takes the shares among the labelled internal images.

    Returns:
        One a label or class; NaN where no internal image is labelled.

    Raises:
        UsageError: The stated prevalence is out of range, or stated for the predicted class.
        MeasureError: A row is not usable.

    >>> from xrbench.metrics import parse
    >>> cells = [Predictions("here", [[1, 1], [0, np.nan], [0, 0]], np.zeros((3, 2)), labels=["a", "b"])]
    >>> [round(each, 3) for each in reference_shares(cells, parse("brier"), None)]
    [0.333, 0.5]
    """
    if prevalence is not None:
        if is_of_predicted_class(spec):
            raise UsageError(
                f"{spec.name}: is over all classes, for which one prevalence says too little; leave it out"
            )
        if not 0 < prevalence < 1:
            raise UsageError(f"prevalence {prevalence} is not between 0 and 1")
        return [prevalence] * len(internal[0].labels)
    truth = np.concatenate([_columns(cell) for cell in internal])
    known = ~np.isnan(truth)
    labelled = known.sum(axis=0)
    positive = np.where(known, truth, 0.0).sum(axis=0)
    return [
        float(each) for each in np.divide(positive, labelled, out=np.full(len(labelled), np.nan), where=labelled > 0)
    ]


def standard(spec: MetricSpec, shares: Sequence[float]) -> str:
    """Say in words what was standardised to.

    Args:
        spec: The metric.
        shares: Of the labels, or of the classes, that a row is about.

    >>> from xrbench.metrics import parse, parse_classes
    >>> standard(parse("brier"), [0.1234]), standard(parse("brier"), [0.1, 0.2]), standard(parse_classes("accuracy"), [1.0])
    ('prevalence 0.12', 'the internal prevalence of each label', 'the internal class shares')
    """
    if is_of_predicted_class(spec):
        return "the internal class shares"
    if len(set(shares)) == 1:
        return f"prevalence {shares[0]:.2g}"
    return "the internal prevalence of each label"


def _columns(cell: Predictions) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Lay out truth as one column a label or class: 1, 0 or NaN, shape (n, labels)."""
    if cell.task == "multiclass":
        return one_hot(cell.classified(), len(np.asarray(cell.score)))
    truth = np.asarray(cell.truth, np.float64)
    return truth.reshape(len(truth), -1)
