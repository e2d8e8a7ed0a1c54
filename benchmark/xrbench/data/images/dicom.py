"""Decoding of DICOM files to grey or colour on the scale 0 (black) to 255 (white).

The steps are those of the standard's display pipeline (PS3.3 C.11 and C.7.6.3), each as the header declares:

1. Decode the pixel data, compressed or not; only one frame is allowed.
2. Modality LUT, or rescale slope and intercept.
3. The first VOI LUT if there is one, else the first window (LINEAR, LINEAR_EXACT or SIGMOID), else nothing.
4. The range of step 3 becomes 0..255: the window's ends, the LUT's bits, or else the range of BitsStored.
5. MONOCHROME1 is inverted, so that dense tissue is bright.
6. Pixels that PixelPaddingValue marks as outside the image become black.

The result is ``uint8`` where 8 bits were stored and no step but inversion applies, else ``float32``.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xrbench.errors import DataError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Array = npt.NDArray[Any]
Range = tuple[float, float]

MAGIC = slice(128, 132)
ENDINGS = (".dcm", ".dicom", ".dic")
MONOCHROME = ("MONOCHROME1", "MONOCHROME2")


def is_dicom(data: bytes, name: str = "") -> bool:
    """Return whether bytes are a DICOM file: by the prefix at byte 128, else (old files lack it) by the name's ending.

    >>> is_dicom(bytes(128) + b"DICM"), is_dicom(b"abc", "a.DCM"), is_dicom(b"abc", "a.png")
    (True, True, False)
    """
    return data[MAGIC] == b"DICM" or name.lower().endswith(ENDINGS)


def decode_dicom(data: bytes, *, max_pixels: int) -> Array:
    """Decode a DICOM file of one frame.

    Args:
        data: The whole file.
        max_pixels: Larger images are refused before they are unpacked.

    Returns:
        Shape (height, width), or (height, width, 3) for colour; ``uint8``, or ``float32`` within 0..255.

    Raises:
        DataError: Not a DICOM image of one frame, or damaged; the message does not name the file.
    """
    with warnings.catch_warnings():
        # pydicom warns of every deviation from the standard; published files have many harmless ones
        warnings.simplefilter("ignore")
        try:
            header = _read_header(data)
            _check(header, max_pixels)
            return _display(_pixel_data(header), header)
        except DataError:
            raise
        except MemoryError as error:
            raise DataError("does not fit into memory") from error
        except Exception as error:
            # pydicom and its plugins have no common error for damage
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise DataError(f"damaged, or DICOM of a kind that is not read: {reason}") from error


def _read_header(data: bytes) -> Dataset:
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    marked = data[MAGIC] == b"DICM"
    header = pydicom.dcmread(io.BytesIO(data), force=not marked)
    if "Rows" not in header or "Columns" not in header:
        raise DataError("a DICOM file without an image" if marked else "not a DICOM file, whatever its name says")
    if "TransferSyntaxUID" not in header.file_meta:
        implicit = header.original_encoding[0]
        # files without a meta header: pydicom has found out the encoding of the elements, which the pixels share
        header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    return header


def _check(header: Dataset, max_pixels: int) -> None:
    """Check that the file holds one image with a declared range."""
    rows, columns = int(header.Rows), int(header.Columns)
    frames = int(header.get("NumberOfFrames") or 1)
    if frames != 1:
        raise DataError(f"{frames} frames; expected one image a file")
    if rows * columns == 0:
        raise DataError(f"{columns} x {rows} pixels: there is no image in it")
    if rows * columns > max_pixels:
        raise DataError(f"{columns:,} x {rows:,} pixels; at most {max_pixels:,} are read")
    if "PixelData" not in header:
        raise DataError("a DICOM file without integer pixel data")
    if not header.get("PhotometricInterpretation"):
        raise DataError("PhotometricInterpretation is missing: white could be bright or dark")
    if int(header.HighBit) + 1 != int(header.BitsStored):
        raise DataError(f"high bit {header.HighBit} with {header.BitsStored} bits stored is not read")


def _pixel_data(header: Dataset) -> Array:
    """Decode the pixel data, shape (height, width) or (height, width, 3): signed where declared, colour as RGB."""
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    _quieten_gdcm()
    stored: Array = pixel_array(header)
    if header.PhotometricInterpretation == "PALETTE COLOR":
        return np.asarray(apply_color_lut(stored, header))
    return stored


def _quieten_gdcm() -> None:
    """Keep the decoder from writing to the terminal; a failure is raised as an error anyway."""
    try:
        import gdcm
    except ImportError:
        return
    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()


def _display(stored: Array, header: Dataset) -> Array:
    if stored.ndim == 3:
        return stored if stored.dtype == np.uint8 else _scale(stored, (0, np.iinfo(stored.dtype).max))
    if header.PhotometricInterpretation not in MONOCHROME:
        raise DataError(f"photometric interpretation {header.PhotometricInterpretation!r} is not read")
    inverted = header.PhotometricInterpretation == "MONOCHROME1"
    displayed = _grey(stored, header)
    # inverted before padding is blackened: padding is black whatever the interpretation
    if inverted:
        displayed = 255 - displayed
    padding = _padding(stored, header)
    if padding is not None:
        displayed = np.where(padding, displayed.dtype.type(0), displayed)
    return displayed


def _grey(stored: Array, header: Dataset) -> Array:
    values, limits = _modality(stored, header)
    if header.get("VOILUTSequence"):
        looked_up, limits = _look_up(values, header.VOILUTSequence[0], signed=limits[0] < 0)
        return _scale(looked_up, limits)
    window = _window(header)
    if window is not None:
        return _apply_window(values, window, str(header.get("VOILUTFunction") or "LINEAR").upper())
    already_scaled = values.dtype == np.uint8 and max(limits) == 255
    return values if already_scaled else _scale(values, limits)


def _modality(stored: Array, header: Dataset) -> tuple[Array, Range]:
    """Apply the modality LUT or rescale; return the values and the range that the header allows for them."""
    bits, signed = int(header.BitsStored), int(header.PixelRepresentation) == 1
    low, high = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if signed else (0.0, 2.0**bits - 1)
    if header.get("ModalityLUTSequence"):
        return _look_up(stored, header.ModalityLUTSequence[0], signed=signed)
    slope, intercept = float(header.get("RescaleSlope") or 1), float(header.get("RescaleIntercept") or 0)
    if (slope, intercept) == (1, 0):
        return stored, (low, high)
    ends = sorted((low * slope + intercept, high * slope + intercept))
    return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept), (ends[0], ends[1])


def _look_up(values: Array, item: Dataset, *, signed: bool) -> tuple[Array, Range]:
    """Apply one item of a LUT sequence (PS3.3 C.11.1.1); values beyond it take its first or last entry."""
    count, first, bits = (int(value) for value in item.LUTDescriptor)
    count = count or 2**16  # a count of 65,536 does not fit into the 16-bit field and is stored as 0
    # the first value has the sign of the pixels, but may be stored as unsigned
    if signed and first >= 2**15:
        first -= 2**16
    entries = item.LUTData
    if isinstance(entries, bytes):
        table = np.frombuffer(entries, np.uint8 if len(entries) in (count, count + 1) else "<u2")[:count]
    else:
        table = np.atleast_1d(np.asarray(entries))
    index = np.clip(np.rint(values).astype(np.int64) - first, 0, len(table) - 1)
    return table[index], (0.0, 2.0**bits - 1)


def _window(header: Dataset) -> tuple[float, float] | None:
    """Return centre and width of the first window, or None where there is none that can be applied."""
    pair = []
    for field in ("WindowCenter", "WindowWidth"):
        value = header.get(field)
        first = value[0] if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else value
        if first is None or first == "":
            return None
        pair.append(float(first))
    # LINEAR divides by the width less 1 (PS3.3 C.11.2.1.2), the other functions by the width
    exact = str(header.get("VOILUTFunction") or "LINEAR").upper() != "LINEAR"
    return (pair[0], pair[1]) if pair[1] > (0 if exact else 1) else None


def _apply_window(values: Array, window: tuple[float, float], function: str) -> Array:
    """Map a window to 0..255 (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    centre, width = window
    if function == "SIGMOID":
        exponent = np.clip(-4 * (values.astype(np.float64) - centre) / width, -80, 80)
        return (255 / (1 + np.exp(exponent))).astype(np.float32)
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    elif function != "LINEAR_EXACT":
        raise DataError(f"VOI LUT function {function!r} is not read")
    return _scale(values, (centre - width / 2, centre + width / 2))


def _scale(values: Array, limits: Range) -> Array:
    low, high = limits
    spread: Array = (values.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    return np.clip(spread, 0, 255)


def _padding(stored: Array, header: Dataset) -> npt.NDArray[np.bool_] | None:
    """Mark pixels that are no part of the image (PS3.3 C.7.5.1.1.2), or return None where none is declared."""
    value = header.get("PixelPaddingValue")
    if value is None:
        return None
    limit = header.get("PixelPaddingRangeLimit")
    ends = sorted(_as_stored(int(end), stored) for end in (value, value if limit is None else limit))
    marked: npt.NDArray[np.bool_] = (stored >= ends[0]) & (stored <= ends[1])
    return marked


def _as_stored(value: int, stored: Array) -> int:
    """Read a padding value with the sign of the pixels: writers mix up the two's complement.

    >>> _as_stored(63536, np.zeros(1, np.int16)), _as_stored(-2000, np.zeros(1, np.uint16))
    (-2000, 63536)
    """
    # modulo 2 ** bits, into the range of the pixels' type
    info = np.iinfo(stored.dtype)
    span = info.max - info.min + 1
    return (value - int(info.min)) % span + int(info.min)
