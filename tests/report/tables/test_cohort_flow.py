"""Who stands on which side: counts from the manifest, and the paper's flowcharts beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from xrbench import cards
from xrbench.report.reported_values import Reported
from xrbench.report.run_folder import Run
from xrbench.report.tables.cohort_flow import splits

LAYOUT = cards.TableLayout(name="flow", kind="splits")
SUITE = cards.SuiteCard(title="Flow", name="flow", labels=("Cardiomegaly", "Edema"))


def side(split: str, images: int, **changes: Any) -> dict[str, Any]:
    given = {
        "configuration": "", "dataset": "nih", "seed": 0, "split": split, "images": images, "patients": images // 2,
        "male": 6, "female": 2, "positive": {"Cardiomegaly": 5, "Edema": 0}, "labelled": {"Cardiomegaly": 50, "Edema": 0},
    }  # fmt: skip
    return {**given, **changes}


def rows(run: Run) -> list[list[str]]:
    table = splits(run, LAYOUT)
    assert table is not None
    return [[cell.text for cell in row] for block in table.blocks for row in block]


@pytest.fixture
def run_of(made_run: Callable[..., Run]) -> Callable[..., Run]:
    figure = {"label": "Edema", "metric": "auc", "value": 0.5, "low": 0.4, "high": 0.6}
    return lambda sides, **more: made_run(SUITE, [{"scores": [figure]}], manifest={"splits": sides}, **more)


def test_each_side_stands_once_with_shares_by_hand(run_of: Callable[..., Run]) -> None:
    same = [side("train", 1200, configuration=name) for name in ("one", "both")]
    found = rows(run_of([side("all", 2000), *same, side("test", 800)]))
    # 6 of 8 patients are male; 5 of 50 labelled images are positive; nothing is known of Edema.
    assert found == [
        ["nih", "all", "2,000", "1,000", "75%", "25%", "5 (10.0%)", "–"],
        ["nih", "train", "1,200", "600", "75%", "25%", "5 (10.0%)", "–"],
        ["nih", "test", "800", "400", "75%", "25%", "5 (10.0%)", "–"],
    ]


def test_sides_that_differ_are_named(run_of: Callable[..., Run]) -> None:
    sides = [side("train", 100, configuration="full"), side("train", 80, configuration="part")]
    assert [row[1] for row in rows(run_of(sides))] == ["train, full", "train, part"]
    seeds = [side("train", 100, configuration="full", seed=seed) for seed in (0, 1)]
    seeds[1]["patients"] = 49
    assert [row[1] for row in rows(run_of(seeds))] == ["train, full and seed 0", "train, full and seed 1"]


def test_what_is_not_known_is_said(run_of: Callable[..., Run]) -> None:
    run = run_of(
        [side("all", 10, patients=None, male=None, female=None), side("all", 5, dataset="mimic", male=0, female=0)]
    )
    assert rows(run)[0][3:6] == ["–", "–", "–"]
    table = splits(run, LAYOUT)
    assert table is not None
    assert any("No patient ids: nih" in note for note in table.notes)
    assert any("No sexes: mimic." in note for note in table.notes)


def test_the_papers_flowchart_stands_beside_real_data_only(
    run_of: Callable[..., Run], paper_named: Callable[[str], Reported]
) -> None:
    paper = paper_named("internal-external-cxr")
    sides = [side("train", 80_657, patients=22_179, positive={"Cardiomegaly": 1944, "Edema": 1622})]
    real = rows(run_of(sides, paper=paper))[0]
    assert real[2:5] == ["80,657 [80,657]", "22,179 [22,179]", "75% [54%]"]
    assert real[7] == "– [1,622]"
    drawn = rows(run_of(sides, paper=paper, fixture=True))[0]
    assert not any("[" in text for text in drawn)


def test_a_run_without_sides_has_no_table(run_of: Callable[..., Run]) -> None:
    assert splits(run_of([]), LAYOUT) is None
