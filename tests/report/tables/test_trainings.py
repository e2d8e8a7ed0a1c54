"""What fits took: a row a fit, a row a method and model where there are many, and nothing where nothing is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from xrbench import cards
from xrbench.rendering.table import Table
from xrbench.report.pages import leaderboard
from xrbench.report.run_folder import Run
from xrbench.report.tables import build

SUITE = cards.SuiteCard(title="Took", name="took", labels=("Edema",), methods=("child",))
LAYOUT = cards.TableLayout(name="trainings", kind="trainings")
FIGURE = {"label": "Edema", "metric": "auc", "value": 0.5, "low": 0.4, "high": 0.6}


def entry(method: str, seed: int, **changes: Any) -> dict[str, Any]:
    took = {
        "epochs": 10, "best_epoch": 8, "images_per_second": 50.04, "wall_seconds": 3725, "peak_memory": 1204.4,
        "threads": 2, "device": "CPU", "stopped": "epochs",
    }  # fmt: skip
    given: dict[str, Any] = {
        "name": f"{method}/net/a/seed-{seed}", "method": method, "model": "net", "train": ["a", "b"], "seed": seed,
        "stage": "training", "valid": "held-out", "training": took, "failed": "", "key": f"{method}-{seed}",
    }  # fmt: skip
    return {**given, **changes}


@pytest.fixture
def run_of(made_run: Callable[..., Run]) -> Callable[[list[dict[str, Any]]], Run]:
    def make(fits: list[dict[str, Any]]) -> Run:
        about = {"fits": fits, "profile_name": "quick", "data": "real"}
        return made_run(SUITE, [{"scores": [FIGURE]}], manifest=about)

    return make


def table(run: Run) -> Table:
    made = build.run_table(run, LAYOUT)
    assert made is not None
    return made


def rows(run: Run) -> list[list[str]]:
    return [[cell.text for cell in row] for block in table(run).blocks for row in block]


def test_each_fit_has_a_row_with_its_parent(run_of: Callable[..., Run]) -> None:
    parent = entry("pretext", 3, train=["c"], role="pretrain", stage="pre-training")
    child = entry("child", 3, parents=[parent["name"]], stage="fine-tuning", configuration="both")
    child["training"] = {"epochs": 6, "best_epoch": 4, "stopped": "patience", "images_per_second": 1250.0}
    assert rows(run_of([parent, child])) == [
        ["pretext", "net", "pretrain: c", "3", "pre-training", "–", "10 (8)", "50.0", "1:02:05", "1,204", "2", "CPU"],
        ["child", "net", "both: a+b", "3", "fine-tuning", "pretext, seed 3", "6 (4), stopped early", "1,250"]
        + ["–"] * 4,
    ]


def test_fits_that_are_not_finished_have_none(run_of: Callable[..., Run]) -> None:
    old = entry("child", 1)
    del old["training"]
    assert [row[3] for row in rows(run_of([entry("child", 0), old, entry("child", 2, training={})]))] == ["0"]
    assert build.run_table(run_of([old]), LAYOUT) is None


def test_of_many_fits_median_and_range_are_shown(run_of: Callable[..., Run]) -> None:
    fits = [entry("child", seed) for seed in range(31)]
    for one in fits:
        one["training"] = {**one["training"], "wall_seconds": 60 + one["seed"]}
    (row,) = rows(run_of(fits))
    # 31 values from 60 to 90 s: the middle one is 75 s
    assert row == [
        "child",
        "net",
        "training",
        "31",
        "10; kept 8",
        "50.0",
        "0:01:15 (0:01:00-0:01:30)",
        "1,204",
        "2",
        "CPU",
    ]
    assert len(rows(run_of(fits[:30]))) == 30


@pytest.mark.parametrize(("fits", "folded"), [(3, False), (28, True)])
def test_the_page_of_a_run_ends_with_them(run_of: Callable[..., Run], fits: int, folded: bool) -> None:
    run = run_of([entry("child", seed) for seed in range(fits)])
    page, _, end = leaderboard.page_of_run(run).partition("\n## Trainings\n\n")
    assert page
    assert end.startswith("<details>") is folded
    assert end.count("1:02:05") == fits
    assert end.endswith("\n")
    meta = leaderboard.meta_of(run.manifest, (), ())
    assert "Trainings" not in leaderboard.page(run, meta), "a leaderboard does not keep what its fits took"


def test_a_page_without_fits_has_no_such_table(run_of: Callable[..., Run]) -> None:
    assert "Trainings" not in leaderboard.page_of_run(run_of([]))
