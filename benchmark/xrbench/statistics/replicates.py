"""Compute metrics in every bootstrap replicate, 64 replicates at a time, on all cores.

Patient counts of a replicate are drawn once and shared by every label, model and metric, so differences between any two of
them are paired. Figures depend on the key and the replicate's number alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import numpy.typing as npt

from xrbench import streams
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec
from xrbench.progress import Reporter, Silent

MEMORY = 512 * 2**20
"""Bytes that all threads' patient counts may take together (one thread is always allowed)."""
SILENT_WORK = 5e9
"""Image-replicates below which no progress bar is shown: about a second's work."""


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
    return streams.seed_of("bootstrap", seed, *purpose) & 0xFFFFFFFFFFFFFFFF


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
        reporter: Where a progress bar goes when the work takes longer than about a second.
        label: What the bar says.

    Returns:
        Shape (replicates, columns, metrics); NaN where a metric is undefined in a replicate.
    """
    lanes = 64
    metrics = len(columns[0].specs) if columns else 0
    out = np.empty((-(-replicates // lanes) * lanes, len(columns), metrics))
    work = float(sum(len(column.code) for column in columns)) * replicates * max(metrics, 1)
    bars = reporter if reporter is not None and work > SILENT_WORK else Silent()

    def chunk(first: int) -> None:
        counts = source.counts(first)
        for number, column in enumerate(columns):
            out[first : first + lanes, number] = column.values(counts).T

    starts = range(0, replicates, lanes)
    workers = min(_threads(threads, source.patients), len(starts))
    with bars.bar(label, len(starts)) as task:
        if workers <= 1:
            for first in starts:
                chunk(first)
                task.advance()
        else:
            with ThreadPoolExecutor(workers) as pool:
                for _ in pool.map(chunk, starts):
                    task.advance()
    return out[:replicates]


def _threads(asked: int | None, patients: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Histogram and turned counts: 2 x 64 bytes a patient in every thread.
    fit = int(MEMORY // max(1, 128 * patients))
    return max(1, min(asked or cores, fit))
