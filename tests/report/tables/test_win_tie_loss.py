"""Wins and losses go by the direction of the metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pandas as pd
import pytest

from xrbench import cards
from xrbench.metrics import Better
from xrbench.report.score_grid import Selection
from xrbench.report.tables.win_tie_loss import outcomes, wins_table

Row = Callable[..., dict[str, Any]]


def selection(score_row: Row, suite: cards.SuiteCard, metric: str, **values: tuple[float, float]) -> Selection:
    """The figures of two methods in two settings, one label."""
    rows = []
    for method, both in values.items():
        for (train, test), value in zip((("a+b", "c"), ("a+c", "b")), both, strict=True):
            rows.append(score_row(value, method=method, train=train, test=test, label="Edema", metric=metric))
    one = msgspec.structs.replace(suite, labels=("Edema",), metrics=(metric,))
    return Selection(pd.DataFrame(rows), one, metric)


def counted(made: Selection) -> list[str]:
    return [row[-1].text for block in wins_table(made, "fancy", "plain").blocks for row in block]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("auc", "0/0/2"),
        ("brier", "2/0/0"),
        ("expected-calibration-error", "2/0/0"),
        ("mcc@threshold=0.5", "0/0/2"),
        ("calibration-slope", "–"),
    ],
)
def test_a_smaller_figure_wins_where_lower_is_better(
    score_row: Row, small_suite: cards.SuiteCard, metric: str, expected: str
) -> None:
    made = selection(score_row, small_suite, metric, plain=(0.2, 0.2), fancy=(0.1, 0.1))
    assert counted(made) == [expected]


def test_a_tie_is_one_in_every_direction(score_row: Row, small_suite: cards.SuiteCard) -> None:
    for metric in ("auc", "brier"):
        assert counted(selection(score_row, small_suite, metric, plain=(0.2, 0.2), fancy=(0.2, 0.2001))) == ["0/2/0"]


def test_the_direction_is_said_where_it_is_not_the_usual_one(score_row: Row, small_suite: cards.SuiteCard) -> None:
    said = {}
    for metric in ("auc", "brier", "calibration-slope"):
        made = selection(score_row, small_suite, metric, plain=(0.2, 0.2), fancy=(0.1, 0.1))
        said[metric] = wins_table(made, "fancy", "plain").notes[1:]
    assert said["auc"] == ()
    assert said["brier"] == ("Lower is better: a difference below 0 is a win.",)
    assert said["calibration-slope"] == ("Neither higher nor lower is better: nothing is won or lost.",)


@pytest.mark.parametrize(("better", "expected"), [("higher", (1, 1, 2)), ("lower", (2, 1, 1))])
def test_outcomes(better: Better, expected: tuple[int, int, int]) -> None:
    assert outcomes([0.06, 0.0, -0.02, -0.03, None], better) == expected
