"""What is concluded of a method: not of the networks that were trained, but of what training anew would give.

``method_mean``, ``method_difference``, ``method_gap`` and ``difference_of_gaps`` let trainings and patients vary, see ``crossed``.
A training is a whole chain of fits. Cells that share a fit are of one training, in one setting or several, of one method or two;
weights that are given, such as published ones, have no training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xrbench.metrics.metric import Task
from xrbench.metrics.names import parse_as
from xrbench.statistics.generalization.cells import cell_values
from xrbench.statistics.generalization.standard_prevalence import reference_shares, standard
from xrbench.statistics.inference.training_rows import TrainingRow
from xrbench.statistics.inference.training_values import How, MethodFigure, Side, TrainedCell
from xrbench.statistics.options import Resampling
from xrbench.statistics.predictions import named


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

    >>> from xrbench.statistics import Predictions
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

    >>> from xrbench.statistics import Predictions
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

    >>> from xrbench.statistics import Predictions
    >>> def cells(domain, scores):
    ...     return [TrainedCell(Predictions(domain, [1, 1, 0, 0], score), (str(n),)) for n, score in enumerate(scores)]
    >>> internal = cells("here", [[0.9, 0.8, 0.2, 0.1], [0.9, 0.3, 0.4, 0.1]])
    >>> external = cells("there", [[0.9, 0.3, 0.4, 0.1], [0.9, 0.1, 0.4, 0.2]])
    >>> row = method_gap(internal, external, labels=["Edema"])[0]
    >>> row.sides, row.value, row.n_trainings  # AUCs 1 and 3/4 inside, 3/4 and 1/2 outside
    ((0.875, 0.625), 0.25, 2)
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
    """Compare two methods' gaps, that of b minus that of a, each given by its internal and external cells.

    >>> from xrbench.statistics import Predictions
    >>> def cells(name, domain, scores):
    ...     return [TrainedCell(Predictions(domain, [1, 1, 0, 0], score), (f"{name}{n}",)) for n, score in enumerate(scores)]
    >>> good, fair, poor = [0.9, 0.8, 0.2, 0.1], [0.9, 0.3, 0.4, 0.1], [0.9, 0.1, 0.4, 0.2]
    >>> a = cells("a", "here", [good, good]), cells("a", "there", [fair, fair])
    >>> b = cells("b", "here", [good, good]), cells("b", "there", [fair, poor])
    >>> difference_of_gaps(a, b, labels=["Edema"])[0].value  # gaps 1/4, and 1 - (3/4 + 1/2) / 2
    0.125
    """
    sides = [Side(-1, 0, a[0]), Side(1, 1, a[1]), Side(1, 0, b[0]), Side(-1, 1, b[1])]
    return _figures(sides, How(metric, labels, task, level, 0.0, threads))


def _figures(sides: Sequence[Side], how: How, *, bounded: bool = False) -> list[MethodFigure]:
    """Compute one figure a label, then of their mean."""
    options = Resampling(level=how.level, threads=how.threads, replicates=0)
    cells = [cell for side in sides for cell in side.cells]
    given = named([cell.predictions for cell in cells], how.labels, how.task)
    spec = parse_as(given[0].task, how.metric)
    pools = [side.pool for side in sides for _ in side.cells]
    inside = [cell for cell, pool in zip(given, pools, strict=True) if pool == 0]
    is_gap = len(set(pools)) > 1
    shares = reference_shares(inside, spec, None) if is_gap and spec.moves_with_prevalence else None
    values = cell_values(given, spec, options, shares=shares)
    figures = []
    for label, numbers in values.rows():
        figure = TrainingRow(label, numbers, sides, values).figure(how, bounded=bounded)
        at = "" if shares is None else standard(spec, [shares[number] for number in numbers])
        figures.append(replace(figure, at=at))
    return figures
