"""Tests over settings instead of patients: signed ranks of two methods, and ranks of all methods.

They use external test sets that the weights have not seen, with one figure a setting: the mean over its seeds. They take settings as
independent, which settings that share hospitals are not, so they complement the paired comparison and do not replace it.
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
MINIMUM = 2
"""Settings below which nothing is tested."""


@dataclass(frozen=True)
class SignedRow:
    """Difference of two methods over settings, for one label.

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
class RankedMethods:
    """Ranks of the methods over settings, for one metric and label.

    Attributes:
        label: The label, or ``mean``.
        ranking: Friedman's and Nemenyi's tests; None where they are not defined.
        means: Method -> mean over the settings that were used.
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


def unseen_external(scores: pd.DataFrame) -> pd.DataFrame:
    """Select the scores on external test sets that the weights have not seen."""
    return scores[(scores["protocol"] == "external") & ~scores["seen"]]


def setting_means(rows: pd.DataFrame) -> pd.Series:
    """Average one method's figures over the seeds of each setting; settings without a value are left out.

    A pretrained model has no settings: its test sets take their place.
    """
    name = rows["setting"].where(rows["setting"] != "", rows["test"])
    return rows.assign(setting=name).groupby("setting", sort=False)["value"].mean().dropna()


def settings_by_method(scores: pd.DataFrame, metric: str, label: str) -> pd.DataFrame:
    """Tabulate one metric and label: one row a setting, one column a method, each value the mean over seeds.

    A pretrained model has the same value in all settings with the same test set. A method with several models has a column for
    each.
    """
    rows = unseen_external(scores)
    rows = rows[(rows["metric"] == metric) & (rows["label"] == label)]
    trained = rows[rows["train"] != ""]
    tests = dict(zip(trained["setting"], trained["test"], strict=True))
    models = rows.groupby("method")["model"].nunique().to_dict()
    columns = {}
    for (method, model), of_line in rows.groupby(["method", "model"], sort=False):
        name = f"{method} ({model})" if models[method] > 1 else str(method)
        if (of_line["train"] == "").all() and tests:
            by_test = of_line.groupby("test")["value"].mean()
            columns[name] = pd.Series({setting: by_test.get(test, math.nan) for setting, test in tests.items()})
        else:
            columns[name] = setting_means(of_line)
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
    defined = ~np.isnan(left + right)
    left, right = left[defined], right[defined]
    # Equal values must tie although their last bits differ.
    difference = np.round(right - left, 12)
    spread = statistics.mean_and_spread(right - left, level=level)
    figures = (len(left), spread.mean, spread.low, spread.high, spread.sd)
    outcomes = _outcomes(difference, better)
    if len(left) < MINIMUM:
        reason = f"{len(left)} settings have both sides; two are expected"
        return SignedRow(title, label, *figures, *outcomes, math.nan, math.nan, math.nan, reason=reason)
    test = statistics.wilcoxon(left, right)
    return SignedRow(title, label, *figures, *outcomes, test.statistic, test.p, test.smallest_p)


def _outcomes(difference: FloatArray, better: Better) -> tuple[float, float, float]:
    """Count wins, ties and losses of differences, shape (settings,)."""
    if better == "neither":
        return math.nan, math.nan, math.nan
    gain = -difference if better == "lower" else difference
    return int((gain > 0).sum()), int((gain == 0).sum()), int((gain < 0).sum())


def rank_over_settings(table: pd.DataFrame, label: str, better: Better, significance: float) -> RankedMethods:
    """Rank the methods over settings.

    Args:
        table: One row a setting, one column a method, see ``settings_by_method``.
        label: Its label.
        better: Direction of the metric.
        significance: Family-wise error rate over all pairs of methods.
    """
    measured = table.dropna(axis=1, how="all")
    without = tuple(str(name) for name in table.columns if name not in measured.columns)
    used = measured.dropna()
    means = {str(name): float(value) for name, value in used.mean().items()}
    dropped = len(measured) - len(used)
    if better == "neither":
        return RankedMethods(
            label, None, means, without, dropped, "neither higher nor lower is better: there is no order"
        )
    try:
        ranking = statistics.rank_methods(
            used.to_numpy(np.float64).reshape(len(used), measured.shape[1]),
            [str(name) for name in measured.columns],
            significance=significance,
            higher_is_better=better == "higher",
        )
    except MeasureError as error:
        return RankedMethods(label, None, means, without, dropped, str(error))
    return RankedMethods(label, ranking, means, without, dropped)


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
    reasons = list(dict.fromkeys(row.reason for row in rows if row.reason))
    return ["across settings, Wilcoxon's signed ranks", *aligned([heads, *texts], "lrrrrrrr"), *reasons]


def ranking_lines(rankings: Sequence[RankedMethods]) -> list[str]:
    """Write rankings for a terminal, one line a label."""
    if not rankings:
        return []
    heads = ("label", "settings", "mean ranks", "Friedman p", "critical difference")
    texts = []
    for ranked in rankings:
        if ranked.ranking is None:
            texts.append((ranked.label, "", ranked.reason, "", ""))
            continue
        names = zip(ranked.ranking.methods, ranked.ranking.mean_ranks, strict=True)
        shown = ", ".join(f"{name} {rank:.2f}" for name, rank in names)
        test = (p_text(ranked.ranking.p), f"{ranked.ranking.critical_difference:.2f}")
        texts.append((ranked.label, str(ranked.ranking.n_settings), shown, *test))
    return ["across settings, ranks (1 is best)", *aligned([heads, *texts], "lrlrr")]
