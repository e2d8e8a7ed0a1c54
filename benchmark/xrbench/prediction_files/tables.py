"""Tables of predictions from files: figures, operating point, gap, decision curve, subgroups; each says n and its intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from xrbench.analyses.inputs import records
from xrbench.metrics.names import decimals, point_title
from xrbench.rendering.numbers import MISSING, UNDEFINED, count, interval, number, p_text
from xrbench.rendering.table import Cell, Table
from xrbench.report.tables.analysis_table import change, figure, grouped

MOST = 8
"""Remarks under a table."""
COUNTS = ("n_positive", "n_negative", "n_masked", "n_patients")
HEADS = ("positive", "negative", "masked", "patients")


def tables(
    scores: pd.DataFrame,
    gaps: pd.DataFrame,
    findings: Mapping[str, pd.DataFrame],
    *,
    metrics: Sequence[str],
    target: str,
    site: str,
) -> tuple[Table, ...]:
    """Lay out all that was computed.

    Args:
        scores: One row a site, label and metric.
        gaps: One row a label; empty without a reference.
        findings: ``operating``, ``decision-curve`` and ``subgroups``, as far as they were asked for.
        metrics: Metrics of the table of scores.
        target: The operating point; empty for none.
        site: Name of the judged site.
    """
    made = [score_table(scores, metrics)]
    made += [point_table(findings["operating"], target)] if target else []
    made += [gap_table(gaps, site)] if len(gaps) else []
    made += [decision_table(findings["decision-curve"])] if "decision-curve" in findings else []
    made += [group_table(findings["subgroups"])] if "subgroups" in findings else []
    return tuple(made)


def score_table(scores: pd.DataFrame, metrics: Sequence[str]) -> Table:
    """Lay out figures: a row a site and label, a column a metric."""
    blocks = []
    for of_site in grouped(records(scores), "site").values():
        rows = []
        for of_label in grouped(of_site, "label").values():
            by_metric = {row["metric"]: row for row in of_label}
            figures = [figure(by_metric[name], 3) if name in by_metric else MISSING for name in metrics]
            rows.append((str(of_label[0]["site"]), str(of_label[0]["label"]), *figures, *_counts(of_label[0])))
        blocks.append(rows)
    first = records(scores)[0]
    unit = "patients" if first["unit"] == "patient" else "images (no patient ids)"
    kinds = list(dict.fromkeys(kind for kind in scores.loc[scores["metric"].isin(metrics), "interval"] if kind))
    return _table(
        "scores",
        f"Figures with {float(first['level']):.0%} intervals ({', '.join(kinds) or 'none'}, resampling {unit})",
        ("site", "label", *metrics, *HEADS),
        blocks,
        texts=2,
        notes=_words(scores[scores["metric"].isin(metrics)]),
    )


def point_table(rows: pd.DataFrame, target: str) -> Table:
    """Lay out an operating point: a row a site and label, a column a figure, how far the targeted one has drifted."""
    names = list(dict.fromkeys(rows["metric"]))
    shown = [name for name in names if name != "drift"]
    blocks = []
    for of_site in grouped(records(rows), "site").values():
        block = []
        for of_label in grouped(of_site, "label").values():
            first, by_metric = of_label[0], {row["metric"]: row for row in of_label}
            figures = [_at_point(by_metric.get(name)) for name in shown]
            moved = change(by_metric["drift"], "value", "low", "high", 3) if "drift" in by_metric else MISSING
            drift = (moved,) if "drift" in names else ()
            at = MISSING if math.isnan(first["threshold"]) else f"{first['threshold']:.4g}"
            block.append((str(first["site"]), str(first["label"]), at, *figures, *drift, *_counts(first)))
        blocks.append(block)
    drift_head = ("drift from target",) if "drift" in names else ()
    heads = ("site", "label", "threshold", *map(point_title, shown), *drift_head, *HEADS)
    caption = f"At {target.replace('=', ' ')}; predictive values at the site's own prevalence unless another is stated"
    return _table("operating", caption, heads, blocks, texts=2, notes=_words(rows))


def gap_table(gaps: pd.DataFrame, here: str) -> Table:
    """Lay out the gap between two sites."""
    rows = [
        (str(row["label"]), number(row["internal"], 3), number(row["external"], 3), number(row["gap"], 3), _ends(row))
        for row in records(gaps)
    ]
    heads = ("label", "AUC at the reference site", f"AUC at {here}", "gap", "interval")
    return _table("gap", "Generalization gap (reference minus here)", heads, [rows], texts=1, titled=False)


def decision_table(rows: pd.DataFrame) -> Table:
    """Lay out a decision curve."""
    blocks = [
        [
            (
                *(str(row["site"]), str(row["label"]), f"{row['threshold']:g}", figure(row, 3)),
                *(number(row["treat_all"], 3), number(row["above"], 3), *_counts(row)),
            )
            for row in of_site
        ]
        for of_site in grouped(records(rows), "site").values()
    ]
    heads = ("site", "label", "threshold", "net benefit", "act on everyone", "above the better default", *HEADS)
    caption = "Net benefit of acting at a threshold probability; acting on no one is 0"
    return _table("decision-curve", caption, heads, blocks, texts=2, notes=_words(rows))


def group_table(rows: pd.DataFrame) -> Table:
    """Lay out every group of patients; the worst of a label is marked by a word, since it is the worst of several."""
    blocks = [[_group_row(row) for row in of_site] for of_site in grouped(records(rows), "site").values()]
    unknown = {(row["site"], row["column"]): row["n_missing"] for row in records(rows) if row["n_missing"]}
    notes = [
        "Others minus group: all other shown groups together; p adjusted over the groups and labels of a site (Holm).",
        *(f"{site}: {column} is not known of {count(images)} images." for (site, column), images in unknown.items()),
        *_words(rows),
    ]
    heads = ("site", "by", "group", "label", "figure", "value", "", "others minus group", "p adjusted")
    caption = "Groups of patients"
    return _table("subgroups", caption, (*heads, "positive", "negative", "patients"), blocks, texts=5, notes=notes)


def _group_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    names = (str(row[name]) for name in ("site", "column", "group", "label", "metric"))
    behind = change(row, "behind", "behind_low", "behind_high", 3)
    counts = [MISSING if row["suppressed"] else count(row[name]) for name in ("n_positive", "n_negative", "n_patients")]
    return (*names, figure(row, 3), "worst" if row["worst"] else "", behind, p_text(row["p_adjusted"]), *counts)


def _at_point(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return MISSING
    return figure(row, decimals(row["metric"], 3))


def _ends(row: Mapping[str, Any]) -> str:
    return interval(row["low"], row["high"], 3)


def _counts(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(count(row[name]) for name in COUNTS)


def _words(rows: pd.DataFrame) -> list[str]:
    reasons = sorted({text for text in rows["reason"] if isinstance(text, str) and text})
    cautions = sorted({text for text in rows["caution"] if isinstance(text, str) and text})
    said = [*(f"{UNDEFINED}: {text}" for text in reasons), *(f"caution: {text}" for text in cautions)]
    left = [f"{len(said) - MOST} other remarks stand in --json and --csv."] if len(said) > MOST else []
    return said[:MOST] + left


def _table(
    name: str,
    caption: str,
    heads: Sequence[str],
    blocks: Sequence[Sequence[Sequence[str]]],
    *,
    texts: int,
    notes: Sequence[str] = (),
    titled: bool = True,
) -> Table:
    laid = tuple(tuple(tuple(map(Cell, row)) for row in block) for block in blocks)
    align = "l" * texts + "r" * (len(heads) - texts)
    return Table(name, caption, (tuple(heads),), laid, align, titled=titled, notes=tuple(notes))
