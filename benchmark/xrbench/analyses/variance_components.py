"""Components of the variance of scores: method, setting, test domain and seed.

Sources that change together cannot be separated: the first of them gets the component, the others a reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from xrbench import statistics
from xrbench.analyses.inputs import Material
from xrbench.analyses.rows import FIGURE, NAN, Row, nothing, repeats
from xrbench.compare.across_runs import unseen_external
from xrbench.errors import XrbenchError

COLUMNS = ("protocol", "source", *FIGURE, "share", "n_levels", "n_scores", "grand_mean", "converged")
SOURCES = ("method", "setting", "test", "seed")
FEWEST_LEVELS = 5
FEW_LEVELS = f"fewer than {FEWEST_LEVELS} levels: a variance is known poorly from so few"


def rows_of(material: Material) -> Iterator[Row]:
    """Decompose the variance of the first metric's external scores, for each label and their mean.

    Yields:
        One row a label and source (and ``rest``): its variance as ``value``, in the metric's units squared, its share of the sum,
        and the number of levels and scores; a source that cannot be separated has a reason.
    """
    rows = unseen_external(material.results.scores)
    rows = rows[(rows["metric"] == material.metric) & (rows["train"] != "") & ~(rows["members"] > 1)]
    rows = rows.assign(method=rows["cell"].map({cell.cell: material.line(cell) for cell in material.results.cells}))
    labels = [label for label in rows["label"].drop_duplicates() if not repeats(label, material.suite.labels)]
    if not labels:
        yield nothing("no trained method has an external score", metric=material.metric, label="", source="")
    for label in labels:
        about = {"metric": material.metric, "label": label, "protocol": "external"}
        yield from ({**about, **row} for row in _of_label(rows[rows["label"] == label], material.metric))


def _of_label(rows: pd.DataFrame, metric: str) -> Iterator[Row]:
    separate, left_out = separable(rows)
    counts = {name: int(rows[name].nunique()) for name in SOURCES}
    for name, reason in left_out.items():
        yield {**nothing(reason), "source": name, "n_levels": counts[name], "n_scores": len(rows)}
    if not separate:
        return
    try:
        factors = {name: rows[name].tolist() for name in separate}
        variances = statistics.decompose(rows["value"].tolist(), factors, metric=metric)
    except XrbenchError as error:
        yield from ({**nothing(str(error)), "source": name, "n_levels": counts[name]} for name in separate)
        return
    for name, component in variances.parts.items():
        few = name in counts and counts[name] < FEWEST_LEVELS
        cautions = [FEW_LEVELS] if few else []
        cautions += [] if variances.converged else ["the fit did not end properly: read nothing into it"]
        yield {
            **nothing("", source=name),
            "value": component,
            "share": variances.shares[name],
            "n_levels": counts.get(name, NAN),
            "n_scores": variances.n,
            "grand_mean": variances.mean,
            "converged": variances.converged,
            "caution": "; ".join(cautions),
        }


def separable(rows: pd.DataFrame) -> tuple[list[str], Mapping[str, str]]:
    """Select the sources whose components can be separated, with the reason why the others cannot.

    >>> rows = pd.DataFrame({"method": list("abab"), "setting": list("xxyy"), "test": list("ttuu"), "seed": [0, 0, 0, 0]})
    >>> separable(rows)
    (['method', 'setting'], {'test': 'changes together with setting: its part is in there', 'seed': 'has a single value'})
    """
    separate: list[str] = []
    left_out: dict[str, str] = {}
    for name in SOURCES:
        codes = pd.factorize(rows[name])[0]
        if len(set(codes)) < 2:
            left_out[name] = "has a single value"
            continue
        twin = next((other for other in separate if (pd.factorize(rows[other])[0] == codes).all()), "")
        if twin:
            left_out[name] = f"changes together with {twin}: its part is in there"
        elif len(set(codes)) == len(rows):
            left_out[name] = "has one score a level: its part is in the rest"
        else:
            separate.append(name)
    return separate, left_out
