"""The table of named training sets and the table of gaps, on cells whose AUCs can be counted by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xrbench import cards, statistics
from xrbench.rendering.table import Table
from xrbench.report.reported_values import Reported
from xrbench.report.run_folder import Run
from xrbench.report.tables.by_training_set import configurations, gaps

Make = Callable[..., Run]
Frames = Callable[..., pd.DataFrame]

TRUTH = [1, 1, 0, 0]
PERFECT, ONE_WRONG, HALF = [0.9, 0.8, 0.2, 0.1], [0.9, 0.3, 0.4, 0.1], [0.5, 0.5, 0.5, 0.5]
"""Of four pairs of a positive and a negative: 4, 3 and (all ties) 2 in the right order."""


def suite(**changes: Any) -> cards.SuiteCard:
    given: dict[str, Any] = {
        "title": "Two training sets",
        "name": "two",
        "labels": ("Edema", "Effusion"),
        "models": ("first", "second"),
        "methods": ("plain",),
        "protocol": cards.Protocol(
            kind="internal-external",
            external=("c",),
            configurations=(
                cards.Configuration(name="one", train=("a",)),
                cards.Configuration(name="both", train=("a", "b")),
            ),
        ),
    }
    return cards.SuiteCard(**{**given, **changes})


def layout(**changes: Any) -> cards.TableLayout:
    return cards.TableLayout(**{"name": "t", "kind": "configurations", "digits": 2, **changes})


def texts(table: Table | None) -> list[list[str]]:
    assert table is not None
    return [[cell.text for cell in row] for block in table.blocks for row in block]


@pytest.fixture
def four(findings: Frames) -> list[dict[str, Any]]:
    """Two networks, two training sets; what is not told apart here has an AUC of one half."""

    def cell(
        model: str, configuration: str, train: str, test: str, protocol: str, score: Sequence[float]
    ) -> dict[str, Any]:
        frame = findings(test.split("+")[0], Edema=(TRUTH, score), Effusion=(TRUTH, HALF))
        about = {"model": model, "configuration": configuration, "train": train, "test": test, "protocol": protocol}
        return {**about, "frame": frame}

    return [
        cell("second", "one", "a", "c", "external", HALF),
        cell("first", "both", "a+b", "c", "external", ONE_WRONG),
        cell("first", "both", "a+b", "a+b", "internal", PERFECT),
        cell("first", "one", "a", "c", "external", HALF),
        cell("first", "one", "a", "a", "internal", ONE_WRONG),
    ]


def test_rows_stand_in_the_suites_order_inside_before_outside(made_run: Make, four: list[dict[str, Any]]) -> None:
    table = configurations(made_run(suite(), four), layout())
    assert table is not None
    assert table.header[-1] == ("model", "training set", "trained on", "tested on", "Edema", "Effusion", "mean")
    rows = texts(table)
    assert [row[:4] for row in rows] == [
        ["first", "one", "a", "internal: a"],
        ["first", "one", "a", "external: c"],
        ["first", "both", "a+b", "internal: a+b"],
        ["first", "both", "a+b", "external: c"],
        ["second", "one", "a", "external: c"],
    ]
    # 3 of 4 pairs, 2 of 4, 4 of 4, 3 of 4, 2 of 4; the mean with the other label's half.
    assert [row[4].split()[0] for row in rows] == ["0.75", "0.50", "1.00", "0.75", "0.50"]
    assert [row[6].split()[0] for row in rows] == ["0.62", "0.50", "0.75", "0.62", "0.50"]


def test_several_seeds_are_a_mean_with_its_deviation(
    made_run: Make, four: list[dict[str, Any]], findings: Frames
) -> None:
    again = {**four[4], "seed": 1, "frame": findings("a", Edema=(TRUTH, PERFECT), Effusion=(TRUTH, HALF))}
    rows = texts(configurations(made_run(suite(), [*four, again]), layout()))
    # Mean of 0.75 and 1 with the sample deviation 0.125 x sqrt(2).
    assert rows[0][4] == "0.88 ± 0.18"


def test_training_images_are_called_so(made_run: Make, four: list[dict[str, Any]]) -> None:
    learned = [{**cell, "protocol": "resubstitution"} if cell["protocol"] == "internal" else cell for cell in four]
    table = configurations(made_run(suite(), learned), layout())
    assert texts(table)[0][3] == "training images: a"
    assert table is not None
    assert any("says nothing about other patients" in note for note in table.notes)
    assert gaps(made_run(suite(), learned), layout(kind="gaps")) is None


def test_nothing_measured_is_no_table(made_run: Make, four: list[dict[str, Any]]) -> None:
    assert configurations(made_run(suite(), four), layout(metric="brier")) is None
    assert gaps(made_run(suite(), four[:1]), layout(kind="gaps")) is None


def test_gaps_are_internal_minus_external(made_run: Make, four: list[dict[str, Any]]) -> None:
    table = gaps(made_run(suite(), four), layout(kind="gaps"))
    rows = texts(table)
    assert [row[:4] for row in rows] == [
        ["first", "one", "c", "Edema"],
        ["first", "one", "c", "Effusion"],
        ["first", "one", "c", "mean"],
        ["first", "both", "c", "Edema"],
        ["first", "both", "c", "Effusion"],
        ["first", "both", "c", "mean"],
    ]
    # 3/4 - 2/4 and 4/4 - 3/4; nothing for Effusion; half of it for the mean.
    assert [row[6] for row in rows] == ["+0.25", "+0.00", "+0.12", "+0.25", "+0.00", "+0.12"]


def test_gaps_have_the_intervals_and_adjusted_p_values_of_the_statistics(made_run: Make, findings: Frames) -> None:
    generator = np.random.default_rng(5)
    truth = generator.random((3, 150)) < 0.4
    frames = [
        findings(name, Edema=(truth[at], truth[at] * skill + generator.normal(size=150)))
        for at, (name, skill) in enumerate([("a", 2.0), ("b", 1.8), ("c", 0.8)])
    ]
    about = [("one", "a", "a", 0), ("two", "b", "b", 1)]
    cells = [
        {"configuration": name, "train": train, "test": test, "protocol": "internal", "frame": frames[at]}
        for name, train, test, at in about
    ] + [{"configuration": name, "train": train, "frame": frames[2]} for name, train, _, _ in about]
    run = made_run(suite(labels=("Edema",), models=("net",)), cells)
    rows = texts(gaps(run, layout(kind="gaps", digits=3)))
    expected = []
    for inside in frames[:2]:
        sides = [
            statistics.Cell(name, one[["truth:Edema"]], one[["score:Edema"]], one["patient_id"])
            for name, one in (("x", inside), ("y", frames[2]))
        ]
        expected.append(statistics.gap(sides[:1], sides[1:], labels=["Edema"], replicates=1)[0])
    assert [row[7] for row in rows] == [f"{one.low:+.3f} … {one.high:+.3f}" for one in expected]
    # Holm by hand: twice the smaller, at least that for the larger.
    small, large = sorted(one.p for one in expected)
    shown = {"<0.001" if p < 0.001 else f"{p:.2g}" for p in (2 * small, max(2 * small, large))}
    assert {row[8] for row in rows} == shown


def test_patients_of_two_hospitals_with_the_same_number_stay_two(made_run: Make, findings: Frames) -> None:
    generator = np.random.default_rng(8)
    truth = generator.random(120) < 0.5
    score = truth + generator.normal(size=120)
    twins = findings("a", Edema=(truth, score))
    pooled = twins.assign(dataset=np.where(np.arange(120) < 60, "a", "b"), patient_id=[str(n % 60) for n in range(120)])
    outside = findings("c", Edema=(truth, -score))
    cells = [{"protocol": "internal", "test": "a+b", "train": "a+b"}, {"train": "a+b"}]
    shown = []
    for inside in (twins, pooled, pooled.assign(patient_id=[str(n) for n in range(120)])):
        run = made_run(suite(labels=("Edema",)), [{**cells[0], "frame": inside}, {**cells[1], "frame": outside}])
        shown.append(texts(gaps(run, layout(kind="gaps", digits=4)))[0][7])
    assert shown[0] == shown[1] == shown[2]


@pytest.fixture
def dcnn(made_run: Make, paper_named: Callable[[str], Reported]) -> Callable[..., Run]:
    """Two figures of the first paper as if we had measured them exactly."""

    def run(*, fixture: bool) -> Run:
        paper = paper_named("internal-external-cxr")
        same = {
            "method": "adam-accumulate",
            "model": "densenet121-imagenet-rgb",
            "configuration": "configuration-3",
            "train": "chexpert+nih",
        }
        cells = []
        for protocol, test in (("internal", "nih+chexpert"), ("external", "mimic-test")):
            mine = paper.scores[(paper.scores["model"] == same["model"]) & (paper.scores["protocol"] == protocol)]
            mine = mine[mine["configuration"] == same["configuration"]]
            figures = [
                {"label": row["label"], "metric": "auc", "value": row["value"], "low": 0.5, "high": 0.9}
                for row in mine.to_dict("records")
            ]
            cells.append({**same, "protocol": protocol, "test": test, "scores": figures})
        labels = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Effusion")
        return made_run(suite(labels=labels, models=(same["model"],)), cells, paper=paper, fixture=fixture)

    return run


def test_the_papers_figures_stand_beside_ours(dcnn: Callable[..., Run]) -> None:
    table = configurations(dcnn(fixture=False), layout(digits=3))
    inside, outside = texts(table)
    assert inside[4:6] == ["0.878 (0.500-0.900) [0.878]", "0.900 (0.500-0.900) [0.900]"]
    assert outside[6] == "0.694 (0.500-0.900) [0.694]"
    assert table is not None
    assert any("arXiv:2007.05786" in note for note in table.notes)


def test_the_papers_figures_are_left_out_beside_synthetic_images(dcnn: Callable[..., Run]) -> None:
    table = configurations(dcnn(fixture=True), layout(digits=3))
    assert not any("[" in text for row in texts(table) for text in row)
    assert table is not None
    assert table.stamp.startswith("FIXTURE")
    assert any("these images are synthetic" in note for note in table.notes)


def test_which_sign_of_a_gap_is_a_loss_is_said(made_run: Make, four: list[dict[str, Any]]) -> None:
    run = made_run(suite(), four)
    for metric, said in (("auc", False), ("brier", True)):
        table = gaps(run, layout(kind="gaps", metric=metric))
        assert table is not None
        assert ("Lower is better: a gap below 0 is a loss on external images." in table.notes) == said
