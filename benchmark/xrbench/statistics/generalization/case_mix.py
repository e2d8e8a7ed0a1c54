"""How much of a gap of the AUC the external hospital's case mix explains, and the rest.

An AUC falls where patients are harder to tell apart, even if a network's scores mean the same there: among the old, on portable images,
with other findings beside. Internal images are weighted, within positives and within negatives, to the external distribution of the
case-mix variables; their AUC is the one to expect under the external case mix (Vergouwe et al. 2010; Debray et al. 2015). Internal minus
expected is due to case mix, expected minus external is the rest: other images, labels, or variables that were not measured.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.ranking import auc
from xrbench.statistics.generalization.case_mix_weights import Side, apart, expected_auc, overlap, overlap_caution
from xrbench.statistics.generalization.membership import Design, design
from xrbench.statistics.intervals.formulas import NOTHING, check_level
from xrbench.statistics.predictions import Predictions, named
from xrbench.statistics.resampling.contrast import contrast
from xrbench.statistics.resampling.jackknife import LeftOut

GROUPS = 100
"""At most so many groups of patients are left out in turn on either side: both membership models are fitted anew each time."""


@dataclass(frozen=True)
class CaseMixGap:
    """The gap of one label's AUC in two parts.

    Attributes:
        label: The label.
        internal, external: AUC of either side.
        expected: AUC of internal images weighted to the external case mix; NaN where the case mixes overlap too little.
        gap: Internal minus external.
        case_mix, case_mix_low, case_mix_high: Internal minus expected with its interval.
        rest, rest_low, rest_high: Expected minus external with its interval.
        effective_positive, effective_negative: Effective numbers of internal images after weighting (Kish 1965).
        positive, negative: Internal images of either class.
        imbalance: Largest standardised difference of a variable that is left after weighting, in either class.
        used, left_out: Case-mix variables that take part, and those that cannot.
        level: Confidence level of the intervals, which leave out patients and fit the membership models anew.
        reason: Why there is no figure; else empty.
        caution: What to know before trusting it; else empty.
    """

    label: str
    internal: float
    external: float
    expected: float
    gap: float
    case_mix: float
    case_mix_low: float
    case_mix_high: float
    rest: float
    rest_low: float
    rest_high: float
    effective_positive: float
    effective_negative: float
    positive: int
    negative: int
    imbalance: float
    used: tuple[str, ...]
    left_out: tuple[str, ...]
    level: float
    reason: str = ""
    caution: str = ""


def case_mix_gap(
    internal: Predictions,
    external: Predictions,
    *,
    internal_mix: Mapping[str, npt.ArrayLike],
    external_mix: Mapping[str, npt.ArrayLike],
    labels: Sequence[str] | None = None,
    co_findings: bool = True,
    level: float = 0.95,
) -> list[CaseMixGap]:
    """Split each label's gap of the AUC into case mix and the rest.

    Args:
        internal: Predictions of a network on held-out patients of its training domains.
        external: Its predictions on another domain.
        internal_mix: Case-mix variable, such as age, sex or view -> a value for each internal image (NaN or None where unknown).
        external_mix: Likewise of the external images.
        labels: Names of the columns; None takes the cells' own.
        co_findings: Whether the other labels belong to the case mix, as stated or not.
        level: Confidence level, between 0 and 1.

    Returns:
        One row a label.

    Raises:
        MeasureError: A row is not usable, or a variable has another number of rows than its side.
        UsageError: The level is out of range, or the predictions are multi-class.

    Old patients are told apart worse; the external hospital has more of them, and the same network:

    >>> rng = np.random.default_rng(0)
    >>> def hospital(old, seed):
    ...     truth, age = rng.random(2000) < 0.3, rng.random(2000) < old
    ...     return Predictions(seed, truth, truth * np.where(age, 0.5, 2.5) + rng.normal(size=2000)), {"old": age.astype(float)}
    >>> (inside, inside_mix), (outside, outside_mix) = hospital(0.2, "in"), hospital(0.8, "out")
    >>> row = case_mix_gap(inside, outside, internal_mix=inside_mix, external_mix=outside_mix, labels=["Edema"])[0]
    >>> row.case_mix_low > 0.1, row.rest_low < 0 < row.rest_high
    (True, True)
    """
    check_level(level)
    cells = [cell.checked() for cell in named([internal, external], labels, "multilabel")]
    truths, scores = ([np.asarray(getattr(cell, name)) for cell in cells] for name in ("truth", "score"))
    mixes = [_checked(mix, len(truth)) for mix, truth in zip((internal_mix, external_mix), truths, strict=True)]
    patients = _numbered(cells)
    rows = []
    for i, label in enumerate(cells[0].labels):
        others = {f"with {name}": j for j, name in enumerate(cells[0].labels) if j != i and co_findings}
        known = [~np.isnan(truth[:, i]) for truth in truths]
        full = [
            {name: np.asarray(values, object)[of] for name, values in mix.items()}
            | {name: (truth[of, j] == 1).astype(np.float64) for name, j in others.items()}
            for mix, truth, of in zip(mixes, truths, known, strict=True)
        ]
        laid = design(*full)
        sides = [
            Side(truth[of, i] == 1, score[of, i].astype(np.float64), x, patient[of])
            for truth, score, x, patient, of in zip(truths, scores, laid[:2], patients, known, strict=True)
        ]
        rows.append(_row(label, sides[0], sides[1], laid, level))
    return rows


def _row(label: str, inside: Side, outside: Side, laid: Design, level: float) -> CaseMixGap:
    """Compute one label's parts and their intervals."""
    internal, external = auc(inside.positive, inside.score), auc(outside.positive, outside.score)
    reason = _reason(internal, external, laid)
    betas, expected = expected_auc(inside, outside, None) if not reason else ({}, float("nan"))
    effective, imbalance = overlap(inside, outside, betas, laid.linear)
    reason = reason or apart(inside, effective, imbalance)
    expected = float("nan") if reason else expected
    intervals = (
        [NOTHING, NOTHING] if reason else _intervals(inside, outside, betas, (internal, expected, external), level)
    )
    return CaseMixGap(
        label,
        internal=internal,
        external=external,
        expected=expected,
        gap=internal - external,
        case_mix=internal - expected,
        case_mix_low=intervals[0][0],
        case_mix_high=intervals[0][1],
        rest=expected - external,
        rest_low=intervals[1][0],
        rest_high=intervals[1][1],
        effective_positive=effective[1],
        effective_negative=effective[0],
        positive=int(inside.positive.sum()),
        negative=int((~inside.positive).sum()),
        imbalance=imbalance,
        used=laid.used,
        left_out=laid.left_out,
        level=level,
        reason=reason or ("interval: one patient alone carries a class" if np.isnan(intervals[0][0]) else ""),
        caution="" if reason else overlap_caution(min(effective), imbalance),
    )


