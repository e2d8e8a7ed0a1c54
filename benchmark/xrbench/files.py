"""Write a file so that a reader sees its old content or the whole new one, never a part of it."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path


def write_atomic(path: Path, data: bytes | memoryview, *, keep: Path | None = None) -> None:
    """Write a file under a temporary name in the same folder, flush it to the disk and rename it.

    Args:
        path: The file; its folder is made if it is not there.
        data: The content.
        keep: A file that takes over the old content, if there is any.

    Raises:
        OSError: The disk is full or the folder cannot be written; the message names ``path``, and nothing is left behind.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder; a file is expected", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            path.replace(keep)
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Flush a rename to the disk, so that it outlasts a power cut."""
    # Windows cannot open a folder, and some network file systems refuse to flush one; the file itself is whole by now
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
