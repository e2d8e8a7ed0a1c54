"""Where the work of a run is done: in this process, or in several processes of this machine. Results are the same, bit for bit.

A worker process that dies, as when memory is full, costs the fit that it was training: it is named as failed, the worker is replaced
and the others go on. An interruption ends all workers at once; when this process is killed, they notice and end themselves.
"""

from __future__ import annotations

import errno
import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import IO, Any, Protocol

from xrbench.errors import StoreError
from xrbench.progress import Reporter, Task
from xrbench.runs.schedule import Node, Schedule
from xrbench.runs.tasks import CellTask, FitTask, Outcome, failure, measure_one, train_one

POLL_SECONDS = 0.5
"""Seconds between two looks at what other commands are doing."""

Ended = Callable[[Node, Outcome], None]
_LENGTH = struct.Struct("<Q")


class Executor(Protocol):
    """Does the nodes of a run, each after those that it starts from.

    An executor is a block: a class that is constructed with ``(count, environment)``, the number of nodes to do at once and the
    variables of processes that it starts. ``Schedule`` gives the order, and ``perform`` does a node's task.
    """

    def run(self, nodes: Sequence[Node], ended: Ended, reporter: Reporter) -> None:
        """Do all nodes; ``ended`` is called with each as it ends.

        Raises:
            StoreError: Nothing can be stored any more, as on a full disk.
        """


def perform(task: FitTask | CellTask, reporter: Reporter) -> Outcome:
    """Do one task in this process."""
    return train_one(task, reporter) if isinstance(task, FitTask) else measure_one(task, reporter)


class Serial:
    """Do one node after the other in this process, whatever ``count`` and ``environment`` say."""

    def __init__(self, count: int = 1, environment: Mapping[str, str] | None = None) -> None:
        del count, environment

    def run(self, nodes: Sequence[Node], ended: Ended, reporter: Reporter) -> None:
        """Do all nodes; see ``Executor``."""
        schedule, last = Schedule(nodes, _stopping(ended)), ""
        while not schedule.over:
            node = schedule.next(last)
            if node is None:
                _wait_for_others(schedule, reporter)
                continue
            last = node.uses
            schedule.end(node, _made(node, lambda task: perform(task, reporter)))


class Processes:
    """Do up to ``count`` nodes at once, each in a process of its own.

    Args:
        count: Number of processes.
        environment: Variables of the workers, beside those of this process.
    """

    def __init__(self, count: int, environment: Mapping[str, str] | None = None) -> None:
        self.count, self.environment = count, dict(environment or {})

    def run(self, nodes: Sequence[Node], ended: Ended, reporter: Reporter) -> None:
        """Do all nodes; see ``Executor``."""
        schedule = Schedule(nodes, _stopping(ended))
        messages: queue.Queue[tuple[_Worker, Any]] = queue.Queue()
        with ExitStack() as workers:
            idle = [self._start(messages, workers) for _ in range(min(self.count, len(nodes)))]
            while not schedule.over:
                idle = [worker for worker in idle if not self._assign(worker, schedule, reporter)]
                try:
                    worker, message = messages.get(timeout=POLL_SECONDS)
                except queue.Empty:
                    _retry(schedule, reporter)
                    continue
                if message is None:
                    _end(worker, worker.death(), schedule)
                    idle.append(self._start(messages, workers))
                elif isinstance(message, Outcome):
                    _end(worker, message, schedule)
                    idle.append(worker)
                else:
                    worker.show(message, reporter)

    def _start(self, messages: queue.Queue[tuple[_Worker, Any]], workers: ExitStack) -> _Worker:
        worker = _Worker(messages, self.environment)
        workers.callback(worker.stop)
        return worker

    def _assign(self, worker: _Worker, schedule: Schedule, reporter: Reporter) -> bool:
        """Give a worker the next node; return whether there was one."""
        while (node := schedule.next(worker.last)) is not None:
            try:
                task = node.make()
            except Exception as error:
                schedule.end(node, failure(error))
                continue
            worker.assign(node, task)
            return True
        if schedule.only_busy:
            _retry(schedule, reporter)
        return False


