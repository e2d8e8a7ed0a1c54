"""Share the work of a cache between processes that cannot take it down with them.

A worker that dies (a decoder written in C met a damaged file) costs the one image it was at; it is replaced and the rest goes on. An
interruption ends all workers at once.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from xrbench.data.cache.jobs import Examiner, Job, Result, Task, receive, send
from xrbench.errors import CardError, UsageError

WORKER_SECONDS = 1.0
"""Less work than this is not worth the start of a process, which takes about half of it."""

IMAGE_SECONDS, BYTES_PER_SECOND = 0.001, 30e6
"""What decoding takes, roughly: so much an image, and so many bytes of its file in a second."""

AHEAD = 4
"""Tasks that a worker has at hand, so that it never waits for the next one."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Processes are the parallelism here; threads within them would only compete."""


def examine_all(tasks: Sequence[Task], job: Job, *, jobs: int) -> Iterator[Result]:
    """Do all tasks, in up to ``jobs`` processes; results come in the order of completion.

    Raises:
        CardError: The preprocessing is wrong; found with the first image.
        UsageError: A worker process cannot be started.
    """
    work = sum(IMAGE_SECONDS + task.size / BYTES_PER_SECOND for task in tasks)
    workers = min(jobs, len(tasks), int(work / WORKER_SECONDS))
    if workers <= 1:
        examiner = Examiner(job)
        results = (examiner.examine(task) for task in tasks)
        yield from map(_checked, results)
        return
    with Crew(job, workers) as crew:
        yield from map(_checked, crew.run(tasks))


def _checked(result: Result) -> Result:
    if result.kind == "card":
        raise CardError(result.reason)
    return result


class Crew:
    """Worker processes; all are gone when the ``with`` block is left, however it is left."""

    def __init__(self, job: Job, workers: int) -> None:
        self.job, self.size = job, workers
        self.workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.stop()

    def run(self, tasks: Sequence[Task]) -> Iterator[Result]:
        """Yield a result for every task."""
        waiting = deque(tasks)
        with selectors.DefaultSelector() as selector:
            while len(self.workers) < self.size:
                self._start(selector)
            while waiting or any(worker.at_hand for worker in self.workers):
                for key, _ in selector.select():
                    yield from self._serve(key.data, waiting, selector)

    def _start(self, selector: selectors.BaseSelector) -> None:
        worker = _Worker(self.job)
        self.workers.append(worker)
        selector.register(worker.source, selectors.EVENT_READ, worker)

    def _serve(self, worker: _Worker, waiting: deque[Task], selector: selectors.BaseSelector) -> Iterator[Result]:
        """Take one message of a worker and give it more to do, or replace it if it is dead."""
        result = receive(worker.source, Result)
        if result is None:
            selector.unregister(worker.source)
            self.workers.remove(worker)
            culprit = worker.bury()
            waiting.extendleft(reversed(worker.at_hand))
            if waiting:
                self._start(selector)
            yield culprit
            return
        if result.kind == "ready":
            worker.ready = True
        else:
            worker.at_hand.popleft()
        while waiting and len(worker.at_hand) < AHEAD:
            worker.give(waiting.popleft())
        if result.kind != "ready":
            yield result


class _Worker:
    """One process, and the tasks that it was given and has not answered."""

    def __init__(self, job: Job) -> None:
        self.ready = False
        self.at_hand: deque[Task] = deque()
        self.log = tempfile.TemporaryFile()  # noqa: SIM115
        # A session of its own: Ctrl-C reaches us, and we end the workers. The caller's search path finds the caller's blocks.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "xrbench.data.cache.jobs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            bufsize=0,
            env=os.environ | ONE_THREAD | {"PYTHONPATH": os.pathsep.join(entry or os.curdir for entry in sys.path)},
            start_new_session=True,
        )
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("a pipe was asked for and not given")
        self._pipes = (self.process.stdin, self.process.stdout)
        self.target, self.source = (pipe.fileno() for pipe in self._pipes)
        self._send(job)

    def give(self, task: Task) -> None:
        self.at_hand.append(task)
        self._send(task)

    def _send(self, message: Job | Task) -> None:
        # Death shows on the reading side, where it is dealt with.
        with contextlib.suppress(BrokenPipeError):
            send(self.target, message)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()
        for pipe in self._pipes:
            pipe.close()

    def bury(self) -> Result:
        """Blame the image that the worker died of.

        Raises:
            UsageError: It died before any image, or not by a signal: no image is to blame.
        """
        status = self.process.wait()
        self.log.seek(0)
        words = self.log.read().decode(errors="replace").strip().splitlines()
        self.stop()
        if not self.ready or status >= 0 or not self.at_hand:
            last = words[-1] if words else f"exit status {status}"
            raise UsageError(
                f"a process that reads images ended: {last}; one job (--jobs 1) works without such processes"
            )
        name = signal.Signals(-status).name
        return Result(self.at_hand.popleft().path, "unreadable", reason=f"the decoder died of it ({name})")
