"""Rows of an analysis: the metric's value with its interval and counts, and the reason or caution that goes with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from xrbench.metrics import MetricSpec
from xrbench.statistics import Estimate
from xrbench.statistics.predictions import MEAN

FIGURE = ("label", "metric", "value", "low", "high", "interval", "unit", "level")
COUNTS = ("n_positive", "n_negative", "n_masked", "n_patients", "n_images")
WORDS = ("reason", "caution")
METHODS = ("method", "challenger", "baseline")
"""Columns that name methods."""
NAN = float("nan")

Row = dict[str, Any]


def figure(row: Estimate) -> Row:
    """Select the fields of an estimate that every table has.

    >>> from xrbench.statistics import estimate
    >>> row = figure(estimate([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1], labels=["Edema"])[0])
    >>> row["label"], row["value"], row["n_positive"]
    ('Edema', 0.75, 2)
    """
    return {name: getattr(row, name) for name in (*FIGURE, *COUNTS, *WORDS)}


def nothing(reason: str, **known: Any) -> Row:
    """Give a row without a value, with the reason."""
    return {"value": NAN, "low": NAN, "high": NAN, **known, "reason": reason}


def repeats(label: str, labels: Sequence[str]) -> bool:
    """Tell whether a label repeats another one: the mean over a single label.

    >>> repeats("mean", ["Edema"]), repeats("mean", ["Edema", "Effusion"]), repeats("Edema", ["Edema"])
    (True, False, False)
    """
    return label == MEAN and len(labels) == 1


def within(spec: MetricSpec, low: float, high: float) -> Row:
    """Clip the ends of an interval to the metric's range.

    >>> from xrbench.metrics import parse
    >>> within(parse("auc"), -0.3, 1.8), within(parse("calibration-slope"), -0.3, 1.8)
    ({'low': 0.0, 'high': 1.0}, {'low': -0.3, 'high': 1.8})
    """
    return {"low": max(low, spec.metric.low), "high": min(high, spec.metric.high)}


def framed(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Put rows into a frame with these columns; texts that a row does not have are empty, numbers NaN.

    >>> framed([{"label": "Edema", "value": 0.8}], ("label", "value", "low", "reason")).to_dict("records")
    [{'label': 'Edema', 'value': 0.8, 'low': nan, 'reason': ''}]
    """
    listed = [dict(row) for row in rows]
    for row in listed:
        unknown = set(row) - set(columns)
        if unknown:
            raise KeyError(f"no column for {sorted(unknown)}")
    frame = pd.DataFrame(listed, columns=list(columns))
    if "members" in frame:  # of one type whether or not a row is about several cells
        frame["members"] = frame["members"].astype(float)
    for name in TEXTS:
        if name in frame:
            frame[name] = frame[name].astype(object).where(frame[name].notna(), "")
    return frame


TEXTS = frozenset(
    (
        *("setting", "configuration", "method", "model", "train", "valid", "test", "protocol", "cell"),
        *("label", "metric", "interval", "unit", "reason", "caution", "target", "column", "group", "policy"),
        *(
            "over",
            "challenger",
            "baseline",
            "question",
            "source",
            "verdict",
            "other",
            "given",
            "drifted",
            "hospitals",
            "internal_test",
        ),
        *("used", "left_out"),
    )
)
"""Columns of texts."""
