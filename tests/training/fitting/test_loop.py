from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from xrbench import rng
from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import CardError, TrainingError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from torch import nn  # noqa: E402

from xrbench.training.components import samplers  # noqa: E402
from xrbench.training.components.losses import masked_bce, rarity  # noqa: E402
from xrbench.training.components.steps import Step  # noqa: E402
from xrbench.training.fitting.initial import network_seed  # noqa: E402
from xrbench.training.fitting.loop import Loop  # noqa: E402
from xrbench.training.models import networks  # noqa: E402

CPU = torch.device("cpu")
Make = Callable[..., Recipe]


def released_epoch(recipe: Recipe, train: ImageSet, plan: list[Step]) -> tuple[nn.Module, float]:
    """Train for one epoch as the paper's released code does, written out: the reference."""
    network = networks.build(recipe.model, 2, seed=network_seed(recipe)).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02, amsgrad=True, foreach=False)
    criterion = nn.BCEWithLogitsLoss()
    losses = []
    for groups in plan:
        optimiser.zero_grad()
        total = torch.zeros(())
        for number, indices in enumerate(groups):
            positives = np.nansum(train.truth[train.domain == number], axis=0)
            weights = positives.max() - positives + positives.mean()
            weights = weights / weights.max()
            given = torch.from_numpy(train.gather(indices)).float() / 255 * 2 - 1
            truth = torch.from_numpy(train.truth[indices])
            scores = network(given)
            for task in range(2):
                known = ~truth[:, task].isnan()
                if known.any():
                    total = total + float(weights[task]) * criterion(scores[known, task], truth[known, task])
        losses.append(float(total.detach()))
        for parameter in network.parameters():
            total = total + 1e-3 * parameter.norm().pow(2)
        total.backward()
        optimiser.step()
    return network, float(np.mean(losses))


def test_an_epoch_is_that_of_the_released_code(recipe: Make, pair: ImageSet) -> None:
    made = recipe(
        task_weights="rarity",
        l2_in_loss=1e-3,
        optimiser={"block": "adam", "lr": 0.02, "amsgrad": True},
        channels_last=False,
        steps_per_epoch=6,
    )
    loop = Loop(made, pair, device=CPU)
    reference, loss = released_epoch(made, pair, loop.plan(0))
    figures = loop.epoch(0)
    assert figures.objective == pytest.approx(loss, rel=1e-4)
    for found, wanted in zip(loop.network.state_dict().values(), reference.state_dict().values(), strict=True):
        assert torch.allclose(found, wanted, rtol=1e-3, atol=2e-5)


def test_task_weights_are_those_of_the_datasets_that_a_group_is_drawn_from(recipe: Make, pair: ImageSet) -> None:
    large, small = (rarity(pair.truth[pair.domain == number]) for number in (0, 1))
    wanted = {
        "balanced-batches": [large, small],
        "random-batches": [rarity(pair.truth)] * 2,
        "first-dataset-batches": [large, large],
    }
    for sampler, weights in wanted.items():
        loop = Loop(recipe(sampler=sampler, task_weights="rarity"), pair, device=CPU)
        assert loop.task_weights is not None
        for found, expected in zip(loop.task_weights, weights, strict=True):
            assert found.numpy() == pytest.approx(expected)


@pytest.mark.parametrize("first", [0, 1])
def test_task_weights_are_of_the_first_epoch_where_epochs_draw_from_other_datasets(
    first: int, recipe: Make, pair: ImageSet
) -> None:
    """One image an epoch: a seed for which the two first epochs draw from two datasets, ``first`` and the other."""
    for seed in range(100):
        made = recipe(
            sampler={"block": "random-batches", "groups": 1},
            task_weights="rarity",
            batch_size=1,
            steps_per_epoch=1,
            identity=f"seed {seed}",
        )
        loop = Loop(made, pair, device=CPU)
        drawn = [int(pair.domain[loop.plan(epoch)[0][0][0]]) for epoch in (0, 1)]
        if drawn == [first, 1 - first]:
            break
    assert drawn == [first, 1 - first]
    positives = np.nansum(pair.truth[pair.domain == first], axis=0)
    expected = positives.max() - positives + positives.mean()
    assert loop.task_weights is not None
    assert loop.task_weights[0].numpy() == pytest.approx(expected / expected.max())


