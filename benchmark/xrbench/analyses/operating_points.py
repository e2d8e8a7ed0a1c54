"""Operating points: thresholds chosen on validation images, applied to every test set.

The threshold of a fit is chosen on the validation cell of that fit and nowhere else. A pretrained model, or a fit that selects no
epoch, has no validation cell: it has no operating point, and the row gives the reason. Intervals are at this threshold (test patients
vary); recall, specificity and drift also have those of this procedure (validation patients vary too), by which drift is judged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Unpack

from xrbench import statistics
from xrbench.analyses.rows import COUNTS, FIGURE, NAN, Row, figure, nothing
from xrbench.runs.run_cell import HEAD
from xrbench.scoring import NO_VALIDATION
from xrbench.statistics import OptionFields, Predictions

PREVALENCE, DRIFT = "prevalence", "drift"
PROCEDURE = ("procedure_low", "procedure_high")
DRIFTED, NOT_SHOWN = "yes", "not shown"
COLUMNS = (*HEAD, "target", "threshold", *FIGURE, *PROCEDURE, "drifted", *COUNTS)


def rows_of(
    valid: Predictions | None,
    test: Predictions,
    *,
    targets: Sequence[str],
    prevalences: Sequence[float] = (),
    **options: Unpack[OptionFields],
) -> list[Row]:
    """Choose thresholds on a validation set and apply them to a test set.

    Args:
        valid: Predictions on which thresholds are chosen; None gives a row with the reason for each target that needs them.
        test: Predictions on one test set.
        targets: Such as ``sensitivity=0.9``, or ``threshold=0.5``, which needs no validation set.
        prevalences: Prevalences, between 0 and 1, at which predictive values are also stated.
        options: Of the intervals; see ``statistics.Options``.

    Returns:
        One row a target, label and figure: ``recall``, ``specificity``, ``ppv``, ``npv``, ``positive-calls-per-1000``, predictive values
        at the stated prevalences (``ppv,prevalence=0.02``), ``prevalence`` of the test set, and ``drift``: the targeted figure
        minus its target (not at a stated threshold, which aims at none), whose ends are those of this procedure.

    Raises:
        UsageError: A target is not of that form.
        MeasureError: A row is not usable.
    """
    rows: list[Row] = []
    for target in targets:
        stated = target.startswith("threshold=")
        if valid is None and not stated:
            rows.append(nothing(NO_VALIDATION, target=target, threshold=NAN, label="", metric=""))
            continue
        chosen_on = test if valid is None else valid
        points = statistics.operating_points(
            chosen_on.truth,
            chosen_on.score,
            test.truth,
            test.score,
            test.patient,
            labels=test.labels,
            target=target,
            prevalences=prevalences,
            valid_patient=chosen_on.patient,
            **options,
        )
        rows += [row for point in points for row in _rows(point) if not (stated and row["metric"] == DRIFT)]
    return rows


def _rows(point: statistics.OperatingPoint) -> list[Row]:
    about = {"target": point.target, "threshold": point.threshold}
    listed = [
        {**figure(row), "metric": name, **about, **_procedure(point, name)} for name, row in point.figures.items()
    ]
    aimed = "recall" if point.target.startswith("sensitivity") else "specificity"
    base = {**figure(point.figures[aimed]), **about}
    moved = {"value": point.drift, "low": point.drift_low, "high": point.drift_high, "interval": "procedure"}
    if not math.isnan(point.drift_low):
        moved["drifted"] = DRIFTED if point.has_drifted else NOT_SHOWN
    common = {"value": point.prevalence, "low": NAN, "high": NAN, "interval": "", "reason": "", "caution": ""}
    return [*listed, {**base, "metric": DRIFT, **moved}, {**base, "metric": PREVALENCE, **common}]


def _procedure(point: statistics.OperatingPoint, name: str) -> Row:
    return dict(zip(PROCEDURE, point.procedure.get(name, (NAN, NAN)), strict=True))
