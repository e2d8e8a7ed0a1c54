from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xrbench import statistics

Floats = npt.NDArray[np.float64]
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def samples(draw: Any) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Draw up to 60 images of up to 20 patients, with both classes and ties."""
    rows = draw(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8), st.integers(0, 19)), min_size=8, max_size=60))
    table = np.array([*rows, (1, 5, 0), (1, 2, 1), (0, 4, 2), (0, 3, 3)])
    return table[:, 0].astype(float), table[:, 1] / 8, table[:, 2]


def ends(truth: Floats, score: Floats, patient: Any, **options: Any) -> tuple[float, float, float]:
    row = statistics.estimate(truth, score, patient, labels=["a"], replicates=64, **options)[0]
    return row.value, row.low, row.high


@QUICK
@given(samples(), st.sampled_from(["default", "bootstrap", "bca", "delong"]))
def test_only_the_order_of_scores_counts(data: tuple[Floats, Floats, Any], kind: str) -> None:
    truth, score, patient = data
    assert ends(truth, score, patient, kind=kind) == pytest.approx(
        ends(truth, np.exp(score) - 4, patient, kind=kind), abs=1e-12, nan_ok=True
    )


@QUICK
@given(samples())
def test_flipped_labels_mirror_the_interval(data: tuple[Floats, Floats, Any]) -> None:
    truth, score, patient = data
    for kind in ("bootstrap", "delong"):
        value, low, high = ends(truth, score, patient, kind=kind)
        mirrored = ends(1 - truth, score, patient, kind=kind)
        assert mirrored == pytest.approx((1 - value, 1 - high, 1 - low), abs=1e-9, nan_ok=True)


@QUICK
@given(samples(), st.randoms(use_true_random=False))
def test_row_order_and_names_of_patients_mean_nothing(data: tuple[Floats, Floats, Any], random: Any) -> None:
    truth, score, patient = data
    order = list(range(len(truth)))
    random.shuffle(order)
    names = np.array([f"id {19 - code}" for code in patient])
    assert ends(truth[order], score[order], names[order]) == pytest.approx(
        ends(truth, score, patient), abs=1e-9, nan_ok=True
    )


@QUICK
@given(samples(), st.integers(2, 3))
def test_an_image_listed_again_teaches_nothing(data: tuple[Floats, Floats, Any], times: int) -> None:
    """Every image of every patient several times: the same value and the same interval."""
    truth, score, patient = data
    again = [np.repeat(part, times) for part in data]
    for kind in ("default", "bootstrap", "delong"):
        assert ends(again[0], again[1], again[2], kind=kind) == pytest.approx(
            ends(truth, score, patient, kind=kind), abs=1e-9, nan_ok=True
        )


@QUICK
@given(samples())
def test_intervals_hold_their_value(data: tuple[Floats, Floats, Any]) -> None:
    for kind in ("default", "bootstrap", "delong"):
        value, low, high = ends(*data, kind=kind)
        if not math.isnan(low):
            assert low <= high
            assert low >= 0
            assert high <= 1
        if kind != "bootstrap" and not math.isnan(low):
            assert low - 1e-9 <= value <= high + 1e-9


@QUICK
@given(samples(), st.integers(0, 2**31))
def test_p_and_interval_agree(data: tuple[Floats, Floats, Any], seed: int) -> None:
    truth, score, patient = data
    other = score + np.random.default_rng(seed).normal(scale=0.3, size=len(score))
    cell = statistics.PairedCell("x", truth, score, other, patient)
    row = statistics.compare([cell], labels=["a"], replicates=64)[0]
    if not math.isnan(row.p) and abs(row.p - 0.05) > 1e-6:
        assert (row.p < 0.05) == (row.low > 0 or row.high < 0)
        assert row.low <= row.difference <= row.high
