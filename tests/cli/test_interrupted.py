"""A run that is interrupted, killed, doubled or out of space loses nothing; the same command ends as if nothing had happened."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Lab

pytestmark = pytest.mark.train
Said = Callable[[], str]
SLOW = ("--only", "method=slow,train=east+west,west+north", "--quiet")
PATIENCE = 60.0


def started(lab: Lab, *more: str) -> subprocess.Popen[str]:
    program = str(Path(sys.executable).with_name("xrbench"))
    return subprocess.Popen(
        [program, "run", *lab.options(*more)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that runs the tests in the background has Ctrl-C ignored, which a child would inherit
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    start = time.monotonic()
    while not there():
        assert process.poll() is None, "it ended before it could be disturbed"
        assert time.monotonic() - start < PATIENCE
        time.sleep(0.005)


def under_way(lab: Lab) -> list[Path]:
    """List the checkpoints of fits that are not finished."""
    return [path for path in lab.out.glob("fits/*/checkpoint.pt") if not path.with_name("done.json").exists()]


def results(lab: Lab) -> dict[str, bytes]:
    files = [*lab.out.glob("cells/*.parquet"), lab.folder / "scores.csv"]
    return {str(path.relative_to(lab.out)): path.read_bytes() for path in files}


def left_over(lab: Lab) -> list[Path]:
    return [path for path in lab.out.rglob("*") if path.name.endswith((".part", ".tmp")) or "checkpoint" in path.name]


@pytest.mark.slow
def test_interrupted_killed_and_doubled_it_ends_as_if_nothing_had_happened(
    first_lab: Lab, tmp_path: Path, said: Said
) -> None:
    calm = type(first_lab)(first_lab.catalogue, first_lab.data, tmp_path / "calm")
    wild = type(first_lab)(first_lab.catalogue, first_lab.data, tmp_path / "wild")
    assert calm.run(*SLOW) == 0

    first = started(wild, *SLOW)
    wait_for(lambda: any(wild.out.glob("fits/*/checkpoint.pt")), first)
    first.send_signal(signal.SIGINT)
    assert first.communicate()[1].strip() == "interrupted; what was done is kept, the same command goes on from there"
    assert first.returncode == 130

    second = started(wild, *SLOW)
    wait_for(lambda: any(wild.out.glob("fits/*/done.json")) and any(under_way(wild)), second)
    third = started(wild, *SLOW[:2])
    wait_for(lambda: any(wild.out.glob("locks/fit-*.lock")), third)
    second.kill()
    second.communicate()
    assert second.returncode == -signal.SIGKILL

    assert "goes on after epoch" in third.communicate(timeout=4 * PATIENCE)[1], "it takes over what the killed one left"
    assert third.returncode == 0
    assert results(wild) == results(calm)
    assert not left_over(wild)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="asks the system which file is written")
@pytest.mark.parametrize(
    "what", ["checkpoint.pt", "weights.pt", "done.json", ".parquet", "manifest.json", "scores.csv"]
)
def test_a_full_disk_ends_the_run_and_the_same_command_goes_on(
    what: str, first_lab: Lab, tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = type(first_lab)(first_lab.catalogue, first_lab.data, tmp_path / "runs")
    words = ("--only", "method=plain,train=east+west", "--quiet", "--cache", str(first_lab.out / "cache"))
    sync = os.fsync

    def full(descriptor: int) -> None:
        if what in Path(f"/proc/self/fd/{descriptor}").readlink().name:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert lab.run(*words) == 3
    words_said = said()
    assert words_said.startswith(f"error: {lab.out}")
    assert what in words_said
    assert words_said.endswith("what was done is kept, make room and give the same command again\n")
    assert words_said.count("\n") == 1
    assert not [path for path in left_over(lab) if "checkpoint" not in path.name]
    assert lab.run(*words) == 0
    there = results(first_lab)
    mine = {name: content for name, content in results(lab).items() if name.endswith(".parquet")}
    assert len(mine) == 4
    assert all(there[name] == content for name, content in mine.items())


def test_a_disk_that_is_full_before_the_pixels_are_there(lab: Lab, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(lab.data)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
    assert lab.run("--quiet") == 3
    assert "0.0 GB are needed and 0.0 GB are free" in said()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [cut, Path.unlink])
def test_what_is_damaged_is_made_again(damage: Callable[[Path], None], done: Lab, said: Said) -> None:
    before = results(done)
    broken = {what: min(done.out.glob(what)) for what in ("cells/*", "fits/*/weights.pt", "cache/*/east/*/pixels.u8")}
    broken |= {"manifest": done.folder / "manifest.json"}
    for path in broken.values():
        damage(path)
    # so that the damaged weights are needed
    for path in sorted(done.out.glob("cells/*"))[1:]:
        path.unlink()
    assert done.run() == 0
    words = said()
    assert results(done) == before
    assert "fit 1/1" in words
    assert "48 of 48 rows" in words or "rows of" in words
    if damage is cut:
        assert f"{broken['cells/*']}: damaged; " in words
        assert f"{broken['fits/*/weights.pt']}: not what was written; the fit is trained again" in words
        assert f"{broken['manifest']}: not JSON: " in words


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"suite": 3}'])
@pytest.mark.parametrize("verb", ["score", "report", "reproduce", "leaderboard"])
def test_a_damaged_manifest_is_named(verb: str, text: str, done: Lab, said: Said) -> None:
    (done.folder / "manifest.json").write_text(text)
    assert done.invoke(verb, done.folder) == 3
    assert said().startswith(f"error: {done.folder / 'manifest.json'}: ")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("value", "vlaue", "column 'value' missing; did you mean 'vlaue'?"),
        ("external", "externl", "row 2, column 'protocol': unknown 'externl'; did you mean 'external'?"),
        ("real", "real\n", "stands twice"),
    ],
)
def test_damaged_scores_are_named(old: str, new: str, expected: str, done: Lab, said: Said) -> None:
    path = done.folder / "scores.csv"
    lines = path.read_text().splitlines()
    lines = [*lines, lines[1]] if "\n" in new else [line.replace(old, new, 1) for line in lines]
    path.write_text("\n".join(lines) + "\n")
    out = str(done.out)
    for words in (["report", out], ["compare", out], ["compare", out, out, "--gate"]):
        assert done.invoke(*words) == 3
        assert expected in said()


def test_a_damaged_cell_stops_judging_with_its_name(done: Lab, said: Said) -> None:
    path = min(done.out.glob("cells/*"))
    cut(path)
    assert done.invoke("score", done.folder, "--quiet") == 3
    assert f"{path.name}: not a readable Parquet file" in said()
