"""A suite of chains, A -> B1, B2: what is trained once, what a kill and a failure cost, and several fits at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from xrbench.runs.store import read_manifest

if TYPE_CHECKING:
    from tests.cli.conftest import Lab

pytestmark = pytest.mark.train
Said = Callable[[], str]
PATIENCE = 90.0
SLOW = 'objective = { block = "lab.blocks:slow" }'
METHODS = {
    "first": f'title = "A"\nepochs = 3\n{SLOW}',
    "left": f'title = "B1"\nepochs = 3\nparent = "first"\n{SLOW}',
    "right": f'title = "B2"\nepochs = 2\nparent = "first"\nparent_weights = "all"\n{SLOW}',
    "later": 'title = "C"\nparent = "first"',
    "lost": 'title = "A fails"\nobjective = { block = "lab.blocks:broken" }',
    "orphan": 'title = "Starts from what fails"\nparent = "lost"',
    "dro": 'title = "With a state"\nepochs = 3\nobjective = { block = "group-dro", step_size = 0.5 }\nparent = "first"',
}
SUITE = 'title = "Chains"\nextends = "tiny"\nmethods = ["left", "right"]\ncomparisons = []\ntables = []'
ONLY = ("--only", "train=east+west", "--quiet")


@pytest.fixture
def chains(lab: Lab, tmp_path: Path) -> Lab:
    for name, text in METHODS.items():
        (lab.catalogue / "registry" / "methods" / f"{name}.toml").write_text(text)
    (lab.catalogue / "registry" / "suites" / "chains.toml").write_text(SUITE)
    return type(lab)(lab.catalogue, lab.data, tmp_path / "chains")


def options(lab: Lab, out: Path, *more: str) -> list[str]:
    given = ("--suite", "chains", "--catalogue", lab.catalogue, "--data-root", lab.data, "--out", out)
    return [str(option) for option in (*given, "--cache", lab.out / "cache", *ONLY, *more)]


def results(out: Path) -> dict[str, bytes]:
    files = [*out.glob("cells/*.parquet"), *out.glob("chains/*/scores.csv")]
    return {path.name: path.read_bytes() for path in files}


def fits(out: Path) -> dict[str, str]:
    """List the finished fits of a run: method -> folder's name."""
    manifest = read_manifest(next((out / "chains").iterdir()))
    return {
        entry["method"]: entry["key"]
        for entry in manifest["fits"]
        if (out / "fits" / entry["key"] / "done.json").is_file()
    }


