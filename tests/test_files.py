from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from xrbench.files import write_atomic


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scores.csv"
    write_atomic(path, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"]


def test_killed_in_the_middle_of_writing_a_file_is_old_or_new_never_half(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_atomic(path, b"o" * 1000)
    code = (
        "import os, sys, pathlib; from xrbench import files\n"
        "real = os.fsync\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), 9)\n"
        f"files.write_atomic(pathlib.Path({str(path)!r}), b'n' * 1000)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], check=False)
    assert result.returncode == -9
    assert path.read_bytes() == b"o" * 1000


def test_the_old_content_can_be_kept(tmp_path: Path) -> None:
    path, older = tmp_path / "f", tmp_path / "older"
    write_atomic(path, b"first", keep=older)
    assert not older.exists()
    write_atomic(path, b"second", keep=older)
    assert (path.read_bytes(), older.read_bytes()) == (b"second", b"first")


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder; a file is expected"):
        write_atomic(tmp_path / "f", b"x")


@pytest.mark.skipif(os.name == "nt", reason="folders cannot be flushed on Windows")
def test_file_and_folder_are_flushed_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(stat.S_ISDIR(os.fstat(handle).st_mode)))
    write_atomic(tmp_path / "f", b"x")
    assert flushed == [False, True]


def test_a_folder_that_cannot_be_flushed_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_folders(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", refuse_folders)
    write_atomic(tmp_path / "f", b"x")
    assert (tmp_path / "f").read_bytes() == b"x"
