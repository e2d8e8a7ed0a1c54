"""What an objective of all groups is given, and how samplers of pairs reach it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import CardError
from xrbench.rng import stream

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.components.steps import PairedStep  # noqa: E402
from xrbench.training.fitting import plans  # noqa: E402
from xrbench.training.fitting.fit import fit  # noqa: E402
from xrbench.training.fitting.loop import Loop  # noqa: E402

CPU = torch.device("cpu")
Make = Callable[..., Recipe]
PAIRS: dict[str, Any] = {"sampler": "mylab_blocks:two_of_a_patient"}


def joint(loop: Loop) -> Any:
    """Return the objective of all groups."""
    return loop.objective.joint


def paired(images: ImageSet, metadata: Any) -> ImageSet:
    """Give the two images of a patient the same labels."""
    known: ImageSet = metadata(images)
    assert known.patient is not None
    return replace(known, truth=known.truth[2 * known.patient])


def test_an_objective_of_all_groups_sees_them_together(recipe: Make, pair: ImageSet, metadata: Any) -> None:
    from mylab_blocks import Sees  # type: ignore[import-not-found]

    train = metadata(pair)
    made = recipe(objective="mylab_blocks:Sees", steps_per_epoch=1, optimiser={"block": "sgd", "lr": 0.0})
    loop = Loop(made, train, device=CPU)
    assert joint(loop).told == (16, 2, [40, 24])
    loop.epoch(0)
    groups = Sees.last
    for group, positions in zip(groups, loop.plan(0)[0], strict=True):
        assert group.positions.tolist() == positions.tolist()
        assert group.domain.tolist() == train.domain[positions].tolist()
        assert group.patient.tolist() == train.patient[positions].tolist()
        assert np.array_equal(group.truth["labels"].numpy(), train.truth[positions], equal_nan=True)
        # the scores are what the output layer makes of the features
        head = loop.network[-1]
        assert torch.allclose(head(group.features), group.scores["labels"], atol=1e-6)
        assert group.features.shape == (8, 16)


def test_all_groups_together_are_the_sum_over_groups(recipe: Make, pair: ImageSet) -> None:
    """An objective that only adds its groups' losses trains the same network as the function of one group."""
    together, alone = (
        Loop(recipe(objective=objective, l2_in_loss=1e-3), pair, device=CPU)
        for objective in ("mylab_blocks:Sees", "masked-bce")
    )
    figures = [loop.epoch(0) for loop in (together, alone)]
    assert figures[0].objective == pytest.approx(figures[1].objective, rel=1e-6)
    assert figures[0].loss == pytest.approx(figures[1].loss, rel=1e-6)
    for one, other in zip(together.network.state_dict().values(), alone.network.state_dict().values(), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_batch_normalisation_sees_one_group_at_a_time(recipe: Make, pair: ImageSet) -> None:
    loop = Loop(recipe(objective="coral", steps_per_epoch=3), pair, device=CPU)
    sizes: list[int] = []
    loop.network.register_forward_hook(lambda _, given, __: sizes.append(len(given[0])))
    loop.epoch(0)
    assert sizes == [8] * 6


def test_features_are_not_kept_where_no_objective_reads_them(recipe: Make, pair: ImageSet) -> None:
    assert not Loop(recipe(), pair, device=CPU).network[-1]._forward_pre_hooks
    assert Loop(recipe(objective="coral"), pair, device=CPU).network[-1]._forward_pre_hooks


def test_the_parameters_of_an_objective_are_trained_but_not_penalised(recipe: Make, pair: ImageSet) -> None:
    made = recipe(sampler="mylab_blocks:two_views", objective="mylab_blocks:Similar", steps_per_epoch=2, l2_in_loss=0.1)
    loop = Loop(made, pair, device=CPU)
    projection = joint(loop).projection[0].weight
    before = projection.detach().clone()
    loop.epoch(0)
    assert not torch.equal(projection, before)
    assert not any(parameter is projection for parameter in loop.parameters)
    assert int(joint(loop).steps) == 2


def test_an_objective_has_random_weights_of_its_own_for_each_fit(recipe: Make, pair: ImageSet) -> None:
    def weight(identity: str, **changes: Any) -> Any:
        made = recipe(objective="mylab_blocks:Similar", identity=identity, **changes)
        return joint(Loop(made, pair, device=CPU)).projection[0].weight

    before = torch.get_rng_state()
    assert torch.equal(weight("a"), weight("a", averaging=0.9))
    assert not torch.equal(weight("a"), weight("b"))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_sampler_is_given_patients_and_truth_where_it_names_them(recipe: Make, pair: ImageSet, metadata: Any) -> None:
    train = paired(pair, metadata)
    assert train.patient is not None
    plan = plans.draw(recipe(**PAIRS), train, steps=20, rng=stream("t"), needs_pairs=True)
    assert all(isinstance(step, PairedStep) for step in plan)
    one, other = (np.concatenate(group) for group in zip(*plan, strict=True))
    assert len(one) == 160
    assert np.array_equal(train.patient[one], train.patient[other])
    assert np.array_equal(train.truth[one], train.truth[other], equal_nan=True)
    assert not (one == other).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (PAIRS, "method mine: sampler: needs the patients of the images, which are not known here"),
        ({"objective": "mylab_blocks:Similar"}, "sampler: the objective expects paired groups, the sampler's are not"),
        ({"sampler": "mylab_blocks:uneven_pairs"}, r"sampler: paired groups of different lengths: \[2, 3\]"),
        (
            {"sampler": {"block": "mylab_blocks:two_of_a_patient", "truth": 1}},
            "'truth' is not the card's to choose",
        ),
    ],
)
def test_samplers_that_do_not_fit_are_one_line(
    changes: dict[str, Any], message: str, recipe: Make, pair: ImageSet, metadata: Any
) -> None:
    train = pair if changes is PAIRS else metadata(pair)
    with pytest.raises(CardError, match=message):
        Loop(recipe(**changes), train, device=CPU).epoch(0)


