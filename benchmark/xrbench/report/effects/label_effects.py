"""Differences between cells by a metric: of each label with the mean over labels, or of multi-class labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from xrbench import statistics
from xrbench.compare import pairs
from xrbench.report.effects.cells import domains
from xrbench.report.effects.effect import Contrast
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import MEAN
from xrbench.runs import store
from xrbench.runs.run_cell import RunCell
from xrbench.statistics.predictions import ALL

ONCE = 1
"""Bootstrap replicates; intervals and p-values are those of the jackknife, which needs none."""


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
        One contrast a label, then ``mean`` of several; one with the name ``all classes`` for a metric over all classes. Empty where
        a side is empty or predictions are missing. Of a metric that moves with prevalence both sides are at that of the first cells.
    """
    if not first or not second:
        return []
    labels = labels or run.suite.labels
    cells = labelled_cells(run, (first, second), _columns(run, labels))
    if cells is None:
        return []
    gaps = statistics.gap(*cells, metric=metric, task=run.suite.task, **options_of(run))
    return _of_labels([from_gap(gap, cells) for gap in gaps], labels)


def paired(
    run: Run, both: Sequence[tuple[RunCell, RunCell]], *, metric: str, labels: Sequence[str] = ()
) -> list[Contrast]:
    """Subtract the figure of each pair's second cell from that of its first, on their common images, averaged over pairs.

    Arguments and result as for ``unpaired``.
    """
    if not both:
        return []
    labels = labels or run.suite.labels
    cells = paired_cells(run, [(b, a) for a, b in both], _columns(run, labels))
    if cells is None:
        return []
    differences = statistics.compare(cells, metric=metric, task=run.suite.task, **options_of(run))
    return _of_labels([_from_difference(difference, cells) for difference in differences], labels)


def options_of(run: Run) -> statistics.ResamplingFields:
    """Return the run's confidence level and one replicate as keywords of the statistics."""
    return {"replicates": ONCE, "level": run.suite.interval.level}


def _columns(run: Run, labels: Sequence[str]) -> Sequence[str]:
    """Choose the columns that a metric needs: of classes all of them, whichever are asked for."""
    return run.suite.labels if run.suite.task == "multiclass" else labels


def labelled_cells(
    run: Run, sides: Sequence[Sequence[RunCell]], labels: Sequence[str]
) -> list[list[statistics.Predictions]] | None:
    """Return the predictions of cells as the statistics take them, side by side; None when predictions are missing.

    Args:
        run: The run.
        sides: Lists of cells; those of one domain share their patients, on either side.
        labels: Columns of truth and score.
    """
    named = domains({one.test for side in sides for one in side}, run)
    predictions: list[list[statistics.Predictions]] = []
    for side in sides:
        cells = []
        for one in side:
            frame = run.results.predictions(one.cell)
            if frame is None or not set(labels) <= set(store.labels_of(frame)):
                return None
            cells.append(run.results.predictions_of(one, labels, domain=named[one.test]))
        predictions.append([cell for cell in cells if cell is not None])
    return predictions


def paired_cells(
    run: Run, both: Sequence[tuple[RunCell, RunCell]], labels: Sequence[str]
) -> list[statistics.Pair] | None:
    """Return the predictions of pairs of cells on their common images (b minus a); None when predictions are missing.

    Raises:
        MeasureError: The truth of a common image differs.
    """
    predictions = []
    for a, b in both:
        sides = pairs.sides(pairs.Pair(a, b), run.results, run.results, labels)
        if sides is None:
            return None
        predictions.append(sides.cell)
    return predictions


def from_gap(gap: statistics.Gap, cells: Sequence[Sequence[statistics.Predictions]]) -> Contrast:
    """Turn the gap between two lists of cells into a contrast, with the number of distinct images and patients."""
    every = [cell for side in cells for cell in side]
    known = all(cell.patient is not None for cell in every)
    patients = {(cell.domain, name) for cell in every if known for name in np.asarray(cell.patient, object)}
    return Contrast(
        name=gap.label,
        first=gap.internal,
        second=gap.external,
        difference=gap.gap,
        low=gap.low,
        high=gap.high,
        p=gap.p,
        error=gap.error,
        images=_images(every),
        patients=len(patients) if known else math.nan,
        reason=gap.reason,
        caution=gap.caution,
        at=gap.at,
        raw=gap.raw,
    )


def _from_difference(one: statistics.Difference, cells: Sequence[statistics.Pair]) -> Contrast:
    return Contrast(
        name=one.label,
        first=one.value_b,
        second=one.value_a,
        difference=one.difference,
        low=one.low,
        high=one.high,
        p=one.p,
        error=one.error,
        images=_images([a for a, _ in cells]),
        patients=one.n_patients if one.unit == "patient" else math.nan,
        reason=one.reason,
        caution=one.caution,
    )


def _images(cells: Sequence[statistics.Predictions]) -> int:
    return len({(cell.domain, name) for cell in cells for name in np.asarray(cell.image, object)})


def _of_labels(contrasts: list[Contrast], labels: Sequence[str]) -> list[Contrast]:
    """Select the labels that are asked for, and the mean over them where they are several."""
    selected = [contrast for contrast in contrasts if contrast.name in labels or contrast.name == ALL]
    return selected + [contrast for contrast in contrasts if contrast.name == MEAN and len(selected) > 1]
