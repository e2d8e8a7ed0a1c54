"""Preprocessing blocks that change the contrast of an image; see :mod:`xrbench.data.images.preprocessing` for their conventions.

In colour they change the luminance and keep the colour differences (Cb and Cr), so that an image with equal red, green and blue
becomes what it would become as grey.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from xrbench.data.images.decode import luminance
from xrbench.errors import CardError

Array = npt.NDArray[Any]

LEVELS = 65_536
"""Bins of the histogram of an image deeper than 8 bits."""
PIXELS_PER_BIN = 4
"""Pixels that each bin of a local histogram has at least, on average."""


def equalize(image: Array) -> Array:
    """Equalise the global histogram, with the formula of OpenCV's ``equalizeHist``.

    A grey level v becomes ``255 (c(v) - c0) / (n - c0)``, with c(v) the number of pixels up to v, c0 that of the darkest level
    present and n of all: darkest to 0, brightest to 255. An image of one level stays as it is. In colour the luminance is
    equalised.

    >>> equalize(np.array([[10, 10], [20, 30]], np.uint8))
    array([[  0,   0],
           [128, 255]], dtype=uint8)
    """
    if image.ndim == 3:
        return _change_luminance(image, equalize)
    deep = image.dtype != np.uint8
    levels = LEVELS if deep else 256
    index = np.rint(image * ((levels - 1) / 255)).astype(np.intp) if deep else image
    cumulative = np.cumsum(np.bincount(index.ravel(), minlength=levels))
    lowest = cumulative[cumulative > 0][0]
    # an image of one level would be divided by 0
    if lowest == index.size:
        return image
    table = np.maximum(cumulative - lowest, 0) * (255 / (index.size - lowest))
    table = table.astype(np.float32) if deep else np.rint(table).astype(np.uint8)
    return np.asarray(table[index])


def clahe(image: Array, *, clip_limit: float = 0.01, kernel_size: int = 0, bins: int = 256) -> Array:
    """Equalise histograms locally with a limit on contrast (scikit-image's ``equalize_adapthist``).

    In a region with few pixels a bin, scikit-image hands out more clipped pixels than it took: the cumulative histogram then ends
    above 1, and everything brighter turns white. So a region has at most as many bins as leave ``PIXELS_PER_BIN`` pixels in each,
    and the limit is raised by as much as the bins are fewer, which keeps the steepest contrast, ``clip_limit * bins``, as asked for.

    Args:
        image: Grey or colour (then the luminance is equalised). An image of one level stays as it is.
        clip_limit: Share of a region's pixels above which one of ``bins`` bins is clipped, 0 to 1; higher gives more contrast.
        kernel_size: Side of a region in pixels; 0 takes an eighth of each side of the image.
        bins: Grey levels of the histograms, in regions that are large enough.
    """
    if not 0 <= clip_limit <= 1:
        raise CardError(f"preprocessing 'clahe': clip_limit: expected a share from 0 to 1, got {clip_limit}")
    if kernel_size < 0 or not 2 <= bins <= 16_384:
        raise CardError(
            f"preprocessing 'clahe': expected kernel_size >= 0 and 2..16384 bins, got {kernel_size}, {bins}"
        )
    if image.ndim == 3:
        return _change_luminance(
            image, functools.partial(clahe, clip_limit=clip_limit, kernel_size=kernel_size, bins=bins)
        )
    if image.min() == image.max():
        return image
    from skimage.exposure import equalize_adapthist

    # scikit-image takes uint8 as 0..255 and floats as 0..1
    unit = image if image.dtype == np.uint8 else image / np.float32(255)
    region = (kernel_size, kernel_size) if kernel_size else tuple(max(side // 8, 1) for side in image.shape)
    fewer = int(np.clip(math.prod(region) // PIXELS_PER_BIN, 2, bins))
    limit = min(clip_limit * bins / fewer, 1.0)
    result = equalize_adapthist(unit, kernel_size=region, clip_limit=limit, nbins=fewer)
    return np.asarray(result * 255, np.float32)


def _change_luminance(image: Array, change: Callable[[Array], Array]) -> npt.NDArray[np.float32]:
    """Apply a block to the luminance of an image in colour; what leaves 0..255 is clipped."""
    before = luminance(image)
    difference = change(before).astype(np.float32) - before.astype(np.float32)
    # equal amounts added to red, green and blue leave Cb and Cr as they are
    return np.clip(image + difference[:, :, None], 0, 255).astype(np.float32)
