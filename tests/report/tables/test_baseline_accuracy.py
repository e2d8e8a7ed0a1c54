"""What guessing would get and which classes are taken for which, counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from xrbench import cards
from xrbench.errors import UnknownNameError
from xrbench.rendering.table import Table
from xrbench.report.reported_values import Reported
from xrbench.report.run_folder import Run
from xrbench.report.tables.baseline_accuracy import baseline_accuracy, confusion

Make = Callable[..., Run]
Frames = Callable[..., pd.DataFrame]
CLASSES = ("No Finding", "Cardiomegaly")
SUITE = cards.SuiteCard(
    title="Guessing",
    name="guessing",
    task="multiclass",
    labels=CLASSES,
    methods=("sgd", "sgd-ensemble"),
    metrics=("accuracy",),
)
TRUTH, CALLED = [0, 0, 0, 1], [0, 1, 0, 1]
LEARNED = {
    "splits": [
        {
            "configuration": "one",
            "dataset": "a",
            "seed": 0,
            "split": "train",
            "positive": {"No Finding": 60, "Cardiomegaly": 40},
        }
    ]
}


def layout(kind: str) -> cards.TableLayout:
    return cards.TableLayout(name="t", kind=kind, digits=3)


def texts(table: Table | None) -> list[list[str]]:
    assert table is not None
    return [[cell.text for cell in row] for block in table.blocks for row in block]


@pytest.fixture
def cells(exclusive: Frames) -> list[dict[str, Any]]:
    return [{"method": "sgd", "frame": exclusive("c", CLASSES, TRUTH, CALLED)}]


def test_guesses_by_hand(made_run: Make, cells: list[dict[str, Any]]) -> None:
    found = texts(baseline_accuracy(made_run(SUITE, cells, manifest=LEARNED), layout("baseline-accuracy")))
    # q = 3/4, 1/4; p = 0.6, 0.4: 1/2, 9/16 + 1/16, 0.45 + 0.1, and 3/4 for always "No Finding". 3 of 4 are right.
    assert found == [["one", "c, on another dataset", "4", "0.500", "0.625", "0.550", "0.750", "0.750 (sgd)"]]


def test_class_counts_stand_below(made_run: Make, cells: list[dict[str, Any]]) -> None:
    table = baseline_accuracy(made_run(SUITE, cells, manifest=LEARNED), layout("baseline-accuracy"))
    assert table is not None
    assert "one, trained on: No Finding 60, Cardiomegaly 40." in table.notes
    assert "c, on another dataset: No Finding 3, Cardiomegaly 1." in table.notes


def test_without_counts_of_the_training_set_its_guesses_are_missing(
    made_run: Make, cells: list[dict[str, Any]]
) -> None:
    assert texts(baseline_accuracy(made_run(SUITE, cells), layout("baseline-accuracy")))[0][3:7] == [
        "0.500",
        "0.625",
        "–",
        "–",
    ]


def test_the_papers_guesses_stand_beside_ours(
    made_run: Make, exclusive: Frames, paper_named: Callable[[str], Reported]
) -> None:
    frame = exclusive("chexpert-frontal", CLASSES, TRUTH, CALLED)
    cells: list[dict[str, Any]] = [{"test": "chexpert-frontal", "train": "vindr", "frame": frame}]
    inside = {"test": "vindr", "train": "vindr", "frame": frame.assign(dataset="vindr")}
    cells += [{**inside, "protocol": protocol} for protocol in ("resubstitution", "internal")]
    for cell, name in zip(cells, ("one", "one", "two"), strict=True):
        cell["configuration"] = name
    found = texts(
        baseline_accuracy(
            made_run(SUITE, cells, manifest=LEARNED, paper=paper_named("vindr-to-chexpert")),
            layout("baseline-accuracy"),
        )
    )
    shown = {row[1].partition(",")[0] + " " + row[1].split()[2]: row[4] for row in found}
    assert shown["chexpert-frontal another"] == "0.625 [0.231]"
    assert shown["vindr its"] == "0.625 [0.217]"
    # The paper's guess is about all of its images, not about those held out.
    assert shown["vindr held-out"] == "0.625"


def test_the_table_of_confusions_counts_images(made_run: Make, cells: list[dict[str, Any]]) -> None:
    table = confusion(made_run(SUITE, cells), layout("confusion"))
    assert texts(table) == [
        ["No Finding", "2", "1", "3", "0.667"],
        ["Cardiomegaly", "0", "1", "1", "1.000"],
        ["all", "2", "2", "4", "0.750"],
    ]
    assert table is not None
    assert "one, sgd, net: c, on another dataset" in table.caption


def test_the_ensemble_is_shown_where_there_is_one(
    made_run: Make, cells: list[dict[str, Any]], exclusive: Frames
) -> None:
    both = [*cells, {"method": "sgd-ensemble", "members": 2, "frame": exclusive("c", CLASSES, TRUTH, TRUTH)}]
    assert texts(confusion(made_run(SUITE, both), layout("confusion")))[-1][-1] == "1.000"
    assert texts(confusion(made_run(SUITE, both), layout("confusion"), method="sgd"))[-1][-1] == "0.750"
    assert texts(baseline_accuracy(made_run(SUITE, both), layout("baseline-accuracy")))[0][-1] == "1.000 (sgd-ensemble)"


def test_what_the_suite_names_and_the_run_has_not_measured_is_no_table(
    made_run: Make, cells: list[dict[str, Any]]
) -> None:
    import msgspec

    protocol = cards.Protocol(
        kind="internal-external", external=("c",), configurations=(cards.Configuration(name="other", train=("a",)),)
    )
    run = made_run(msgspec.structs.replace(SUITE, protocol=protocol), cells)
    assert confusion(run, layout("confusion"), configuration="other") is None
    assert confusion(run, layout("confusion"), method="sgd-ensemble") is None


def test_names_that_are_not_there(made_run: Make, cells: list[dict[str, Any]]) -> None:
    run = made_run(SUITE, cells)
    with pytest.raises(UnknownNameError, match="configuration 'won'; did you mean 'one'"):
        confusion(run, layout("confusion"), configuration="won")
    with pytest.raises(UnknownNameError, match="did you mean 'external'"):
        confusion(run, layout("confusion"), protocol="extern")
    assert confusion(run, layout("confusion"), protocol="internal") is None


def test_runs_of_several_findings_have_neither(made_run: Make, findings: Frames) -> None:
    run = made_run(
        cards.SuiteCard(title="t", name="t", labels=("Edema",)), [{"frame": findings("c", Edema=([1, 0], [0.9, 0.1]))}]
    )
    assert baseline_accuracy(run, layout("baseline-accuracy")) is None
    assert confusion(run, layout("confusion")) is None
