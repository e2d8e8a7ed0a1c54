"""Localisation over many images: means with intervals over patients, above chance, and internal minus external.

One row a network, label, test set and figure. ``share`` is the mean share of the maps inside the boxes, ``hit`` the proportion
of maps whose highest point lies in them; ``chance`` is the mean chance level of the same images. Rows of protocol
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
from xrbench.statistics.resampling.jackknife import LeftOut, jackknife, scaled_figure
from xrbench.statistics.resampling.scale import UNBOUNDED, UNIT

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
    """A figure with its interval; ``reason`` says why there is none."""

    value: float
    low: float
    high: float
    reason: str = ""


def agreement(maps: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Summarise the localisation of maps.

    Args:
        maps: One row a map: the columns of ``ABOUT``, ``protocol``, ``test``, ``patient`` (missing where ids are not known),
            ``share``, ``area``, ``hit``, ``near``; ``share`` and ``hit`` are NaN for a map that is 0 throughout.
        level: Confidence level, between 0 and 1.

    Returns:
        The columns of ``COLUMNS``; ``above`` is the figure minus its chance level; ``n_empty`` counts maps that are 0 throughout.
    """
    rows: list[dict[str, Any]] = []
    for _, of_network in maps.groupby(["network", "label"], sort=False):
        head = {name: of_network[name].iloc[0] for name in ABOUT}
        rows += [{**head, **row} for row in (*_tests(of_network, level), *_differences(of_network, level))]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def mean_interval(values: npt.ArrayLike, patients: Patients, level: float, *, share: bool = True) -> Interval:
    """Compute the mean of one value an image, with a jackknife interval over patients.

    Args:
        values: Shape (n,).
        patients: The patient of each image.
        level: Confidence level, between 0 and 1.
        share: Whether values lie in 0..1, so that the interval is made on the logit scale.
    """
    array = np.asarray(values, np.float64)
    value = float(array.mean())
    left = _left_out(array, patients)
    if len(left) < 2:
        return Interval(value, *NOTHING, "interval: there is one patient only")
    if np.ptp(left) <= 1e-12:  # equal but for rounding
        return Interval(value, *NOTHING, f"interval: all patients agree on {value:g}")
    parts = [LeftOut(left, np.zeros(len(left), np.int64))]
    return Interval(value, *jackknife(value, parts, level, scale=UNIT if share else UNBOUNDED))


def proportion_interval(hits: npt.ArrayLike, patients: Patients, level: float) -> Interval:
    """Compute a proportion of images with Wilson's interval for the effective number of independent images.

    As ``statistics`` does for recall: the effective number is the one whose binomial variance is the jackknife's; where all
    images agree, each patient counts once.

    Args:
        hits: 1 or 0, shape (n,).
        patients: The patient of each image.
        level: Confidence level, between 0 and 1.

    >>> patients = encode(None, 10)
    >>> [round(number, 3) for number in proportion_interval([1] * 10, patients, 0.95)[:3]]  # 10 / (10 + 2.262^2), Student, 9 df
    [1.0, 0.661, 1.0]
    """
    array = np.asarray(hits, np.float64)
    left, value = _left_out(array, patients), float(array.mean())
    if len(left) < 2:
        return Interval(value, *NOTHING, "interval: there is one patient only")
    spread = scaled_figure(value, [LeftOut(left, np.zeros(len(left), np.int64))], scale=UNBOUNDED)
    if spread is not None and spread.error > 0 and 0 < value < 1:
        effective = value * (1 - value) / spread.error**2
        return Interval(value, *wilson(value, effective, level, df=spread.df))
    return Interval(value, *wilson(value, patients.size, level, df=patients.size - 1.0))


