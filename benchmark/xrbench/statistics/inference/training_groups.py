"""Which cells are of one training, and which settings share trainings."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from xrbench.statistics.inference.crossed import FIXED


def trainings_of(chains: Sequence[Sequence[str]]) -> npt.NDArray[np.int64]:
    """Number the training of each cell: cells whose chains have a fit in common are of one training.

    Args:
        chains: Names of the fits of each cell's training; empty for given weights.

    Returns:
        Shape (cells,), from 0 in the order of first appearance; ``FIXED`` for given weights.

    >>> trainings_of([("a0", "pretext0"), ("a1", "pretext1"), ("b0", "pretext0"), ()]).tolist()
    [0, 1, 0, -1]
    """
    joined = _joined(chains)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(joined[i] for i, c in enumerate(chains) if c))}
    return np.array([numbers[joined[i]] if chain else FIXED for i, chain in enumerate(chains)], np.int64)


def groups_of_settings(settings: Sequence[str], training: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number the group of settings of each cell: settings with a training in common are one group.

    Args:
        settings: Setting of each cell.
        training: Its training, see ``trainings_of``, shape (cells,).

    Returns:
        Shape (cells,), from 0.

    >>> groups_of_settings(["x", "y", "y", "z"], np.array([0, 0, 1, 2])).tolist()
    [0, 0, 0, 1]
    """
    names = [
        [("setting", setting), *([("training", int(number))] if number != FIXED else [])]
        for setting, number in zip(settings, training, strict=True)
    ]
    joined = _joined(names)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(joined))}
    return np.array([numbers[name] for name in joined], np.int64)


def _joined(names: Sequence[Iterable[Hashable]]) -> list[int]:
    """Return the first member of each one's component: those with a name in common, directly or by way of others."""
    root = list(range(len(names)))

    def find(one: int) -> int:
        while root[one] != one:
            root[one] = root[root[one]]
            one = root[one]
        return one

    first: dict[Hashable, int] = {}
    for number, of in enumerate(names):
        for name in of:
            other = find(first.setdefault(name, number))
            mine = find(number)
            root[max(other, mine)] = min(other, mine)
    return [find(number) for number in range(len(names))]
