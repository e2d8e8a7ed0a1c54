"""One figure of methods: which cells take part with which weights, and the errors of their sum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.statistics.generalization.cells import BoolArray, CellValues
from xrbench.statistics.inference.crossed import Crossed, covariance_of, crossed, over_groups
from xrbench.statistics.inference.training_groups import groups_of_settings, trainings_of
from xrbench.statistics.inference.training_values import How, MethodFigure, Side
from xrbench.statistics.inference.verdicts import verdict
from xrbench.statistics.intervals.cautions import join_cautions
from xrbench.statistics.resampling.jackknife import freedom, influence
from xrbench.statistics.resampling.scale import UNBOUNDED, Scale, scale_of

ONE_TRAINING = "one training: how much another one would differ is not known"
CARRIED = "interval: one patient alone carries what a figure is made of"
GIVEN = "the weights are given: patients alone vary"


class TrainingRow:
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
        found, over, reason = self._errors()
        value, spec = float(self.weight @ self.value) if self.used.any() else np.nan, self.values.spec
        # without errors every figure of them is NaN
        errors = found or Crossed(value, np.nan, np.nan, np.nan, np.nan)
        low, high = limits(errors, 1 - how.level, scale_of(spec) if bounded else UNBOUNDED)
        p, inner, total = errors.p(), errors.limits(2 * (1 - how.level)), errors.error**2
        words = verdict(low, high, p=p, better=spec.better, margin=how.margin, level=how.level, inner=inner)
        return MethodFigure(
            label=self.label,
            metric=spec.name,
            sides=self._means(),
            value=value,
            low=low,
            high=high,
            p=np.nan if bounded else p,
            error=errors.error,
            df=errors.df,
            training_share=errors.of_trainings / total if total > 0 else np.nan,
            verdict="" if bounded else words,
            level=how.level,
            over=over,
            n_trainings=self._fewest_trainings(),
            n_settings=len({self.cells[i].setting for i in np.flatnonzero(self.used)}),
            n_cells=int(self.used.sum()),
            unit=self.values.unit,
            reason=reason,
            caution=join_cautions(self.values.caution(self.part > 0), GIVEN if found and not over else ""),
            errors=found,
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
