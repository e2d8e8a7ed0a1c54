"""Reliability in bins: bins are scikit-learn's, they make the metric's error, and intervals count patients."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.calibration import calibration_curve
from statsmodels.stats.proportion import proportion_confint

from xrbench.metrics import expected_calibration_error
from xrbench.statistics.clinical.roc_and_calibration_curves import reliability_bins

Floats = npt.NDArray[np.float64]


def draw(images: int = 400) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(1)
    score = rng.random(images)
    return (rng.random(images) < score**1.5).astype(float), score


def test_bins_are_those_of_scikit_learn() -> None:
    truth, score = draw()
    found = reliability_bins(truth, score, bins=10)
    share, mean = calibration_curve(truth, score, n_bins=10)
    assert found["share"].to_numpy() == pytest.approx(share)
    assert found["mean_score"].to_numpy() == pytest.approx(mean)
    assert found["images"].sum() == 400


def test_the_bins_make_the_expected_calibration_error() -> None:
    truth, score = draw()
    found = reliability_bins(truth, score, bins=15)
    gap = (found["images"] * (found["share"] - found["mean_score"]).abs()).sum() / found["images"].sum()
    assert gap == pytest.approx(expected_calibration_error(truth, score))


def test_images_of_their_own_have_nearly_wilsons_interval() -> None:
    """Without patients the effective number is n - 1, which is a hair wider than statsmodels' interval of n images."""
    truth, score = draw(4000)
    found = reliability_bins(truth, score, bins=5)
    low, high = proportion_confint(found["positive"], found["images"], method="wilson")
    assert found["low"].to_numpy() == pytest.approx(np.asarray(low), abs=1e-3)
    assert found["high"].to_numpy() == pytest.approx(np.asarray(high), abs=1e-3)


def test_copies_of_images_add_nothing_to_their_patients() -> None:
    truth, score = draw()
    patient = np.arange(400)
    once = reliability_bins(truth, score, patient)
    again = reliability_bins(np.tile(truth, 4), np.tile(score, 4), np.tile(patient, 4))
    assert again["low"].to_numpy() == pytest.approx(once["low"].to_numpy())
    assert again["images"].tolist() == (4 * once["images"]).tolist()
    assert again["patients"].tolist() == once["patients"].tolist()


def test_where_all_images_agree_each_patient_counts_once() -> None:
    """Wilson's lower end at a share of 1 is n / (n + t ** 2), with Student's quantile for n - 1 = 2 degrees of freedom."""
    found = reliability_bins([1, 1, 1, 1, 1], [0.9] * 5, ["p", "p", "q", "q", "r"], bins=2)
    assert found["low"].isna().tolist() == [True, False]
    assert found["low"].iloc[1] == pytest.approx(3 / (3 + 4.302653**2), abs=1e-6)
    assert found["high"].iloc[1] == 1


def test_intervals_hold_their_level_in_clustered_images() -> None:
    held = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        patient = np.repeat(np.arange(40), rng.integers(1, 5, 40))
        own, shared = rng.random(len(patient)), rng.random(40)[patient]
        truth = np.where(rng.random(len(patient)) < 0.5, shared, own) < 0.3
        row = reliability_bins(truth, np.full(len(patient), 0.9), patient, bins=1).iloc[0]
        held += row["low"] <= 0.3 <= row["high"]
    assert 0.91 < held / 300 < 0.99


def test_a_score_on_an_edge_belongs_above_and_one_to_the_last_bin() -> None:
    found = reliability_bins([1, 0, 1], [0.5, 0.49, 1.0], bins=2)
    assert found["images"].tolist() == [1, 2]
