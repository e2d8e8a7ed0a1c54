from __future__ import annotations

import pytest

from xrbench.metrics import parse
from xrbench.statistics.intervals.interval_kinds import applicable_kind


@pytest.mark.parametrize(
    ("kind", "metric", "mean", "expected"),
    [
        ("default", "auc", False, "jackknife"),
        ("default", "recall@specificity=0.9", False, "wilson"),
        ("default", "recall@specificity=0.9", True, "jackknife"),
        ("default", "ppv@specificity=0.9,prevalence=0.1", False, "jackknife"),
        ("delong", "auc", False, "delong"),
        ("delong", "auc", True, "jackknife"),
        ("delong", "accuracy@threshold=0.5", False, "wilson"),
        ("wilson", "brier", False, "jackknife"),
        ("stratified", "auc", True, "jackknife"),
        ("bootstrap", "auc", True, "bootstrap"),
    ],
)
def test_a_kind_that_does_not_apply_gives_way(kind: str, metric: str, mean: bool, expected: str) -> None:
    assert applicable_kind(kind, parse(metric), mean=mean) == expected
