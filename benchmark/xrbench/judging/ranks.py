"""Do methods differ over settings? Ranks with Friedman's and Nemenyi's tests, and signed ranks of the declared pairs.

Both look only at external test sets that the weights have not seen, and at settings in which every method that takes part has a
value. They treat settings as independent, which settings that share hospitals are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from xrbench import statistics
from xrbench.cards import Comparison
from xrbench.errors import XrbenchError
from xrbench.judging.rows import FIGURE, NAN, Row, nothing
from xrbench.judging.samples import Material, records
from xrbench.judging.seeds import fair_external, setting_means, spread

RANK_COLUMNS = (
    *("method", "protocol", *FIGURE, "mean_rank", "group", "statistic", "p"),
    *("critical_difference", "significance", "n_settings", "n_methods"),
)
SIGNED_COLUMNS = (
    *("challenger", "baseline", "question", "margin", "protocol", *FIGURE, "sd"),
    *("wins", "ties", "losses", "statistic", "p", "p_adjusted", "smallest_p", "n_settings"),
)
SHARED = "settings that share hospitals are not independent, as these tests take them to be"
FEW = 2


def table_of(material: Material, metric: str, label: str) -> pd.DataFrame:
    """Lay out one metric and label: a row a setting, a column a method, each figure the mean over seeds.

    A model that is used as it comes has the same figure in all settings with one test set.
    """
    rows = fair_external(material)
    rows = rows[(rows["metric"] == metric) & (rows["label"] == label)]
    heads = {(row["method"], row["model"]): row for row in records(rows)}
    trained = rows[rows["train"] != ""]
    tests = dict(zip(trained["setting"], trained["test"], strict=True))
    columns = {}
    for key, head in heads.items():
        mine = rows[(rows["method"] == key[0]) & (rows["model"] == key[1])]
        if (mine["train"] == "").all() and tests:
            by_test = mine.groupby("test")["value"].mean()
            columns[material.line(head)] = pd.Series({s: by_test.get(test, NAN) for s, test in tests.items()})
        else:
            columns[material.line(head)] = setting_means(mine)
    return pd.DataFrame(columns)


def rows_of(material: Material, *, significance: float | None = None) -> Iterator[Row]:
    """Rank all methods over settings, for every metric that has a better direction and every label (and their mean).

    Yields:
        One row a metric, label and method: its mean rank (1 is best), Friedman's statistic and p, the critical difference of mean
        ranks, and letters: methods that share one do not differ.
    """
    level = 1 - material.level if significance is None else significance
    for metric, label in _figures(material):
        about = {"metric": metric, "label": label, "protocol": "external", "significance": level}
        better = material.spec(metric).better
        table = table_of(material, metric, label)
        if better == "neither":
            yield {**about, **nothing("neither higher nor lower is better: there is no order")}
            continue
        kept = table.dropna(axis=1, how="all")
        for name in table.columns.difference(kept.columns, sort=False):
            yield {**about, **nothing("no setting has a value", method=name)}
        try:
            found = statistics.rank_methods(
                kept.to_numpy(float).reshape(len(kept), kept.shape[1]),
                list(kept.columns),
                significance=level,
                higher_is_better=better == "higher",
            )
        except XrbenchError as error:
            yield {**about, **nothing(str(error)), "n_settings": len(kept.dropna()), "n_methods": kept.shape[1]}
            continue
        yield from ({**about, **row} for row in _ranked(found, kept))


def _ranked(found: statistics.Ranking, table: pd.DataFrame) -> Iterator[Row]:
    dropped = len(table) - found.n_settings
    caution = SHARED + (f"; {dropped} settings left out, where a method has no value" if dropped else "")
    used = table.dropna()
    for at, (method, rank) in enumerate(zip(found.methods, found.mean_ranks, strict=True)):
        letters = "".join(LETTERS[n % len(LETTERS)] for n, (a, b) in enumerate(found.groups) if a <= at <= b)
        yield {
            "method": method,
            "value": float(used[method].mean()),
            "mean_rank": rank,
            "statistic": found.statistic,
            "p": found.p,
            "critical_difference": found.critical_difference,
            "group": letters,
            "n_settings": found.n_settings,
            "n_methods": len(found.methods),
            "caution": caution,
        }


LETTERS = "abcdefghijklmnopqrstuvwxyz"


def signed_rows(material: Material) -> list[Row]:
    """Test each declared comparison over settings (Wilcoxon), adjusted over all of them and all labels.

    Returns:
        One row a comparison and label (and their mean): challenger minus baseline with the t-interval of its mean, wins, ties and
        losses, the signed-rank statistic with its p-value, and the smallest p-value that so many settings can give.
    """
    found = [row for one in material.suite.comparisons for row in _compared(material, one)]
    adjusted = statistics.adjust([row.get("p", NAN) for row in found], material.suite.adjustment)
    return [{**row, "p_adjusted": float(p)} for row, p in zip(found, adjusted, strict=True)]


def _compared(material: Material, one: Comparison) -> Iterator[Row]:
    about = {name: getattr(one, name) for name in ("challenger", "baseline", "question", "margin", "metric")}
    about |= {"protocol": "external", "level": material.level}
    labels = [label for metric, label in _figures(material) if metric == one.metric]
    if not labels:
        yield {**about, **nothing(f"{one.metric} is not among the metrics of the suite"), "label": ""}
    for label in labels:
        table = table_of(material, one.metric, label)
        gone = [name for name in (one.challenger, one.baseline) if name not in table]
        if gone:
            yield {**about, **nothing(f"not measured: {', '.join(gone)}"), "label": label}
            continue
        yield {**about, "label": label, **_signed(table[[one.baseline, one.challenger]].dropna(), material.level)}


def _signed(pair: pd.DataFrame, level: float) -> dict[str, Any]:
    left, right = (pair.iloc[:, number].to_numpy(float) for number in (0, 1))
    difference = np.round(right - left, 12)
    counts = {"wins": int((difference > 0).sum()), "ties": int((difference == 0).sum())}
    counts |= {"losses": int((difference < 0).sum()), "n_settings": len(pair)}
    if len(pair) < FEW:
        return {**nothing(f"{len(pair)} settings have both methods; two are wanted"), **counts}
    found = statistics.wilcoxon(left, right)
    tested = {"statistic": found.statistic, "p": found.p, "smallest_p": found.smallest_p, "interval": "t"}
    return {**spread(list(right - left), level), **counts, **tested, "caution": SHARED}


def _figures(material: Material) -> list[tuple[str, str]]:
    rows = fair_external(material)[["metric", "label"]].drop_duplicates()
    alone = len(material.suite.labels) == 1
    return [(metric, label) for metric, label in rows.itertuples(index=False) if not (alone and label == "mean")]
