"""Preprocessing against Pillow, scikit-image, torchxrayvision's formulas and values worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.exposure import equalize_adapthist
from skimage.transform import resize as skimage_resize

from xrbench.data.images import preprocessing
from xrbench.data.images.contrast import clahe, equalize
from xrbench.data.images.preprocessing import centre_crop, describe, digest, pad_square, pipeline, resize
from xrbench.data.images.resampling import gaussian_bilinear
from xrbench.errors import CardError, DataError, UnknownNameError

IMAGE = np.random.default_rng(0).integers(0, 256, (61, 48), dtype=np.uint8)
DEEP = IMAGE.astype(np.float32) * np.float32(0.999)
COLOUR = np.random.default_rng(1).integers(0, 256, (30, 41, 3), dtype=np.uint8)


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_centre_crop_is_torchxrayvisions(height: int, width: int) -> None:
    image = np.arange(height * width).reshape(height, width)
    side = min(height, width)
    left, top = width // 2 - (side // 2), height // 2 - (side // 2)
    np.testing.assert_array_equal(centre_crop(image), image[top : top + side, left : left + side])


def test_centre_crop_to_a_size() -> None:
    assert centre_crop(IMAGE, size=20).shape == (20, 20)
    assert centre_crop(COLOUR, size=7).shape == (7, 7, 3)
    with pytest.raises(DataError, match="48 x 61 pixels are less than the centre crop of 50"):
        centre_crop(IMAGE, size=50)


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 30), width=st.integers(1, 30), fill=st.integers(0, 255))
def test_padding_only_adds_its_grey_around_the_centred_image(height: int, width: int, fill: int) -> None:
    image = np.random.default_rng(height * 31 + width).integers(0, 256, (height, width), dtype=np.uint8)
    padded = pad_square(image, fill=fill)
    side = max(height, width)
    assert padded.shape == (side, side)
    top, left = (side - height) // 2, (side - width) // 2
    np.testing.assert_array_equal(padded[top : top + height, left : left + width], image)
    assert (padded == fill).sum() - (image == fill).sum() == side * side - height * width


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos", "box"])
def test_resize_is_exactly_pillows(name: str) -> None:
    expected = Image.fromarray(IMAGE).resize((16, 16), getattr(Image.Resampling, name.upper()))
    np.testing.assert_array_equal(resize(IMAGE, size=16, filter=name), np.asarray(expected))  # type: ignore[arg-type]


def test_box_is_the_mean_of_the_covered_pixels() -> None:
    image = np.random.default_rng(2).integers(0, 256, (64, 64)).astype(np.float32)
    expected = image.reshape(16, 4, 16, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(resize(image, size=16, filter="box"), expected, atol=1e-3)


def test_deep_images_are_resized_without_rounding() -> None:
    deep, shallow = resize(IMAGE.astype(np.float32), size=16), resize(IMAGE, size=16)
    assert deep.dtype == np.float32
    assert 0 < np.abs(deep - shallow).max() <= 1
    colour = resize(COLOUR.astype(np.float32), size=16)
    np.testing.assert_allclose(colour, resize(COLOUR, size=16), atol=1)


@pytest.mark.parametrize(
    ("shape", "size", "fill", "lowest"),
    [
        ((200, 200), 112, 127.5, 0),
        ((61, 150), 32, 0.0, 0),
        ((20, 31), 48, 127.5, 0),
        ((3, 90), 24, 127.5, 0),
        ((64, 64), 64, 0.0, 0),
        ((90, 90), 20, 127.5, 200),
        ((90, 90), 20, 0.0, 100),
        ((1, 1), 5, 127.5, 0),
    ],
)
def test_the_skimage_filter_is_scikit_images(shape: tuple[int, int], size: int, fill: float, lowest: int) -> None:
    image = np.random.default_rng(size).integers(lowest, 256, shape).astype(np.float32)
    expected = skimage_resize(image, (size, size), order=1, mode="constant", cval=fill, preserve_range=True)
    np.testing.assert_allclose(gaussian_bilinear(image, (size, size), fill=fill), expected, atol=2e-3)


def test_the_skimage_filter_is_torchxrayvisions_resizer_on_its_own_scale() -> None:
    """XRayResizer works on -1024..1024 with zeros outside, where 0 is our 127.5."""
    scaled = (2 * (IMAGE.astype(np.float32) / 255) - 1) * 1024
    theirs = skimage_resize(scaled[None], (1, 20, 20), mode="constant", preserve_range=True)[0]
    ours = (2 * (resize(IMAGE, size=20, filter="skimage") / 255) - 1) * 1024
    np.testing.assert_allclose(ours, theirs, atol=0.02)


def test_the_skimage_filter_takes_colour_channel_by_channel() -> None:
    found = resize(COLOUR, size=12, filter="skimage")
    for channel in range(3):
        np.testing.assert_array_equal(found[:, :, channel], resize(COLOUR[:, :, channel], size=12, filter="skimage"))


def opencv_equalize(image: np.ndarray) -> np.ndarray:
    """Equalise as OpenCV documents it: a table from the running sum, without the darkest level's share."""
    counts = [int((image == level).sum()) for level in range(256)]
    first = next(level for level in range(256) if counts[level])
    table, reached = [0] * 256, 0
    for level in range(first + 1, 256):
        reached += counts[level]
        table[level] = round(reached * 255 / (image.size - counts[first]))
    return np.asarray(np.array(table, np.uint8)[image])


