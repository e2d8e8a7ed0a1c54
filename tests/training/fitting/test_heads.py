"""Fits with several heads, and with none that has truth."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, roc_auc_score

from xrbench.cards import Head, Recipe, Selection
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import CardError, TrainingError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.components import heads as head_columns  # noqa: E402
from xrbench.training.fitting.checkpoint import FitFolder  # noqa: E402
from xrbench.training.fitting.dry_run import dry_run  # noqa: E402
from xrbench.training.fitting.epoch_validation import evaluate_objective, validate  # noqa: E402
from xrbench.training.fitting.fit import fit  # noqa: E402
from xrbench.training.fitting.initial import random_network  # noqa: E402
from xrbench.training.fitting.loop import Loop  # noqa: E402
from xrbench.training.fitting.validation import run_network  # noqa: E402
from xrbench.training.prediction.predict import Predictor, predict  # noqa: E402

Make = Callable[..., Recipe]
CPU = torch.device("cpu")
SEX = Head(name="sex", kind="binary", column="sex", values=("F", "M"), weight=0.5)
PATTERN = Head(name="pattern", kind="classes", column="pattern", values=("plain", "striped"))
AGE = Head(name="age", kind="regression", column="age", scale=50.0)
LABELS = Head(name="labels", kind="labels")
VIEWS = Head(name="views", kind="none")
FOUR = (SEX, LABELS, PATTERN, AGE)
PRETEXT: dict[str, Any] = {
    "heads": (VIEWS,),
    "sampler": "mylab_blocks:two_views",
    "objective": "mylab_blocks:Similar",
    "selection": Selection(head="views", metric="loss"),
    "augmentation": ({"block": "affine", "degrees": 10.0, "translate": 0.1}, "horizontal-flip"),
}


def joint(loop: Loop) -> Any:
    """Return the objective of all groups."""
    return loop.objective.joint


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_columns_are_those_of_the_heads_in_the_cards_order(recipe: Make) -> None:
    made = recipe(heads=(*FOUR, VIEWS))
    assert head_columns.columns(made) == {
        "sex": slice(0, 1),
        "labels": slice(1, 3),
        "pattern": slice(3, 5),
        "age": slice(5, 6),
    }
    assert head_columns.outputs(made) == 6
    assert head_columns.outputs(recipe(**PRETEXT)) == 0
    assert random_network(made).state_dict()["9.weight"].shape == (6, 16)


def test_every_head_learns_and_its_figures_are_scikit_learns(
    recipe: Make, images: Any, metadata: Any, tmp_path: Path
) -> None:
    made = recipe(heads=FOUR, epochs=8, selection=Selection(head="age", metric="mae"))
    valid = metadata(images(100, 3))
    done = fit(made, metadata(images(300, 1)), valid, key="k", folder=tmp_path)
    log = rows(done.log)
    network = random_network(made)
    network.load_state_dict(FitFolder(tmp_path, key="k", recipe=made).weights())
    loop = Loop(made, valid, device=CPU)
    outputs = run_network(network, valid, iter([np.arange(100)]), loop.pixels).astype(float)
    row = log[done.best_epoch - 1]
    known = ~np.isnan(valid.truth[:, 1])
    stripes = valid.truth[known, 1]
    expected = {
        "sex.valid_auc": roc_auc_score(stripes, outputs[known, 0]),
        "sex.valid_accuracy": accuracy_score(stripes, outputs[known, 0] > 0),
        "sex.valid_loss": log_loss(stripes, 1 / (1 + np.exp(-outputs[known, 0]))),
        "pattern.valid_accuracy": accuracy_score(stripes, outputs[known, 3:5].argmax(1)),
        "valid_auc:Stripes": roc_auc_score(stripes, outputs[known, 2]),
        "age.valid_mae": mean_absolute_error(valid.targets["age"], 50 * outputs[:, 5]),
    }
    assert {name: float(row[name]) for name in expected} == pytest.approx(expected, rel=1e-4)
    total = (
        0.5 * float(row["sex.valid_loss"])
        + float(row["labels.valid_loss"])
        + float(row["pattern.valid_loss"])
        + float(row["age.valid_loss"])
    )
    assert float(row["valid_loss"]) == pytest.approx(total, rel=1e-6)
    assert done.figure == "age mae"
    assert done.best_value == pytest.approx(min(float(row["age.valid_mae"]) for row in log), rel=1e-6)
    spread = float(np.abs(valid.targets["age"] - np.median(valid.targets["age"])).mean())
    assert done.best_value < spread / 2
    assert min(float(row[f"{head}.valid_auc"]) for head in ("sex", "pattern")) > 0.9
    assert float(row["valid_auc"]) > 0.9


def test_only_the_labels_are_predicted(recipe: Make, images: Any, metadata: Any, tmp_path: Path) -> None:
    made = recipe(heads=FOUR, epochs=1)
    done = fit(made, metadata(images(60, 1)), metadata(images(40, 3)), key="k", folder=tmp_path)
    unseen = images(20, 4)
    predictor = Predictor(made, folder=done.folder, key="k")
    outputs = run_network(predictor.network, unseen, iter([np.arange(20)]), predictor.pixels)
    assert predict(made, unseen, folder=done.folder, key="k") == pytest.approx(1 / (1 + np.exp(-outputs[:, 1:3])))
    classes = replace_task(made)
    found = Predictor(classes, folder=done.folder, key="k")(unseen)
    powers = np.exp(outputs[:, 1:3])
    assert found == pytest.approx(powers / powers.sum(1, keepdims=True), rel=1e-5)


def replace_task(recipe: Recipe) -> Recipe:
    from msgspec.structs import replace as changed

    return changed(recipe, task="multiclass")


@pytest.mark.parametrize(
    ("head", "metric", "largest"), [("sex", "auc", True), ("age", "mae", False), ("sex", "loss", False)]
)
def test_an_epoch_is_selected_by_any_heads_figure(
    head: str, metric: Any, largest: bool, recipe: Make, pair: ImageSet, valid: ImageSet, metadata: Any, tmp_path: Path
) -> None:
    made = recipe(
        heads=FOUR,
        epochs=6,
        selection=Selection(head=head, metric=metric),
        optimiser={"block": "adam", "lr": 0.3},
        patience=3,
    )
    done = fit(made, metadata(pair), metadata(valid), key="k", folder=tmp_path)
    values = [float(row[f"{head}.valid_{metric}"]) for row in rows(done.log)]
    assert done.best_epoch == 1 + int(np.argmax(values) if largest else np.argmin(values))
    assert done.best_value == pytest.approx(max(values) if largest else min(values), rel=1e-6)


def test_a_fit_of_metadata_alone_needs_no_labels(recipe: Make, images: Any, metadata: Any, tmp_path: Path) -> None:
    made = recipe(heads=(AGE,), epochs=4, selection=Selection(head="age", metric="mae"), labels=())
    train, valid = (
        replace(metadata(images(*given)), truth=np.empty((given[0], 0), np.float32)) for given in ((200, 1), (60, 3))
    )
    done = fit(made, train, valid, key="k", folder=tmp_path)
    log = rows(done.log)
    assert float(log[-1]["train_loss"]) < float(log[0]["train_loss"]) / 2
    assert not [name for name in log[0] if "auc" in name]
    with pytest.raises(CardError, match="method mine: heads: none of kind 'labels'"):
        Predictor(made, folder=tmp_path, key="k")


def test_logged_losses_of_training_and_validation_are_the_same_quantity(
    recipe: Make, pair: ImageSet, tmp_path: Path
) -> None:
    """A network that does not move, whose layers are the same in training and evaluation, has one loss on the same images."""
    made = recipe(
        epochs=1,
        steps_per_epoch=8,
        task_weights="rarity",
        l2_in_loss=0.1,
        sampler={"block": "random-batches", "groups": 2, "replacement": False},
        optimiser={"block": "sgd", "lr": 0.0},
        model={"network": "mylab_blocks:without_norm"},
    )
    row = rows(fit(made, pair, pair, key="k", folder=tmp_path).log)[0]
    # eight steps of 8 in each of two groups: two passes over the 64 images
    assert float(row["train_loss"]) == pytest.approx(float(row["valid_loss"]), rel=1e-6)
    # what is minimised is a weighted sum over two groups
    assert float(row["objective"]) > 1.3 * float(row["train_loss"])


def test_what_is_minimised_is_logged_only_where_it_is_something_else(
    recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    one_group = {"block": "random-batches", "groups": 1}
    cases: list[tuple[dict[str, Any], bool]] = [
        ({"sampler": one_group}, False),
        ({"sampler": one_group, "task_weights": "rarity"}, True),
        ({}, True),
    ]
    for number, (changes, expected) in enumerate(cases):
        done = fit(recipe(epochs=1, **changes), pair, valid, key="k", folder=tmp_path / str(number))
        assert ("objective" in rows(done.log)[0]) == expected


def test_a_head_without_truth_learns_from_features(recipe: Make, images: Any, tmp_path: Path) -> None:
    made = recipe(**PRETEXT, epochs=6)
    done = fit(made, images(200, 1), images(60, 3), key="k", folder=tmp_path)
    log = rows(done.log)
    assert float(log[-1]["train_loss"]) < float(log[0]["train_loss"])
    assert "objective" not in log[0]
    losses = [float(row["valid_loss"]) for row in log]
    assert done.best_value == pytest.approx(min(losses), rel=1e-6)
    assert done.figure == "views loss"
    # the network has no output layer, and so have its weights
    assert not [name for name in FitFolder(tmp_path, key="k", recipe=made).weights() if name.startswith("9.")]


def test_the_validation_loss_of_such_a_head_is_the_objective_on_steps_that_never_change(
    recipe: Make, pair: ImageSet, valid: ImageSet
) -> None:
    loop = Loop(recipe(**PRETEXT), pair, device=CPU)
    before = joint(loop).state_dict()["steps"].clone()
    found = [validate(loop, valid, epoch).loss for epoch in (0, 1)]
    assert found[0] == found[1]
    assert torch.equal(joint(loop).state_dict()["steps"], before)
    loop.epoch(0)
    assert validate(loop, valid, 1).loss != found[0]
    # the two views of an image are not equal, or there would be nothing to learn
    still = Loop(recipe(**{**PRETEXT, "augmentation": ()}), pair, device=CPU)
    assert evaluate_objective(still, valid, joint(still)) != found[0]


def test_labels_and_a_head_without_truth_have_both_losses(
    recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    made = recipe(
        heads=(LABELS, VIEWS), objective="mylab_blocks:Sees", epochs=1, selection=Selection(head="views", metric="loss")
    )
    row = rows(fit(made, pair, valid, key="k", folder=tmp_path).log)[0]
    assert row["labels.valid_loss"] == row["valid_loss"]
    assert row["labels.train_loss"] == row["train_loss"]
    assert float(row["views.valid_loss"]) > 0
    assert "views.train_loss" not in row


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": (VIEWS,)}, r"method mine: objective: 'masked-bce' learns from truth, and no head has one"),
        (
            {"objective": "mylab_blocks:Similar", "model": {"network": "mylab_blocks:draws_globally"}},
            r"model tiny: the objective needs features, the input of a linear output layer; the network has none",
        ),
        ({"objective": {"block": "mylab_blocks:Similar", "sise": 3}}, "no option 'sise'; did you mean 'size'"),
    ],
)
def test_what_cannot_be_learned_is_told_before_any_training(
    changes: dict[str, Any], message: str, recipe: Make
) -> None:
    with pytest.raises(CardError, match=message):
        dry_run(recipe(selection="last", **changes))


def test_shipped_kinds_of_objective_pass_the_dry_run(recipe: Make) -> None:
    for objective in ("masked-bce", "coral", "group-dro", "mylab_blocks:Similar"):
        dry_run(recipe(objective=objective))
    dry_run(recipe(**PRETEXT))
    dry_run(recipe(heads=FOUR))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({}, "training: no truth of head 'sex'"),
        ({"sex": np.zeros((64, 2), np.float32)}, r"truth of head 'sex' is \(64, 2\), \(64, 1\) is expected"),
        (
            {"sex": np.full((64, 1), np.nan, np.float32)},
            "nothing to learn: head 'sex': value 'M' has no positive and no negative in large\\+small",
        ),
    ],
)
def test_truth_that_does_not_match_the_heads_is_refused(
    targets: dict[str, Any], message: str, recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    made = recipe(heads=(SEX,), selection="last")
    with pytest.raises(TrainingError, match=message):
        fit(made, replace(pair, targets=targets), valid.first(0), key="k", folder=tmp_path)


def test_a_figure_that_is_never_defined_keeps_the_last_epoch_and_says_so(
    recipe: Make, pair: ImageSet, valid: ImageSet, metadata: Any, tmp_path: Path, listening: Any
) -> None:
    blank = metadata(valid)
    unknown = np.full_like(blank.targets["age"], np.nan)
    made = recipe(heads=(LABELS, AGE), epochs=2, selection=Selection(head="age", metric="mae"))
    blank = replace(blank, targets={**blank.targets, "age": unknown})
    done = fit(made, metadata(pair), blank, key="k", folder=tmp_path, reporter=listening)
    assert done.notes == ("mae of head 'age' is defined at no epoch: the last epoch was kept",)
    assert math.isnan(done.best_value)
    assert done.best_epoch == 2
    assert listening.notes[-1].endswith("  valid age mae undefined")