@pytest.mark.parametrize(
    ("sampler", "share"), [("balanced-batches", 0.5), ("random-batches", 24 / 64), ("first-dataset-batches", 0.0)]
)
def test_drawn_images_are_counted_for_each_dataset(sampler: str, share: float, recipe: Make, pair: ImageSet) -> None:
    loop = Loop(recipe(sampler=sampler, steps_per_epoch=100), pair, device=CPU)
    plan = loop.plan(0)
    images_by_domain = samplers.histogram(plan, pair.domain, 2).sum(0)
    assert images_by_domain.sum() == 1600
    if sampler == "random-batches":
        assert images_by_domain[1] / 1600 == pytest.approx(share, abs=0.05)
    else:
        assert images_by_domain[1] / 1600 == share


def test_epochs_draw_differently_and_an_identity_draws_the_same_again(recipe: Make, pair: ImageSet) -> None:
    def spelled(identity: str, epoch: int) -> list[list[int]]:
        return [g.tolist() for step in Loop(recipe(identity=identity), pair, device=CPU).plan(epoch) for g in step]

    assert spelled("k", 0) == spelled("k", 0)
    assert spelled("k", 0) != spelled("k", 1)
    assert spelled("k", 0) != spelled("other", 0)


def test_all_methods_of_a_seed_start_from_the_same_weights(recipe: Make, pair: ImageSet) -> None:
    def first(identity: str, **changes: Any) -> Any:
        return Loop(recipe(identity=identity, **changes), pair, device=CPU).network[0].weight

    assert torch.equal(first("a"), first("b", sampler="random-batches"))
    assert not torch.equal(first("a"), first("a", seed=1))


def test_accumulated_gradients_are_those_of_the_batches_together(recipe: Make, pair: ImageSet) -> None:
    def trained(accumulate: int, steps: int) -> Any:
        # plain steps of rate 0 but for the accumulated ones: gradients are taken at the same point
        made = recipe(
            accumulate=accumulate,
            steps_per_epoch=steps,
            l2_in_loss=0.01,
            optimiser={"block": "sgd", "lr": 0.1, "momentum": 0.0},
        )
        loop = Loop(made, pair, device=CPU)
        before = [parameter.detach().clone() for parameter in loop.parameters]
        loop.epoch(0)
        return [after.detach() - start for after, start in zip(loop.parameters, before, strict=True)], loop

    together, loop = trained(3, 3)
    assert loop.updates == 1
    fresh = Loop(loop.recipe, pair, device=CPU)
    fresh.network.train()
    total = torch.zeros(())
    for groups in fresh.plan(0):
        for indices in groups:
            scores = fresh.network(fresh.pixels(pair.gather(indices)))
            total = total + masked_bce(scores, torch.from_numpy(pair.truth[indices]))
        total = total + 0.01 * sum((p**2).sum() for p in fresh.parameters)
    total.backward()
    for change, parameter in zip(together, fresh.parameters, strict=True):
        assert parameter.grad is not None
        assert torch.allclose(change, -0.1 * parameter.grad, atol=1e-6)


def test_what_is_left_of_an_epoch_is_still_a_step(recipe: Make, pair: ImageSet) -> None:
    loop = Loop(recipe(accumulate=4, steps_per_epoch=6), pair, device=CPU)
    assert loop.updates == 2
    loop.epoch(0)
    assert all(parameter.grad is None for parameter in loop.parameters)


def test_the_schedule_moves_the_rate(recipe: Make, pair: ImageSet) -> None:
    made = recipe(schedule={"block": "time-based", "decay": 1.0}, steps_per_epoch=3)
    loop = Loop(made, pair, device=CPU)
    assert loop.epoch(0).lr == pytest.approx(0.02 / 3)  # the third step: 1 / (1 + 2)
    assert loop.epoch(1).lr == pytest.approx(0.02 / 6)


def test_the_schedule_counts_updates_not_batches(recipe: Make, pair: ImageSet) -> None:
    # 6 batches of which 4 make an update: 2 updates an epoch, and torch's scheduler is moved on once an update
    made = recipe(
        accumulate=4, steps_per_epoch=6, epochs=3, schedule="one-cycle", optimiser={"block": "sgd", "lr": 0.1}
    )
    loop = Loop(made, pair, device=CPU)
    rates: list[float] = []
    loop.optimiser.register_step_pre_hook(lambda optimiser, *_: rates.append(optimiser.param_groups[0]["lr"]))
    shown = [loop.epoch(number).lr for number in range(3)]
    reference = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(reference, max_lr=0.1, total_steps=6, cycle_momentum=False)
    expected = []
    for _ in range(6):
        expected.append(reference.param_groups[0]["lr"])
        reference.step()
        scheduler.step()
    assert rates == pytest.approx(expected, rel=1e-6)
    assert shown == pytest.approx(expected[1::2], rel=1e-6)


