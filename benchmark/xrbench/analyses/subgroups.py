"""Subgroup analysis: a metric by sex, age, view, or any other column of the predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench import statistics
from xrbench.analyses.rows import COUNTS, FIGURE, NAN, Row, figure, repeats
from xrbench.cards import SubgroupRule
from xrbench.errors import MeasureError, suggestion
from xrbench.metrics import parse_as
from xrbench.runs.run_cell import HEAD
from xrbench.statistics import OptionFields, Predictions
from xrbench.statistics.resampling.scale import Scale, scale_of

COLUMNS = (
    *(*HEAD, "column", "group", *FIGURE),
    *("suppressed", "weakest", "worst", "behind", "behind_low", "behind_high", "p", "p_adjusted"),
    *(*COUNTS, "n_missing"),
)
PERFECT = "all patients of a side agree: its distance to the others has no interval"
OTHERS = frozenset({"image", "patient_id"})


def rows_of(
    test: Predictions,
    frame: pd.DataFrame,
    rule: SubgroupRule,
    *,
    metric: str,
    thresholds: Mapping[tuple[str, str], float] | None = None,
    adjustment: str = "holm",
    **options: Unpack[OptionFields],
) -> list[Row]:
    """Compute a metric in every group of one test set.

    Args:
        test: Predictions on one test set.
        frame: The same images with the column that groups them.
        rule: The column, its bands, and how many patients a group needs to be shown.
        metric: Such as ``auc``.
        thresholds: (label, metric) -> threshold chosen on validation images.
        adjustment: How p-values are adjusted for the number of groups and labels: ``holm`` for the chance of a single error among
            them, for which max-t is used as in the intervals, or ``bh`` for the share of errors.
        options: Of the intervals; see ``statistics.Options``.

    Returns:
        One row a label (and their mean) and group: the metric, with an interval that holds for all groups of the label together;
        ``behind``, all other shown groups minus this one, with an interval that holds for all groups and labels together and p-values;
        whether it is the weakest, and shown to be worse than the others; whether it is suppressed as too small.

    Raises:
        MeasureError: There is no such column, or it has bands and is not a number.
    """
    group = groups_of(frame, rule)
    tables = statistics.subgroups(
        test.truth,
        test.score,
        test.patient,
        group,
        labels=test.labels,
        column=rule.column,
        task=test.task,
        metric=metric,
        thresholds=thresholds,
        minimum=rule.minimum,
        **options,
    )
    tables = [table for table in tables if not repeats(table.label, test.labels)]
    scale = scale_of(parse_as(test.task, metric))
    adjusted = _adjusted(tables, scale, adjustment)
    return [
        {
            **_figure(group, scale),
            "column": rule.column,
            "group": group.name,
            "suppressed": group.suppressed,
            "weakest": group.name == table.weakest,
            "worst": group.name == table.worst and (table.label, group.name) in adjusted,
            "n_missing": table.n_missing,
            **_behind(group.behind, adjusted.get((table.label, group.name), NAN), scale),
        }
        for table in tables
        for group in table.groups
    ]


def groups_of(frame: pd.DataFrame, rule: SubgroupRule) -> npt.NDArray[np.object_]:
    """Name the group of each image; None where the column has no value.

    Raises:
        MeasureError: There is no such column, or it has bands and is not a number.

    >>> frame = pd.DataFrame({"age": [17.0, 40.0, float("nan")], "sex": ["F", "M", ""]})
    >>> groups_of(frame, SubgroupRule(column="age", bands=(18, 65))).tolist()
    ['0-17', '18-64', None]
    >>> groups_of(frame, SubgroupRule(column="sex")).tolist()
    ['F', 'M', None]
    """
    if rule.column not in frame.columns:
        known = [str(name) for name in frame.columns if ":" not in str(name) and name not in OTHERS]
        raise MeasureError(f"no column {rule.column!r} in the predictions{suggestion(rule.column, known)}")
    values = frame[rule.column]
    if not rule.bands:
        text = values.astype(object).where(values.notna(), None)
        return np.array([value if value is None or str(value).strip() else None for value in text], object)
    numbers = pd.to_numeric(values, errors="coerce")
    odd = numbers.isna() & values.notna() & (values.astype(str).str.strip() != "")
    if odd.any():
        raise MeasureError(f"column {rule.column!r}: {values[odd].iloc[0]!r} is not a number, and bands are of numbers")
    return statistics.bands(numbers.to_numpy(np.float64), rule.bands)


def _adjusted(tables: Sequence[statistics.Subgroups], scale: Scale, adjustment: str) -> dict[tuple[str, str], float]:
    """Adjust the p-values of all groups and labels, by label and group; those of perfect sides are not tested."""
    tested = {
        (table.label, group.name): group
        for table in tables
        for group in table.groups
        if group.behind is not None and not _perfect(group.behind, scale)
    }
    if adjustment == "holm":
        return {key: group.p_adjusted for key, group in tested.items()}
    raw = [group.behind.p for group in tested.values() if group.behind is not None]
    return dict(zip(tested, map(float, statistics.adjust(raw, adjustment)), strict=True))


def _perfect(gap: statistics.Gap, scale: Scale) -> bool:
    """Tell whether a side has the best or worst value there is: its patients then say nothing about its error."""
    return scale.is_end(gap.internal) or scale.is_end(gap.external)


def _figure(group: statistics.Group, scale: Scale) -> Row:
    row = figure(group.row)
    if group.behind is not None and _perfect(group.behind, scale):
        row["caution"] = "; ".join(text for text in (row["caution"], PERFECT) if text)
    return row


def _behind(gap: statistics.Gap | None, adjusted: float, scale: Scale) -> Row:
    if gap is None:
        return dict.fromkeys(("behind", "behind_low", "behind_high", "p", "p_adjusted"), NAN)
    if _perfect(gap, scale):
        return {"behind": gap.gap, "behind_low": NAN, "behind_high": NAN, "p": NAN, "p_adjusted": NAN}
    ends = {"behind": gap.gap, "behind_low": gap.low, "behind_high": gap.high}
    return {**ends, "p": gap.p, "p_adjusted": adjusted}
