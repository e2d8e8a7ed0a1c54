"""Tables of what was concluded over seeds and settings: spread, ranks, signed ranks, parts of the variance, domains."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from xrbench.cards import TableLayout
from xrbench.rendering.differences import p_text
from xrbench.rendering.numbers import MISSING, UNDEFINED, metric_title, number
from xrbench.rendering.table import Table
from xrbench.report.run_folder import Run
from xrbench.report.tables import analysis_table
from xrbench.report.tables.analysis_table import Finding, amount, change, figure, grouped, listed


def seeds(run: Run, layout: TableLayout, *, protocol: str = "external", label: str = "") -> Table | None:
    """Show each method's mean over seeds with an interval over patients and seeds, then its mean over settings.

    Args:
        run: The run.
        layout: Name, caption, metric and decimals.
        protocol: ``external`` or ``internal``; empty for both.
        label: One label, ``each`` for all; the mean over labels when empty.
    """
    frame = _kept(run, "seeds", layout, "" if label == "each" else label or _mean(run), protocol=protocol)
    if frame is None:
        return None
    blocks = [
        [_over(row, layout.digits) for row in rows] for rows in grouped(listed(frame), "method", "model").values()
    ]
    heads = ("method", "train", "test", "label", metric_title(_metric(frame)), "sd", "from patients", "from seeds")
    return analysis_table.table_of(
        run,
        layout,
        f"{metric_title(_metric(frame))} over seeds and settings",
        (*heads, "seeds", "settings", "patients"),
        blocks,
        align="llllrrrrrrr",
        notes=[
            "A setting: mean over seeds, with an interval over patients and seeds and the share of its variance that each brings; "
            "sd: sample standard deviation over seeds. Over settings: mean of those means, t-interval and sample standard deviation "
            f"over settings, external and not seen before. {analysis_table.level_of(frame)}",
            *analysis_table.words(frame),
        ],
    )


def _over(row: Finding, digits: int) -> tuple[str, ...]:
    of_settings = row["over"] == "settings"
    test = row["test"] + (" (internal)" if row["protocol"] == "internal" else "")
    places = ("all settings", MISSING) if of_settings else (row["train"], test)
    sd = MISSING if math.isnan(row["sd"]) else number(row["sd"], digits)
    shares = [MISSING if math.isnan(row[n]) else f"{100 * row[n]:.0f} %" for n in ("patient_share", "seed_share")]
    counts = [amount(row[name]) for name in ("n_seeds", "n_settings", "n_patients")]
    return (row["method"], *places, row["label"], figure(row, digits), sd, *shares, *counts)


def ranks(run: Run, layout: TableLayout, *, label: str = "each") -> Table | None:
    """Show the mean ranks of methods over settings, with Friedman's and Nemenyi's tests.

    Args:
        run: The run.
        layout: Name, caption, metric and decimals.
        label: One label, or ``each`` for all and their mean.
    """
    frame = _kept(run, "ranks", layout, "" if label == "each" else label)
    if frame is None:
        return None
    blocks = [[_rank(row, layout.digits) for row in rows] for rows in grouped(listed(frame), "label").values()]
    metric, share = metric_title(_metric(frame)), 100 * (1 - frame["significance"].iloc[0])
    return analysis_table.table_of(
        run,
        layout,
        f"Methods ranked by external {metric} over settings",
        (
            "label",
            "method",
            "mean rank",
            "not different",
            f"mean {metric}",
            "Friedman p",
            "critical difference",
            "settings",
        ),
        blocks,
        align="llrlrrrr",
        notes=[
            "Rank 1 is best. Methods that share a letter differ by less than Nemenyi's critical difference of mean ranks "
            f"({share:g} % over all pairs). Settings in which a method has no value, or has seen the test images, are left out.",
            *analysis_table.words(frame),
        ],
    )


def _rank(row: Finding, digits: int) -> tuple[str, ...]:
    ranked = MISSING if math.isnan(row["mean_rank"]) else f"{row['mean_rank']:.2f}"
    apart = MISSING if math.isnan(row["critical_difference"]) else f"{row['critical_difference']:.2f}"
    tested = (p_text(row["p"]), apart, amount(row["n_settings"]))
    return (
        row["label"],
        row["method"] or MISSING,
        ranked,
        row["group"] or MISSING,
        number(row["value"], digits),
        *tested,
    )


def signed_rank(run: Run, layout: TableLayout, *, label: str = "each") -> Table | None:
    """Show the declared comparisons over settings with Wilcoxon's signed-rank test.

    Args:
        run: The run.
        layout: Name, caption and decimals.
        label: One label, or ``each`` for all and their mean.
    """
    frame = analysis_table.rows_of(run, "signed-rank", label="" if label == "each" else label)
    if frame is None:
        return None
    how = {"holm": "Holm", "bh": "Benjamini-Hochberg"}[run.suite.adjustment]
    blocks = [
        [_signed(row, layout.digits) for row in rows]
        for rows in grouped(listed(frame), "challenger", "baseline", "metric").values()
    ]
    heads = ("comparison", "figure", "label", "mean difference", "wins/ties/losses", "p", f"p ({how})")
    return analysis_table.table_of(
        run,
        layout,
        "Declared comparisons over settings: Wilcoxon's signed ranks",
        (*heads, "smallest p that could be", "settings"),
        blocks,
        align="lllrrrrrr",
        notes=[
            f"Challenger minus baseline, mean over settings with its t-interval. {analysis_table.level_of(frame)}",
            *analysis_table.words(frame),
        ],
    )


def _signed(row: Finding, digits: int) -> tuple[str, ...]:
    outcomes = "/".join(amount(row[name]) for name in ("wins", "ties", "losses"))
    tested = (p_text(row["p"]), p_text(row["p_adjusted"]), p_text(row["smallest_p"]), amount(row["n_settings"]))
    title = f"{row['challenger']} minus {row['baseline']}"
    middle = change(row, "value", "low", "high", digits)
    return (title, metric_title(row["metric"]), row["label"], middle, outcomes, *tested)


def variance(run: Run, layout: TableLayout, *, label: str = "") -> Table | None:
    """Show how much of the scores' variance comes from method, setting, test domain and seed.

    Args:
        run: The run.
        layout: Name, caption and decimals.
        label: One label, ``each`` for all; the mean over labels when empty.
    """
    frame = analysis_table.rows_of(run, "variance", label="" if label == "each" else label or _mean(run))
    if frame is None:
        return None
    blocks = [[_part(row, layout.digits) for row in rows] for rows in grouped(listed(frame), "label").values()]
    metric = metric_title(_metric(frame))
    return analysis_table.table_of(
        run,
        layout,
        f"Where the variance of external {metric} comes from",
        ("label", "source", "share", f"standard deviation of {metric}", "levels", "scores", "remark"),
        blocks,
        align="llrrrrl",
        notes=["Crossed random effects by restricted maximum likelihood; no interval is stated for so few levels."],
    )


def _part(row: Finding, digits: int) -> tuple[str, ...]:
    share = UNDEFINED if math.isnan(row["share"]) else f"{100 * row['share']:.0f} %"
    deviation = UNDEFINED if math.isnan(row["value"]) else number(math.sqrt(row["value"]), digits)
    counts = (amount(row["n_levels"]), amount(row["n_scores"]))
    return (row["label"], row["source"], share, deviation, *counts, row["reason"] or row["caution"])


def matrix(run: Run, layout: TableLayout, *, label: str = "") -> Table | None:
    """Show figures by training domain and test domain.

    Args:
        run: The run.
        layout: Name, caption and decimals.
        label: One label; the mean over labels when empty.
    """
    frame = analysis_table.rows_of(run, "matrix", label=label or _mean(run))
    if frame is None:
        return None
    rows = listed(frame)
    tests = tuple(dict.fromkeys(row["test"] for row in rows))
    metric = metric_title(_metric(frame))
    blocks = [list(_domains(of, tests, layout.digits)) for of in grouped(rows, "method", "model").values()]
    return analysis_table.table_of(
        run,
        layout,
        f"{metric} by training domain and test domain",
        ("method", "trained on", *tests),
        blocks,
        align="ll" + "r" * len(tests),
        notes=[
            "Mean ± sample standard deviation over settings and seeds that have both domains, t-interval in parentheses, number of "
            f"figures behind n. * internal: held-out patients of a training domain. {analysis_table.level_of(frame)}",
        ],
    )


def _domains(rows: list[Finding], tests: tuple[str, ...], digits: int) -> Iterator[tuple[str, ...]]:
    for of in grouped(rows, "train").values():
        there = {row["test"]: row for row in of}
        yield (of[0]["method"], of[0]["train"], *(_domain(there.get(test), digits) for test in tests))


def _domain(row: Finding | None, digits: int) -> str:
    if row is None:
        return MISSING
    text = figure(row, digits)
    if not math.isnan(row["sd"]):
        value, _, ends = text.partition(" ")
        text = f"{value} ± {number(row['sd'], digits)} {ends}".rstrip()
    inside = " *" if row["protocol"] == "internal" else ""
    return f"{text} n {amount(row['n_figures'])}{inside}"


def _kept(run: Run, analysis: str, layout: TableLayout, label: str, **wanted: str) -> pd.DataFrame | None:
    """Keep one metric's rows: the layout's if it was measured, else the suite's first."""
    frame = analysis_table.rows_of(run, analysis, label=label, **wanted)
    if frame is None:
        return None
    kept = frame[frame["metric"] == analysis_table.metric_of(run, frame, layout)]
    return kept if len(kept) else None


def _metric(frame: pd.DataFrame) -> str:
    return str(frame["metric"].iloc[0])


def _mean(run: Run) -> str:
    return analysis_table.mean_label(run)