def test_the_penalty_of_an_update_is_that_of_its_batches(recipe: Make, pair: ImageSet) -> None:
    # d/dw of k * l2 * w^2 is 2 k l2 w, with k = 4 batches in the first update and the 2 that are left in the second
    made = recipe(
        accumulate=4,
        steps_per_epoch=6,
        l2_in_loss=0.01,
        objective="mylab_blocks:flat",
        optimiser={"block": "sgd", "lr": 0.5, "momentum": 0.0},
    )
    loop = Loop(made, pair, device=CPU)
    before = [parameter.detach().clone() for parameter in loop.parameters]
    loop.epoch(0)
    shrunk = (1 - 0.5 * 2 * 0.01 * 4) * (1 - 0.5 * 2 * 0.01 * 2)
    for start, parameter in zip(before, loop.parameters, strict=True):
        assert torch.allclose(parameter, start * shrunk, rtol=1e-5, atol=1e-8)


def test_a_parameter_that_the_loss_does_not_reach_is_penalised_alone(recipe: Make, pair: ImageSet) -> None:
    made = recipe(
        steps_per_epoch=1,
        l2_in_loss=0.01,
        model={"network": "mylab_blocks:network_with_an_unused_layer"},
        optimiser={"block": "sgd", "lr": 0.5, "momentum": 0.0},
    )
    loop = Loop(made, pair, device=CPU)
    loop.epoch(0)
    assert torch.allclose(loop.network.unused, torch.full((3,), 1 - 0.5 * 2 * 0.01))


def test_a_parameter_that_is_frozen_is_neither_trained_nor_penalised(recipe: Make, pair: ImageSet) -> None:
    made = recipe(steps_per_epoch=1, l2_in_loss=0.01, model={"network": "mylab_blocks:frozen_norm"})
    loop = Loop(made, pair, device=CPU)
    assert not any(parameter is loop.network[1].weight for parameter in loop.parameters)
    loop.epoch(0)
    assert torch.equal(loop.network[1].weight, torch.ones(8))


