"""Decoding against files written byte by byte here, so that the reader is not tested with its own writer."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xrbench.data.images.decode import MAX_PIXELS, decode, decode_bytes
from xrbench.errors import DataError, MissingDataError

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows: list[bytes], *, width: int, depth: int, colour: int, palette: bytes = b"") -> bytes:
    """Write a PNG without filters from packed rows."""
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [
        chunk(b"IHDR", header),
        chunk(b"PLTE", palette) if palette else b"",
        chunk(b"IDAT", body),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_8_bit_grey_is_kept_as_it_is() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3) * 50
    found = decode_bytes(png([row.tobytes() for row in pixels], width=3, depth=8, colour=GREY))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, pixels)


def test_16_bit_grey_is_scaled_by_the_largest_declarable_value() -> None:
    values = np.array([[0, 1, 4095, 32768, 65535]], ">u2")
    found = decode_bytes(png([values.tobytes()], width=5, depth=16, colour=GREY))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, values.astype(float) / 65535 * 255, atol=1e-4)
    assert found[0, -1] == 255


@pytest.mark.parametrize(
    ("depth", "row", "expected"),
    [(1, b"\xa0", [255, 0, 255, 0]), (2, b"\x1b", [0, 85, 170, 255]), (4, b"\x0f\x73", [0, 255, 119, 51])],
)
def test_few_bits_are_spread_over_the_whole_scale(depth: int, row: bytes, expected: list[int]) -> None:
    found = decode_bytes(png([row], width=4, depth=depth, colour=GREY))
    np.testing.assert_array_equal(found, [expected])


def test_palette_means_its_colours_not_its_indices() -> None:
    palette = bytes([9, 9, 9, 250, 250, 250, 255, 0, 0])
    data = png([bytes([1, 0, 2])], width=3, depth=8, colour=PALETTE, palette=palette)
    np.testing.assert_array_equal(decode_bytes(data)[0, :2], [250, 9])
    assert decode_bytes(data)[0, 2] == round(0.299 * 255)
    np.testing.assert_array_equal(decode_bytes(data, channels=3)[0], [[250] * 3, [9] * 3, [255, 0, 0]])


@pytest.mark.parametrize("alpha", [0, 7, 255])
def test_transparency_is_ignored(alpha: int) -> None:
    grey = decode_bytes(png([bytes([200, alpha])], width=1, depth=8, colour=GREY_ALPHA))
    colour = decode_bytes(png([bytes([10, 20, 30, alpha])], width=1, depth=8, colour=RGBA), channels=3)
    assert grey.tolist() == [[200]]
    assert colour.tolist() == [[[10, 20, 30]]]


def test_16_bit_grey_with_alpha_and_colour_keep_their_upper_8_bits() -> None:
    grey = png([np.array([0xC811, 0xFFFF], ">u2").tobytes()], width=1, depth=16, colour=GREY_ALPHA)
    colour = png([np.array([0x0A11, 0x1411, 0x1E11], ">u2").tobytes()], width=1, depth=16, colour=RGB)
    assert decode_bytes(grey).tolist() == [[0xC8]]
    assert decode_bytes(colour, channels=3).tolist() == [[[0x0A, 0x14, 0x1E]]]


def test_colour_asked_as_grey_is_luminance_and_exact_for_grey_stored_as_colour() -> None:
    levels = np.arange(256, dtype=np.uint8)
    same = png([np.repeat(levels, 3).tobytes()], width=256, depth=8, colour=RGB)
    np.testing.assert_array_equal(decode_bytes(same)[0], levels)
    mixed = np.random.default_rng(0).integers(0, 256, (50, 3), dtype=np.uint8)
    found = decode_bytes(png([mixed.tobytes()], width=50, depth=8, colour=RGB))
    np.testing.assert_allclose(found[0], mixed @ [0.299, 0.587, 0.114], atol=0.51)


def test_grey_asked_as_colour_is_repeated() -> None:
    found = decode_bytes(png([b"\x00\x80"], width=2, depth=8, colour=GREY), channels=3)
    assert found.tolist() == [[[0, 0, 0], [128, 128, 128]]]
    deep = decode_bytes(png([b"\xff\xff"], width=1, depth=16, colour=GREY), channels=3)
    assert deep.tolist() == [[[255, 255, 255]]]


def test_bmp_has_its_rows_from_the_bottom() -> None:
    rows = bytes([3, 2, 1, 0, 6, 5, 4, 0])
    header = struct.pack("<IiiHHIIiiII", 40, 1, 2, 1, 24, 0, len(rows), 0, 0, 0, 0)
    data = b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) + header + rows
    assert decode_bytes(data, channels=3).tolist() == [[[4, 5, 6]], [[1, 2, 3]]]


def jpeg(pixels: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=95, **options)
    return out.getvalue()


def test_jpeg_is_near_to_what_was_saved() -> None:
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    found = decode_bytes(jpeg(ramp))
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - ramp).max() <= 3


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_exif_orientation_is_applied(orientation: int, turns: int) -> None:
    image = np.zeros((32, 64), np.uint8)
    image[:16, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode_bytes(jpeg(image, exif=exif))
    np.testing.assert_allclose(found, np.rot90(image, turns), atol=40)


def test_damaged_exif_does_not_damage_the_image() -> None:
    data = jpeg(np.full((8, 8), 77, np.uint8), exif=b"Exif\0\0II*\0\xff\xff\xff\xffgarbage")
    assert decode_bytes(data).tolist() == [[77] * 8] * 8


def test_a_constant_image_and_a_single_pixel_are_images() -> None:
    assert decode_bytes(png([b"\0\0"] * 2, width=2, depth=8, colour=GREY)).tolist() == [[0, 0], [0, 0]]
    assert decode_bytes(png([b"\x07"], width=1, depth=8, colour=GREY)).tolist() == [[7]]


NOISE = np.random.default_rng(1).integers(0, 256, (64, 64), dtype=np.uint8)
GOOD_PNG = png([row.tobytes() for row in NOISE], width=64, depth=8, colour=GREY)
GOOD_JPEG = jpeg(NOISE)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>Log in</html>", r"not a JPEG, PNG, BMP or DICOM file \(it begins with b'<!DOCTYPE ht'"),
        (GOOD_PNG[: len(GOOD_PNG) // 2], "damaged: .*truncated"),
        (GOOD_JPEG[: len(GOOD_JPEG) // 2], "damaged: .*truncated"),
        (GOOD_PNG[:2000] + b"\0\0\0\0" + GOOD_PNG[2004:], "damaged: "),
        (GOOD_PNG[:33], "damaged|not a JPEG"),
        (png([b""], width=MAX_PIXELS + 1, depth=8, colour=GREY), "at most 128,000,000 are read"),
        (png([b""], width=2**31 - 1, depth=8, colour=GREY), "more than 128,000,000 pixels"),
        (png([], width=0, depth=8, colour=GREY), "not a JPEG|no image in it|damaged"),
    ],
)
def test_what_is_no_image_is_refused_with_one_line(data: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "image 1.png"
    file.write_bytes(data)
    with pytest.raises(DataError, match=words) as caught:
        decode(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_not_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"nowhere.png: there is no such file"):
        decode(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match="cannot be read: is a directory"):
        decode(tmp_path)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user of the machine may list."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Act as the user nobody where the tests run as the administrator, who may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.name == "nt", reason="a file's mode does not forbid reading on Windows")
def test_a_file_that_may_not_be_read_is_named(public_folder: Path) -> None:
    file = public_folder / "secret.png"
    file.write_bytes(GOOD_PNG)
    file.chmod(0)
    with without_privileges(), pytest.raises(DataError, match=r"secret.png: cannot be read: permission denied"):
        decode(file)
    file.chmod(0o644)
    with without_privileges():
        np.testing.assert_array_equal(decode(file), NOISE)


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    file = tmp_path / "really-a-png.jpg"
    file.write_bytes(GOOD_PNG)
    np.testing.assert_array_equal(decode(file), NOISE)


def test_every_real_image_decodes(realdata: Path) -> None:
    files = [file for part in ("native", "cxr/nih", "cxr/guangzhou") for file in sorted((realdata / part).rglob("*"))]
    files = [file for file in files if file.suffix in (".png", ".jpg", ".bmp", ".dcm")][:120]
    assert files
    for file in files:
        grey, colour = decode(file), decode(file, channels=3)
        assert colour.shape == (*grey.shape, 3)
        assert grey.dtype in (np.uint8, np.float32)
        assert 0 <= grey.min() < grey.max() <= 255
        assert min(grey.shape) >= 100
