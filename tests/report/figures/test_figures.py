"""Figures carry their numbers and their stamp, and the same numbers give the same files."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from xrbench import cards
from xrbench.compare.scores_io import check_scores
from xrbench.errors import StoreError
from xrbench.fixture_notice import STAMP
from xrbench.report.figures import overview
from xrbench.report.score_grid import Selection

Row = Callable[..., dict[str, Any]]


@pytest.fixture
def selection(score_row: Row, small_suite: cards.SuiteCard) -> Selection:
    """One setting inside and outside, one contaminated figure, one undefined."""
    rows = [
        score_row(0.7, low=0.6, high=0.8),
        score_row(0.9, low=0.85, high=0.95, protocol="internal", test="a"),
        score_row(math.nan, protocol="internal", test="b"),
        score_row(0.95, method="fancy", seen=True),
    ]
    return Selection(check_scores(pd.DataFrame(rows)), small_suite, "auc")


def log(epochs: int = 3) -> pd.DataFrame:
    ticks = range(1, epochs + 1)
    return pd.DataFrame(
        {"epoch": ticks, "train_loss": [1 / t for t in ticks], "valid_auc": [0.5 + t / 10 for t in ticks]}
    )


def text_of(svg: Path) -> str:
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg.read_text(encoding="utf-8")))


def test_the_forest_shows_every_defined_figure(selection: Selection, tmp_path: Path) -> None:
    paths = overview.forest(selection, tmp_path)
    assert [path.name for path in paths] == ["forest-auc.svg", "forest-auc.png", "forest-auc.csv"]
    numbers = pd.read_csv(paths[2])
    assert list(zip(numbers["protocol"], numbers["test"], numbers["value"], strict=True)) == [
        ("internal", "a", 0.9),
        ("external", "c", 0.7),
        ("external", "c", 0.95),
    ]
    assert list(numbers["seen"]) == [False, False, True]
    assert STAMP not in text_of(paths[0])


def test_synthetic_figures_are_stamped(selection: Selection, small_suite: cards.SuiteCard, tmp_path: Path) -> None:
    fixture = Selection(selection.scores.assign(data="FIXTURE"), small_suite, "auc")
    for svg, _, numbers in (
        overview.forest(fixture, tmp_path),
        overview.curves({"a/b": log()}, tmp_path, fixture=True),
    ):
        assert STAMP in text_of(svg)
        assert set(pd.read_csv(numbers)["stamp"]) == {STAMP}


def test_same_numbers_same_files(selection: Selection, tmp_path: Path) -> None:
    first, second = (overview.forest(selection, tmp_path / name) for name in ("one", "two"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_figures_are_black_and_white(selection: Selection, tmp_path: Path) -> None:
    paths = [*overview.forest(selection, tmp_path), *overview.curves({"a/b": log()}, tmp_path)]
    colours = {c for path in paths if path.suffix == ".svg" for c in re.findall(r"#[0-9a-f]{6}", path.read_text())}
    assert colours
    assert all(colour[1:3] == colour[3:5] == colour[5:7] for colour in colours)


def test_hostile_names_are_only_text(selection: Selection, tmp_path: Path) -> None:
    svg, *_ = overview.curves({"<script>x</script>/$\\bad{/y": log()}, tmp_path)
    assert "<script>" not in svg.read_text()
    assert "$\\bad{" in text_of(svg)


def test_many_fits_take_several_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "PANELS", 2)
    paths = overview.curves({f"fit/{i}": log() for i in range(3)}, tmp_path)
    assert [path.name for path in paths if path.suffix == ".csv"] == ["curves.csv", "curves-2.csv"]
    assert list(pd.read_csv(tmp_path / "curves-2.csv")["fit"]) == ["fit/2"] * 3


def test_nothing_measured_draws_nothing(selection: Selection, small_suite: cards.SuiteCard, tmp_path: Path) -> None:
    assert overview.forest(Selection(selection.scores.iloc[:0], small_suite, "auc"), tmp_path) == []
    assert overview.curves({"a": log(0)}, tmp_path) == []


def test_a_place_that_cannot_be_written_is_named(selection: Selection, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file: cannot be written"):
        overview.forest(selection, tmp_path / "file")
