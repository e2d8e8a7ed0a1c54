"""Localisation of a finding by a saliency map: its share inside readers' boxes, and the pointing game.

Conventions: a map is not negative, shape (height, width); a box is x0, y0, x1, y1 in edges of its pixels; the boxes of several
readers for one label of one image form one region, their union. The chance level is the value of a uniform map: the region's share
of the image. A map that is 0 throughout has no values: they are NaN, and such maps are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

FloatArray = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]


class Localised(NamedTuple):
    """Localisation of one region by one map.

    Attributes:
        share: Share of the map inside the region, 0..1.
        area: Share of the image that the region covers: the chance level of ``share``.
        hit: 1 if the map's highest point lies within the tolerance of the region, else 0.
        near: Share of the image within that tolerance: the chance level of ``hit``.
    """

    share: float
    area: float
    hit: float
    near: float


def localise(saliency: npt.ArrayLike, boxes: Sequence[Box], *, tolerance: float = 0.0) -> Localised:
    """Compare a map with the union of boxes.

    The highest point is a hit inside the region or at most ``tolerance`` pixels away (the pointing game of Zhang, Lin, Brandt,
    Shen & Sclaroff 2016, ECCV; there 15 pixels of images as published).

    Args:
        saliency: The map, 0 or more, shape (height, width).
        boxes: One or more boxes x0, y0, x1, y1, in pixels of the map.
        tolerance: Distance between centres of pixels, 0 or more.

    >>> localise([[0, 1, 0], [0, 3, 0]], [(1, 1, 2, 2)])
    Localised(share=0.75, area=0.16666666666666666, hit=1.0, near=0.16666666666666666)
    """
    values = np.asarray(saliency, np.float64)
    inside = region(boxes, (values.shape[0], values.shape[1]))
    within_tolerance = dilated(inside, tolerance)
    total = float(values.sum())
    area, near = float(inside.mean()), float(within_tolerance.mean())
    if not total > 0:
        return Localised(np.nan, area, np.nan, near)
    return Localised(float(values[inside].sum()) / total, area, float(within_tolerance[peak(values)]), near)


def region(boxes: Sequence[Box], shape: tuple[int, int]) -> Mask:
    """Mark the pixels whose centres lie in any of the boxes; of a box without a centre, the pixel at its middle.

    Args:
        boxes: Boxes x0, y0, x1, y1, in pixels.
        shape: Height and width.

    >>> region([(0, 0, 2, 1), (1.1, 1.1, 1.4, 1.4)], (2, 3)).astype(int)
    array([[1, 1, 0],
           [0, 1, 0]])
    """
    mask = np.zeros(shape, np.bool_)
    y, x = (np.arange(extent) + 0.5 for extent in shape)
    for x0, y0, x1, y1 in boxes:
        rows, columns = (y >= y0) & (y < y1), (x >= x0) & (x < x1)
        # A small box on a large image shrinks below a pixel of the map; without this it could never be hit.
        if not rows.any():
            rows[min(int((y0 + y1) / 2), shape[0] - 1)] = True
        if not columns.any():
            columns[min(int((x0 + x1) / 2), shape[1] - 1)] = True
        mask |= rows[:, None] & columns
    return mask


def dilated(mask: Mask, tolerance: float) -> Mask:
    """Add the pixels whose centres are at most ``tolerance`` pixels away from a marked one's.

    >>> dilated(np.array([[True, False, False]]), 1.0).tolist()
    [[True, True, False]]
    """
    if tolerance <= 0:
        return mask
    near: Mask = ndimage.distance_transform_edt(~mask) <= tolerance
    return near


def peak(values: FloatArray) -> tuple[int, int]:
    """Find the row and column of a map's highest pixel.

    Of several that are equal it is the one nearest to their mean position.

    Args:
        values: Shape (height, width).

    >>> peak(np.array([[2.0, 2.0, 2.0], [0.0, 0.0, 1.0]]))
    (0, 1)
    """
    # A coarse map that is enlarged ends in plateaus at the rim, whose values differ by rounding.
    highest = np.argwhere(values >= values.max() * (1 - 1e-6))
    nearest = np.square(highest - highest.mean(axis=0)).sum(axis=1).argmin()
    return int(highest[nearest, 0]), int(highest[nearest, 1])


class Shape(NamedTuple):
    """Location and extent of a map; all but the mean are NaN for a map that is 0 throughout.

    Attributes:
        peak_x, peak_y: Column and row of its highest pixel.
        centre_x, centre_y: Its centre of gravity, in edges of pixels.
        half: Share of the image with at least half the value of the highest pixel, 0..1.
        mean: Mean of the map.
    """

    peak_x: float
    peak_y: float
    centre_x: float
    centre_y: float
    half: float
    mean: float


def spread(saliency: npt.ArrayLike) -> Shape:
    """Compute location and extent of a map of shape (height, width).

    >>> spread([[0.0, 1.0], [0.0, 0.5]])
    Shape(peak_x=1.0, peak_y=0.0, centre_x=1.5, centre_y=0.8333333333333334, half=0.5, mean=0.375)
    """
    values = np.asarray(saliency, np.float64)
    total = float(values.sum())
    if not total > 0:
        return Shape(np.nan, np.nan, np.nan, np.nan, np.nan, 0.0)
    peak_y, peak_x = peak(values)
    y, x = (np.arange(extent) + 0.5 for extent in values.shape)
    centre_x, centre_y = float(values.sum(axis=0) @ x) / total, float(values.sum(axis=1) @ y) / total
    half = float((values >= values.max() / 2).mean())
    return Shape(float(peak_x), float(peak_y), centre_x, centre_y, half, float(values.mean()))
