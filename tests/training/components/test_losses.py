from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from xrbench.cards import MethodCard
from xrbench.errors import CardError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.components import losses  # noqa: E402


def some(images: int = 40, labels: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = (rng.random((images, labels)) < 0.4).astype(np.float32)
    truth[rng.random(truth.shape) < 0.3] = np.nan
    return rng.normal(0, 2, truth.shape).astype(np.float32), truth


def test_masked_bce_is_the_sum_of_scikit_learns_log_loss_over_labels() -> None:
    scores, truth = some()
    expected = []
    for score, wanted in zip(scores.T, truth.T, strict=True):
        known = ~np.isnan(wanted)
        expected.append(log_loss(wanted[known], 1 / (1 + np.exp(-score[known].astype(float)))))
    found = losses.masked_bce(torch.from_numpy(scores), torch.from_numpy(truth))
    assert float(found) == pytest.approx(sum(expected), rel=1e-6)


def test_task_weights_multiply_each_labels_share() -> None:
    scores, truth = map(torch.from_numpy, some())
    alone = [float(losses.masked_bce(scores[:, [k]], truth[:, [k]])) for k in range(3)]
    found = losses.masked_bce(scores, truth, task_weights=torch.tensor([1.0, 0.5, 0.0]))
    assert float(found) == pytest.approx(alone[0] + alone[1] / 2, rel=1e-6)


@pytest.mark.parametrize("score", [0.0, 80.0, float("inf"), float("nan")])
def test_unlabelled_entries_have_exactly_no_gradient(score: float) -> None:
    scores, truth = map(torch.from_numpy, some())
    hidden = truth.isnan()
    plain = float(losses.masked_bce(scores, truth))
    changed = torch.where(hidden, score, scores).requires_grad_()
    loss = losses.masked_bce(changed, truth)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == plain
    assert changed.grad is not None
    assert torch.equal(changed.grad[hidden], torch.zeros(int(hidden.sum())))
    assert bool((changed.grad[~hidden] != 0).all())


def test_a_label_without_labelled_images_adds_nothing() -> None:
    scores, truth = map(torch.from_numpy, some())
    before = losses.masked_bce(scores[:, 1:], truth[:, 1:])
    truth[:, 0] = torch.nan
    scores.requires_grad_()
    loss = losses.masked_bce(scores, truth)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(float(before), rel=1e-6)
    assert scores.grad is not None
    assert float(scores.grad[:, 0].abs().max()) == 0


def test_rarity_follows_the_formula_of_the_released_code() -> None:
    truth = np.full((10, 4), np.nan, np.float32)
    for label, positives in enumerate([6, 3, 2, 1]):
        truth[:positives, label], truth[positives:, label] = 1, 0
    # n = 6, 3, 2, 1; max - n + mean = 3, 6, 7, 8
    assert losses.rarity(truth) == pytest.approx([3 / 8, 6 / 8, 7 / 8, 1.0])


def test_rarity_without_any_positive_weighs_all_alike() -> None:
    assert losses.rarity(np.zeros((5, 2), np.float32)).tolist() == [1.0, 1.0]


def test_an_objective_of_another_package_is_a_plain_function() -> None:
    card = MethodCard(title="x", name="focal", objective={"block": "mylab_blocks:focal", "gamma": 0.0})
    plain, training = losses.objective(card)
    scores, truth = map(torch.from_numpy, some(labels=1))
    # gamma 0 is cross-entropy
    assert float(plain(scores, truth)) == pytest.approx(float(losses.masked_bce(scores, truth)), rel=1e-6)
    assert float(training(scores, truth, task_weights=None)) == float(plain(scores, truth))


def test_an_objective_that_cannot_take_task_weights_says_so() -> None:
    card = MethodCard(title="x", name="focal", objective="mylab_blocks:focal", task_weights="rarity")
    with pytest.raises(
        CardError, match=r"method focal: task_weights = 'rarity': objective 'mylab_blocks:focal' has no"
    ):
        losses.objective(card)


def test_an_unknown_option_is_refused_with_the_nearest_one() -> None:
    card = MethodCard(title="x", name="focal", objective={"block": "mylab_blocks:focal", "gama": 1.0})
    with pytest.raises(CardError, match="no option 'gama'; did you mean 'gamma'"):
        losses.objective(card)
