"""Adjusted p-values against statsmodels, and without its full collection of garbage in every call."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from xrbench import statistics

THEIRS = {"holm": "holm", "bh": "fdr_bh"}


@pytest.mark.parametrize("method", THEIRS)
@pytest.mark.parametrize("number", [1, 2, 7, 40])
def test_adjusted_p_values_are_those_of_statsmodels(method: str, number: int) -> None:
    rng = np.random.default_rng(number)
    for _ in range(5):
        raw = np.round(rng.random(number) ** 3, 2)  # rounded, so that some tie, and some are 0
        np.testing.assert_allclose(
            statistics.adjust(raw, method), multipletests(raw, method=THEIRS[method])[1], atol=1e-15
        )


def test_no_collection_is_started_for_a_handful_of_numbers() -> None:
    before = [generation["collections"] for generation in gc.get_stats()][2]
    for _ in range(20):
        statistics.adjust([0.01, 0.2, 0.5])
    assert [generation["collections"] for generation in gc.get_stats()][2] == before
