from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from xrbench.cards import Head, Recipe
from xrbench.errors import CardError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.components.base_loss import BaseLoss  # noqa: E402
from xrbench.training.components.losses import masked_bce  # noqa: E402

Make = Callable[..., Recipe]
HEADS = (
    Head(name="labels", kind="labels"),
    Head(name="sex", kind="binary", column="sex", values=("F", "M"), weight=0.5),
    Head(name="view", kind="classes", column="view", values=("AP", "PA", "L"), weight=2.0),
    Head(name="age", kind="regression", column="age", scale=10.0, weight=3.0),
    Head(name="views", kind="none"),
)


def some(outputs: int, seed: int = 0, missing: float = 0.3) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    truth = (rng.random((40, outputs)) < 0.4).astype(np.float32)
    truth[rng.random(truth.shape) < missing] = np.nan
    return torch.from_numpy(rng.normal(0, 2, truth.shape).astype(np.float32)), torch.from_numpy(truth)


def test_the_base_loss_is_the_weighted_sum_of_each_heads_own(recipe: Make) -> None:
    (labels, labels_truth), (sex, sex_truth) = some(2), some(1, seed=1)
    rng = np.random.default_rng(2)
    view, age = (torch.from_numpy(rng.normal(0, 2, (40, n)).astype(np.float32)) for n in (3, 1))
    classes = rng.integers(0, 3, 40)
    view_truth = torch.eye(3)[classes]
    view_truth[::5] = torch.nan
    years = torch.from_numpy(rng.uniform(20, 90, (40, 1)).astype(np.float32))
    years[::7] = torch.nan
    base = BaseLoss(recipe(heads=HEADS, task_weights="rarity"))
    losses = base.by_head(
        {"labels": labels, "sex": sex, "view": view, "age": age},
        {"labels": labels_truth, "sex": sex_truth, "view": view_truth, "age": years},
    )
    probabilities = np.exp(view.double().numpy())
    probabilities /= probabilities.sum(1, keepdims=True)
    known = np.arange(40) % 5 > 0
    errors = np.abs(age.numpy() - years.numpy() / 10)[np.arange(40) % 7 > 0]
    each = np.where(errors < 1, errors**2 / 2, errors - 0.5)
    expected = {
        "labels": float(masked_bce(labels, labels_truth)),
        "sex": float(masked_bce(sex, sex_truth)),
        "view": log_loss(classes[known], probabilities[known], labels=[0, 1, 2]),
        "age": float(each.mean()),
    }
    assert {head: float(loss) for head, loss in losses.items()} == pytest.approx(expected, rel=1e-5)
    total = expected["labels"] + 0.5 * expected["sex"] + 2 * expected["view"] + 3 * expected["age"]
    assert float(base.total(losses)) == pytest.approx(total, rel=1e-5)


def test_task_weights_are_those_of_the_labels_alone(recipe: Make) -> None:
    (labels, truth), (sex, sex_truth) = some(2), some(1, seed=1)
    base = BaseLoss(recipe(heads=HEADS[:2], task_weights="rarity"))
    weights = torch.tensor([1.0, 0.25])
    scores, truths = {"labels": labels, "sex": sex}, {"labels": truth, "sex": sex_truth}
    plain, weighted = base.by_head(scores, truths), base.by_head(scores, truths, task_weights=weights)
    assert float(weighted["labels"]) == pytest.approx(float(masked_bce(labels, truth, task_weights=weights)))
    assert float(weighted["labels"]) != pytest.approx(float(plain["labels"]))
    assert torch.equal(weighted["sex"], plain["sex"])


def test_a_loss_of_another_package_is_a_plain_function(recipe: Make) -> None:
    scores, truth = some(1)
    base = BaseLoss(recipe(objective={"block": "mylab_blocks:focal", "gamma": 0.0}))
    # gamma 0 is cross-entropy
    found = base.by_head({"labels": scores}, {"labels": truth})["labels"]
    assert float(found) == pytest.approx(float(masked_bce(scores, truth)), rel=1e-6)


def test_a_head_may_have_a_loss_of_its_own(recipe: Make) -> None:
    scores, truth = some(1)
    heads = (Head(name="sex", kind="binary", column="sex", values=("F", "M"), loss="mylab_blocks:flat"),)
    base = BaseLoss(recipe(heads=heads, selection="last"))
    assert float(base.by_head({"sex": scores}, {"sex": truth})["sex"]) == 0


@pytest.mark.parametrize(("objective", "expected"), [("masked-bce", "masked-bce"), ("coral", "cross-entropy")])
def test_an_objective_of_all_groups_leaves_the_labels_the_loss_of_their_task(
    objective: str, expected: str, recipe: Make
) -> None:
    scores = torch.tensor([[0.0, 0.0]])
    truth = torch.tensor([[1.0, 0.0]])
    base = BaseLoss(recipe(task="multiclass", objective=objective))
    # log 2 once for the softmax over two classes, and twice for two binary labels
    found = float(base.by_head({"labels": scores}, {"labels": truth})["labels"]) / np.log(2)
    assert found == pytest.approx({"cross-entropy": 1, "masked-bce": 2}[expected])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"objective": "mylab_blocks:focal", "task_weights": "rarity"},
            r"method mine: task_weights = 'rarity': objective 'mylab_blocks:focal' has no parameter",
        ),
        (
            {"objective": {"block": "mylab_blocks:focal", "gama": 1.0}},
            "no option 'gama'; did you mean 'gamma'",
        ),
        (
            {"heads": (Head(name="labels", kind="labels", loss="coral"),)},
            "method mine: heads: labels: loss: 'coral' is an objective of all groups; expected a loss",
        ),
    ],
)
def test_losses_that_cannot_be_are_one_line(changes: dict[str, Any], message: str, recipe: Make) -> None:
    with pytest.raises(CardError, match=message):
        BaseLoss(recipe(**changes))
