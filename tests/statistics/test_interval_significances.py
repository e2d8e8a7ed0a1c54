"""Intervals at the level of a family exclude the null value exactly where the adjusted test rejects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrbench.statistics.inference.multiple_testing import adjust, interval_significances

P = st.lists(st.one_of(st.floats(1e-12, 1.0), st.just(float("nan"))), min_size=1, max_size=12)


@given(P, st.sampled_from(["holm", "bh"]), st.sampled_from([0.05, 0.1]))
def test_interval_and_adjusted_p_value_agree(pvalues: list[float], method: str, significance: float) -> None:
    adjusted, levels = adjust(pvalues, method), interval_significances(pvalues, method, significance=significance)
    for p, of_family, level in zip(pvalues, adjusted, levels, strict=True):
        if np.isnan(p):
            assert np.isnan(level)
        elif abs(of_family - significance) > 1e-9:
            # an interval at a significance excludes the null value where the p-value is below it
            assert (p < level) == (of_family < significance)


def test_a_family_of_one_keeps_its_level() -> None:
    assert interval_significances([0.2]).tolist() == [0.05]
    assert interval_significances([0.2], significance=0.1).tolist() == [0.1]


def test_a_family_in_which_nothing_is_shown_is_bonferronis() -> None:
    assert interval_significances([0.2, 0.5, 0.9, 0.3]) == pytest.approx([0.0125] * 4)
