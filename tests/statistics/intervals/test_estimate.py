from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from xrbench import metrics, statistics
from xrbench.errors import MeasureError, UnknownNameError, UsageError
from xrbench.statistics.intervals.formulas import bca


def test_values_counts_and_mean(draw_images: Callable[..., Any]) -> None:
    data = draw_images(1, 200, 3, masked=0.2)
    labels = ["a", "b", "c"]
    rows = statistics.estimate(*data, labels=labels, metrics=["auc", "brier"], replicates=200, seed=4)
    assert [(row.label, row.metric) for row in rows] == [
        (label, name) for name in ("auc", "brier") for label in (*labels, "mean")
    ]
    for i, row in enumerate(rows[:3]):
        truth = data.truth[:, i]
        assert row.value == pytest.approx(metrics.auc(truth, data.score[:, i]), abs=1e-12)
        assert (row.n_positive, row.n_negative) == (int(np.nansum(truth)), int(np.nansum(1 - truth)))
        assert (row.n_masked, row.n_images) == (int(np.isnan(truth).sum()), len(truth))
        assert row.n_patients == len(np.unique(data.patient[~np.isnan(truth)]))
        assert row.low < row.value < row.high
        assert (row.unit, row.reason, row.dropped) == ("patient", "", 0)
    mean = rows[3]
    assert mean.value == pytest.approx(np.mean([row.value for row in rows[:3]]), abs=1e-12)
    assert mean.n_positive == sum(row.n_positive for row in rows[:3])
    # The labels are independent here, so their mean is surer than each of them.
    assert mean.high - mean.low < min(row.high - row.low for row in rows[:3])


