from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

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


def test_smooth_l1_is_quadratic_near_and_linear_far_and_a_mean_over_labelled_entries() -> None:
    truth = np.array([[0.0], [0.5], [-3.0], [np.nan], [1.0]], np.float32)
    scores = torch.tensor([[0.0], [1.0], [1.0], [9.0], [0.0]], requires_grad=True)
    loss = losses.smooth_l1(scores, torch.from_numpy(truth))
    # errors 0, 1/2, 4 and 1: halves of squares below 1, else the error less a half
    assert float(loss.detach()) == pytest.approx((0 + 0.125 + 3.5 + 0.5) / 4)
    loss.backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert scores.grad.ravel().tolist() == pytest.approx([0, 0.125, 0.25, 0, -0.25])


def test_smooth_l1_of_nothing_labelled_is_0_with_no_gradient() -> None:
    scores = torch.ones(2, 1, requires_grad=True)
    loss = losses.smooth_l1(scores, torch.full((2, 1), torch.nan))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert scores.grad is not None
    assert scores.grad.tolist() == [[0.0], [0.0]]
