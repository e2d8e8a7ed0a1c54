"""What makes scores vary: parts of their variance by method, setting, test domain and seed.

Sources that change together cannot be told apart: of each such group the first is named and the others are said to be in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from xrbench import statistics
from xrbench.analyses.inputs import Material
from xrbench.analyses.rows import FIGURE, NAN, Row, nothing, repeats
from xrbench.compare.across_runs import fair
from xrbench.errors import XrbenchError

COLUMNS = ("protocol", "source", *FIGURE, "share", "n_levels", "n_scores", "grand_mean", "converged")
SOURCES = ("method", "setting", "test", "seed")
KNOWN_FROM = 5
FEW_LEVELS = f"fewer than {KNOWN_FROM} levels: a variance is known poorly from so few"


def rows_of(material: Material) -> Iterator[Row]:
    """Split the variance of the first metric's external scores, for each label and their mean.

    Yields:
        One row a label and source (and ``rest``): its variance as ``value``, in the metric's units squared, its share of the sum,
        and from how many levels and scores it comes; a source that could not be told apart has a reason.
    """
    rows = fair(material.results.scores)
    rows = rows[(rows["metric"] == material.metric) & (rows["train"] != "") & ~(rows["members"] > 1)]
    rows = rows.assign(method=rows["cell"].map({cell.cell: material.line(cell) for cell in material.results.cells}))
    labels = [label for label in rows["label"].drop_duplicates() if not repeats(label, material.suite.labels)]
    if not labels:
        yield nothing("no trained method has an external score", metric=material.metric, label="", source="")
    for label in labels:
        about = {"metric": material.metric, "label": label, "protocol": "external"}
        yield from ({**about, **row} for row in _of_label(rows[rows["label"] == label], material.metric))


def _of_label(rows: pd.DataFrame, metric: str) -> Iterator[Row]:
    kept, left_out = separable(rows)
    counts = {name: int(rows[name].nunique()) for name in SOURCES}
    for name, why in left_out.items():
        yield {**nothing(why), "source": name, "n_levels": counts[name], "n_scores": len(rows)}
    if not kept:
        return
    try:
        found = statistics.decompose(
            rows["value"].tolist(), {name: rows[name].tolist() for name in kept}, metric=metric
        )
    except XrbenchError as error:
        yield from ({**nothing(str(error)), "source": name, "n_levels": counts[name]} for name in kept)
        return
    for name, part in found.parts.items():
        few = name in counts and counts[name] < KNOWN_FROM
        words = [FEW_LEVELS] if few else []
        words += [] if found.converged else ["the fit did not end properly: read nothing into it"]
        yield {
            **nothing("", source=name),
            "value": part,
            "share": found.shares[name],
            "n_levels": counts.get(name, NAN),
            "n_scores": found.n,
            "grand_mean": found.mean,
            "converged": found.converged,
            "caution": "; ".join(words),
        }


def separable(rows: pd.DataFrame) -> tuple[list[str], Mapping[str, str]]:
    """Choose the sources whose parts can be told apart, and say why the others cannot.

    >>> rows = pd.DataFrame({"method": list("abab"), "setting": list("xxyy"), "test": list("ttuu"), "seed": [0, 0, 0, 0]})
    >>> separable(rows)
    (['method', 'setting'], {'test': 'changes together with setting: its part is in there', 'seed': 'has a single value'})
    """
    kept: list[str] = []
    left_out: dict[str, str] = {}
    for name in SOURCES:
        codes = pd.factorize(rows[name])[0]
        if len(set(codes)) < 2:
            left_out[name] = "has a single value"
            continue
        twin = next((other for other in kept if (pd.factorize(rows[other])[0] == codes).all()), "")
        if twin:
            left_out[name] = f"changes together with {twin}: its part is in there"
        elif len(set(codes)) == len(rows):
            left_out[name] = "has one score a level: its part is in the rest"
        else:
            kept.append(name)
    return kept, left_out