def started(lab: Lab, out: Path, *more: str) -> subprocess.Popen[str]:
    program = str(Path(sys.executable).with_name("xrbench"))
    return subprocess.Popen(
        [program, "run", *options(lab, out, *more)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def kill_when(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    start = time.monotonic()
    while not there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - start < PATIENCE
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def settled() -> None:
    """Wait until workers of a killed command have noticed, so that their locks are free."""
    time.sleep(1.0)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [pytest.param("1", marks=pytest.mark.suites), "2"])
def test_killed_in_the_parent_and_in_a_child_it_ends_as_if_nothing_had_happened(
    jobs: str, chains: Lab, tmp_path: Path
) -> None:
    calm, wild = tmp_path / "calm", tmp_path / "wild"
    assert chains.invoke("run", *options(chains, calm)) == 0
    keys = fits(calm)
    assert set(keys) == {"first", "left", "right"}

    def under_way(method: str) -> Callable[[], bool]:
        folder = wild / "fits" / keys[method]
        return lambda: (folder / "checkpoint.pt").exists() and not (folder / "done.json").exists()

    # with two processes, both children are trained when the second kill comes
    for method in ("first", "right" if jobs == "2" else "left"):
        kill_when(under_way(method), started(chains, wild, "--jobs", jobs))
        settled()
    finished = wild / "fits" / keys["first"] / "done.json"
    before = finished.stat().st_mtime_ns
    assert chains.invoke("run", *options(chains, wild, "--jobs", jobs)) == 0
    assert finished.stat().st_mtime_ns == before, "the parent is trained once"
    assert results(wild) == results(calm)
    assert {path.name for path in wild.rglob("*.lock")} <= {"manifest-chains.lock"}


@pytest.mark.slow
@pytest.mark.suites
def test_a_second_method_shares_the_parent_and_a_state_is_kept(chains: Lab, tmp_path: Path, said: Said) -> None:
    out, twice = tmp_path / "out", tmp_path / "twice"
    assert chains.invoke("run", *options(chains, out, "--only", "method=left")) == 0
    parent = out / "fits" / fits(out)["first"] / "weights.pt"
    written = parent.stat().st_mtime_ns
    assert chains.invoke("run", *options(chains, out, "--only", "method=later,dro")) == 0
    assert parent.stat().st_mtime_ns == written
    assert set(fits(out)) == {"first", "left", "later", "dro"}

    # an objective with a state, killed between epochs in a process of its own
    dro = twice / "fits" / fits(out)["dro"]
    second = started(chains, twice, "--jobs", "2", "--only", "method=later,dro")
    kill_when(lambda: (dro / "checkpoint.pt").exists() and not (dro / "done.json").exists(), second)
    settled()
    assert chains.invoke("run", *options(chains, twice, "--jobs", "2", "--only", "method=later,dro")) == 0
    ours = results(out)
    assert {
        name: content for name, content in results(twice).items() if name.endswith(".parquet")
    }.items() <= ours.items()


def test_a_parent_that_fails_costs_its_descendants_only(chains: Lab, tmp_path: Path, said: Said) -> None:
    assert chains.invoke("run", *options(chains, tmp_path / "out", "--only", "method=orphan,later")) == 1
    words = said()
    parent, child = (
        next(line for line in words.splitlines() if f"failed: {name}/" in line) for name in ("lost", "orphan")
    )
    assert "KeyError: 'a weight of this label'" in parent
    assert "it starts from lost/" in child
    assert "KeyError: 'a weight of this label'" in child
    assert set(fits(tmp_path / "out")) == {"first", "later"}
    manifest = read_manifest(next((tmp_path / "out" / "chains").iterdir()))
    failed = {entry["method"] for entry in manifest["fits"] if entry["failed"]}
    assert failed == {"lost", "orphan"}
    assert all(bool(cell["failed"]) == (cell["method"] == "orphan") for cell in manifest["cells"])


@pytest.mark.slow
@pytest.mark.suites
def test_a_process_that_dies_costs_its_fit_only(chains: Lab, tmp_path: Path, said: Said) -> None:
    methods = chains.catalogue / "registry" / "methods"
    (methods / "dies.toml").write_text('title = "Memory is full"\nobjective = { block = "lab.dying:dies" }')
    (methods / "after.toml").write_text('title = "Starts from it"\nparent = "dies"')
    code = "import os, signal\n\n\ndef dies(scores, truth):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    (chains.catalogue / "dying.py").write_text(code)
    command = options(chains, tmp_path / "out", "--jobs", "2", "--only", "method=dies,after,later")
    assert chains.invoke("run", *command) == 1
    words = said()
    assert "its process was ended by SIGKILL; memory may be full: fewer fits at once (--jobs) need less" in words
    assert "it starts from dies/" in words
    assert set(fits(tmp_path / "out")) == {"first", "later"}


@pytest.mark.slow
@pytest.mark.suites
def test_two_commands_share_one_folder_and_train_nothing_twice(chains: Lab, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shards = [started(chains, out, "--only", f"method={name}") for name in ("left", "right")]
    ends = [shard.communicate(timeout=4 * PATIENCE) for shard in shards]
    assert [shard.returncode for shard in shards] == [0, 0], ends
    assert len(list(out.glob("fits/*/done.json"))) == 3
    assert set(fits(out)) == {"first", "left", "right"}, "the manifest holds what both did"


def test_another_recipe_of_the_parent_trains_the_chain_anew(chains: Lab, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert chains.invoke("run", *options(chains, out, "--only", "method=later")) == 0
    before = fits(out)
    (chains.catalogue / "registry" / "methods" / "first.toml").write_text('title = "A"\nepochs = 1')
    assert chains.invoke("run", *options(chains, out, "--only", "method=later")) == 0
    after = fits(out)
    assert before["first"] != after["first"]
    assert before["later"] != after["later"]
