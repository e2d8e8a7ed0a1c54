"""Gaps at one prevalence, against scikit-learn with weights by class and against leaving patients out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from xrbench import statistics
from xrbench.errors import UsageError
from xrbench.metrics import evaluate
from xrbench.statistics import Cell

NAMES = [
    "average-precision",
    "brier",
    "expected-calibration-error",
    "calibration-intercept",
    "accuracy@threshold=0.4",
    "ppv@threshold=0.4",
    "npv@threshold=0.4",
    "f1@threshold=0.4",
    "mcc@threshold=0.4",
    "cohen-kappa@threshold=0.4",
    "net-benefit@threshold=0.2",
    "positive-calls-per-1000@threshold=0.4",
]


def hospital(seed: int, n: int, prevalence: float, *, name: str = "", each: int = 2) -> Cell:
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n // each), each)
    truth = (rng.random(n) < prevalence).astype(float)
    truth[:2] = 0, 1
    score = np.round(1 / (1 + np.exp(-(1.5 * truth - 1.2 + rng.normal(size=n)))), 2)  # with ties
    return Cell(name or f"hospital {seed}", truth, score, patient)


def weights(truth: Any, prevalence: float) -> Any:
    share = truth.mean()
    return np.where(truth == 1, prevalence / share, (1 - prevalence) / (1 - share))


@pytest.mark.parametrize("name", NAMES)
def test_both_sides_are_weighted_by_class(name: str) -> None:
    inside, outside = hospital(1, 200, 0.4), hospital(2, 300, 0.1)
    row = statistics.gap([inside], [outside], metric=name, labels=["a"], prevalence=0.25, replicates=0)[0]
    expected = [
        evaluate(name, cell.truth, cell.score, weights=weights(np.asarray(cell.truth), 0.25))
        for cell in (inside, outside)
    ]
    assert (row.internal, row.external) == pytest.approx(expected, abs=1e-10)
    raw = [evaluate(name, cell.truth, cell.score) for cell in (inside, outside)]
    assert (row.raw_internal, row.raw_external, row.raw) == pytest.approx((*raw, raw[0] - raw[1]), abs=1e-10)
    assert row.at == "prevalence 0.25"
    own = statistics.gap([inside], [outside], metric=name, labels=["a"], replicates=0)[0]
    assert own.internal == pytest.approx(own.raw_internal, abs=1e-10)


def test_scikit_learn_agrees() -> None:
    inside, outside = hospital(1, 200, 0.4), hospital(2, 300, 0.1)
    row = statistics.gap([inside], [outside], metric="average-precision", labels=["a"], replicates=0)[0]
    truth, score = np.asarray(outside.truth), np.asarray(outside.score)
    share = float(np.asarray(inside.truth).mean())
    assert row.external == pytest.approx(
        sk.average_precision_score(truth, score, sample_weight=weights(truth, share)), abs=1e-10
    )
    assert row.raw_external == pytest.approx(sk.average_precision_score(truth, score), abs=1e-10)


@pytest.mark.parametrize("name", ["average-precision", "brier", "calibration-intercept"])
def test_the_error_leaves_patients_out_with_weights_of_those_who_stay(name: str) -> None:
    inside, outside = hospital(1, 60, 0.4), hospital(2, 80, 0.2)
    row = statistics.gap([inside], [outside], metric=name, labels=["a"], replicates=0)[0]
    share = float(np.asarray(inside.truth).mean())
    variance = 0.0
    for cell, value in ((inside, row.internal), (outside, row.external)):
        truth, score, patient = (np.asarray(each) for each in (cell.truth, cell.score, cell.patient))
        left = np.array(
            [
                evaluate(name, truth[rest], score[rest], weights=weights(truth[rest], share))
                for rest in (patient != one for one in np.unique(patient))
            ]
        )
        slope = 1.0
        if name != "calibration-intercept":  # the error of figures within 0..1 is taken on the logit
            left, slope = np.log(left / (1 - left)), value * (1 - value)
        variance += slope**2 * (len(left) - 1) / len(left) * float(np.sum((left - left.mean()) ** 2))
    assert row.error == pytest.approx(math.sqrt(variance), rel=1e-9)


def test_no_gap_where_only_the_prevalence_differs() -> None:
    inside = hospital(1, 400, 0.5, each=1)
    truth, score = np.asarray(inside.truth), np.asarray(inside.score)
    twice = np.concatenate([np.flatnonzero(truth == 1), np.tile(np.flatnonzero(truth == 0), 5)])
    outside = Cell("elsewhere", truth[twice], score[twice])
    for name in NAMES:
        row = statistics.gap([inside], [outside], metric=name, labels=["a"], replicates=0)[0]
        assert row.gap == pytest.approx(0, abs=1e-9), name
        assert abs(row.raw) > 0.005, name
        assert row.low <= 1e-9, name
        assert row.high >= -1e-9, name


def test_classes_are_given_the_internal_shares() -> None:
    rng = np.random.default_rng(0)

    def cell(name: str, shares: list[float]) -> Cell:
        kind = rng.choice(3, size=300, p=shares)
        return Cell(name, kind, np.eye(3)[kind] + rng.normal(size=(300, 3)), labels=["a", "b", "c"], task="multiclass")

    inside, outside = cell("in", [0.6, 0.3, 0.1]), cell("out", [0.2, 0.2, 0.6])
    kinds, other = np.asarray(inside.truth), np.asarray(outside.truth)
    weight = np.array([np.mean(kinds == k) / np.mean(other == k) for k in range(3)])[other]
    called = np.asarray(outside.score).argmax(axis=1)
    for name, value in (
        ("accuracy", sk.accuracy_score(other, called, sample_weight=weight)),
        ("macro-f1", sk.f1_score(other, called, sample_weight=weight, average="macro")),
        ("cohen-kappa", sk.cohen_kappa_score(other, called, sample_weight=weight)),
    ):
        row = statistics.gap([inside], [outside], metric=name, replicates=0)[0]
        assert row.external == pytest.approx(value, abs=1e-10), name
        assert row.at == "the internal class shares"
        assert row.low < row.gap < row.high
    with pytest.raises(UsageError, match="over all classes"):
        statistics.gap([inside], [outside], metric="accuracy", prevalence=0.1)


def test_metrics_that_do_not_move_have_no_second_gap() -> None:
    inside, outside = hospital(1, 200, 0.4), hospital(2, 300, 0.1)
    for name in ("auc", "recall@threshold=0.4", "ppv@threshold=0.4,prevalence=0.1"):
        row = statistics.gap([inside], [outside], metric=name, labels=["a"], replicates=0)[0]
        assert row.at == ""
        assert (row.raw_internal, row.raw_external, row.raw) == (row.internal, row.external, row.gap)


def test_a_side_without_a_class_has_a_raw_gap_alone() -> None:
    inside, outside = hospital(1, 200, 0.4), hospital(2, 300, 0.1)
    nobody = Cell("well", np.zeros(300), outside.score)
    row = statistics.gap([inside], [nobody], metric="accuracy@threshold=0.4", labels=["a"], replicates=0)[0]
    assert math.isnan(row.gap)
    assert row.raw == pytest.approx(row.raw_internal - row.raw_external)
    assert row.reason == "at one prevalence: each side needs every class that the other has"
    for stated in (0.0, 1.0, math.nan):
        with pytest.raises(UsageError, match="prevalence"):
            statistics.gap([inside], [outside], metric="brier", labels=["a"], prevalence=stated)


def test_each_label_has_its_own_prevalence_in_the_mean() -> None:
    one, two = hospital(1, 200, 0.4, name="in"), hospital(2, 200, 0.2, name="in")
    three, four = hospital(3, 200, 0.1, name="out"), hospital(4, 200, 0.1, name="out")

    def both(a: Cell, b: Cell) -> Cell:
        columns = [
            np.stack([np.asarray(x), np.asarray(y)], axis=1) for x, y in ((a.truth, b.truth), (a.score, b.score))
        ]
        return Cell(a.domain, columns[0], columns[1], a.patient)

    rows = statistics.gap([both(one, two)], [both(three, four)], metric="brier", labels=["a", "b"], replicates=0)
    assert rows[2].at == "the internal prevalence of each label"
    assert rows[2].gap == pytest.approx((rows[0].gap + rows[1].gap) / 2)
    assert rows[2].low < rows[2].gap < rows[2].high
