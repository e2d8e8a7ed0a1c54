"""DICOM files written by pydicom, against pydicom's own display functions and formulas worked out by hand."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi, apply_windowing
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from xrbench.data.images.decode import decode, decode_bytes
from xrbench.errors import DataError

RAMP12 = np.linspace(0, 4095, 64 * 48).astype(np.uint16).reshape(48, 64)


def dataset(pixels: np.ndarray, *, bits: int = 0, **fields: Any) -> Dataset:
    """Describe pixels as a DICOM image; fields override."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        made.PlanarConfiguration = 0
    made.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    made.BitsAllocated = pixels.dtype.itemsize * 8
    made.BitsStored = bits or made.BitsAllocated
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PixelData = pixels.tobytes()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def written(made: Dataset, **options: Any) -> bytes:
    out = io.BytesIO()
    made.save_as(out, **({"enforce_file_format": True} | options))
    return out.getvalue()


def shown(pixels: np.ndarray, *, bits: int = 0, **fields: Any) -> np.ndarray:
    return decode_bytes(written(dataset(pixels, bits=bits, **fields)))


def lut(first: int, entries: np.ndarray, bits: int) -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return Sequence([item])


def test_8_bits_without_a_window_stay_8_bits() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    found = shown(pixels)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("bits", [10, 12, 15, 16])
def test_without_a_window_the_range_of_the_stored_bits_is_the_scale(bits: int) -> None:
    pixels = np.array([[0, 100, 1000, 2**bits - 1]], np.uint16)
    np.testing.assert_allclose(shown(pixels, bits=bits), pixels / (2**bits - 1) * 255, atol=1e-4)


def test_signed_pixels_have_zero_in_the_middle() -> None:
    pixels = np.array([[-2048, -1, 0, 2047]], np.int16)
    np.testing.assert_allclose(shown(pixels, bits=12), [[0, 2047 / 4095 * 255, 2048 / 4095 * 255, 255]], atol=1e-3)


def test_a_negative_slope_turns_the_scale_around() -> None:
    pixels = np.array([[0, 1024, 4095]], np.uint16)
    found = shown(pixels, bits=12, RescaleSlope="-1", RescaleIntercept="4095")
    np.testing.assert_allclose(found, (4095 - pixels.astype(float)) / 4095 * 255, atol=1e-3)


def test_monochrome1_is_the_negative_of_monochrome2() -> None:
    for extra in ({}, {"WindowCenter": "1500", "WindowWidth": "900"}):
        positive = shown(RAMP12, bits=12, **extra)
        negative = shown(RAMP12, bits=12, PhotometricInterpretation="MONOCHROME1", **extra)
        np.testing.assert_allclose(negative, 255 - positive, atol=1e-4)
    assert shown(np.array([[0, 255]], np.uint8), PhotometricInterpretation="MONOCHROME1").tolist() == [[255, 0]]


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
@pytest.mark.parametrize(("centre", "width"), [(2048, 4096), (1500, 900), (40.5, 7), (4000, 2000)])
def test_windows_agree_with_pydicom(function: str | None, centre: float, width: float) -> None:
    fields: dict[str, Any] = {"WindowCenter": str(centre), "WindowWidth": str(width)}
    if function:
        fields["VOILUTFunction"] = function
    expected = apply_windowing(RAMP12, dataset(RAMP12, bits=12, **fields)) / 4095 * 255
    np.testing.assert_allclose(shown(RAMP12, bits=12, **fields), expected, atol=2e-3)


def test_a_window_counts_in_rescaled_units() -> None:
    pixels = np.linspace(-1000, 1000, 500).astype(np.int16).reshape(20, 25)
    fields: dict[str, Any] = {
        "RescaleSlope": "2",
        "RescaleIntercept": "-100",
        "WindowCenter": "50",
        "WindowWidth": "700",
    }
    made = dataset(pixels, **fields)
    low, high = (end * 2 - 100 for end in (-32768, 32767))
    windowed: np.ndarray = apply_windowing(apply_modality_lut(pixels, made), made)
    np.testing.assert_allclose(shown(pixels, **fields), (windowed - low) / (high - low) * 255, atol=2e-3)


def test_the_first_of_several_windows_counts() -> None:
    several = shown(RAMP12, bits=12, WindowCenter=["1500", "100"], WindowWidth=["900", "50"])
    np.testing.assert_array_equal(several, shown(RAMP12, bits=12, WindowCenter="1500", WindowWidth="900"))


@pytest.mark.parametrize("fields", [{"WindowCenter": "5", "WindowWidth": "0"}, {"WindowCenter": "", "WindowWidth": ""}])
def test_a_window_that_cannot_be_applied_is_as_none(fields: dict[str, Any]) -> None:
    np.testing.assert_array_equal(shown(RAMP12, bits=12, **fields), shown(RAMP12, bits=12))


def test_a_voi_lut_comes_before_a_window_and_agrees_with_pydicom() -> None:
    entries = (np.linspace(0, 1, 3000) ** 2 * 65535).astype(np.uint16)
    made = dataset(RAMP12, bits=12, VOILUTSequence=lut(500, entries, 16), WindowCenter="5", WindowWidth="9")
    np.testing.assert_allclose(decode_bytes(written(made)), apply_voi(RAMP12, made) / 65535 * 255, atol=1e-3)


