"""Which images make a step.

A sampler is a function ``f(domain, *, batch_size, steps, rng, **options)`` that yields the steps of one epoch: each a tuple of
groups, each group the positions of its images. Every group goes through the network by itself, so batch normalisation sees
one group at a time, and the loss of a step is the sum over its groups.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Step = tuple[Indices, ...]


def random_batches(
    domain: Indices, *, batch_size: int, steps: int, rng: np.random.Generator, replacement: bool = True, groups: int = 0
) -> Iterator[Step]:
    """Draw every group from all training images together.

    Args:
        domain: Which dataset each image is from, shape (images,).
        batch_size: Images in a group.
        steps: Steps of the epoch.
        rng: Where they are drawn from.
        replacement: True draws every group afresh, without repeats inside it; False goes through shuffled images to the end
            before any comes again.
        groups: Groups in a step; 0 is one for each dataset, so that a step has as many images as with ``balanced_batches``. With
            a number of its own, an epoch is a pass over all images together: see ``steps_in_epoch``.
    """
    everything = np.arange(len(domain))
    count = groups or len(np.unique(domain))
    return _steps([everything] * count, batch_size, steps, rng, replacement=replacement)


def balanced_batches(
    domain: Indices, *, batch_size: int, steps: int, rng: np.random.Generator, replacement: bool = True
) -> Iterator[Step]:
    """Draw one group from each dataset at every step (Tetteh et al. 2021).

    The default is their released code, which shuffles anew at every step; arguments as in ``random_batches``.
    """
    members = [np.flatnonzero(domain == number) for number in np.unique(domain)]
    return _steps(members, batch_size, steps, rng, replacement=replacement)


def first_dataset_batches(
    domain: Indices, *, batch_size: int, steps: int, rng: np.random.Generator, replacement: bool = True
) -> Iterator[Step]:
    """Draw all groups from the first dataset only.

    That is what the released code of Tetteh et al. does where the paper merges the datasets: it cuts the merge after the length of
    one dataset. Arguments as in ``random_batches``.
    """
    numbers = np.unique(domain)
    first = np.flatnonzero(domain == numbers[0])
    return _steps([first] * len(numbers), batch_size, steps, rng, replacement=replacement)


def histogram(plan: list[Step], domain: Indices, domains: int) -> npt.NDArray[np.int64]:
    """Count the images drawn from each dataset, shape (groups, domains)."""
    groups = len(plan[0]) if plan else 0
    counts = np.zeros((groups, domains), np.int64)
    for step in plan:
        for group, indices in enumerate(step):
            counts[group] += np.bincount(domain[indices], minlength=domains)
    return counts


def steps_in_epoch(domain: Indices, *, batch_size: int, steps_per_epoch: int, groups: int = 0) -> int:
    """Return the profile's number of steps; when that is 0, one pass over the largest dataset.

    Where the sampler is told how many ``groups`` a step has, whatever the number of datasets, it is one pass over all images.

    >>> steps_in_epoch(np.array([0, 0, 0, 0, 0, 1, 1]), batch_size=2, steps_per_epoch=0)
    3
    >>> steps_in_epoch(np.array([0, 0, 0, 0, 0, 1, 1]), batch_size=2, steps_per_epoch=0, groups=1)
    4
    """
    images, step = (len(domain), batch_size * groups) if groups else (int(np.bincount(domain).max()), batch_size)
    return steps_per_epoch or -(-images // step)


def _steps(
    members: list[Indices], batch_size: int, steps: int, rng: np.random.Generator, *, replacement: bool
) -> Iterator[Step]:
    draw = _fresh if replacement else _passes
    streams = [draw(group, batch_size, rng) for group in members]
    for _ in range(steps):
        yield tuple(next(stream) for stream in streams)


def _fresh(members: Indices, size: int, rng: np.random.Generator) -> Iterator[Indices]:
    while True:
        if size <= len(members):
            yield rng.choice(members, size, replace=False)
        else:
            yield next(_passes(members, size, rng))


def _passes(members: Indices, size: int, rng: np.random.Generator) -> Iterator[Indices]:
    waiting = np.empty(0, np.int64)
    while True:
        while len(waiting) < size:
            waiting = np.concatenate([waiting, rng.permutation(members)])
        yield waiting[:size]
        waiting = waiting[size:]
