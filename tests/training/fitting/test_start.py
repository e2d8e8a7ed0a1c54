from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xrbench.cards import Head, Recipe, Selection
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import StoreError, WeightsError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.fitting.checkpoint import FitFolder  # noqa: E402
from xrbench.training.fitting.fit import fit  # noqa: E402
from xrbench.training.fitting.initial import initial_network, random_network  # noqa: E402
from xrbench.training.fitting.start import Start  # noqa: E402

Make = Callable[..., Recipe]
HEADS = (Head(name="labels", kind="labels"), Head(name="age", kind="regression", column="age", scale=50.0))


@pytest.fixture
def parent(recipe: Make, pair: ImageSet, valid: ImageSet, metadata: Any, tmp_path: Path) -> Start:
    """Train on two labels and on an age."""
    made = recipe(name="older", identity="parent", epochs=2, heads=HEADS)
    folder = tmp_path / "parent"
    fit(made, metadata(pair), metadata(valid), key="parent", folder=folder)
    return Start(folder, "parent", made)


def weights(start: Start) -> Any:
    return FitFolder(start.folder, key=start.key, recipe=start.recipe).weights()


def test_a_backbone_is_taken_over_under_a_new_head(parent: Start, recipe: Make) -> None:
    made = recipe(name="younger")
    network, taken, fresh = (
        initial_network(made, parent).state_dict(),
        weights(parent),
        random_network(made).state_dict(),
    )
    assert network["9.weight"].shape == (2, 16)
    for name, value in network.items():
        assert torch.equal(value, fresh[name] if name.startswith("9.") else taken[name]), name
    assert not torch.equal(network["0.weight"], fresh["0.weight"])


def test_all_weights_are_taken_over_with_the_heads(parent: Start) -> None:
    network = initial_network(parent.recipe, Start(parent.folder, parent.key, parent.recipe, "all")).state_dict()
    assert all(torch.equal(network[name], value) for name, value in weights(parent).items())


def test_networks_with_and_without_an_output_layer_start_from_each_other(
    recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    pretext = recipe(
        epochs=1,
        heads=(Head(name="views", kind="none"),),
        sampler="mylab_blocks:two_views",
        objective="mylab_blocks:Similar",
        selection=Selection(head="views", metric="loss"),
        augmentation=("horizontal-flip",),
    )
    labelled = recipe(epochs=1)
    starts = []
    for name, made in (("pretext", pretext), ("labelled", labelled)):
        fit(made, pair, valid, key="k", folder=tmp_path / name)
        starts.append(Start(tmp_path / name, "k", made))
    for start, made in zip(starts, (labelled, pretext), strict=True):
        assert torch.equal(initial_network(made, start).state_dict()["3.weight"], weights(start)["3.weight"])


def test_a_fit_that_learns_nothing_keeps_what_it_started_from(
    parent: Start, pair: ImageSet, valid: ImageSet, metadata: Any, recipe: Make, tmp_path: Path
) -> None:
    still = recipe(epochs=1, identity="child", heads=HEADS, optimiser={"block": "sgd", "lr": 0.0})
    start = Start(parent.folder, parent.key, parent.recipe, "all")
    fit(still, metadata(pair), metadata(valid), key="c", folder=tmp_path / "child", start=start)
    kept = FitFolder(tmp_path / "child", key="c", recipe=still).weights()
    assert torch.equal(kept["9.weight"], weights(parent)["9.weight"])
    assert torch.equal(kept["0.weight"], weights(parent)["0.weight"])


def test_the_weights_of_the_model_card_need_not_be_there(parent: Start, recipe: Make) -> None:
    made = recipe(model={"weights": "imagenet"})
    assert torch.equal(initial_network(made, parent).state_dict()["0.weight"], weights(parent)["0.weight"])


def test_an_unfinished_parent_is_refused(
    parent: Start, recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    (parent.folder / "weights.pt").unlink()
    with pytest.raises(StoreError, match=r"weights.pt: no such file: the fit is not finished"):
        fit(recipe(), pair, valid, key="k", folder=tmp_path / "child", start=parent)
    assert not (tmp_path / "child").exists()


def test_another_fit_in_the_place_of_the_parent_is_refused(parent: Start, recipe: Make) -> None:
    other = Start(parent.folder, "other", parent.recipe)
    with pytest.raises(StoreError, match="belongs to another specification: key is 'parent' there"):
        initial_network(recipe(), other)


@pytest.mark.parametrize(
    ("take", "changes", "message"),
    [
        ("backbone", {"model": {"network": {"block": "mylab_blocks:tiny_network", "width": 9}}}, "weights do not fit"),
        ("all", {}, r"outputs labels \(Spot/Stripes\), age there, labels \(Spot/Stripes\) here"),
        (
            "all",
            {"heads": HEADS, "labels": ("Stripes", "Spot")},
            r"outputs labels \(Spot/Stripes\), age there, labels \(Stripes/Spot\), age here",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    take: Any, changes: dict[str, Any], message: str, parent: Start, recipe: Make
) -> None:
    start = Start(parent.folder, parent.key, parent.recipe, take)
    with pytest.raises(WeightsError, match=f"method younger: weights of its parent older .*{message}"):
        initial_network(recipe(name="younger", **changes), start)
