"""Decoding of image files to arrays on one fixed scale: 0 is black, 255 is white.

The scale is the one that the file declares, never that of the pixels of one image, so that a dark image stays dark:

* 8-bit JPEG, PNG and BMP stay ``uint8`` as stored; palettes and 1-, 2- and 4-bit greys are spread over 0..255.
* 16-bit grey PNG becomes ``float32``: 65535, the largest value that the format can hold, becomes 255 (torchxrayvision
  reads PadChest so). Colour of 16 bits keeps its upper 8.
* DICOM: see :mod:`xrbench.data.images.dicom`.

Colour read as grey is luminance (ITU-R 601-2, exact where red, green and blue are equal); grey read as colour is repeated.
Transparency is ignored, as in torchxrayvision and torchvision; so are gamma chunks and colour profiles. An EXIF orientation is
applied, so that the array is upright as in a viewer.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from xrbench.data.images.dicom import decode_dicom, is_dicom
from xrbench.errors import DataError, MissingDataError

Array = npt.NDArray[Any]

FORMATS = ("JPEG", "PNG", "BMP")
"""Formats that Pillow may open; their files declare the range of their values, which TIFF and others do not always do."""

MAX_PIXELS = 128_000_000
"""Largest image that is read (a mammogram has 20 million pixels): a small file can unpack to more than the memory holds."""


def decode(path: Path, *, channels: int | None = 1) -> Array:
    """Read one image file.

    Args:
        path: A JPEG, PNG, BMP or DICOM file; the format is that of its content, whatever its name.
        channels: 1 for grey, 3 for red, green and blue, None for what the file has.

    Returns:
        Shape (height, width), or (height, width, 3); ``uint8``, or ``float32`` within 0..255 where the file is deeper than
        8 bits or declares a window. It may be read-only.

    Raises:
        MissingDataError: There is no such file.
        DataError: It cannot be read, is damaged, or is not one image; the message names the file.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingDataError(f"{path}: there is no such file") from error
    except OSError as error:
        raise DataError(f"{path}: {why_unreadable(error)}") from error
    try:
        return decode_bytes(data, channels=channels, name=path.name)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def why_unreadable(error: OSError) -> str:
    """Return a short reason why a file cannot be read.

    >>> why_unreadable(PermissionError(13, "Permission denied", "a.png"))
    'cannot be read: permission denied'
    """
    return f"cannot be read: {(error.strerror or str(error)).lower()}"


def decode_bytes(data: bytes, *, channels: int | None = 1, name: str = "") -> Array:
    """Decode the content of an image file; see :func:`decode`.

    Args:
        data: The whole file.
        channels: 1, 3, or None for what the file has.
        name: The file's name; its ending identifies a DICOM file without the usual first bytes.

    Raises:
        DataError: The content cannot be decoded; the message says why and does not name the file.
    """
    if channels not in (1, 3, None):
        raise ValueError(f"channels: expected 1, 3 or None, got {channels}")
    if not data:
        raise DataError("the file is empty")
    dicom = is_dicom(data, name)
    array = decode_dicom(data, max_pixels=MAX_PIXELS) if dicom else _decode_with_pillow(data)
    return _with_channels(array, channels)


def _decode_with_pillow(data: bytes) -> Array:
    """Decode a file with Pillow: grey, shape (height, width), or colour, shape (height, width, 3), as stored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
            # open() reads the header only: a size that is too large is refused before the pixels are unpacked
            _check_size(image.width, image.height)
            image.load()
            return _to_array(_upright(image))
        except DataError:
            raise
        except UnidentifiedImageError as error:
            raise DataError(f"not a JPEG, PNG, BMP or DICOM file (it begins with {data[:12]!r})") from error
        except Image.DecompressionBombError as error:
            raise DataError(f"more than {MAX_PIXELS:,} pixels; is the header damaged?") from error
        except MemoryError as error:
            raise DataError("does not fit into memory") from error
        except Exception as error:
            # Pillow has no common error for damage: it raises SyntaxError, OSError, ValueError, struct.error, zlib.error and more
            raise DataError(f"damaged: {error_line(error)}") from error


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise DataError(f"{width:,} x {height:,} pixels; at most {MAX_PIXELS:,} are read")
    if width * height == 0:
        raise DataError(f"{width} x {height} pixels: there is no image in it")


def _upright(image: Image.Image) -> Image.Image:
    if not {"exif", "xmp", "Raw profile type exif", "XML:com.adobe.xmp"} & image.info.keys():
        return image
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        # damaged metadata do not make the pixels unreadable
        return image


def _to_array(image: Image.Image) -> Array:
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.float32) / np.float32(257)  # 65535 / 255
    if image.mode == "L":
        return np.asarray(image)
    # 1-bit images become 0 and 255; the second channel of LA is transparency
    if image.mode in ("1", "LA"):
        return np.asarray(image.convert("L"))
    return np.asarray(image.convert("RGB"))


def _with_channels(array: Array, channels: int | None) -> Array:
    if channels is None:
        return array
    if channels == 3:
        return array if array.ndim == 3 else np.repeat(array[:, :, None], 3, axis=2)
    return luminance(array)


def luminance(image: Array) -> Array:
    """Return the luminance (ITU-R 601-2) of an image in colour, of the same dtype, shape (height, width); a grey image as it is.

    >>> luminance(np.array([[[255, 0, 0], [9, 9, 9]]], np.uint8))
    array([[76,  9]], dtype=uint8)
    """
    if image.ndim == 2:
        return image
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).convert("L"))
    return (image @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.float32)


def error_line(error: BaseException) -> str:
    r"""Return an error's message as one short line, or its class when there is no message.

    >>> error_line(OSError("image file\nis truncated"))
    'image file is truncated'
    >>> error_line(KeyError())
    'KeyError'
    """
    text = " ".join(str(error).split())
    return (text if len(text) <= 200 else f"{text[:197]}...") or type(error).__name__
