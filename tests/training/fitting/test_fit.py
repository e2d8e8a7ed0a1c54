from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import StoreError, TrainingError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.fitting import fit as fit_module  # noqa: E402
from xrbench.training.fitting.checkpoint import FitFolder  # noqa: E402
from xrbench.training.fitting.fast_auc import auc  # noqa: E402
from xrbench.training.fitting.fit import fit  # noqa: E402
from xrbench.training.fitting.validation import HeadResult, ValidationResult  # noqa: E402
from xrbench.training.prediction.predict import predict  # noqa: E402

Make = Callable[..., Recipe]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_small_network_learns_what_can_be_seen(
    precision: str, recipe: Make, images: Any, pair: ImageSet, tmp_path: Path
) -> None:
    made = recipe(epochs=8, precision=precision, schedule="one-cycle", augmentation=("horizontal-flip",))
    train = ImageSet.join([images(200, 1, name="a"), images(120, 2, name="b")])
    done = fit(made, train, images(100, 3), key="k", folder=tmp_path / "fit")
    unseen = images(300, 4, blank=0.0)
    scores = predict(made, unseen, folder=done.folder, key="k")
    assert scores.dtype == np.float32
    assert 0 <= scores.min() < scores.max() <= 1
    assert auc(unseen.truth, scores).min() > 0.95
    assert done.best_value > 0.95
    log = rows(done.log)
    assert float(log[-1]["train_loss"]) < float(log[0]["train_loss"]) / 2


def test_an_objective_of_another_package_learns_too(recipe: Make, images: Any, tmp_path: Path) -> None:
    made = recipe(objective={"block": "mylab_blocks:focal", "gamma": 1.0}, epochs=5)
    done = fit(made, images(200, 1), images(100, 3), key="k", folder=tmp_path)
    assert done.best_value > 0.9


def test_every_epoch_is_a_row_of_the_log(recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path) -> None:
    done = fit(recipe(epochs=3), pair, valid, key="k", folder=tmp_path)
    log = rows(done.log)
    assert [row["epoch"] for row in log] == ["1", "2", "3"]
    assert list(log[0]) == [
        "epoch",
        "train_loss",
        "objective",
        "valid_loss",
        "valid_auc",
        "valid_accuracy",
        "valid_auc:Spot",
        "valid_auc:Stripes",
        "lr",
        "images_per_second",
        "seconds",
        "drawn:large",
        "drawn:small",
    ]
    # 40 images in the larger dataset: 5 steps of 8 from each
    assert [(row["drawn:large"], row["drawn:small"]) for row in log] == [("40", "40")] * 3
    each = (float(log[1]["valid_auc:Spot"]) + float(log[1]["valid_auc:Stripes"])) / 2
    assert float(log[1]["valid_auc"]) == pytest.approx(each)
    assert done.seconds == pytest.approx(sum(float(row["seconds"]) for row in log), rel=1e-6)
    assert done.images_per_second > 0


def test_the_weights_of_the_best_epoch_are_kept(recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path) -> None:
    made = recipe(epochs=6, optimiser={"block": "adam", "lr": 0.3})
    done = fit(made, pair, valid, key="k", folder=tmp_path)
    aucs = [float(row["valid_auc"]) for row in rows(done.log)]
    assert done.best_epoch == 1 + int(np.argmax(aucs))  # argmax is the first of equals: strictly greater wins
    assert done.best_value == pytest.approx(max(aucs))
    again = auc(valid.truth, predict(made, valid, folder=tmp_path, key="k"))
    assert again.mean() == pytest.approx(max(aucs))


def test_selection_last_keeps_the_last(recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path) -> None:
    done = fit(
        recipe(epochs=4, selection="last", optimiser={"block": "adam", "lr": 0.3}),
        pair,
        valid,
        key="k",
        folder=tmp_path,
    )
    assert done.best_epoch == 4


def test_patience_stops_early(recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path) -> None:
    made = recipe(epochs=30, patience=2, optimiser={"block": "sgd", "lr": 0.0})  # nothing ever gets better
    done = fit(made, pair, valid, key="k", folder=tmp_path)
    assert done.stopped == "patience"
    assert done.epochs - done.best_epoch == 2
    assert done.epochs < 30


