"""Pixel caches: images of a dataset, read, decoded and preprocessed once, then mapped from one file.

A cache belongs to one dataset and one preprocessing. It grows: images requested later are added. When it is opened again, the size
and time of each image file are compared with the record; a file is read again only where they differ, and decoded again only
where its content differs. Building can be interrupted at any moment, and resumes where it stopped.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from xrbench.cards import BlockSpec
from xrbench.data.cache.index import FORMAT, DamagedIndexError, Head, Index, Record, Root
from xrbench.data.cache.jobs import Job, Result, Task
from xrbench.data.cache.storage import Store, locked
from xrbench.data.cache.workers import examine_all
from xrbench.data.images.preprocessing import describe, digest
from xrbench.errors import DataError, MissingDataError
from xrbench.progress import Reporter, Silent

ABSENT = "is not there"
ESCAPE = "--skip-unreadable leaves them out"
STAT_THREADS = 8
"""Threads that look up sizes and times, which waits for the file server and not for the processor."""

Stat = tuple[int, int]


@dataclass(frozen=True)
class PixelCache:
    """Pixels of the requested images.

    Attributes:
        pixels: uint8, shape (rows, channels, height, width), mapped read-only. Rows are in the order in which images were
            first requested, so that an epoch in that order reads the file from front to end.
        unreadable: Path -> why there are no pixels; empty unless unreadable images are skipped.
        digest: Hash of everything that decides these pixels: preprocessing, paths and file contents.
    """

    pixels: npt.NDArray[np.uint8]
    unreadable: Mapping[str, str]
    digest: str
    _records: Mapping[str, Record] = field(repr=False)

    def __len__(self) -> int:
        """Return the number of requested images that have pixels."""
        return len(self._records) - len(self.unreadable)

    def rows(self, paths: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the row of each image, int64, shape (paths,); -1 for images that were skipped.

        Raises:
            DataError: An image was not requested when the cache was opened.
        """
        records = (self._record(path) for path in paths)
        return np.fromiter((-1 if record.reason else record.row for record in records), np.int64, len(paths))

    def digests(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Return the hash of each file's content: blake2b, 32 hexadecimal digits; empty where it could not be read."""
        return tuple(self._record(path).digest for path in paths)

    def _record(self, path: str) -> Record:
        if path not in self._records:
            raise DataError(f"{path}: this image was not asked for when the cache was opened")
        return self._records[path]


def open_cache(
    folder: Path,
    *,
    root: Path,
    paths: Sequence[str],
    steps: Sequence[BlockSpec],
    image_size: int,
    channels: int,
    jobs: int = 2,
    reporter: Reporter | None = None,
    skip_unreadable: bool = False,
    where: str = "",
) -> PixelCache:
    """Open the pixel cache of a dataset, after adding the images that it lacks.

    Args:
        folder: The dataset's folder among the caches, named as the dataset; each preprocessing has a folder of its own in it.
        root: The dataset's folder.
        paths: Images, relative to ``root``, in the order in which they are best read.
        steps: Preprocessing blocks.
        image_size: Side of the cached images in pixels.
        channels: 1 or 3.
        jobs: Number of processes that decode.
        reporter: Where progress is shown.
        skip_unreadable: Leave out images that are missing or unreadable, instead of raising after all were tried.
        where: The card that names the steps, for messages.

    Raises:
        MissingDataError: Images are missing; the first are named.
        DataError: Images cannot be read; the first are named, with reasons. All others are in the cache.
        CardError: The preprocessing is wrong.
        StoreError: The cache cannot be written, as on a full disk. Images recorded so far are in the cache.
    """
    reporter = reporter or Silent()
    requested = list(dict.fromkeys(paths))
    name = digest(steps, image_size=image_size, channels=channels, where=where)
    head = Head(
        format=FORMAT,
        digest=name,
        shape=(channels, image_size, image_size),
        description=describe(steps, image_size=image_size, channels=channels, where=where),
    )
    job = Job(str(root.resolve()), tuple(steps), image_size, channels, where)
    label = f"cache {folder.name} {image_size} px"
    stats = _stat_all(root, requested)
    absent = [path for path in requested if stats[path] is None]
    if absent and not skip_unreadable:
        raise MissingDataError(_missing_line(root, absent, len(requested)))
    cache_folder = folder / f"{image_size}px-{name[:12]}"
    with locked(cache_folder, reporter, label), closing(Store.open(cache_folder, head, reporter, label)) as store:
        _bring_up_to_date(store, job, stats, jobs, reporter, label)
        records = _current(store, stats)
    unreadable = {path: record.reason for path, record in records.items() if record.reason}
    if unreadable and not skip_unreadable:
        raise DataError(_unreadable_line(root, unreadable, len(requested)))
    return PixelCache(store.pixels(), unreadable, _digest(name, records.values()), records)


def peek_cache(
    folder: Path,
    *,
    root: Path,
    paths: Sequence[str],
    steps: Sequence[BlockSpec],
    image_size: int,
    channels: int,
    skip_unreadable: bool = False,
    where: str = "",
) -> PixelCache | None:
    """Return the pixel cache if it is up to date for these images, else None; read no image and write nothing.

    The arguments are those of ``open_cache``; images that could not be read when it was built do not count as up to date,
    unless they are skipped.
    """
    name = digest(steps, image_size=image_size, channels=channels, where=where)
    cache_folder = folder / f"{image_size}px-{name[:12]}"
    try:
        index = Index.load(cache_folder / "index.jsonl")
    except (FileNotFoundError, DamagedIndexError):
        return None
    requested = list(dict.fromkeys(paths))
    stats = _stat_all(root, requested)
    known = index.records
    present = {path: stat for path, stat in stats.items() if stat is not None}
    if index.head.digest != name or any(path not in known for path in present):
        return None
    if not skip_unreadable and (len(present) < len(stats) or any(known[path].reason for path in present)):
        return None
    if any((known[path].size, known[path].mtime_ns) != stat for path, stat in present.items()):
        return None
    store = Store(cache_folder, index)
    records = _current(store, stats)
    unreadable = {path: record.reason for path, record in records.items() if record.reason}
    return PixelCache(store.pixels(), unreadable, _digest(name, records.values()), records)


def _stat_all(root: Path, paths: Sequence[str]) -> dict[str, Stat | None]:
    """Return size and time of every file; None for those that are missing."""
    if not root.is_dir():
        raise MissingDataError(f"{root}: there is no such folder of images")
    # in portions: a task for each of 100,000 files would cost more than the look-up
    parts = [paths[start : start + 512] for start in range(0, len(paths), 512)]

    def look(part: Sequence[str]) -> list[Stat | None]:
        return [_stat(f"{root}/{path}") for path in part]

    with ThreadPoolExecutor(STAT_THREADS) as threads:
        return dict(zip(paths, itertools.chain.from_iterable(threads.map(look, parts)), strict=True))


def _stat(file: str) -> Stat | None:
    try:
        status = os.stat(file)  # noqa: PTH116 - a Path for each of 100,000 files takes longer than asking the system
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        # such as a folder without permission to search it: reading the file will give the reason
        return (-1, -1)
    return status.st_size, status.st_mtime_ns


def _bring_up_to_date(
    store: Store, job: Job, stats: Mapping[str, Stat | None], jobs: int, reporter: Reporter, label: str
) -> None:
    """Read and record the images that the cache lacks or whose files changed."""
    known = store.index.records
    for path in store.damaged(reporter, label):
        # recorded before anything else, so that the next seal does not confirm these rows
        store.note(msgspec.structs.replace(known[path], reason="its row in the cache was damaged"))
    if store.index.root != job.root:
        store.note(Root(job.root))
    store.commit()
    tasks = [
        task for path, stat in stats.items() if stat and (task := _task_of(path, stat, store.index.records.get(path)))
    ]
    reporter.detail(f"{label}: {len(stats):,} images, {len(tasks):,} to read")
    if not tasks:
        return
    rows = _RowAllocation(store, tasks)
    store.begin(rows.end, sum(not task.known for task in tasks))
    unreadable = 0
    with reporter.bar(label, len(tasks)) as bar:
        try:
            for result in examine_all(tasks, job, jobs=jobs):
                _record_result(store, result, rows)
                unreadable += result.kind == "unreadable"
                bar.advance(note=f"{unreadable:,} unreadable" if unreadable else "")
        finally:
            store.commit()


def _task_of(path: str, stat: Stat, record: Record | None) -> Task | None:
    """Return the task for an image, or None when its record is up to date."""
    if record is None or record.reason:
        return Task(path, size=stat[0])
    return None if (record.size, record.mtime_ns) == stat else Task(path, record.digest, stat[0])


class _RowAllocation:
    """Rows of new images, in the order of the request whatever the order in which they are finished."""

    def __init__(self, store: Store, tasks: Sequence[Task]) -> None:
        # rows that were ever used stay with their content: a process may have them mapped
        used, known = store.index.used, store.index.records
        self._free = (row for row in itertools.count() if row not in used)
        self._allocated = {
            task.path: known[task.path].row if task.path in known else next(self._free)
            for task in tasks
            if not task.known
        }
        self.end = max([*used, *self._allocated.values()], default=-1) + 1

    def row_of(self, path: str) -> int:
        """Return the row allocated to an image, or a new one where its content replaces another."""
        return self._allocated[path] if path in self._allocated else next(self._free)


def _record_result(store: Store, result: Result, rows: _RowAllocation) -> None:
    """Write the pixels of one image, if there are any, and record the result."""
    before = store.index.records.get(result.path)
    if result.kind == "same" and before is not None:
        after = msgspec.structs.replace(before, size=result.size, mtime_ns=result.mtime_ns)
    else:
        after = Record(
            result.path,
            rows.row_of(result.path),
            result.size,
            result.mtime_ns,
            result.digest,
            result.checksum,
            result.reason,
        )
    if result.kind == "pixels":
        store.put(after, result.pixels)
    elif after != before:
        store.note(after)


def _current(store: Store, stats: Mapping[str, Stat | None]) -> dict[str, Record]:
    """Return the record of each requested image; those without a file have one that gives the reason."""
    known = store.index.records
    return {path: known[path] if stat else Record(path, -1, 0, 0, "", 0, ABSENT) for path, stat in stats.items()}


def _digest(name: str, records: Iterable[Record]) -> str:
    # sorted: the same files in another order of request are the same pixels for every path
    lines = sorted(f"{record.path}\0{record.digest}" for record in records)
    return hashlib.blake2b("\n".join([name, *lines]).encode(), digest_size=16).hexdigest()


def _missing_line(root: Path, absent: Sequence[str], requested: int) -> str:
    first = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
    return f"{root}: {len(absent):,} of {requested:,} images are listed but not there: {first}; {ESCAPE}"


def _unreadable_line(root: Path, reasons: Mapping[str, str], requested: int) -> str:
    first = "; ".join(f"{path}: {reason}" for path, reason in itertools.islice(reasons.items(), 10))
    rest = "; ..." if len(reasons) > 10 else ""
    return f"{root}: {len(reasons):,} of {requested:,} images cannot be read: {first}{rest}; {ESCAPE}"
