"""The images of a run: where they are, their cached pixels as the networks saw them, and readers' boxes on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench import cards
from xrbench.catalogue import Catalogue
from xrbench.data.annotations.boxes import load_boxes, to_cached
from xrbench.data.cache import build as caching
from xrbench.data.datasets import sources
from xrbench.data.datasets.sources import DataRoots
from xrbench.data.images.decode import decode
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import DataError, MissingDataError
from xrbench.explain.image_selection import ImageId
from xrbench.progress import Reporter, Silent
from xrbench.runs.bound_plan import BoundPlan, cache_folder


@dataclass(frozen=True)
class DatasetImages:
    """The images of one dataset.

    Attributes:
        name, base, root: The dataset, the dataset that it is a slice of (or itself), and the folder of that.
        card: Card of the base.
        paths: Image id -> path below the root.
    """

    name: str
    base: str
    root: Path
    card: cards.DatasetCard
    paths: dict[str, str]

    def path(self, image: str) -> str:
        """Look up an image's path.

        Raises:
            DataError: The metadata do not list it.
        """
        if image not in self.paths:
            raise DataError(
                f"{self.name}: image {image!r} of the run is not listed in {self.root}; these are other data"
            )
        return self.paths[image]


@dataclass
class ImageSource:
    """The images of a run's datasets.

    Attributes:
        find: Loads the list of images of a dataset by its name.
        suite: Names the steps from a file to its cached pixels.
        catalogue: Where the vocabulary is.
        cache: Folder of pixel caches.
        jobs: Processes that read images.
        reporter: Where progress goes.
    """

    find: Callable[[str], DatasetImages]
    suite: cards.SuiteCard
    catalogue: Catalogue
    cache: Path
    jobs: int = 1
    reporter: Reporter = field(default_factory=Silent)
    _known: dict[str, DatasetImages] = field(default_factory=dict)

    def of(self, dataset: str) -> DatasetImages:
        """Return the images of a dataset.

        Raises:
            MissingDataError: It is not below the data roots.
        """
        if dataset not in self._known:
            self._known[dataset] = self.find(dataset)
        return self._known[dataset]

    def pixels(self, images: Sequence[ImageId], image_size: int) -> ImageSet:
        """Gather the cached pixels of images, in their order; what is not in the cache is read and added.

        Args:
            images: Dataset and id of each image.
            image_size: Side in pixels.

        Raises:
            DataError: An image is missing or cannot be read.
        """
        caches: dict[str, caching.PixelCache] = {}
        bases = [self.of(dataset).base for dataset, _ in images]
        paths = [self.of(dataset).path(image) for dataset, image in images]
        # Slices of one dataset share its cache.
        roots = {self.of(dataset).base: self.of(dataset).root for dataset, _ in images}
        for base, root in roots.items():
            caches[base] = caching.open_cache(
                cache_folder(self.cache, base, root),
                root=root,
                paths=[path for path, of in zip(paths, bases, strict=True) if of == base],
                steps=self.suite.preprocessing,
                image_size=image_size,
                channels=next(self.of(name).card.channels for name, _ in images if self.of(name).base == base),
                jobs=self.jobs,
                reporter=self.reporter,
                where=f"suite {self.suite.name}",
            )
        order = {base: number for number, base in enumerate(caches)}
        return ImageSet(
            domains=tuple(caches),
            pixels=tuple(cache.pixels for cache in caches.values()),
            domain=np.array([order[base] for base in bases], np.int64),
            row=np.array([caches[b].rows([p])[0] for b, p in zip(bases, paths, strict=True)], np.int64),
            truth=np.full((len(images), len(self.suite.labels)), np.nan, np.float32),
        )

    def boxes(self, dataset: str, labels: Sequence[str]) -> pd.DataFrame | None:
        """Read the boxes of these labels, in pixels of the published files; None where the dataset has no table of boxes.

        Raises:
            DataError: The table is not as published.
        """
        images = self.of(dataset)
        try:
            boxes = load_boxes(images.card, images.root, self.catalogue.vocabulary)
        except MissingDataError:
            return None
        return boxes[boxes["label"].isin(list(labels)) & boxes["image"].isin(list(images.paths))]

    def cached_boxes(self, dataset: str, boxes: pd.DataFrame, image_size: int) -> pd.DataFrame:
        """Convert boxes to cached pixels; files are opened where the table does not give their sizes.

        Raises:
            DataError: A box lies outside its image.
        """
        known = boxes[["width", "height"]].notna().all(axis=1)
        sizes = {
            str(image): (int(height), int(width))
            for image, height, width in boxes.loc[known, ["image", "height", "width"]].itertuples(index=False)
        }
        images = self.of(dataset)
        for image in boxes.loc[~known, "image"].unique():
            sizes[str(image)] = _size(images.root / images.path(str(image)))
        return to_cached(boxes, self.suite.preprocessing, image_size, sizes)


def from_plan(bound: BoundPlan) -> Callable[[str], DatasetImages]:
    """Find datasets among those of a plan that is bound to its data."""

    def find(dataset: str) -> DatasetImages:
        domain = bound.domains[dataset]
        return DatasetImages(dataset, domain.base, domain.root, domain.published, _paths(domain.frame))

    return find


def from_roots(catalogue: Catalogue, roots: DataRoots) -> Callable[[str], DatasetImages]:
    """Find datasets below data roots, by reading their metadata."""

    def find(dataset: str) -> DatasetImages:
        domain = sources.load(dataset, catalogue, roots)
        return DatasetImages(dataset, domain.base, domain.root, catalogue.dataset(domain.base), _paths(domain.frame))

    return find


def _paths(frame: pd.DataFrame) -> dict[str, str]:
    return dict(zip(frame["image"].astype(str), frame["path"].astype(str), strict=True))


def _size(path: Path) -> tuple[int, int]:
    pixels: npt.NDArray[np.generic] = decode(path)
    return int(pixels.shape[0]), int(pixels.shape[1])
