"""Means over images with patients as clusters, against statsmodels' cluster-robust regressions and simulated coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from xrbench.errors import MeasureError
from xrbench.statistics.clustered import clustered_difference, clustered_mean


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
