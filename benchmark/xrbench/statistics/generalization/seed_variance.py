"""How much of the uncertainty of a metric comes from patients, and how much from training again with another seed.

A method's value is the mean over fits with different seeds, all tested on the same patients. Its variance is that of the
patients (jackknife of the mean over seeds) plus that of the seeds (sample variance over their number): both would change if
the study were repeated. With three seeds the second part has two degrees of freedom, which Student's t allows for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.metric import Task
from xrbench.metrics.names import parse_as
from xrbench.statistics.generalization.cells import CellValues, cell_values, only_labels
from xrbench.statistics.intervals.formulas import NOTHING, check_level
from xrbench.statistics.options import Resampling
from xrbench.statistics.predictions import Predictions, named
from xrbench.statistics.resampling.jackknife import ScaledFigure, scaled_figure
from xrbench.statistics.resampling.scale import scale_of


@dataclass(frozen=True)
class MeanAndSpread:
    """Mean, sample standard deviation (ddof 1), t-interval of the mean, and how many values there were."""

    mean: float
    sd: float
    low: float
    high: float
    n: int


def mean_and_spread(values: npt.ArrayLike, *, level: float = 0.95) -> MeanAndSpread:
    """Summarise a few values, such as one for each setting or seed, as the papers print them: mean ± sample SD.

    Args:
        values: Shape (n,); NaN are left out.
        level: Confidence level of the t-interval of the mean (Student 1908, Biometrika 6:1).

    Returns:
        SD and interval are NaN with fewer than two values.

    >>> few = mean_and_spread([0.80, 0.82, 0.84])
    >>> round(few.mean, 3), round(few.sd, 3), round(few.low, 3), round(few.high, 3)  # 4.303 x 0.02 / 3 ** 0.5
    (0.82, 0.02, 0.77, 0.87)
    """
    check_level(level)
    defined = np.asarray(values, np.float64)
    defined = defined[~np.isnan(defined)]
    n = len(defined)
    mean = float(defined.mean()) if n else float("nan")
    if n < 2:
        return MeanAndSpread(mean, float("nan"), *NOTHING, n)
    sd = float(defined.std(ddof=1))
    reach = float(special.stdtrit(n - 1, (1 + level) / 2)) * sd / np.sqrt(n)
    return MeanAndSpread(mean, sd, float(mean - reach), float(mean + reach), n)


@dataclass(frozen=True)
class TwoLevel:
    """A figure averaged over seeds, with both sources of its uncertainty.

    Attributes:
        label: The label or class, ``mean``, or ``all classes``.
        metric: Name of the metric.
        value: Mean over seeds.
        low, high: Interval over patients and seeds.
        error: Standard error over both.
        patient_share: Part of the variance that patients contribute, 0..1.
        seed_share: Part that seeds contribute; the two add up to 1.
        sd: Sample standard deviation over seeds (ddof 1).
        df: Degrees of freedom of the interval.
        n_seeds: Seeds with a value.
        reason: Why there is no figure; else empty.
        caution: What to know before trusting the interval; else empty.
    """

    label: str
    metric: str
    value: float
    low: float
    high: float
    error: float
    patient_share: float
    seed_share: float
    sd: float
    df: float
    n_seeds: int
    reason: str = ""
    caution: str = ""


def two_level(
    cells: Sequence[Predictions],
    *,
    metric: str = "auc",
    labels: Sequence[str] | None = None,
    task: Task | None = None,
    level: float = 0.95,
    threads: int | None = None,
) -> list[TwoLevel]:
    """Compute a metric's mean over seeds with an interval over patients and seeds.

    Args:
        cells: One for each seed, on the same domain's test images.
        metric: A metric of the task, such as ``"auc"``; see ``estimate``.
        labels: Names of the columns of every cell; None takes the cells' own.
        task: ``multilabel`` or ``multiclass``; None takes the cells' own.
        level: Confidence level, between 0 and 1.
        threads: Threads at most, None for all cores.

    Returns:
        One row a label, then ``mean``; or one of ``all classes``.

    Raises:
        MeasureError: There is no cell, the cells are of several domains, or a row is not usable.
        UsageError: No such metric, or the level is out of range.

    >>> truth = [[1], [1], [1], [0], [0], [0]]
    >>> first = Predictions("here", truth, [[0.9], [0.3], [0.5], [0.4], [0.6], [0.1]])
    >>> second = Predictions("here", truth, [[0.9], [0.7], [0.5], [0.4], [0.6], [0.1]])
    >>> row = two_level([first, second], labels=["Edema"])[0]
    >>> round(row.value, 3), round(row.sd, 3), row.n_seeds  # AUCs 6/9 and 8/9
    (0.778, 0.157, 2)
    """
    how = Resampling(level=level, threads=threads, replicates=0)
    domains = sorted({cell.domain for cell in cells})
    if len(domains) > 1:
        raise MeasureError(f"seeds are compared on one domain: {', '.join(domains)}")
    given = named(cells, labels, task)
    values = cell_values(given, parse_as(given[0].task, metric), how)
    return [_two_level(label, values, numbers, level) for label, numbers in values.rows()]


def _two_level(label: str, values: CellValues, labels: Sequence[int], level: float) -> TwoLevel:
    """Compute one row from some labels, of which those without a value in any seed are left out."""
    nan, name, caution = float("nan"), values.spec.name, values.caution(only_labels(~np.isnan(values.value), labels))
    usable = [i for i in labels if not np.isnan(values.value[:, i]).all()]
    # A seed takes part when it has a value for every label that any seed has: else the means would be of different labels.
    seeds = np.flatnonzero(~np.isnan(values.value[:, usable]).any(axis=1)) if usable else np.zeros(0, np.int64)

    def statistic(array: FloatArray) -> FloatArray:
        return np.asarray(array[..., seeds, :][..., usable].mean(axis=(-2, -1)))

    if not len(seeds):
        return TwoLevel(label, name, nan, nan, nan, nan, nan, nan, nan, nan, 0, "no seed has a value", caution)
    by_seed = values.value[seeds][:, usable].mean(axis=1)
    value, n = float(by_seed.mean()), len(by_seed)
    sd = float(by_seed.std(ddof=1)) if n > 1 else nan
    figure = scaled_figure(value, values.parts(statistic, usable), scale=scale_of(values.spec))
    if figure is None or np.isnan(sd):
        reason = "interval: one seed cannot show how much seeds matter" if n < 2 else "interval: too few patients"
        return TwoLevel(label, name, value, nan, nan, nan, nan, nan, sd, nan, n, reason, caution)
    # On the scale of the jackknife, where the error of patients is nearly normal.
    of_patients, of_seeds = figure.error**2, sd**2 / n / figure.slope**2
    total = of_patients + of_seeds
    if not total > 0:
        return TwoLevel(label, name, value, value, value, 0.0, nan, nan, sd, nan, n, caution=caution)
    low, high, df = _interval(figure, of_patients, of_seeds, n, level)
    error = float(np.sqrt(total)) * figure.slope
    return TwoLevel(
        label, name, value, low, high, error, of_patients / total, of_seeds / total, sd, df, n, caution=caution
    )


def _interval(
    figure: ScaledFigure, of_patients: float, of_seeds: float, seeds: int, level: float
) -> tuple[float, float, float]:
    """Compute low, high and degrees of freedom, which are Satterthwaite's (1946) for the sum of both variances."""
    total = of_patients + of_seeds
    df = total**2 / (of_patients**2 / figure.df + of_seeds**2 / (seeds - 1))
    reach = float(special.stdtrit(df, (1 + level) / 2) * np.sqrt(total))
    low, high = (float(end) for end in figure.back([figure.centre - reach, figure.centre + reach]))
    return low, high, df
