"""What a pixel cache holds, as a journal that survives being killed at any moment.

``index.jsonl`` is append-only text. Each line is a checksum and one JSON array: first a ``Head`` (which pixels these are), then
``Record`` lines (one an image; the last line of a path counts), ``Seal`` lines (what the pixel file looked like when the lines
above it were written) and ``Root`` lines (where the images are). A row, once given to an image's content, is never given to
another one: a process that has the file mapped keeps seeing the pixels it opened.
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
    """Which pixels these are; the first line.

    Attributes:
        format: Version of this journal.
        digest: Of the preprocessing.
        shape: Channels, height and width of a row.
        description: The preprocessing in full, for a reader's eyes.
    """

    format: int
    digest: str
    shape: tuple[int, int, int]
    description: dict[str, Any]


class Record(msgspec.Struct, frozen=True, array_like=True, tag="image"):
    """What is known of one image.

    Attributes:
        path: Relative to the dataset's root.
        row: Its row in the pixel file.
        size: Of the file, in bytes.
        mtime_ns: When the file was last changed; 0 when that cannot be trusted and the content must be looked at again.
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
    """Size and time of the pixel file when all rows above were safely in it."""

    size: int
    mtime_ns: int


class Root(msgspec.Struct, frozen=True, array_like=True, tag="root"):
    """Folder of the dataset; sizes and times on the lines above it mean another folder, and no longer count."""

    path: str


Line = Head | Record | Seal | Root

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Line)


class DamagedIndexError(Exception):
    """The journal cannot be trusted; caught where the cache is opened, which then builds it anew."""


@dataclass
class Index:
    """The journal in memory, and its file.

    Attributes:
        file: Where it is.
        head: Its first line.
        records: Path -> what is known of it now.
        used: Rows that were ever given away.
        seal: The last one; None when nothing was sealed yet.
        root: Where the images were when the journal was last written.
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
        lines = [_parse(line) for line in complete.split(b"\n")[:-1]]
        torn = len(complete) < len(data)
        if lines and lines[-1] is None:
            lines.pop()
            torn = True
        if not lines or not isinstance(lines[0], Head) or None in lines:
            raise DamagedIndexError
        index = cls(file, lines[0])
        for line in lines[1:]:
            index._take(line)
        if torn:
            index._write_whole(line for line in lines if line is not None)
        return index

    @classmethod
    def create(cls, file: Path, head: Head) -> Index:
        """Start a journal, in the place of any other."""
        index = cls(file, head)
        index._write_whole([head])
        return index

    def append(self, lines: Sequence[Line]) -> None:
        """Write lines to the end and wait until they are on the disk; all of them, or none."""
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
            self._take(line)

    def _take(self, line: Line | None) -> None:
        if isinstance(line, Record):
            self.records[line.path] = line
            self.used.add(line.row)
        elif isinstance(line, Root):
            self.root = line.path
            self.records = {path: msgspec.structs.replace(record, mtime_ns=0) for path, record in self.records.items()}
        elif isinstance(line, Seal):
            self.seal = line

    def _write_whole(self, lines: Iterable[Line]) -> None:
        """Put a complete journal in place in one step."""
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
