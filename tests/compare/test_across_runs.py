"""Over settings: wins and losses, and ranks, go by the direction of the metric."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from xrbench import compare
from xrbench.compare.across_runs import rank_over_settings, signed_lines, signed_row
from xrbench.metrics import Better

A, B = [0.20, 0.21, 0.22, 0.23], [0.10, 0.21, 0.12, 0.33]


@pytest.mark.parametrize(("better", "expected"), [("higher", (1, 1, 2)), ("lower", (2, 1, 1))])
def test_wins_are_gains(better: Better, expected: tuple[float, float, float]) -> None:
    row = signed_row("b minus a", "Edema", A, B, 0.95, better=better)
    assert (row.wins, row.ties, row.losses) == expected
    assert row.difference == pytest.approx(-0.025)


def test_without_a_direction_nothing_is_won() -> None:
    row = signed_row("b minus a", "Edema", A, B, 0.95, better="neither")
    assert all(math.isnan(count) for count in (row.wins, row.ties, row.losses))
    assert row.p == signed_row("b minus a", "Edema", A, B, 0.95, better="higher").p
    assert " n/a " in signed_lines([row], "Holm")[2]


@pytest.mark.parametrize(("better", "first"), [("higher", "plain"), ("lower", "fancy")])
def test_rank_1_is_the_best(better: Better, first: str) -> None:
    table = pd.DataFrame({"plain": [0.2, 0.3, 0.25], "fancy": [0.1, 0.15, 0.2]})
    ranking = rank_over_settings(table, "Edema", better, 0.05).ranking
    assert ranking is not None
    assert (ranking.methods[0], ranking.mean_ranks[0]) == (first, 1.0)


def test_a_run_is_compared_in_the_direction_of_its_metric(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    """Fancy ranks better than plain in every setting, by AUC and by Brier's score."""
    folder = make_run(tmp_path, {"plain": 0.5, "fancy": 3.0})
    for metric, sign in (("auc", 1), ("brier", -1)):
        found = compare.run(folder, metric=metric, across=True, replicates=50)
        assert isinstance(found, compare.Comparison)
        (part,) = found.sections
        for row in part.signed:
            assert (row.wins, row.ties, row.losses) == (2, 0, 0), (metric, row.label)
            assert row.difference * sign > 0
        assert {one.ranking.methods[0] for one in found.ranks if one.ranking} == {"fancy"}
        assert {row.verdict for row in part.rows} == {"better"}
