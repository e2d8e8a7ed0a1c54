"""ROC curves agree with scikit-learn's, and their bands hold the level over patients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from sklearn.metrics import roc_curve

from xrbench import metrics
from xrbench.errors import MeasureError, UsageError
from xrbench.statistics.clinical.roc_and_calibration_curves import RocBand, roc_band
from xrbench.statistics.intervals.formulas import wilson

Make = Callable[..., Any]
Floats = npt.NDArray[np.float64]


def reference(truth: Floats, score: Floats, at: float) -> float:
    """Read the height of scikit-learn's curve: straight between its points, the upper end where it climbs straight up."""
    fpr, tpr, _ = roc_curve(truth, score, drop_intermediate=False)
    left = int(np.flatnonzero(fpr <= at + 1e-12)[-1])
    if left == len(fpr) - 1:
        return float(tpr[-1])
    return float(tpr[left] + (at - fpr[left]) / (fpr[left + 1] - fpr[left]) * (tpr[left + 1] - tpr[left]))


@pytest.mark.parametrize("digits", [0, 1, 12])
@pytest.mark.parametrize("images", [2, 9, 400])
def test_the_curve_is_that_of_scikit_learn(images: int, digits: int) -> None:
    rng = np.random.default_rng(images + digits)
    truth = (rng.random(images) < 0.4).astype(float)
    truth[:2] = 1, 0
    score = np.round(rng.normal(size=images) + truth, digits)
    band = roc_band(truth, score, replicates=0)
    assert band.tpr == pytest.approx([reference(truth, score, at) for at in band.fpr], abs=1e-9)
    assert np.isnan(band.low).all()


@pytest.mark.parametrize("negatives", [10, 100])
def test_rates_at_the_curves_own_corners_are_exact(negatives: int) -> None:
    """0.3 x 10 is above 3 to a computer, and 0.29 x 100 below 29; the corner belongs to them all the same."""
    truth = [0, 1] * negatives
    score = [-i for i in range(2 * negatives)]
    corners = np.arange(negatives + 1) / negatives
    assert roc_band(truth, score, grid=negatives + 1, replicates=0).tpr == pytest.approx(corners)


def test_the_area_below_a_fine_curve_is_the_auc(draw_images: Make) -> None:
    drawn = draw_images(3, 150)
    truth, score = drawn.truth[:, 0], drawn.score[:, 0]
    band = roc_band(truth, score, grid=20001, replicates=0)
    assert np.trapezoid(band.tpr, band.fpr) == pytest.approx(metrics.auc(truth, score), abs=1e-3)


def test_rows_without_a_label_do_not_count(draw_images: Make) -> None:
    drawn = draw_images(4, 80, masked=0.3)
    truth, score = drawn.truth[:, 0], drawn.score[:, 0]
    known = ~np.isnan(truth)
    score[~known] = np.nan
    whole, part = roc_band(truth, score, replicates=0), roc_band(truth[known], score[known], replicates=0)
    assert np.array_equal(whole.tpr, part.tpr)


def test_replicates_are_those_of_whole_patients(draw_images: Make) -> None:
    """Every image three times under its patient's id changes nothing; three times under other ids makes the band narrower."""
    drawn = draw_images(5, 60)
    truth, score, patient = drawn.truth[:, 0], drawn.score[:, 0], drawn.patient
    once = roc_band(truth, score, patient, replicates=200, seed=1)
    thrice = roc_band(np.tile(truth, 3), np.tile(score, 3), np.tile(patient, 3), replicates=200, seed=1)
    strangers = roc_band(
        np.tile(truth, 3), np.tile(score, 3), np.concatenate([patient, patient + 1000, patient + 2000]), replicates=200
    )
    assert thrice.low == pytest.approx(once.low)
    assert thrice.high == pytest.approx(once.high)
    assert np.mean(strangers.high - strangers.low) < 0.75 * np.mean(once.high - once.low)


def test_the_band_is_percentiles_of_resampled_curves(draw_images: Make) -> None:
    """Resample patients by hand, with NumPy's own generator: the same percentiles within the error of simulation."""
    drawn = draw_images(6, 120)
    truth, score, patient = drawn.truth[:, 0], drawn.score[:, 0], drawn.patient
    grid = [0.1, 0.3, 0.5]
    rng, curves = np.random.default_rng(0), []
    rows = [np.flatnonzero(patient == each) for each in range(120)]
    for _ in range(600):
        taken = np.concatenate([rows[each] for each in rng.integers(0, 120, 120)])
        curves.append([reference(truth[taken], score[taken], at) for at in grid])
    band = roc_band(truth, score, patient, grid=grid, replicates=2000, seed=2)
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    assert band.low == pytest.approx(low, abs=0.04)
    assert band.high == pytest.approx(high, abs=0.04)


