"""Images that belong together for one purpose: rows of memory-mapped caches with their truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ImageSet:
    """Rows of one or several pixel caches, with one truth column a label.

    Attributes:
        domains: Name of the dataset behind each cache.
        pixels: One uint8 array a dataset, shape (images in the cache, channels, height, width), usually memory-mapped.
        domain: Which dataset each image is from, shape (n,), an index into ``domains``.
        row: Its row in that dataset's cache, shape (n,).
        truth: 1, 0 or NaN (not labelled), float32, shape (n, labels).
    """

    domains: tuple[str, ...]
    pixels: tuple[npt.NDArray[np.uint8], ...]
    domain: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    truth: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.row)

    def gather(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Copy the images at these positions into one array of shape (len(indices), channels, height, width)."""
        domain, row = self.domain[indices], self.row[indices]
        if len(self.pixels) == 1:
            return np.asarray(self.pixels[0][row])
        out = np.empty((len(indices), *self.pixels[0].shape[1:]), np.uint8)
        for number, pixels in enumerate(self.pixels):
            here = domain == number
            if here.any():
                out[here] = pixels[row[here]]
        return out

    def first(self, count: int) -> ImageSet:
        """Keep the first images only; with 0, a set of the same kind without images."""
        return ImageSet(self.domains, self.pixels, self.domain[:count], self.row[:count], self.truth[:count])

    @classmethod
    def join(cls, sets: Sequence[ImageSet]) -> ImageSet:
        """Put several sets one after the other."""
        offsets = np.cumsum([0, *(len(part.domains) for part in sets)])
        return cls(
            domains=tuple(name for part in sets for name in part.domains),
            pixels=tuple(pixels for part in sets for pixels in part.pixels),
            domain=np.concatenate([part.domain + offset for part, offset in zip(sets, offsets[:-1], strict=True)]),
            row=np.concatenate([part.row for part in sets]),
            truth=np.concatenate([part.truth for part in sets]),
        )