def _intervals(
    inside: Side,
    outside: Side,
    betas: Mapping[bool, FloatArray],
    values: tuple[float, float, float],
    level: float,
) -> list[tuple[float, float]]:
    """Leave out groups of patients of either side, and compute the intervals of case mix and rest.

    Args:
        inside: Internal images.
        outside: External images.
        betas: Coefficients with all patients, from which the others start.
        values: AUC inside, expected, and outside, with all patients.
        level: Confidence level.
    """
    patients = 1 + int(max(inside.patient.max(), outside.patient.max()))
    parts = []
    for side in (inside, outside):
        group, groups, stratum = _groups(side, patients)
        left: list[tuple[float, float, float]] = []
        for number in range(groups):
            here, there = (each.without(group == number) for each in (inside, outside))
            left.append((_auc(here), expected_auc(here, there, betas)[1], _auc(there)))
        columns = np.array(left).T
        parts.append([LeftOut(column, stratum) for column in columns])
    by_figure = list(zip(*parts, strict=True))
    pairs = ((1, 0), (2, 1))  # expected to internal, external to expected
    found = [contrast((values[a], values[b]), (by_figure[a], by_figure[b])) for a, b in pairs]
    return [NOTHING if each is None else each.limits(1 - level) for each in found]


def _auc(side: Side) -> float:
    return auc(side.positive, side.score)


def _groups(side: Side, patients: int) -> tuple[npt.NDArray[np.int64], int, npt.NDArray[np.int64]]:
    """Deal a side's patients into groups, those with positives evenly.

    Returns:
        Group of each patient, -1 for those of the other side, shape (patients,); the number of groups; stratum of each group, which is
        0 for all unless every patient is a group.
    """
    mine = np.unique(side.patient)
    sick = np.isin(mine, side.patient[side.positive])
    groups = min(len(mine), GROUPS)
    order = np.argsort(sick, kind="stable")
    group = np.full(patients, -1)
    group[mine[order]] = np.arange(len(mine)) % groups
    return group, groups, sick[order].astype(np.int64) if groups == len(mine) else np.zeros(groups, np.int64)


def _reason(internal: float, external: float, laid: Design) -> str:
    if np.isnan(internal) or np.isnan(external):
        return f"no {'internal' if np.isnan(internal) else 'external'} AUC: a class is missing"
    return "" if laid.used else "no case-mix variable is known on both sides"


def _numbered(cells: Sequence[Predictions]) -> list[npt.NDArray[np.int64]]:
    """Number the patients of both sides in an order that does not depend on that of the rows."""
    names = []
    for side, cell in enumerate(cells):
        rows = len(np.asarray(cell.truth))
        ids = np.asarray(cell.image if cell.patient is None else cell.patient, object) if _has_ids(cell) else None
        # Without ids every image is a patient; a missing id is one too.
        known = np.zeros(rows, np.bool_) if ids is None else ~pd.isna(ids)
        names.append(
            [f"{cell.domain}/{ids[i]}" if ids is not None and known[i] else f"{side}//{i}" for i in range(rows)]
        )
    order = {name: number for number, name in enumerate(sorted({*names[0], *names[1]}, key=_mixed))}
    return [np.array([order[name] for name in side], np.int64) for side in names]


def _has_ids(cell: Predictions) -> bool:
    return cell.patient is not None or cell.image is not None


def _mixed(name: str) -> tuple[int, str]:
    """Order names by a hash: neighbours in a list of patients may be alike."""
    return zlib.crc32(name.encode()), name


def _checked(mix: Mapping[str, npt.ArrayLike], rows: int) -> Mapping[str, npt.ArrayLike]:
    for name, values in mix.items():
        if len(np.asarray(values, object)) != rows:
            raise MeasureError(f"{name} has {len(np.asarray(values, object)):,} rows, truth has {rows:,}")
    return mix