def test_equalize_is_opencvs() -> None:
    narrow = (IMAGE // 4 + 90).astype(np.uint8)
    np.testing.assert_array_equal(equalize(narrow), opencv_equalize(narrow))
    assert equalize(narrow).min() == 0
    assert equalize(narrow).max() == 255


def test_equalize_keeps_apart_what_8_bits_would_not() -> None:
    close = np.linspace(100, 101, 400, dtype=np.float32).reshape(20, 20)
    found = equalize(close)
    assert len(np.unique(found)) > 200
    assert (np.diff(found.ravel()) >= 0).all()
    assert (found.min(), found.max()) == (0, 255)


@pytest.mark.parametrize("block", [equalize, clahe])
def test_contrast_in_colour_is_that_of_the_luminance(block: Callable[[np.ndarray], np.ndarray]) -> None:
    # colours far from black and white, so that nothing is clipped
    mild = (COLOUR // 8 + np.array([90, 110, 120])).astype(np.uint8)
    before = np.asarray(Image.fromarray(mild).convert("YCbCr"), float)
    found = block(mild)
    weights = np.array([0.299, 0.587, 0.114])
    unclipped = ((found > 0) & (found < 255)).all(axis=2)
    assert unclipped.mean() > 0.5
    expected = block(np.asarray(Image.fromarray(mild).convert("L"))).astype(float)
    np.testing.assert_allclose((found @ weights)[unclipped], expected[unclipped], atol=1.5)
    after = np.asarray(Image.fromarray(np.rint(found).astype(np.uint8)).convert("YCbCr"), float)
    np.testing.assert_allclose(after[unclipped, 1:], before[unclipped, 1:], atol=1.5)


@pytest.mark.parametrize("block", [equalize, clahe])
@pytest.mark.parametrize("image", [IMAGE, DEEP])
def test_contrast_of_grey_is_the_same_when_it_is_stored_as_colour(
    block: Callable[[np.ndarray], np.ndarray], image: np.ndarray
) -> None:
    in_colour = block(np.repeat(image[:, :, None], 3, axis=2))
    np.testing.assert_allclose(in_colour, np.repeat(block(image)[:, :, None], 3, axis=2), atol=0.02)


def test_clahe_is_scikit_images() -> None:
    large = np.random.default_rng(2).normal(120, 30, (256, 272)).clip(0, 255).astype(np.uint8)
    np.testing.assert_allclose(clahe(large), equalize_adapthist(large) * 255, atol=1e-3)
    # 7 x 6 pixels, 4 a bin: 10 bins, and a limit that is higher by 256 / 10
    few = equalize_adapthist(IMAGE, clip_limit=0.256, nbins=10) * 255
    np.testing.assert_allclose(clahe(IMAGE), few, atol=1e-3)
    expected = equalize_adapthist(IMAGE, kernel_size=20, clip_limit=0.03, nbins=64) * 255
    np.testing.assert_allclose(clahe(IMAGE, kernel_size=20, clip_limit=0.03, bins=64), expected, atol=1e-3)


@pytest.mark.parametrize("size", [(60, 60), (112, 104), (122, 100), (320, 260)])
@pytest.mark.parametrize("kernel_size", [0, 14])
def test_clahe_turns_no_grey_white(size: tuple[int, int], kernel_size: int) -> None:
    """Half of the image is darker than grey 128, nothing is brighter than 220 but one white pixel that a marker could have."""
    rng = np.random.default_rng(3)
    column = np.linspace(30, 200, size[1])[None, :]
    image = np.clip(column + rng.normal(0, 6, size), 0, 220).astype(np.uint8)
    image[0, 0] = 255
    found = clahe(image, kernel_size=kernel_size)
    assert (found >= 250).mean() < 0.02
    # a ramp stays a ramp: the columns' means rise from end to end
    means = found.mean(axis=0)
    assert means[: size[1] // 4].mean() < means[size[1] // 3 : -size[1] // 3].mean() < means[-size[1] // 4 :].mean()


@pytest.mark.parametrize("block", [equalize, clahe])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_an_image_of_one_grey_stays_as_it_is(block: Callable[[np.ndarray], np.ndarray], dtype: Any) -> None:
    flat = np.full((16, 16), 77, dtype)
    np.testing.assert_array_equal(block(flat), flat)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    deep=st.booleans(),
    channels=st.sampled_from([1, 3]),
    first=st.sampled_from(["centre-crop", "pad-square", "equalize"]),
    kind=st.sampled_from(["bilinear", "lanczos", "skimage"]),
)
def test_any_image_becomes_pixels_of_the_right_form(
    height: int, width: int, deep: bool, channels: int, first: str, kind: str
) -> None:
    shape = (height, width) if channels == 1 else (height, width, 3)
    image: np.ndarray = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32 if deep else np.uint8)
    found = pipeline([first, {"block": "resize", "filter": kind}], image_size=24)(image)
    assert found.shape == (channels, 24, 24)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous


def test_the_pipeline_rounds_once_to_the_nearest() -> None:
    image = np.array([[10.5, 11.5], [254.6, 0.4]], np.float32)
    assert pipeline([], image_size=2)(image).tolist() == [[[10, 12], [255, 0]]]


def test_the_default_steps_are_crop_and_resize() -> None:
    expected = Image.fromarray(centre_crop(IMAGE)).resize((16, 16), Image.Resampling.BILINEAR)
    found = pipeline(["centre-crop", "resize"], image_size=16)(IMAGE)
    np.testing.assert_array_equal(found, np.asarray(expected)[None])


def test_a_fixed_crop_of_a_larger_resize() -> None:
    steps: list[Any] = [{"block": "resize", "size": 40}, {"block": "centre-crop", "size": 24}]
    assert pipeline(steps, image_size=24)(IMAGE).shape == (1, 24, 24)
    with pytest.raises(
        CardError, match=r"a\.toml: preprocessing: the last step gives 24 x 24 pixels where image_size is 16"
    ):
        pipeline(steps, image_size=16, where="a.toml")(IMAGE)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("resise", r"a\.toml: unknown preprocessing 'resise'; did you mean 'resize'"),
        ({"block": "resize", "filer": "box"}, "has no option 'filer'; did you mean 'filter'"),
        ({"block": "resize", "filter": "bilinar"}, r"a\.toml: .*filter: no 'bilinar'; did you mean 'bilinear'"),
        ({"block": "resize", "size": 0}, "size: expected 1 or more pixels, got 0"),
        ({"block": "resize", "fill": 256}, "fill: expected a grey from 0 to 255, got 256"),
        ({"block": "centre-crop", "size": -1}, "size: expected 0"),
        ({"block": "clahe", "clip_limit": 2}, "clip_limit: expected a share from 0 to 1, got 2"),
        ({"block": "clahe", "bins": 1}, "2..16384 bins"),
    ],
)
def test_options_that_mean_nothing_name_the_card(step: Any, words: str) -> None:
    with pytest.raises((CardError, UnknownNameError), match=words):
        pipeline([step, "resize"], image_size=16, where="a.toml")(IMAGE)


