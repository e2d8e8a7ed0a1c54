"""What is concluded of a method: not of the networks that were trained, but of what training anew would give.

``method_mean``, ``method_difference``, ``method_gap`` and ``difference_of_gaps`` let trainings and patients vary, see ``crossed``.
A training is a whole chain of fits. Cells that share a fit are of one training, in one setting or several, of one method or two;
weights that are given, such as published ones, have no training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.metric import Task
from xrbench.metrics.names import parse_as
from xrbench.statistics.generalization.cells import BoolArray, CellValues, cell_values
from xrbench.statistics.generalization.standard_prevalence import reference_shares, standard
from xrbench.statistics.inference.crossed import Crossed, covariance_of, crossed, over_groups
from xrbench.statistics.inference.training_groups import groups_of_settings, trainings_of
from xrbench.statistics.inference.verdicts import verdict
from xrbench.statistics.intervals.cautions import join_cautions
from xrbench.statistics.intervals.formulas import NOTHING
from xrbench.statistics.options import Resampling
from xrbench.statistics.predictions import Predictions, named
from xrbench.statistics.resampling.jackknife import freedom, influence
from xrbench.statistics.resampling.scale import UNBOUNDED, Scale, scale_of

ONE_TRAINING = "one training: how much another one would differ is not known"
CARRIED = "interval: one patient alone carries what a figure is made of"
GIVEN = "the weights are given: patients alone vary"


@dataclass(frozen=True, eq=False)
class TrainedCell:
    """Predictions of one training on one test set.

    Attributes:
        predictions: The predictions; those of one domain share their patients.
        chain: Names of the fits of the training, its own and those that it starts from; cells with a name in common are of one
            training. Empty for given weights.
        setting: Name of the setting: what is compared within it, and averaged over.
    """

    predictions: Predictions
    chain: tuple[str, ...] = ()
    setting: str = ""


@dataclass(frozen=True)
class MethodFigure:
    """A figure of methods: a mean, a difference, a gap, or a difference of gaps.

    Attributes:
        label: The label or class, ``mean``, or ``all classes``.
        metric: Name of the metric.
        sides: Mean of each side, in the order of the arguments.
        value: Of a mean its value; else side b minus a, or internal minus external.
        low, high: Interval over trainings and patients at ``level``.
        p: Two-sided p-value of 0; NaN for a mean.
        error: Standard error over trainings and patients.
        df: Its degrees of freedom.
        training_share: Part of the variance that trainings bring, 0..1.
        verdict: As for ``compare``; empty for a mean.
        level: Confidence level.
        over: What is repeated: ``trainings``, or ``settings`` where each was trained once; empty where all weights are given.
        n_trainings: Fewest trainings of a side in a setting, given weights apart.
        n_settings: Settings.
        n_cells: Cells.
        unit: ``patient`` or ``image``.
        reason: Why there is no interval; else empty.
        caution: What to know before trusting it; else empty.
        at: Of a gap of a metric that moves with prevalence, what both sides are standardised to; else empty.
        errors: The errors, from which other intervals follow; None where there is no interval.
    """

    label: str
    metric: str
    sides: tuple[float, ...]
    value: float
    low: float
    high: float
    p: float
    error: float
    df: float
    training_share: float
    verdict: str
    level: float
    over: str
    n_trainings: int
    n_settings: int
    n_cells: int
    unit: str
    reason: str = ""
    caution: str = ""
    at: str = ""
    errors: Crossed | None = field(default=None, repr=False, compare=False)


class Side(NamedTuple):
    """Cells whose mean enters a figure with a sign; sides of one pool are compared setting by setting."""

    sign: int
    pool: int
    cells: Sequence[TrainedCell]


class How(NamedTuple):
    """What is computed, as the public functions take it."""

    metric: str
    labels: Sequence[str] | None
    task: Task | None
    level: float
    margin: float
    threads: int | None


def method_mean(
    cells: Sequence[TrainedCell],
    *,
    metric: str = "auc",
    labels: Sequence[str] | None = None,
    task: Task | None = None,
    level: float = 0.95,
    threads: int | None = None,
) -> list[MethodFigure]:
    """Compute a method's mean over settings (each the mean over its trainings), for each label or class and their mean.

    Args:
        cells: The method's cells.
        metric: A metric of the task, such as ``"auc"``; see ``estimate``.
        labels: Names of the columns of every cell; None takes the cells' own.
        task: ``multilabel`` or ``multiclass``; None takes the cells' own.
        level: Confidence level, between 0 and 1.
        threads: Threads at most, None for all cores.

    Raises:
        MeasureError: There is no cell, or a row is not usable.
        UsageError: No such metric, or the level is out of range.

    >>> truth = [1, 1, 1, 0, 0, 0]
    >>> one, other = [0.9, 0.3, 0.5, 0.4, 0.6, 0.1], [0.9, 0.7, 0.5, 0.4, 0.6, 0.1]
    >>> cells = [TrainedCell(Predictions("here", truth, score), (str(n),)) for n, score in enumerate([one, other])]
    >>> row = method_mean(cells, labels=["Edema"])[0]
    >>> round(row.value, 3), row.n_trainings  # AUCs 6/9 and 8/9
    (0.778, 2)
    """
    return _figures([Side(1, 0, cells)], How(metric, labels, task, level, 0.0, threads), bounded=True)


def method_difference(
    a: Sequence[TrainedCell],
    b: Sequence[TrainedCell],
    *,
    metric: str = "auc",
    labels: Sequence[str] | None = None,
    task: Task | None = None,
    level: float = 0.95,
    margin: float = 0.0,
    threads: int | None = None,
) -> list[MethodFigure]:
    """Compare two methods, b minus a, in the settings that both have; arguments as for ``method_mean``.

    Args:
        a: The first method's cells.
        b: The second method's; the numbers of trainings may differ.
        metric: As there.
        labels: As there.
        task: As there.
        level: As there.
        threads: As there.
        margin: Smallest difference that matters, for non-inferiority and equivalence; 0 asks for superiority only.

    >>> truth, noise = [1, 1, 1, 0, 0, 0], [0.0, 0.1, -0.1]
    >>> def cells(base):
    ...     return [TrainedCell(Predictions("here", truth, [*base[:2], base[2] + x, *base[3:]]), (f"{base}{x}",)) for x in noise]
    >>> a, b = cells([0.9, 0.3, 0.5, 0.4, 0.6, 0.1]), cells([0.9, 0.7, 0.5, 0.4, 0.6, 0.1])
    >>> row = method_difference(a, b, labels=["Edema"])[0]
    >>> round(row.value, 3), row.n_trainings, row.verdict
    (0.222, 3, 'cannot tell')
    """
    return _figures([Side(-1, 0, a), Side(1, 0, b)], How(metric, labels, task, level, margin, threads))


def method_gap(
    internal: Sequence[TrainedCell],
    external: Sequence[TrainedCell],
    *,
    metric: str = "auc",
    labels: Sequence[str] | None = None,
    task: Task | None = None,
    level: float = 0.95,
    threads: int | None = None,
) -> list[MethodFigure]:
    """Compute a method's generalization gap, internal minus external; arguments as for ``method_mean``.

    Each side is a mean over its own settings, of the labels that have a value on both. A metric that moves with prevalence is taken at
    that of the internal images on both sides, as ``gap`` does.
    """
    sides = [Side(1, 0, internal), Side(-1, 1, external)]
    return _figures(sides, How(metric, labels, task, level, 0.0, threads))


def difference_of_gaps(
    a: tuple[Sequence[TrainedCell], Sequence[TrainedCell]],
    b: tuple[Sequence[TrainedCell], Sequence[TrainedCell]],
    *,
    metric: str = "auc",
    labels: Sequence[str] | None = None,
    task: Task | None = None,
    level: float = 0.95,
    threads: int | None = None,
) -> list[MethodFigure]:
    """Compare two methods' gaps, that of b minus that of a, each given by its internal and external cells."""
    sides = [Side(-1, 0, a[0]), Side(1, 1, a[1]), Side(1, 0, b[0]), Side(-1, 1, b[1])]
    return _figures(sides, How(metric, labels, task, level, 0.0, threads))


