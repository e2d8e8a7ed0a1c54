"""Gaps split into case mix and rest, on phantoms whose shift is known, and against scikit-learn and weights by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from xrbench import statistics
from xrbench.errors import MeasureError
from xrbench.statistics import Predictions
from xrbench.statistics.generalization.membership import PENALTY, design, fit

Hospital = tuple[Predictions, dict[str, Any]]


def hospital(seed: int, old: float, *, loss: float = 0.0, n: int = 1200) -> Hospital:
    """Draw a hospital with a share of old patients, who are told apart worse, and a network that is worse by a loss."""
    rng = np.random.default_rng(seed)
    truth, aged = (rng.random(n) < 0.3).astype(float), rng.random(n) < old
    age = np.where(aged, rng.normal(75, 5, n), rng.normal(45, 5, n)).round()
    view = np.where(rng.random(n) < 0.5, "PA", "AP")
    score = truth * (np.where(aged, 0.6, 2.4) - loss) + rng.normal(size=n)
    cell = Predictions(f"hospital {seed}", truth, score, np.arange(n), labels=["a"])
    return cell, {"age": age, "view": view}


def split(inside: Hospital, outside: Hospital, **options: Any) -> statistics.CaseMixGap:
    return statistics.case_mix_gap(inside[0], outside[0], internal_mix=inside[1], external_mix=outside[1], **options)[0]


def test_where_only_the_case_mix_differs_there_is_no_rest() -> None:
    row = split(hospital(1, 0.2), hospital(2, 0.7))
    assert row.case_mix_low > 0.05
    assert row.rest_low < 0 < row.rest_high
    assert abs(row.rest) < 0.05
    assert row.case_mix + row.rest == pytest.approx(row.gap)
    assert row.gap == pytest.approx(row.internal - row.external)
    assert row.used == ("age", "view")
    assert 20 < row.effective_positive < row.positive
    assert row.imbalance < 0.2
    assert row.reason == ""


def test_where_only_the_network_is_worse_there_is_no_case_mix() -> None:
    row = split(hospital(1, 0.4), hospital(2, 0.4, loss=0.6))
    assert row.case_mix_low < 0 < row.case_mix_high
    assert abs(row.case_mix) < 0.03
    assert row.rest_low > 0.02


def test_a_case_mix_that_is_not_measured_is_in_the_rest() -> None:
    inside, outside = hospital(1, 0.2), hospital(2, 0.7)
    row = split((inside[0], {"view": inside[1]["view"]}), (outside[0], {"view": outside[1]["view"]}))
    assert row.rest_low > 0.05


def test_the_expected_auc_is_that_of_weights_by_hand() -> None:
    inside, outside = hospital(1, 0.2), hospital(2, 0.7)
    sides = [(cell, {"old": (mix["age"] > 60).astype(float)}) for cell, mix in (inside, outside)]
    row = split(*sides)
    truth, old = np.asarray(inside[0].truth), sides[0][1]["old"]
    other, aged = np.asarray(outside[0].truth), sides[1][1]["old"]
    weights = np.empty(len(truth))
    for kind in (0, 1):
        for value in (0, 1):
            mine = (truth == kind) & (old == value)
            weights[mine] = np.mean(aged[other == kind] == value) / mine.sum()
    # The ridge penalty holds the weights a little nearer to 1.
    assert row.expected == pytest.approx(roc_auc_score(truth, inside[0].score, sample_weight=weights), abs=1e-3)


def test_the_membership_model_is_scikit_learns() -> None:
    (_, inside), (_, outside) = hospital(1, 0.2), hospital(2, 0.7)
    laid = design(inside, outside)
    x = np.concatenate(laid[:2])
    member = np.repeat([False, True], [len(laid.internal), len(laid.external)])
    other = LogisticRegression(C=1 / PENALTY, tol=1e-10, max_iter=1000).fit(x, member)
    mine = fit(x, member, np.ones(len(x)))
    assert mine == pytest.approx([*other.intercept_, *other.coef_[0]], abs=1e-5)
    assert laid.columns == ("age", "age squared", "view=AP") or laid.columns == ("age", "age squared", "view=PA")


def test_case_mixes_that_do_not_overlap_expect_nothing() -> None:
    inside, outside = hospital(1, 0.4), hospital(2, 0.4)
    row = split((inside[0], {"view": np.full(1200, "AP")}), (outside[0], {"view": np.full(1200, "PA")}))
    assert math.isnan(row.expected)
    assert math.isnan(row.rest_low)
    assert row.gap == pytest.approx(row.internal - row.external)
    assert "case mixes hardly overlap" in row.reason
    few = split(hospital(1, 0.005), hospital(2, 0.99))
    assert math.isnan(few.case_mix)
    assert "images count as" in few.reason


def test_variables_that_a_side_does_not_know_are_named() -> None:
    inside, outside = hospital(1, 0.4, n=300), hospital(2, 0.4, n=300)
    unknown = {**outside[1], "age": [None] * 300}
    row = split(inside, (outside[0], unknown))
    assert (row.used, row.left_out) == (("view",), ("age",))
    nothing = split((inside[0], {"age": inside[1]["age"]}), (outside[0], {"age": [None] * 300}))
    assert nothing.reason == "no case-mix variable is known on both sides"
    blank = split(inside, (replace(outside[0], truth=np.zeros(300)), outside[1]))
    assert blank.reason == "no external AUC: a class is missing"
    with pytest.raises(MeasureError, match="age has 2 rows, truth has 300"):
        split((inside[0], {"age": [1, 2]}), outside)


def test_other_findings_are_case_mix_too() -> None:
    def with_device(seed: int, share: float) -> Hospital:
        cell, mix = hospital(seed, 0.0)
        rng = np.random.default_rng(seed + 100)
        device = (rng.random(1200) < share).astype(float)
        score = np.asarray(cell.truth) * np.where(device == 1, 0.4, 2.4) + rng.normal(size=1200)
        both = np.stack([np.asarray(cell.truth), np.where(rng.random(1200) < 0.1, np.nan, device)], axis=1)
        return Predictions(
            cell.domain, both, np.stack([score, score], axis=1), cell.patient, labels=["a", "device"]
        ), mix

    inside, outside = with_device(1, 0.2), with_device(2, 0.7)
    row = split(inside, outside)
    assert row.used == ("age", "view", "with device")
    assert row.case_mix_low > 0.05
    assert split(inside, outside, co_findings=False).case_mix_low < 0.02


def test_the_order_of_rows_does_not_matter_and_patients_count_once() -> None:
    inside, outside = hospital(1, 0.2, n=400), hospital(2, 0.6, n=400)
    order = np.random.default_rng(0).permutation(400)

    def shuffled(one: Hospital) -> Hospital:
        cell, mix = one
        moved: dict[str, Any] = {name: np.asarray(getattr(cell, name))[order] for name in ("truth", "score", "patient")}
        return replace(cell, **moved), {name: np.asarray(values)[order] for name, values in mix.items()}

    first, second = split(inside, outside), split(shuffled(inside), shuffled(outside))
    names = ("expected", "case_mix_low", "case_mix_high", "rest_low", "rest_high", "imbalance")
    assert [getattr(first, name) for name in names] == pytest.approx(
        [getattr(second, name) for name in names], abs=1e-9
    )

    def twice(one: Hospital) -> Hospital:
        cell, mix = one
        copied: dict[str, Any] = {
            name: np.tile(np.asarray(getattr(cell, name)), 2) for name in ("truth", "score", "patient")
        }
        return replace(cell, **copied), {name: np.tile(values, 2) for name, values in mix.items()}

    copied = split(twice(inside), twice(outside))
    assert copied.rest_high - copied.rest_low == pytest.approx(first.rest_high - first.rest_low, rel=0.02)
