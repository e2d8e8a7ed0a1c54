"""Single fits and ensembles on training, held-out and external images, with accuracies that are counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from xrbench import cards
from xrbench.rendering.table import Table
from xrbench.report.reported_values import Reported
from xrbench.report.run_folder import Run
from xrbench.report.tables.multiclass import all_metrics, class_recall, multiclass_accuracy

Make = Callable[..., Run]
Frames = Callable[..., pd.DataFrame]
CLASSES = ("No Finding", "Cardiomegaly", "Effusion")
METRICS = ("accuracy", "macro-recall", "class-recall")
EVERYTHING = cards.SplitRule(kind="everything")


def suite(**changes: Any) -> cards.SuiteCard:
    given: dict[str, Any] = {
        "title": "Regimes",
        "name": "multiclass",
        "task": "multiclass",
        "labels": CLASSES,
        "models": ("net",),
        "methods": ("sgd", "sgd-ensemble"),
        "metrics": METRICS,
        "protocol": cards.Protocol(
            kind="internal-external",
            external=("c",),
            configurations=(
                cards.Configuration(name="full", train=("a",), valid="none", split=EVERYTHING),
                cards.Configuration(name="part", train=("a",), valid="none"),
            ),
        ),
    }
    return cards.SuiteCard(**{**given, **changes})


def layout(kind: str, **changes: Any) -> cards.TableLayout:
    return cards.TableLayout(**{"name": "t", "kind": kind, "metric": "accuracy", "digits": 2, **changes})


def texts(table: Table | None) -> list[list[str]]:
    assert table is not None
    return [[cell.text for cell in row] for block in table.blocks for row in block]


@pytest.fixture
def cells(exclusive: Frames) -> list[dict[str, Any]]:
    """Ten images of each test: so many are right of each."""
    truth = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2]

    def called(wrong: int) -> list[int]:
        return [(label + 1) % 3 if at < wrong else label for at, label in enumerate(truth)]

    made = []
    for configuration, inside, mistakes in (("full", "resubstitution", (1, 2, 0)), ("part", "internal", (4, 5, 3))):
        for method, members, seeds in (("sgd", 1, (0, 1)), ("sgd-ensemble", 2, (0,))):
            for seed in seeds:
                wrong = mistakes[2] if members > 1 else mistakes[seed]
                about = {"method": method, "members": members, "seed": seed, "configuration": configuration}
                made.append(
                    {**about, "test": "a", "protocol": inside, "frame": exclusive("a", CLASSES, truth, called(wrong))}
                )
                made.append({**about, "frame": exclusive("c", CLASSES, truth, called(wrong + 3))})
    return made


def test_each_kind_of_test_has_columns_of_its_own(made_run: Make, cells: list[dict[str, Any]]) -> None:
    table = multiclass_accuracy(made_run(suite(), cells), layout("multiclass"))
    assert table is not None
    assert [title for title, _ in table.groups] == [
        "",
        "on its own training images",
        "on held-out images of the training datasets",
        "on another dataset",
    ]
    assert table.header[0][2:] == ("a, 10 images", "a, 10 images", "c, 10 images")
    values = [[text.split(" (")[0] for text in row[1:]] for row in texts(table)]
    assert values == [
        ["sgd, seed 0", "0.90", "–", "0.60"],
        ["sgd, seed 1", "0.80", "–", "0.50"],
        ["sgd, mean of 2 fits", "0.85 ± 0.07", "–", "0.55 ± 0.07"],
        ["sgd-ensemble, ensemble of 2", "1.00", "–", "0.70"],
        ["sgd, seed 0", "–", "0.60", "0.30"],
        ["sgd, seed 1", "–", "0.50", "0.20"],
        ["sgd, mean of 2 fits", "–", "0.55 ± 0.07", "0.25 ± 0.07"],
        ["sgd-ensemble, ensemble of 2", "–", "0.70", "0.40"],
    ]
    assert any("never set against the others" in note for note in table.notes)
    assert not any(cell.best for block in table.blocks for row in block for cell in row)


def test_without_training_images_nothing_is_said_of_them(made_run: Make, cells: list[dict[str, Any]]) -> None:
    table = multiclass_accuracy(
        made_run(suite(), [cell for cell in cells if cell["configuration"] == "part"]), layout("multiclass")
    )
    assert table is not None
    assert not any("training images" in note for note in table.notes)


def test_recall_of_each_class_with_how_often_it_was_learned(made_run: Make, cells: list[dict[str, Any]]) -> None:
    sides = [
        {
            "configuration": "full",
            "dataset": "a",
            "seed": 0,
            "split": "train",
            "positive": dict(zip(CLASSES, (6, 3, 1), strict=True)),
        }
    ]
    found = texts(class_recall(made_run(suite(), cells, manifest={"splits": sides}), layout("class-recall")))
    # The ensemble of "full" is wrong on the first 3 images outside, all of the first class: 2 of 5, 3 of 3, 2 of 2.
    assert [row[1] for row in found[:3]] == ["sgd-ensemble, ensemble of 2", "images trained on", "images tested on"]
    assert [text.split(" (")[0] for text in found[0][2:]] == ["0.70", "0.40", "1.00", "1.00"]
    assert found[1][2:] == ["10", "6 (60.0%)", "3 (30.0%)", "1 (10.0%)"]
    assert found[2][2:] == ["10", "5 (50.0%)", "3 (30.0%)", "2 (20.0%)"]
    # Nothing is known of how "part" was learned.
    assert [row[1] for row in found[3:]] == ["sgd-ensemble, ensemble of 2", "images tested on"]


def test_fits_are_shown_where_there_is_no_ensemble(made_run: Make, cells: list[dict[str, Any]]) -> None:
    single = [cell for cell in cells if cell["members"] == 1 and cell["configuration"] == "full"]
    found = texts(class_recall(made_run(suite(), single), layout("class-recall")))
    assert [row[1] for row in found] == ["sgd, seed 0", "sgd, seed 1", "images tested on"]


def test_all_metrics_over_all_classes(made_run: Make, cells: list[dict[str, Any]]) -> None:
    table = all_metrics(made_run(suite(), cells), layout("all-metrics"), protocols=["internal"])
    assert table is not None
    assert table.header[0] == ("tested", "training set", "output", "accuracy", "macro recall")
    ensemble = texts(table)[-1]
    # 3 of the first class wrong: accuracy 7/10, recalls 2/5, 1, 1.
    assert [text.split(" (")[0] for text in ensemble[3:]] == ["0.70", "0.80"]
    assert len(texts(table)) == 4


def test_suites_of_several_findings_have_none_of_these_tables(made_run: Make, findings: Frames) -> None:
    run = made_run(
        cards.SuiteCard(title="t", name="t", labels=("Edema",)), [{"frame": findings("c", Edema=([1, 0], [0.9, 0.1]))}]
    )
    for block, kind in (
        (multiclass_accuracy, "multiclass"),
        (class_recall, "class-recall"),
        (all_metrics, "all-metrics"),
    ):
        assert block(run, layout(kind)) is None


def test_the_papers_figures_stand_beside_the_mean_and_the_ensemble(
    made_run: Make, cells: list[dict[str, Any]], paper_named: Callable[[str], Reported]
) -> None:
    names = {"full": "full-data", "part": "val-split"}
    same = {"model": "resnet18-imagenet-rgb", "train": "vindr"}
    where = {"a": "vindr", "c": "chexpert-frontal"}
    ours = [
        {**cell, **same, "configuration": names[cell["configuration"]], "test": where[cell.get("test", "c")]}
        for cell in cells
    ]
    ours = [{**cell, "members": 3} if cell["members"] > 1 else cell for cell in ours]
    paper = paper_named("vindr-to-chexpert")
    rows = texts(multiclass_accuracy(made_run(suite(), ours, paper=paper), layout("multiclass")))
    assert [row[2].rpartition(" ")[2] for row in rows[2:4]] == ["[92.26%]", "[95.04%]"]
    assert rows[3][4].endswith("[26.58%]")
    assert [row[3].rpartition(" ")[2] for row in rows[6:]] == ["[60.69%]", "[63.34%]"]
    # A single seed is not what the paper prints; nothing is printed for single models on CheXpert.
    assert not any("[" in text for text in rows[0])
    assert "[" not in rows[2][4]
    recall = texts(class_recall(made_run(suite(), ours, paper=paper), layout("class-recall")))
    assert recall[0][3].endswith("[90%]")
    synthetic = texts(multiclass_accuracy(made_run(suite(), ours, paper=paper, fixture=True), layout("multiclass")))
    assert not any("[" in text for row in synthetic for text in row)
