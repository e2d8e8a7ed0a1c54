"""Files of a pixel cache: ``pixels.u8``, ``index.jsonl`` and a lock.

Pixels are recorded in the index only after they are on the disk, so that every record is true. A writer holds the lock; readers need
none.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import filelock
import numpy as np
import numpy.typing as npt

from xrbench.data.cache.index import DamagedIndexError, Head, Index, Line, Record, Root, Seal
from xrbench.errors import StoreError
from xrbench.progress import Reporter

COMMIT_SECONDS = 2.0
"""Seconds between commits: the work that is lost at most when the process is killed."""

RESERVE_BYTES = 1 << 18
"""Space reserved for the index, so that on a disk filled by pixels the records of those that fitted can still be written."""

LOCK_POLL_SECONDS = 0.25
HOLDER = "lock-holder"
"""File that names the process that holds the lock."""

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class Store:
    """An open cache, to which rows can be added.

    Attributes:
        place: Its folder.
        index: Its index.
        row_bytes: Size of one row in bytes.
    """

    def __init__(self, place: Path, index: Index) -> None:
        self.place, self.index = place, index
        self.row_bytes = int(np.prod(index.head.shape))
        self._file: IO[bytes] | None = None
        self._pending: list[Line] = []
        self._committed = time.monotonic()

    @classmethod
    def open(cls, place: Path, head: Head, reporter: Reporter, label: str) -> Store:
        """Open the cache in a folder, or start one; one of another format or with a damaged index is replaced."""
        try:
            index = Index.load(place / "index.jsonl")
            if index.head == head:
                return cls(place, index)
            reporter.line(f"{label}: the index in {place} is of another format; building it anew")
        except FileNotFoundError:
            pass
        except DamagedIndexError:
            reporter.line(f"{label}: the index in {place} is damaged; building it anew")
        with _disk_errors(place):
            # a new file: truncating the old one would pull it from under processes that have it mapped
            (place / "pixels.u8").unlink(missing_ok=True)
            return cls(place, Index.create(place / "index.jsonl", head))

    @property
    def file(self) -> Path:
        """File of the pixels."""
        return self.place / "pixels.u8"

    @property
    def _reserve(self) -> Path:
        return self.place / "reserve"

    def damaged(self, reporter: Reporter, label: str) -> set[str]:
        """Return the images whose pixels differ from their record.

        The pixels are read only if size or time of the file differ from the last seal: then something else has written to it.
        """
        if self._seal() == self.index.seal:
            return set()
        records = sorted((r for r in self.index.records.values() if not r.reason), key=lambda record: record.row)
        if not records:
            return set()
        with reporter.bar(f"{label}: checking", len(records)) as bar:
            damaged = set()
            for record, intact in zip(records, self._intact(records), strict=True):
                if not intact:
                    damaged.add(record.path)
                bar.advance()
        if damaged:
            reporter.line(
                f"{label}: {len(damaged):,} of {len(records):,} rows of {self.file} are damaged; reading them anew"
            )
        return damaged

    def _intact(self, records: list[Record]) -> Iterator[bool]:
        if not self.file.exists():
            yield from (False for _ in records)
            return
        with self.file.open("rb") as file:
            for record in records:
                file.seek(record.row * self.row_bytes)
                pixels = file.read(self.row_bytes)
                yield len(pixels) == self.row_bytes and zlib.crc32(pixels) == record.checksum

    def begin(self, rows: int, fresh: int) -> None:
        """Prepare for writing: make room for ``rows`` rows in total, of which ``fresh`` are new.

        Raises:
            StoreError: There is no space for them, or the folder cannot be written.
        """
        needed, free = fresh * self.row_bytes, shutil.disk_usage(self.place).free
        if needed > free:
            raise StoreError(f"{self.place}: {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free")
        with _disk_errors(self.place):
            self.file.open("ab").close()  # there from now on, with its time of change
            self._file = self.file.open("r+b", buffering=0)
            # not zeros, which some file systems store without using space
            self._reserve.write_bytes(os.urandom(RESERVE_BYTES))
            if self.file.stat().st_size < rows * self.row_bytes:
                self._file.truncate(rows * self.row_bytes)

    def note(self, line: Record | Root) -> None:
        """Add a line to the index with the next commit."""
        self._pending.append(line)
        if time.monotonic() - self._committed >= COMMIT_SECONDS:
            self.commit()

    def put(self, record: Record, pixels: bytes) -> None:
        """Write one row, and add its record to the index with the next commit."""
        if self._file is None:
            raise RuntimeError("begin() comes before put()")
        with _disk_errors(self.place):
            self._file.seek(record.row * self.row_bytes)
            written = 0
            while written < len(pixels):
                written += self._file.write(pixels[written:])
        self.note(record)

    def commit(self) -> None:
        """Flush all written rows to the disk, then append their records."""
        if not self._pending and self._seal() == self.index.seal:
            return
        with _disk_errors(self.place):
            if self._file is not None:
                _sync(self._file)
            # the seal follows the records: without it the rows are checked when the cache is opened again
            lines = [*self._pending, self._seal()]
            try:
                self.index.append(lines)
            except OSError:
                # a full disk: give the reserve back and try once more
                if not self._reserve.exists():
                    raise
                self._reserve.unlink()
                self.index.append(lines)
        self._pending = []
        self._committed = time.monotonic()

    def close(self) -> None:
        """Close the file; rows without a commit stay unrecorded."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._reserve.unlink(missing_ok=True)

    def pixels(self) -> npt.NDArray[np.uint8]:
        """Map all rows, read-only; shape (rows, channels, height, width)."""
        rows = self.file.stat().st_size // self.row_bytes if self.file.exists() else 0
        shape = (rows, *self.index.head.shape)
        return np.memmap(self.file, np.uint8, "r", shape=shape) if rows else np.zeros(shape, np.uint8)

    def _seal(self) -> Seal:
        try:
            status = self.file.stat()
        except FileNotFoundError:
            return Seal(0, 0)
        return Seal(status.st_size, status.st_mtime_ns)


