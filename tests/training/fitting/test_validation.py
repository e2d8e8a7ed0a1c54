from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.rng import stream

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.components.losses import masked_bce  # noqa: E402
from xrbench.training.fitting import validation  # noqa: E402
from xrbench.training.fitting.fit import _validate  # noqa: E402
from xrbench.training.fitting.loop import Loop  # noqa: E402

Make = Callable[..., Recipe]


def test_an_epoch_is_judged_on_all_labelled_images_together() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((50, 2)) < 0.4).astype(np.float32)
    truth[::7] = np.nan
    logits = rng.normal(0, 1, (50, 2)).astype(np.float32)
    verdict = validation.judge(logits, truth, masked_bce)
    known = ~np.isnan(truth[:, 0])
    probabilities = 1 / (1 + np.exp(-logits.astype(float)))
    assert verdict.loss == pytest.approx(sum(log_loss(truth[known, k], probabilities[known, k]) for k in (0, 1)))
    wanted = [roc_auc_score(truth[known, k], logits[known, k]) for k in (0, 1)]
    assert verdict.aucs == pytest.approx(wanted)
    assert verdict.mean == pytest.approx(np.mean(wanted))


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
        found[kind] = [_validate(loop, valid, epoch).loss for epoch in (0, 1, 1)]
    assert len(set(found["fixed"])) == 1
    assert found["as-released"][0] != found["as-released"][1] == found["as-released"][2]


def test_validation_is_in_float32_and_leaves_the_network_in_evaluation(
    recipe: Make, pair: ImageSet, valid: ImageSet
) -> None:
    loop = Loop(recipe(precision="bfloat16"), pair, device=torch.device("cpu"))
    seen = []
    loop.network.register_forward_hook(lambda *given: seen.append((given[2].dtype, given[0].training)))
    _validate(loop, valid, 0)
    assert set(seen) == {(torch.float32, False)}
