"""Would another reading of uncertain and blank labels have changed the conclusion?

The same predictions are scored against the truth that each label policy makes, and the methods are ranked under each. If the
ranks hold, the policy is a detail; if they do not, it is part of the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics.names import MetricSpec, parse
from xrbench.statistics.generalization.cells import Thresholds
from xrbench.statistics.intervals.estimate import MEAN, Estimate, estimate


@dataclass(frozen=True)
class PolicySensitivity:
    """One label under every policy.

    Attributes:
        label: The label, or ``mean``.
        metric: Name of the metric.
        figures: (policy, method) -> estimate.
        ranks: Policy -> method -> rank, 1 is best; methods without a value have none, and no method of a metric without a
            better direction.
        tau: Kendall's tau-b of the methods' order between each two policies; NaN when a policy ties all methods.
        lowest_tau: The smallest of them.
        stable: Whether every policy has the same best method; None for a metric without a better direction.
    """

    label: str
    metric: str
    figures: Mapping[tuple[str, str], Estimate]
    ranks: Mapping[str, Mapping[str, float]]
    tau: Mapping[tuple[str, str], float]
    lowest_tau: float
    stable: bool | None


def policy_sensitivity(
    truths: Mapping[str, npt.ArrayLike],
    scores: Mapping[str, npt.ArrayLike],
    patient: npt.ArrayLike | None = None,
    *,
    labels: Sequence[str],
    metric: str = "auc",
    thresholds: Mapping[str, Thresholds] | None = None,
    level: float = 0.95,
    kind: str = "default",
) -> list[PolicySensitivity]:
    """Score every method under every label policy and see whether their order holds.

    Args:
        truths: Policy -> truth that it makes of the same labels, 1, 0 or NaN, shape (n, labels).
        scores: Method -> scores, shape (n, labels).
        patient: Patient id of each image, shape (n,).
        labels: Names of the columns.
        metric: Such as ``"auc"``.
        thresholds: Method -> (label, metric) -> threshold chosen on the validation set.
        level: Confidence level.
        kind: Kind of interval.

    Returns:
        One row a label, then ``mean``; tau after Kendall (1938), Biometrika 30:81, through SciPy.

    Raises:
        MeasureError: There is no policy or no method, or a row is not usable.

    >>> truths = {"ones": [1, 1, 0, 0, 1], "ignore": [1, 1, 0, 0, float("nan")]}
    >>> scores = {"a": [0.9, 0.8, 0.3, 0.2, 0.1], "b": [0.9, 0.4, 0.5, 0.2, 0.8]}
    >>> found = policy_sensitivity(truths, scores, labels=["Edema"])[0]
    >>> found.ranks["ones"], found.ranks["ignore"], found.lowest_tau, found.stable
    ({'a': 2.0, 'b': 1.0}, {'a': 1.0, 'b': 2.0}, -1.0, False)
    """
    if not truths or not scores:
        raise MeasureError("policy sensitivity wants at least one policy and one method")
    spec = parse(metric)
    tables = {
        (policy, method): estimate(
            truth,
            score,
            patient,
            labels=labels,
            metrics=[spec.name],
            thresholds=(thresholds or {}).get(method),
            level=level,
            kind=kind,
        )
        for policy, truth in truths.items()
        for method, score in scores.items()
    }
    return [
        _of_label(label, spec, {key: rows[i] for key, rows in tables.items()}, list(truths), list(scores))
        for i, label in enumerate((*labels, MEAN))
    ]


def _of_label(
    label: str,
    spec: MetricSpec,
    figures: Mapping[tuple[str, str], Estimate],
    policies: Sequence[str],
    methods: Sequence[str],
) -> PolicySensitivity:
    from scipy import stats

    values = {policy: np.array([figures[policy, method].value for method in methods]) for policy in policies}
    ranks = {policy: _ranks(-spec.sign * column, methods) if spec.sign else {} for policy, column in values.items()}
    tau = {}
    for a, b in combinations(policies, 2):
        kept = ~np.isnan(values[a] + values[b])
        pair = [np.round(values[policy][kept], 12) for policy in (a, b)]
        tied = len(pair[0]) < 2 or any(len(np.unique(column)) < 2 for column in pair)
        tau[a, b] = float("nan") if tied else float(stats.kendalltau(*pair).statistic)
    known = [value for value in tau.values() if not np.isnan(value)]
    leaders = {frozenset(name for name, rank in found.items() if rank < 1.75) for found in ranks.values() if found}
    return PolicySensitivity(
        label,
        spec.name,
        figures,
        ranks,
        tau,
        min(known) if known else float("nan"),
        len(leaders) <= 1 if spec.sign else None,
    )


def _ranks(column: npt.NDArray[np.float64], methods: Sequence[str]) -> dict[str, float]:
    from scipy import stats

    kept = ~np.isnan(column)
    found = stats.rankdata(np.round(column[kept], 12))
    names = [method for method, keep in zip(methods, kept, strict=True) if keep]
    return dict(zip(names, map(float, found), strict=True))
