"""What claims and tables of differences are made from: measured cells, and differences between them over patients.

``unpaired`` sets figures on different test sets against each other (a patient on both sides is one patient), ``paired`` two sets of
predictions of the same images. Intervals and p-values are those of ``xrbench compare``: patients are left out one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

from xrbench.report.effects import label_effects
from xrbench.report.effects.cells import groups as groups
from xrbench.report.effects.cells import measured as measured
from xrbench.report.effects.effect import Contrast as Contrast
from xrbench.report.run_folder import Run
from xrbench.runs.run_cell import RunCell


def unpaired(
    run: Run, first: Sequence[RunCell], second: Sequence[RunCell], *, metric: str, labels: Sequence[str] = ()
) -> list[Contrast]:
    """Subtract the mean figure of the second cells from that of the first.

    Args:
        run: The run.
        first: Cells, such as those on held-out patients.
        second: Cells, such as those on another dataset.
        metric: A metric of the suite's task.
        labels: Labels or classes; all by default.

    Returns:
        One contrast a label, then ``mean`` of several; one with the name ``all classes`` for a metric over all classes. None when a
        side is empty or predictions are missing.
    """
    if not first or not second:
        return []
    return label_effects.unpaired(run, first, second, metric=metric, labels=labels or run.suite.labels)


def paired(
    run: Run, both: Sequence[tuple[RunCell, RunCell]], *, metric: str, labels: Sequence[str] = ()
) -> list[Contrast]:
    """Subtract the figure of each pair's second cell from that of its first, on their common images, averaged over pairs.

    Arguments and result as for ``unpaired``.
    """
    if not both:
        return []
    return label_effects.paired(run, both, metric=metric, labels=labels or run.suite.labels)
