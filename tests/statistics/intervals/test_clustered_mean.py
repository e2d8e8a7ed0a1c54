"""Means over images with patients as clusters, against statsmodels' cluster-robust regressions and simulated coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from xrbench.errors import MeasureError
from xrbench.statistics.intervals.clustered_mean import clustered_difference, clustered_mean


def drawn(seed: int, patients: int, *, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw right and wrong images of patients who tend to be the one or the other."""
    generator = np.random.default_rng(seed)
    skill = generator.normal(0.5, 1.0, patients)
    owner = np.repeat(np.arange(patients), generator.integers(1, 6, patients))
    return (generator.normal(skill[owner]) > 0).astype(float), owner + first


def cluster_robust(design: np.ndarray, values: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Take statsmodels' error without its factor for the number of regressors, times n / (n - 1) for clusters."""
    fitted = sm.OLS(values, design).fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False})
    number = len(np.unique(groups))
    return float(fitted.params[-1]), float(fitted.bse[-1]) * math.sqrt(number / (number - 1))


def test_a_mean_is_the_cluster_robust_one() -> None:
    values, patient = drawn(3, 80)
    found = clustered_mean(values, patient)
    value, error = cluster_robust(np.ones((len(values), 1)), values, patient)
    assert found.value == pytest.approx(value)
    assert found.error == pytest.approx(error)
    assert (found.n_images, found.n_patients, found.unit) == (len(values), 80, "patient")


@pytest.mark.parametrize("shared", [0, 40, 80])
def test_a_difference_is_the_cluster_robust_one_whoever_is_shared(shared: int) -> None:
    a, of_a = drawn(4, 80)
    b, of_b = drawn(5, 80, first=80 - shared)
    found = clustered_difference(a, of_a, b, of_b)
    side = np.r_[np.ones(len(a)), np.zeros(len(b))]
    design = np.column_stack([np.ones(len(side)), side])
    value, error = cluster_robust(design, np.r_[a, b], np.r_[of_a, of_b])
    assert found.value == pytest.approx(value)
    assert found.error == pytest.approx(error)
    assert found.n_patients == 160 - shared


def test_one_image_a_patient_is_the_one_sample_t_test() -> None:
    values = np.random.default_rng(6).normal(0.2, 1.0, 500)
    found = clustered_mean(values)
    assert found.error == pytest.approx(stats.sem(values))
    # Degrees of freedom are estimated; with normal values they are near n - 1.
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=0.05)
    assert found.unit == "image"


def test_the_same_side_twice_differs_by_nothing() -> None:
    values, patient = drawn(7, 30)
    found = clustered_difference(values, patient, values, patient)
    assert (found.value, found.error, found.p) == (0.0, 0.0, 1.0)


def test_interval_and_p_value_agree() -> None:
    for seed in range(20):
        values, patient = drawn(seed, 25)
        found = clustered_mean(values - 0.6, patient)
        assert (found.low > 0 or found.high < 0) == (found.p < 0.05)


def test_intervals_hold_their_level() -> None:
    covered, truth = 0, stats.norm.cdf(0.5 / math.sqrt(2))
    for seed in range(400):
        values, patient = drawn(seed, 60)
        found = clustered_mean(values, patient)
        covered += found.low <= truth <= found.high
    # Four errors of the simulation around 95 %.
    assert abs(covered / 400 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 400)


def test_what_has_no_error_says_so() -> None:
    alike = clustered_mean([1, 1, 1], ["a", "b", "c"])
    assert (alike.value, alike.error) == (1.0, 0.0)
    assert math.isnan(alike.low)
    assert math.isnan(alike.p)
    assert math.isnan(clustered_mean([1, 0], ["a", "a"]).error)
    assert math.isnan(clustered_mean([math.nan], ["a"]).value)
    assert math.isnan(clustered_difference([1, 0], None, [], None).value)


def test_unlabelled_images_do_not_count() -> None:
    with_gaps = clustered_mean([1, math.nan, 0, 0], ["a", "b", "c", "d"])
    assert with_gaps == clustered_mean([1, 0, 0], ["a", "c", "d"])


def test_patients_must_fit() -> None:
    with pytest.raises(MeasureError):
        clustered_difference([1, 0], ["a"], [1], ["b", "c"])


def test_a_share_without_spread_is_judged_exactly() -> None:
    # Ten patients, all right, as ten coins that all show heads.
    found = clustered_mean(np.ones(20), np.repeat(np.arange(10), 2), null=0.5, share=True)
    exact = stats.binomtest(10, 10, 0.5)
    low, high = exact.proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p == pytest.approx(exact.pvalue)
    wrong = clustered_mean(np.zeros(7), null=0.2, share=True)
    assert wrong.high == pytest.approx(stats.binomtest(0, 7, 0.2).proportion_ci(0.95, method="exact").high)
    assert wrong.value == 0.0


def test_wholly_different_shares_by_hand() -> None:
    # One success and one failure more on each side: 13/14 and 1/11.
    found = clustered_difference(np.ones(12), None, np.zeros(9), None, share=True)
    error = math.sqrt(13 / 14 * 1 / 14 / 14 + 1 / 11 * 10 / 11 / 11)
    assert found.error == pytest.approx(error)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(13 / 14 - 1 / 11 - stats.norm.ppf(0.975) * error, abs=1e-4)
    assert found.p < 0.01
    # Two against two prove nothing: Fisher's test gives 1/3.
    assert clustered_difference(np.ones(2), None, np.zeros(2), None, share=True).p > 0.05


def test_one_side_without_spread_does_not_make_the_difference_sure() -> None:
    some = np.array([1.0, 0, 1, 1, 0, 1, 1, 0])
    found = clustered_difference(np.ones(5), None, some, None, share=True)
    without = clustered_difference(np.ones(5), None, some, None)
    assert found.value == without.value == 0.375
    assert found.error > without.error
    assert found.p > without.p


def test_shares_with_spread_are_as_without_the_word() -> None:
    values, patient = drawn(11, 40)
    plain, share = clustered_mean(values, patient), clustered_mean(values, patient, share=True)
    assert (plain.value, plain.error, plain.p) == (share.value, share.error, share.p)


def test_intervals_of_shares_near_1_are_there_for_every_draw() -> None:
    covered, truth, patients = 0, 0.97, 30
    for seed in range(400):
        values = (np.random.default_rng(seed).random(patients) < truth).astype(float)
        found = clustered_mean(values, share=True)
        covered += found.low <= truth <= found.high
    # All 30 are right in 40 % of the draws; without the exact interval, these had none at all.
    assert covered / 400 > 0.85
