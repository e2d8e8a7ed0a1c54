"""What a paper reported, joined by name, and the verdict on what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from xrbench import cards
from xrbench.catalogue import open_catalogue
from xrbench.errors import CardError
from xrbench.report.pages.reproduction import reproduction, verdicts
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
    judged = verdicts(paper_scores, six_settings, paper)
    assert set(judged["verdict"]) == {"reproduced"}
    assert len(judged) == 119


def test_verdicts(paper: Reported, paper_scores: pd.DataFrame, six_settings: cards.SuiteCard) -> None:
    scores = paper_scores.copy()
    mine = (scores["method"] == "balanced-batching") & (scores["label"] == "Edema")
    at = {test: scores.index[mine & (scores["setting"] == test)][0] for test in scores.loc[mine, "setting"]}
    near, off, inside, undefined, missing, _ = at.values()
    scores.loc[near, "value"] -= 0.03
    scores.loc[off, "value"] -= 0.04
    scores.loc[inside, ["value", "low", "high"]] = [0.70, 0.60, 0.80]
    scores.loc[undefined, "value"] = math.nan
    scores = scores.drop(index=missing)
    judged = verdicts(scores, six_settings, paper)
    judged = judged[(judged["method"] == "balanced-batching") & (judged["label"] == "Edema")]
    expected = ["near", "off", "reproduced", "not measured", "not measured", "reproduced", "not measured"]
    assert list(judged["verdict"]) == expected


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
                    "low": math.nan,
                    "high": math.nan,
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
    judged = verdicts(run.scores, run.suite, run.paper)
    assert len(judged) == figures
    assert set(judged["verdict"]) == {"reproduced"}
    table = reproduction(run.scores, run.suite, run.paper)
    assert table.notes[0] == f"{figures} reproduced, 0 near, 0 off, 0 not measured, of {figures} reported figures."


def test_each_network_and_training_set_is_compared_with_its_own(measured_as_printed: Callable[..., Run]) -> None:
    def other(cell: dict[str, Any]) -> dict[str, Any]:
        return {**cell, "configuration": "configuration-9"} if cell["configuration"] == "configuration-2" else cell

    run = measured_as_printed("internal-external-cxr", change=other)
    assert run.paper is not None
    judged = verdicts(run.scores, run.suite, run.paper)
    missing = judged[judged["verdict"] == "not measured"]
    assert len(missing) == 20
    assert set(missing["setting"]) == {"configuration-2:nih>held-out>mimic-test", "configuration-2:nih>held-out>nih"}


def test_figures_on_training_images_are_compared_with_such_figures_only(
    measured_as_printed: Callable[..., Run],
) -> None:
    def held_out(cell: dict[str, Any]) -> dict[str, Any]:
        return {**cell, "protocol": "internal"} if cell["protocol"] == "resubstitution" else cell

    run = measured_as_printed("vindr-to-chexpert", change=held_out)
    assert run.paper is not None
    judged = verdicts(run.scores, run.suite, run.paper)
    learned = judged[judged["protocol"] == "resubstitution"]
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
    judged = verdicts(scores, run.suite, run.paper)
    mine = judged[(judged["protocol"] == "internal") & (judged["method"] == "sgd")].iloc[0]
    assert mine["measured"] == pytest.approx(0.6069)
    assert mine["verdict"] == "reproduced"
