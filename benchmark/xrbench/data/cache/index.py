"""Index of a pixel cache: a journal that stays valid when its writer is killed at any moment.

``index.jsonl`` is append-only text. Each line is a checksum and one JSON array: first a ``Head`` (the identity of the pixels), then
``Record`` lines (one for each image; the last line of a path is valid), ``Seal`` lines (size and time of the pixel file when the
lines above were written) and ``Root`` lines (the folder of the images). A row, once allocated to an image's content, is never
allocated to another one: a process that has the file mapped keeps the pixels that it opened.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from xrbench.files import write_atomic

FORMAT = 1


class Head(msgspec.Struct, frozen=True, array_like=True, tag="xrbench-pixels"):
    """Identity of the pixels; the first line.

    Attributes:
        format: Version of this journal.
        digest: Digest of the preprocessing.
        shape: Channels, height and width of a row.
        description: The preprocessing in full, for human readers.
    """

    format: int
    digest: str
    shape: tuple[int, int, int]
    description: dict[str, Any]


class Record(msgspec.Struct, frozen=True, array_like=True, tag="image"):
    """Record of one image.

    Attributes:
        path: Relative to the dataset's root.
        row: Its row in the pixel file.
        size: Size of the file in bytes.
        mtime_ns: Time of the file's last change; 0 when it cannot be trusted, so that the content must be read again.
        digest: blake2b of the file's content; empty when it could not be read at all.
        checksum: crc32 of the row's pixels.
        reason: Why there are no pixels; empty when there are.
    """

    path: str
    row: int
    size: int
    mtime_ns: int
    digest: str
    checksum: int
    reason: str = ""


class Seal(msgspec.Struct, frozen=True, array_like=True, tag="seal"):
    """Size and time of the pixel file after all rows above were written to the disk."""

    size: int
    mtime_ns: int


class Root(msgspec.Struct, frozen=True, array_like=True, tag="root"):
    """Folder of the dataset; sizes and times on the lines above refer to another folder, and are no longer valid."""

    path: str


Line = Head | Record | Seal | Root

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Line)


class DamagedIndexError(Exception):
    """The journal is damaged; caught where the cache is opened, which then rebuilds it."""


@dataclass
class Index:
    """The journal in memory, and its file.

    Attributes:
        file: The journal's path.
        head: Its first line.
        records: Path -> its last record.
        used: All rows that were ever allocated.
        seal: The last seal; None before the first.
        root: Folder of the images when the journal was last written.
    """

    file: Path
    head: Head
    records: dict[str, Record] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)
    seal: Seal | None = None
    root: str = ""

    @classmethod
    def load(cls, file: Path) -> Index:
        """Read a journal; an unfinished last line, left by a process that was killed, is dropped.

        Raises:
            FileNotFoundError: There is none.
            DamagedIndexError: A line before the last one is damaged.
        """
        data = file.read_bytes()
        complete = data[: data.rfind(b"\n") + 1]
        # a writer that was killed leaves at most an incomplete last line; any other bad line is damage
        lines = [_parse(line) for line in complete.split(b"\n")[:-1]]
        torn = len(complete) < len(data)
        if lines and lines[-1] is None:
            lines.pop()
            torn = True
        if not lines or not isinstance(lines[0], Head) or None in lines:
            raise DamagedIndexError
        index = cls(file, lines[0])
        for line in lines[1:]:
            index._apply(line)
        if torn:
            index._replace_file(line for line in lines if line is not None)
        return index

    @classmethod
    def create(cls, file: Path, head: Head) -> Index:
        """Start a journal, replacing any other."""
        index = cls(file, head)
        index._replace_file([head])
        return index

    def append(self, lines: Sequence[Line]) -> None:
        """Append lines and wait until they are on the disk; all of them, or none."""
        # on an error half a line could stay at the end, which a later line would turn into damage
        before = self.file.stat().st_size
        try:
            with self.file.open("ab") as out:
                out.write(b"".join(map(_render, lines)))
                out.flush()
                os.fsync(out.fileno())
        except BaseException:
            os.truncate(self.file, before)
            raise
        for line in lines:
            self._apply(line)

    def _apply(self, line: Line | None) -> None:
        if isinstance(line, Record):
            self.records[line.path] = line
            self.used.add(line.row)
        elif isinstance(line, Root):
            self.root = line.path
            self.records = {path: msgspec.structs.replace(record, mtime_ns=0) for path, record in self.records.items()}
        elif isinstance(line, Seal):
            self.seal = line

    def _replace_file(self, lines: Iterable[Line]) -> None:
        """Write a complete journal in one step."""
        write_atomic(self.file, b"".join(map(_render, lines)))


def _render(line: Line) -> bytes:
    text = _ENCODER.encode(line)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parse(line: bytes) -> Line | None:
    """Read one line, or return None where it is not as it was written."""
    try:
        if int(line[:8], 16) != zlib.crc32(line[9:]):
            return None
        decoded: Line = _DECODER.decode(line[9:])
    except (ValueError, msgspec.DecodeError):
        return None
    return decoded