def _sync(file: IO[bytes]) -> None:
    """Have the content of a file on the disk; its times as well where the system cannot leave them out."""
    getattr(os, "fdatasync", os.fsync)(file.fileno())


@contextlib.contextmanager
def _disk_errors(place: Path) -> Iterator[None]:
    """Raise errors of the disk as a StoreError of one line."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StoreError(
            f"{place}: cannot be written: {reason}; what was done is kept, the same command goes on from there"
        ) from error


@contextlib.contextmanager
def locked(place: Path, reporter: Reporter, label: str) -> Iterator[None]:
    """Hold the folder's lock; while another process holds it, wait and report which one. The lock ends with the process.

    A folder that cannot be written, or a file system without locks, is used without one.
    """
    try:
        place.mkdir(parents=True, exist_ok=True)
        held = _acquire(place, reporter, label)
    except OSError as error:
        if error.errno not in READ_ONLY or not place.is_dir():
            raise StoreError(f"{place}: cannot be written: {(error.strerror or str(error)).lower()}") from error
        held = contextlib.nullcontext()
    with held:
        yield


def _acquire(place: Path, reporter: Reporter, label: str) -> contextlib.AbstractContextManager[object]:
    lock, holder = filelock.FileLock(place / "lock"), place / HOLDER
    try:
        try:
            held = lock.acquire(timeout=0)
        except filelock.Timeout:
            name = holder.read_text(encoding="utf-8") if holder.is_file() else "another process"
            reporter.line(f"{label}: {name} is building it; waiting")
            held = lock.acquire(poll_interval=LOCK_POLL_SECONDS)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno in READ_ONLY:
            raise
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise StoreError(f"{place}: cannot be locked: {(error.strerror or str(error)).lower()}") from error
        reporter.detail(f"{label}: no locks on this file system; do not build it twice at once")
        return contextlib.nullcontext()
    with contextlib.suppress(OSError):  # only read by those who wait
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
    return held