def shout(image: np.ndarray) -> np.ndarray:
    raise ValueError("too\nloud")


def test_a_block_that_fails_is_named() -> None:
    with pytest.raises(DataError, match=r"^preprocessing '.*:shout' fails: ValueError: too loud$"):
        pipeline([f"{__name__}:shout"], image_size=16)(IMAGE)


def test_the_digest_knows_everything_that_decides_the_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = digest(["centre-crop", "resize"], image_size=64, channels=1)
    same: list[Any] = [{"block": "centre-crop"}, {"block": "resize", "fill": 127.5, "filter": "bilinear", "size": 64}]
    assert digest(same, image_size=64, channels=1) == plain
    others = [
        digest(["resize", "centre-crop"], image_size=64, channels=1),
        digest(["resize"], image_size=64, channels=1),
        digest(["centre-crop", {"block": "resize", "filter": "skimage"}], image_size=64, channels=1),
        digest(["centre-crop", "resize"], image_size=65, channels=1),
        digest(["centre-crop", "resize"], image_size=64, channels=3),
    ]
    monkeypatch.setattr(preprocessing, "VERSION", preprocessing.VERSION + 1)
    others.append(digest(["centre-crop", "resize"], image_size=64, channels=1))
    assert len({plain, *others}) == len(others) + 1


def test_the_description_says_which_libraries_matter() -> None:
    described = describe(["clahe", "resize"], image_size=8, channels=1)
    assert set(described["libraries"]) == {"pillow", "scikit-image"}
    assert described["libraries"]["pillow"] == PIL.__version__.split(".")[0]
    assert described["steps"][0] == ["clahe", {"clip_limit": 0.01, "kernel_size": 0, "bins": 256}]
    assert described["block_versions"] == {"clahe": 2}
    assert "block_versions" not in describe(["equalize", "resize"], image_size=8, channels=1)
