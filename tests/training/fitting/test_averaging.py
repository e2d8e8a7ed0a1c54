from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xrbench.cards import Head, Recipe, Selection
from xrbench.data.images.image_set import ImageSet

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.fitting.averaging import Average  # noqa: E402
from xrbench.training.fitting.checkpoint import FitFolder  # noqa: E402
from xrbench.training.fitting.epoch_validation import validate  # noqa: E402
from xrbench.training.fitting.fast_auc import auc  # noqa: E402
from xrbench.training.fitting.fit import fit  # noqa: E402
from xrbench.training.fitting.loop import Loop  # noqa: E402
from xrbench.training.prediction.predict import predict  # noqa: E402

CPU = torch.device("cpu")
Make = Callable[..., Recipe]


def test_an_average_is_the_formula_with_its_warm_up() -> None:
    from mylab_blocks import tiny_network  # type: ignore[import-not-found]

    network = tiny_network(channels=1, outputs=2)
    average = Average(network, 0.4)
    expected = {name: value.double().clone() for name, value in network.state_dict().items()}
    for number in range(6):
        with torch.no_grad():
            for value in network.state_dict().values():
                value.add_(torch.randint(1, 9, value.shape).to(value.dtype))
        decay = min(0.4, (1 + number) / (10 + number))  # 1/10, 2/11, 3/12, 4/13, 5/14, then 0.4
        for name, value in network.state_dict().items():
            averaged = decay * expected[name] + (1 - decay) * value
            expected[name] = averaged if value.is_floating_point() else value.double().clone()
        average.update(number)
    for name, value in average.network.state_dict().items():
        assert value.double().numpy() == pytest.approx(expected[name].numpy(), rel=1e-5)
    assert not average.network.training
    assert not any(parameter.requires_grad for parameter in average.network.parameters())


def test_an_average_takes_in_every_update_over_all_epochs(
    recipe: Make, pair: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Loop(recipe(averaging=0.9, steps_per_epoch=5, accumulate=2), pair, device=CPU)
    assert loop.average is not None
    seen: list[int] = []
    monkeypatch.setattr(loop.average, "update", seen.append)
    loop.epoch(0)
    loop.epoch(1)
    assert seen == [0, 1, 2, 3, 4, 5]


def test_averaging_changes_nothing_in_training_itself(recipe: Make, pair: ImageSet) -> None:
    loops = [Loop(recipe(averaging=averaging), pair, device=CPU) for averaging in (0.0, 0.9)]
    for loop in loops:
        loop.epoch(0)
    plain, averaged = (loop.network.state_dict() for loop in loops)
    assert all(torch.equal(plain[name], averaged[name]) for name in plain)
    assert loops[0].average is None
    assert not torch.equal(loops[1].evaluated.state_dict()["9.weight"], plain["9.weight"])


def test_the_average_is_what_is_validated_and_kept(
    recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    made = recipe(averaging=0.8, epochs=3, selection="last")
    done = fit(made, pair, valid, key="k", folder=tmp_path)
    loop = Loop(made, pair, device=CPU)
    for epoch in range(3):
        loop.epoch(epoch)
    assert loop.average is not None
    kept = FitFolder(tmp_path, key="k", recipe=made).weights()
    assert all(torch.equal(kept[name], value) for name, value in loop.average.network.state_dict().items())
    by_hand = auc(valid.truth, predict(made, valid, folder=tmp_path, key="k"))
    assert done.best_value == pytest.approx(by_hand.mean(), rel=1e-6)


def test_an_objective_is_validated_by_the_features_of_the_average(
    recipe: Make, pair: ImageSet, valid: ImageSet
) -> None:
    changes: dict[str, Any] = {
        "heads": (Head(name="views", kind="none"),),
        "sampler": "mylab_blocks:two_views",
        "objective": "mylab_blocks:Similar",
        "selection": Selection(head="views", metric="loss"),
        "augmentation": ("horizontal-flip",),
    }
    averaged = Loop(recipe(averaging=0.8, **changes), pair, device=CPU)
    averaged.epoch(0)
    # the same weights in the place of the network in training, without averaging
    plain = Loop(recipe(**changes), pair, device=CPU)
    plain.restore({**averaged.state(), "network": averaged.evaluated.state_dict()})
    assert validate(averaged, valid, 0).loss == validate(plain, valid, 0).loss
    plain.restore(averaged.state())
    assert validate(averaged, valid, 0).loss != validate(plain, valid, 0).loss
