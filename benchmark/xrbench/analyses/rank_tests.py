"""Tests of methods over settings: ranks with Friedman's and Nemenyi's tests, and signed ranks of the declared pairs.

Both use only external test sets that the weights have not seen, and settings in which every method that takes part has a value.
They take settings as independent, which settings that share hospitals are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase

from xrbench import statistics
from xrbench.analyses.inputs import Material
from xrbench.analyses.rows import FIGURE, NAN, Row, nothing, repeats
from xrbench.cards import Comparison
from xrbench.compare.across_runs import (
    SHARED,
    RankedMethods,
    SignedRow,
    rank_over_settings,
    settings_by_method,
    signed_row,
    unseen_external,
)
from xrbench.statistics.inference.multiple_testing import smallest_adjusted

RANK_COLUMNS = (
    *("method", "protocol", *FIGURE, "mean_rank", "group", "statistic", "p"),
    *("critical_difference", "distribution", "significance", "n_settings", "n_methods"),
)
SIGNED_COLUMNS = (
    *("challenger", "baseline", "model", "question", "margin", "protocol", *FIGURE, "sd"),
    *("wins", "ties", "losses", "statistic", "p", "p_adjusted", "smallest_p", "smallest_p_adjusted", "n_settings"),
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
        table = settings_by_method(material.results.scores, metric, label)
        ranked = rank_over_settings(table, label, material.spec(metric).better, level)
        yield from ({**about, **row} for row in _of_methods(ranked))


def _of_methods(ranked: RankedMethods) -> Iterator[Row]:
    for name in ranked.without:
        yield nothing("no setting has a value", method=name)
    ranking = ranked.ranking
    if ranking is None:
        yield {**nothing(ranked.reason), "n_methods": len(ranked.means)}
        return
    dropped = f"; {ranked.dropped} settings left out, where a method has no value" if ranked.dropped else ""
    for position, (method, rank) in enumerate(zip(ranking.methods, ranking.mean_ranks, strict=True)):
        # Methods are sorted by rank, so a group of methods that do not differ is an interval of positions.
        groups = (number for number, (first, last) in enumerate(ranking.groups) if first <= position <= last)
        yield {
            "method": method,
            "value": ranked.means[method],
            "mean_rank": rank,
            "statistic": ranking.statistic,
            "p": ranking.p,
            "critical_difference": ranking.critical_difference,
            "distribution": ranking.distribution,
            "group": "".join(ascii_lowercase[number % len(ascii_lowercase)] for number in groups),
            "n_settings": ranking.n_settings,
            "n_methods": len(ranking.methods),
            "caution": SHARED + dropped,
        }


def signed_rows(material: Material) -> list[Row]:
    """Test each declared comparison over settings (Wilcoxon), adjusted over all of them and all labels.

    Returns:
        One row a comparison and label (and their mean): challenger minus baseline with the t-interval of its mean, wins, ties and
        losses, the signed-rank statistic with its p-value, and the smallest p-value that so many settings can give, before and after the
        adjustment.
    """
    rows = [row for comparison in material.suite.comparisons for row in _compared(material, comparison)]
    adjusted = statistics.adjust([row.get("p", NAN) for row in rows], material.suite.adjustment)
    smallest = smallest_adjusted([row.get("smallest_p", NAN) for row in rows], material.suite.adjustment)
    return [
        {**row, "p_adjusted": float(p), "smallest_p_adjusted": float(least), "caution": _reachable(row, least)}
        for row, p, least in zip(rows, adjusted, smallest, strict=True)
    ]


def _reachable(row: Row, least: float) -> str:
    """Add to a row's caution that its test can show nothing, where its smallest adjusted p-value is too large."""
    caution = str(row.get("caution", ""))
    if not least >= 1 - float(row["level"]):
        return caution
    words = f"whatever the differences, so few settings give no adjusted p below {least:.2g}"
    return f"{caution}; {words}" if caution else words


def _compared(material: Material, comparison: Comparison) -> Iterator[Row]:
    about = {name: getattr(comparison, name) for name in ("challenger", "baseline", "question", "margin", "metric")}
    about |= {"protocol": "external", "level": material.level}
    scores, metric, pair = material.results.scores, comparison.metric, [comparison.baseline, comparison.challenger]
    models = {name: set(scores.loc[scores["method"] == name, "model"]) for name in reversed(pair)}
    labels = [label for name, label in _figures(material) if name == metric]
    unmeasured = [name for name, of_method in models.items() if not of_method]
    if unmeasured or not labels:
        missing = f"not measured: {', '.join(unmeasured)}"
        yield {
            **about,
            **nothing(missing if unmeasured else f"{metric} is not among the metrics of the suite"),
            "label": "",
        }
        return
    # Methods without a model in common are compared as they are.
    for model in sorted(set.intersection(*models.values())) or [""]:
        of_model = scores[scores["model"] == model] if model else scores
        for label in labels:
            values = settings_by_method(of_model, metric, label).reindex(columns=pair).dropna()
            a, b = (values[name].tolist() for name in pair)
            row = signed_row("", label, a, b, material.level, better=material.spec(metric).better)
            yield {**about, "model": model, "label": label, **_signed(row)}


def _signed(row: SignedRow) -> Row:
    ends = {"value": row.difference, "low": row.low, "high": row.high, "sd": row.sd, "interval": "t"}
    counts = {name: getattr(row, name) for name in ("wins", "ties", "losses", "statistic", "p", "smallest_p")}
    return {**ends, **counts, "n_settings": row.settings, "reason": row.reason, "caution": SHARED}


def _figures(material: Material) -> list[tuple[str, str]]:
    rows = unseen_external(material.results.scores)[["metric", "label"]].drop_duplicates()
    labels = material.suite.labels
    return [(metric, label) for metric, label in rows.itertuples(index=False) if not repeats(label, labels)]
