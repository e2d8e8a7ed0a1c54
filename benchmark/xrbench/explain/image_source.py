"""Where the images of a run lie, their pixels as the networks were given them, and the boxes that were drawn on them."""

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
from xrbench.progress import Reporter, Silent
from xrbench.runs.bound_plan import BoundPlan, cache_folder

Picture = tuple[str, str]
"""Dataset and image id."""


@dataclass(frozen=True)
class Place:
    """One dataset.

    Attributes:
        name, base, root: The dataset, the one whose patients it holds, and that one's folder.
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
            DataError: The metadata do not list it any more.
        """
        if image not in self.paths:
            raise DataError(
                f"{self.name}: image {image!r} of the run is not listed in {self.root}; these are other data"
            )
        return self.paths[image]


@dataclass
class Places:
    """The datasets of a run.

    Attributes:
        find: Finds one by name.
        suite: Names the steps from a file to its cached pixels.
        catalogue: Where the vocabulary is.
        cache: Folder of pixel caches.
        jobs: Processes that read images.
        reporter: Where progress goes.
    """

    find: Callable[[str], Place]
    suite: cards.SuiteCard
    catalogue: Catalogue
    cache: Path
    jobs: int = 1
    reporter: Reporter = field(default_factory=Silent)
    _known: dict[str, Place] = field(default_factory=dict)

    def of(self, dataset: str) -> Place:
        """Find a dataset.

        Raises:
            MissingDataError: It is not where it is looked for.
        """
        if dataset not in self._known:
            self._known[dataset] = self.find(dataset)
        return self._known[dataset]

    def pixels(self, pictures: Sequence[Picture], image_size: int) -> ImageSet:
        """Put images together with their cached pixels, reading those that are not in the cache; in the given order.

        Raises:
            DataError: An image is not there or cannot be read.
        """
        caches: dict[str, caching.PixelCache] = {}
        bases = [self.of(dataset).base for dataset, _ in pictures]
        paths = [self.of(dataset).path(image) for dataset, image in pictures]
        places = {self.of(dataset).base: self.of(dataset) for dataset, _ in pictures}
        for base, place in places.items():
            caches[base] = caching.open_cache(
                cache_folder(self.cache, base, place.root),
                root=place.root,
                paths=[path for path, its in zip(paths, bases, strict=True) if its == base],
                steps=self.suite.preprocessing,
                image_size=image_size,
                channels=1,
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
            truth=np.full((len(pictures), len(self.suite.labels)), np.nan, np.float32),
        )

    def boxes(self, dataset: str, labels: Sequence[str]) -> pd.DataFrame | None:
        """Read the boxes of these labels, in pixels of the published files; None where the dataset has no table of boxes.

        Raises:
            DataError: The table is not as published.
        """
        place = self.of(dataset)
        try:
            found = load_boxes(place.card, place.root, self.catalogue.vocabulary)
        except MissingDataError:
            return None
        return found[found["label"].isin(list(labels)) & found["image"].isin(list(place.paths))]

    def cached_boxes(self, dataset: str, boxes: pd.DataFrame, image_size: int) -> pd.DataFrame:
        """Move boxes to cached pixels; files are opened where the table does not say how large they are.

        Raises:
            DataError: A box lies outside of its image.
        """
        known = boxes[["width", "height"]].notna().all(axis=1)
        sizes = {
            str(image): (int(height), int(width))
            for image, height, width in boxes.loc[known, ["image", "height", "width"]].itertuples(index=False)
        }
        place = self.of(dataset)
        for image in boxes.loc[~known, "image"].unique():
            sizes[str(image)] = _size(place.root / place.path(str(image)))
        return to_cached(boxes, self.suite.preprocessing, image_size, sizes)


def from_assembly(assembly: BoundPlan) -> Callable[[str], Place]:
    """Find the datasets of a plan that was brought together with its data."""

    def find(dataset: str) -> Place:
        domain = assembly.domains[dataset]
        return Place(dataset, domain.base, domain.root, domain.published, _paths(domain.frame))

    return find


def from_roots(catalogue: Catalogue, roots: DataRoots) -> Callable[[str], Place]:
    """Find datasets below data roots, by reading their metadata."""

    def find(dataset: str) -> Place:
        domain = sources.load(dataset, catalogue, roots)
        return Place(dataset, domain.base, domain.root, catalogue.dataset(domain.base), _paths(domain.frame))

    return find


def _paths(frame: pd.DataFrame) -> dict[str, str]:
    return dict(zip(frame["image"].astype(str), frame["path"].astype(str), strict=True))


def _size(path: Path) -> tuple[int, int]:
    pixels: npt.NDArray[np.generic] = decode(path)
    return int(pixels.shape[0]), int(pixels.shape[1])
