"""Gaps of the AUC in two parts: the external hospital's case mix, and the rest.

Each external cell is set against the internal cells of the same fit. The case mix is what the suite names: columns of the predictions,
and ``findings`` for the other labels. It is about these networks: patients vary, trainings do not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xrbench import statistics
from xrbench.analyses.inputs import Material
from xrbench.analyses.rows import Row
from xrbench.runs.run_cell import HEAD, RunCell

FINDINGS = "findings"
PARTS = ("case_mix", "case_mix_low", "case_mix_high", "rest", "rest_low", "rest_high")
OVERLAP = ("effective_positive", "effective_negative", "imbalance")
COLUMNS = (
    *(*HEAD, "internal_test", "label", "metric", "value", "internal", "expected", "external"),
    *(*PARTS, *OVERLAP, "used", "left_out", "level", "n_positive", "n_negative"),
)


def pairs(material: Material) -> list[tuple[RunCell, RunCell]]:
    """Pair the internal and external cells of each fit, where the weights have not seen the external images."""
    internal = material.cells("internal")
    external = [cell for cell in material.cells("external") if not cell.seen]
    return [(inside, outside) for outside in external for inside in internal if inside.fit == outside.fit]


def rows_of(material: Material, inside: RunCell, outside: RunCell) -> list[Row]:
    """Split the gap of each label.

    Returns:
        One row a label: ``value`` is the gap, internal minus external; ``expected`` the AUC of internal images with the external case
        mix; ``n_positive`` and ``n_negative`` count internal images.

    Raises:
        MeasureError: Predictions are missing.
    """
    variables = [name for name in material.suite.analyses.case_mix if name != FINDINGS]
    mixes = [_mix(material.frame(cell), variables) for cell in (inside, outside)]
    parts = statistics.case_mix_gap(
        material.predictions(inside),
        material.predictions(outside),
        internal_mix=mixes[0],
        external_mix=mixes[1],
        co_findings=FINDINGS in material.suite.analyses.case_mix,
        level=material.level,
    )
    return [
        {
            **outside.head,
            "internal_test": inside.test,
            "label": row.label,
            "metric": "auc",
            "value": row.gap,
            **{name: getattr(row, name) for name in ("internal", "expected", "external", *PARTS, *OVERLAP, "level")},
            "used": ", ".join(row.used),
            "left_out": ", ".join(row.left_out),
            "n_positive": row.positive,
            "n_negative": row.negative,
            "reason": row.reason,
            "caution": row.caution,
        }
        for row in parts
    ]


def _mix(frame: pd.DataFrame, variables: Sequence[str]) -> dict[str, np.ndarray[tuple[int], np.dtype[np.object_]]]:
    """Take the case-mix variables out of predictions; one without a column is unknown in every image."""
    blank = np.full(len(frame), None, object)
    return {name: frame[name].to_numpy(object) if name in frame else blank for name in variables}