def test_percentiles_are_those_of_an_ordinary_patient_bootstrap(draw_images: Callable[..., Any]) -> None:
    data = draw_images(2, 120)
    truth, score = data.truth[:, 0], data.score[:, 0]
    row = statistics.estimate(*data, labels=["a"], kind="bootstrap", replicates=4000)[0]
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(data.patient == p) for p in range(120)]
    drawn = []
    for _ in range(2000):
        rows = np.concatenate([members[p] for p in rng.integers(0, 120, 120)])
        drawn.append(metrics.auc(truth[rows], score[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (row.low, row.high) == pytest.approx((low, high), abs=0.2 * float(np.std(drawn)))


def test_bca_is_scipys(draw_images: Callable[..., Any]) -> None:
    """The same replicates and left-out values through SciPy's own formula."""
    rng = np.random.default_rng(3)
    sample = rng.exponential(size=25)
    result = stats.bootstrap((sample,), np.mean, method="BCa", n_resamples=999, rng=np.random.default_rng(1))
    left_out = [np.delete(sample, i).mean() for i in range(25)]
    ours = bca(float(sample.mean()), result.bootstrap_distribution, left_out, 0.95)
    assert ours == pytest.approx(tuple(result.confidence_interval), abs=1e-12)


def test_bca_moves_with_skewness_and_is_near_the_percentiles(draw_images: Callable[..., Any]) -> None:
    data = draw_images(2, 150, shift=3.0)
    plain, corrected = (
        statistics.estimate(*data, labels=["a"], kind=kind, replicates=2000)[0] for kind in ("bootstrap", "bca")
    )
    assert corrected.interval == "bca"
    assert corrected.low < plain.low
    assert abs(corrected.low - plain.low) < 0.2 * (plain.high - plain.low)


@pytest.mark.parametrize("only", [0.0, 1.0])
def test_one_class_is_nan_with_counts_and_reason(only: float) -> None:
    rows = statistics.estimate([only] * 4, [0.1, 0.2, 0.3, 0.4], labels=["Edema"], replicates=50)
    assert math.isnan(rows[0].value)
    assert math.isnan(rows[0].low)
    assert rows[0].reason == f"no {'negative' if only else 'positive'} among 4 labelled images"
    assert (rows[0].n_positive, rows[0].n_negative) == ((4, 0) if only else (0, 4))
    assert rows[1].reason == "no label has a value"


def test_undefined_labels_stay_out_of_the_mean(draw_images: Callable[..., Any]) -> None:
    data = draw_images(5, 80, 2)
    truth = data.truth.copy()
    truth[:, 1] = np.nan
    rows = statistics.estimate(truth, data.score, data.patient, labels=["a", "b"], kind="bootstrap", replicates=100)
    assert rows[1].reason == "no labelled image"
    assert rows[2].value == rows[0].value
    assert (rows[2].low, rows[2].high) == (rows[0].low, rows[0].high)
    assert "b undefined" in rows[2].caution


def test_too_many_dropped_replicates_leave_no_interval() -> None:
    truth = np.zeros(60)
    truth[0] = 1
    row = statistics.estimate(truth, np.linspace(0, 1, 60), labels=["a"], kind="bootstrap", replicates=300)[0]
    assert row.value == 0.0
    assert math.isnan(row.low)
    # One positive is missing from (1 - 1/60) ** 60 = 36.5 % of the replicates.
    assert row.dropped == pytest.approx(0.365 * 300, abs=30)
    assert "replicates have no value" in row.reason
    with pytest.raises(MeasureError, match="replicates have no value"):
        statistics.auc_interval(truth, np.linspace(0, 1, 60), kind="bootstrap")
    with pytest.raises(MeasureError, match="one patient alone carries"):
        statistics.auc_interval(truth, np.linspace(0, 1, 60))


def test_few_patients_are_cautioned(draw_images: Callable[..., Any]) -> None:
    data = draw_images(5, 30)
    row = statistics.estimate(*data, labels=["a"], replicates=100)[0]
    assert row.caution == "11 positive patients: jackknife intervals are known to hold from 20"


def test_one_patient_cannot_be_resampled() -> None:
    row = statistics.estimate([1, 0, 1], [0.9, 0.2, 0.1], ["p"] * 3, labels=["a"], replicates=50)[0]
    assert row.value == 0.5
    assert math.isnan(row.low)
    assert row.reason == "interval: one patient cannot be resampled"


def test_patients_widen_the_interval_and_ids_decide_the_unit(draw_images: Callable[..., Any]) -> None:
    data = draw_images(6, 150)
    twice = [np.concatenate([part, part]) for part in data]
    known = statistics.estimate(*twice, labels=["a"], replicates=1000)[0]
    unknown = statistics.estimate(twice[0], twice[1], labels=["a"], replicates=1000)[0]
    missing = statistics.estimate(twice[0], twice[1], np.full(len(twice[0]), None), labels=["a"], replicates=1000)[0]
    assert (known.unit, unknown.unit, missing.unit) == ("patient", "image", "image")
    assert (missing.low, missing.high) == (unknown.low, unknown.high)
    once = statistics.estimate(*data, labels=["a"], replicates=1000)[0]
    # The same patients twice are the same patients: nothing new is known.
    assert (known.low, known.high) == pytest.approx((once.low, once.high), abs=1e-12)
    assert unknown.high - unknown.low < 0.8 * (known.high - known.low)


def test_ids_are_names_not_numbers(draw_images: Callable[..., Any]) -> None:
    data = draw_images(7, 60)
    words = np.array([f"p{code:04d}" for code in data.patient])
    options: dict[str, Any] = {"labels": ["a"], "kind": "bootstrap", "replicates": 100}
    a = statistics.estimate(*data, **options, seed=3)[0]
    b = statistics.estimate(data.truth, data.score, words, **options, seed=3)[0]
    c = statistics.estimate(*data, **options, seed=4)[0]
    assert a == b
    assert (a.low, a.high) != (c.low, c.high)


def test_thresholds_come_from_validation(draw_images: Callable[..., Any]) -> None:
    data, valid = draw_images(8, 100, 2), draw_images(9, 100, 2)
    name = "recall@specificity=0.9"
    labels = ["a", "b"]
    thresholds = {
        (label, name): metrics.threshold_at(valid.truth[:, i], valid.score[:, i], specificity=0.9)
        for i, label in enumerate(labels)
    }
    rows = statistics.estimate(*data, labels=labels, metrics=[name], thresholds=thresholds, replicates=100)
    for i, row in enumerate(rows[:2]):
        assert row.threshold == thresholds[labels[i], name]
        assert row.value == metrics.recall(data.truth[:, i], data.score[:, i], threshold=row.threshold)
    with pytest.raises(MeasureError, match=r"a: recall@specificity=0.9 wants a threshold"):
        statistics.estimate(*data, labels=labels, metrics=[name])
    thresholds["a", name] = math.nan
    row = statistics.estimate(*data, labels=labels, metrics=[name], thresholds=thresholds, replicates=100)[0]
    assert row.reason == "no threshold: the validation set lacks a class"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"kind": "delongg"}, UsageError, "did you mean 'delong'"),
        ({"unit": "study"}, UsageError, "unknown unit"),
        ({"level": 1.5}, UsageError, "level 1.5"),
        ({"replicates": 0}, UsageError, "replicates 0"),
        ({"metrics": ["acu"]}, UnknownNameError, "did you mean 'auc'"),
        ({"labels": ["a", "b"]}, MeasureError, "one column a label"),
        ({"patient": [1, 2]}, MeasureError, "patient has 2 rows"),
        ({"score": [0.1, math.nan, 0.3]}, MeasureError, "^a: row 1: the score is NaN"),
        ({"score": [0.1, 1.2, 0.3], "metrics": ["brier"]}, MeasureError, "^a: row 1: score 1.2"),
        ({"truth": [1, 0, -1]}, MeasureError, "^a: row 2: the truth is -1"),
    ],
)
def test_wrong_input_is_one_line(options: dict[str, Any], error: type[Exception], words: str) -> None:
    given: dict[str, Any] = {"truth": [1, 0, 1], "score": [0.1, 0.2, 0.3], "patient": None, "labels": ["a"]}
    with pytest.raises(error, match=words):
        statistics.estimate(**{**given, **options})


