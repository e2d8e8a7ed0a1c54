"""Named training sets, multi-class labels and ensembles, from the command line to the scores."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from xrbench.runs import store

if TYPE_CHECKING:
    from tests.cli.conftest import Lab

pytestmark = pytest.mark.train

CLASSES = """
title = "Two exclusive findings"
task = "multiclass"
labels = ["Effusion", "Edema"]
models = ["tiny-net"]
methods = ["members", "together"]
metrics = ["accuracy", "macro-recall", "class-recall", "auc"]
[classes]
rule = "exactly-one"
[protocol]
kind = "internal-external"
external = ["west"]
seeds = [0, 1, 2]
configurations = [
  { name = "all", train = ["east"], valid = "none", split = { kind = "everything" } },
  { name = "split", train = ["east"], valid = "none", split = { test_fraction = 0.3, stratify = true, seed = 0 } },
]
[profiles.quick]
image_size = 32
epochs = 1
batch_size = 8
threads = 1
"""
PAIR = """
title = "One hospital, the other, both"
labels = ["Effusion", "Edema"]
models = ["tiny-net"]
methods = ["plain"]
[protocol]
kind = "internal-external"
external = ["north"]
configurations = [
  { name = "one", train = ["east"] },
  { name = "two", train = ["west"] },
  { name = "both", train = ["east", "west"] },
]
[profiles.quick]
image_size = 32
epochs = 1
batch_size = 8
threads = 1
split = { test_fraction = 0.3, valid_fraction = 0.3, seed = 0 }
"""
METHODS = {
    "members": 'title = "Members"\nobjective = "cross-entropy"\nselection = "last"\noptimiser = { block = "sgd", lr = 0.01 }',
    "together": 'title = "Together"\nensemble = "members"',
}


def add(lab: Lab, suite: str, text: str, **methods: str) -> None:
    (lab.catalogue / "registry" / "suites" / f"{suite}.toml").write_text(text)
    for name, card in {**METHODS, **methods}.items():
        (lab.catalogue / "registry" / "methods" / f"{name}.toml").write_text(card)


def options(lab: Lab, suite: str, *more: str) -> list[str]:
    given = ("--suite", suite, "--catalogue", lab.catalogue, "--data-root", lab.data, "--out", lab.out)
    return [str(option) for option in (*given, *more)]


def cells_of(lab: Lab, suite: str) -> tuple[Path, dict[str, dict[str, object]]]:
    folder = next((lab.out / suite).iterdir())
    return folder, {entry["cell"]: entry for entry in json.loads((folder / store.MANIFEST).read_text())["cells"]}


def predictions(folder: Path, entry: dict[str, object]) -> pd.DataFrame:
    return store.read_predictions(folder / str(entry["file"]))[0]


def relabel(lab: Lab, hospital: str, change: Callable[[dict[str, str]], None]) -> None:
    path = lab.data / hospital / "labels.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        change(row)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def classes(first_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    add(first_lab, "classes", CLASSES)
    lab = type(first_lab)(first_lab.catalogue, first_lab.data, tmp_path_factory.mktemp("classes"))
    assert lab.invoke("run", *options(lab, "classes", "--quiet")) == 0
    return lab


def test_an_ensemble_is_the_mean_of_what_its_members_stored(classes: Lab) -> None:
    folder, cells = cells_of(classes, "classes")
    members = [entry for entry in cells.values() if entry["method"] == "members"]
    together = [entry for entry in cells.values() if entry["method"] == "together"]
    assert len(json.loads((folder / store.MANIFEST).read_text())["fits"]) == 6, "an ensemble trains nothing"
    assert len(together) == 4
    assert {entry["members"] for entry in together} == {3}
    for entry in together:
        same = [
            predictions(folder, one)
            for one in members
            if (one["configuration"], one["test"]) == (entry["configuration"], entry["test"])
        ]
        assert len(same) == 3
        found = predictions(folder, entry)
        for label in ("Effusion", "Edema"):
            mean = np.mean([one[f"score:{label}"] for one in same], axis=0, dtype=np.float64)
            np.testing.assert_allclose(found[f"score:{label}"], mean, rtol=1e-12)


def test_scores_of_classes_are_those_of_scikit_learn(classes: Lab) -> None:
    folder, cells = cells_of(classes, "classes")
    scores = pd.read_csv(folder / store.SCORES)
    for name, entry in cells.items():
        frame = predictions(folder, entry)
        truth = frame[["truth:Effusion", "truth:Edema"]].to_numpy().argmax(axis=1)
        score = frame[["score:Effusion", "score:Edema"]].to_numpy()
        np.testing.assert_allclose(score.sum(axis=1), 1, atol=1e-5)
        mine = scores[scores["cell"] == name].set_index(["label", "metric"])["value"]
        called = score.argmax(axis=1)
        assert mine["all classes", "accuracy"] == pytest.approx(sk.accuracy_score(truth, called))
        assert mine["all classes", "macro-recall"] == pytest.approx(sk.balanced_accuracy_score(truth, called))
        recall = sk.recall_score(truth, called, average=None)
        assert mine["Edema", "class-recall"] == pytest.approx(recall[1])
        assert mine["Edema", "auc"] == pytest.approx(sk.roc_auc_score(truth == 1, score[:, 1]))


def test_what_is_measured_on_training_images_is_called_so(classes: Lab) -> None:
    folder, cells = cells_of(classes, "classes")
    kinds = {(str(entry["configuration"]), str(entry["protocol"])) for entry in cells.values()}
    assert kinds == {
        ("all", "resubstitution"),
        ("all", "external"),
        ("split", "internal"),
        ("split", "external"),
    }
    inside = {
        entry["configuration"]: set(predictions(folder, entry)["image"])
        for entry in cells.values()
        if entry["test"] == "east"
    }
    fits = json.loads((folder / store.MANIFEST).read_text())["fits"]
    trained = {entry["configuration"]: entry["images"]["train"]["east"] for entry in fits}
    assert len(inside["all"]) == trained["all"]
    assert len(inside["split"]) == len(inside["all"]) - trained["split"]
    assert inside["split"] < inside["all"]


def test_a_second_run_of_classes_does_nothing(classes: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert classes.invoke("plan", *options(classes, "classes")) == 0
    said = capsys.readouterr().out
    assert "together: 4 cells, each the mean of 3 stored predictions of members; no training" in said
    assert "nothing is left to train" in said


def test_configurations_share_their_splits(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    add(lab, "pair", PAIR)
    assert lab.invoke("plan", *options(lab, "pair")) == 0
    said = capsys.readouterr().out
    for name in ("east", "west"):
        number = {"east": "one", "west": "two"}[name]
        assert f"{name}: the same 16 images are held out for configurations {number}, both" in said
    assert lab.invoke("run", *options(lab, "pair", "--quiet")) == 0
    folder, cells = cells_of(lab, "pair")
    held = {entry["test"]: predictions(folder, entry) for entry in cells.values() if entry["protocol"] == "internal"}
    assert set(held) == {"east", "west", "east+west"}
    pooled = held["east+west"].groupby("dataset")["image"].apply(set)
    assert pooled["east"] == set(held["east"]["image"])
    assert pooled["west"] == set(held["west"]["image"])
    splits = pd.DataFrame(json.loads((folder / store.MANIFEST).read_text())["splits"])
    whole = splits[splits["split"] == "all"].set_index("dataset")["images"]
    both = splits[(splits["configuration"] == "both") & (splits["dataset"] == "east")]
    assert both["images"].sum() == whole["east"] == 48


def only_edema(row: dict[str, str]) -> None:
    row["Effusion"], row["Edema"] = "0", "1"


@pytest.mark.parametrize(
    ("suite", "methods", "hospital", "words"),
    [
        (CLASSES, {}, "east", ["class 'Effusion' has no training image in east (all)", "in west"]),
        (
            CLASSES,
            {"members": 'title = "Members"\nobjective = "cross-entropy"'},
            "",
            ["method members", "configuration 'all'", 'selection = "last"'],
        ),
        (
            CLASSES,
            {"members": 'title = "Members"\nselection = "last"'},
            "",
            ["method members", "'masked-bce'", "'cross-entropy'"],
        ),
        (
            CLASSES,
            {"members": 'title = "Members"\nensemble = "together"'},
            "",
            ["ensemble", "is not trained itself"],
        ),
        (CLASSES.replace('rule = "exactly-one"', "caps = { wset = 3 }"), {}, "", ["classes.caps", "'wset'", "'west'"]),
        (CLASSES.replace('"accuracy"', '"acuracy"'), {}, "", ["classes.toml", "'acuracy'", "'accuracy'"]),
        (CLASSES.replace('external = ["west"]', ""), {}, "", ["protocol.external", "at least one"]),
        (CLASSES.replace('name = "split"', 'name = "all"'), {}, "", ["configurations", "'all' stands twice"]),
        (PAIR.replace('external = ["north"]', 'external = ["east"]'), {}, "", ["'east' stands twice"]),
        (PAIR.replace('kind = "internal-external"', ""), {}, "", ["protocol.configurations", "internal-external"]),
    ],
)
def test_what_cannot_be_is_one_line(
    lab: Lab, said: Callable[[], str], suite: str, methods: dict[str, str], hospital: str, words: list[str]
) -> None:
    add(lab, "classes", suite, **methods)
    if hospital:
        relabel(lab, hospital, only_edema)
    assert lab.invoke("plan", *options(lab, "classes")) == 3
    message = said().strip()
    assert len(message.splitlines()) == 1, message
    for word in words:
        assert word in message


def test_a_class_that_only_the_training_set_has_is_said(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    add(lab, "classes", CLASSES)
    relabel(lab, "west", only_edema)
    assert lab.invoke("plan", *options(lab, "classes")) == 0
    assert "but none in west: it cannot be judged there" in capsys.readouterr().out


def test_methods_of_exclusive_classes_are_compared(classes: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    folder, cells = cells_of(classes, "classes")
    where = ["--only", "configuration=split", "--metric", "accuracy", "--replicates", "100", "--json"]
    assert classes.invoke("compare", folder, "--methods", "together,members", *where) == 0
    (row,) = json.loads(capsys.readouterr().out)["sections"][0]["rows"]
    outside = {
        name: predictions(folder, entry)
        for name, entry in cells.items()
        if entry["configuration"] == "split" and entry["protocol"] == "external"
    }
    accuracy = {
        name: np.mean(
            frame[["score:Effusion", "score:Edema"]].to_numpy().argmax(axis=1)
            == frame[["truth:Effusion", "truth:Edema"]].to_numpy().argmax(axis=1)
        )
        for name, frame in outside.items()
    }
    single = np.mean([value for name, value in accuracy.items() if name.startswith("members")])
    together = np.mean([value for name, value in accuracy.items() if name.startswith("together")])
    assert row["label"] == "all classes"
    assert row["cells"] == 3, "the ensemble faces the cell of every seed"
    assert row["difference"] == pytest.approx(together - single)


def test_a_metric_that_classes_do_not_have_is_one_line(classes: Lab, said: Callable[[], str]) -> None:
    folder, _ = cells_of(classes, "classes")
    assert classes.invoke("compare", folder, "--methods", "together,members", "--metric", "recall@specificity=0.9") == 3
    assert "recall" in said()