@pytest.mark.parametrize("objective", ["coral", "group-dro"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_small_network_learns_by_objectives_of_all_groups(
    objective: str, precision: str, recipe: Make, images: Any, tmp_path: Any
) -> None:
    made = recipe(objective=objective, epochs=8, precision=precision, schedule="one-cycle")
    train = ImageSet.join([images(200, 1, name="a"), images(120, 2, name="b")])
    assert fit(made, train, images(100, 3), key="k", folder=tmp_path).best_value > 0.95


def test_coral_brings_covariances_nearer_than_training_without_it(recipe: Make, images: Any) -> None:
    from xrbench.training.components.domain_objectives import coral_penalty

    dark = images(120, 2, name="b")
    dark = replace(dark, pixels=(dark.pixels[0] // 2,))  # another scanner
    train = ImageSet.join([images(120, 1, name="a"), dark])
    penalties = {}
    for weight in (0.0, 1000.0):
        loop = Loop(recipe(objective={"block": "coral", "weight": weight}, steps_per_epoch=30), train, device=CPU)
        for epoch in range(3):
            loop.epoch(epoch)
        batches = next(loop.batches.of([(np.arange(240),)]))
        loop.network.eval()
        with torch.no_grad():
            group = loop.objective.forward.group(batches[0], train)
        penalty = coral_penalty(group.features, group.domain)
        assert penalty is not None
        penalties[weight] = float(penalty)
    assert penalties[1000.0] < penalties[0.0] / 3


def test_group_dro_weighs_the_dataset_up_that_cannot_be_learned(recipe: Make, images: Any) -> None:
    easy, hard = images(120, 1, name="a"), images(120, 2, name="b")
    rng = np.random.default_rng(0)
    hard = replace(hard, truth=rng.permutation(hard.truth))
    made = recipe(objective={"block": "group-dro", "step_size": 0.1}, steps_per_epoch=40)
    loop = Loop(made, ImageSet.join([easy, hard]), device=CPU)
    loop.epoch(0)
    weights = joint(loop).state_dict()["weights"]
    assert float(weights.sum()) == pytest.approx(1, rel=1e-5)
    assert float(weights[1]) > 0.6