class _Worker:
    """One process, the node that it is doing, and the bars that it shows."""

    def __init__(self, messages: queue.Queue[tuple[_Worker, Any]], environment: Mapping[str, str]) -> None:
        self.node: Node | None = None
        self.last = ""
        self._bars: dict[int, tuple[ExitStack, Task]] = {}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        # a session of its own: Ctrl-C interrupts the main process only, which then ends the workers; the caller's search path is
        # passed on, since blocks may come from the caller's packages
        search = os.pathsep.join(entry or os.curdir for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "xrbench.runs.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | {"PYTHONPATH": search} | dict(environment),
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(messages,), daemon=True).start()

    def _listen(self, messages: queue.Queue[tuple[_Worker, Any]]) -> None:
        source = self._process.stdout
        while source is not None and (message := receive(source)) is not None:
            messages.put((self, message))
        messages.put((self, None))

    def assign(self, node: Node, task: FitTask | CellTask) -> None:
        self.node, self.last = node, node.uses
        # a dead worker is noticed on the reading side
        try:
            send(self._process.stdin, task)
        except OSError:
            return

    def show(self, message: tuple[Any, ...], reporter: Reporter) -> None:
        """Pass a line or the progress of a bar on to the reporter."""
        kind, *values = message
        if kind == "line":
            reporter.line(*values)
        elif kind == "detail":
            reporter.detail(*values)
        elif kind == "open":
            number, label, total = values
            stack = ExitStack()
            self._bars[number] = stack, stack.enter_context(reporter.bar(label, total))
        elif kind == "advance":
            number, steps, note = values
            self._bars[number][1].advance(steps, note)
        else:
            self._bars.pop(values[0])[0].close()

    def death(self) -> Outcome:
        """Describe the death of the process as the outcome of its node."""
        status = self._process.wait()
        self._log.seek(0)
        words = self._log.read().decode(errors="replace").strip().splitlines()
        self.stop()
        if status < 0:
            name = signal.Signals(-status).name
            hint = "; memory may be full: fewer fits at once (--jobs) need less" if name == "SIGKILL" else ""
            return Outcome("failed", f"its process was ended by {name}{hint}", "\n".join(words))
        return Outcome(
            "failed", f"its process ended: {words[-1] if words else f'exit status {status}'}", "\n".join(words)
        )

    def stop(self) -> None:
        """End the process and its bars."""
        for stack, _ in self._bars.values():
            stack.close()
        self._bars.clear()
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            if pipe is not None:
                _close(pipe)


def send(target: IO[bytes] | None, message: object) -> None:
    """Write one message to a pipe."""
    if target is None:
        raise RuntimeError("a pipe was asked for and not given")
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    target.write(_LENGTH.pack(len(content)))
    target.write(content)
    target.flush()


def receive(source: IO[bytes]) -> Any | None:
    """Read one message from a pipe of this program's own processes; None when the other side has closed it."""
    try:
        start = source.read(_LENGTH.size)
        if len(start) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack(start)
        content = source.read(length)
    except (OSError, ValueError):  # the pipe was closed on this side
        return None
    return pickle.loads(content) if len(content) == length else None  # noqa: S301


def _made(node: Node, perform_task: Callable[[FitTask | CellTask], Outcome]) -> Outcome:
    """Make a node's task and do it; an error in making it is its outcome."""
    try:
        task = node.make()
    except Exception as error:
        return failure(error)
    return perform_task(task)


def _end(worker: _Worker, outcome: Outcome, schedule: Schedule) -> None:
    if worker.node is not None:
        schedule.end(worker.node, outcome)
        worker.node = None
    elif outcome.status == "failed":
        # it died before it had anything to do: so would the next one
        raise StoreError(f"a process that trains cannot be started: {outcome.reason}; one job (--jobs 1) needs none")


def _stopping(ended: Ended) -> Ended:
    """End the run when nothing can be stored any more: no other node could store its result either."""

    def check(node: Node, outcome: Outcome) -> None:
        if outcome.status == "fatal":
            # the error itself may have been raised in another process
            raise StoreError(outcome.reason) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        ended(node, outcome)

    return check


def _wait_for_others(schedule: Schedule, reporter: Reporter) -> None:
    time.sleep(POLL_SECONDS)
    _retry(schedule, reporter)


def _retry(schedule: Schedule, reporter: Reporter) -> None:
    """Try again what other commands were doing."""
    if schedule.busy:
        reporter.detail(f"waiting for another xrbench command: {', '.join(schedule.busy)}")
        schedule.retry()


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except OSError:  # what was not written yet cannot reach a process that is gone
        return
