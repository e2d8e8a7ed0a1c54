"""Over settings instead of patients: who is ahead in how many settings, and could that be chance?

External test sets that the weights have not seen, one figure a setting: the mean over its seeds. These tests take settings as
independent, which settings that share hospitals are not: they stand beside the paired comparison, not in its place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from xrbench import statistics
from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray
from xrbench.metrics.metric import Better
from xrbench.rendering.numbers import p_text, signed, signed_interval
from xrbench.rendering.text import aligned

SHARED = "settings that share hospitals are not independent, as these tests take them to be"
FEW = 2
"""Settings below which nothing is tested."""


@dataclass(frozen=True)
class SignedRow:
    """One label of two methods over settings.

    Attributes:
        title: What is subtracted from what.
        label: The label, or ``mean``.
        settings: Settings in which both have a value.
        difference, low, high, sd: Mean difference with its t-interval, and the sample standard deviation over settings.
        wins, ties, losses: Settings in which b is better, level, worse; NaN where neither direction of the metric is better.
        statistic, p, smallest_p: Wilcoxon's signed-rank test, and the smallest p-value that so many settings can give.
        p_adjusted: Adjusted over all rows.
        reason: Why there is no test; else empty.
    """

    title: str
    label: str
    settings: int
    difference: float
    low: float
    high: float
    sd: float
    wins: float
    ties: float
    losses: float
    statistic: float
    p: float
    smallest_p: float
    p_adjusted: float = math.nan
    reason: str = ""


@dataclass(frozen=True)
class Placed:
    """The methods of one metric and label, ranked over settings.

    Attributes:
        label: The label, or ``mean``.
        ranking: Friedman's and Nemenyi's tests; None when they cannot be made.
        means: Method -> mean figure over the settings that were used.
        without: Methods without a value in any setting.
        dropped: Settings left out because a method has no value.
        reason: Why there is no ranking; else empty.
    """

    label: str
    ranking: statistics.Ranking | None
    means: dict[str, float]
    without: tuple[str, ...]
    dropped: int
    reason: str = ""


def fair(scores: pd.DataFrame) -> pd.DataFrame:
    """Select the scores on external test sets that the weights have not seen."""
    return scores[(scores["protocol"] == "external") & ~scores["seen"]]


def setting_means(rows: pd.DataFrame) -> pd.Series:
    """Average one method's figures over the seeds of each setting; settings without a value are left out.

    A model that is used as it comes has no settings: its test sets take their place.
    """
    name = rows["setting"].where(rows["setting"] != "", rows["test"])
    return rows.assign(setting=name).groupby("setting", sort=False)["value"].mean().dropna()


def table_of(scores: pd.DataFrame, metric: str, label: str) -> pd.DataFrame:
    """Lay out one metric and label: a row a setting, a column a method, each figure the mean over seeds.

    A model that is used as it comes has the same figure in all settings with one test set. A method with several models has a
    column for each.
    """
    rows = fair(scores)
    rows = rows[(rows["metric"] == metric) & (rows["label"] == label)]
    trained = rows[rows["train"] != ""]
    tests = dict(zip(trained["setting"], trained["test"], strict=True))
    models = {str(method): mine["model"].nunique() for method, mine in rows.groupby("method")}
    columns = {}
    for (method, model), mine in rows.groupby(["method", "model"], sort=False):
        name = f"{method} ({model})" if models[str(method)] > 1 else str(method)
        if (mine["train"] == "").all() and tests:
            by_test = mine.groupby("test")["value"].mean()
            columns[name] = pd.Series({setting: by_test.get(test, math.nan) for setting, test in tests.items()})
        else:
            columns[name] = setting_means(mine)
    return pd.DataFrame(columns)


def signed_row(
    title: str, label: str, a: Sequence[float], b: Sequence[float], level: float, *, better: Better
) -> SignedRow:
    """Subtract a from b setting by setting and test the signed ranks.

    Args:
        title: What is subtracted from what.
        label: The label.
        a: One figure a setting.
        b: Likewise, in the same order.
        level: Confidence level of the t-interval.
        better: Direction of the metric.

    >>> a, b = [0.70, 0.71, 0.72, 0.73, 0.74], [0.71, 0.73, 0.75, 0.77, 0.79]
    >>> row = signed_row("b minus a", "Edema", a, b, 0.95, better="higher")
    >>> row.wins, row.losses, round(row.difference, 3), row.p
    (5, 0, 0.03, 0.0625)
    >>> signed_row("b minus a", "Edema", a, b, 0.95, better="lower").losses
    5
    """
    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    kept = ~np.isnan(left + right)
    left, right = left[kept], right[kept]
    difference = np.round(right - left, 12)
    spread = statistics.mean_and_spread(right - left, level=level)
    figures = (len(left), spread.mean, spread.low, spread.high, spread.sd)
    outcomes = _outcomes(difference, better)
    if len(left) < FEW:
        reason = f"{len(left)} settings have both sides; two are wanted"
        return SignedRow(title, label, *figures, *outcomes, math.nan, math.nan, math.nan, reason=reason)
    found = statistics.wilcoxon(left, right)
    return SignedRow(title, label, *figures, *outcomes, found.statistic, found.p, found.smallest_p)


def _outcomes(difference: FloatArray, better: Better) -> tuple[float, float, float]:
    """Count wins, ties and losses of differences, shape (settings,)."""
    if better == "neither":
        return math.nan, math.nan, math.nan
    gain = -difference if better == "lower" else difference
    return int((gain > 0).sum()), int((gain == 0).sum()), int((gain < 0).sum())


def placed(table: pd.DataFrame, label: str, better: Better, significance: float) -> Placed:
    """Rank the methods of one table of settings by methods.

    Args:
        table: As ``table_of`` makes it.
        label: Its label.
        better: Direction of the metric.
        significance: Chance of any false difference among all pairs.
    """
    kept = table.dropna(axis=1, how="all")
    without = tuple(str(name) for name in table.columns if name not in kept.columns)
    used = kept.dropna()
    means = {str(name): float(value) for name, value in used.mean().items()}
    dropped = len(kept) - len(used)
    if better == "neither":
        return Placed(label, None, means, without, dropped, "neither higher nor lower is better: there is no order")
    try:
        ranking = statistics.rank_methods(
            used.to_numpy(np.float64).reshape(len(used), kept.shape[1]),
            [str(name) for name in kept.columns],
            significance=significance,
            higher_is_better=better == "higher",
        )
    except MeasureError as error:
        return Placed(label, None, means, without, dropped, str(error))
    return Placed(label, ranking, means, without, dropped)


def signed_lines(rows: Sequence[SignedRow], adjustment: str) -> list[str]:
    """Write signed ranks for a terminal."""
    if not rows:
        return []
    heads = (
        "label",
        "settings",
        "mean difference",
        "t-interval",
        "wins/ties/losses",
        "p",
        f"p({adjustment})",
        "smallest p",
    )
    texts = [
        (
            *(row.label, str(row.settings), signed(row.difference), signed_interval(row.low, row.high)),
            "n/a" if math.isnan(row.wins) else f"{row.wins}/{row.ties}/{row.losses}",
            *(p_text(row.p), p_text(row.p_adjusted), p_text(row.smallest_p)),
        )
        for row in rows
    ]
    said = list(dict.fromkeys(row.reason for row in rows if row.reason))
    return ["across settings, Wilcoxon's signed ranks", *aligned([heads, *texts], "lrrrrrrr"), *said]


def placed_lines(found: Sequence[Placed]) -> list[str]:
    """Write rankings for a terminal, one line a label."""
    if not found:
        return []
    heads = ("label", "settings", "mean ranks", "Friedman p", "critical difference")
    texts = []
    for one in found:
        if one.ranking is None:
            texts.append((one.label, "", one.reason, "", ""))
            continue
        names = zip(one.ranking.methods, one.ranking.mean_ranks, strict=True)
        shown = ", ".join(f"{name} {rank:.2f}" for name, rank in names)
        tested = (p_text(one.ranking.p), f"{one.ranking.critical_difference:.2f}")
        texts.append((one.label, str(one.ranking.n_settings), shown, *tested))
    return ["across settings, ranks (1 is best)", *aligned([heads, *texts], "lrlrr")]