def test_where_all_replicates_agree_the_band_is_wilsons_interval_of_the_patients() -> None:
    truth, patient = np.repeat([1, 1, 0, 0], 10), np.repeat(np.arange(20), 2)
    band = roc_band(truth, truth + 0.1, patient, grid=[0.3, 0.6], replicates=200)
    assert band.tpr.tolist() == [1, 1]
    assert band.low == pytest.approx([wilson(1.0, 10, 0.95)[0]] * 2)
    assert band.high.tolist() == [1, 1]


def test_threads_change_nothing_and_seeds_do(draw_images: Make) -> None:
    drawn = draw_images(7, 60)
    arguments = (drawn.truth[:, 0], drawn.score[:, 0], drawn.patient)
    one, two = (roc_band(*arguments, replicates=200, seed=3, threads=threads) for threads in (1, 2))
    other = roc_band(*arguments, replicates=200, seed=4)
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(one.low, other.low)


@pytest.mark.parametrize("seed", range(4))
def test_the_band_rises_holds_the_curve_and_grows_with_the_level(seed: int, draw_images: Make) -> None:
    drawn = draw_images(seed, 30)
    arguments = (drawn.truth[:, 0], drawn.score[:, 0], drawn.patient)
    narrow, wide = (roc_band(*arguments, replicates=200, level=level) for level in (0.8, 0.99))
    for band in (narrow, wide):
        assert all((np.diff(line) >= 0).all() for line in (band.tpr, band.low, band.high))
        assert (band.low <= band.tpr).all()
        assert (band.tpr <= band.high).all()
        assert band.low[0] == 0
        assert band.low.min() >= 0
        assert band.high.max() <= 1
    assert (wide.low <= narrow.low).all()
    assert (wide.high >= narrow.high).all()


def test_each_point_holds_its_level_in_clustered_data() -> None:
    """Two images a patient that share most of their noise: the true curve is normal.sf(normal.isf(fpr) - shift)."""
    patients, repeats, grid = 80, 150, [0.05, 0.2, 0.5, 0.9]
    positive = np.repeat(np.arange(patients) < 30, 2)
    patient = np.repeat(np.arange(patients), 2)
    true = stats.norm.sf(stats.norm.isf(grid) - 1.2)
    held = np.zeros(len(grid))
    for number in range(repeats):
        rng = np.random.default_rng(number)
        noise = np.sqrt(0.8) * rng.normal(size=patients)[patient] + np.sqrt(0.2) * rng.normal(size=2 * patients)
        band = roc_band(positive, 1.2 * positive + noise, patient, grid=grid, replicates=200, seed=number)
        held += (band.low <= true) & (true <= band.high)
    assert (held / repeats > 0.9).all()
    assert held[1] / repeats < 0.995


def test_without_both_classes_there_is_no_curve() -> None:
    for truth in ([1.0, 1.0], [0.0, np.nan], [np.nan, np.nan], []):
        band = roc_band(truth, [0.5] * len(truth), grid=3)
        assert all(np.isnan(line).all() for line in band[1:])
        assert band.fpr.tolist() == [0, 0.5, 1]


def test_one_positive_patient_has_a_curve_but_no_band() -> None:
    """A third of the replicates miss the patient."""
    band: RocBand = roc_band([1, 0, 0, 0], [0.9, 0.1, 0.2, 0.95], grid=3, replicates=200)
    assert band.tpr.tolist() == [0, 1, 1]
    assert np.isnan(band.low).all()
    assert np.isnan(band.high).all()


def test_unusable_words_are_one_line() -> None:
    with pytest.raises(MeasureError, match="row 1: the score is NaN"):
        roc_band([1, 0], [0.5, np.nan])
    with pytest.raises(UsageError, match="grid 1: expected at least 2 points"):
        roc_band([1, 0], [0.5, 0.4], grid=1)
    with pytest.raises(UsageError, match="grid: expected false-positive rates within"):
        roc_band([1, 0], [0.5, 0.4], grid=[0.5, 0.2])
    with pytest.raises(UsageError, match="level 95"):
        roc_band([1, 0], [0.5, 0.4], level=95)
