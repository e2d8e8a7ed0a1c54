"""What each setting can tell apart: every two methods on the same patients, and the smallest difference that would show.

No figure is called the best of a column by less than this.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

from xrbench.compare.differences import Row as Difference
from xrbench.compare.differences import Settings, section
from xrbench.compare.pairs import CellRow, Pair, cells_of, facing, labels_of
from xrbench.errors import XrbenchError
from xrbench.judging.rows import COUNTS, FIGURE, NAN, Row, nothing
from xrbench.judging.samples import Material

COLUMNS = (
    *("setting", "train", "valid", "test", "protocol", "challenger", "model", "baseline", "other"),
    *(*FIGURE, "error", "p", "detectable", "n_settings", *COUNTS),
)
Family = tuple[str, str, str, list[Pair]]


def families(material: Material) -> list[Family]:
    """Pair the cells of every two methods, setting by setting: challenger, baseline, setting, pairs of cells (one a seed).

    Cells on images that the weights have seen are left out.
    """
    cells = [cell for cell in cells_of(material.results) if cell.protocol == "external" and not cell.seen]
    methods = tuple(dict.fromkeys(cell.method for cell in cells))
    found: dict[tuple[str, str, str, str, str], list[Pair]] = {}
    for baseline, challenger in combinations(methods, 2):
        for pair in facing(cells, challenger, baseline):
            name = pair.b.setting or pair.a.setting or pair.b.test
            found.setdefault((challenger, baseline, pair.b.model, pair.a.model, name), []).append(pair)
    return [(key[0], key[1], key[4], pairs) for key, pairs in found.items()]


def metrics_of(material: Material) -> tuple[str, ...]:
    """Name the metrics whose figures stand in the suite's tables of settings; else the first metric."""
    named = (layout.metric for layout in material.suite.tables if layout.kind == "settings")
    measured = set(material.suite.metrics)
    return tuple(dict.fromkeys(name for name in named if name in measured)) or (material.metric,)


def rows_of(material: Material, family: Family) -> list[Row]:
    """Subtract the baseline from the challenger in one setting, paired over patients.

    Returns:
        One row a metric and label (and their mean): the difference with its interval and p-value (of this setting alone, not
        adjusted), and the smallest true difference that such data would show with 80 % power. Without predictions the interval is
        ``normal``, from the widths of both figures' intervals.
    """
    challenger, baseline, setting, pairs = family
    first = pairs[0]
    head = {"setting": setting, "challenger": challenger, "baseline": baseline, "protocol": "external"}
    head |= {"model": first.b.model, "other": first.a.model, **_trained(first.b if first.b.train else first.a)}
    found: list[Row] = []
    for metric in metrics_of(material):
        how = Settings(metric, 0.0, material.level, replicates=1)
        try:
            part = section("", pairs, material.results, material.results, labels_of(material.results), how)
        except XrbenchError as error:
            found.append({**head, **nothing(str(error), metric=metric, label="")})
            continue
        how_known = "jackknife" if part.paired else "normal"
        found += [{**head, **_row(row, metric, material.level), "interval": how_known} for row in part.rows]
    return found


def _trained(cell: CellRow) -> dict[str, Any]:
    return {"train": cell.train, "valid": cell.valid, "test": cell.test}


def _row(row: Difference, metric: str, level: float) -> Row:
    counts = {name: getattr(row, name) for name in ("n_positive", "n_negative", "n_patients", "n_images")}
    ends = {"value": row.difference, "low": row.low, "high": row.high, "error": row.error, "p": row.p}
    words = {"reason": row.reason, "caution": row.caution}
    about = {"metric": metric, "label": row.label, "level": level, "n_settings": row.settings}
    return {**about, **ends, **counts, **words, "detectable": row.detectable}


def detectable(rows: Any) -> dict[tuple[str, str, str, str, str], float]:
    """Look up the smallest detectable difference: (setting, metric, label, method, method), in either order of methods."""
    found = {}
    for row in rows.to_dict("records"):
        where = (row["setting"], row["metric"], row["label"])
        value = float(row["detectable"]) if row["detectable"] == row["detectable"] else NAN
        for a, b in ((row["challenger"], row["baseline"]), (row["baseline"], row["challenger"])):
            found[(*where, a, b)] = value
    return found
