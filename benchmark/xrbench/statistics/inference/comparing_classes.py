"""Is model b better than model a where every image belongs to exactly one class?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xrbench.metrics.names import parse_classes
from xrbench.progress import Reporter
from xrbench.statistics.generalization.cells import PairedCell
from xrbench.statistics.generalization.class_cells import against_rest, by_class
from xrbench.statistics.inference.paired_difference import Difference, Judge, both_sides, compare
from xrbench.statistics.intervals.estimate_multiclass import is_called
from xrbench.statistics.intervals.formulas import check_level


def compare_classes(
    cells: Sequence[PairedCell],
    *,
    metric: str = "macro-recall",
    classes: Sequence[str],
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    margin: float = 0.0,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> list[Difference]:
    """Compare two models over cells whose images belong to exactly one class each.

    Patients are left out, and drawn, from both models together, as in ``compare``.

    Args:
        cells: One for each setting; truth is the class's number, 0 .. classes - 1 or NaN, shape (n,), or one column a class,
            shape (n, classes); scores have one column a class, shape (n, classes).
        metric: A name that ``metrics.parse_classes`` knows.
        classes: Names of the columns of every cell.
        replicates: Bootstrap replicates.
        level: Confidence level of intervals and verdicts, between 0 and 1.
        seed: Names the replicates' streams.
        margin: Smallest difference that matters, for non-inferiority and equivalence; 0 asks for superiority only.
        threads: At most so many; the figures do not depend on it.
        reporter: Where a progress bar goes.

    Returns:
        One difference with the label ``all classes`` (``accuracy``, ``macro-...``, ``weighted-...``), one a class
        (``class-...``), or one a class and their ``mean`` (``auc`` and the others of each class against the rest).

    Raises:
        MeasureError: There is no cell, or a row is not usable.
        UsageError: No such metric.

    >>> truth = [0, 0, 1, 1]
    >>> a = [[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8]]
    >>> b = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.2, 0.8]]
    >>> found = compare_classes([PairedCell("here", truth, a, b)], classes=["sick", "well"], replicates=200)[0]
    >>> found.label, found.value_a, found.value_b, found.verdict
    ('all classes', 0.5, 0.75, 'cannot tell')
    """
    check_level(level)
    spec = parse_classes(metric)
    if not is_called(spec):
        return compare(
            [replace(cell, truth=against_rest(cell.truth, cell.score_a, classes)) for cell in cells],
            metric=spec.name,
            labels=classes,
            replicates=replicates,
            level=level,
            seed=seed,
            margin=margin,
            threads=threads,
            reporter=reporter,
        )
    names, lay = by_class(spec, classes)
    both = both_sides(cells, lay, len(names), replicates=replicates, seed=seed, threads=threads, reporter=reporter)
    judge = Judge(spec, both, cells, level, margin)
    return [judge.label(name, number) for number, name in enumerate(names)]
