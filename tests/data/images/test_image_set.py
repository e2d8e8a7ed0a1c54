"""Images of several datasets in one batch, some grey and some in colour."""

from __future__ import annotations

import numpy as np
import pytest

from xrbench.data.images.image_set import ImageSet

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 1, 6, 4), np.uint8)
COLOUR = RNG.integers(0, 256, (3, 3, 6, 4), np.uint8)


def image_set(pixels: np.ndarray, name: str) -> ImageSet:
    rows = np.arange(len(pixels))
    return ImageSet((name,), (pixels,), np.zeros(len(pixels), np.int64), rows, np.zeros((len(pixels), 1), np.float32))


def test_grey_is_repeated_in_a_batch_with_colour() -> None:
    both = ImageSet.join([image_set(GREY, "chest"), image_set(COLOUR, "skin")])
    batch = both.gather(np.array([6, 0, 7, 4]))
    assert batch.shape == (4, 3, 6, 4)
    assert batch.dtype == np.uint8
    np.testing.assert_array_equal(batch[[0, 2]], COLOUR[[1, 2]])
    for channel in range(3):
        np.testing.assert_array_equal(batch[[1, 3], channel], GREY[[0, 4], 0])
    # a batch of grey images alone has the same shape: a network sees one kind of input
    assert both.gather(np.array([1, 2])).shape == (2, 3, 6, 4)
    assert both.first(0).gather(np.array([], np.int64)).shape == (0, 3, 6, 4)


def test_sets_of_one_kind_keep_their_channels() -> None:
    grey = ImageSet.join([image_set(GREY, "a"), image_set(GREY[::-1], "b")])
    np.testing.assert_array_equal(grey.gather(np.array([0, 9])), np.stack([GREY[0], GREY[0]]))
    assert image_set(COLOUR, "skin").gather(np.array([2])).shape == (1, 3, 6, 4)


@pytest.mark.parametrize(("index", "shape"), [(1, (6, 4)), (6, (6, 4, 3))])
def test_an_image_is_as_its_dataset_has_it(index: int, shape: tuple[int, ...]) -> None:
    both = ImageSet.join([image_set(GREY, "chest"), image_set(COLOUR, "skin")])
    image = both.image(index)
    assert image.shape == shape
    np.testing.assert_array_equal(image[2, 3], GREY[1, 0, 2, 3] if index == 1 else COLOUR[1, :, 2, 3])
