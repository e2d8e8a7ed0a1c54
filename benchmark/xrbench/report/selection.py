"""Find the figures of a table's cell among the tidy scores.

A *line* is a method with a model, a *column* is a setting (training, validation and test datasets); between them stand
one figure for each label, or one for each seed, which are then averaged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from xrbench.cards import SuiteCard
from xrbench.compare.results import FIXTURE
from xrbench.compare.results import STAMP as STAMP
from xrbench.planning import settings_of

MEAN = "mean"


@dataclass(frozen=True)
class Line:
    """A method with a model."""

    method: str
    model: str


@dataclass(frozen=True)
class Column:
    """A setting: which datasets train, validate and test, and the seeds that the suite gives it."""

    train: str
    valid: str
    test: str
    seeds: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Name the setting as the scores do."""
        return f"{self.train}>{self.valid}>{self.test}"


@dataclass(frozen=True)
class Figure:
    """What was measured for one line, column and label: the mean over its seeds, with what must be said about it.

    Attributes:
        value: Mean over seeds; NaN when no seed has a value.
        low, high: The interval when there is one seed, else NaN.
        seeds: The seeds that were measured.
        sd: Sample standard deviation over seeds; NaN for one.
        seen: Whether the model's weights have seen the test dataset.
        rows: The scores it comes from.
    """

    value: float
    low: float
    high: float
    seeds: tuple[int, ...]
    sd: float
    seen: bool
    rows: pd.DataFrame = field(repr=False, compare=False)

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return not math.isnan(self.value)


class Selection:
    """The scores of one metric, found by line, column, protocol and label.

    Args:
        scores: Tidy scores.
        suite: The suite, for the order of methods, settings and labels.
        metric: The metric.
    """

    def __init__(self, scores: pd.DataFrame, suite: SuiteCard, metric: str) -> None:
        self.suite, self.metric = suite, metric
        self.scores = scores[scores["metric"] == metric]
        self.lines = _lines(self.scores, suite)
        self.columns = _columns(self.scores, suite)
        self.labels = (*suite.labels, *_others(self.scores["label"], {*suite.labels, MEAN}))
        self.fixture = is_fixture(scores)
        self._rows: Mapping[tuple[str, ...], pd.DataFrame] = {
            tuple(map(str, key)): rows for key, rows in self.scores.groupby(["method", "model", "protocol", "label"])
        }

    @property
    def stamp(self) -> str:
        """The stamp that a table of these scores carries."""
        return STAMP if self.fixture else ""

    def external(self, line: Line, column: Column, label: str) -> Figure | None:
        """Return the figure on the column's test dataset, or None if it was not measured."""
        rows = self._of(line, "external", label)
        rows = rows[(rows["test"] == column.test) & _trained(rows, column)]
        return _figure(rows)

    def validation(self, line: Line, column: Column, label: str) -> Figure | None:
        """Return the figure on the validation images that chose the weights, or None."""
        rows = self._of(line, "validation", label)
        return _figure(rows[_trained(rows, column) & _same_fit(rows, column)])

    def internal(self, line: Line, column: Column, label: str) -> list[Figure]:
        """Return the figures on held-out patients of the training datasets, one a dataset."""
        rows = self._of(line, "internal", label)
        rows = rows[_trained(rows, column) & _same_fit(rows, column)]
        figures = (_figure(part) for _, part in rows.groupby("test", sort=False))
        return [figure for figure in figures if figure is not None]

    def title(self, line: Line) -> str:
        """Name a line: the method, and the model where the method has several."""
        several = sum(other.method == line.method for other in self.lines) > 1
        return f"{line.method} ({line.model})" if several else line.method

    def _of(self, line: Line, protocol: str, label: str) -> pd.DataFrame:
        return self._rows.get((line.method, line.model, protocol, label), self.scores.iloc[:0])


def is_fixture(scores: pd.DataFrame) -> bool:
    """Tell whether any of the scores come from synthetic images."""
    return bool((scores["data"] == FIXTURE).any())


def _lines(scores: pd.DataFrame, suite: SuiteCard) -> tuple[Line, ...]:
    found = [
        Line(method, model) for method, model in scores[["method", "model"]].drop_duplicates().itertuples(index=False)
    ]
    order = {name: i for i, name in enumerate(suite.methods)}
    return tuple(sorted(found, key=lambda line: order.get(line.method, len(order))))


def _columns(scores: pd.DataFrame, suite: SuiteCard) -> tuple[Column, ...]:
    """List the suite's settings in order, then any other that was measured; seeds of one setting share a column."""
    columns: dict[str, Column] = {}
    for setting in settings_of(suite.protocol):
        column = Column("+".join(setting.train), setting.valid, setting.test)
        known = columns.get(column.name, column).seeds
        columns[column.name] = Column(column.train, column.valid, column.test, (*known, setting.seed or 0))
    measured = scores[(scores["protocol"] == "external") & (scores["train"] != "")]
    for train, valid, test in measured[["train", "valid", "test"]].drop_duplicates().itertuples(index=False):
        column = Column(train, valid, test)
        columns.setdefault(column.name, column)
    return tuple(columns.values())


def _others(values: Iterable[str], known: set[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value not in known))


def _trained(rows: pd.DataFrame, column: Column) -> pd.Series:
    """Keep rows of the column's training and validation datasets; a model used as it comes has none and fits each column."""
    return (rows["train"] == "") | ((rows["train"] == column.train) & (rows["valid"] == column.valid))


def _same_fit(rows: pd.DataFrame, column: Column) -> pd.Series:
    """Leave out fits that were made for another test dataset only, as their cell names say."""
    guarded = rows["cell"].str.contains("/without-", regex=False)
    return ~guarded | (rows["setting"] == column.name)


def _figure(rows: pd.DataFrame) -> Figure | None:
    if rows.empty:
        return None
    values = rows["value"].to_numpy(dtype=float)
    defined = values[~np.isnan(values)]
    alone = len(rows) == 1
    return Figure(
        value=float(defined.mean()) if len(defined) else math.nan,
        low=float(rows["low"].iloc[0]) if alone else math.nan,
        high=float(rows["high"].iloc[0]) if alone else math.nan,
        seeds=tuple(int(seed) for seed in rows["seed"]),
        sd=float(np.std(defined, ddof=1)) if len(defined) > 1 else math.nan,
        seen=bool(rows["seen"].any()),
        rows=rows,
    )
