"""From a decoded image to the pixels of the cache: blocks that a suite's card names, and the pipeline that chains them.

Conventions: a block takes an array of shape (height, width) or (height, width, 3) on the scale 0..255, ``uint8`` or
``float32``, and keyword options; it returns the same kind of array. 8-bit images stay 8-bit as long as a block allows it; the
pipeline rounds once at its end. The blocks that change contrast
are in :mod:`xrbench.data.images.contrast`. Options that cannot mean anything are a CardError, an image that does not fit a DataError.

:func:`digest` names what a pipeline does, so that a cache is never read as the output of another one.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from xrbench.blocks import check_options, split
from xrbench.cards import BlockSpec
from xrbench.data.images import resampling
from xrbench.errors import CardError, DataError, XrbenchError, suggestion

Array = npt.NDArray[Any]
Filter = Literal["bilinear", "bicubic", "lanczos", "box", "skimage"]

VERSION = 1
"""To be raised when the decoder or the pipeline gives other pixels than before: all caches are then rebuilt."""

BLOCK_VERSIONS: Mapping[str, int] = MappingProxyType({"clahe": 2})
"""Block that gives other pixels than its first version did -> version: caches that are made with it are then rebuilt."""

PILLOW_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}


def centre_crop(image: Array, *, size: int = 0) -> Array:
    """Crop the centre: the largest square, or a square of ``size`` pixels.

    An odd margin has its extra pixel at the end, or for an odd square at the start, as in torchxrayvision's
    ``XRayCenterCrop``.

    Raises:
        DataError: The image is smaller than ``size``.

    >>> centre_crop(np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint8))
    array([[2, 3],
           [6, 7]], dtype=uint8)
    """
    if size < 0:
        raise CardError(f"preprocessing 'centre-crop': size: expected 0 (the largest square) or more, got {size}")
    height, width = image.shape[:2]
    side = size or min(height, width)
    if side > min(height, width):
        raise DataError(f"{width} x {height} pixels are less than the centre crop of {side}")
    top, left = height // 2 - side // 2, width // 2 - side // 2
    return image[top : top + side, left : left + side]


def pad_square(image: Array, *, fill: float = 0) -> Array:
    """Pad the image to a square with margins of value ``fill`` (0 is black) on both sides of the shorter axis.

    >>> pad_square(np.array([[7, 8]], np.uint8))
    array([[7, 8],
           [0, 0]], dtype=uint8)
    """
    _check_fill("pad-square", fill)
    height, width = image.shape[:2]
    side = max(height, width)
    out = np.full((side, side, *image.shape[2:]), fill, image.dtype)
    top, left = (side - height) // 2, (side - width) // 2
    out[top : top + height, left : left + width] = image
    return out


def resize(image: Array, *, size: int, filter: Filter = "bilinear", fill: float = 127.5) -> Array:  # noqa: A002
    """Resize the image to ``size`` x ``size`` pixels with anti-aliasing; the aspect ratio is not kept.

    Args:
        image: Grey or colour.
        size: Side of the result in pixels; a pipeline fills in its image size where a card has none.
        filter: ``bilinear`` (Pillow's triangle filter, widened when shrinking), ``bicubic``, ``lanczos``, ``box`` (the mean of
            the covered area); or ``skimage``: scikit-image's ``resize`` of order 1 with Gaussian anti-aliasing and a constant
            border, as torchxrayvision's ``XRayResizer``.
        fill: With ``skimage``, the grey outside the image. 127.5 is the 0 of torchxrayvision's scale -1024..1024; papers
            that resize an image of 0..1 with ``cval=0`` have 0.
    """
    if filter != "skimage" and filter not in PILLOW_FILTERS:
        raise CardError(
            f"preprocessing 'resize': filter: no {filter!r}{suggestion(filter, [*PILLOW_FILTERS, 'skimage'])}"
        )
    if size < 1:
        raise CardError(f"preprocessing 'resize': size: expected 1 or more pixels, got {size}")
    _check_fill("resize", fill)
    if filter == "skimage":
        return resampling.gaussian_bilinear(image, (size, size), fill=fill)
    # Pillow has no floating-point image of several channels
    if image.ndim == 3 and image.dtype != np.uint8:
        return np.dstack([resize(image[:, :, channel], size=size, filter=filter) for channel in range(image.shape[2])])
    return np.asarray(Image.fromarray(image).resize((size, size), PILLOW_FILTERS[filter]))


def pipeline(
    steps: Sequence[BlockSpec], *, image_size: int, where: str = ""
) -> Callable[[Array], npt.NDArray[np.uint8]]:
    """Combine preprocessing blocks in one function from a decoded image to the pixels of the cache.

    Args:
        steps: Blocks with options, in order. ``size`` is ``image_size`` where it has no default and the card gives none.
        image_size: Side in pixels of the last block's result.
        where: The card, for messages.

    Returns:
        A function from (height, width) or (height, width, 3) to ``uint8`` of shape (channels, image_size, image_size),
        rounded to the nearest grey and clipped to 0..255.

    Raises:
        CardError: A block or option is unknown or invalid; or, when the function is called, the result has another size.
    """
    chain = [
        (name, functools.partial(check_options("preprocessing", name, options, where=where), **options))
        for name, options in resolve(steps, image_size=image_size, where=where)
    ]
    place = f"{where}: " if where else ""

    def run(image: Array) -> npt.NDArray[np.uint8]:
        for name, block in chain:
            image = _run_block(name, block, image, place)
        if image.shape[:2] != (image_size, image_size):
            raise CardError(
                f"{place}preprocessing: the last step gives {image.shape[1]} x {image.shape[0]} pixels where image_size "
                f"is {image_size}; end with a step such as 'resize'"
            )
        if image.dtype != np.uint8:
            image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        return np.ascontiguousarray(image[None] if image.ndim == 2 else np.moveaxis(image, 2, 0))

    return run


def resolve(steps: Sequence[BlockSpec], *, image_size: int, where: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Return the name and all options of each step, with defaults and image size filled in.

    Raises:
        CardError: A block or option is unknown, or a needed option is missing.

    >>> resolve(["centre-crop", {"block": "resize", "filter": "box"}], image_size=64)
    [('centre-crop', {'size': 0}), ('resize', {'size': 64, 'filter': 'box', 'fill': 127.5})]
    """
    resolved = []
    for step in steps:
        name, card_options = split("preprocessing", step, where=where)
        block = check_options("preprocessing", name, card_options, where=where)
        options = dict(card_options)
        parameters = list(inspect.signature(block).parameters.values())[1:]
        for parameter in parameters:
            if parameter.name in card_options or parameter.kind is parameter.VAR_KEYWORD:
                continue
            if parameter.default is not parameter.empty:
                options[parameter.name] = parameter.default
            elif parameter.name == "size":
                options["size"] = image_size
            else:
                raise CardError(f"{where + ': ' if where else ''}preprocessing {name!r} needs {parameter.name!r}")
        # in the order of the signature, whatever the order on the card
        order = {parameter.name: place for place, parameter in enumerate(parameters)}
        resolved.append((name, dict(sorted(options.items(), key=lambda item: order.get(item[0], len(order))))))
    return resolved


