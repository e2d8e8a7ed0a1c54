"""Tables of analyses made over seeds and settings: spread, ranks, signed ranks, variance components, domain matrix."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from xrbench.cards import TableLayout
from xrbench.metrics import metric_title
from xrbench.rendering.numbers import MISSING, UNDEFINED, count, number, p_text
from xrbench.rendering.table import Table
from xrbench.report.run_folder import Run
from xrbench.report.tables import analysis_table
from xrbench.report.tables.analysis_table import EACH, AnalysisRow, change, figure, grouped, label_value, labelled_rows

DISTRIBUTIONS = {
    "exact": "exact, from all orders of the ranks",
    "permutation": "from a sample of the orders of the ranks",
    "limit": "those of many settings",
}


def seeds(run: Run, layout: TableLayout, *, protocol: str = "external", label: str = "") -> Table | None:
    """Show each method's mean over seeds with an interval over patients and seeds, then its mean over settings.

    Options:
        protocol: As for all tables.
        label: As for all tables.
    """
    frame = analysis_table.read_metric_rows(run, "seeds", layout, label=label_value(run, label), protocol=protocol)
    if frame is None:
        return None
    blocks = [
        [_seed_row(row, layout.digits) for row in rows]
        for rows in grouped(labelled_rows(frame), "method", "model").values()
    ]
    heads = ("method", "train", "test", "label", _metric(frame), "sd", "from patients", "from seeds")
    return analysis_table.table_of(
        run,
        layout,
        f"{_metric(frame)} over seeds and settings",
        (*heads, "seeds", "settings", "patients"),
        blocks,
        "llllrrrrrrr",
        notes=[
            "A setting: mean over seeds, with an interval over trainings and patients, and the share of its variance that each brings; "
            "sd: sample standard deviation over seeds. Over settings: mean of those means, external and not seen before, with an "
            "interval over trainings and patients, who enter once; sd: sample standard deviation over settings. "
            f"{analysis_table.level_of(frame)}",
            *analysis_table.remarks(frame),
        ],
    )


def _seed_row(row: AnalysisRow, digits: int) -> tuple[str, ...]:
    test = row["test"] + (" (internal)" if row["protocol"] == "internal" else "")
    where = ("all settings", MISSING) if row["over"] == "settings" else (row["train"], test)
    shares = (_percent(row[name], MISSING) for name in ("patient_share", "seed_share"))
    counts = (count(row[name]) for name in ("n_seeds", "n_settings", "n_patients"))
    return (row["method"], *where, row["label"], figure(row, digits), _measured(row["sd"], digits), *shares, *counts)


def _distribution(frame: pd.DataFrame) -> str:
    """Name the distribution behind Friedman's p and the critical difference: the least exact of all rows."""
    known = set(frame["distribution"].dropna()) if "distribution" in frame.columns else set()
    return next((name for name in ("limit", "permutation", "exact") if name in known), "limit")


def ranks(run: Run, layout: TableLayout, *, label: str = EACH) -> Table | None:
    """Show the mean ranks of methods over settings, with Friedman's and Nemenyi's tests.

    Options:
        label: One label, or ``each`` for all and their mean.
    """
    frame = analysis_table.read_metric_rows(run, "ranks", layout, label=label_value(run, label or EACH))
    if frame is None:
        return None
    blocks = [
        [_rank_row(row, layout.digits) for row in rows] for rows in grouped(labelled_rows(frame), "label").values()
    ]
    metric, share = _metric(frame), 100 * (1 - frame["significance"].iloc[0])
    heads = ("label", "method", "mean rank", "not different", f"mean {metric}", "Friedman p")
    return analysis_table.table_of(
        run,
        layout,
        f"Methods ranked by external {metric} over settings",
        (*heads, "critical difference", "settings"),
        blocks,
        "llrlrrrr",
        notes=[
            "Rank 1 is best. Methods that share a letter differ by less than Nemenyi's critical difference of mean ranks "
            f"({share:g} % over all pairs). Friedman's p and that difference are {DISTRIBUTIONS[_distribution(frame)]}. "
            "Settings in which a method has no value, or has seen the test images, are left out.",
            *analysis_table.remarks(frame),
        ],
    )


def _rank_row(row: AnalysisRow, digits: int) -> tuple[str, ...]:
    ranked = (_measured(row["mean_rank"], 2), row["group"] or MISSING, number(row["value"], digits))
    tested = (p_text(row["p"]), _measured(row["critical_difference"], 2), count(row["n_settings"]))
    return (row["label"], row["method"] or MISSING, *ranked, *tested)


