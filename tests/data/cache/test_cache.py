"""The pixel cache: right pixels, nothing read twice, and nothing lost or believed wrongly whatever happens to it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from xrbench.data.cache import jobs as cache_jobs
from xrbench.data.cache import storage
from xrbench.data.cache import workers as cache_workers
from xrbench.data.cache.build import PixelCache, open_cache
from xrbench.data.cache.index import Index, Line, Record, Seal
from xrbench.data.images import preprocessing
from xrbench.data.images.decode import decode, decode_bytes
from xrbench.errors import CardError, DataError, MissingDataError, StoreError, UsageError
from xrbench.progress import Silent, Task

STEPS = ("centre-crop", "resize")
LONG_AGO = 1_600_000_000


class Listener(Silent):
    """Remember what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.bars: list[tuple[str, int]] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Task]:
        self.bars.append((label, total))
        with super().bar(label, total) as task:
            yield task


def draw(root: Path, names: list[str], *, seed: int = 0, side: int = 40) -> list[str]:
    """Write noise images that were last changed long ago."""
    for number, name in enumerate(names):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng([seed, number]).integers(0, 256, (side, side + 5), dtype=np.uint8)
        Image.fromarray(noise).save(file)
        os.utime(file, (LONG_AGO, LONG_AGO))
    return names


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the syncs, which only matter when the power fails; builds in processes of their own still do them."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: None, raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "nih"
    folder.mkdir()
    return folder


