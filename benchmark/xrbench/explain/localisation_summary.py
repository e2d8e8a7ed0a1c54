"""How far evidence and boxes agree on many images: means with intervals over patients, against chance, inside against outside.

One row a network, label, test set and figure. ``share`` is the mean share of the maps inside the boxes, ``hit`` the proportion
of maps whose highest point meets them; ``chance`` is what maps without preference would reach on the same images. Rows of protocol
``internal - external`` are differences. Images of a patient stay together in every interval.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.statistics.intervals.formulas import NOTHING, wilson
from xrbench.statistics.resampling.clusters import Patients, encode
from xrbench.statistics.resampling.jackknife import Left, groups_of, jackknife, side

DIFFERENCE = "internal - external"
FIGURES = {"share": "area", "hit": "near"}
"""Figure -> the column that holds its chance level."""
COLUMNS = (
    *("network", "method", "model", "train", "seed", "members", "label", "protocol", "test", "figure"),
    *("value", "low", "high", "chance", "above", "above_low", "above_high", "level"),
    *("n_images", "n_patients", "n_empty", "unit", "reason"),
)
ABOUT = ("network", "method", "model", "train", "seed", "members", "label")

FloatArray = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A figure with its interval, or why there is none."""

    value: float
    low: float
    high: float
    reason: str = ""


