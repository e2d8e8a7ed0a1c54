"""Sensitivity of a ranking to how uncertain and blank labels are read.

The same predictions are scored against the truth that each label policy gives, and the methods are ranked under each. If the
ranks hold, the policy is a detail; if they do not, it is part of the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Unpack

import numpy as np
import numpy.typing as npt

from xrbench.errors import MeasureError
from xrbench.metrics.names import MetricSpec, parse
from xrbench.statistics.intervals.estimate import estimate
from xrbench.statistics.intervals.estimate_row import Estimate
from xrbench.statistics.options import OptionFields
from xrbench.statistics.predictions import MEAN, Thresholds


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
    **options: Unpack[OptionFields],
) -> list[PolicySensitivity]:
    """Score every method under every label policy and compare the orders.

    Args:
        truths: Policy -> truth that it gives to the same labels, 1, 0 or NaN, shape (n, labels).
        scores: Method -> scores, shape (n, labels).
        patient: Patient id of each image, shape (n,).
        labels: Names of the columns.
        metric: Such as ``"auc"``.
        thresholds: Method -> (label, metric) -> threshold chosen on the validation set.
        options: See ``Options``.

    Returns:
        One row a label, then ``mean``; tau after Kendall (1938), Biometrika 30:81, through SciPy.

    Raises:
        MeasureError: There is no policy or no method, or a row is not usable.

    >>> truths = {"ones": [1, 1, 0, 0, 1], "ignore": [1, 1, 0, 0, float("nan")]}
    >>> scores = {"a": [0.9, 0.8, 0.3, 0.2, 0.1], "b": [0.9, 0.4, 0.5, 0.2, 0.8]}
    >>> edema = policy_sensitivity(truths, scores, labels=["Edema"])[0]
    >>> edema.ranks["ones"], edema.ranks["ignore"], edema.lowest_tau, edema.stable
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
            **options,
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
    """Rank the methods on one label and correlate their values between policies."""
    from scipy import stats

    values = {policy: np.array([figures[policy, method].value for method in methods]) for policy in policies}
    ranks = {policy: _ranks(-spec.sign * column, methods) if spec.sign else {} for policy, column in values.items()}
    tau = {}
    for a, b in combinations(policies, 2):
        both = ~np.isnan(values[a] + values[b])
        # Equal values must tie although their last bits differ.
        pair = [np.round(values[policy][both], 12) for policy in (a, b)]
        tied = len(pair[0]) < 2 or any(len(np.unique(column)) < 2 for column in pair)
        tau[a, b] = float("nan") if tied else float(stats.kendalltau(*pair).statistic)
    known = [value for value in tau.values() if not np.isnan(value)]
    # Two methods that tie for the first rank have 1.5 each, three have 2.
    leaders = {
        frozenset(name for name, rank in by_method.items() if rank < 1.75) for by_method in ranks.values() if by_method
    }
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
    """Rank values of shape (methods,), the lowest first; methods without a value have no rank."""
    from scipy import stats

    defined = ~np.isnan(column)
    ranks = stats.rankdata(np.round(column[defined], 12))
    names = [method for method, there in zip(methods, defined, strict=True) if there]
    return dict(zip(names, map(float, ranks), strict=True))
