"""Random augmentation of training images: one call for a batch, with parameters of its own for each image.

Images are floats from 0 (black) to 1 (white) whatever the scale of the model, so that a method has the same effect with every
model. Parameters are drawn from the numpy generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

Values = npt.NDArray[np.float64]


def affine(
    images: Tensor,
    rng: np.random.Generator,
    *,
    degrees: float = 0.0,
    translate: float | Sequence[float] = 0.0,
    scale: Sequence[float] = (1.0, 1.0),
    interpolation: Literal["nearest", "bilinear"] = "nearest",
    fill: float = 0.5,
) -> Tensor:
    """Rotate, shift and scale each image, as ``torchvision.transforms.RandomAffine`` does.

    Args:
        images: Shape (images, channels, height, width), from 0 to 1.
        rng: Generator of the parameters.
        degrees: Angles are uniform in -degrees to +degrees.
        translate: Shifts are uniform in plus and minus this share of width and height (one number, or one each), in whole pixels.
        scale: Sizes are uniform between these two factors.
        interpolation: Interpolation between pixels.
        fill: Brightness of pixels from outside the image; 0.5 is mid-grey, the 0 of a model's scale [-1024, 1024].

    Returns:
        The changed images, same shape.
    """
    count, (height, width) = len(images), images.shape[-2:]
    share_x, share_y = (translate, translate) if isinstance(translate, int | float) else translate
    # the order of the draws is part of every committed figure
    angle = rng.uniform(-degrees, degrees, count)
    shift_x = np.round(rng.uniform(-share_x * width, share_x * width, count))
    shift_y = np.round(rng.uniform(-share_y * height, share_y * height, count))
    size = rng.uniform(scale[0], scale[1], count)
    return transform(images, angle, shift_x, shift_y, size, interpolation=interpolation, fill=fill)


def horizontal_flip(images: Tensor, rng: np.random.Generator, *, p: float = 0.5) -> Tensor:
    """Mirror each image, shape (images, channels, height, width), left to right with probability ``p``.

    Note that the heart of a mirrored chest is on the wrong side.
    """
    flipped = torch.from_numpy(rng.random(len(images)) < p).to(images.device)
    return torch.where(flipped.view(-1, 1, 1, 1), images.flip(-1), images)


def transform(
    images: Tensor,
    angle: Values,
    shift_x: Values,
    shift_y: Values,
    size: Values,
    *,
    interpolation: Literal["nearest", "bilinear"] = "nearest",
    fill: float = 0.5,
) -> Tensor:
    """Turn each image by ``angle`` degrees clockwise about its centre, scale it by ``size``, then shift it by whole pixels.

    The mapping is that of ``torchvision.transforms.functional.affine`` on tensors, with an angle and a shift for each image.

    Args:
        images: Shape (images, channels, height, width).
        angle: Degrees, shape (images,).
        shift_x: Pixels to the right, shape (images,).
        shift_y: Pixels down, shape (images,).
        size: Scale factors, above 0, shape (images,).
        interpolation: Interpolation between pixels.
        fill: Value of pixels from outside the image.
    """
    height, width = images.shape[-2:]
    radians = np.deg2rad(angle)
    cos, sin = np.cos(radians) / size, np.sin(radians) / size
    # grid_sample asks for the source of each pixel of the result: rows of the inverse mapping, in pixels from the centre
    inverse = np.stack(
        [cos, sin, -cos * shift_x - sin * shift_y, -sin, cos, sin * shift_x - cos * shift_y], axis=1
    ).reshape(-1, 2, 3)
    # grid_sample's coordinates run from -1 to 1 over the image
    inverse = inverse / np.array([[0.5 * width], [0.5 * height]])
    theta = torch.from_numpy(inverse.astype(np.float32)).to(images.device)
    x = torch.arange(width, device=images.device, dtype=torch.float32) - (width - 1) / 2
    y = torch.arange(height, device=images.device, dtype=torch.float32) - (height - 1) / 2
    grid_x = theta[:, :, 0, None, None] * x
    grid_y = theta[:, :, 1, None, None] * y[:, None] + theta[:, :, 2, None, None]
    grid = (grid_x + grid_y).permute(0, 2, 3, 1)
    # outside the image grid_sample gives 0: subtracting the fill before and adding it afterwards turns that into the fill
    sampled = functional.grid_sample(images - fill, grid, mode=interpolation, padding_mode="zeros", align_corners=False)
    return sampled + fill
