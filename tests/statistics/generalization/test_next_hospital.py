"""Random effects over hospitals, against metafor in R (a published worked example among them) and statsmodels."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special
from statsmodels.stats.meta_analysis import combine_effects

from xrbench import statistics
from xrbench.errors import MeasureError, UsageError

REFERENCE = Path(__file__).parent / "reference"
DATA, VALUES = (pd.read_csv(REFERENCE / f"metafor_{name}.csv") for name in ("data", "values"))
PLAIN = (-math.inf, math.inf)


@pytest.mark.parametrize("name", list(DATA["set"].unique()))
def test_metafor_agrees(name: str) -> None:
    part = DATA[DATA["set"] == name]
    row = statistics.next_hospital(list(zip(part["effect"], part["variance"], strict=True)), scale=PLAIN)
    expected = VALUES[VALUES["set"] == name].set_index("what")["value"]
    # metafor ends its search for tau2 at a thousandth of a standard error.
    for what, value in expected.items():
        assert getattr(row, str(what)) == pytest.approx(value, rel=1e-3, abs=1e-3), what
    assert (row.df, row.hospitals) == (len(part) - 1, len(part))


def test_the_published_values_of_the_vaccine_trials() -> None:
    part = DATA[DATA["set"] == "bcg"]
    row = statistics.next_hospital(list(zip(part["effect"], part["variance"], strict=True)), scale=PLAIN)
    # Viechtbauer 2010, J Stat Softw 36(3): Q(12) = 152.23; REML's tau2 0.3132 and I2 92.22 % are near Paule and Mandel's.
    assert row.q == pytest.approx(152.2330, abs=1e-4)
    assert row.tau**2 == pytest.approx(0.3181, abs=1e-4)
    assert row.i2 == pytest.approx(0.9233, abs=1e-4)


@pytest.mark.parametrize("name", ["bcg", "five", "two"])  # of "three" its search ends at 0, metafor's does not
def test_statsmodels_agrees(name: str) -> None:
    part = DATA[DATA["set"] == name]
    effect, variance = part["effect"].to_numpy(), part["variance"].to_numpy()
    row = statistics.next_hospital(list(zip(effect, variance, strict=True)), scale=PLAIN)
    other = combine_effects(effect, variance, method_re="iterated", use_t=True, atol=1e-13, maxiter=10_000)
    assert row.tau**2 == pytest.approx(other.tau2, rel=1e-6)
    assert row.mean == pytest.approx(other.mean_effect_re, rel=1e-6)
    error = other.sd_eff_w_re_hksj
    assert (row.high - row.low) / 2 == pytest.approx(special.stdtrit(row.df, 0.975) * error, rel=1e-5)
    assert row.q == pytest.approx(other.q, rel=1e-9)


def test_aucs_are_taken_on_the_logit() -> None:
    aucs, errors = np.array([0.75, 0.82, 0.9]), np.array([0.02, 0.03, 0.01])
    row = statistics.next_hospital(list(zip(aucs, errors**2, strict=True)))
    logits = special.logit(aucs), (errors / (aucs * (1 - aucs))) ** 2
    plain = statistics.next_hospital(list(zip(*logits, strict=True)), scale=PLAIN)
    assert (row.tau, row.i2, row.q) == (plain.tau, plain.i2, plain.q)
    for name in ("mean", "low", "high", "next_low", "next_high"):
        assert getattr(row, name) == pytest.approx(special.expit(getattr(plain, name)), abs=1e-12)
    assert 0 < row.next_low < row.low < row.mean < row.high < row.next_high < 1


def test_few_hospitals_are_said_to_show_little() -> None:
    two = statistics.next_hospital([(0.8, 0.0004), (0.9, 0.0004)])
    assert two.next_high - two.next_low > 0.99
    assert "2 hospitals hardly show" in two.caution
    assert "1 degree of freedom" in two.caution
    four = statistics.next_hospital([(0.8, 0.0004), (0.9, 0.0004), (0.85, 0.0004), (0.82, 0.0004)])
    assert "3 degrees of freedom" in four.caution
    assert statistics.next_hospital([(0.8 + 0.01 * i, 0.0004) for i in range(5)]).caution == ""
    one = statistics.next_hospital([(0.8, 0.0004), (math.nan, 0.1), (0.9, math.nan), (1.0, 0.0)])
    assert (one.mean, one.hospitals) == (0.8, 1)
    assert math.isnan(one.next_low)
    assert one.reason == "one hospital cannot show how much hospitals differ"
    nobody = statistics.next_hospital([])
    assert math.isnan(nobody.mean)
    assert nobody.reason == "no hospital has a value that can show how much hospitals differ"


def test_bad_input_is_refused() -> None:
    with pytest.raises(MeasureError, match="below 0"):
        statistics.next_hospital([(0.8, -0.1), (0.9, 0.1)])
    with pytest.raises(UsageError, match="level"):
        statistics.next_hospital([(0.8, 0.1), (0.9, 0.1)], level=95)


@given(st.lists(st.tuples(st.floats(0.55, 0.98), st.floats(1e-5, 0.01)), min_size=2, max_size=8))
def test_intervals_hold_the_mean_and_do_not_depend_on_the_order(figures: list[tuple[float, float]]) -> None:
    row, back = statistics.next_hospital(figures), statistics.next_hospital(figures[::-1])
    assert row.next_low <= row.low <= row.mean <= row.high <= row.next_high
    assert (row.mean, row.tau, row.next_low) == pytest.approx((back.mean, back.tau, back.next_low), abs=1e-9)
    assert 0 <= row.i2 <= 1
    values = [value for value, _ in figures]
    assert min(values) - 1e-9 <= row.mean <= max(values) + 1e-9
