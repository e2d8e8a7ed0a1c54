from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.rng import stream

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.components.base_loss import BaseLoss  # noqa: E402
from xrbench.training.fitting import validation  # noqa: E402
from xrbench.training.fitting.epoch_validation import validate  # noqa: E402
from xrbench.training.fitting.loop import Loop  # noqa: E402

Make = Callable[..., Recipe]


def test_an_epoch_is_judged_on_all_labelled_images_together(recipe: Make) -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((50, 2)) < 0.4).astype(np.float32)
    truth[::7] = np.nan
    logits = rng.normal(0, 1, (50, 2)).astype(np.float32)
    made = recipe(task_weights="rarity", l2_in_loss=0.1)  # neither counts in validation
    verdict = validation.evaluate({"labels": logits}, {"labels": truth}, BaseLoss(made), made)
    figures = verdict.heads["labels"]
    known = ~np.isnan(truth[:, 0])
    probabilities = 1 / (1 + np.exp(-logits.astype(float)))
    assert verdict.loss == pytest.approx(sum(log_loss(truth[known, k], probabilities[known, k]) for k in (0, 1)))
    expected = [roc_auc_score(truth[known, k], logits[known, k]) for k in (0, 1)]
    assert figures.aucs == pytest.approx(expected)
    assert figures.metrics["auc"] == pytest.approx(np.mean(expected))


def test_the_released_code_validates_on_172_batches_of_a_redrawn_dataset(recipe: Make) -> None:
    paper = recipe(batch_size=64, steps_per_epoch=430)
    one, two = (list(validation.released_batches(96_155, paper, stream("draw", n))) for n in (1, 2))
    assert [len(batch) for batch in one] == [64] * 172
    assert len(set(np.concatenate(one).tolist())) == 11_008
    overlap = len(set(np.concatenate(one).tolist()) & set(np.concatenate(two).tolist()))
    assert overlap == pytest.approx(11_008**2 / 96_155, rel=0.15)  # two independent draws


@pytest.mark.parametrize(("count", "batches"), [(100, 1), (63, 1), (200, 3)])
def test_a_small_dataset_gives_the_whole_batches_that_it_has(count: int, batches: int, recipe: Make) -> None:
    drawn = list(validation.released_batches(count, recipe(batch_size=64, steps_per_epoch=430), stream("d")))
    assert len(drawn) == batches
    assert len({len(batch) for batch in drawn}) == 1


def test_fixed_validation_sees_the_same_images_and_the_released_one_others(
    recipe: Make, pair: ImageSet, valid: ImageSet
) -> None:
    changes: dict[str, Any] = {"augmentation": ({"block": "affine", "degrees": 45.0},), "steps_per_epoch": 10}
    found = {}
    for kind in ("fixed", "as-released"):
        loop = Loop(recipe(validation=kind, **changes), pair, device=torch.device("cpu"))
        found[kind] = [validate(loop, valid, epoch).loss for epoch in (0, 1, 1)]
    assert len(set(found["fixed"])) == 1
    assert found["as-released"][0] != found["as-released"][1] == found["as-released"][2]


def test_the_released_validation_over_all_images_is_the_fixed_one(recipe: Make, pair: ImageSet, images: Any) -> None:
    whole_batches = images(64, 3)
    verdicts = [
        validate(Loop(recipe(validation=kind), pair, device=torch.device("cpu")), whole_batches, 0)
        for kind in ("fixed", "as-released")
    ]
    assert verdicts[0].heads["labels"].aucs == pytest.approx(verdicts[1].heads["labels"].aucs)
    assert verdicts[0].loss == pytest.approx(verdicts[1].loss)


def test_the_released_validation_draws_other_images_each_epoch(
    recipe: Make, pair: ImageSet, valid: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recipe(validation="as-released", steps_per_epoch=10)
    loop = Loop(made, pair, device=torch.device("cpu"))
    drawn: list[list[int]] = []
    monkeypatch.setattr(ImageSet, "gather", seen_by(drawn))
    for epoch in (0, 1, 0):
        validate(loop, valid, epoch)
    first, second, again = (sorted(np.concatenate(drawn[start : start + 4])) for start in (0, 4, 8))
    assert len(set(first)) == len(first) == 32  # 10 steps / 2.5 = 4 batches of 8
    assert first != second
    assert first == again


def seen_by(drawn: list[list[int]]) -> Callable[..., Any]:
    gather = ImageSet.gather

    def noted(images: ImageSet, indices: Any) -> Any:
        drawn.append(indices.tolist())
        return gather(images, indices)

    return noted


def test_the_released_validation_augments_differently_each_epoch(recipe: Make, pair: ImageSet, images: Any) -> None:
    # the same image throughout: which ones are drawn makes no difference, only how they are augmented
    one = images(1, 3, blank=0.0)
    repeated = replace(
        one, domain=np.zeros(16, np.int64), row=np.zeros(16, np.int64), truth=np.ones((16, 2), np.float32)
    )
    made = recipe(validation="as-released", augmentation=({"block": "affine", "degrees": 45.0},))
    loop = Loop(made, pair, device=torch.device("cpu"))
    losses = [validate(loop, repeated, epoch).loss for epoch in (0, 1, 0)]
    assert losses[0] != losses[1]
    assert losses[0] == losses[2]


def test_without_a_given_number_of_steps_all_whole_batches_are_drawn(recipe: Make) -> None:
    batches = list(validation.released_batches(203, recipe(batch_size=64, steps_per_epoch=0), stream("d")))
    assert [len(batch) for batch in batches] == [64, 64, 64]


def test_validation_is_in_float32_and_leaves_the_network_in_evaluation(
    recipe: Make, pair: ImageSet, valid: ImageSet
) -> None:
    loop = Loop(recipe(precision="bfloat16"), pair, device=torch.device("cpu"))
    seen = []
    loop.network.register_forward_hook(lambda *given: seen.append((given[2].dtype, given[0].training)))
    validate(loop, valid, 0)
    assert set(seen) == {(torch.float32, False)}
