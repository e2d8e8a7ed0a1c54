"""All other patients minus each group of them, for all groups and labels at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from xrbench.metrics.checks import FloatArray
from xrbench.metrics.names import MetricSpec
from xrbench.statistics.generalization.cells import CellValues, average, cell_values, only_labels
from xrbench.statistics.generalization.gap import Gap
from xrbench.statistics.inference.simultaneous import correlation_of, max_t
from xrbench.statistics.intervals.formulas import NOTHING
from xrbench.statistics.options import Resampling
from xrbench.statistics.predictions import MEAN, Predictions
from xrbench.statistics.resampling.contrast import Contrast, contrast
from xrbench.statistics.resampling.scale import scale_of

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Behind:
    """All others minus one group.

    Attributes:
        gap: The difference, ``internal`` of which is the others' figure and ``external`` the group's. Its interval holds together with
            those of all other groups and labels; ``p`` is the difference's own.
        p_adjusted: Two-sided p-value, adjusted over groups and labels (max-t): it is below 1 - level where the interval excludes 0.
    """

    gap: Gap
    p_adjusted: float


def group_differences(
    given: Predictions, shown: Mapping[str, BoolArray], spec: MetricSpec, level: float
) -> dict[tuple[str, str], Behind]:
    """Subtract each group from all other shown ones, with intervals that hold for all of them together.

    Args:
        given: Predictions on all images.
        shown: Group -> its images, shape (n,).
        spec: The metric.
        level: Confidence level of all intervals together.

    Returns:
        (label, group) -> difference, where one is defined; nothing with fewer than two groups.
    """
    if len(shown) < 2:
        return {}
    # Suppressed groups and images without a value take no part on either side, so that a small group cannot be subtracted out.
    everyone = np.any(list(shown.values()), axis=0)
    cells = [_part(given, rows) for of in shown.values() for rows in (everyone & ~of, of)]
    values = cell_values(cells, spec, Resampling(level=level, replicates=0))
    compared: dict[tuple[str, str], tuple[Gap, Contrast]] = {}
    for label, numbers in values.rows():
        for place, name in enumerate(shown):
            difference = _difference(values, 2 * place, label, numbers)
            if difference is not None:
                compared[label, name] = difference
    return _together(compared, level)


def _part(given: Predictions, rows: BoolArray) -> Predictions:
    """Keep some images; without patients, an image is known by its row."""
    return replace(
        given,
        truth=np.asarray(given.truth)[rows],
        score=np.asarray(given.score)[rows],
        patient=None if given.patient is None else np.asarray(given.patient)[rows],
        image=np.flatnonzero(rows),
    )


def _difference(values: CellValues, others: int, label: str, labels: list[int]) -> tuple[Gap, Contrast] | None:
    """Subtract cell ``others`` + 1, a group, from cell ``others``; None where one has no value or no error."""
    defined = ~np.isnan(values.value)
    if label == MEAN:
        # The mean is of the same labels on both sides.
        labels = [number for number in labels if defined[others : others + 2, number].all()]
    used = only_labels(defined, labels)

    def mean_of(cell: int, array: FloatArray) -> FloatArray:
        return average(array[..., cell : cell + 1, :], used[cell : cell + 1])

    outside, inside = (float(mean_of(cell, values.value)) for cell in (others, others + 1))
    if np.isnan(outside - inside):
        return None
    parts = tuple(values.parts(partial(mean_of, cell), labels) for cell in (others + 1, others))
    joint = contrast((inside, outside), (parts[0], parts[1]), scale=scale_of(values.spec))
    if joint is None:
        return None
    pair = np.zeros_like(used)
    pair[others : others + 2] = used[others : others + 2]
    behind = Gap(
        label=label,
        metric=values.spec.name,
        internal=outside,
        external=inside,
        gap=outside - inside,
        low=NOTHING[0],
        high=NOTHING[1],
        error=joint.error,
        unit=values.unit,
        level=float("nan"),
        replicates=0,
        dropped=0,
        n_internal=1,
        n_external=1,
        p=joint.p(),
        caution=values.caution(pair),
    )
    return behind, joint


def _together(compared: Mapping[tuple[str, str], tuple[Gap, Contrast]], level: float) -> dict[tuple[str, str], Behind]:
    """Give all differences the intervals and p-values of one family."""
    # A difference without an error (two figures that never differ) is not uncertain and takes no part in what chance does.
    moving = {key: pair for key, pair in compared.items() if pair[1].error > 0}
    significance, adjusted = 1 - level, dict[tuple[str, str], float]()
    if moving:
        influence = np.stack([joint.influence for _, joint in moving.values()])
        family = max_t(correlation_of(influence, np.array([joint.error for _, joint in moving.values()])))
        significance = family.significance(1 - level)
        adjusted = dict(zip(moving, map(float, family.adjust([gap.p for gap, _ in moving.values()])), strict=True))
    together = {}
    for key, (gap, joint) in compared.items():
        low, high = joint.limits(significance)
        together[key] = Behind(replace(gap, low=low, high=high, level=level), adjusted.get(key, gap.p))
    return together
