"""Where radiologists drew boxes around findings, and where these boxes lie in the cached pixels.

``load_boxes`` reads a dataset's own table of boxes, in pixels of the published files. ``to_cached`` follows a suite's
preprocessing: what is cropped, padded and resized there moves the boxes here.

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

TABLES: Mapping[str, Callable[..., pd.DataFrame]] = MappingProxyType({"nih": nih.boxes, "vindr": vindr.boxes})
"""Reader -> what reads its box table."""

EDGES = ("x0", "y0", "x1", "y1")

Numbers = npt.NDArray[np.float64]
Axis = tuple[Numbers, Numbers, Numbers]
"""Along one axis: the scale and shift that take an edge to its place, and the image's extent there."""


def load_boxes(card: DatasetCard, folder: Path, vocabulary: Vocabulary) -> pd.DataFrame:
    """Read the boxes of a dataset.

    Args:
        card: The dataset's card; that of the base for a slice.
        folder: The dataset's folder.
        vocabulary: The shared names of findings.

    Returns:
        One row a box: ``image`` (id as in the tidy frame), ``label`` (vocabulary name), ``reader`` (missing where nobody is
        named), ``x0, y0, x1, y1`` in pixels of the published file, and that file's ``width`` and ``height`` (NaN where the
        table does not say). Images without a box are not in it.

    Raises:
        MissingDataError: The table of boxes is not there, or the dataset publishes none.
        DataError: A row names an unknown image or label, or is no box inside its image.
    """
    table = TABLES.get(card.reader)
    if table is None:
        raise MissingDataError(
            f"{card.name}: no boxes are published for it; known for readers {', '.join(sorted(TABLES))}"
        )
    options = {"csv": card.options["csv"]} if "csv" in card.options else {}
    return table(folder, vocabulary=vocabulary, labels=card.labels, **options)


def to_cached(
    boxes: pd.DataFrame,
    steps: Sequence[BlockSpec],
    image_size: int,
    size_of_image: Mapping[str, tuple[int, int]] | None = None,
) -> pd.DataFrame:
    """Move boxes from the published file to the cached pixels of a suite's preprocessing.

    Args:
        boxes: As ``load_boxes`` returns them.
        steps: The suite's preprocessing.
        image_size: Side of the cached pixels.
        size_of_image: Image -> (height, width) of the published file in pixels; by default what stands in ``boxes``.

    Returns:
        The boxes of which something is left, in their order and with their index: ``x0 .. y1`` within 0..image_size, ``width``
        and ``height`` the image size, and ``visible``, the share of the box's area that the crop left (0 to 1).

    Raises:
        DataError: An image's size is not known, or a box lies outside of its image.
        CardError: It is not known how a step moves boxes.

    >>> drawn = pd.DataFrame({"image": ["a"], "label": ["Mass"], "x0": [100.0], "y0": [20.0], "x1": [150.0], "y1": [60.0]})
    >>> to_cached(drawn, ["centre-crop", "resize"], 50, {"a": (100, 200)})[["x0", "y0", "x1", "y1"]].values.tolist()
    [[25.0, 10.0, 50.0, 30.0]]
    """
    height, width = _sizes(boxes, size_of_image)
    _check_inside(boxes, height, width)
    edges = boxes[list(EDGES)].to_numpy(np.float64)
    edges = np.clip(edges, 0, np.stack([width, height, width, height], axis=1))
    area = _area(edges)
    for name, options in resolve(steps, image_size=image_size):
        if name not in MOVES:
            raise CardError(f"preprocessing {name!r}: it is not known how it moves boxes{suggestion(name, MOVES)}")
        (scale_y, shift_y, height), (scale_x, shift_x, width) = MOVES[name](height, width, **options)
        edges = edges * np.stack([scale_x, scale_y] * 2, axis=1) + np.stack([shift_x, shift_y] * 2, axis=1)
        area = area * scale_x * scale_y
        edges = np.clip(edges, 0, np.stack([width, height] * 2, axis=1))
    left = _area(edges)
    moved = boxes.assign(**dict(zip(EDGES, edges.T, strict=True)), width=width, height=height)
    moved["visible"] = np.divide(left, area, out=np.zeros_like(left), where=area > 0)
    return moved[left > 0]


def centre_crop(height: Numbers, width: Numbers, *, size: int) -> tuple[Axis, Axis]:
    """Follow ``preprocessing.centre_crop``."""
    side = np.full_like(height, size) if size else np.minimum(height, width)
    one = np.ones_like(height)
    return (one, side // 2 - height // 2, side), (one, side // 2 - width // 2, side)


def pad_square(height: Numbers, width: Numbers, **_greys: Any) -> tuple[Axis, Axis]:
    """Follow ``preprocessing.pad_square``."""
    side, one = np.maximum(height, width), np.ones_like(height)
    return (one, (side - height) // 2, side), (one, (side - width) // 2, side)


def resize(height: Numbers, width: Numbers, *, size: int, **_greys: Any) -> tuple[Axis, Axis]:
    """Follow ``preprocessing.resize``: each side is scaled apart."""
    side, none = np.full_like(height, size), np.zeros_like(height)
    return (side / height, none, side), (side / width, none, side)


def stay(height: Numbers, width: Numbers, **_greys: Any) -> tuple[Axis, Axis]:
    """Leave boxes where they are: the step changes greys only."""
    one, none = np.ones_like(height), np.zeros_like(height)
    return (one, none, height), (one, none, width)


MOVES: Mapping[str, Callable[..., tuple[Axis, Axis]]] = MappingProxyType(
    {"centre-crop": centre_crop, "pad-square": pad_square, "resize": resize, "equalize": stay, "clahe": stay}
)
"""Preprocessing block -> how it moves what is in an image of (height, width)."""


def _sizes(boxes: pd.DataFrame, size_of_image: Mapping[str, tuple[int, int]] | None) -> tuple[Numbers, Numbers]:
    if size_of_image is None:
        found = boxes.reindex(columns=["height", "width"]).to_numpy(np.float64)
    else:
        unknown = (np.nan, np.nan)
        found = np.array([size_of_image.get(image, unknown) for image in boxes["image"]], np.float64).reshape(-1, 2)
    if np.isnan(found).any():
        image = boxes["image"].iloc[int(np.argmax(np.isnan(found).any(axis=1)))]
        raise DataError(f"image {image!r} has boxes, and its height and width are not known")
    return found[:, 0].copy(), found[:, 1].copy()


def _check_inside(boxes: pd.DataFrame, height: Numbers, width: Numbers) -> None:
    for edge, extent in (("x1", width), ("y1", height)):
        outside = boxes[edge].to_numpy(np.float64) > extent + SLACK
        if outside.any():
            row = boxes.iloc[int(np.argmax(outside))]
            size = f"{width[outside][0]:g} x {height[outside][0]:g}"
            raise DataError(
                f"image {row['image']!r}: a box of {row['label']!r} ends at {edge} = {row[edge]:g}, outside of {size} pixels"
            )


def _area(edges: Numbers) -> Numbers:
    return np.asarray((edges[:, 2] - edges[:, 0]) * (edges[:, 3] - edges[:, 1]), np.float64)
