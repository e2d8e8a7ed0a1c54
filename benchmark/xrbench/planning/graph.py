"""The graph of a plan's fits: which fit starts from which, in what order they are trained, and what a failure costs.

A fit may have parents, whose weights it starts from. A parent is trained once, whatever the number of its children; a fit whose parent
failed cannot be trained, and neither can its descendants.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from xrbench.errors import UsageError


class Fit(Protocol):
    """What the graph is made of: a plan's fits, or what is said of them."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def parents(self) -> tuple[str, ...]:
        """Names of the fits that it starts from."""


AnyFit = TypeVar("AnyFit", bound=Fit)


def ordered(fits: Iterable[AnyFit]) -> tuple[AnyFit, ...]:
    """Sort fits so that parents stand before their children, and otherwise keep the order.

    Raises:
        UsageError: A fit names a parent that is not among them, or fits start from one another in a circle.
    """
    by_name = {fit.name: fit for fit in fits}
    for fit in by_name.values():
        for parent in fit.parents:
            if parent not in by_name:
                raise UsageError(f"fit {fit.name}: no parent {parent!r} in the plan")
    sorter = graphlib.TopologicalSorter({name: fit.parents for name, fit in by_name.items()})
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        raise UsageError(f"fits start from one another in a circle: {' -> '.join(error.args[1])}") from error
    placed: dict[str, AnyFit] = {}
    for fit in by_name.values():
        for name in (*ancestors(fit.name, by_name), fit.name):
            placed.setdefault(name, by_name[name])
    return tuple(placed.values())


def ancestors(name: str, fits: Mapping[str, Fit]) -> tuple[str, ...]:
    """List all fits that a fit starts from, directly or not, parents before their children."""
    names: dict[str, None] = {}
    for parent in fits[name].parents:
        names.update(dict.fromkeys((*ancestors(parent, fits), parent)))
    return tuple(names)


def descendants(name: str, fits: Sequence[Fit]) -> tuple[str, ...]:
    """List all fits that start from a fit, directly or not, in the order of the plan."""
    below = {name}
    for fit in ordered(fits):
        if below & set(fit.parents):
            below.add(fit.name)
    return tuple(fit.name for fit in fits if fit.name in below and fit.name != name)


def needed_by(names: Iterable[str], fits: Sequence[AnyFit]) -> tuple[AnyFit, ...]:
    """Keep the fits of these names and their ancestors, in the order of the plan."""
    by_name = {fit.name: fit for fit in fits}
    kept = {needed for name in names for needed in (name, *ancestors(name, by_name))}
    return tuple(fit for fit in fits if fit.name in kept)


def without(absent: Iterable[str], fits: Sequence[AnyFit]) -> tuple[AnyFit, ...]:
    """Leave out the fits of these names and their descendants."""
    gone = set(absent)
    for fit in ordered(fits):
        if gone & set(fit.parents):
            gone.add(fit.name)
    return tuple(fit for fit in fits if fit.name not in gone)


def depths(fits: Sequence[AnyFit]) -> Iterator[tuple[AnyFit, int]]:
    """Walk through the graph as a text shows it: each fit below its parent, with its number of ancestors in line.

    A fit with several parents stands below the first.
    """
    children: dict[str, list[AnyFit]] = {}
    for fit in fits:
        children.setdefault(fit.parents[0] if fit.parents else "", []).append(fit)

    def walk(name: str, depth: int) -> Iterator[tuple[AnyFit, int]]:
        for fit in children.get(name, ()):
            yield fit, depth
            yield from walk(fit.name, depth + 1)

    return walk("", 0)
