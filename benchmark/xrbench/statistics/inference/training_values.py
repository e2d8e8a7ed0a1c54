"""Predictions of trainings, and the figures of methods that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from xrbench.metrics.metric import Task
from xrbench.statistics.inference.crossed import Crossed
from xrbench.statistics.predictions import Predictions


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
