"""Grid of the scores of one metric: lines of methods, columns of settings.

A *line* is a method with a model, a *column* is a setting (training, validation and test datasets). Each line, column and label has
one score a seed; the value of the grid is their mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from xrbench.cards import SuiteCard
from xrbench.fixture_notice import FIXTURE, STAMP
from xrbench.planning import setting_name, settings_of

MEAN = "mean"
Record = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """A method with a model."""

    method: str
    model: str


@dataclass(frozen=True)
class Column:
    """A setting: which datasets train, validate and test, the seeds that the suite gives it, and its training set's name."""

    train: str
    valid: str
    test: str
    seeds: tuple[int, ...] = ()
    configuration: str = ""

    @property
    def name(self) -> str:
        """Name the setting as the scores do."""
        return setting_name([self.train], self.valid, self.test, self.configuration)

    @property
    def trained_on(self) -> str:
        """Name the training datasets, behind the name of the training set if it has one."""
        return f"{self.configuration}: {self.train}" if self.configuration else self.train


@dataclass(frozen=True)
class Figure:
    """The value of one line, column and label: the mean over its seeds.

    Attributes:
        value: Mean over seeds; NaN when no seed has a value.
        low, high: The interval when there is one seed, else NaN.
        seeds: The seeds that were measured.
        sd: Sample standard deviation over seeds; NaN for one.
        seen: Whether the model's weights have seen the test dataset.
        rows: Its rows of the scores.
    """

    value: float
    low: float
    high: float
    seeds: tuple[int, ...]
    sd: float
    seen: bool
    rows: tuple[Record, ...] = field(repr=False, compare=False)

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return not math.isnan(self.value)


class Selection:
    """The scores of one metric by line, column, protocol and label.

    Args:
        scores: Tidy scores.
        suite: The suite, for the order of methods, settings and labels.
        metric: The metric.

    Attributes:
        lines, columns, labels: In the suite's order, then others that were measured.
        with_mean: The labels and, where there are several, ``mean``.
        fixture: Whether any of the scores come from synthetic images.
    """

    def __init__(self, scores: pd.DataFrame, suite: SuiteCard, metric: str) -> None:
        self.suite, self.metric = suite, metric
        named = scores if "configuration" in scores else scores.assign(configuration="")
        self.scores = named[named["metric"] == metric]
        self.lines = _lines(self.scores, suite)
        self.columns = _columns(self.scores, suite)
        self.labels = (*suite.labels, *_others(self.scores["label"], {*suite.labels, MEAN}))
        self.with_mean = (*self.labels, MEAN) if len(self.labels) != 1 else self.labels
        self.fixture = is_fixture(scores)
        self._rows: dict[tuple[str, ...], list[Record]] = {}
        for row in self.scores.to_dict("records"):
            key = (row["method"], row["model"], row["protocol"], row["label"])
            self._rows.setdefault(key, []).append({str(name): value for name, value in row.items()})

    @property
    def stamp(self) -> str:
        """The stamp that a table of these scores carries."""
        return STAMP if self.fixture else ""

    def external(self, line: Line, column: Column, label: str) -> Figure | None:
        """Return the figure on the column's test dataset, or None if it was not measured."""
        rows = self._of(line, "external", label)
        return _figure([row for row in rows if row["test"] == column.test and _trained(row, column)])

    def validation(self, line: Line, column: Column, label: str) -> Figure | None:
        """Return the figure on the validation images that chose the weights, or None."""
        rows = self._of(line, "validation", label)
        return _figure([row for row in rows if _trained(row, column) and _same_fit(row, column)])

    def internal(self, line: Line, column: Column, label: str) -> list[Figure]:
        """Return the figures on held-out patients of the training datasets, one a dataset."""
        tests: dict[str, list[Record]] = {}
        for row in self._of(line, "internal", label):
            if _trained(row, column) and _same_fit(row, column):
                tests.setdefault(row["test"], []).append(row)
        figures = (_figure(rows) for rows in tests.values())
        return [figure for figure in figures if figure is not None]

    def title(self, line: Line) -> str:
        """Name a line: the method, and the model where the method has several."""
        several = sum(other.method == line.method for other in self.lines) > 1
        return f"{line.method} ({line.model})" if several else line.method

    def _of(self, line: Line, protocol: str, label: str) -> list[Record]:
        return self._rows.get((line.method, line.model, protocol, label), [])


def is_fixture(scores: pd.DataFrame) -> bool:
    """Tell whether any of the scores come from synthetic images."""
    return bool((scores["data"] == FIXTURE).any())


def _lines(scores: pd.DataFrame, suite: SuiteCard) -> tuple[Line, ...]:
    lines = [
        Line(method, model) for method, model in scores[["method", "model"]].drop_duplicates().itertuples(index=False)
    ]
    order = {name: i for i, name in enumerate(suite.methods)}
    return tuple(sorted(lines, key=lambda line: order.get(line.method, len(order))))


def _columns(scores: pd.DataFrame, suite: SuiteCard) -> tuple[Column, ...]:
    """List the suite's settings in order, then any other that was measured; seeds of one setting share a column."""
    columns: dict[str, Column] = {}
    for setting in settings_of(suite.protocol):
        column = Column("+".join(setting.train), setting.valid, setting.test, (), setting.configuration)
        known = columns.get(column.name, column).seeds
        columns[column.name] = replace(column, seeds=(*known, setting.seed or 0))
    measured = scores[(scores["protocol"] == "external") & (scores["train"] != "")]
    names = ["train", "valid", "test", "configuration"]
    for train, valid, test, configuration in measured[names].drop_duplicates().itertuples(index=False):
        column = Column(train, valid, test, (), configuration)
        columns.setdefault(column.name, column)
    return tuple(columns.values())


def _others(values: Iterable[str], known: set[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value not in known))


def _trained(row: Record, column: Column) -> bool:
    """Tell whether a row has the column's training and validation datasets; a model used without training fits every column."""
    here = (row["configuration"], row["train"], row["valid"])
    return not row["train"] or here == (column.configuration, column.train, column.valid)


def _same_fit(row: Record, column: Column) -> bool:
    """Leave out fits that were made for another test dataset only, as their cell names say."""
    return "/without-" not in row["cell"] or row["setting"] == column.name


def _figure(rows: list[Record]) -> Figure | None:
    if not rows:
        return None
    defined = [row["value"] for row in rows if not math.isnan(row["value"])]
    alone = len(rows) == 1
    return Figure(
        value=float(np.mean(defined)) if defined else math.nan,
        low=rows[0]["low"] if alone else math.nan,
        high=rows[0]["high"] if alone else math.nan,
        seeds=tuple(int(row["seed"]) for row in rows),
        sd=float(np.std(defined, ddof=1)) if len(defined) > 1 else math.nan,
        seen=any(row["seen"] for row in rows),
        rows=tuple(rows),
    )
