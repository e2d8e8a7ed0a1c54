"""What a paper reported, joined by name, and the verdict on what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrbench import cards
from xrbench.catalogue import open_catalogue
from xrbench.errors import CardError
from xrbench.report.pages.reproduction import judged, reproduction, verdicts
from xrbench.report.reported_values import Reported, reported
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import Column, Line

FIRST = Column("nih+chexpert", "mimic", "padchest")


def test_figures_are_found_by_name(paper: Reported) -> None:
    line = Line("balanced-batching", "densenet121")
    found = paper.find(line, FIRST, "external", "Consolidation", "auc")
    assert found is not None
    assert (found["printed"], found["value"]) == ("0.84", 0.84)
    turned = paper.find(line, Column("chexpert+nih", "mimic", "padchest"), "external", "Consolidation", "auc")
    assert turned is not None
    mean = paper.find(line, None, "external", "Consolidation", "auc")
    assert mean is not None
    assert mean["printed"] == "0.80 ± 0.07"
    assert paper.find(line, Column("nih", "mimic", "padchest"), "external", "Consolidation", "auc") is None
    assert paper.find(Line("xrv-all", ""), FIRST, "validation", "mean", "auc") is None


def test_every_printed_row_is_there(paper: Reported) -> None:
    # Three blocks of six rows by six settings and a mean; the first row of the first block is not reported.
    assert len(paper.scores) == 3 * 6 * 7
    assert paper.scores["value"].isna().sum() == 7
    printed = paper.scores[(paper.scores["method"] == "random-batching") & (paper.scores["row"] == "Edema")]
    assert list(printed["printed"]) == ["0.94", "0.78", "0.70", "0.91", "0.90", "0.74", "0.83 ± 0.10"]
    totals = dict(zip(paper.datasets["dataset"], paper.datasets["total"], strict=True))
    assert totals == {"nih": "67310", "mimic": "96155", "padchest": "91658", "chexpert": "29420"}


def test_the_paper_reproduces_itself(
    paper: Reported, paper_scores: pd.DataFrame, six_settings: cards.SuiteCard
) -> None:
    compared = verdicts(paper_scores, six_settings, paper)
    assert set(compared["verdict"]) == {"reproduced"}
    assert len(compared) == 119


def test_verdicts(paper: Reported, paper_scores: pd.DataFrame, six_settings: cards.SuiteCard) -> None:
    scores = paper_scores.copy()
    mine = (scores["method"] == "balanced-batching") & (scores["label"] == "Edema")
    at = {test: scores.index[mine & (scores["setting"] == test)][0] for test in scores.loc[mine, "setting"]}
    near, differs, wide, undefined, missing, _ = at.values()
    scores.loc[near, ["value", "low", "high"]] += [-0.009, -0.013, -0.005]
    scores.loc[differs, ["value", "low", "high"]] += [-0.04, -0.04, -0.04]
    scores.loc[wide, ["low", "high"]] = [0.60, 0.99]
    scores.loc[undefined, "value"] = math.nan
    scores = scores.drop(index=missing)
    compared = verdicts(scores, six_settings, paper)
    compared = compared[(compared["method"] == "balanced-batching") & (compared["label"] == "Edema")]
    expected = ["near", "differs", "cannot tell", "not measured", "not measured", "reproduced", "not measured"]
    assert list(compared["verdict"]) == expected


@given(
    value=st.floats(0.05, 0.95),
    reported=st.floats(0.05, 0.95),
    half=st.floats(0.0001, 0.3),
    wider=st.floats(1, 5),
)
def test_a_wider_interval_never_decides_more(value: float, reported: float, half: float, wider: float) -> None:
    def at(half: float) -> str:
        return judged(*np.array([[reported], [value], [value - half], [value + half]]), tolerance=0.01)[0]

    if at(half) == "cannot tell":
        assert at(half * wider) == "cannot tell"
    if at(half * wider) == "reproduced":
        assert at(half) == "reproduced"


def test_errors_over_a_family_are_held() -> None:
    """Sixty figures at the edge of the tolerance: each kind of false verdict on any of them, in 2,000 runs of a family."""
    measured = 0.81 + 0.001 * np.random.default_rng(0).normal(size=(2000, 60))
    half = 1.959964 * 0.001
    words = [judged(np.full(60, 0.8), row, row - half, row + half, tolerance=0.01) for row in measured]
    # The one-sided 5 % for one kind, half of a two-sided 5 % for the other; three Monte Carlo errors of 0.5 and 0.35 %.
    assert np.mean(["reproduced" in family for family in words]) == pytest.approx(0.05, abs=0.015)
    assert np.mean(["differs" in family for family in words]) == pytest.approx(0.025, abs=0.011)


def test_what_does_not_reproduce_is_not_reproduced_by_few_patients() -> None:
    """Sixty AUCs of the size of a run on 173 phantoms, drawn far from and near to what was printed: nothing is reproduced."""
    rng = np.random.default_rng(1)
    reported = rng.uniform(0.65, 0.9, 60)
    measured = np.clip(reported + rng.normal(0, 0.06, 60), 0, 1)
    words = judged(reported, measured, measured - 0.09, measured + 0.09, tolerance=0.01)
    assert words.count("reproduced") == words.count("near") == 0
    assert words.count("cannot tell") >= 55


def test_synthetic_images_measure_nothing(
    paper: Reported, paper_scores: pd.DataFrame, six_settings: cards.SuiteCard
) -> None:
    table = reproduction(paper_scores.assign(data="FIXTURE"), six_settings, paper)
    assert {row[-1].text for block in table.blocks for row in block} == {"not measured"}
    assert table.stamp.startswith("FIXTURE")


def test_contaminated_figures_are_judged_like_the_papers(
    paper: Reported, paper_scores: pd.DataFrame, six_settings: cards.SuiteCard
) -> None:
    seen = paper_scores.assign(seen=paper_scores["method"] == "xrv-all")
    assert set(verdicts(seen, six_settings, paper)["verdict"]) == {"reproduced"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("a,b\n1,2\n", "t.csv: expected the columns"),
        (
            "dataset,total,used,pathologies,region\nNIHH,1,1,1,x\n",
            "'NIHH' is not among the datasets .* did you mean 'NIH'",
        ),
        (
            "method,row,setting,seed,train,valid,test,protocol,label,metric,value,sd\nM,r,1,0,NIH,NIH,NIH,external,mean,auc,o.9,\n",
            "t.csv: row 2, column 'value': expected a number, got 'o.9'",
        ),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(table)
    card = cards.PaperCard(
        title="t", cite="t", suite="t", datasets={"NIH": "nih"}, methods={"M": "m"}, tables={"t": "t.csv"}
    )
    with pytest.raises(CardError, match=message):
        reported(card, tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    card = cards.PaperCard(title="t", cite="t", suite="t", tables={"t": "no.csv"})
    with pytest.raises(CardError, match=r"no\.csv: cannot be read"):
        reported(card, tmp_path)


@pytest.fixture
def measured_as_printed(paper_named: Callable[[str], Reported], made_run: Callable[..., Run]) -> Callable[..., Run]:
    """A run of a paper with named training sets that measured exactly what the paper printed."""

    def run(name: str, *, change: Callable[[dict[str, Any]], dict[str, Any]] = lambda row: row) -> Run:
        paper = paper_named(name)
        suite = open_catalogue().suite(name)
        cells = []
        columns = ["method", "model", "configuration", "members", "train", "valid", "test", "protocol"]
        kept = paper.scores[paper.scores["value"].notna()].drop_duplicates([*columns, "label", "metric"])
        for values, part in kept.groupby(columns, sort=False):
            figures = [
                {
                    "label": row["label"],
                    "metric": row["metric"],
                    "value": row["value"],
                    "low": row["value"],
                    "high": row["value"],
                }
                for row in part.to_dict("records")
            ]
            cells.append(change({**dict(zip(columns, values, strict=True)), "scores": figures}))
        return made_run(suite, cells, paper=paper)

    return run


@pytest.mark.parametrize(("name", "figures"), [("internal-external-cxr", 60), ("vindr-to-chexpert", 20)])
def test_papers_with_named_training_sets_reproduce_themselves(
    measured_as_printed: Callable[..., Run], name: str, figures: int
) -> None:
    run = measured_as_printed(name)
    assert run.paper is not None
    compared = verdicts(run.scores, run.suite, run.paper)
    assert len(compared) == figures
    assert set(compared["verdict"]) == {"reproduced"}
    table = reproduction(run.scores, run.suite, run.paper)
    assert (
        table.notes[0]
        == f"{figures} reproduced, 0 near, 0 differs, 0 cannot tell, 0 not measured, of {figures} reported figures."
    )


def test_each_network_and_training_set_is_compared_with_its_own(measured_as_printed: Callable[..., Run]) -> None:
    def other(cell: dict[str, Any]) -> dict[str, Any]:
        return {**cell, "configuration": "configuration-9"} if cell["configuration"] == "configuration-2" else cell

    run = measured_as_printed("internal-external-cxr", change=other)
    assert run.paper is not None
    compared = verdicts(run.scores, run.suite, run.paper)
    missing = compared[compared["verdict"] == "not measured"]
    assert len(missing) == 20
    assert set(missing["setting"]) == {"configuration-2:nih>held-out>mimic-test", "configuration-2:nih>held-out>nih"}


def test_figures_on_training_images_are_compared_with_such_figures_only(
    measured_as_printed: Callable[..., Run],
) -> None:
    def held_out(cell: dict[str, Any]) -> dict[str, Any]:
        return {**cell, "protocol": "internal"} if cell["protocol"] == "resubstitution" else cell

    run = measured_as_printed("vindr-to-chexpert", change=held_out)
    assert run.paper is not None
    compared = verdicts(run.scores, run.suite, run.paper)
    learned = compared[compared["protocol"] == "resubstitution"]
    assert list(learned["printed"]) == ["92.26%", "95.04%"]
    assert set(learned["verdict"]) == {"not measured"}
    shown = {row[2].text for block in reproduction(run.scores, run.suite, run.paper).blocks for row in block}
    assert "training images accuracy all classes" in shown


def test_of_several_fits_the_mean_is_compared(
    measured_as_printed: Callable[..., Run], made_run: Callable[..., Run]
) -> None:
    run = measured_as_printed("vindr-to-chexpert")
    assert run.paper is not None
    single = (run.scores["members"] == 1) & (run.scores["protocol"] == "internal")
    row = run.scores[single].iloc[0]
    twins = [
        row.to_dict() | {"value": row["value"] + change, "seed": seed, "cell": f"{row['cell']}{seed}"}
        for seed, change in enumerate((-0.1, 0.1, 0.0))
    ]
    scores = pd.concat([run.scores[~single], pd.DataFrame(twins)], ignore_index=True)
    compared = verdicts(scores, run.suite, run.paper)
    mine = compared[(compared["protocol"] == "internal") & (compared["method"] == "sgd")].iloc[0]
    assert mine["measured"] == pytest.approx(0.6069)
    assert [mine["low"], mine["high"]] == pytest.approx([0.6069, 0.6069])
    assert mine["verdict"] == "reproduced"
    scores.loc[scores.index[-1], "low"] = math.nan
    compared = verdicts(scores, run.suite, run.paper)
    assert (
        compared[(compared["protocol"] == "internal") & (compared["method"] == "sgd")].iloc[0]["verdict"]
        == "cannot tell"
    )
