"""Intervals of a threshold's procedure: against a bootstrap over both sets of patients, and by their properties."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrbench import metrics, statistics
from xrbench.statistics.clinical.threshold_transport import Images, design_effect, threshold_limits


def hospital(seed: int, n: int, moved: float = 0.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.4).astype(float)
    return truth, rng.normal(size=n) + 1.5 * truth + moved


def point(valid: Any, test: Any, patient: Any = None, **options: Any) -> statistics.OperatingPoint:
    target = options.pop("target", "sensitivity=0.9")
    return statistics.operating_points(
        valid[0], valid[1], test[0], test[1], patient, labels=["a"], target=target, **options
    )[0]


@pytest.mark.parametrize("target", ["sensitivity=0.9", "specificity=0.8"])
def test_the_interval_is_as_wide_as_that_of_a_bootstrap_over_both_sets(target: str) -> None:
    valid, test = hospital(1, 800), hospital(2, 1000, moved=-0.3)
    mine = point(valid, test, target=target)
    rng = np.random.default_rng(0)
    condition, _, goal = target.partition("=")
    drawn: dict[str, list[float]] = {"recall": [], "specificity": []}
    for _ in range(1000):
        rows, others = rng.integers(800, size=800), rng.integers(1000, size=1000)
        at = metrics.threshold_at(valid[0][rows], valid[1][rows], **{condition: float(goal)})
        drawn["recall"].append(metrics.recall(test[0][others], test[1][others], threshold=at))
        drawn["specificity"].append(metrics.specificity(test[0][others], test[1][others], threshold=at))
    for name, values in drawn.items():
        low, high = np.quantile(values, [0.025, 0.975])
        ends = mine.procedure[name]
        assert ends[1] - ends[0] == pytest.approx(high - low, rel=0.2)
        assert ends == pytest.approx((low, high), abs=0.03)
        assert ends[0] <= mine.figures[name].low
        assert ends[1] >= mine.figures[name].high


def test_the_set_that_a_threshold_was_chosen_on_cannot_drift() -> None:
    valid, ids = hospital(1, 500), np.arange(500)
    same = point(valid, valid, ids, valid_patient=ids)
    apart = point(valid, valid, ids, valid_patient=ids + 1000)
    assert same.drift_high - same.drift_low < 0.4 * (apart.drift_high - apart.drift_low)
    assert not same.has_drifted
    # Positives and negatives are other patients here: what is common does not matter for the other share.
    assert same.procedure["specificity"] == pytest.approx(apart.procedure["specificity"])
    unknown = point(valid, valid, ids)
    assert unknown.procedure == apart.procedure


def test_only_a_shift_larger_than_both_sets_errors_is_drift() -> None:
    few, many = hospital(1, 100), hospital(1, 20_000)
    test = hospital(2, 20_000, moved=-0.15)
    assert not point(few, test).has_drifted
    assert point(many, test).has_drifted
    assert point(many, test).drift_high < 0


def test_images_of_a_patient_count_as_less() -> None:
    valid, test = hospital(1, 200), hospital(2, 200)
    twice = tuple(np.repeat(column, 3) for column in valid)
    alone = point(twice, test, np.arange(200), valid_patient=np.arange(1000, 1600))
    together = point(twice, test, np.arange(200), valid_patient=np.repeat(np.arange(1000, 1200), 3))
    once = point(valid, test, np.arange(200), valid_patient=np.arange(1000, 1200))
    width = {
        name: each.drift_high - each.drift_low
        for name, each in (("alone", alone), ("together", together), ("once", once))
    }
    assert width["alone"] < width["together"]
    assert width["together"] == pytest.approx(width["once"], rel=0.1)
    by_image = point(twice, test, np.arange(200), valid_patient=np.repeat(np.arange(1000, 1200), 3), unit="image")
    assert by_image.drift_high - by_image.drift_low == pytest.approx(width["alone"])


def test_without_a_class_there_is_no_interval() -> None:
    valid, test = hospital(1, 100), hospital(2, 100)
    nobody = np.zeros(100), test[1]
    assert all(map(math.isnan, point((np.zeros(100), valid[1]), test).procedure["recall"]))
    assert all(map(math.isnan, point(valid, nobody).procedure["recall"]))
    assert not any(map(math.isnan, point(valid, nobody).procedure["specificity"]))
    assert all(map(math.isnan, point(valid, test, target="threshold=0.5").procedure["recall"]))


@given(st.integers(0, 1000), st.floats(0.05, 1.0), st.sampled_from(["sensitivity", "specificity"]))
def test_the_chosen_threshold_lies_between_the_limits(seed: int, target: float, condition: Any) -> None:
    truth, score = hospital(seed, 80)
    if 0 < truth.sum() < 80:
        images = Images(truth, score, np.arange(80))
        low, high = threshold_limits(images, condition, target, 0.95)
        assert low <= metrics.threshold_at(truth, score, **{condition: target}) <= high


def test_design_effect_of_copies_is_their_number() -> None:
    right = np.random.default_rng(0).random(300) < 0.8
    assert design_effect(np.repeat(right, 4), np.repeat(np.arange(300), 4)) == pytest.approx(4)
    assert design_effect(right, np.arange(300)) == pytest.approx(1)
    assert design_effect(np.ones(5, bool), np.arange(5)) == 1
