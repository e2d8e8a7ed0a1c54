"""Parts of the patients where every image has exactly one class: what ``statistics.subgroups`` is for labels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench import statistics
from xrbench.analyses.inputs import Sample
from xrbench.analyses.rows import NAN
from xrbench.metrics import parse_classes
from xrbench.statistics import Estimate, Gap, Group, Subgroups
from xrbench.statistics.resampling.clusters import encode

Mask = npt.NDArray[np.bool_]


def class_subgroups(
    test: Sample,
    group: npt.NDArray[np.object_],
    *,
    column: str,
    metric: str,
    minimum: int,
    level: float = 0.95,
    kind: str = "default",
) -> list[Subgroups]:
    """Compute a metric of exclusive classes in each group of patients.

    Args:
        test: The images that are judged; truth has a single 1 in each row.
        group: The group of each image, shape (n,); None forms no group.
        column: What the groups are of.
        metric: A name that ``metrics.parse_classes`` knows.
        minimum: Patients below which a group is suppressed.
        level: Confidence level.
        kind: Kind of interval.

    Returns:
        One value a label that the metric has: ``all classes``, each class, or each class and their mean.

    Raises:
        UsageError: No such metric.
        MeasureError: A row is not usable.
    """
    sign = parse_classes(metric).sign
    code = encode(test.patient, len(test.truth)).code
    names = sorted({str(value) for value in group if value is not None})
    members = {name: np.array([str(value) == name and value is not None for value in group]) for name in names}
    kept = {name: mask for name, mask in members.items() if len(np.unique(code[mask])) >= minimum}
    made = {name: _estimates(test, mask, metric, level, kind) for name, mask in kept.items()}
    behind = _behind(test, kept, column, metric, level) if len(kept) > 1 else {}
    everyone = next(iter(made.values()), None) or _estimates(test, np.zeros(len(code), bool), metric, level, kind)
    missing = int(pd.isna(pd.Series(group, dtype=object)).sum())
    found = []
    for number, blank in enumerate(everyone):
        groups = []
        for name in names:
            if name not in made:
                groups.append(Group(name, _suppressed(blank, minimum), None, True))
                continue
            gap = behind[name][number] if name in behind else None
            groups.append(Group(name, made[name][number], gap if gap and not gap.reason else None, False))
        worst = _worst(groups, sign)
        found.append(Subgroups(blank.label, column, tuple(groups), worst, None, missing))
    return found


def _estimates(test: Sample, rows: Mask, metric: str, level: float, kind: str) -> list[Estimate]:
    patient = None if test.patient is None else test.patient[rows]
    return statistics.estimate_classes(
        test.truth[rows], test.score[rows], patient, classes=test.labels, metrics=[metric], level=level, kind=kind
    )


def _behind(test: Sample, kept: Mapping[str, Mask], column: str, metric: str, level: float) -> dict[str, list[Gap]]:
    """Subtract each group from all other shown ones."""
    shown = np.any(list(kept.values()), axis=0)

    def cell(rows: Mask) -> statistics.Cell:
        patient = None if test.patient is None else test.patient[rows]
        return statistics.Cell(column, test.truth[rows], test.score[rows], patient, image=np.flatnonzero(rows))

    how = {"metric": metric, "classes": test.labels, "replicates": 0, "level": level}
    return {
        name: statistics.gap_classes([cell(shown & ~mask)], [cell(mask)], **how)  # type: ignore[arg-type]
        for name, mask in kept.items()
    }


def _worst(groups: list[Group], sign: int) -> str:
    valued = [one for one in groups if not np.isnan(one.row.value)]
    if len(valued) < 2 or not sign:
        return ""
    return min(valued, key=lambda one: sign * one.row.value).name


def _suppressed(blank: Estimate, minimum: int) -> Estimate:
    reason = f"suppressed: fewer than {minimum} patients"
    return Estimate(blank.label, blank.metric, NAN, NAN, NAN, "", "", NAN, 0, 0, NAN, 0, 0, 0, 0, 0, reason)
