"""How much of the uncertainty of a metric comes from patients, and how much from training again with another seed.

A method's value is the mean over fits with different seeds, all tested on the same patients. Trainings and patients are crossed: both
would change if the study were repeated (``inference.trainings``). With three seeds the trainings' part has two degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from xrbench.errors import MeasureError
from xrbench.metrics.metric import Task
from xrbench.statistics.inference.training_values import MethodFigure, TrainedCell
from xrbench.statistics.inference.trainings import method_mean
from xrbench.statistics.intervals.formulas import NOTHING, check_level
from xrbench.statistics.predictions import Predictions


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
        patient_share: Part of the variance that patients contribute beyond each training's own response to them, 0..1.
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
    domains = sorted({cell.domain for cell in cells})
    if len(domains) > 1:
        raise MeasureError(f"seeds are compared on one domain: {', '.join(domains)}")
    trained = [TrainedCell(cell, (f"training {number}",)) for number, cell in enumerate(cells)]
    figures = method_mean(trained, metric=metric, labels=labels, task=task, level=level, threads=threads)
    return [_two_level(figure) for figure in figures]


def _two_level(figure: MethodFigure) -> TwoLevel:
    one_seed = figure.n_trainings == 1 and figure.errors is None
    sd = math.nan if figure.errors is None else math.sqrt(figure.errors.of_trainings * figure.n_trainings)
    return TwoLevel(
        label=figure.label,
        metric=figure.metric,
        value=figure.value,
        low=figure.low,
        high=figure.high,
        error=figure.error,
        patient_share=1 - figure.training_share,
        seed_share=figure.training_share,
        sd=sd,
        df=figure.df,
        n_seeds=figure.n_trainings,
        reason="interval: one seed cannot show how much seeds matter" if one_seed else figure.reason,
        caution=figure.caution,
    )
