"""Matrix of training domain by test domain.

A named training set is one domain; otherwise each dataset that a fit was trained on is one. The diagonal is internal: held-out
patients of a dataset, under fits that were trained on it. Everything else is external.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xrbench import statistics
from xrbench.analyses.inputs import HELD_OUT, Material, records
from xrbench.analyses.rows import FIGURE, Row, repeats, within

COLUMNS = ("method", "model", "train", "test", "protocol", *FIGURE, "sd", "n_figures")


def rows_of(material: Material) -> Iterator[Row]:
    """Summarise the first metric by training domain and test domain, for each method and label (and their mean).

    Scores on images that the weights have seen, or that were trained on, are left out.

    Yields:
        One row a method, label, training domain and test domain: the mean with its t-interval, the sample standard
        deviation, and the number of scores (settings and seeds).
    """
    scores = material.results.scores
    rows = scores[scores["protocol"].isin(HELD_OUT) & ~scores["seen"] & (scores["train"] != "")]
    rows = rows[rows["metric"] == material.metric]
    for (method, model, label), of_label in rows.groupby(["method", "model", "label"], sort=False):
        if repeats(str(label), material.suite.labels):
            continue
        values: dict[tuple[str, str], list[float]] = {}
        protocol: dict[tuple[str, str], str] = {}
        for row in records(of_label):
            for train in domains_of(row):
                values.setdefault((train, row["test"]), []).append(row["value"])
                protocol[train, row["test"]] = row["protocol"]
        about = {"method": method, "model": model, "label": label, "metric": material.metric}
        for (train, test), summary in statistics.domain_matrix(values, level=material.level).items():
            yield {
                **about,
                "train": train,
                "test": test,
                "protocol": protocol[train, test],
                "value": summary.mean,
                **within(material.spec(material.metric), summary.low, summary.high),
                "sd": summary.sd,
                "level": material.level,
                "interval": "t",
                "n_figures": summary.n,
                "reason": _reason(summary.n),
            }


def domains_of(row: dict[str, Any]) -> tuple[str, ...]:
    """Name the training domains of a score.

    >>> domains_of({"configuration": "", "train": "nih+chexpert", "test": "mimic", "protocol": "external"})
    ('nih', 'chexpert')
    >>> domains_of({"configuration": "", "train": "nih+chexpert", "test": "nih", "protocol": "internal"})
    ('nih',)
    >>> domains_of({"configuration": "both", "train": "nih+chexpert", "test": "nih+chexpert", "protocol": "internal"})
    ('both',)
    """
    if row["configuration"]:
        return (str(row["configuration"]),)
    return (str(row["test"]),) if row["protocol"] == "internal" else tuple(str(row["train"]).split("+"))


def _reason(n: int) -> str:
    return "no figure has a value" if n == 0 else "" if n > 1 else "interval: one figure has no spread"
