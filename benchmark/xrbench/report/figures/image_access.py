"""Films of a run's images as its networks saw them, from the pixel cache below ``--out`` where that is still there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from xrbench.data.cache.index import DamagedIndexError, Index, Record
from xrbench.data.images.preprocessing import digest
from xrbench.report.run_folder import Run

CACHE = "cache"
PIXELS = "pixels.u8"
Film = npt.NDArray[np.uint8]


def films(run: Run, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Film]:
    """Find films by dataset and image; the largest size that is cached. What is not found is left out.

    Args:
        run: A run folder; caches are looked for in the ``--out`` folder that it lies in.
        wanted: Dataset and image id of each.

    Returns:
        (dataset, image) -> grey film, uint8 of shape (height, width).
    """
    found: dict[tuple[str, str], Film] = {}
    by_dataset: dict[str, list[str]] = {}
    for dataset, image in wanted:
        by_dataset.setdefault(dataset, []).append(image)
    for dataset, names in by_dataset.items():
        for place in _places(run, run.results.domain(dataset)):
            missing = [name for name in names if (dataset, name) not in found]
            found |= {(dataset, name): film for name, film in _read(run, place, missing).items()}
    return found


def _places(run: Run, base: str) -> list[Path]:
    """List the caches of a dataset, the largest films first."""
    places = (run.folder.resolve().parents[1] / CACHE).glob(f"*/{base}/*px-*")
    return sorted(places, key=lambda place: (-_size(place), str(place)))


def _size(place: Path) -> int:
    text = place.name.partition("px-")[0]
    return int(text) if text.isdigit() else 0


def _read(run: Run, place: Path, names: Sequence[str]) -> dict[str, Film]:
    try:
        index = Index.load(place / "index.jsonl")
        size = place / PIXELS
        wanted = digest(run.suite.preprocessing, image_size=_size(place), channels=1)
        if not names or index.head.digest != wanted or not size.is_file():
            return {}
        rows = _rows(index.records.values(), names)
        shape = index.head.shape
        pixels = np.memmap(size, np.uint8, "r").reshape(-1, *shape)
    except (OSError, ValueError, DamagedIndexError):
        return {}
    return {name: np.array(pixels[row, 0]) for name, row in rows.items() if row < len(pixels)}


def _rows(records: Iterable[Record], names: Sequence[str]) -> Mapping[str, int]:
    """Find the row of each image id: a path, a file name, or a file name without its ending, if it means one file only."""
    wanted, found = set(names), dict[str, set[int]]()
    for record in records:
        path = PurePosixPath(record.path)
        for name in {record.path, path.name, path.stem} & wanted:
            if not record.reason:
                found.setdefault(name, set()).add(record.row)
    return {name: next(iter(rows)) for name, rows in found.items() if len(rows) == 1}
