"""Does the evidence lie where readers drew a box: the share of a map inside it, and whether the map's highest point is.

Conventions: a map is not negative, shape (height, width); a box is x0, y0, x1, y1 in edges of its pixels; the boxes that several
readers drew for one label of one image are one region, their union. Chance is what a map without any preference would reach: the
region's share of the image. A map that is 0 throughout points nowhere: its figures are NaN, and are counted.
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
    """One map against one region.

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

    The highest point is a hit inside of the region or at most ``tolerance`` pixels away (the pointing game of Zhang, Lin, Brandt,
    Shen & Sclaroff 2016, ECCV; there 15 pixels of images as published).

    Args:
        saliency: The map.
        boxes: One or more boxes, in pixels of the map.
        tolerance: Pixels between centres, 0 or more.

    >>> localise([[0, 1, 0], [0, 3, 0]], [(1, 1, 2, 2)])
    Localised(share=0.75, area=0.16666666666666666, hit=1.0, near=0.16666666666666666)
    """
    values = np.asarray(saliency, np.float64)
    inside = region(boxes, (values.shape[0], values.shape[1]))
    near = widened(inside, tolerance)
    total = float(values.sum())
    area, around = float(inside.mean()), float(near.mean())
    if not total > 0:
        return Localised(np.nan, area, np.nan, around)
    return Localised(float(values[inside].sum()) / total, area, float(near[peak(values)]), around)


def region(boxes: Sequence[Box], shape: tuple[int, int]) -> Mask:
    """Mark the pixels whose centres lie in any of the boxes; of a box that holds no centre, the pixel at its middle.

    >>> region([(0, 0, 2, 1), (1.1, 1.1, 1.4, 1.4)], (2, 3)).astype(int)
    array([[1, 1, 0],
           [0, 1, 0]])
    """
    marked = np.zeros(shape, np.bool_)
    rows, columns = (np.arange(extent) + 0.5 for extent in shape)
    for x0, y0, x1, y1 in boxes:
        down, across = (rows >= y0) & (rows < y1), (columns >= x0) & (columns < x1)
        if not down.any():
            down[min(int((y0 + y1) / 2), shape[0] - 1)] = True
        if not across.any():
            across[min(int((x0 + x1) / 2), shape[1] - 1)] = True
        marked |= down[:, None] & across
    return marked


def widened(mask: Mask, tolerance: float) -> Mask:
    """Add the pixels whose centres are at most ``tolerance`` pixels away from a marked one's.

    >>> widened(np.array([[True, False, False]]), 1.0).tolist()
    [[True, True, False]]
    """
    if tolerance <= 0:
        return mask
    found: Mask = ndimage.distance_transform_edt(~mask) <= tolerance
    return found


def peak(values: FloatArray) -> tuple[int, int]:
    """Find the row and column of a map's highest pixel.

    Of several that are equal (a coarse map that is made larger ends in plateaus at the rim) it is the one nearest to their middle.

    >>> peak(np.array([[2.0, 2.0, 2.0], [0.0, 0.0, 1.0]]))
    (0, 1)
    """
    highest = np.argwhere(values >= values.max() * (1 - 1e-6))
    nearest = np.square(highest - highest.mean(axis=0)).sum(axis=1).argmin()
    return int(highest[nearest, 0]), int(highest[nearest, 1])


class Shape(NamedTuple):
    """How a map is spread.

    Attributes:
        peak_x, peak_y: Its highest pixel; NaN for a map that is 0 throughout, as for the others.
        centre_x, centre_y: Its centre of gravity, in edges of pixels.
        half: Share of the image that is at least half as high as the highest pixel.
        mean: Mean of the map.
    """

    peak_x: float
    peak_y: float
    centre_x: float
    centre_y: float
    half: float
    mean: float


def spread(saliency: npt.ArrayLike) -> Shape:
    """Describe a map in a few numbers.

    >>> spread([[0.0, 1.0], [0.0, 0.5]])
    Shape(peak_x=1.0, peak_y=0.0, centre_x=1.5, centre_y=0.8333333333333334, half=0.5, mean=0.375)
    """
    values = np.asarray(saliency, np.float64)
    total = float(values.sum())
    if not total > 0:
        return Shape(np.nan, np.nan, np.nan, np.nan, np.nan, 0.0)
    y, x = peak(values)
    rows, columns = (np.arange(extent) + 0.5 for extent in values.shape)
    centre_x, centre_y = float(values.sum(axis=0) @ columns) / total, float(values.sum(axis=1) @ rows) / total
    half = float((values >= values.max() / 2).mean())
    return Shape(float(x), float(y), centre_x, centre_y, half, float(values.mean()))
