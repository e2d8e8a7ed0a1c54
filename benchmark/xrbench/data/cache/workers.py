"""Worker processes that build a cache.

A worker that dies, as when a decoder written in C meets a damaged file, costs the one image that it was reading: it is replaced, and
the others go on. An interruption ends all workers at once.
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
"""Estimated work in seconds below which no process is started, since the start alone takes about half of it."""

IMAGE_SECONDS, BYTES_PER_SECOND = 0.001, 30e6
"""Estimated time of decoding: seconds for each image, and bytes of its file in a second."""

AHEAD = 4
"""Tasks assigned to a worker at a time, so that it never waits for the next one."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Environment of a worker: threads inside it would compete with the other processes."""


def examine_all(tasks: Sequence[Task], job: Job, *, jobs: int) -> Iterator[Result]:
    """Carry out all tasks in up to ``jobs`` processes; results come in the order of completion.

    Raises:
        CardError: The preprocessing is wrong; found with the first image.
        UsageError: A worker process cannot be started.
    """
    work = sum(IMAGE_SECONDS + task.size / BYTES_PER_SECOND for task in tasks)
    # no more workers than have something to do for longer than they take to start; Windows cannot wait for several pipes at once
    workers = 1 if os.name == "nt" else min(jobs, len(tasks), int(work / WORKER_SECONDS))
    if workers <= 1:
        examiner = Examiner(job)
        results = (examiner.examine(task) for task in tasks)
        yield from map(_raise_card_error, results)
        return
    with WorkerPool(job, workers) as pool:
        yield from map(_raise_card_error, pool.run(tasks))


def _raise_card_error(result: Result) -> Result:
    if result.kind == "card":
        raise CardError(result.reason)
    return result


class WorkerPool:
    """Worker processes, which all end with the ``with`` block."""

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
        queue = deque(tasks)
        with selectors.DefaultSelector() as selector:
            while len(self.workers) < self.size:
                self._start(selector)
            while queue or any(worker.assigned for worker in self.workers):
                for key, _ in selector.select():
                    yield from self._serve(key.data, queue, selector)

    def _start(self, selector: selectors.BaseSelector) -> None:
        worker = _Worker(self.job)
        self.workers.append(worker)
        selector.register(worker.source, selectors.EVENT_READ, worker)

    def _serve(self, worker: _Worker, queue: deque[Task], selector: selectors.BaseSelector) -> Iterator[Result]:
        """Receive one message of a worker and assign more tasks to it, or replace it if it is dead."""
        result = receive(worker.source, Result)
        if result is None:
            selector.unregister(worker.source)
            self.workers.remove(worker)
            culprit = worker.ended()
            # its other tasks go back to the front, in their order
            queue.extendleft(reversed(worker.assigned))
            if queue:
                self._start(selector)
            yield culprit
            return
        if result.kind == "ready":
            worker.ready = True
        else:
            worker.assigned.popleft()
        while queue and len(worker.assigned) < AHEAD:
            worker.assign(queue.popleft())
        if result.kind != "ready":
            yield result


class _Worker:
    """One process, and the tasks assigned to it that it has not answered."""

    def __init__(self, job: Job) -> None:
        self.ready = False
        self.assigned: deque[Task] = deque()
        self.log = tempfile.TemporaryFile()  # noqa: SIM115
        # a session of its own: Ctrl-C interrupts this process only, which then ends the workers; the caller's search path is passed
        # on, since preprocessing blocks may come from the caller's packages
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

    def assign(self, task: Task) -> None:
        self.assigned.append(task)
        self._send(task)

    def _send(self, message: Job | Task) -> None:
        # a dead worker is noticed and handled on the reading side
        with contextlib.suppress(BrokenPipeError):
            send(self.target, message)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()
        for pipe in self._pipes:
            pipe.close()

    def ended(self) -> Result:
        """Return the result of the image that the dead worker was reading.

        Raises:
            UsageError: It died before any image, or not by a signal: no image is to blame.
        """
        status = self.process.wait()
        self.log.seek(0)
        words = self.log.read().decode(errors="replace").strip().splitlines()
        self.stop()
        if not self.ready or status >= 0 or not self.assigned:
            last = words[-1] if words else f"exit status {status}"
            raise UsageError(
                f"a process that reads images ended: {last}; one job (--jobs 1) works without such processes"
            )
        name = signal.Signals(-status).name
        return Result(self.assigned.popleft().path, "unreadable", reason=f"the decoder died of it ({name})")