def difference(internal: Interval, external: Interval) -> Interval:
    """Subtract two independent figures, with an interval from theirs.

    The distances to the far ends are added in squares (Newcombe 1998, Stat Med 17:873, method 10, for proportions; Zou & Donner
    2008, Stat Med 27:1693, for other figures). Patients on both sides make it wider than necessary.

    >>> internal, external = Interval(0.8, 0.7, 0.9), Interval(0.5, 0.3, 0.6)
    >>> [round(number, 3) for number in difference(internal, external)[:3]]  # 0.3 - sqrt(0.1^2 + 0.1^2), 0.3 + sqrt(0.1^2 + 0.2^2)
    [0.3, 0.159, 0.524]
    """
    value = internal.value - external.value
    low = value - np.hypot(internal.value - internal.low, external.high - external.value)
    high = value + np.hypot(internal.high - internal.value, external.value - external.low)
    return Interval(value, float(low), float(high), internal.reason or external.reason)


def _tests(of_network: pd.DataFrame, level: float) -> Iterator[dict[str, Any]]:
    for (protocol, test), rows in of_network.groupby(["protocol", "test"], sort=False):
        for figure, chance in FIGURES.items():
            interval, above = _interval(rows, figure, level), _above(rows, figure, level)
            row = _row(figure, interval, above, float(rows[chance].mean()), level)
            yield {"protocol": protocol, "test": test, **row, **_counts(rows, figure)}


def _differences(of_network: pd.DataFrame, level: float) -> Iterator[dict[str, Any]]:
    """Compare all internal images of a network with each of its external test sets."""
    internal = of_network[of_network["protocol"] == "internal"]
    if not len(internal):
        return
    for test, external in of_network[of_network["protocol"] == "external"].groupby("test", sort=False):
        for figure, chance in FIGURES.items():
            interval = difference(_interval(internal, figure, level), _interval(external, figure, level))
            above = difference(_above(internal, figure, level), _above(external, figure, level))
            row = _row(figure, interval, above, float(internal[chance].mean() - external[chance].mean()), level)
            yield {"protocol": DIFFERENCE, "test": test, **row, **_counts(pd.concat([internal, external]), figure)}


def _row(figure: str, interval: Interval, above: Interval, chance: float, level: float) -> dict[str, Any]:
    above_chance = {"above": above.value, "above_low": above.low, "above_high": above.high}
    return {"figure": figure, **interval._asdict(), "chance": chance, **above_chance, "level": level}


def _interval(rows: pd.DataFrame, figure: str, level: float) -> Interval:
    known = rows[rows[figure].notna()]
    if not len(known):
        return Interval(np.nan, *NOTHING, "no map points anywhere")
    interval_of = proportion_interval if figure == "hit" else mean_interval
    return interval_of(known[figure].to_numpy(np.float64), encode(known["patient"], len(known)), level)


def _above(rows: pd.DataFrame, figure: str, level: float) -> Interval:
    """Compute the mean of figure minus chance on the same images.

    A proportion's interval is moved by the mean chance level, which is known exactly for these images: where all of them agree,
    the spread of the differences would be that of the chance levels alone.
    """
    known = rows[rows[figure].notna()]
    if not len(known):
        return Interval(np.nan, *NOTHING)
    chance = known[FIGURES[figure]]
    if figure == "hit":
        interval, mean = _interval(rows, figure, level), float(chance.mean())
        return Interval(interval.value - mean, interval.low - mean, interval.high - mean)
    above = (known[figure] - chance).to_numpy(np.float64)
    return mean_interval(above, encode(known["patient"], len(known)), level, share=False)


def _counts(rows: pd.DataFrame, figure: str) -> dict[str, Any]:
    known = rows[rows[figure].notna()]
    patients = encode(known["patient"], len(known))
    counts = {"n_images": len(known), "n_patients": patients.size, "n_empty": len(rows) - len(known)}
    return {**counts, "unit": patients.unit}


def _left_out(values: FloatArray, patients: Patients) -> FloatArray:
    """Compute the mean without each patient, shape (patients,); NaN where nobody is left."""
    sums, counts = np.bincount(patients.code, values), np.bincount(patients.code)
    rest = len(values) - counts
    mean: FloatArray = np.divide(values.sum() - sums, rest, out=np.full(len(sums), np.nan), where=rest > 0)
    return mean