@pytest.fixture
def opened(tmp_path: Path, root: Path) -> Callable[..., PixelCache]:
    """Open the cache of the test's dataset with what all tests share."""

    def run(paths: list[str], **options: Any) -> PixelCache:
        defaults: dict[str, Any] = {"root": root, "steps": STEPS, "image_size": 16, "channels": 1, "jobs": 1}
        return open_cache(tmp_path / "caches" / "nih", paths=paths, **(defaults | options))

    return run


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often an image is decoded in this process."""
    calls: list[int] = []

    def counting(data: bytes, **options: Any) -> np.ndarray:
        calls.append(len(data))
        return decode_bytes(data, **options)

    monkeypatch.setattr(cache_jobs, "decode_bytes", counting)
    return calls


def names(count: int, prefix: str = "images") -> list[str]:
    return [f"{prefix}/{number:05d}.png" for number in range(count)]


def files(tmp_path: Path) -> tuple[Path, Path]:
    (place,) = [file.parent for file in (tmp_path / "caches").rglob("index.jsonl")]
    return place / "index.jsonl", place / "pixels.u8"


def expected(root: Path, path: str, *, channels: int = 1) -> np.ndarray:
    run = preprocessing.pipeline(STEPS, image_size=16)
    return run(decode(root / path, channels=channels))


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_hold_the_preprocessed_images_in_the_order_asked_for(
    root: Path, opened: Callable[..., PixelCache], channels: int
) -> None:
    paths = draw(root, names(7))[::-1]
    cache = opened(paths, channels=channels)
    assert cache.pixels.shape == (7, channels, 16, 16)
    assert cache.pixels.dtype == np.uint8
    assert cache.rows(paths).tolist() == list(range(7))
    assert cache.rows(paths).dtype == np.int64
    for path, row in zip(paths, cache.rows(paths), strict=True):
        np.testing.assert_array_equal(cache.pixels[row], expected(root, path, channels=channels))
    with pytest.raises(ValueError, match="read-only"):
        cache.pixels[0] = 0


def test_digests_are_hashes_of_the_files(root: Path, opened: Callable[..., PixelCache]) -> None:
    paths = draw(root, names(3))
    wanted = tuple(hashlib.blake2b((root / path).read_bytes(), digest_size=16).hexdigest() for path in paths)
    assert opened(paths).digests(paths) == wanted


def test_no_images_and_the_same_image_twice(root: Path, opened: Callable[..., PixelCache]) -> None:
    assert opened([]).pixels.shape == (0, 1, 16, 16)
    paths = draw(root, names(2))
    cache = opened([paths[0], paths[1], paths[0]])
    assert cache.rows([paths[0], paths[0]]).tolist() == [0, 0]
    with pytest.raises(DataError, match=r"c\.png: this image was not asked for"):
        cache.rows(["c.png"])


def test_a_second_start_reads_no_image(
    root: Path, opened: Callable[..., PixelCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = draw(root, names(5))
    first = opened(paths)
    monkeypatch.setattr(cache_jobs, "_read", lambda path: pytest.fail(f"{path} was read again"))
    listener = Listener()
    second = opened(paths, reporter=listener)
    assert second.digest == first.digest
    assert not listener.lines
    assert not listener.bars
    np.testing.assert_array_equal(first.pixels, second.pixels)


def test_more_images_only_cost_themselves(root: Path, opened: Callable[..., PixelCache], decoded: list[int]) -> None:
    paths = draw(root, names(6))
    before = opened(paths[2:4])
    decoded.clear()
    listener = Listener()
    cache = opened(paths, reporter=listener)
    assert len(decoded) == 4
    assert listener.bars == [("cache nih 16 px", 4)]
    assert cache.rows(paths).tolist() == [2, 3, 0, 1, 4, 5]
    for path, row in zip(paths, cache.rows(paths), strict=True):
        np.testing.assert_array_equal(cache.pixels[row], expected(root, path))
    np.testing.assert_array_equal(before.pixels, cache.pixels[:2])


def test_a_changed_file_is_read_anew_and_open_caches_keep_what_they_had(
    root: Path, opened: Callable[..., PixelCache], decoded: list[int]
) -> None:
    paths = draw(root, names(4))
    before = opened(paths)
    kept = np.array(before.pixels)
    draw(root, paths[1:2], seed=9)
    os.utime(root / paths[1], (LONG_AGO + 1, LONG_AGO + 1))
    decoded.clear()
    after = opened(paths)
    assert len(decoded) == 1
    assert after.digest != before.digest
    assert [a != b for a, b in zip(after.digests(paths), before.digests(paths), strict=True)] == [
        False,
        True,
        False,
        False,
    ]
    np.testing.assert_array_equal(after.pixels[after.rows(paths)[1]], expected(root, paths[1]))
    np.testing.assert_array_equal(before.pixels, kept)


def test_a_touched_file_is_hashed_but_not_decoded(
    root: Path, opened: Callable[..., PixelCache], decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = draw(root, names(4))
    before = opened(paths)
    os.utime(root / paths[2], (LONG_AGO + 5, LONG_AGO + 5))
    decoded.clear()
    after = opened(paths)
    assert not decoded
    assert after.digest == before.digest
    assert after.rows(paths).tolist() == before.rows(paths).tolist()
    monkeypatch.setattr(cache_jobs, "_read", lambda path: pytest.fail(f"{path} was read again"))
    opened(paths)


def test_a_file_written_a_moment_ago_is_looked_at_again(root: Path, opened: Callable[..., PixelCache]) -> None:
    """A coarse clock gives two versions of equal length the same time."""
    (path,) = draw(root, names(1))
    (root / path).write_bytes((root / path).read_bytes())
    first = opened([path])
    status = (root / path).stat()
    data = bytearray((root / path).read_bytes())
    Image.fromarray(np.full((40, 45), 3, np.uint8)).save(root / "other.bmp")
    other = (root / "other.bmp").read_bytes()
    (root / path).write_bytes(other + bytes(max(0, len(data) - len(other))))
    os.truncate(root / path, max(len(data), len(other)))
    os.utime(root / path, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = opened([path])
    assert second.digest != first.digest
    assert second.pixels[second.rows([path])[0]].mean() == 3


def test_images_moved_elsewhere_are_hashed_but_not_decoded(
    root: Path, opened: Callable[..., PixelCache], decoded: list[int], tmp_path: Path
) -> None:
    paths = draw(root, names(3))
    before = opened(paths)
    elsewhere = tmp_path / "elsewhere"
    root.rename(elsewhere)
    draw(elsewhere, paths[2:], seed=5)
    decoded.clear()
    after = opened(paths, root=elsewhere)
    assert len(decoded) == 1, "same size and time, another folder: the content decides"
    assert after.digests(paths)[:2] == before.digests(paths)[:2]
    assert after.digests(paths)[2] != before.digests(paths)[2]
    decoded.clear()
    opened(paths, root=elsewhere)
    assert not decoded


def test_other_preprocessing_has_a_cache_of_its_own(root: Path, opened: Callable[..., PixelCache]) -> None:
    paths = draw(root, names(2))
    opened(paths)
    other = opened(paths, steps=["equalize", "resize"])
    assert not np.array_equal(other.pixels, opened(paths).pixels)
    assert len({opened(paths).digest, other.digest, opened(paths, image_size=8, steps=STEPS).digest}) == 3


def test_missing_images_are_counted_before_anything_is_decoded(
    root: Path, opened: Callable[..., PixelCache], decoded: list[int]
) -> None:
    paths = draw(root, names(3)) + names(7, "gone")
    with pytest.raises(
        MissingDataError,
        match=r"nih: 7 of 10 images are listed but not there: gone/00000.png, .*gone/00004.png, \.\.\.; --skip",
    ):
        opened(paths)
    assert not decoded
    cache = opened(paths, skip_unreadable=True)
    assert cache.rows(paths).tolist() == [0, 1, 2] + [-1] * 7
    assert set(cache.unreadable) == set(paths[3:])
    assert cache.unreadable["gone/00000.png"] == "is not there"


def test_an_image_that_vanished_is_missed(root: Path, opened: Callable[..., PixelCache]) -> None:
    paths = draw(root, names(3))
    opened(paths)
    (root / paths[1]).unlink()
    with pytest.raises(MissingDataError, match=r"1 of 3 images are listed but not there: images/00001\.png;"):
        opened(paths)
    assert opened(paths, skip_unreadable=True).rows(paths).tolist() == [0, -1, 2]


def test_a_root_that_is_not_there(root: Path, opened: Callable[..., PixelCache], tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="there is no such folder"):
        opened(["a.png"], root=tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingDataError, match="there is no such folder"):
        opened(["a.png"], root=tmp_path / "file")


@pytest.mark.parametrize("jobs", [1, 2])
def test_unreadable_images_are_listed_after_all_were_tried(
    root: Path, opened: Callable[..., PixelCache], jobs: int, monkeypatch: pytest.MonkeyPatch, decoded: list[int]
) -> None:
    monkeypatch.setattr(cache_workers, "WORKER_SECONDS", 1e-9)
    paths = draw(root, names(15))
    for path in paths[2:14]:
        (root / path).write_bytes(b"")
    (root / paths[3]).write_bytes(b"no image")
    with pytest.raises(
        DataError, match=r"12 of 15 images cannot be read: images/00002\.png: the file is empty; "
    ) as caught:
        opened(paths, jobs=jobs)
    assert str(caught.value).count(".png") == 10
    assert "images/00003.png: not a JPEG" in str(caught.value)
    assert not isinstance(caught.value, MissingDataError)
    decoded.clear()
    cache = opened(paths, jobs=1, skip_unreadable=True)
    assert len(decoded) == 12, "only the unreadable are tried again"
    assert (cache.rows(paths) >= 0).tolist() == [True] * 2 + [False] * 12 + [True]
    assert list(cache.unreadable) == paths[2:14]
    draw(root, paths[2:14])
    repaired = opened(paths)
    assert repaired.rows(paths).tolist() == list(range(15))
    assert not repaired.unreadable
    np.testing.assert_array_equal(repaired.pixels[5], expected(root, paths[5]))


def test_a_readable_image_that_broke_leaves_open_caches_alone(root: Path, opened: Callable[..., PixelCache]) -> None:
    paths = draw(root, names(2))
    before = opened(paths)
    kept = np.array(before.pixels)
    (root / paths[0]).write_bytes(b"broken")
    assert opened(paths, skip_unreadable=True).rows(paths).tolist() == [-1, 1]
    draw(root, paths[:1], seed=3)
    after = opened(paths)
    assert after.rows(paths)[0] == 2
    np.testing.assert_array_equal(before.pixels, kept)


def test_two_processes_give_the_same_bytes_as_one(
    tmp_path: Path, root: Path, opened: Callable[..., PixelCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_workers, "WORKER_SECONDS", 1e-9)
    paths = draw(root, names(40))
    alone, shared = (
        opened(paths),
        open_cache(tmp_path / "other" / "nih", root=root, paths=paths, steps=STEPS, image_size=16, channels=1, jobs=2),
    )
    assert alone.pixels.tobytes() == shared.pixels.tobytes()
    assert alone.rows(paths).tolist() == shared.rows(paths).tolist()
    assert alone.digest == shared.digest


BUILD = """
import sys
from pathlib import Path
from xrbench.data.cache import storage, workers
from xrbench.data.cache.build import open_cache
workers.WORKER_SECONDS, storage.COMMIT_SECONDS = 1e-9, 0.05
steps = ["centre-crop", {"block": "slow:slowly"}, "resize"]
paths = [f"images/{number:05d}.png" for number in range(int(sys.argv[3]))]
open_cache(Path(sys.argv[1]), root=Path(sys.argv[2]), paths=paths, steps=steps, image_size=16, channels=1, jobs=int(sys.argv[4]))
print("complete")
"""
SLOW = """
import time
def slowly(image):
    time.sleep(0.03)
    return image