def test_delong_is_for_the_auc_only(draw_images: Callable[..., Any]) -> None:
    data = draw_images(10, 100)
    rows = statistics.estimate(*data, labels=["a"], metrics=["auc", "brier"], kind="delong", replicates=50)
    assert [row.interval for row in rows] == ["delong", "delong", "jackknife", "jackknife"]
    low, high = statistics.delong_interval(data.truth[:, 0], data.score[:, 0], patient=data.patient)
    assert (rows[0].low, rows[0].high) == (low, high)


def test_the_jackknife_is_that_of_leaving_out_patients(draw_images: Callable[..., Any]) -> None:
    data = draw_images(11, 60)
    truth, score = data.truth[:, 0], data.score[:, 0]
    row = statistics.estimate(*data, labels=["a"])[0]
    logits = []
    for patient in range(60):
        kept = data.patient != patient
        value = metrics.auc(truth[kept], score[kept])
        logits.append(math.log(value / (1 - value)))
    influence = math.sqrt(59 / 60) * (np.mean(logits) - np.array(logits))
    ill = np.array([truth[data.patient == patient].any() for patient in range(60)])
    noise = sum(
        np.sum(influence[ill == k] ** 4) - np.sum(influence[ill == k] ** 2) ** 2 / np.sum(ill == k) for k in (0, 1)
    )
    df = 2 * np.sum(influence**2) ** 2 / noise
    reach = stats.t.ppf(0.975, df) * math.sqrt(np.sum(influence**2))
    centre = math.log(row.value / (1 - row.value))
    assert row.interval == "jackknife"
    # The low end: of the variance and Hanley and McNeil's, which counts as ten patients of the rarer class.
    a, positive, negative = row.value, int(ill.sum()), len(np.unique(data.patient[truth == 0]))
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    assumed = a * (1 - a) + (positive - 1) * (q1 - a * a) + (negative - 1) * (q2 - a * a)
    assumed /= positive * negative * (a * (1 - a)) ** 2
    fewest, own = min(positive, negative), np.sum(influence**2)
    wide = reach * math.sqrt(max(1.0, (fewest + 10 * assumed / own) / (fewest + 10)))
    assert wide > reach
    assert row.low == pytest.approx(1 / (1 + math.exp(wide - centre)), abs=1e-9)
    assert row.high == pytest.approx(1 / (1 + math.exp(-reach - centre)), abs=1e-9)


