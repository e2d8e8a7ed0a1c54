"""A worker process of ``executors.Processes``: it does the tasks that it receives and reports what happens."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from xrbench.progress import Task
from xrbench.runs.executors import perform, receive, send

ADVANCE_SECONDS = 0.1
"""A bar is moved at most this often; a step of a small network takes less."""


class Pipe:
    """A reporter whose lines and bars are shown by the main process."""

    def __init__(self, target: IO[bytes]) -> None:
        self.target = target
        self._opened = 0

    def line(self, text: str) -> None:
        """Write a line."""
        send(self.target, ("line", text))

    def detail(self, text: str) -> None:
        """Write a line that is only shown with ``--verbose``."""
        send(self.target, ("detail", text))

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Task]:
        """Show a bar while the block runs."""
        self._opened += 1
        task = _PipeTask(self.target, self._opened)
        send(self.target, ("open", self._opened, label, total))
        try:
            yield task
        finally:
            task.flush()
            send(self.target, ("close", task.number))


class _PipeTask:
    def __init__(self, target: IO[bytes], number: int) -> None:
        self.target, self.number = target, number
        self.steps, self.note, self.sent = 0, "", time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.steps += steps
        self.note = note or self.note
        if time.monotonic() - self.sent >= ADVANCE_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self.steps or self.note:
            send(self.target, ("advance", self.number, self.steps, self.note))
        self.steps, self.note, self.sent = 0, "", time.monotonic()


def main() -> None:
    """Do tasks until the input ends."""
    # a library that prints must not write between the messages
    target = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    reporter, tasks = Pipe(target), queue.Queue[Any]()
    threading.Thread(target=_read, args=(tasks,), daemon=True).start()
    while True:
        send(target, perform(tasks.get(), reporter))


def _read(tasks: queue.Queue[Any]) -> None:
    """Receive tasks while the last one is done, so that the end of the main process is noticed at once."""
    while (task := receive(sys.stdin.buffer)) is not None:
        tasks.put(task)
    os._exit(0)  # files are written atomically: a training that nobody waits for is resumed from its checkpoint


if __name__ == "__main__":
    main()
