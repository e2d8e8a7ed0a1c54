from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from xrbench.cards import ModelCard
from xrbench.errors import CardError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.input.to_tensor import Pixels, augmentations  # noqa: E402

BYTES = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)


def made(**fields: Any) -> Pixels:
    card = ModelCard(title="m", name="m", network="timm", **fields)
    return Pixels(card, device=torch.device("cpu"), channels_last=False)


def test_bytes_are_scaled_as_torchxrayvision_scales_them() -> None:
    found = made(scale=(-1024, 1024))(BYTES)[0, 0].numpy()
    assert found == pytest.approx((2 * BYTES[0, 0].astype(float) / 255 - 1) * 1024, abs=1e-3)


def test_mean_and_std_follow_the_scale_as_in_torchvision() -> None:
    from torchvision.transforms.functional import normalize

    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    found = made(channels=3, mean=mean, std=std)(BYTES)
    expected = normalize(torch.from_numpy(BYTES).float().div(255).expand(1, 3, 16, 16), list(mean), list(std))
    assert torch.allclose(found, expected, atol=1e-5)


def test_grey_is_repeated_for_three_channels_without_normalisation() -> None:
    found = made(channels=3)(BYTES)
    assert found.shape == (1, 3, 16, 16)
    assert torch.equal(found[:, 0], found[:, 2])


def test_colour_for_a_grey_network_is_refused() -> None:
    with pytest.raises(CardError, match="images have 3 channels, the model card says 1"):
        made()(np.zeros((2, 3, 4, 4), np.uint8))


def test_values_that_do_not_match_the_channels_are_refused() -> None:
    with pytest.raises(CardError, match="model m: mean: 3 values for 1 channels"):
        made(mean=(0.1, 0.2, 0.3), std=(1, 1, 1))


def test_the_memory_layout_is_the_recipes() -> None:
    card = ModelCard(title="m", network="timm", channels=3)
    found = Pixels(card, device=torch.device("cpu"), channels_last=True)(np.repeat(BYTES, 4, axis=0))
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_augmentation_happens_on_brightness_before_the_scale() -> None:
    blank = augmentations([{"block": "affine", "translate": 0.5, "fill": 0.5}], where="here")
    found = made(scale=(-1024, 1024))(np.full((64, 1, 8, 8), 255, np.uint8), blank, np.random.default_rng(0))
    assert sorted(set(found.flatten().tolist())) == pytest.approx([0, 1024], abs=1e-3)


def test_without_a_generator_nothing_is_augmented() -> None:
    blank = augmentations([{"block": "affine", "translate": 0.5}], where="here")
    pixels = made()
    assert torch.equal(pixels(BYTES, blank), pixels(BYTES))


def test_an_unknown_augmentation_names_the_card() -> None:
    with pytest.raises(Exception, match="method mine: unknown augmentation 'afine'; did you mean 'affine'"):
        augmentations(["afine"], where="method mine")


def test_colour_stays_colour(images: Callable[..., Any]) -> None:
    colour = np.stack([BYTES[0, 0], BYTES[0, 0].T, 255 - BYTES[0, 0]])[None]
    assert np.allclose(made(channels=3)(colour).numpy() * 255, colour, atol=1e-4)
