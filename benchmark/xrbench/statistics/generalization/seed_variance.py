"""How much of a figure's uncertainty comes from patients, and how much from training again with another seed?

A method's figure is the mean over fits with different seeds, all tested on the same patients. Its variance is that of the
patients (jackknife of the mean over seeds) plus that of the seeds (sample variance over their number): both would change if
the study were done again. With three seeds the second part has two degrees of freedom, and Student's t says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec, parse
from xrbench.statistics.generalization.cells import Cell, CellValues, by_label, cell_values
from xrbench.statistics.intervals.estimate import MEAN
from xrbench.statistics.intervals.formulas import NOTHING, check_level
from xrbench.statistics.resampling.jackknife import Side, side
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

    >>> found = mean_and_spread([0.80, 0.82, 0.84])
    >>> round(found.mean, 3), round(found.sd, 3), round(found.low, 3), round(found.high, 3)  # 4.303 x 0.02 / 3 ** 0.5
    (0.82, 0.02, 0.77, 0.87)
    """
    check_level(level)
    kept = np.asarray(values, np.float64)
    kept = kept[~np.isnan(kept)]
    n = len(kept)
    mean = float(kept.mean()) if n else float("nan")
    if n < 2:
        return MeanAndSpread(mean, float("nan"), *NOTHING, n)
    sd = float(kept.std(ddof=1))
    reach = float(special.stdtrit(n - 1, (1 + level) / 2)) * sd / np.sqrt(n)
    return MeanAndSpread(mean, sd, float(mean - reach), float(mean + reach), n)


@dataclass(frozen=True)
class TwoLevel:
    """A figure averaged over seeds, with both sources of its uncertainty.

    Attributes:
        label: The label, or ``mean``.
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
        caution: What a reader should know before trusting the interval; else empty.
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
    cells: Sequence[Cell],
    *,
    metric: str = "auc",
    labels: Sequence[str],
    level: float = 0.95,
    threads: int | None = None,
) -> list[TwoLevel]:
    """Compute a metric's mean over seeds with an interval over patients and seeds.

    Args:
        cells: One for each seed, on the same domain's test images.
        metric: Such as ``"auc"``.
        labels: Names of the columns of every cell.
        level: Confidence level, between 0 and 1.
        threads: At most so many; the figures do not depend on it.

    Returns:
        One row a label, then ``mean``.

    Raises:
        MeasureError: The cells are of several domains, or a row is not usable.

    >>> truth = [[1], [1], [1], [0], [0], [0]]
    >>> first = Cell("here", truth, [[0.9], [0.3], [0.5], [0.4], [0.6], [0.1]])
    >>> second = Cell("here", truth, [[0.9], [0.7], [0.5], [0.4], [0.6], [0.1]])
    >>> found = two_level([first, second], labels=["Edema"])[0]
    >>> round(found.value, 3), round(found.sd, 3), found.n_seeds  # AUCs 6/9 and 8/9
    (0.778, 0.157, 2)
    """
    check_level(level)
    one_domain(cells)
    spec = parse(metric)
    values = cell_values(cells, by_label(spec, labels), len(labels), replicates=0, seed=0, threads=threads)
    return two_levels_of(values, spec, labels, level=level, mean=True)


def one_domain(cells: Sequence[Cell]) -> None:
    """Refuse cells of several domains.

    Raises:
        MeasureError: They are.
    """
    if len({cell.domain for cell in cells}) > 1:
        raise MeasureError("seeds are compared on one domain: " + ", ".join(sorted({cell.domain for cell in cells})))


def two_levels_of(
    values: CellValues, spec: MetricSpec, labels: Sequence[str], *, level: float, mean: bool
) -> list[TwoLevel]:
    """Put patients and seeds together for each label and, if asked for, for the mean over labels."""
    named: list[tuple[str, Sequence[int]]] = [(label, [i]) for i, label in enumerate(labels)]
    if mean:
        named.append((MEAN, range(len(labels))))
    found = [(_two_level(label, spec, values, mine, level), mine) for label, mine in named]
    return [replace(row, caution=values.caution(_defined(values, mine))) for row, mine in found]


def _defined(values: CellValues, labels: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Mark the seeds and labels that have a value, shape (seeds, all labels)."""
    mask = np.zeros(values.value.shape, np.bool_)
    mask[:, list(labels)] = ~np.isnan(values.value[:, list(labels)])
    return mask


def _two_level(label: str, spec: MetricSpec, values: CellValues, labels: Sequence[int], level: float) -> TwoLevel:
    nan = float("nan")
    usable = list(np.flatnonzero(~np.isnan(values.value[:, list(labels)]).all(axis=0)))
    mine = [labels[int(i)] for i in usable]
    seeds = np.flatnonzero(~np.isnan(values.value[:, mine]).any(axis=1)) if mine else np.zeros(0, np.int64)

    def statistic(array: FloatArray) -> FloatArray:
        return np.asarray(array[..., seeds, :][..., mine].mean(axis=(-2, -1)))

    if not len(seeds):
        return TwoLevel(label, spec.name, nan, nan, nan, nan, nan, nan, nan, nan, 0, "no seed has a value")
    each = values.value[seeds][:, mine].mean(axis=1)
    value = float(each.mean())
    found = side(value, values.parts(statistic, mine), scale=scale_of(spec))
    sd = float(each.std(ddof=1)) if len(each) > 1 else nan
    if found is None or np.isnan(sd):
        reason = "one seed cannot show how much seeds matter" if len(each) < 2 else "too few patients"
        return TwoLevel(label, spec.name, value, nan, nan, nan, nan, nan, sd, nan, len(each), f"interval: {reason}")
    return _together(label, spec, value, found, sd, len(each), level)


def _together(label: str, spec: MetricSpec, value: float, found: Side, sd: float, n: int, level: float) -> TwoLevel:
    """Add both variances on the scale of the jackknife; degrees of freedom after Satterthwaite (1946)."""
    patients, seeds = found.error**2, sd**2 / n / found.slope**2
    total = patients + seeds
    if not total > 0:
        nan = float("nan")
        return TwoLevel(label, spec.name, value, value, value, 0.0, nan, nan, sd, nan, n)
    df = total**2 / (patients**2 / found.df + seeds**2 / (n - 1))
    reach = float(special.stdtrit(df, (1 + level) / 2) * np.sqrt(total))
    low, high = (float(end) for end in found.back([found.centre - reach, found.centre + reach]))
    error = float(np.sqrt(total)) * found.slope
    return TwoLevel(label, spec.name, value, low, high, error, patients / total, seeds / total, sd, df, n)
