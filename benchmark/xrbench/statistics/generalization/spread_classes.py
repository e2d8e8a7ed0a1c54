"""Hospitals and seeds where every image belongs to exactly one class: what ``gap`` and ``two_level`` are for labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xrbench.metrics.names import parse_classes
from xrbench.progress import Reporter
from xrbench.statistics.generalization.cells import Cell, cell_values
from xrbench.statistics.generalization.class_cells import against_rest, by_class
from xrbench.statistics.generalization.gap import Gap, gap, gaps_of
from xrbench.statistics.generalization.seed_variance import TwoLevel, one_domain, two_level, two_levels_of
from xrbench.statistics.intervals.estimate_multiclass import is_called
from xrbench.statistics.intervals.formulas import check_level


def gap_classes(
    internal: Sequence[Cell],
    external: Sequence[Cell],
    *,
    metric: str = "macro-recall",
    classes: Sequence[str],
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> list[Gap]:
    """Compute the generalization gap of exclusive classes; arguments as for ``gap``.

    Args:
        internal: Cells on held-out patients of the training domains; truth is the class's number, shape (n,), or one column a
            class, shape (n, classes).
        external: Cells on other domains.
        metric: A name that ``metrics.parse_classes`` knows.
        classes: Names of the columns of every cell.
        replicates: Bootstrap replicates, for the standard error that stands beside.
        level: Confidence level, between 0 and 1.
        seed: Names the replicates' streams.
        threads: At most so many; the figures do not depend on it.
        reporter: Where a progress bar goes.

    Returns:
        One row of ``all classes``, one a class (``class-...``), or one a class and their ``mean`` (against the rest).

    Raises:
        MeasureError: There is no cell, or a row is not usable.
        UsageError: No such metric.

    >>> inside = Cell("here", [0, 0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9]])
    >>> outside = Cell("there", [0, 0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.1, 0.9]])
    >>> found = gap_classes([inside], [outside], classes=["sick", "well"], replicates=200)[0]
    >>> found.label, found.internal, found.external, found.gap
    ('all classes', 1.0, 0.75, 0.25)
    """
    check_level(level)
    spec = parse_classes(metric)
    if not is_called(spec):
        return gap(
            labelled(internal, classes),
            labelled(external, classes),
            metric=spec.name,
            labels=classes,
            replicates=replicates,
            level=level,
            seed=seed,
            threads=threads,
            reporter=reporter,
        )
    names, lay = by_class(spec, classes)
    cells = [*internal, *external]
    values = cell_values(cells, lay, len(names), replicates=replicates, seed=seed, threads=threads, reporter=reporter)
    return gaps_of(values, len(internal), spec, names, level=level, mean=False)


def two_level_classes(
    cells: Sequence[Cell],
    *,
    metric: str = "macro-recall",
    classes: Sequence[str],
    level: float = 0.95,
    threads: int | None = None,
) -> list[TwoLevel]:
    """Compute the mean over seeds of a figure of exclusive classes; arguments as for ``two_level``.

    Args:
        cells: One for each seed, on the same domain's test images; truth as for ``gap_classes``.
        metric: A name that ``metrics.parse_classes`` knows.
        classes: Names of the columns of every cell.
        level: Confidence level, between 0 and 1.
        threads: At most so many; the figures do not depend on it.

    Raises:
        MeasureError: The cells are of several domains, or a row is not usable.
        UsageError: No such metric.

    >>> first = Cell("here", [0, 0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9]])
    >>> second = Cell("here", [0, 0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.1, 0.9]])
    >>> found = two_level_classes([first, second], metric="accuracy", classes=["sick", "well"])[0]
    >>> found.label, found.value, round(found.sd, 3), found.n_seeds
    ('all classes', 0.875, 0.177, 2)
    """
    check_level(level)
    one_domain(cells)
    spec = parse_classes(metric)
    if not is_called(spec):
        return two_level(labelled(cells, classes), metric=spec.name, labels=classes, level=level, threads=threads)
    names, lay = by_class(spec, classes)
    values = cell_values(cells, lay, len(names), replicates=0, seed=0, threads=threads)
    return two_levels_of(values, spec, names, level=level, mean=False)


def labelled(cells: Sequence[Cell], classes: Sequence[str]) -> list[Cell]:
    """Turn the classes of every cell into one label each."""
    return [replace(cell, truth=against_rest(cell.truth, cell.score, classes)) for cell in cells]
