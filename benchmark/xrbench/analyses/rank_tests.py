"""Do methods differ over settings? Ranks with Friedman's and Nemenyi's tests, and signed ranks of the declared pairs.

Both look only at external test sets that the weights have not seen, and at settings in which every method that takes part has a
value. They treat settings as independent, which settings that share hospitals are not.
"""

from __future__ import annotations

from collections.abc import Iterator

from xrbench import statistics
from xrbench.analyses.inputs import Material
from xrbench.analyses.rows import FIGURE, NAN, Row, nothing, repeats
from xrbench.cards import Comparison
from xrbench.compare.across_runs import SHARED, Placed, SignedRow, fair, placed, signed_row, table_of

RANK_COLUMNS = (
    *("method", "protocol", *FIGURE, "mean_rank", "group", "statistic", "p"),
    *("critical_difference", "significance", "n_settings", "n_methods"),
)
SIGNED_COLUMNS = (
    *("challenger", "baseline", "model", "question", "margin", "protocol", *FIGURE, "sd"),
    *("wins", "ties", "losses", "statistic", "p", "p_adjusted", "smallest_p", "n_settings"),
)


def rows_of(material: Material, *, significance: float | None = None) -> Iterator[Row]:
    """Rank all methods over settings, for every metric that has a better direction and every label (and their mean).

    Yields:
        One row a metric, label and method: its mean rank (1 is best), Friedman's statistic and p, the critical difference of mean
        ranks, and letters: methods that share one do not differ.
    """
    level = 1 - material.level if significance is None else significance
    for metric, label in _figures(material):
        about = {"metric": metric, "label": label, "protocol": "external", "significance": level}
        found = placed(table_of(material.results.scores, metric, label), label, material.spec(metric).better, level)
        yield from ({**about, **row} for row in _ranked(found))


def _ranked(found: Placed) -> Iterator[Row]:
    for name in found.without:
        yield nothing("no setting has a value", method=name)
    if found.ranking is None:
        yield {**nothing(found.reason), "n_methods": len(found.means)}
        return
    dropped = f"; {found.dropped} settings left out, where a method has no value" if found.dropped else ""
    for at, (method, rank) in enumerate(zip(found.ranking.methods, found.ranking.mean_ranks, strict=True)):
        letters = (LETTERS[n % len(LETTERS)] for n, (a, b) in enumerate(found.ranking.groups) if a <= at <= b)
        yield {
            "method": method,
            "value": found.means[method],
            "mean_rank": rank,
            "statistic": found.ranking.statistic,
            "p": found.ranking.p,
            "critical_difference": found.ranking.critical_difference,
            "group": "".join(letters),
            "n_settings": found.ranking.n_settings,
            "n_methods": len(found.ranking.methods),
            "caution": SHARED + dropped,
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
    scores = material.results.scores
    models = [set(scores.loc[scores["method"] == name, "model"]) for name in (one.challenger, one.baseline)]
    labels = [label for metric, label in _figures(material) if metric == one.metric]
    gone = [name for name, there in zip((one.challenger, one.baseline), models, strict=True) if not there]
    if gone or not labels:
        why = f"not measured: {', '.join(gone)}" if gone else f"{one.metric} is not among the metrics of the suite"
        yield {**about, **nothing(why), "label": ""}
        return
    for model in sorted(models[0] & models[1]) or [""]:
        mine = scores[scores["model"] == model] if model else scores
        for label in labels:
            table = table_of(mine, one.metric, label)
            pair = table.reindex(columns=[one.baseline, one.challenger]).dropna()
            a, b = pair[one.baseline].tolist(), pair[one.challenger].tolist()
            row = signed_row("", label, a, b, material.level, better=material.spec(one.metric).better)
            yield {**about, "model": model, "label": label, **_signed(row)}


def _signed(row: SignedRow) -> Row:
    ends = {"value": row.difference, "low": row.low, "high": row.high, "sd": row.sd, "interval": "t"}
    counts = {name: getattr(row, name) for name in ("wins", "ties", "losses", "statistic", "p", "smallest_p")}
    return {**ends, **counts, "n_settings": row.settings, "reason": row.reason, "caution": SHARED}


def _figures(material: Material) -> list[tuple[str, str]]:
    rows = fair(material.results.scores)[["metric", "label"]].drop_duplicates()
    labels = material.suite.labels
    return [(metric, label) for metric, label in rows.itertuples(index=False) if not repeats(label, labels)]
