"""Bounding boxes of findings that radiologists drew, in pixels of the published files and of the cache.

``load_boxes`` reads a dataset's own table of boxes, in pixels of the published files. ``to_cached`` applies a suite's preprocessing
(crops, padding, resizing) to them.

Conventions: coordinates are edges, x from the left and y from the top; the pixel in column i covers i to i + 1. A box
``x0, y0, x1, y1`` covers the pixels ``image[y0:y1, x0:x1]`` where its edges are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import BlockSpec, DatasetCard, Vocabulary
from xrbench.data.images.preprocessing import resolve
from xrbench.data.readers import nih, vindr
from xrbench.data.readers.box_tables import SLACK
from xrbench.errors import CardError, DataError, MissingDataError, suggestion

BOX_READERS: Mapping[str, Callable[..., pd.DataFrame]] = MappingProxyType({"nih": nih.boxes, "vindr": vindr.boxes})
"""Reader -> function that reads the table of boxes."""

EDGES = ("x0", "y0", "x1", "y1")

Numbers = npt.NDArray[np.float64]
Axis = tuple[Numbers, Numbers, Numbers]
"""Transform along one axis: scale and shift of an edge, and the image's extent afterwards, each of shape (boxes,)."""


def load_boxes(card: DatasetCard, folder: Path, vocabulary: Vocabulary) -> pd.DataFrame:
    """Read the boxes of a dataset.

    Args:
        card: The dataset's card; that of the base for a slice.
        folder: The dataset's folder.
        vocabulary: The shared names of findings.

    Returns:
        One row a box: ``image`` (id as in the tidy frame), ``label`` (vocabulary name), ``reader`` (missing where it is not
        named), ``x0, y0, x1, y1`` in pixels of the published file, and that file's ``width`` and ``height`` (NaN where the
        table does not say). Images without a box are not in it.

    Raises:
        MissingDataError: The table of boxes is not there, or the dataset publishes none.
        DataError: A row names an unknown image or label, or is no box inside its image.
    """
    table = BOX_READERS.get(card.reader)
    if table is None:
        raise MissingDataError(
            f"{card.name}: no boxes are published for it; known for readers {', '.join(sorted(BOX_READERS))}"
        )
    options = {"csv": card.options["csv"]} if "csv" in card.options else {}
    return table(folder, vocabulary=vocabulary, labels=card.labels, **options)


def to_cached(
    boxes: pd.DataFrame,
    steps: Sequence[BlockSpec],
    image_size: int,
    size_of_image: Mapping[str, tuple[int, int]] | None = None,
) -> pd.DataFrame:
    """Transform boxes from pixels of the published file to cached pixels of a suite's preprocessing.

    Args:
        boxes: As ``load_boxes`` returns them.
        steps: The suite's preprocessing.
        image_size: Side of the cached pixels.
        size_of_image: Image -> (height, width) of the published file in pixels; by default what stands in ``boxes``.

    Returns:
        The boxes that are at least partly visible, in their order and with their index: ``x0 .. y1`` within 0..image_size, ``width``
        and ``height`` the image size, and ``visible``, the share of the box's area that the crop left (0 to 1).

    Raises:
        DataError: An image's size is unknown, or a box lies outside its image.
        CardError: The transform of boxes is unknown for a step.

    >>> boxes = pd.DataFrame({"image": ["a"], "label": ["Mass"], "x0": [100.0], "y0": [20.0], "x1": [150.0], "y1": [60.0]})
    >>> to_cached(boxes, ["centre-crop", "resize"], 50, {"a": (100, 200)})[["x0", "y0", "x1", "y1"]].values.tolist()
    [[25.0, 10.0, 50.0, 30.0]]
    """
    height, width = _image_sizes(boxes, size_of_image)
    _check_inside(boxes, height, width)
    edges = boxes[list(EDGES)].to_numpy(np.float64)
    # a box may reach over the edge by rounding
    edges = np.clip(edges, 0, np.stack([width, height, width, height], axis=1))
    original_area = _area(edges)
    for name, options in resolve(steps, image_size=image_size):
        if name not in TRANSFORMS:
            raise CardError(f"preprocessing {name!r}: it is not known how it moves boxes{suggestion(name, TRANSFORMS)}")
        (scale_y, shift_y, height), (scale_x, shift_x, width) = TRANSFORMS[name](height, width, **options)
        edges = edges * np.stack([scale_x, scale_y] * 2, axis=1) + np.stack([shift_x, shift_y] * 2, axis=1)
        # the area as if nothing were cut off, to compare with what is visible at the end
        original_area = original_area * scale_x * scale_y
        edges = np.clip(edges, 0, np.stack([width, height] * 2, axis=1))
    visible_area = _area(edges)
    cached = boxes.assign(**dict(zip(EDGES, edges.T, strict=True)), width=width, height=height)
    cached["visible"] = np.divide(visible_area, original_area, out=np.zeros_like(visible_area), where=original_area > 0)
    return cached[visible_area > 0]


