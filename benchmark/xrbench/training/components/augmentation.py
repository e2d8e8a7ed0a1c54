"""Change training images at random: whole batches at once, each image with parameters of its own.

Images are floats from 0 (black) to 1 (white) whatever scale the model takes, so that a method means the same picture with
every model. Parameters are drawn from the numpy generator that is handed in.
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
        rng: Where the parameters are drawn from.
        degrees: Angles are uniform in -degrees to +degrees.
        translate: Shifts are uniform in plus and minus this share of width and height (one number, or one each), in whole pixels.
        scale: Sizes are uniform between these two factors.
        interpolation: How values between pixels are found.
        fill: Brightness of what comes in from outside; 0.5 is mid-grey, which is 0 where a model's scale is [-1024, 1024].
    """
    count, (height, width) = len(images), images.shape[-2:]
    across, down = (translate, translate) if isinstance(translate, int | float) else translate
    angle = rng.uniform(-degrees, degrees, count)
    shift_x = np.round(rng.uniform(-across * width, across * width, count))
    shift_y = np.round(rng.uniform(-down * height, down * height, count))
    size = rng.uniform(scale[0], scale[1], count)
    return transform(images, angle, shift_x, shift_y, size, interpolation=interpolation, fill=fill)


def horizontal_flip(images: Tensor, rng: np.random.Generator, *, p: float = 0.5) -> Tensor:
    """Mirror each image left to right with probability ``p``.

    Note that the heart of a mirrored chest lies on the wrong side.
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
    """
    height, width = images.shape[-2:]
    turn = np.deg2rad(angle)
    cos, sin = np.cos(turn) / size, np.sin(turn) / size
    # rows of the inverse mapping, from a pixel of the result to its source, both counted from the centre
    inverse = np.stack(
        [cos, sin, -cos * shift_x - sin * shift_y, -sin, cos, sin * shift_x - cos * shift_y], axis=1
    ).reshape(-1, 2, 3)
    inverse = inverse / np.array([[0.5 * width], [0.5 * height]])
    theta = torch.from_numpy(inverse.astype(np.float32)).to(images.device)
    x = torch.arange(width, device=images.device, dtype=torch.float32) - (width - 1) / 2
    y = torch.arange(height, device=images.device, dtype=torch.float32) - (height - 1) / 2
    across = theta[:, :, 0, None, None] * x
    down = theta[:, :, 1, None, None] * y[:, None] + theta[:, :, 2, None, None]
    grid = (across + down).permute(0, 2, 3, 1)
    # what lies outside is sampled as 0; taking the fill away before and adding it after makes that the fill
    sampled = functional.grid_sample(images - fill, grid, mode=interpolation, padding_mode="zeros", align_corners=False)
    return sampled + fill
