"""Does the model serve everyone? The same figure for each part of the patients.

Groups with fewer patients than stated are suppressed: nothing about them is computed or printed. The worst group is the worst
of several and therefore looks worse than it is; its distance to the rest says whether that could be chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.errors import MeasureError
from xrbench.metrics.names import MetricSpec, parse
from xrbench.statistics.generalization.cells import Cell, Thresholds
from xrbench.statistics.generalization.gap import Gap, gap
from xrbench.statistics.inference.multiple_testing import adjust
from xrbench.statistics.intervals.estimate import MEAN, Estimate, estimate
from xrbench.statistics.intervals.input_checks import matrices
from xrbench.statistics.resampling.clusters import encode

MINIMUM = 20
"""Patients below which a group is suppressed, unless another number is stated."""


@dataclass(frozen=True)
class Group:
    """One part of the patients.

    Attributes:
        name: The column's value, as text.
        row: Its figure; all NaN with a reason when suppressed.
        behind: All others minus this group, with an interval; None when either has no value.
        suppressed: Whether it has too few patients to be shown.
    """

    name: str
    row: Estimate
    behind: Gap | None
    suppressed: bool


@dataclass(frozen=True)
class Subgroups:
    """One label's figure in every group of a column.

    Attributes:
        label: The label, or ``mean``.
        column: What the groups are of, such as ``sex``.
        groups: In the order of their names.
        worst: Name of the group with the worst value among those shown; empty when fewer than two are.
        gap: All other shown groups minus the worst one, with its interval.
        n_missing: Images for which the column is not known.
    """

    label: str
    column: str
    groups: tuple[Group, ...]
    worst: str
    gap: Gap | None
    n_missing: int


def bands(ages: npt.ArrayLike, edges: Sequence[float] = (18, 40, 60, 80)) -> npt.NDArray[np.object_]:
    """Put ages into bands, lower edge included.

    Args:
        ages: Years, shape (n,); NaN stays unknown.
        edges: Where bands begin, rising.

    >>> bands([5, 18, 79.5, 80, float("nan")]).tolist()
    ['0-17', '18-39', '60-79', '80+', None]
    """
    years = np.asarray(ages, np.float64)
    starts = [0, *(int(edge) for edge in edges)]
    names = [f"{low}-{high - 1}" for low, high in pairwise(starts)] + [f"{starts[-1]}+"]
    position = np.searchsorted(np.asarray(edges, float), years, side="right")
    found = np.array([names[i] for i in position], object)
    found[np.isnan(years)] = None
    return found


def subgroups(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    patient: npt.ArrayLike | None,
    group: npt.ArrayLike,
    *,
    labels: Sequence[str],
    column: str,
    metric: str = "auc",
    thresholds: Thresholds | None = None,
    minimum: int = MINIMUM,
    level: float = 0.95,
    kind: str = "default",
) -> list[Subgroups]:
    """Compute a metric in each group of patients.

    Args:
        truth: 1, 0 or NaN (not labelled), shape (n, labels).
        score: Higher for positive, shape (n, labels).
        patient: Patient id of each image, shape (n,).
        group: Value of the column for each image, shape (n,); missing values form no group.
        labels: Names of the columns of truth and score.
        column: What the groups are of, for the table.
        metric: Such as ``"auc"``.
        thresholds: (label, metric) -> threshold chosen on the validation set.
        minimum: Patients below which a group is suppressed.
        level: Confidence level.
        kind: Kind of interval.

    Returns:
        One table a label, then that of ``mean``.

    >>> truth, score = [1, 1, 0, 0] * 2, [0.9, 0.8, 0.2, 0.1, 0.9, 0.3, 0.4, 0.1]
    >>> found = subgroups(truth, score, None, ["F"] * 4 + ["M"] * 4, labels=["Edema"], column="sex", minimum=4)[0]
    >>> [(part.name, part.row.value) for part in found.groups], found.worst
    ([('F', 1.0), ('M', 0.75)], 'M')
    """
    true, given = matrices(truth, score, labels)
    unit, code = encode(patient, len(true))[:2]
    values = pd.Series(np.asarray(group, object))
    if len(values) != len(true):
        raise MeasureError(f"{column} has {len(values):,} rows, truth has {len(true):,}")
    spec = parse(metric)
    names = sorted(values.dropna().astype(str).unique())
    members = {name: (values.astype(str) == name).to_numpy() & values.notna().to_numpy() for name in names}
    few = {name for name in names if len(np.unique(code[members[name]])) < minimum}
    ids = code if unit == "patient" else None

    def cell(rows: npt.NDArray[np.bool_]) -> Cell:
        own = None if ids is None else ids[rows]
        return Cell(column, true[rows], given[rows], own, thresholds or {}, image=np.flatnonzero(rows))

    tables = {
        name: estimate(
            true[members[name]],
            given[members[name]],
            None if ids is None else ids[members[name]],
            labels=labels,
            metrics=[spec.name],
            thresholds=thresholds,
            level=level,
            kind=kind,
        )
        for name in names
        if name not in few
    }
    shown = np.any([members[name] for name in tables], axis=0) if tables else np.zeros(len(true), bool)
    behind = {
        name: gap(
            [cell(shown & ~members[name])],
            [cell(members[name])],
            metric=spec.name,
            labels=labels,
            level=level,
            replicates=0,
        )
        for name in tables
        if len(tables) > 1
    }
    missing = int(values.isna().sum())
    return [
        _table(label, i, column, spec, names, tables, behind, minimum, missing)
        for i, label in enumerate((*labels, MEAN))
    ]


def gap_pvalues(tables: Sequence[Subgroups], *, method: str = "holm") -> dict[tuple[str, str], float]:
    """Test every shown group against the others, adjusted over all groups and labels.

    Returns:
        (label, group) -> adjusted p-value of no difference.

    >>> truth, score = [1, 1, 0, 0] * 2, [0.9, 0.3, 0.4, 0.1] * 2
    >>> found = subgroups(truth, score, None, ["F"] * 4 + ["M"] * 4, labels=["Edema"], column="sex", minimum=4)
    >>> gap_pvalues(found[:1])  # both groups have the same AUC
    {('Edema', 'F'): 1.0, ('Edema', 'M'): 1.0}
    """
    keys = [(table.label, part.name) for table in tables for part in table.groups if part.behind is not None]
    raw = [part.behind.p for table in tables for part in table.groups if part.behind is not None]
    return dict(zip(keys, (float(p) for p in adjust(raw, method)), strict=True))


def _table(
    label: str,
    number: int,
    column: str,
    spec: MetricSpec,
    names: Sequence[str],
    tables: dict[str, list[Estimate]],
    behind: dict[str, list[Gap]],
    minimum: int,
    missing: int,
) -> Subgroups:
    groups = []
    for name in names:
        if name in tables:
            found = behind[name][number] if name in behind else None
            groups.append(Group(name, tables[name][number], found if found and not found.reason else None, False))
        else:
            groups.append(Group(name, _suppressed(label, spec, minimum), None, True))
    valued = [part for part in groups if not np.isnan(part.row.value)]
    ranked = len(valued) > 1 and spec.sign != 0
    worst = min(valued, key=lambda part: spec.sign * part.row.value) if ranked else None
    return Subgroups(
        label, column, tuple(groups), worst.name if worst else "", worst.behind if worst else None, missing
    )


def _suppressed(label: str, spec: MetricSpec, minimum: int) -> Estimate:
    nan = float("nan")
    blank = Estimate(label, spec.name, nan, nan, nan, "", "", nan, 0, 0, nan, 0, 0, 0, 0, 0)
    return replace(blank, reason=f"suppressed: fewer than {minimum} patients")