def describe(steps: Sequence[BlockSpec], *, image_size: int, channels: int, where: str = "") -> dict[str, Any]:
    """Describe a pipeline in full: steps with all options, size, channels and versions.

    Of libraries the major version counts (of scikit-image, still at 0.x, the minor one, and only where a step uses it). The code of
    a block from another package does not: rename the block, or give it a version option, when its pixels change.
    """
    resolved = resolve(steps, image_size=image_size, where=where)
    libraries = {"pillow": metadata.version("pillow").split(".")[0]}
    if any(name == "clahe" for name, _ in resolved):
        libraries["scikit-image"] = ".".join(metadata.version("scikit-image").split(".")[:2])
    versions = {name: BLOCK_VERSIONS[name] for name, _ in resolved if name in BLOCK_VERSIONS}
    return {
        "version": VERSION,
        "channels": channels,
        "image_size": image_size,
        "steps": [[name, options] for name, options in resolved],
        "libraries": libraries,
        # left out where there are none, so that other caches keep their names
        **({"block_versions": versions} if versions else {}),
    }


def digest(steps: Sequence[BlockSpec], *, image_size: int, channels: int, where: str = "") -> str:
    """Hash :func:`describe` into 32 hexadecimal digits; equal means that equal files give equal pixels."""
    text = json.dumps(describe(steps, image_size=image_size, channels=channels, where=where), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _run_block(name: str, block: Callable[[Array], Array], image: Array, place: str) -> Array:
    try:
        return block(image)
    except CardError as error:
        raise CardError(f"{place}{error}") from error
    except XrbenchError:
        raise
    except Exception as error:
        raise DataError(
            f"preprocessing {name!r} fails: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error


def _check_fill(name: str, fill: float) -> None:
    if not 0 <= fill <= 255:
        raise CardError(f"preprocessing {name!r}: fill: expected a grey from 0 to 255, got {fill}")
