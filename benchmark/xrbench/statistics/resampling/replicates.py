"""Compute metrics in every bootstrap replicate, 64 replicates at a time, on all cores.

Patient counts of a replicate are drawn once and shared by every label, model and metric, so differences between any two of
them are paired. Figures depend on the key and the replicate's number alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Protocol

import numpy as np
import numpy.typing as npt

from xrbench import rng
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec
from xrbench.progress import Reporter, Silent, Task

MEMORY = 512 * 2**20
"""Bytes that all threads' patient counts may take together (one thread is always allowed)."""
PATIENCE = 1.0
"""Seconds after which a progress bar is shown."""


class Figures(Protocol):
    """What can be computed from patient counts: a ``Column``, or anything of its form."""

    @property
    def specs(self) -> tuple[MetricSpec, ...]:
        """The metrics, in order."""

    @property
    def code(self) -> npt.NDArray[np.int32]:
        """Patient number of each labelled row."""

    def values(self, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Compute every metric in every lane, shape (metrics, 64)."""


class Source(Protocol):
    """Where patient counts come from: ``Bootstrap``, ``Jackknife`` or ``Once``."""

    patients: int

    def counts(self, first: int) -> npt.NDArray[np.uint8]:
        """Count each patient in replicates ``first`` to ``first + 63``, shape (patients, 64)."""


def key_of(seed: int, *purpose: str | int) -> int:
    """Make the 64-bit key of a bootstrap from a seed and the words that name what is drawn."""
    return rng.seed_of("bootstrap", seed, *purpose) & 0xFFFFFFFFFFFFFFFF


def replicate(
    columns: Sequence[Figures],
    source: Source,
    replicates: int,
    *,
    threads: int | None = None,
    reporter: Reporter | None = None,
    label: str = "replicates",
) -> FloatArray:
    """Compute every metric of every column in replicates 0 .. ``replicates`` - 1.

    Args:
        columns: All over the same patients, with the same number of metrics.
        source: Where the patient counts come from.
        replicates: How many.
        threads: At most so many; None takes all cores that this process may use. The values do not depend on it.
        reporter: Where a progress bar goes once the work has taken a second.
        label: What the bar says.

    Returns:
        Shape (replicates, columns, metrics); NaN where a metric is undefined in a replicate.
    """
    lanes = 64
    metrics = len(columns[0].specs) if columns else 0
    out = np.empty((-(-replicates // lanes) * lanes, len(columns), metrics))

    def chunk(first: int) -> None:
        counts = source.counts(first)
        for number, column in enumerate(columns):
            out[first : first + lanes, number] = column.values(counts).T

    starts = range(0, replicates, lanes)
    workers = min(_threads(threads, source.patients), len(starts))
    with _late_bar(reporter or Silent(), label, len(starts)) as advance:
        if workers <= 1:
            for first in starts:
                chunk(first)
                advance()
        else:
            with ThreadPoolExecutor(workers) as pool:
                for _ in pool.map(chunk, starts):
                    advance()
    return out[:replicates]


@contextmanager
def _late_bar(reporter: Reporter, label: str, total: int) -> Iterator[Callable[[], None]]:
    """Count steps, and show them from the first one that ends after ``PATIENCE`` unless it is the last."""
    started, done = time.monotonic(), 0
    task: Task | None = None
    with ExitStack() as stack:

        def advance() -> None:
            nonlocal done, task
            done += 1
            if task is not None:
                task.advance()
            elif done < total and time.monotonic() - started > PATIENCE:
                task = stack.enter_context(reporter.bar(label, total))
                task.advance(done)

        yield advance


def _threads(asked: int | None, patients: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Histogram and turned counts: 2 x 64 bytes a patient in every thread.
    fit = int(MEMORY // max(1, 128 * patients))
    return max(1, min(asked or cores, fit))