@pytest.mark.parametrize(
    ("aucs", "changes", "best_epoch", "epochs", "stopped"),
    [
        ([0.6, 0.7, 0.7, 0.65], {}, 2, 4, "epochs"),  # of equals the earlier one
        ([0.5, 0.6, 0.6, 0.5, 0.9], {"patience": 2}, 2, 4, "patience"),  # an equal is no improvement
        ([0.6, math.nan, 0.5, 0.9], {"patience": 2}, 1, 3, "patience"),  # an undefined one is none either
        ([0.6, math.nan, 0.7], {}, 3, 3, "epochs"),
        (
            [math.nan, math.nan, 0.4, 0.3, math.nan, 0.9],
            {"patience": 2},
            3,
            5,
            "patience",
        ),  # counted from the first defined
        ([math.nan, 0.4, math.nan], {}, 2, 3, "epochs"),
        ([0.7, 0.6, 0.5], {"patience": 2}, 1, 3, "epochs"),  # patience ends with the last epoch: nothing was cut off
        ([0.7, 0.6, 0.5, 0.9], {"patience": 3}, 4, 4, "epochs"),
        ([0.7, 0.6, math.nan], {"selection": "last"}, 3, 3, "epochs"),
    ],
)
def test_epochs_are_chosen_by_their_validation_auc(
    aucs: list[float],
    changes: dict[str, Any],
    best_epoch: int,
    epochs: int,
    stopped: str,
    recipe: Make,
    pair: ImageSet,
    valid: ImageSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    listening: Any,
) -> None:
    weights = []

    def validate(loop: Any, _valid: ImageSet, epoch: int) -> ValidationResult:
        weights.append(loop.network[0].weight.detach().clone())
        figures = {"auc": aucs[epoch], "accuracy": 0.5}
        return ValidationResult(1.0, {"labels": HeadResult(1.0, figures, np.full(2, aucs[epoch]))})

    monkeypatch.setattr(fit_module, "validate", validate)
    made = recipe(epochs=len(aucs), steps_per_epoch=1, **changes)
    done = fit(made, pair, valid, key="k", folder=tmp_path, reporter=listening)
    assert (done.best_epoch, done.epochs, done.stopped) == (best_epoch, epochs, stopped)
    assert done.best_value == pytest.approx(aucs[best_epoch - 1], nan_ok=True)
    kept = FitFolder(tmp_path, key="k", recipe=made).weights()
    assert torch.equal(kept["0.weight"], weights[best_epoch - 1])
    assert listening.lines == []


