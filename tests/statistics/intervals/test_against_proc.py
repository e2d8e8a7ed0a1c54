"""AUC, DeLong's variance, interval and paired test against R's pROC; ``reference/proc.R`` made the values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xrbench import metrics, statistics

HERE = Path(__file__).parent / "reference"
DATA = pd.read_csv(HERE / "proc_data.csv")
VALUES = pd.read_csv(HERE / "proc_values.csv", comment="#", keep_default_na=False)
SETS = ("aSAH", "ties")


def expected(name: str, what: str) -> dict[tuple[str, str], float]:
    rows = VALUES[(VALUES["set"] == name) & (VALUES["what"] == what)]
    keys = zip(rows["first"].astype(str), rows["second"].astype(str), strict=True)
    return dict(zip(keys, rows["value"].astype(float), strict=True))


@pytest.mark.parametrize("name", SETS)
def test_auc_variance_and_interval(name: str) -> None:
    part: Any = DATA[DATA["set"] == name]
    for (column, _), auc in expected(name, "auc").items():
        assert metrics.auc(part["truth"], part[column]) == pytest.approx(auc, abs=1e-12)
        found = statistics.delong(part["truth"], part[column])
        variance = expected(name, "variance")[column, ""]
        assert found.covariance[0, 0] == pytest.approx(variance, rel=1e-10)
        for level in (0.9, 0.95, 0.99):
            low, high = statistics.delong_interval(part["truth"], part[column], level=level, logit=False)
            assert low == pytest.approx(expected(name, f"low {level:g}")[column, ""], abs=1e-10)
            assert min(high, 1.0) == pytest.approx(expected(name, f"high {level:g}")[column, ""], abs=1e-10)


@pytest.mark.parametrize("name", SETS)
def test_paired_test(name: str) -> None:
    part: Any = DATA[DATA["set"] == name]
    for (a, b), z in expected(name, "z").items():
        found = statistics.delong_test(part["truth"], part[a], part[b])
        assert -found.z == pytest.approx(z, abs=1e-10)
        assert found.p == pytest.approx(expected(name, "p")[a, b], abs=1e-10)
        both = statistics.delong(part["truth"], np.stack([part[a], part[b]], axis=1)).covariance
        assert both[0, 1] == pytest.approx(expected(name, "covariance")[a, b], rel=1e-10)