"""


def start(tmp_path: Path, count: int, *, jobs: int = 2) -> subprocess.Popen[bytes]:
    (tmp_path / "build.py").write_text(BUILD)
    (tmp_path / "slow.py").write_text(SLOW)
    return subprocess.Popen(
        [sys.executable, "build.py", str(tmp_path / "caches" / "nih"), str(tmp_path / "nih"), str(count), str(jobs)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # a shell that runs the tests in the background has Ctrl-C ignored, which a child would inherit
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def records(tmp_path: Path) -> int:
    found = list((tmp_path / "caches").rglob("index.jsonl"))
    return found[0].read_bytes().count(b'["image"') if found else 0


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def workers() -> set[str]:
    """List the live worker processes of the whole machine that import a test's block."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"xrbench.data.cache.jobs" in file.read_bytes():
                found.add(file.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at /proc")
@pytest.mark.parametrize("sort", [signal.SIGKILL, signal.SIGINT])
def test_a_build_that_is_stopped_keeps_its_work_and_leaves_no_process(
    tmp_path: Path,
    root: Path,
    opened: Callable[..., PixelCache],
    decoded: list[int],
    monkeypatch: pytest.MonkeyPatch,
    sort: signal.Signals,
) -> None:
    draw(root, names(40))
    others = workers()
    process = start(tmp_path, 40)
    wait_until(lambda: records(tmp_path) >= 10)
    process.send_signal(sort)
    process.communicate(timeout=20)
    assert process.returncode != 0
    wait_until(lambda: not workers() - others)
    done = records(tmp_path)
    assert 10 <= done < 40
    monkeypatch.syspath_prepend(str(tmp_path))
    opened(names(40), steps=["centre-crop", {"block": "slow:slowly"}, "resize"])
    assert len(decoded) == 40 - done, "what was recorded is not done again"
    _, pixels = files(tmp_path)
    stored = np.fromfile(pixels, np.uint8).reshape(-1, 1, 16, 16)
    for row, path in enumerate(names(40)):
        np.testing.assert_array_equal(stored[row], expected(root, path))


def test_a_worker_that_dies_costs_one_image(
    tmp_path: Path, root: Path, opened: Callable[..., PixelCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deadly.py").write_text(
        textwrap.dedent("""
        import os, signal
        def block(image):
            if image[0, 0] == 13:
                os.kill(os.getpid(), signal.SIGSEGV)
            return image
        """)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(cache_workers, "WORKER_SECONDS", 1e-9)
    paths = draw(root, names(12))
    Image.fromarray(np.full((40, 40), 13, np.uint8)).save(root / paths[5])
    cache = opened(paths, steps=["deadly:block", *STEPS], jobs=2, skip_unreadable=True)
    assert dict(cache.unreadable) == {paths[5]: "the decoder died of it (SIGSEGV)"}
    assert (cache.rows(paths) >= 0).sum() == 11


def test_a_worker_that_cannot_start_says_so(
    tmp_path: Path, root: Path, opened: Callable[..., PixelCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_workers, "WORKER_SECONDS", 1e-9)
    paths = draw(root, names(4))
    broken = tmp_path / "broken-python"
    broken.write_text("#!/bin/sh\necho no python here >&2\nexit 3\n")
    broken.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(broken))
        with pytest.raises(UsageError, match="ended: no python here; one job"):
            opened(paths, jobs=2)
    assert len(opened(paths, jobs=1).pixels) == 4


def test_a_block_that_prints_does_not_garble_the_messages(
    tmp_path: Path, root: Path, opened: Callable[..., PixelCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chatty.py").write_text(
        "import os\ndef block(image):\n    print('hello')\n    os.write(1, b'x')\n    return image\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(cache_workers, "WORKER_SECONDS", 1e-9)
    paths = draw(root, names(8))
    assert opened(paths, steps=["chatty:block", *STEPS], jobs=2).rows(paths).tolist() == list(range(8))


@pytest.mark.parametrize("jobs", [1, 2])
def test_preprocessing_that_ends_at_another_size_stops_at_once(
    root: Path, opened: Callable[..., PixelCache], jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_workers, "WORKER_SECONDS", 1e-9)
    paths = draw(root, names(8))
    with pytest.raises(
        CardError, match=r"s\.toml: preprocessing: the last step gives 40 x 40 pixels where image_size is 16"
    ):
        opened(paths, steps=["centre-crop"], jobs=jobs, where="s.toml")


def test_a_truncated_pixel_file_is_noticed_and_made_whole(
    tmp_path: Path, root: Path, opened: Callable[..., PixelCache], decoded: list[int]
) -> None:
    paths = draw(root, names(10))
    whole = np.array(opened(paths).pixels)
    _, pixels = files(tmp_path)
    os.truncate(pixels, 7 * 256 + 13)
    decoded.clear()
    listener = Listener()
    np.testing.assert_array_equal(opened(paths, reporter=listener).pixels, whole)
    assert len(decoded) == 3
    assert any("3 of 10 rows" in line and "are damaged" in line for line in listener.lines)


def test_overwritten_pixels_are_noticed_and_made_whole(
    tmp_path: Path, root: Path, opened: Callable[..., PixelCache], decoded: list[int]
) -> None:
    paths = draw(root, names(10))
    whole = np.array(opened(paths).pixels)
    _, pixels = files(tmp_path)
    with pixels.open("r+b") as file:
        file.seek(4 * 256 + 100)
        file.write(b"garbage")
    decoded.clear()
    np.testing.assert_array_equal(opened(paths).pixels, whole)
    assert len(decoded) == 1


def test_damage_is_not_forgotten_when_the_repair_is_interrupted(
    tmp_path: Path, root: Path, opened: Callable[..., PixelCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = draw(root, names(4))
    whole = np.array(opened(paths).pixels)
    _, pixels = files(tmp_path)
    pixels.write_bytes(bytes(len(whole.tobytes())))

    def interrupted(*given: Any, **options: Any) -> Iterator[cache_jobs.Result]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("xrbench.data.cache.build.examine_all", interrupted)
        with pytest.raises(KeyboardInterrupt):
            opened(paths)
    np.testing.assert_array_equal(opened(paths).pixels, whole)


@pytest.mark.parametrize("damage", ["middle", "head", "empty", "binary", "other-format"])
def test_a_damaged_index_is_never_believed(
    tmp_path: Path, root: Path, opened: Callable[..., PixelCache], damage: str, decoded: list[int]
) -> None:
    paths = draw(root, names(6))
    before = opened(paths)
    kept = np.array(before.pixels)
    index, _ = files(tmp_path)
    lines = index.read_bytes().split(b"\n")
    if damage == "middle":
        lines = index.read_bytes().replace(b"00001.png", b"00002.png").split(b"\n")
    elif damage == "head":
        lines = lines[1:]
    elif damage == "other-format":
        loaded = Index.load(index)
        loaded.head = type(loaded.head)(99, loaded.head.digest, loaded.head.shape, loaded.head.description)
        loaded._replace_file([loaded.head, *loaded.records.values(), loaded.seal or Seal(0, 0)])
        lines = index.read_bytes().split(b"\n")
    index.write_bytes({"empty": b"", "binary": os.urandom(4000)}.get(damage, b"\n".join(lines)))
    decoded.clear()
    listener = Listener()
    after = opened(paths, reporter=listener)
    assert len(decoded) == 6
    assert any("building it anew" in line for line in listener.lines)
    np.testing.assert_array_equal(after.pixels, kept)
    np.testing.assert_array_equal(before.pixels, kept)


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_an_index_cut_off_in_a_line_loses_only_its_end(
    tmp_path: Path, root: Path, opened: Callable[..., PixelCache], cut: int, decoded: list[int]
) -> None:
    paths = draw(root, names(6))
    whole = np.array(opened(paths).pixels)
    index, _ = files(tmp_path)
    os.truncate(index, index.stat().st_size - cut)
    decoded.clear()
    cache = opened(paths)
    assert len(decoded) == 0 if cut < 60 else 0 < len(decoded) < 6
    np.testing.assert_array_equal(cache.pixels, whole)
    lines = index.read_text().splitlines()
    assert all(json.loads(line[9:]) for line in lines)


FULL = """
import resource, sys
from pathlib import Path
from xrbench.data.cache import storage
from xrbench.data.cache.build import open_cache
from xrbench.errors import StoreError
storage.COMMIT_SECONDS, storage.RESERVE_BYTES = 0.0, 100
paths = [f"images/{number:05d}.png" for number in range(30)]
folder, root = Path(sys.argv[1]), Path(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    open_cache(folder, root=root, paths=paths, steps=["centre-crop", "resize"], image_size=12, channels=1, jobs=1)
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize(("limit", "least"), [(30 * 144, 5), (1000, 0)], ids=["index", "pixels"])
def test_a_disk_that_takes_no_more_is_one_line_and_what_was_done_is_kept(
    tmp_path: Path, root: Path, opened: Callable[..., PixelCache], decoded: list[int], limit: int, least: int
) -> None:
    """A limit on the size of files stands for the full disk; it meets the index on its way, or the pixel file."""
    paths = draw(root, names(30))
    script = tmp_path / "full.py"
    script.write_text(FULL)
    command = [sys.executable, str(script), str(tmp_path / "caches" / "nih"), str(root), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "cannot be written: file too large; what was done is kept" in done.stdout
    assert done.stdout.count("\n") == 1
    assert not done.stderr
    kept = records(tmp_path)
    assert least <= kept < 30
    cache = opened(paths, image_size=12)
    assert len(decoded) == 30 - kept
    assert cache.rows(paths).tolist() == list(range(30))


def test_a_disk_filled_by_pixels_still_takes_their_records(
    tmp_path: Path, root: Path, opened: Callable[..., PixelCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = draw(root, names(9))
    append, put = Index.append, storage.Store.put

    def full(self: Index, lines: Sequence[Line]) -> None:
        if len(lines) > 2 and self.file.with_name("reserve").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, lines)

    def full_after_six(self: storage.Store, record: Record, pixels: bytes) -> None:
        if record.row == 6:
            raise StoreError("no space left on device")
        put(self, record, pixels)

    with monkeypatch.context() as patch:
        patch.setattr(Index, "append", full)
        patch.setattr(storage.Store, "put", full_after_six)
        with pytest.raises(StoreError, match="no space left on device"):
            opened(paths)
    assert records(tmp_path) == 6
    assert not list((tmp_path / "caches").rglob("reserve"))
    assert opened(paths).rows(paths).tolist() == list(range(9))


def test_too_little_space_is_said_before_anything_is_decoded(
    root: Path, opened: Callable[..., PixelCache], decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = draw(root, names(3))
    monkeypatch.setattr("shutil.disk_usage", lambda place: type("Usage", (), {"free": 500})())
    with pytest.raises(StoreError, match=r"16px-.*: 0\.0 GB are needed and 0\.0 GB are free"):
        opened(paths)
    assert not decoded


def test_a_second_process_waits_and_says_for_whom(
    tmp_path: Path, root: Path, opened: Callable[..., PixelCache]
) -> None:
    draw(root, names(30))
    builder = start(tmp_path, 30, jobs=1)
    wait_until(lambda: records(tmp_path) >= 2)
    waiter = start(tmp_path, 30, jobs=1)
    for process in (builder, waiter):
        out, error = process.communicate(timeout=60)
        assert (out, error) == (b"complete\n", b"")
    assert records(tmp_path) == 30, "the second found everything done"


def test_the_lock_names_its_holder(tmp_path: Path) -> None:
    place, listener = tmp_path / "place", Listener()
    place.mkdir()
    holder = "import filelock, sys; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); "
    holder += (
        "open(sys.argv[1] + '-holder', 'w').write('process 7 on host'); print('held', flush=True); sys.stdin.read(1)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(place / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        threading.Timer(0.5, process.kill).start()
        with storage.locked(place, listener, "cache nih 16 px"):
            assert listener.lines == ["cache nih 16 px: process 7 on host is building it; waiting"]


def test_a_finished_cache_can_be_read_where_nothing_can_be_written(
    tmp_path: Path, root: Path, opened: Callable[..., PixelCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = draw(root, names(3))
    first = opened(paths)
    real = Path.open

    def read_only(self: Path, mode: str = "r", *given: Any, **options: Any) -> Any:
        if tmp_path / "caches" in self.parents and set(mode) & set("aw+"):
            raise OSError(30, "Read-only file system")
        return real(self, mode, *given, **options)

    monkeypatch.setattr(Path, "open", read_only)
    np.testing.assert_array_equal(opened(paths).pixels, first.pixels)
    draw(root, ["images/new.png"])
    with pytest.raises(StoreError, match="cannot be written: read-only file system"):
        opened([*paths, "images/new.png"])


MEMORY = """
import resource, sys
from pathlib import Path
from xrbench.data.cache.build import open_cache
paths = [f"images/{number:05d}.png" for number in range(400)]
steps = [{"block": "resize", "filter": "box"}]
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
def build(count):
    open_cache(Path(sys.argv[1]), root=Path(sys.argv[2]), paths=paths[:count], steps=steps, image_size=512, channels=1, jobs=1)
build(20)
before = peak()
build(400)
print(peak() - before)
"""


def test_building_takes_no_memory_for_the_images_already_done(tmp_path: Path, root: Path) -> None:
    """380 further rows of 512 px are 100 MB; less than a fifth of it may stay in memory."""
    draw(root, names(400), side=8)
    script = tmp_path / "memory.py"
    script.write_text(MEMORY)
    command = [sys.executable, str(script), str(tmp_path / "caches" / "nih"), str(root)]
    grown = int(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)
    assert grown < 20e6
