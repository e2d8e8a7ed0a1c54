"""Reading, decoding and preprocessing of one image, in this process or in worker processes.

A worker process is started as ``python -m xrbench.data.cache.jobs`` and exchanges messages, a length and msgpack, over its standard
input and output. It opens no file of the cache, so that it may die at any moment; it ends when its input does, so that it never
outlives the process that started it. It needs no guard in the caller's script and never imports torch.
"""

from __future__ import annotations

import hashlib
import os
import struct
import sys
import time
import zlib
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from xrbench.data.images.decode import decode_bytes, why_unreadable
from xrbench.data.images.preprocessing import pipeline
from xrbench.errors import CardError, DataError

SETTLED_NS = 2_000_000_000
"""A file changed less than this before it was read may change again without a new time, where clocks are coarse."""

BlockSpecs = tuple[str | dict[str, Any], ...]


class Job(msgspec.Struct, frozen=True):
    """Settings that all images of a build share."""

    root: str
    steps: BlockSpecs
    image_size: int
    channels: int
    where: str = ""


class Task(msgspec.Struct, frozen=True):
    """One image to read.

    Attributes:
        path: Relative to the root.
        known: Digest of the content whose pixels are in the cache; empty when there are none.
        size: Size of the file in bytes, to estimate the work.
    """

    path: str
    known: str = ""
    size: int = 0


class Result(msgspec.Struct, frozen=True):
    """Result of a task.

    Attributes:
        path: Path of the task.
        kind: ``ready`` (the worker's greeting), ``pixels``, ``same`` (the content is the known one), ``unreadable`` or
            ``card`` (the preprocessing itself is wrong, for every image).
        size: Size of the file in bytes.
        mtime_ns: Time of its last change; 0 when it may still be changing.
        digest: blake2b of its content, 32 hexadecimal digits.
        pixels: uint8, C-ordered.
        checksum: crc32 of the pixels.
        reason: Why it is unreadable, or what is wrong with the card.
    """

    path: str
    kind: Literal["ready", "pixels", "same", "unreadable", "card"]
    size: int = 0
    mtime_ns: int = 0
    digest: str = ""
    pixels: bytes = b""
    checksum: int = 0
    reason: str = ""


class Examiner:
    """Carry out tasks in this process."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.preprocess = pipeline(job.steps, image_size=job.image_size, where=job.where)

    def examine(self, task: Task) -> Result:
        """Read one image; an error in it is part of the result, never an exception."""
        path = Path(self.job.root, task.path)
        try:
            data, mtime_ns = _read(path)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            return Result(task.path, "unreadable", reason="is not there" if missing else why_unreadable(error))
        digest = hashlib.blake2b(data, digest_size=16).hexdigest()
        result = Result(task.path, "same", size=len(data), mtime_ns=mtime_ns, digest=digest)
        if digest == task.known:
            return result
        try:
            pixels = self.preprocess(decode_bytes(data, channels=self.job.channels, name=path.name)).tobytes()
        except DataError as error:
            return msgspec.structs.replace(result, kind="unreadable", reason=str(error))
        except CardError as error:
            return msgspec.structs.replace(result, kind="card", reason=str(error))
        return msgspec.structs.replace(result, kind="pixels", pixels=pixels, checksum=zlib.crc32(pixels))


def _read(path: Path) -> tuple[bytes, int]:
    """Read a file and the time of its last change, which is 0 when the file may be changing."""
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        data = file.read()
        after = os.fstat(file.fileno())
    # unchanged from the first byte to the last, and as long as was read
    still = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) == (len(data), after.st_mtime_ns)
    settled = time.time_ns() - after.st_mtime_ns > SETTLED_NS
    return data, after.st_mtime_ns if still and settled else 0


Message = TypeVar("Message", Job, Task, Result)
_LENGTH = struct.Struct("<Q")


def send(descriptor: int, message: Job | Task | Result) -> None:
    """Write one message to a pipe."""
    text = msgspec.msgpack.encode(message)
    rest = memoryview(_LENGTH.pack(len(text)) + text)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def receive(descriptor: int, kind: type[Message]) -> Message | None:
    """Read one message from a pipe; None when the other side has closed it."""
    start = _exactly(descriptor, _LENGTH.size)
    text = None if start is None else _exactly(descriptor, _LENGTH.unpack(start)[0])
    return None if text is None else msgspec.msgpack.decode(text, type=kind)


def _exactly(descriptor: int, count: int) -> bytes | None:
    parts = []
    while count:
        part = os.read(descriptor, min(count, 1 << 20))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def main() -> None:
    """Serve tasks until the input ends."""
    # decoders in C, or a block that prints, must not write between the messages
    out = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    source = sys.stdin.fileno()
    job = receive(source, Job)
    if job is None:
        return
    examiner = Examiner(job)
    try:
        send(out, Result("", "ready"))
        while (task := receive(source, Task)) is not None:
            send(out, examiner.examine(task))
    except BrokenPipeError:
        return


if __name__ == "__main__":
    main()
