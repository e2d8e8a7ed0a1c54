"""Images of a run as its networks saw them, from the pixel cache below ``--out`` where that is still there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from xrbench.data.cache.index import DamagedIndexError, Index, Record
from xrbench.data.images.image_set import channels_last
from xrbench.data.images.preprocessing import digest
from xrbench.report.run_folder import Run

CACHE = "cache"
PIXELS = "pixels.u8"
Image = npt.NDArray[np.uint8]


def cached_images(run: Run, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Image]:
    """Read images by dataset and id, of the largest size that is cached; those that are not cached are left out.

    Args:
        run: A run folder; caches are looked for in the ``--out`` folder that it is in.
        names: Dataset and image id of each.

    Returns:
        (dataset, image) -> image, uint8 of shape (height, width), or (height, width, 3) in colour.
    """
    pixels: dict[tuple[str, str], Image] = {}
    by_dataset: dict[str, list[str]] = {}
    for dataset, image in names:
        by_dataset.setdefault(dataset, []).append(image)
    for dataset, images in by_dataset.items():
        for cache in _caches(run, run.results.domain(dataset)):
            missing = [name for name in images if (dataset, name) not in pixels]
            pixels |= {(dataset, name): image for name, image in _read(run, cache, missing).items()}
    return pixels


def _caches(run: Run, base: str) -> list[Path]:
    """List the caches of a dataset, the largest images first."""
    caches = (run.folder.resolve().parents[1] / CACHE).glob(f"*/{base}/*px-*")
    return sorted(caches, key=lambda cache: (-_size(cache), str(cache)))


def _size(cache: Path) -> int:
    text = cache.name.partition("px-")[0]
    return int(text) if text.isdigit() else 0


def _read(run: Run, cache: Path, names: Sequence[str]) -> dict[str, Image]:
    """Read images from one cache; none where it is damaged or was made with other preprocessing than the run's."""
    try:
        index = Index.load(cache / "index.jsonl")
        file = cache / PIXELS
        expected = digest(run.suite.preprocessing, image_size=_size(cache), channels=index.head.shape[0])
        if not names or index.head.digest != expected or not file.is_file():
            return {}
        rows = _rows(index.records.values(), names)
        pixels = np.memmap(file, np.uint8, "r").reshape(-1, *index.head.shape)
    except (OSError, ValueError, DamagedIndexError):
        return {}
    return {name: channels_last(pixels[row]) for name, row in rows.items() if row < len(pixels)}


def _rows(records: Iterable[Record], names: Sequence[str]) -> Mapping[str, int]:
    """Find the row of each image id: a path, a file name, or a file name without its ending, if it means one file only."""
    expected, rows_of = set(names), dict[str, set[int]]()
    for record in records:
        path = PurePosixPath(record.path)
        for name in {record.path, path.name, path.stem} & expected:
            if not record.reason:
                rows_of.setdefault(name, set()).add(record.row)
    return {name: next(iter(rows)) for name, rows in rows_of.items() if len(rows) == 1}