def centre_crop(height: Numbers, width: Numbers, *, size: int) -> tuple[Axis, Axis]:
    """Return the transform of ``preprocessing.centre_crop`` for images of (height, width), each of shape (boxes,)."""
    side = np.full_like(height, size) if size else np.minimum(height, width)
    ones = np.ones_like(height)
    return (ones, side // 2 - height // 2, side), (ones, side // 2 - width // 2, side)


def pad_square(height: Numbers, width: Numbers, **_greys: Any) -> tuple[Axis, Axis]:
    """Return the transform of ``preprocessing.pad_square``."""
    side, ones = np.maximum(height, width), np.ones_like(height)
    return (ones, (side - height) // 2, side), (ones, (side - width) // 2, side)


def resize(height: Numbers, width: Numbers, *, size: int, **_greys: Any) -> tuple[Axis, Axis]:
    """Return the transform of ``preprocessing.resize``, which scales each axis separately."""
    side, zeros = np.full_like(height, size), np.zeros_like(height)
    return (side / height, zeros, side), (side / width, zeros, side)


def unchanged(height: Numbers, width: Numbers, **_greys: Any) -> tuple[Axis, Axis]:
    """Return the identity: the step changes grey values only."""
    ones, zeros = np.ones_like(height), np.zeros_like(height)
    return (ones, zeros, height), (ones, zeros, width)


TRANSFORMS: Mapping[str, Callable[..., tuple[Axis, Axis]]] = MappingProxyType(
    {"centre-crop": centre_crop, "pad-square": pad_square, "resize": resize, "equalize": unchanged, "clahe": unchanged}
)
"""Preprocessing block -> transform of boxes in images of (height, width)."""


def _image_sizes(boxes: pd.DataFrame, size_of_image: Mapping[str, tuple[int, int]] | None) -> tuple[Numbers, Numbers]:
    if size_of_image is None:
        sizes = boxes.reindex(columns=["height", "width"]).to_numpy(np.float64)
    else:
        unknown = (np.nan, np.nan)
        sizes = np.array([size_of_image.get(image, unknown) for image in boxes["image"]], np.float64).reshape(-1, 2)
    if np.isnan(sizes).any():
        image = boxes["image"].iloc[int(np.argmax(np.isnan(sizes).any(axis=1)))]
        raise DataError(f"image {image!r} has boxes, and its height and width are not known")
    return sizes[:, 0].copy(), sizes[:, 1].copy()


def _check_inside(boxes: pd.DataFrame, height: Numbers, width: Numbers) -> None:
    for edge, extent in (("x1", width), ("y1", height)):
        is_outside = boxes[edge].to_numpy(np.float64) > extent + SLACK
        if is_outside.any():
            row = boxes.iloc[int(np.argmax(is_outside))]
            size = f"{width[is_outside][0]:g} x {height[is_outside][0]:g}"
            raise DataError(
                f"image {row['image']!r}: a box of {row['label']!r} ends at {edge} = {row[edge]:g}, outside of {size} pixels"
            )


def _area(edges: Numbers) -> Numbers:
    return np.asarray((edges[:, 2] - edges[:, 0]) * (edges[:, 3] - edges[:, 1]), np.float64)
