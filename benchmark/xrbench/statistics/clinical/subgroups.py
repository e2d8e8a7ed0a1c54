"""A metric in each group of patients, such as sexes or bands of age.

Groups with fewer patients than stated are suppressed: nothing about them is computed or printed. The weakest of several groups looks
worse than it is. All intervals of groups therefore hold together: those of the groups' values for all groups of a label (Sidak 1967, JASA
62:626), those of their distances to the rest for all groups and labels (max-t); and a group is called the worst only where its distance
says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.errors import MeasureError
from xrbench.metrics.metric import Task
from xrbench.metrics.names import MetricSpec, parse_as
from xrbench.statistics.clinical.group_differences import Behind, group_differences
from xrbench.statistics.generalization.gap import Gap
from xrbench.statistics.inference.multiple_testing import adjust
from xrbench.statistics.intervals.estimate import estimate
from xrbench.statistics.intervals.estimate_row import Estimate
from xrbench.statistics.options import OptionFields, Options
from xrbench.statistics.predictions import MEAN, Predictions, Thresholds, is_of_predicted_class
from xrbench.statistics.resampling.clusters import encode

BoolArray = npt.NDArray[np.bool_]
MINIMUM = 20
"""Patients below which a group is suppressed, unless another number is stated."""


@dataclass(frozen=True)
class Group:
    """One group of patients.

    Attributes:
        name: The column's value, as text.
        row: Its estimate, with an interval that holds together with those of the other groups; all NaN with a reason when suppressed.
        behind: All others minus this group, with an interval that holds together with those of all groups and labels; None when either
            has no value.
        suppressed: Whether it has too few patients to be shown.
        p_adjusted: P-value of the difference, adjusted over groups and labels in agreement with its interval; NaN without one.
    """

    name: str
    row: Estimate
    behind: Gap | None
    suppressed: bool
    p_adjusted: float = float("nan")


@dataclass(frozen=True)
class Subgroups:
    """The metric of one label or class in every group of a column.

    Attributes:
        label: The label or class, ``mean``, or ``all classes``.
        column: Name of the column, such as ``sex``.
        groups: In the order of their names.
        weakest: Name of the group with the worst value among those shown; empty when fewer than two are. One always is.
        worst: The same name where the others are better than it at the level of all groups and labels together, else empty.
        gap: All other shown groups minus the weakest one, with its interval.
        n_missing: Images for which the column is not known.
    """

    label: str
    column: str
    groups: tuple[Group, ...]
    weakest: str
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
    band = np.array([names[i] for i in position], object)
    band[np.isnan(years)] = None
    return band


def subgroups(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    patient: npt.ArrayLike | None,
    group: npt.ArrayLike,
    *,
    labels: Sequence[str],
    column: str,
    task: Task = "multilabel",
    metric: str = "auc",
    thresholds: Thresholds | None = None,
    minimum: int = MINIMUM,
    **options: Unpack[OptionFields],
) -> list[Subgroups]:
    """Compute a metric in each group of patients.

    Args:
        truth: As for ``estimate``, shape (n, labels); of classes also (n,).
        score: Higher for positive, shape (n, labels).
        patient: Patient id of each image, shape (n,).
        group: Value of the column for each image, shape (n,); missing values form no group.
        labels: Names of the columns of truth and score.
        column: Name of the column, for the table.
        task: ``multilabel`` or ``multiclass``.
        metric: A metric of the task, such as ``"auc"``.
        thresholds: (label, metric) -> threshold chosen on the validation set.
        minimum: Patients below which a group is suppressed.
        options: See ``Options``; the level is that of all groups together; the distance to the other groups has a jackknife interval,
            whatever the kind.

    Returns:
        One table a label, then that of ``mean``; or one of ``all classes``.

    Raises:
        MeasureError: A row is not usable, or there are not as many values of the column as images.
        UsageError: No such metric, or an option is out of range.

    >>> truth, score = [1, 1, 0, 0] * 2, [0.9, 0.8, 0.2, 0.1, 0.9, 0.3, 0.4, 0.1]
    >>> edema = subgroups(truth, score, None, ["F"] * 4 + ["M"] * 4, labels=["Edema"], column="sex", minimum=4)[0]
    >>> [(part.name, part.row.value) for part in edema.groups], edema.weakest, edema.worst  # so few images show nothing
    ([('F', 1.0), ('M', 0.75)], 'M', '')
    """
    how, spec = Options(**options), parse_as(task, metric)
    given = Predictions(column, truth, score, patient, thresholds or {}, labels=labels, task=task).checked()
    members = _members(group, column, len(np.asarray(given.truth)))
    patients = encode(patient, len(np.asarray(given.truth)))
    shown = {name: rows for name, rows in members.items() if len(np.unique(patients.code[rows])) >= minimum}
    ids = patients.code if patients.unit == "patient" else None
    together = {**options, "level": how.level ** (1 / max(1, len(shown)))}
    tables = {
        name: estimate(
            np.asarray(given.truth)[rows],
            np.asarray(given.score)[rows],
            None if ids is None else ids[rows],
            labels=labels,
            task=task,
            metrics=[spec.name],
            thresholds=thresholds,
            **together,
        )
        for name, rows in shown.items()
    }
    by_unit = replace(given, patient=ids if how.unit == "patient" else None)
    behind = group_differences(by_unit, shown, spec, how.level)
    mean = [] if is_of_predicted_class(spec) else [MEAN]
    missing = len(patients.code) - int(np.sum(list(members.values()), dtype=np.int64))
    subgroup_tables = []
    for number, label in enumerate([*given.value_labels(spec), *mean]):
        blank = _suppressed(label, spec, minimum)
        groups = tuple(
            _group(name, replace(tables[name][number], level=how.level), behind.get((label, name)))
            if name in tables
            else Group(name, blank, None, suppressed=True)
            for name in members
        )
        weakest = _weakest(groups, spec.sign)
        subgroup_tables.append(
            Subgroups(
                label=label,
                column=column,
                groups=groups,
                weakest=weakest.name if weakest else "",
                worst=weakest.name if weakest and _is_shown(weakest, spec.sign, how.level) else "",
                gap=weakest.behind if weakest else None,
                n_missing=missing,
            )
        )
    return subgroup_tables


def gap_pvalues(tables: Sequence[Subgroups], *, method: str = "holm") -> dict[tuple[str, str], float]:
    """Test every shown group against the others, adjusted over all groups and labels.

    ``Group.p_adjusted`` takes correlations into account and agrees with the intervals; this is for another kind of adjustment.

    Returns:
        (label, group) -> adjusted p-value of no difference.

    >>> truth, score = [1, 1, 0, 0] * 2, [0.9, 0.3, 0.4, 0.1] * 2
    >>> tables = subgroups(truth, score, None, ["F"] * 4 + ["M"] * 4, labels=["Edema"], column="sex", minimum=4)
    >>> gap_pvalues(tables[:1])  # both groups have the same AUC
    {('Edema', 'F'): 1.0, ('Edema', 'M'): 1.0}
    """
    keys = [(table.label, part.name) for table in tables for part in table.groups if part.behind is not None]
    raw = [part.behind.p for table in tables for part in table.groups if part.behind is not None]
    return dict(zip(keys, (float(p) for p in adjust(raw, method)), strict=True))


def _members(group: npt.ArrayLike, column: str, images: int) -> dict[str, BoolArray]:
    """Mark the images of each group, in the order of the groups' names, shape (images,) each."""
    values = pd.Series(np.asarray(group, object))
    if len(values) != images:
        raise MeasureError(f"{column} has {len(values):,} rows, truth has {images:,}")
    # Missing values also have a text ("nan"), which must not become a group.
    known, text = values.notna().to_numpy(), values.astype(str)
    return {name: (text == name).to_numpy() & known for name in sorted(text[known].unique())}


def _group(name: str, row: Estimate, behind: Behind | None) -> Group:
    if behind is None:
        return Group(name, row, None, suppressed=False)
    return Group(name, row, behind.gap, suppressed=False, p_adjusted=behind.p_adjusted)


def _weakest(groups: Sequence[Group], sign: int) -> Group | None:
    """Find the group with the worst value among several; None where neither direction is better."""
    valued = [part for part in groups if not np.isnan(part.row.value)]
    return min(valued, key=lambda part: sign * part.row.value) if len(valued) > 1 and sign else None


def _is_shown(weakest: Group, sign: int, level: float) -> bool:
    """Tell whether the others are better than the weakest group."""
    return weakest.behind is not None and sign * weakest.behind.gap > 0 and weakest.p_adjusted < 1 - level


def _suppressed(label: str, spec: MetricSpec, minimum: int) -> Estimate:
    nan = float("nan")
    blank = Estimate(label, spec.name, nan, nan, nan, "", "", nan, 0, 0, nan, 0, 0, 0, 0, 0)
    return replace(blank, reason=f"suppressed: fewer than {minimum} patients")