def test_images_per_second_are_those_of_all_epochs_together(
    recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    done = fit(recipe(epochs=3), pair, valid, key="k", folder=tmp_path)
    log = rows(done.log)
    images = sum(int(row["drawn:large"]) + int(row["drawn:small"]) for row in log)
    assert images == 3 * 80
    assert done.images_per_second == pytest.approx(images / sum(float(row["seconds"]) for row in log), rel=1e-5)


def test_the_last_epoch_needs_no_validation_but_patience_does(
    recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    none = replace(valid, domain=valid.domain[:0], row=valid.row[:0], truth=valid.truth[:0])
    done = fit(recipe(epochs=2, selection="last"), pair, none, key="k", folder=tmp_path / "last")
    assert done.best_epoch == 2
    assert done.notes == ()
    with pytest.raises(TrainingError, match="no validation images"):
        fit(recipe(epochs=2, selection="last", patience=1), pair, none, key="k", folder=tmp_path / "patience")


def test_a_class_without_a_training_image_is_refused(
    recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    def one_hot(images: ImageSet, column: int) -> ImageSet:
        truth = np.zeros_like(images.truth)
        truth[:, column] = 1
        return replace(images, truth=truth)

    made = recipe(task="multiclass", objective="cross-entropy")
    with pytest.raises(TrainingError, match=r"class 'Stripes' has no image in large\+small"):
        fit(made, one_hot(pair, 0), one_hot(valid, 0), key="k", folder=tmp_path)


def test_no_defined_validation_auc_keeps_the_last_and_says_so(
    recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path, listening: Any
) -> None:
    positive = replace(valid, truth=np.ones_like(valid.truth))
    done = fit(recipe(epochs=2, patience=1), pair, positive, key="k", folder=tmp_path, reporter=listening)
    assert done.best_epoch == done.epochs == 2
    assert math.isnan(done.best_value)
    assert any("the last epoch was kept" in line for line in listening.lines)
    assert rows(done.log)[0]["valid_auc"] == ""
    assert "NaN" not in (tmp_path / "done.json").read_text()


def test_one_label_without_validation_auc_leaves_the_mean_to_the_others(
    recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    half = replace(valid, truth=np.column_stack([np.zeros(60), valid.truth[:, 1]]).astype(np.float32))
    row = rows(fit(recipe(epochs=1), pair, half, key="k", folder=tmp_path).log)[0]
    assert row["valid_auc:Spot"] == ""
    assert row["valid_auc"] == row["valid_auc:Stripes"] != ""


def test_a_label_that_cannot_be_learnt_is_named_and_the_others_are(
    recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path, listening: Any
) -> None:
    lacking = replace(pair, truth=np.column_stack([pair.truth[:, 0] * 0, pair.truth[:, 1]]))
    done = fit(recipe(epochs=2), lacking, valid, key="k", folder=tmp_path, reporter=listening, label="fit 1/2")
    assert "fit 1/2: label 'Spot' has no positive in large+small" in listening.lines
    assert done.notes == ("label 'Spot' has no positive in large+small",)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t * np.nan, "nothing to learn: label 'Spot' has no positive and no negative in large"),
        (lambda t: t * 0, "nothing to learn: label 'Spot' has no positive in large.*'Stripes' has no positive"),
    ],
)
def test_nothing_to_learn_is_an_error(
    damage: Any, message: str, recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=message):
        fit(recipe(), replace(pair, truth=damage(pair.truth)), valid, key="k", folder=tmp_path)


def test_sets_that_do_not_match_the_recipe_are_refused(
    recipe: Make, images: Any, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    none = replace(valid, domain=valid.domain[:0], row=valid.row[:0], truth=valid.truth[:0])
    for train, checked, message in [
        (none, valid, "no training images"),
        (pair, none, "no validation images"),
        (images(9, 1, side=24), valid, "training: images of 24 px, the recipe has 16 px"),
        (replace(pair, truth=pair.truth[:, :1]), valid, "training: truth of 1 labels, the recipe has 2"),
    ]:
        with pytest.raises(TrainingError, match=message):
            fit(recipe(), train, checked, key="k", folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_progress_is_shown_in_steps_with_the_figures_of_the_epoch(
    recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path, listening: Any
) -> None:
    fit(recipe(epochs=2), pair, valid, key="k", folder=tmp_path, reporter=listening)
    assert listening.steps == listening.total == 10
    assert len(listening.notes) == 2
    assert listening.notes[1].startswith("epoch 2/2  loss ")
    assert re.search(r"  valid AUC \d\.\d{3} \(best \d\.\d{3} @ [12]\)$", listening.notes[1])


def test_a_finished_fit_does_nothing(recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path) -> None:
    first = fit(recipe(epochs=2), pair, valid, key="k", folder=tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert set(before) == {"done.json", "log.csv", "weights.pt"}
    second = fit(recipe(epochs=2), pair, valid, key="k", folder=tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert first.fresh
    assert not second.fresh
    assert replace(second, fresh=True) == first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 4}, "batch_size is 8 there, 4 is expected"),
        ({"l2_in_loss": 0.5}, "method.l2_in_loss is 0.0 there, 0.5 is expected"),
        ({"optimiser": {"block": "adam", "lr": 0.5}}, "method.optimiser.lr is 0.02 there, 0.5 is expected"),
        ({"model": {"channels": 3}}, "model.channels is 1 there, 3 is expected"),
        ({"seed": 7}, "seed is 0 there, 7 is expected"),
        ({}, "key is 'k' there, 'other' is expected: other images, or other code"),
    ],
)
def test_the_folder_of_another_fit_is_refused_and_the_field_named(
    changes: dict[str, Any], message: str, recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    made = recipe(epochs=1)
    folder = FitFolder(tmp_path, key="k", recipe=made)
    network = torch.nn.Linear(1, 1)
    from xrbench.training.fitting.checkpoint import Progress

    folder.save(Progress(epoch=1, rows=[{"epoch": 1}]), {"network": network.state_dict()}, kept="network")
    with pytest.raises(StoreError, match=f"checkpoint.pt: belongs to another specification: {message}"):
        fit(recipe(epochs=1, **changes), pair, valid, key="other", folder=tmp_path)
    folder.finish(network.state_dict(), {})
    with pytest.raises(StoreError, match=f"done.json: belongs to another specification: {message}"):
        fit(recipe(epochs=1, **changes), pair, valid, key="other", folder=tmp_path)


def test_weights_that_were_changed_afterwards_are_trained_again(
    recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path, listening: Any
) -> None:
    fit(recipe(epochs=1), pair, valid, key="k", folder=tmp_path)
    good = (tmp_path / "weights.pt").read_bytes()
    (tmp_path / "weights.pt").write_bytes(good[:-200])
    again = fit(recipe(epochs=1), pair, valid, key="k", folder=tmp_path, reporter=listening)
    assert again.fresh
    assert any("weights.pt: not what was written; the fit is trained again" in line for line in listening.lines)
    assert json.loads((tmp_path / "done.json").read_text())["result"]["epochs"] == 1


def test_a_folder_that_cannot_be_written_to_is_one_line(
    recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        fit(recipe(epochs=1), pair, valid, key="k", folder=tmp_path / "file" / "fit")
