from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import CardError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from torch import nn  # noqa: E402
from torch.nn.utils import prune  # noqa: E402

from xrbench.training.components import pruning  # noqa: E402
from xrbench.training.fitting import checkpoint  # noqa: E402
from xrbench.training.fitting.checkpoint import FitFolder  # noqa: E402
from xrbench.training.fitting.dry_run import dry_run  # noqa: E402
from xrbench.training.fitting.fit import fit  # noqa: E402
from xrbench.training.fitting.loop import Loop  # noqa: E402
from xrbench.training.fitting.start import Start  # noqa: E402

Make = Callable[..., Recipe]
CHILD: dict[str, Any] = {
    "name": "sparse",
    "identity": "child",
    "epochs": 4,
    "parent": "dense",
    "parent_weights": "all",
    "pruning": {"block": "magnitude", "amount": 0.7},
    "optimiser": {"block": "adam", "lr": 0.02, "weight_decay": 0.01},
}
WEIGHTS = ("0.weight", "3.weight")
"""Weights of the tiny network's convolutions: 72 and 1,152."""


@pytest.fixture
def parent(recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path) -> Start:
    made = recipe(name="dense", identity="parent", epochs=2)
    fit(made, pair, valid, key="parent", folder=tmp_path / "parent")
    return Start(tmp_path / "parent", "parent", made, "all")


def weights(folder: Path, made: Recipe, key: str) -> Any:
    return FitFolder(folder, key=key, recipe=made).weights()


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.5, 0.93])
def test_the_smallest_weights_are_those_that_torch_prunes(amount: float) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(50, 7), nn.Linear(7, 2))
    masks = pruning.magnitude(network, amount=amount, head="4")
    layers = [(network[0], "weight"), (network[3], "weight")]
    prune.global_unstructured(layers, prune.L1Unstructured, amount=amount)
    assert list(masks) == ["0.weight", "3.weight"]
    for mask, (layer, _) in zip(masks.values(), layers, strict=True):
        assert torch.equal(mask, layer.weight_mask)


def test_a_network_without_layers_to_prune_is_left_as_it_is() -> None:
    assert pruning.magnitude(nn.Sequential(nn.Linear(3, 2)), head="0") == {}


@pytest.mark.parametrize("averaging", [0.0, 0.8])
def test_pruned_weights_stay_0_while_the_others_learn(
    averaging: float, parent: Start, recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    made = recipe(**CHILD, averaging=averaging, selection="last")
    fit(made, pair, valid, key="c", folder=tmp_path / "child", start=parent)
    before, after = weights(parent.folder, parent.recipe, "parent"), weights(tmp_path / "child", made, "c")
    sizes = torch.cat([before[name].abs().flatten() for name in WEIGHTS])
    limit = sizes.sort().values[round(0.7 * 1224) - 1]
    for name in WEIGHTS:
        pruned = before[name].abs() <= limit
        assert (after[name][pruned] == 0).all()
        assert (after[name][~pruned] != before[name][~pruned]).any()
    assert sum(int((after[name] == 0).sum()) for name in WEIGHTS) == round(0.7 * 1224)
    assert (after["9.weight"] != 0).all()


def test_the_network_is_pruned_before_its_first_step(parent: Start, recipe: Make, pair: ImageSet) -> None:
    loop = Loop(recipe(**CHILD, averaging=0.8), pair, device=torch.device("cpu"), start=parent)
    for network in (loop.network, loop.evaluated):
        values = network.state_dict()
        assert sum(int((values[name] == 0).sum()) for name in WEIGHTS) == round(0.7 * 1224)


@pytest.mark.parametrize("averaging", [0.0, 0.8])
def test_interruptions_change_nothing(
    averaging: float,
    parent: Start,
    recipe: Make,
    pair: ImageSet,
    valid: ImageSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mylab_blocks import DiesAt  # type: ignore[import-not-found]

    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    made = recipe(**CHILD, averaging=averaging)
    fit(made, pair, valid, key="c", folder=tmp_path / "through", start=parent)
    for at in (3, 13):
        with pytest.raises(KeyboardInterrupt):
            fit(
                made,
                pair,
                valid,
                key="c",
                folder=tmp_path / "stopped",
                start=parent,
                reporter=DiesAt(at, KeyboardInterrupt()),
            )
    assert fit(made, pair, valid, key="c", folder=tmp_path / "stopped", start=parent).fresh
    through, stopped = (weights(tmp_path / name, made, "c") for name in ("through", "stopped"))
    assert all(torch.equal(through[name], value) for name, value in stopped.items())


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"block": "magnitude", "amount": 1.0}, "amount: expected 0 <= amount < 1, got 1.0"),
        ({"block": "magnitude", "amonut": 0.1}, "has no option 'amonut'; did you mean 'amount'"),
        ({"block": "magnitude", "head": "9"}, "'head' is not the card's to choose"),
        ("list", "expected a mapping from names of parameters to masks, got list"),
        ("name", "mask of an unknown parameter '3.wieght'; did you mean '3.weight'"),
        ("array", "mask of '3.weight': expected a tensor, got ndarray"),
        ("shape", r"mask of '3.weight': expected shape \(16, 8, 3, 3\), got \(16, 8\)"),
        ("value", "mask of '3.weight': expected 0 and 1 alone"),
    ],
)
def test_masks_that_do_not_fit_are_refused_before_training(spec: Any, words: str, recipe: Make) -> None:
    block = spec if isinstance(spec, dict) else {"block": "mylab_blocks:odd_masks", "fault": spec}
    with pytest.raises(CardError, match=f"^method sparse: pruning '{block['block']}'.*{words}"):
        dry_run(recipe(**{**CHILD, "pruning": block}))
