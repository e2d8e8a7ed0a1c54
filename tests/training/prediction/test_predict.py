from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import CardError, StoreError, TrainingError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.fitting.fit import fit  # noqa: E402
from xrbench.training.models import networks  # noqa: E402
from xrbench.training.prediction.predict import Predictor, predict  # noqa: E402

Make = Callable[..., Recipe]


@pytest.fixture
def own(recipe: Make, tmp_path: Path) -> Recipe:
    """A recipe for a model of three outputs that is used without training."""
    bare = recipe(model={"outputs": ("Stripes", "Other", "Spot")})
    torch.save(networks.build(bare.model, 3, seed=8).state_dict(), tmp_path / "own.pt")
    model = {"weights": str(tmp_path / "own.pt"), "outputs": ("Stripes", "Other", "Spot")}
    return recipe(inference="tiny", model=model)


def test_every_row_is_scored_in_order_whatever_the_batch(own: Recipe, pair: ImageSet) -> None:
    network = networks.build_pretrained(own.model)
    with torch.inference_mode():
        given = torch.from_numpy(pair.gather(np.arange(64))).float() / 255 * 2 - 1
        expected = torch.sigmoid(network(given)).numpy()[:, [2, 0]]  # by name: Spot, Stripes
    for size in (1, 7, 64, 500):
        found = predict(own, pair, batch_size=size)
        assert found.shape == (64, 2)
        assert found.dtype == np.float32
        assert np.allclose(found, expected, atol=1e-6)


def test_outputs_are_joined_by_name(own: Recipe, pair: ImageSet, recipe: Make) -> None:
    from msgspec.structs import replace

    turned = replace(own, labels=("Stripes", "Spot"))
    assert np.array_equal(predict(turned, pair), predict(own, pair)[:, ::-1])
    with pytest.raises(CardError, match="model tiny: no output for label 'Strips'; did you mean 'Stripes'"):
        predict(replace(own, labels=("Strips",)), pair)


def test_a_network_that_gives_probabilities_is_left_alone(own: Recipe, pair: ImageSet) -> None:
    ready = Predictor(own)
    logits = ready(pair)
    ready.network.gives_probabilities = True
    raw = ready(pair)
    assert np.allclose(1 / (1 + np.exp(-raw)), logits, atol=1e-6)


def test_no_images_are_no_scores(own: Recipe, images: Any) -> None:
    from dataclasses import replace

    some = images(3, 1)
    none = replace(some, row=some.row[:0], domain=some.domain[:0], truth=some.truth[:0])
    assert predict(own, none).shape == (0, 2)


def test_scoring_neither_trains_nor_augments(recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path) -> None:
    made = recipe(
        epochs=1,
        augmentation=({"block": "affine", "degrees": 90.0},),
        model={"network": {"block": "mylab_blocks:tiny_network", "dropout": 0.5}},
    )
    fit(made, pair, valid, key="k", folder=tmp_path)
    ready = Predictor(made, folder=tmp_path, key="k")
    before = {name: value.clone() for name, value in ready.network.state_dict().items()}
    assert np.array_equal(ready(valid), ready(valid))
    assert all(torch.equal(value, before[name]) for name, value in ready.network.state_dict().items())


def test_a_fit_that_is_not_finished_cannot_predict(recipe: Make, valid: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"weights.pt: no such file: the fit is not finished"):
        predict(recipe(), valid, folder=tmp_path, key="k")
    with pytest.raises(CardError, match="method mine: is trained: the folder of a finished fit is expected"):
        predict(recipe(), valid)


def test_weights_of_another_fit_are_refused(recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path) -> None:
    fit(recipe(epochs=1), pair, valid, key="k", folder=tmp_path)
    with pytest.raises(
        StoreError, match=r"weights.pt: belongs to another specification: seed is 0 there, 3 is expected"
    ):
        predict(recipe(epochs=1, seed=3), valid, folder=tmp_path, key="other")


def test_a_score_that_is_no_number_names_image_and_label(own: Recipe, pair: ImageSet) -> None:
    ready = Predictor(own)
    with torch.no_grad():
        ready.network[-1].bias[0] = torch.nan
    with pytest.raises(TrainingError, match="predict: the score of image 0 for 'Stripes' is nan"):
        ready(pair)


def test_progress_counts_images(own: Recipe, pair: ImageSet, listening: Any) -> None:
    predict(own, pair, reporter=listening)
    assert listening.steps == listening.total == 64
