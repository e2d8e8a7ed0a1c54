"""Sets of images for training or evaluation: rows of memory-mapped caches with their truth."""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ImageSet:
    """Rows of one or several pixel caches, with a truth column for each label.

    Attributes:
        domains: Name of the dataset behind each cache.
        pixels: One uint8 array a dataset, shape (images in the cache, channels, height, width), usually memory-mapped.
        domain: Dataset of each image, an index into ``domains``, shape (n,).
        row: Row of each image in its dataset's cache, shape (n,).
        truth: 1, 0 or NaN (not labelled), float32, shape (n, labels).
        patient: Patient of each image, as a number that is equal within a patient alone, shape (n,); None where nobody needs it.
        targets: Truth of further heads: head -> float32, NaN for not labelled, shape (n, outputs).
    """

    domains: tuple[str, ...]
    pixels: tuple[npt.NDArray[np.uint8], ...]
    domain: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    truth: npt.NDArray[np.float32]
    patient: npt.NDArray[np.int64] | None = None
    targets: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.row)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: of mapped pixels only where they are, so that a set can be sent to another process."""
        return {**vars(self), "pixels": tuple(map(_Mapped.of, self.pixels))}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        pixels = tuple(part.open() if isinstance(part, _Mapped) else part for part in state["pixels"])
        # the dataclass is frozen: its attributes are set as its own __init__ does
        for name, value in {**state, "pixels": pixels}.items():
            object.__setattr__(self, name, value)

    def gather(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Copy the images at these positions into one array of shape (len(indices), channels, height, width).

        Where some datasets are grey and others in colour, there are 3 channels and grey is repeated, whatever images are chosen.
        """
        domain, row = self.domain[indices], self.row[indices]
        # one cache needs no look-up of the dataset of each image
        if len(self.pixels) == 1:
            return np.asarray(self.pixels[0][row])
        channels = max(pixels.shape[1] for pixels in self.pixels)
        out = np.empty((len(indices), channels, *self.pixels[0].shape[2:]), np.uint8)
        for number, pixels in enumerate(self.pixels):
            of_dataset = domain == number
            if of_dataset.any():
                # one channel is broadcast to all
                out[of_dataset] = pixels[row[of_dataset]]
        return out

    def image(self, index: int) -> npt.NDArray[np.uint8]:
        """Copy one image as it is drawn: shape (height, width) where its dataset is grey, (height, width, 3) in colour."""
        return channels_last(self.pixels[int(self.domain[index])][int(self.row[index])])

    def first(self, count: int) -> ImageSet:
        """Return the first ``count`` images; with 0 a set of the same kind without images."""
        return replace(
            self,
            domain=self.domain[:count],
            row=self.row[:count],
            truth=self.truth[:count],
            patient=None if self.patient is None else self.patient[:count],
            targets={name: values[:count] for name, values in self.targets.items()},
        )

    @classmethod
    def join(cls, sets: Sequence[ImageSet]) -> ImageSet:
        """Concatenate several sets; their datasets stay apart, also where names are equal."""
        # numbers of datasets continue from set to set
        offsets = np.cumsum([0, *(len(image_set.domains) for image_set in sets)])
        patients = [image_set.patient for image_set in sets]
        known = [numbers for numbers in patients if numbers is not None]
        return cls(
            domains=tuple(name for image_set in sets for name in image_set.domains),
            pixels=tuple(pixels for image_set in sets for pixels in image_set.pixels),
            domain=np.concatenate(
                [image_set.domain + offset for image_set, offset in zip(sets, offsets[:-1], strict=True)]
            ),
            row=np.concatenate([image_set.row for image_set in sets]),
            truth=np.concatenate([image_set.truth for image_set in sets]),
            # the numbers of patients are those of one table, whichever set they stand in
            patient=np.concatenate(known) if len(known) == len(sets) else None,
            targets={name: np.concatenate([image_set.targets[name] for image_set in sets]) for name in sets[0].targets},
        )


@dataclass(frozen=True)
class _Mapped:
    """Where the pixels of a memory-mapped cache are."""

    file: str
    offset: int
    shape: tuple[int, ...]

    @classmethod
    def of(cls, pixels: npt.NDArray[np.uint8]) -> _Mapped | npt.NDArray[np.uint8]:
        """Describe mapped pixels; return others, and views of a part of a file, as they are."""
        source: Any = pixels.base
        if not isinstance(pixels, np.memmap) or not isinstance(source, mmap.mmap):
            return pixels
        return cls(str(pixels.filename), pixels.offset, pixels.shape)

    def open(self) -> npt.NDArray[np.uint8]:
        """Map them again, read-only."""
        return np.memmap(self.file, np.uint8, mode="r", offset=self.offset, shape=self.shape)


def channels_last(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Copy cached pixels, shape (channels, height, width), to the layout of image files: (height, width) or (height, width, 3).

    >>> channels_last(np.zeros((3, 2, 4), np.uint8)).shape, channels_last(np.zeros((1, 2, 4), np.uint8)).shape
    ((2, 4, 3), (2, 4))
    """
    return np.array(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, 2))