def _figures(sides: Sequence[Side], how: How, *, bounded: bool = False) -> list[MethodFigure]:
    """Compute one figure a label, then of their mean."""
    options = Resampling(level=how.level, threads=how.threads, replicates=0)
    cells = [cell for side in sides for cell in side.cells]
    given = named([cell.predictions for cell in cells], how.labels, how.task)
    spec = parse_as(given[0].task, how.metric)
    side = np.repeat(np.arange(len(sides)), [len(one.cells) for one in sides])
    is_gap = len({one.pool for one in sides}) > 1
    inside = [cell for cell, number in zip(given, side, strict=True) if sides[number].pool == 0]
    shares = reference_shares(inside, spec, None) if is_gap and spec.moves_with_prevalence else None
    values = cell_values(given, spec, options, shares=shares)
    figures = []
    for label, numbers in values.rows():
        figure = _Row(label, numbers, sides, values).figure(how, bounded=bounded)
        at = "" if shares is None else standard(spec, [shares[number] for number in numbers])
        figures.append(replace(figure, at=at))
    return figures


class _Row:
    """One label (or several) of all cells of all sides.

    Attributes:
        part: Weight of each label in the value of each cell, shape (cells, labels); rows of cells that take no part are 0.
        weight: Weight of each cell, shape (cells,).
        value: Value of each cell, shape (cells,); 0 for cells that take no part.
    """

    def __init__(self, label: str, numbers: Sequence[int], sides: Sequence[Side], values: CellValues) -> None:
        self.label, self.sides, self.values = label, sides, values
        self.cells = [cell for side in sides for cell in side.cells]
        self.side = np.repeat(np.arange(len(sides)), [len(side.cells) for side in sides])
        self.part, self.weight = self._weights(numbers)
        self.value = np.where(self.part > 0, values.value, 0.0)
        self.value = (self.value * self.part).sum(axis=1)

    @property
    def used(self) -> BoolArray:
        """Cells that take part, shape (cells,)."""
        return np.asarray(self.weight != 0)

    def figure(self, how: How, *, bounded: bool) -> MethodFigure:
        """Put the row together."""
        errors, over, reason = self._errors()
        value = float(self.weight @ self.value) if self.used.any() else float("nan")
        spec, known = self.values.spec, errors is not None
        low, high, p, words = *NOTHING, float("nan"), "cannot tell"
        if errors is not None:
            scale = scale_of(spec) if bounded else UNBOUNDED
            low, high = limits(errors, 1 - how.level, scale)
            p = errors.p()
            inner = errors.limits(2 * (1 - how.level))
            words = verdict(low, high, p=p, better=spec.better, margin=how.margin, level=how.level, inner=inner)
        total = errors.error**2 if errors is not None else float("nan")
        return MethodFigure(
            label=self.label,
            metric=spec.name,
            sides=self._means(),
            value=value,
            low=low,
            high=high,
            p=float("nan") if bounded else p,
            error=errors.error if errors is not None else float("nan"),
            df=errors.df if errors is not None else float("nan"),
            training_share=errors.of_trainings / total if errors is not None and total > 0 else float("nan"),
            verdict="" if bounded else words,
            level=how.level,
            over=over if known else "",
            n_trainings=self._fewest_trainings(),
            n_settings=len({self.cells[i].setting for i in np.flatnonzero(self.used)}),
            n_cells=int(self.used.sum()),
            unit=self.values.unit,
            reason=reason,
            caution=join_cautions(self.values.caution(self.part > 0), GIVEN if errors is not None and not over else ""),
            errors=errors,
        )

    def _weights(self, numbers: Sequence[int]) -> tuple[FloatArray, FloatArray]:
        """Weigh labels and cells: means over labels, then trainings, then settings, with the sign of the side."""
        defined = ~np.isnan(self.values.value)
        part, weight = np.zeros(self.values.value.shape), np.zeros(len(self.cells))
        places = self._places()
        # a label takes part in a setting where all cells of the setting have a value, and only if every pool has such a setting
        whole: dict[tuple[int, str], BoolArray] = {
            place: np.logical_and.reduce(defined[rows]) for place, rows in places.items()
        }
        pools = {side.pool for side in self.sides}
        anywhere = [np.any([has for (pool, _), has in whole.items() if pool == one], axis=0) for one in pools]
        if not all(np.ndim(has) for has in anywhere):
            return part, weight
        common: BoolArray = np.logical_and.reduce(np.stack(anywhere))
        kept = {place: [number for number in numbers if common[number] and has[number]] for place, has in whole.items()}
        settings = {pool: sum(bool(labels) for (of, _), labels in kept.items() if of == pool) for pool in pools}
        if not all(settings.values()):
            return part, weight
        for place, labels in kept.items():
            rows = places[place]
            part[np.ix_(rows, np.array(labels, np.int64))] = 1 / max(len(labels), 1)
            for number, side in enumerate(self.sides):
                mine = rows[self.side[rows] == number]
                if labels and len(mine):
                    weight[mine] = side.sign / len(mine) / settings[side.pool]
        return part, weight

    def _places(self) -> dict[tuple[int, str], npt.NDArray[np.int64]]:
        """Return (pool, setting) -> its cells, for settings that all sides of the pool have."""
        places: dict[tuple[int, str], list[int]] = {}
        for number, cell in enumerate(self.cells):
            places.setdefault((self.sides[self.side[number]].pool, cell.setting), []).append(number)
        sides = {pool: {n for n, side in enumerate(self.sides) if side.pool == pool} for pool, _ in places}
        return {
            place: np.array(rows) for place, rows in places.items() if set(self.side[rows].tolist()) == sides[place[0]]
        }

    def _errors(self) -> tuple[Crossed | None, str, str]:
        """Return the errors, what is repeated, and why there are none."""
        used = np.flatnonzero(self.used)
        if not len(used):
            return None, "", "no setting in which all sides have a value"
        chains = [self.cells[i].chain for i in used]
        training = trainings_of(chains)
        influences = self._influences()
        if influences is None:
            return None, "", CARRIED
        covariance = np.zeros((len(self.cells), len(self.cells)))
        for rows, shares, _ in influences:
            covariance[np.ix_(np.array(rows), np.array(rows))] = covariance_of(shares)
        df = freedom([shares @ self.weight[rows] for rows, shares, _ in influences], [of for _, _, of in influences])
        arguments = (self.value[used], self.weight[used], covariance[np.ix_(used, used)])
        types = self._types(used, training)
        errors = crossed(*arguments, training, types, df_patients=df)
        if not np.isnan(errors.error):
            return errors, "trainings" if types else "", ""
        if len(set(types)) == len(types):
            group = groups_of_settings([self.cells[i].setting for i in used], training)
            errors = over_groups(*arguments, group, df_patients=df)
            if not np.isnan(errors.error):
                return errors, "settings", ""
        return None, "", ONE_TRAINING

    def _types(self, used: npt.NDArray[np.int64], training: npt.NDArray[np.int64]) -> list[tuple[tuple[int, str], ...]]:
        """Name what each training takes part in: trainings of one type are repetitions of each other."""
        return [
            tuple(sorted((int(self.side[i]), self.cells[i].setting) for i in used[training == number]))
            for number in range(int(training.max(initial=-1)) + 1)
        ]

    def _influences(self) -> list[tuple[list[int], FloatArray, npt.NDArray[np.int64]]] | None:
        """Return cells, influences of shape (patients, cells) and strata of each domain; None where one is undefined."""
        found = []
        labels = np.flatnonzero((self.part > 0).any(axis=0))
        for domain in self.values.domains:
            part = self.part[domain.cells]
            left_out = (np.where(part > 0, domain.left_out, 0.0) * part).sum(axis=-1)
            if np.isnan(left_out).any() or len(left_out) < 2:
                return None
            alone = len(labels) == 1
            stratum = domain.stratum[:, labels[0]] if alone else np.zeros(len(left_out), np.int64)
            found.append((domain.cells, influence(left_out), stratum))
        return found

    def _means(self) -> tuple[float, ...]:
        means = []
        for number in range(len(self.sides)):
            mine = self.used & (self.side == number)
            weight = np.abs(self.weight[mine])
            means.append(float(weight @ self.value[mine] / weight.sum()) if mine.any() else float("nan"))
        return tuple(means)

    def _fewest_trainings(self) -> int:
        """Count the trainings of each side in each setting that takes part; return the smallest number."""
        by_place: dict[tuple[int, str], set[tuple[str, ...]]] = {}
        for i in np.flatnonzero(self.used):
            if self.cells[i].chain:
                by_place.setdefault((int(self.side[i]), self.cells[i].setting), set()).add(self.cells[i].chain)
        return min(map(len, by_place.values()), default=0)


def limits(errors: Crossed, significance: float, scale: Scale) -> tuple[float, float]:
    """Compute the interval of a figure, on the logit of its range where that is finite and the figure lies inside.

    >>> [round(end, 3) for end in limits(Crossed(0.9, 0.0009, 0.0, 1e9, 1e9), 0.05, Scale(0.0, 1.0))]
    [0.824, 0.945]
    """
    if not scale.holds(errors.value):
        return errors.limits(significance)
    centre, reach = float(scale.logit(errors.value)), errors.reach(significance) / scale.slope(errors.value)
    low, high = scale.expit([centre - reach, centre + reach])
    return float(low), float(high)
