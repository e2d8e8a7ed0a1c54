"""Objectives of all groups against their formulas, written out with numpy on small tensors."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from xrbench.cards import Recipe
from xrbench.errors import CardError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.components import domain_objectives, objectives  # noqa: E402
from xrbench.training.components.base_loss import BaseLoss  # noqa: E402
from xrbench.training.components.steps import Group  # noqa: E402

Make = Callable[..., Recipe]


def group(domain: list[int], features: int = 3, seed: int = 0) -> Group:
    rng = np.random.default_rng([seed, *domain])
    count = len(domain)
    truth = (rng.random((count, 2)) < 0.5).astype(np.float32)
    truth[0, 1] = np.nan
    return Group(
        scores={"labels": torch.from_numpy(rng.normal(size=(count, 2)).astype(np.float32)).requires_grad_()},
        truth={"labels": torch.from_numpy(truth)},
        features=torch.from_numpy(rng.normal(size=(count, features)).astype(np.float32)).requires_grad_(),
        domain=torch.tensor(domain),
        patient=None,
        positions=torch.arange(count),
    )


def bce_by_hand(scores: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> float:
    """Sum over labels of the mean over labelled images of -log p of what is true."""
    total = 0.0
    for score, wanted in zip(scores.T, truth.T, strict=True):
        known = ~np.isnan(wanted)
        p = 1 / (1 + np.exp(-score[known].astype(float)))
        total += float(np.mean(-np.log(np.where(wanted[known] == 1, p, 1 - p)))) if known.any() else 0.0
    return total


def arrays(groups: list[Group]) -> tuple[Any, Any, Any, Any]:
    return (
        np.concatenate([of.scores["labels"].detach().numpy() for of in groups]),
        np.concatenate([of.truth["labels"].numpy() for of in groups]),
        np.concatenate([of.features.detach().numpy() for of in groups]).astype(float),
        np.concatenate([of.domain.numpy() for of in groups]),
    )


def coral_by_hand(features: Any, domain: Any) -> float:
    """Mean over pairs of the squared Frobenius distance of covariances over 4 d^2, entry by entry."""
    count = features.shape[1]
    distances = []
    for one, other in combinations(np.unique(domain), 2):
        covariances = []
        for number in (one, other):
            rows = features[domain == number]
            matrix = np.zeros((count, count))
            for i in range(count):
                for j in range(count):
                    of_i, of_j = rows[:, i] - rows[:, i].mean(), rows[:, j] - rows[:, j].mean()
                    matrix[i, j] = (of_i * of_j).sum() / (len(rows) - 1)
            covariances.append(matrix)
        distances.append(((covariances[0] - covariances[1]) ** 2).sum() / (4 * count**2))
    return float(np.mean(distances))


@pytest.mark.parametrize(
    "domains",
    [
        [[0, 0, 0, 0], [1, 1, 1, 1]],  # a group for each dataset
        [[0, 1, 0, 1, 1], [1, 0, 0, 1, 0]],  # groups of the pooled images: datasets are what counts
        [[0, 0, 0], [1, 1, 1], [2, 2, 2]],  # three pairs
    ],
)
def test_coral_is_the_formula_of_the_paper(domains: list[list[int]], recipe: Make) -> None:
    groups = [group(domain, seed=number) for number, domain in enumerate(domains)]
    objective = domain_objectives.Coral(BaseLoss(recipe(objective="coral")), weight=20.0)
    scores, truth, features, domain = arrays(groups)
    expected = bce_by_hand(scores, truth) + 20 * coral_by_hand(features, domain)
    assert float(objective(groups).detach()) == pytest.approx(expected, rel=1e-5)


def test_coral_moves_features_towards_equal_covariances(recipe: Make) -> None:
    one = group([0] * 6 + [1] * 6)
    features, domain = one.features.detach().clone().requires_grad_(), one.domain
    optimiser = torch.optim.Adam([features], lr=0.05)
    penalties = []
    for _ in range(200):
        penalty = domain_objectives.coral_penalty(features, domain)
        assert penalty is not None
        optimiser.zero_grad()
        penalty.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        penalties.append(float(penalty.detach()))
    assert penalties[-1] < penalties[0] / 1000


@pytest.mark.parametrize("domain", [[0, 0, 0], [0, 0, 0, 1]], ids=["one dataset", "one image of the other"])
def test_without_two_covariances_coral_is_the_base_loss(domain: list[int], recipe: Make) -> None:
    groups = [group(domain)]
    objective = domain_objectives.Coral(BaseLoss(recipe(objective="coral")), weight=20.0)
    scores, truth, _, _ = arrays(groups)
    assert float(objective(groups).detach()) == pytest.approx(bce_by_hand(scores, truth), rel=1e-5)


@pytest.mark.parametrize("adjustment", [0.0, 2.0])
def test_group_dro_is_algorithm_1_of_the_paper(adjustment: float, recipe: Make) -> None:
    sizes = [90, 10, 40]
    objective = domain_objectives.GroupDRO(
        BaseLoss(recipe(objective="group-dro")), torch.tensor(sizes), step_size=0.3, adjustment=adjustment
    )
    q = np.full(3, 1 / 3)
    # the second step has no image of the last dataset, whose weight changes by the normalisation alone
    for number, domains in enumerate([[[0, 0, 1], [1, 2, 2]], [[0, 1, 0], [1, 1, 0]], [[2, 2], [0, 1]]]):
        groups = [group(domain, seed=10 * number + place) for place, domain in enumerate(domains)]
        found = objective(groups)
        scores, truth, _, domain = arrays(groups)
        losses = {g: bce_by_hand(scores[domain == g], truth[domain == g]) for g in np.unique(domain)}
        for g, loss in losses.items():
            q[g] *= np.exp(0.3 * (loss + adjustment / np.sqrt(sizes[g])))
        q /= q.sum()
        assert objective.weights.numpy() == pytest.approx(q, rel=1e-5)
        assert float(found.detach()) == pytest.approx(sum(q[g] * loss for g, loss in losses.items()), rel=1e-5)


def test_group_dro_gives_each_dataset_its_weights_share_of_the_gradient(recipe: Make) -> None:
    objective = domain_objectives.GroupDRO(BaseLoss(recipe(objective="group-dro")), torch.tensor([5, 5]), step_size=1.0)
    groups = [group([0, 0, 0]), group([1, 1, 1])]
    objective(groups).backward()
    for number, of in enumerate(groups):
        alone = group([number] * 3)
        BaseLoss(recipe())(alone).backward()  # type: ignore[no-untyped-call]
        found, plain = of.scores["labels"].grad, alone.scores["labels"].grad
        assert found is not None
        assert plain is not None
        assert torch.allclose(found, objective.weights[number] * plain, atol=1e-7)


def test_group_dro_weights_are_its_state(recipe: Make) -> None:
    def made() -> Any:
        return domain_objectives.GroupDRO(BaseLoss(recipe(objective="group-dro")), torch.tensor([5, 5]), step_size=1.0)

    one, other = made(), made()
    one([group([0, 1, 1])])
    assert not torch.equal(one.weights, other.weights)
    objectives.restore(other, objectives.state_of(one))
    assert torch.equal(one.weights, other.weights)
    assert set(objectives.state_of(one)) == {"weights"}


def test_evaluation_leaves_the_state_as_it_was(recipe: Make) -> None:
    objective = domain_objectives.GroupDRO(BaseLoss(recipe(objective="group-dro")), torch.tensor([5, 5]), step_size=1.0)
    before = objective.weights.clone()
    with objectives.unchanged(objective):
        assert not objective.training
        objective([group([0, 1, 1])])
        assert not torch.equal(objective.weights, before)
    assert torch.equal(objective.weights, before)
    assert objective.training


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"objective": {"block": "coral", "wait": 1.0}},
            "objective 'coral' has no option 'wait'; did you mean 'weight'",
        ),
        ({"objective": {"block": "coral", "base": 1.0}}, "objective 'coral': 'base' is not the card's to choose"),
        ({"objective": "coral", "task_weights": "rarity"}, "an objective of all groups takes none"),
    ],
)
def test_cards_that_ask_for_what_there_is_not_are_one_line(changes: dict[str, Any], message: str, recipe: Make) -> None:
    made = recipe(**changes)
    with pytest.raises(CardError, match=f"method mine: .*{message}"):
        objectives.build(
            made.method, BaseLoss(recipe(objective="coral")), features=3, images_by_domain=torch.tensor([5, 5])
        )