def test_wilsons_interval_of_independent_images_is_statsmodels(draw_images: Callable[..., Any]) -> None:
    """With one image a patient the design effect is 1 up to (n - 1) / n, and Student's quantile is near the normal one."""
    from statsmodels.stats.proportion import proportion_confint

    rng = np.random.default_rng(0)
    truth = np.ones(1000)
    truth[600:] = 0
    score = rng.random(1000)
    row = statistics.estimate(truth, score, labels=["a"], metrics=["recall@threshold=0.2"])[0]
    low, high = proportion_confint(row.value * 600, 600, method="wilson")
    assert row.interval == "wilson"
    assert (row.low, row.high) == pytest.approx((low, high), abs=3e-4)


def test_perfect_figures_still_have_an_interval() -> None:
    truth = np.repeat([1.0, 0.0], [20, 80])
    row = statistics.estimate(truth, truth, labels=["a"])[0]
    assert row.value == row.high == 1.0
    # Newcombe's method 5 at 20 and 80: the AUC whose Hanley-McNeil error is (1 - AUC) / 1.96.
    assert row.low == pytest.approx(0.9119, abs=1e-4)
    share = statistics.estimate(truth, truth, labels=["a"], metrics=["recall@threshold=0.5"])[0]
    assert (share.value, share.high) == (1.0, 1.0)
    assert 0.8 < share.low < 0.9
    perfect = statistics.estimate(truth, truth, labels=["a"], metrics=["average-precision"])[0]
    assert "all patients agree on 1" in perfect.reason


def test_stratified_draws_keep_both_classes(draw_images: Callable[..., Any]) -> None:
    truth = np.zeros(60)
    truth[:2] = 1
    score = np.linspace(0, 1, 60)
    row = statistics.estimate(truth, score, labels=["a"], kind="stratified", replicates=300)[0]
    assert (row.interval, row.dropped, row.replicates) == ("stratified", 0, 300)
    data = draw_images(12, 300, 2)
    plain, apart = (
        statistics.estimate(*data, labels=["a", "b"], kind=kind, replicates=2000)
        for kind in ("bootstrap", "stratified")
    )
    assert apart[0].high - apart[0].low == pytest.approx(plain[0].high - plain[0].low, rel=0.1)
    assert apart[2].interval == "jackknife"


@pytest.mark.parametrize("kind", ["default", "jackknife", "bootstrap", "bca", "delong"])
def test_kinds_agree_where_data_are_plenty(draw_images: Callable[..., Any], kind: str) -> None:
    data = draw_images(13, 1500, 2)
    names = ["auc", "average-precision", "f1@threshold=0.5", "ppv@threshold=0.5", "brier", "calibration-slope"]
    options: dict[str, Any] = {"labels": ["a", "b"], "metrics": names, "replicates": 1500}
    rows = statistics.estimate(*data, **options, kind=kind)
    expected = statistics.estimate(*data, **options, kind="bootstrap")
    for row, other in zip(rows, expected, strict=True):
        width = other.high - other.low
        assert row.low == pytest.approx(other.low, abs=0.12 * width), (row.label, row.metric)
        assert row.high == pytest.approx(other.high, abs=0.12 * width), (row.label, row.metric)