def signed_rank(run: Run, layout: TableLayout, *, label: str = EACH) -> Table | None:
    """Show the declared comparisons over settings with Wilcoxon's signed-rank test.

    Options:
        label: One label, or ``each`` for all and their mean.
    """
    frame = analysis_table.read_rows(run, "signed-rank", label=label_value(run, label or EACH))
    if frame is None:
        return None
    adjustment = {"holm": "Holm", "bh": "Benjamini-Hochberg"}[run.suite.adjustment]
    blocks = [
        [_signed_rank_row(row, layout.digits) for row in rows]
        for rows in grouped(labelled_rows(frame), "challenger", "baseline", "metric").values()
    ]
    heads = ("comparison", "figure", "label", "mean difference", "wins/ties/losses", "p", f"p ({adjustment})")
    return analysis_table.table_of(
        run,
        layout,
        "Declared comparisons over settings: Wilcoxon's signed ranks",
        (*heads, f"smallest p ({adjustment}) that could be", "settings"),
        blocks,
        "lllrrrrrr",
        notes=[
            f"Challenger minus baseline, mean over settings with its t-interval. {analysis_table.level_of(frame)}",
            *analysis_table.remarks(frame),
        ],
    )


def _signed_rank_row(row: AnalysisRow, digits: int) -> tuple[str, ...]:
    about = (f"{row['challenger']} minus {row['baseline']}", metric_title(row["metric"]), row["label"])
    outcomes = "/".join(count(row[name]) for name in ("wins", "ties", "losses"))
    tested = (p_text(row[name]) for name in ("p", "p_adjusted", "smallest_p_adjusted"))
    return (*about, change(row, "value", "low", "high", digits), outcomes, *tested, count(row["n_settings"]))


def variance(run: Run, layout: TableLayout, *, label: str = "") -> Table | None:
    """Show how much of the scores' variance comes from method, setting, test domain and seed.

    Options:
        label: As for all tables.
    """
    frame = analysis_table.read_rows(run, "variance", label=label_value(run, label))
    if frame is None:
        return None
    blocks = [
        [_component_row(row, layout.digits) for row in rows] for rows in grouped(labelled_rows(frame), "label").values()
    ]
    metric = _metric(frame)
    return analysis_table.table_of(
        run,
        layout,
        f"Where the variance of external {metric} comes from",
        ("label", "source", "share", f"standard deviation of {metric}", "levels", "scores", "remark"),
        blocks,
        "llrrrrl",
        notes=["Crossed random effects by restricted maximum likelihood; no interval is stated for so few levels."],
    )


def _component_row(row: AnalysisRow, digits: int) -> tuple[str, ...]:
    # A component is stored as a variance; its root has the unit of the metric.
    deviation = number(math.sqrt(row["value"]), digits)
    counts = (count(row["n_levels"]), count(row["n_scores"]))
    return (
        row["label"],
        row["source"],
        _percent(row["share"], UNDEFINED),
        deviation,
        *counts,
        row["reason"] or row["caution"],
    )


def matrix(run: Run, layout: TableLayout, *, label: str = "") -> Table | None:
    """Show figures by training domain and test domain.

    Options:
        label: One label; the mean over labels when empty.
    """
    frame = analysis_table.read_rows(run, "matrix", label=label or analysis_table.mean_label(run))
    if frame is None:
        return None
    rows = labelled_rows(frame)
    tests = tuple(dict.fromkeys(row["test"] for row in rows))
    blocks = [list(_domain_rows(of, tests, layout.digits)) for of in grouped(rows, "method", "model").values()]
    return analysis_table.table_of(
        run,
        layout,
        f"{_metric(frame)} by training domain and test domain",
        ("method", "trained on", *tests),
        blocks,
        "ll" + "r" * len(tests),
        notes=[
            "Mean over settings and trainings that have both domains; in parentheses its interval over trainings and patients, who enter "
            f"once; number of figures behind n. * internal: held-out patients of a training domain. {analysis_table.level_of(frame)}",
            *analysis_table.remarks(frame),
        ],
    )


def _domain_rows(rows: Sequence[AnalysisRow], tests: Sequence[str], digits: int) -> Iterator[tuple[str, ...]]:
    for of_train in grouped(rows, "train").values():
        by_test = {row["test"]: row for row in of_train}
        texts = (_domain_text(by_test[test], digits) if test in by_test else MISSING for test in tests)
        yield (of_train[0]["method"], of_train[0]["train"], *texts)


def _domain_text(row: AnalysisRow, digits: int) -> str:
    text = figure(row, digits)
    internal = " *" if row["protocol"] == "internal" else ""
    return f"{text} n {count(row['n_figures'])}{internal}"


def _measured(value: float, digits: int) -> str:
    return MISSING if math.isnan(value) else number(value, digits)


def _percent(share: float, missing: str) -> str:
    return missing if math.isnan(share) else f"{100 * share:.0f} %"


def _metric(frame: pd.DataFrame) -> str:
    return metric_title(str(frame["metric"].iloc[0]))
