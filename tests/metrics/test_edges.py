from __future__ import annotations

import math

import numpy as np
import pytest

from xrbench import metrics
from xrbench.metrics.table import named

EVERY = [f"{name}@threshold=0.5" if row.family == "decision" else name for name, row in named("multilabel").items()]


@pytest.mark.parametrize("name", EVERY)
def test_nothing_labelled_is_nan(name: str) -> None:
    assert math.isnan(metrics.evaluate(name, [math.nan, math.nan], [0.1, 0.2]))
    assert math.isnan(metrics.evaluate(name, [], []))


@pytest.mark.parametrize("only", [0, 1])
def test_one_class_has_no_figure_of_both(only: int) -> None:
    truth, score = [only] * 4, [0.1, 0.4, 0.6, 0.9]
    for name in (
        "auc",
        "average-precision",
        "macro-recall@threshold=0.5",
        "calibration-slope",
        "calibration-intercept",
    ):
        assert math.isnan(metrics.evaluate(name, truth, score))
    missing = "recall@threshold=0.5" if only == 0 else "specificity@threshold=0.5"
    assert math.isnan(metrics.evaluate(missing, truth, score))


def test_all_weights_zero_is_nan() -> None:
    for name in EVERY:
        assert math.isnan(metrics.evaluate(name, [1, 0, 1], [0.1, 0.2, 0.3], weights=[0, 0, 0])), name


def test_constant_score_ranks_nothing() -> None:
    truth, score = [1, 0, 0, 0], [0.3] * 4
    assert metrics.auc(truth, score) == 0.5
    assert metrics.average_precision(truth, score) == 0.25
    assert math.isnan(metrics.calibration_slope(truth, score))


def test_separated_classes_have_no_finite_slope() -> None:
    assert math.isnan(metrics.calibration_slope([0, 0, 1, 1], [0.1, 0.2, 0.2, 0.9]))
    assert math.isnan(metrics.calibration_slope([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.9]))
    assert math.isfinite(metrics.calibration_slope([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.9]))


def test_without_positive_calls_there_is_no_predictive_value() -> None:
    assert math.isnan(metrics.ppv([1, 0], [0.1, 0.2], threshold=0.5))
    assert math.isnan(metrics.npv([1, 0], [0.8, 0.9], threshold=0.5))
    assert metrics.f1([1, 0], [0.1, 0.2], threshold=0.5) == 0.0


def test_calibration_of_saturated_scores_is_finite() -> None:
    truth = np.array([0, 1, 0, 1, 1, 0])
    score = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    assert math.isfinite(metrics.calibration_slope(truth, score))
    assert math.isfinite(metrics.calibration_intercept(truth, score))


def test_stated_prevalence_of_the_data_changes_nothing() -> None:
    truth, score = [1, 1, 0, 0, 0], [0.9, 0.3, 0.5, 0.1, 0.4]
    for figure in (metrics.ppv, metrics.npv):
        own = figure(truth, score, threshold=0.35)
        assert figure(truth, score, threshold=0.35, prevalence=0.4) == pytest.approx(own)
