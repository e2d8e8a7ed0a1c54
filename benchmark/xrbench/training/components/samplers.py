"""Samplers: which images make up the steps of an epoch.

A sampler is a function ``f(domain, *, batch_size, steps, rng, **options)`` that yields the steps of one epoch: each step a tuple
of groups, each group the positions of its images, shape (batch_size,), or a ``PairedStep`` of them. All steps have the same number
of groups. Groups go through the network separately, so that batch normalisation sees one group at a time.

A sampler whose signature names ``patient`` or ``truth`` is given them too: the number of each image's patient, shape (images,), and
the truth of the suite's labels, shape (images, labels).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from xrbench.training.components.steps import Indices, Step


def random_batches(
    domain: Indices, *, batch_size: int, steps: int, rng: np.random.Generator, replacement: bool = True, groups: int = 0
) -> Iterator[Step]:
    """Draw every group from the pooled training images.

    Args:
        domain: Dataset of each image, as a number, shape (images,).
        batch_size: Images in a group.
        steps: Steps of the epoch.
        rng: Generator of the draws.
        replacement: True draws every group independently, without repeats inside it; False goes through shuffled images to
            the end before any is drawn again.
        groups: Groups in a step; 0 for one for each dataset, so that a step has as many images as with ``balanced_batches``.
            With another number an epoch is one pass over the pooled images: see ``steps_in_epoch``.
    """
    all_images = np.arange(len(domain))
    groups_in_step = groups or len(np.unique(domain))
    return _steps([all_images] * groups_in_step, batch_size, steps, rng, replacement=replacement)


def balanced_batches(
    domain: Indices, *, batch_size: int, steps: int, rng: np.random.Generator, replacement: bool = True
) -> Iterator[Step]:
    """Draw one group from each dataset at every step (Tetteh et al. 2021).

    The default is that of their released code, which shuffles anew at every step. Arguments as in ``random_batches``.
    """
    images_of_domain = [np.flatnonzero(domain == number) for number in np.unique(domain)]
    return _steps(images_of_domain, batch_size, steps, rng, replacement=replacement)


def first_dataset_batches(
    domain: Indices, *, batch_size: int, steps: int, rng: np.random.Generator, replacement: bool = True
) -> Iterator[Step]:
    """Draw all groups from the first dataset only.

    This reproduces the released code of Tetteh et al. 2021, which cuts the merged datasets off after the length of one dataset.
    Arguments as in ``random_batches``.
    """
    numbers = np.unique(domain)
    first = np.flatnonzero(domain == numbers[0])
    return _steps([first] * len(numbers), batch_size, steps, rng, replacement=replacement)


def histogram(plan: list[Step], domain: Indices, domains: int) -> npt.NDArray[np.int64]:
    """Count the images of a plan by group and dataset, shape (groups, domains)."""
    groups = len(plan[0]) if plan else 0
    counts = np.zeros((groups, domains), np.int64)
    for step in plan:
        for group, indices in enumerate(step):
            counts[group] += np.bincount(domain[indices], minlength=domains)
    return counts


def steps_in_epoch(domain: Indices, *, batch_size: int, steps_per_epoch: int, groups: int = 0) -> int:
    """Return the number of steps of an epoch.

    Args:
        domain: Dataset of each image, as a number, shape (images,).
        batch_size: Images in a group.
        steps_per_epoch: The profile's number of steps, which is returned; 0 for one pass over the largest dataset.
        groups: Groups in a step where the sampler's card sets them: then 0 steps is one pass over all images.

    >>> steps_in_epoch(np.array([0, 0, 0, 0, 0, 1, 1]), batch_size=2, steps_per_epoch=0)
    3
    >>> steps_in_epoch(np.array([0, 0, 0, 0, 0, 1, 1]), batch_size=2, steps_per_epoch=0, groups=1)
    4
    """
    if steps_per_epoch:
        return steps_per_epoch
    if groups:
        return math.ceil(len(domain) / (batch_size * groups))
    return math.ceil(int(np.bincount(domain).max()) / batch_size)


def _steps(
    members: list[Indices], batch_size: int, steps: int, rng: np.random.Generator, *, replacement: bool
) -> Iterator[Step]:
    draw = _independent_groups if replacement else _groups_of_passes
    streams = [draw(group, batch_size, rng) for group in members]
    for _ in range(steps):
        # the groups of a step share one generator and are drawn in order: another order would draw other images
        yield tuple(next(stream) for stream in streams)


def _independent_groups(members: Indices, size: int, rng: np.random.Generator) -> Iterator[Indices]:
    while True:
        if size <= len(members):
            yield rng.choice(members, size, replace=False)
        else:
            # a dataset smaller than a batch fills it with whole passes, so that the images' counts differ by at most one
            yield next(_groups_of_passes(members, size, rng))


def _groups_of_passes(members: Indices, size: int, rng: np.random.Generator) -> Iterator[Indices]:
    queue = np.empty(0, np.int64)
    while True:
        while len(queue) < size:
            queue = np.concatenate([queue, rng.permutation(members)])
        yield queue[:size]
        queue = queue[size:]
