"""What differs between suites with a sigmoid a label and suites with exclusive classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xrbench import statistics
from xrbench.compare.scores_io import Results
from xrbench.errors import UsageError
from xrbench.metrics import parse, parse_classes
from xrbench.metrics.names import MetricSpec
from xrbench.statistics.intervals.estimate import MEAN
from xrbench.statistics.intervals.estimate_multiclass import ALL

OVERALL = (MEAN, ALL)
"""Labels of figures that are not of one label or class."""


def exclusive(results: Results) -> bool:
    """Say whether every image has exactly one class."""
    return results.card is not None and results.card.task == "multiclass"


def spec_of(metric: str, results: Results | None = None) -> MetricSpec:
    """Read a metric's name as the results' task understands it; without results, as either task does.

    Raises:
        UsageError: No such metric.
    """
    if results is not None:
        return parse_classes(metric) if exclusive(results) else parse(metric)
    try:
        return parse(metric)
    except UsageError:
        try:
            return parse_classes(metric)
        except UsageError:
            pass
        raise


def default_metric(results: Results) -> str:
    """Choose what is compared when nobody says: the metric of the declared comparisons, else the AUC, else the suite's first."""
    card = results.card
    if card is None:
        return "auc"
    if card.comparisons:
        return card.comparisons[0].metric
    return "auc" if "auc" in card.metrics else card.metrics[0]


def compare(
    cells: Sequence[statistics.PairedCell], results: Results, labels: Sequence[str], **how: Any
) -> list[statistics.Difference]:
    """Compare paired cells by the function of the results' task."""
    if exclusive(results):
        return statistics.compare_classes(cells, classes=labels, **how)
    return statistics.compare(cells, labels=labels, **how)


def overall_gap(
    inside: Sequence[statistics.Cell],
    outside: Sequence[statistics.Cell],
    results: Results,
    labels: Sequence[str],
    **how: Any,
) -> statistics.Gap | None:
    """Compute the gap over all labels or classes; None for a metric of single classes."""
    if exclusive(results):
        found = statistics.gap_classes(inside, outside, classes=labels, **how)
    else:
        found = statistics.gap(inside, outside, labels=labels, **how)
    return next((one for one in reversed(found) if one.label in OVERALL), None)
