"""Compute metrics in every bootstrap replicate, 64 replicates at a time, on all cores.

The patient counts of a replicate are drawn once and shared by every label, model and metric, so differences between any two of
them are paired. The values depend on the key and the replicate's number alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from xrbench import rng
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec
from xrbench.progress import Reporter, Silent, Task

LANES = 64
"""Replicates that are computed together: the counts of one patient in 64 replicates fill one cache line of 64 bytes."""
MEMORY = 512 * 2**20
"""Bytes that the patient counts of all threads may take together (one thread is always allowed)."""
PATIENCE = 1.0
"""Seconds after which a progress bar is shown."""

A = TypeVar("A")
B = TypeVar("B")


class MetricColumn(Protocol):
    """Predictions from which metrics can be computed given patient counts, such as a ``LabelColumn``."""

    @property
    def specs(self) -> tuple[MetricSpec, ...]:
        """The metrics, in order."""

    @property
    def code(self) -> npt.NDArray[np.int32]:
        """Patient number of each labelled image, shape (images,)."""

    def values(self, counts: npt.NDArray[np.uint8]) -> FloatArray:
        """Compute every metric in every lane: counts of shape (patients, 64) give values of shape (metrics, 64)."""


class CountSource(Protocol):
    """Where patient counts come from: ``Bootstrap``, ``Jackknife`` or ``FullSample``."""

    patients: int

    def counts(self, first: int) -> npt.NDArray[np.uint8]:
        """Count each patient in replicates ``first`` to ``first + 63``, shape (patients, 64)."""


def key_of(seed: int, *purpose: str | int) -> int:
    """Derive the 64-bit key of a bootstrap from a seed and the words that name what is resampled."""
    return rng.seed_of("bootstrap", seed, *purpose) & 0xFFFFFFFFFFFFFFFF


def replicate(
    columns: Sequence[MetricColumn],
    source: CountSource,
    replicates: int,
    *,
    threads: int | None = None,
    reporter: Reporter | None = None,
    label: str = "replicates",
) -> FloatArray:
    """Compute every metric of every column in replicates 0 to ``replicates`` - 1.

    Args:
        columns: All over the same patients, with the same number of metrics.
        source: Where the patient counts come from.
        replicates: How many.
        threads: Threads at most, None for all cores that this process may use. The values do not depend on it.
        reporter: Where a progress bar goes once the work has taken a second.
        label: Label of the bar.

    Returns:
        Shape (replicates, columns, metrics); NaN where a metric is undefined in a replicate.
    """
    metrics = len(columns[0].specs) if columns else 0
    # Whole blocks of lanes: the surplus of the last block is cut off at the end.
    out = np.empty((-(-replicates // LANES) * LANES, len(columns), metrics))

    def compute_block(first: int) -> None:
        counts = source.counts(first)
        for number, column in enumerate(columns):
            out[first : first + LANES, number] = column.values(counts).T

    starts = range(0, replicates, LANES)
    # Every thread holds a histogram and its transposed counts: 2 x 64 bytes a patient.
    within_memory = max(1, int(MEMORY // max(1, 2 * LANES * source.patients)))
    parallel(
        compute_block, starts, threads=min(threads or within_memory, within_memory), reporter=reporter, label=label
    )
    return out[:replicates]


def parallel(
    work: Callable[[A], B], items: Sequence[A], *, threads: int | None, reporter: Reporter | None, label: str
) -> list[B]:
    """Work on each item, several at a time, with a progress bar once that has taken a second.

    Args:
        work: What is done with an item; compiled or of NumPy, which release the interpreter's lock.
        items: In the order of the results.
        threads: Threads at most, None for all cores that this process may use.
        reporter: Where the bar goes.
        label: Label of the bar.
    """
    workers, results = min(_cores(), threads or len(items), len(items)), []
    with _late_bar(reporter or Silent(), label, len(items)) as advance:
        if workers <= 1:
            for item in items:
                results.append(work(item))
                advance()
        else:
            with ThreadPoolExecutor(workers) as pool:
                for result in pool.map(work, items):
                    results.append(result)
                    advance()
    return results


@contextmanager
def _late_bar(reporter: Reporter, label: str, total: int) -> Iterator[Callable[[], None]]:
    """Count steps, and show a bar from the first step that ends after ``PATIENCE`` unless it is the last one."""
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


def _cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
