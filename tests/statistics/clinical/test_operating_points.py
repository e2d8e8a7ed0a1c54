from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from xrbench import metrics, statistics
from xrbench.errors import UsageError


def test_the_threshold_is_validations_and_stays(draw_images: Callable[..., Any]) -> None:
    valid, test = draw_images(1, 200, 2), draw_images(2, 300, 2, shift=0.5)
    points = statistics.operating_points(
        valid.truth, valid.score, *test, labels=["a", "b"], target="sensitivity=0.9", prevalences=[0.02]
    )
    for i, point in enumerate(points):
        at = metrics.threshold_at(valid.truth[:, i], valid.score[:, i], sensitivity=0.9)
        truth, score = test.truth[:, i], test.score[:, i]
        assert point.threshold == at
        assert metrics.recall(valid.truth[:, i], valid.score[:, i], threshold=at) >= 0.9
        sens, spec = metrics.recall(truth, score, threshold=at), metrics.specificity(truth, score, threshold=at)
        assert point.drift == pytest.approx(sens - 0.9)
        assert point.drift_low < point.drift < point.drift_high
        assert point.figures["recall"].value == pytest.approx(sens)
        assert point.prevalence == pytest.approx(truth.mean())
        bayes = 0.02 * sens / (0.02 * sens + 0.98 * (1 - spec))
        assert point.figures["ppv,prevalence=0.02"].value == pytest.approx(bayes)
        healthy = 0.98 * spec / (0.98 * spec + 0.02 * (1 - sens))
        assert point.figures["npv,prevalence=0.02"].value == pytest.approx(healthy)
        assert point.figures["positive-calls-per-1000"].value == pytest.approx(1000 * (score >= at).mean())
        low, high = point.figures["positive-calls-per-1000"].low, point.figures["positive-calls-per-1000"].high
        assert 0 < low < 1000 * (score >= at).mean() < high < 1000


def test_a_validation_set_without_the_class_leaves_no_point(draw_images: Callable[..., Any]) -> None:
    valid, test = draw_images(1, 50), draw_images(2, 50)
    point = statistics.operating_points(valid.truth * 0, valid.score, *test, labels=["a"], target="sensitivity=0.9")[0]
    assert math.isnan(point.threshold)
    assert math.isnan(point.drift)
    assert point.figures["recall"].reason == "no threshold: the validation set lacks a class"
    with pytest.raises(UsageError, match="is not of the form"):
        statistics.operating_points(*draw_images(1, 9)[:2], *test, labels=["a"], target="recall=0.9")


def test_a_stated_threshold_is_chosen_on_nothing_and_does_not_drift(draw_images: Callable[..., Any]) -> None:
    test = draw_images(2, 200)
    nobody = [[0], [0]], [[0.1], [0.9]]
    (point,) = statistics.operating_points(*nobody, *test, labels=["a"], target="threshold=0.4")
    truth, score = test.truth[:, 0] == 1, test.score[:, 0] >= 0.4
    assert point.threshold == 0.4
    assert point.figures["recall"].value == pytest.approx(score[truth].mean())
    assert point.figures["specificity"].value == pytest.approx((~score)[~truth].mean())
    assert all(math.isnan(value) for value in (point.drift, point.drift_low, point.drift_high))


def test_decision_curve(draw_images: Callable[..., Any]) -> None:
    data = draw_images(3, 200)
    truth, score = data.truth[:, 0], data.score[:, 0]
    curve = statistics.decision_curve(*data, labels=["a"], thresholds=[0.0, 0.1, 0.5])
    # At a threshold of 0 everyone is treated and nobody is harmed: the net benefit is the prevalence.
    assert curve[0].model.value == pytest.approx(truth.mean())
    assert curve[0].treat_all == pytest.approx(truth.mean())
    for point in curve:
        t = point.threshold
        called = score >= t
        expected = np.mean(called & (truth == 1)) - np.mean(called & (truth == 0)) * t / (1 - t)
        assert point.model.value == pytest.approx(expected)
        assert point.above == pytest.approx(expected - max(0.0, point.treat_all))
    assert curve[1].model.low < curve[1].model.value < curve[1].model.high
