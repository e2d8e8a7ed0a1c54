"""Run the tests on one mutant after the other, each in a process forked from one that has loaded the heavy libraries.

Two copies of the project stand in temporary folders; the working tree is never touched. Machine code that Numba keeps on disk
does not know of changes in other files, so a mutant of a module with compiled functions starts with an empty folder of it.
"""

from __future__ import annotations

import compileall
import contextlib
import importlib
import os
import py_compile
import re
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.mutation.mutants import Mutant, mutated
from tests.mutation.sample import Setup, SetupError

MEMORY = 12 << 30
"""Bytes of data that a trial may hold: a mutant may ask for more than there is."""
PATIENCE, LEAST = 4.0, 60.0
"""A trial may take so many times as long as its tests take on the unchanged code, and at least so many seconds."""
OPTIONS = (
    "-x",
    "-q",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:xdist",
    "-p",
    "no:benchmark",
    "--hypothesis-seed=0",
    "-m",
    "not perf",
)
PASSED = (0, 5)
"""Exit codes of pytest: all tests passed, none was collected."""
OUTCOMES = {0: "survived", 1: "killed", 2: "killed"}
"""Exit codes of pytest: tests passed, tests failed, a test file cannot be imported. All others say nothing of the mutant."""
Done = Callable[["Trial"], None]


@dataclass
class Trial:
    """Runs of pytest, one after the other until one fails, on a mutant or (None) on the unchanged code."""

    tests: Sequence[Sequence[str]]
    mutant: Mutant | None = None
    left_out: Sequence[str] = ()
    seconds: float = 600.0
    outcome: str = ""
    by: str = ""
    took: float = 0.0


@dataclass
class Slot:
    """A copy of the project in which one trial runs at a time."""

    folder: Path
    setup: Setup
    pid: int = 0
    started: float = 0.0
    trial: Trial | None = None
    originals: dict[Path, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """Where the output of the trial goes."""
        return self.folder.with_suffix(".log")

    def copy(self) -> None:
        """Copy what trials need; compiled modules are checked by content, since an edit may keep time and size."""
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        for name in self.setup.copied:
            source, there = self.setup.root / name, self.folder / name
            there.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, there, ignore=ignored)
            else:
                shutil.copy2(source, there)
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(self.folder / self.setup.source, quiet=1, invalidation_mode=mode)

    def start(self, trial: Trial) -> None:
        """Put the mutant in place and run its tests in a child process."""
        cache = self.folder.with_suffix(".cache")
        if trial.mutant is not None:
            file = self.folder / trial.mutant.file
            text = file.read_text(encoding="utf-8")
            changed = mutated(text, trial.mutant)
            assert changed is not None, trial.mutant
            self.originals[file] = text
            file.write_text(changed, encoding="utf-8")
            if _has_compiled(text, self.setup.compiled):
                cache = self.folder.with_suffix(".fresh")
                shutil.rmtree(cache, ignore_errors=True)
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            _run_tests(self, trial, cache)
        self.trial, self.started = trial, time.monotonic()

    def poll(self) -> Trial | None:
        """Return the trial if it has ended, with its outcome; end it if its time is over."""
        if self.trial is None:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        took = time.monotonic() - self.started
        if not pid and took < self.trial.seconds:
            return None
        if not pid:
            self.end()
        trial, self.trial = self.trial, None
        trial.took = took
        trial.outcome = self._outcome(status) if pid else "timeout"
        trial.by = self._why(status if pid else signal.SIGKILL) if trial.outcome != "survived" else ""
        for file, text in self.originals.items():
            file.write_text(text, encoding="utf-8")
        self.originals = {}
        shutil.rmtree(self.folder / ".hypothesis", ignore_errors=True)
        return trial

    def end(self) -> None:
        """End the child and all that it started."""
        with contextlib.suppress(ProcessLookupError):  # it has not made its group yet
            os.killpg(self.pid, signal.SIGKILL)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def _outcome(self, status: int) -> str:
        if os.WIFSIGNALED(status):
            return "killed"
        code = os.waitstatus_to_exitcode(status)
        if code == pytest.ExitCode.USAGE_ERROR and "while loading conftest" in self._output():
            return "killed"
        return OUTCOMES.get(code, f"exit {code}")

    def _output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace").strip()

    def _why(self, status: int) -> str:
        """Return the test that failed, or the signal that ended the process, or the last line of the output."""
        if os.WIFSIGNALED(status):
            return signal.Signals(os.WTERMSIG(status)).name
        text = self._output()
        found = re.search(r"^(?:FAILED|ERROR) (\S+)", text, re.MULTILINE)
        return found[1] if found else text.splitlines()[-1] if text else ""


def _has_compiled(source: str, decorators: Iterable[str]) -> bool:
    return any(re.search(rf"^\s*@(?:\w+\.)?{name}\b", source, re.MULTILINE) for name in decorators)


def _run_tests(slot: Slot, trial: Trial, cache: Path) -> None:
    """Be the child: a process group of its own, the copy's code first on the path, all output in the log."""
    code = 70
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        log = os.open(slot.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        null = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, null), (1, log), (2, log)):
            os.dup2(source, target)
        source_root = str(slot.folder / slot.setup.source)
        sys.path[:] = [source_root, *(path for path in sys.path if Path(path).resolve() != slot.setup.root)]
        os.environ |= {"PYTHONPATH": source_root, "NUMBA_CACHE_DIR": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        importlib.import_module("numba").config.reload_config() if "numba" in sys.modules else None
        os.chdir(slot.folder)
        chosen = ["-k", f"not ({' or '.join(trial.left_out)})"] if trial.left_out else []
        codes = (int(pytest.main([*OPTIONS, *chosen, *files])) for files in trial.tests if files)
        code = next((code for code in codes if code not in PASSED), 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def preload(setup: Setup) -> None:
    """Load the heavy libraries before the first fork; none of them is the code that is changed."""
    for name in setup.preloaded:
        importlib.import_module(name)
    ours = {path.stem for path in (setup.root / setup.source).iterdir()} & set(sys.modules)
    if ours:
        raise SetupError(f"loaded before the first trial: {', '.join(sorted(ours))}; it could not be changed any more")


def run_all(slots: Sequence[Slot], trials: Iterator[Trial], done: Done) -> None:
    """Run trials, one in each slot at a time, and hand over each that ends."""
    waiting = True
    try:
        while waiting or any(slot.trial for slot in slots):
            for slot in slots:
                ended = slot.poll()
                if ended is not None:
                    done(ended)
                if slot.trial is None and waiting:
                    trial = next(trials, None)
                    waiting = trial is not None
                    if trial is not None:
                        slot.start(trial)
            time.sleep(0.02)
    finally:
        for slot in slots:
            if slot.trial is not None:
                slot.end()