def test_a_lut_of_8_bits_is_not_cut_to_256_entries() -> None:
    entries = np.linspace(0, 255, 4096).astype(np.uint8)
    found = shown(RAMP12, bits=12, VOILUTSequence=lut(0, entries, 8))
    np.testing.assert_array_equal(found, entries[RAMP12])


def test_a_modality_lut_agrees_with_pydicom() -> None:
    entries = np.linspace(4095, 0, 4096).astype(np.uint16)
    made = dataset(RAMP12, bits=12, ModalityLUTSequence=lut(0, entries, 16))
    np.testing.assert_allclose(decode_bytes(written(made)), apply_modality_lut(RAMP12, made) / 65535 * 255, atol=1e-3)


def test_padding_is_black_either_way_round() -> None:
    pixels = np.array([[0, 100, 4000, 4095]], np.uint16)
    for kind in ("MONOCHROME1", "MONOCHROME2"):
        fields: dict[str, Any] = {"PhotometricInterpretation": kind}
        plain = shown(pixels, bits=12, **fields)
        padded = shown(pixels, bits=12, PixelPaddingValue=4000, **fields)
        assert padded[0, 2] == 0
        np.testing.assert_array_equal(np.delete(padded, 2), np.delete(plain, 2))
        ranged = shown(pixels, bits=12, PixelPaddingValue=4095, PixelPaddingRangeLimit=4000, **fields)
        assert ranged[0, 2:].tolist() == [0, 0]
        assert ranged[0, 1] == plain[0, 1]


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 12), (np.uint16, 16)])
def test_compressed_files_decode_to_the_same(syntax: UID, dtype: type[np.unsignedinteger[Any]], bits: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 2**bits, (80, 70)).astype(dtype)
    plain = dataset(pixels, bits=bits)
    expected = decode_bytes(written(plain))
    plain.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(decode_bytes(written(plain)), expected)


def test_a_deflated_file_decodes_to_the_same() -> None:
    made = dataset(RAMP12, bits=12)
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    np.testing.assert_array_equal(decode_bytes(written(made)), shown(RAMP12, bits=12))


def test_colour_is_kept_or_made_grey() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    data = written(dataset(pixels))
    np.testing.assert_array_equal(decode_bytes(data, channels=3), pixels)
    np.testing.assert_allclose(decode_bytes(data), pixels @ [0.299, 0.587, 0.114], atol=0.51)


def test_an_old_file_without_its_first_bytes_is_known_by_its_ending() -> None:
    data = written(dataset(RAMP12, bits=12), enforce_file_format=False, implicit_vr=False, little_endian=True)
    bare = data[132:] if data[128:132] == b"DICM" else data
    np.testing.assert_array_equal(decode_bytes(bare, name="A.DCM"), shown(RAMP12, bits=12))
    with pytest.raises(DataError, match="not a JPEG"):
        decode_bytes(bare, name="a.png")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"NumberOfFrames": 2, "PixelData": bytes(2 * 16)}, "2 frames; expected one image a file"),
        ({"Rows": 0}, "no image in it"),
        ({"Rows": 60000, "Columns": 60000}, "at most 128,000,000 are read"),
        ({"PixelData": bytes(5)}, "damaged"),
        ({"PhotometricInterpretation": ""}, "PhotometricInterpretation is missing"),
        ({"HighBit": 15, "BitsStored": 12, "BitsAllocated": 16, "PixelData": bytes(32)}, "high bit 15 with 12 bits"),
        ({"PhotometricInterpretation": "YBR_PARTIAL_420"}, "'YBR_PARTIAL_420' is not read"),
    ],
)
def test_what_is_not_one_image_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        decode_bytes(written(dataset(np.zeros((4, 4), np.uint8), **fields)))


def test_a_file_without_pixels_or_cut_short_is_refused() -> None:
    report = dataset(np.zeros((4, 4), np.uint8))
    del report.PixelData
    with pytest.raises(DataError, match="without integer pixel data"):
        decode_bytes(written(report))
    whole = written(dataset(RAMP12, bits=12))
    with pytest.raises(DataError, match="damaged"):
        decode_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not a DICOM file, whatever its name says"):
        decode_bytes(b"hello, this is no image at all", name="x.dcm")


def test_a_real_image_and_its_monochrome1_twin_are_negatives(realdata: Path) -> None:
    folder = realdata / "native" / "dicom"
    twin = next(folder.glob("1.2.276*.dcm"))
    np.testing.assert_array_equal(decode(folder / "Fake_MONOHR1.dcm"), 255 - decode(twin))


def test_a_real_monochrome1_image_has_bright_bones_and_dark_air(realdata: Path) -> None:
    image = decode(realdata / "native" / "dicom" / "RG1_J2KI.dcm")
    height, width = image.shape
    spine = image[height // 3 : height // 2, width // 2 - 40 : width // 2 + 40].mean()
    lungs = image[height // 5 : height // 4, width // 3 : width // 3 + 80].mean()
    assert spine > lungs + 20