def agreement(found: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Summarise maps against boxes.

    Args:
        found: One row a map: the columns of ``ABOUT``, ``protocol``, ``test``, ``patient`` (missing where ids are not known),
            ``share``, ``area``, ``hit``, ``near``; NaN for a map that points nowhere.
        level: Confidence level, between 0 and 1.

    Returns:
        The columns of ``COLUMNS``; ``above`` is the figure minus its chance level; ``n_empty`` counts maps that point nowhere.
    """
    rows: list[dict[str, Any]] = []
    for _, mine in found.groupby(["network", "label"], sort=False):
        about = mine.iloc[0][list(ABOUT)].to_dict()
        tests = [{**about, **row} for row in _tests(mine, level)]
        rows += [*tests, *({**about, **row} for row in _differences(mine, level))]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def mean_interval(values: npt.ArrayLike, people: Patients, level: float, *, share: bool = True) -> Interval:
    """Compute the mean of one value an image, with a jackknife interval over patients.

    Args:
        values: Shape (n,).
        people: The patient of each image.
        level: Confidence level, between 0 and 1.
        share: Whether values lie in 0..1, so that the interval is made on the logit scale.
    """
    array = np.asarray(values, np.float64)
    value = float(array.mean())
    left = _left_out(array, people)
    if len(left) < 2:
        return Interval(value, *NOTHING, "interval: there is one patient only")
    if np.ptp(left) <= 1e-12:
        return Interval(value, *NOTHING, f"interval: all patients agree on {value:g}")
    parts = [Left(left, np.zeros(len(left), np.int64))]
    return Interval(value, *jackknife(value, parts, level, bound=1.0 if share else 0.0))


def proportion_interval(hits: npt.ArrayLike, people: Patients, level: float) -> Interval:
    """Compute a proportion of images with Wilson's interval for as many independent images as the patients' spread stands for.

    As ``statistics`` does for recall: the effective number is the one whose binomial variance is the jackknife's; where all
    images agree, each patient counts once.

    >>> people = encode(None, 10)
    >>> [round(number, 3) for number in proportion_interval([1] * 10, people, 0.95)[:3]]  # 10 / (10 + 2.262^2), Student, 9 df
    [1.0, 0.661, 1.0]
    """
    array = np.asarray(hits, np.float64)
    left, value = _left_out(array, people), float(array.mean())
    if len(left) < 2:
        return Interval(value, *NOTHING, "interval: there is one patient only")
    found = side(value, [Left(left, np.zeros(len(left), np.int64))], bound=0.0)
    if found is not None and found.error > 0 and 0 < value < 1:
        return Interval(value, *wilson(value, value * (1 - value) / found.error**2, level, df=found.df))
    return Interval(value, *wilson(value, people.size, level, df=people.size - 1.0))


def difference(inside: Interval, outside: Interval) -> Interval:
    """Subtract two independent figures; their intervals give that of the difference.

    The distances to the far ends are added in squares (Newcombe 1998, Stat Med 17:873, method 10, for proportions; Zou & Donner
    2008, Stat Med 27:1693, for other figures). Patients on both sides make it wider than need be.

    >>> inside, outside = Interval(0.8, 0.7, 0.9), Interval(0.5, 0.3, 0.6)
    >>> [round(number, 3) for number in difference(inside, outside)[:3]]  # 0.3 - sqrt(0.1^2 + 0.1^2), 0.3 + sqrt(0.1^2 + 0.2^2)
    [0.3, 0.159, 0.524]
    """
    value = inside.value - outside.value
    low = value - np.hypot(inside.value - inside.low, outside.high - outside.value)
    high = value + np.hypot(inside.high - inside.value, outside.value - outside.low)
    return Interval(value, float(low), float(high), inside.reason or outside.reason)


def _tests(mine: pd.DataFrame, level: float) -> Iterator[dict[str, Any]]:
    for (protocol, test), rows in mine.groupby(["protocol", "test"], sort=False):
        for figure in FIGURES:
            of, above = _interval(rows, figure, level), _above(rows, figure, level)
            found = _row(figure, of, above, float(rows[FIGURES[figure]].mean()), level)
            yield {"protocol": protocol, "test": test, **found, **_counts(rows, figure)}


def _differences(mine: pd.DataFrame, level: float) -> Iterator[dict[str, Any]]:
    """Set all internal images of a network against each of its external test sets."""
    inside = mine[mine["protocol"] == "internal"]
    outer = mine[mine["protocol"] == "external"].groupby("test", sort=False) if len(inside) else ()
    for test, outside in outer:
        for figure, chance in FIGURES.items():
            of = difference(_interval(inside, figure, level), _interval(outside, figure, level))
            above = difference(_above(inside, figure, level), _above(outside, figure, level))
            found = _row(figure, of, above, float(inside[chance].mean() - outside[chance].mean()), level)
            yield {"protocol": DIFFERENCE, "test": test, **found, **_counts(pd.concat([inside, outside]), figure)}


def _row(figure: str, of: Interval, above: Interval, chance: float, level: float) -> dict[str, Any]:
    over = {"above": above.value, "above_low": above.low, "above_high": above.high}
    return {"figure": figure, **of._asdict(), "chance": chance, **over, "level": level}


def _interval(rows: pd.DataFrame, figure: str, level: float) -> Interval:
    there = rows[rows[figure].notna()]
    if not len(there):
        return Interval(np.nan, *NOTHING, "no map points anywhere")
    people = encode(there["patient"], len(there))
    make = proportion_interval if figure == "hit" else mean_interval
    return make(there[figure].to_numpy(np.float64), people, level)


def _above(rows: pd.DataFrame, figure: str, level: float) -> Interval:
    """Compute the mean of figure minus chance on the same images.

    A proportion's interval is moved by the mean chance level, which is known of these images: where all of them agree their
    spread would say nothing.
    """
    there = rows[rows[figure].notna()]
    if not len(there):
        return Interval(np.nan, *NOTHING)
    chance = there[FIGURES[figure]]
    if figure == "hit":
        of, mean = _interval(rows, figure, level), float(chance.mean())
        return Interval(of.value - mean, of.low - mean, of.high - mean)
    extra = (there[figure] - chance).to_numpy(np.float64)
    return mean_interval(extra, encode(there["patient"], len(there)), level, share=False)


def _counts(rows: pd.DataFrame, figure: str) -> dict[str, Any]:
    there = rows[rows[figure].notna()]
    people = encode(there["patient"], len(there))
    empty = int(rows[figure].isna().sum())
    return {"n_images": len(there), "n_patients": people.size, "n_empty": empty, "unit": people.unit}


def _left_out(values: FloatArray, people: Patients) -> FloatArray:
    """Compute the mean without each group of patients, shape (groups,); NaN where nobody is left."""
    group = groups_of(people.size)[people.code]
    sums, counts = np.bincount(group, values), np.bincount(group)
    rest = len(values) - counts
    mean: FloatArray = np.divide(values.sum() - sums, rest, out=np.full(len(sums), np.nan), where=rest > 0)
    return mean
