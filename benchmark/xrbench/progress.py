"""Report progress: bars on a terminal, plain lines elsewhere, nothing when quiet.

Long computations take a ``Reporter``. It writes to standard error, so that standard output holds results only.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

PLAIN_SECONDS = 15.0
"""A plain (non-terminal) bar writes a line at most this often."""


class Task(Protocol):
    """One progress bar."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move on by a number of steps; ``note`` replaces the text at the end of the line."""


class Reporter(Protocol):
    """Where a computation reports its progress."""

    def line(self, text: str) -> None:
        """Write a line."""

    def detail(self, text: str) -> None:
        """Write a line that is only shown with ``--verbose``."""

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Task]:
        """Show a bar of ``total`` steps while the block runs."""
        ...


class _NoTask:
    def advance(self, steps: int = 1, note: str = "") -> None:
        """Do nothing."""


class Silent:
    """Write nothing; the default of every function that takes a reporter."""

    def line(self, text: str) -> None:
        """Write nothing."""

    def detail(self, text: str) -> None:
        """Write nothing."""

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Task]:  # noqa: ARG002
        """Show nothing."""
        yield _NoTask()


class _PlainTask:
    def __init__(self, label: str, total: int, out: TextIO) -> None:
        self.label, self.total, self.out = label, total, out
        self.done, self.note = 0, ""
        self.started = self.written = time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.done += steps
        self.note = note or self.note
        now = time.monotonic()
        if now - self.written >= PLAIN_SECONDS and self.done < self.total:
            self.write(now)

    def write(self, now: float) -> None:
        self.written = now
        print(
            f"{self.label}   {self.done:,}/{self.total:,}   {self.note}   {clock(now - self.started)}".rstrip(),
            file=self.out,
        )


class Plain:
    """Write plain lines, for logs and pipes."""

    def __init__(self, out: TextIO | None = None, *, verbose: bool = False) -> None:
        self.out, self.verbose = out or sys.stderr, verbose

    def line(self, text: str) -> None:
        """Write the line."""
        print(text, file=self.out, flush=True)

    def detail(self, text: str) -> None:
        """Write the line if verbose."""
        if self.verbose:
            self.line(text)

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Task]:
        """Write a line at most every ``PLAIN_SECONDS``, and one at the end."""
        task = _PlainTask(label, total, self.out)
        yield task
        task.write(time.monotonic())


class _RichTask:
    def __init__(self, progress: object, task_id: int) -> None:
        self._progress, self._id = progress, task_id

    def advance(self, steps: int = 1, note: str = "") -> None:
        extra = {"note": note} if note else {}
        self._progress.update(self._id, advance=steps, **extra)  # type: ignore[attr-defined]


class Terminal:
    """Draw bars with rich; nested bars stand below one another."""

    def __init__(self, *, verbose: bool = False) -> None:
        from rich.console import Console

        self.console, self.verbose = Console(stderr=True, highlight=False), verbose
        self._progress: object | None = None

    def line(self, text: str) -> None:
        """Print the line above the bars."""
        self.console.print(text, markup=False, soft_wrap=True)

    def detail(self, text: str) -> None:
        """Print the line if verbose."""
        if self.verbose:
            self.line(text)

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Task]:
        """Draw one more bar while the block runs."""
        if self._progress is not None:
            yield from self._add(self._progress, label, total)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            self._progress = progress
            try:
                yield from self._add(progress, label, total)
            finally:
                self._progress = None

    def _add(self, progress: object, label: str, total: int) -> Iterator[Task]:
        task_id = progress.add_task(label, total=total, note="")  # type: ignore[attr-defined]
        try:
            yield _RichTask(progress, task_id)
        finally:
            progress.remove_task(task_id)  # type: ignore[attr-defined]


def reporter(*, quiet: bool = False, verbose: bool = False) -> Reporter:
    """Choose bars, plain lines or no output, from the options and the kind of standard error."""
    if quiet:
        return Silent()
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        return Terminal(verbose=verbose)
    return Plain(verbose=verbose)


def clock(seconds: float) -> str:
    """Write a duration as h:mm:ss.

    >>> clock(3725)
    '1:02:05'
    """
    whole = round(seconds)
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