@pytest.mark.parametrize(
    "changes",
    [
        {"augmentation": ({"block": "affine", "degrees": 45.0},)},
        {"model": {"network": {"block": "mylab_blocks:tiny_network", "dropout": 0.5}}},
    ],
    ids=["augmentation", "dropout"],
)
def test_each_epoch_draws_its_own_augmentation_and_dropout(
    changes: dict[str, Any], recipe: Make, pair: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recipe(steps_per_epoch=1, optimiser={"block": "sgd", "lr": 0.0}, **changes)
    loop = Loop(made, pair, device=CPU)
    same_images = loop.plan(0)
    monkeypatch.setattr(loop, "plan", lambda _number: same_images)
    losses = [loop.epoch(number).loss for number in (0, 1, 0)]
    assert losses[0] != losses[1]
    assert losses[0] == losses[2]


def test_networks_of_other_options_start_from_other_weights(recipe: Make) -> None:
    plain, wider = (
        recipe(model={"network": {"block": "mylab_blocks:tiny_network", "width": width}}) for width in (8, 9)
    )
    assert network_seed(plain) != network_seed(wider)
    assert network_seed(plain) == network_seed(recipe(model={"network": plain.model.network}, identity="other"))


def test_losses_on_a_gpu_are_looked_at_now_and_then_and_at_the_end(recipe: Make, pair: ImageSet) -> None:
    loop = Loop(recipe(), pair, device=CPU)
    loop.device = torch.device("meta")  # any device but the CPU; nothing is computed on it here
    losses = [torch.tensor(1.0) for _ in range(20)]
    losses[4] = torch.tensor(torch.nan)
    loop._check_losses(losses[:5], 0, 4, last=False)  # not looked at yet
    with pytest.raises(TrainingError, match="epoch 1, step 5: the loss is nan"):
        loop._check_losses(losses[:16], 0, 15, last=False)
    losses[4], losses[18] = torch.tensor(1.0), torch.tensor(torch.inf)
    loop._check_losses(losses[:19], 0, 18, last=False)
    with pytest.raises(TrainingError, match="epoch 1, step 19: the loss is inf"):
        loop._check_losses(losses, 0, 19, last=True)


def test_an_epoch_after_a_validation_trains_again_in_training_mode(recipe: Make, pair: ImageSet) -> None:
    loop = Loop(recipe(steps_per_epoch=1), pair, device=CPU)
    loop.network.eval()
    modes: list[bool] = []
    loop.network.register_forward_hook(lambda network, *_: modes.append(network.training))
    loop.epoch(1)
    assert modes == [True, True]


def test_an_epoch_counts_the_images_of_all_groups(recipe: Make, pair: ImageSet) -> None:
    epoch = Loop(recipe(steps_per_epoch=3), pair, device=CPU).epoch(0)
    assert epoch.images == 3 * 2 * 8
    assert epoch.images_by_domain.tolist() == [24, 24]


def test_a_loss_that_is_no_number_names_epoch_and_step(recipe: Make, pair: ImageSet) -> None:
    loop = Loop(recipe(objective="mylab_blocks:not_a_number"), pair, device=CPU)
    with pytest.raises(
        TrainingError, match=r"epoch 3, step 1: the loss is nan: a lower learning rate may help \(lr was"
    ):
        loop.epoch(2)


def test_masked_entries_never_move_the_network(recipe: Make, pair: ImageSet) -> None:
    """The same images with nonsense at unlabelled places train the same network: nothing there is ever read."""
    hidden = np.isnan(pair.truth)
    assert hidden.any()
    loop = Loop(recipe(steps_per_epoch=1), pair, device=CPU)
    indices = loop.plan(0)[0][0]
    scores = loop.network(loop.pixels(pair.gather(indices)))
    scores.retain_grad()
    masked_bce(scores, torch.from_numpy(pair.truth[indices])).backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert torch.count_nonzero(scores.grad[torch.from_numpy(hidden[indices])]) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": {"block": "balanced-batches", "batch_size": 3}}, "'batch_size' is not the card's to choose"),
        ({"sampler": "mylab_blocks:one_by_one"}, r"expected steps with the same number of groups, got \[1, 2\]"),
        (
            {"sampler": "balanced-batchs"},
            "method mine: unknown sampler 'balanced-batchs'; did you mean 'balanced-batches'",
        ),
        ({"optimiser": {"block": "adam", "rate": 1}}, "method mine: optimiser 'adam' has no option 'rate'"),
        ({"schedule": {"block": "step", "steps_per_epoch": 1}}, "'steps_per_epoch' is not the card's to choose"),
    ],
)
def test_cards_that_ask_for_what_there_is_not_are_one_line(
    changes: dict[str, Any], message: str, recipe: Make, pair: ImageSet
) -> None:
    with pytest.raises(Exception, match=message) as error:
        Loop(recipe(**changes), pair, device=CPU).epoch(0)
    assert error.type is CardError or error.type.__name__ == "UnknownNameError"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_is_that_of_the_forward_pass(
    precision: str, recipe: Make, pair: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Loop(recipe(precision=precision, steps_per_epoch=1), pair, device=CPU)
    seen = []
    loop.network.register_forward_hook(lambda *given: seen.append(given[2].dtype))
    loop.epoch(0)
    assert set(seen) == {getattr(torch, precision)}
    assert {parameter.dtype for parameter in loop.parameters} == {torch.float32}


def test_groups_go_through_the_network_one_by_one(recipe: Make, pair: ImageSet) -> None:
    loop = Loop(recipe(steps_per_epoch=4), pair, device=CPU)
    sizes = []
    loop.network.register_forward_hook(lambda _, given, __: sizes.append(len(given[0])))
    loop.epoch(0)
    assert sizes == [8] * 8


def test_the_seeds_of_weights_and_dropout_are_frozen(
    recipe: Make, pair: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """63 bits, as every library's generator takes them; another width would change every trained figure."""
    made = recipe(steps_per_epoch=1, seed=3)
    assert network_seed(made) == rng.seed_of("network", 3, "mylab_blocks:tiny_network") & 0x7FFFFFFFFFFFFFFF
    seeds: list[int] = []
    loop = Loop(made, pair, device=CPU)
    monkeypatch.setattr(torch, "manual_seed", seeds.append)
    for epoch in range(3):
        loop.epoch(epoch)
    assert seeds == [rng.seed_of("k", "dropout", epoch) & 0x7FFFFFFFFFFFFFFF for epoch in range(3)]
