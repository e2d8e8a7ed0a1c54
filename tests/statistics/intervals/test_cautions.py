"""Every result says where its kind of interval, or its test, is not known to hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from xrbench import statistics
from xrbench.metrics.calibration import error_by_chance
from xrbench.statistics import Cell, PairedCell
from xrbench.statistics.intervals.interval_kinds import ENOUGH, ENOUGH_FOR, applicable_kind
from xrbench.statistics.options import KINDS

Floats = npt.NDArray[np.float64]


def counted(positive: int, negative: int, seed: int = 0) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Draw two images for each of so many patients of either class."""
    rng = np.random.default_rng(seed)
    truth = np.repeat([1.0] * positive + [0.0] * negative, 2)
    score = 1 / (1 + np.exp(-truth - rng.normal(size=len(truth))))
    return truth, score, np.repeat(np.arange(positive + negative), 2)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_asks_for_its_own_number_of_patients(kind: str) -> None:
    spec = statistics.estimate([1, 0], [1, 0], labels=["a"], kind=kind)[0].interval
    needed = ENOUGH_FOR.get(spec, ENOUGH)
    for positive, negative in ((needed - 1, 3 * needed), (3 * needed, needed - 1)):
        row = statistics.estimate(*counted(positive, negative), labels=["a"], kind=kind, replicates=100)[0]
        word = "positive" if positive < negative else "negative"
        assert row.caution == f"{needed - 1} {word} patients: {spec} intervals are known to hold from {needed}"
    row = statistics.estimate(*counted(needed, 3 * needed), labels=["a"], kind=kind, replicates=100)[0]
    assert row.caution == ""


def test_kinds_that_were_found_narrow_ask_for_more_than_the_default() -> None:
    narrow = {kind for kind in KINDS if kind in ENOUGH_FOR}
    assert narrow == {"bootstrap", "bca", "stratified", "delong", "delong-plain"}
    assert all(needed > ENOUGH for needed in ENOUGH_FOR.values())


def test_shares_of_few_patients_are_cautioned() -> None:
    truth, score, patient = counted(60, 60)
    called = np.sort(score)[-12]
    rows = statistics.estimate(truth, score, patient, labels=["a"], metrics=[f"ppv@threshold={called}"])
    few = len(np.unique(patient[score >= called]))
    assert rows[0].caution == f"{few} patients behind the share: wilson intervals are known to hold from 20"


def test_a_mean_names_its_small_labels() -> None:
    truth, score, patient = counted(60, 60)
    rare = np.where(patient < 5, 1.0, 0.0)
    rows = statistics.estimate(
        np.stack([truth, rare], axis=1), np.stack([score, score], axis=1), patient, labels=["common", "rare"]
    )
    assert [row.caution for row in rows] == [
        "",
        "5 positive patients: jackknife intervals are known to hold from 20",
        "few patients: rare",
    ]


@pytest.mark.parametrize("kind", ["default", "bootstrap", "bca", "stratified", "delong", "delong-plain"])
def test_images_taken_as_independent_are_known_to_be_too_narrow(kind: str) -> None:
    truth, score, patient = counted(300, 300)
    for row in statistics.estimate(truth, score, patient, labels=["a"], kind=kind, unit="image", replicates=100):
        assert (
            row.caution == "images taken as independent although 600 patients have several: the interval is too narrow"
        )
    once = np.arange(len(truth))
    assert (
        statistics.estimate(truth, score, once, labels=["a"], kind=kind, unit="image", replicates=100)[0].caution == ""
    )
    assert statistics.estimate(truth, score, None, labels=["a"], kind=kind, replicates=100)[0].caution == ""
    names = ["a", "b"]
    table = np.stack([score, 1 - score], axis=1)
    row = statistics.estimate(
        truth, table, patient, labels=names, metrics=["accuracy"], unit="image", task="multiclass"
    )[0]
    assert row.caution.startswith("images taken as independent although 600 patients have several")


def test_image_level_intervals_are_indeed_narrower(draw_images: Callable[..., Any]) -> None:
    truth, score, patient = counted(100, 100)
    score = np.repeat(score[::2], 2)
    widths = {}
    for unit in ("patient", "image"):
        row = statistics.estimate(truth, score, patient, labels=["a"], unit=unit)[0]
        widths[unit] = row.high - row.low
    # Both images of a patient say the same: half as many independent ones as the image level believes.
    assert widths["patient"] / widths["image"] == pytest.approx(np.sqrt(2), rel=0.03)


def test_an_interval_without_width_says_nothing() -> None:
    truth, _, patient = counted(120, 120)
    for kind in KINDS:
        row = statistics.estimate(truth, np.full(len(truth), 0.3), patient, labels=["a"], kind=kind, replicates=100)[0]
        assert (row.value, row.low, row.high) == pytest.approx((0.5, 0.5, 0.5), abs=1e-12)
        assert "an interval without width says nothing about its uncertainty" in row.caution
    perfect = statistics.estimate(truth, truth, patient, labels=["a"], kind="bootstrap", replicates=100)[0]
    assert "an interval without width" in perfect.caution


def test_comparisons_gaps_seeds_and_groups_warn_of_few_patients() -> None:
    truth, score, patient = counted(12, 90)
    noise = 0.05 * np.random.default_rng(1).normal(size=len(score))
    words = "only 12 patients of one class in a cell: intervals are known to hold from 20"
    pair = statistics.compare([PairedCell("x", truth, score, score + noise, patient)], labels=["a"], replicates=100)[0]
    assert pair.caution == words
    assert pair.caution_beside == "p_bootstrap and p_delong: known to hold from 100 patients of each class"
    cell, other = Cell("x", truth, score, patient), Cell("y", *counted(200, 200, 5))
    assert statistics.gap([other], [cell], labels=["a"], replicates=0)[0].caution == words
    assert statistics.gap([other], [other], labels=["a"], replicates=0)[0].caution == ""
    seeds = [Cell("x", truth, score + step * noise, patient) for step in range(3)]
    assert statistics.two_level(seeds, labels=["a"])[0].caution == words
    sex = np.where(patient % 2, "F", "M")
    group = statistics.subgroups(truth, score, patient, sex, labels=["a"], column="sex")[0].groups[0]
    assert group.row.caution == "6 positive patients: jackknife intervals are known to hold from 20"
    assert group.behind is not None
    assert group.behind.caution == words.replace("12", "6")


def test_large_studies_are_not_warned_of() -> None:
    truth, score, patient = counted(150, 150)
    noise = 0.05 * np.random.default_rng(1).normal(size=len(score))
    row = statistics.compare([PairedCell("x", truth, score, score + noise, patient)], labels=["a"], replicates=100)[0]
    assert (row.caution, row.caution_beside) == ("", "")
    assert statistics.delong_test(truth, score, score + noise, patient=patient).caution == ""


def test_tests_of_nearly_perfect_models_err_on_the_safe_side() -> None:
    truth, score, patient = counted(40, 60)
    score = score + 0.45 * truth
    other = score + 0.02 * np.random.default_rng(2).normal(size=len(score))
    row = statistics.compare([PairedCell("x", truth, score, other, patient)], labels=["a"], replicates=100)[0]
    assert 60 * (1 - (row.value_a + row.value_b) / 2) < 5
    assert row.caution == "fewer than 5 patients are ranked wrongly: p-values are larger than they need be"


def test_delong_counts_patients_or_images() -> None:
    truth, score, patient = counted(60, 300)
    assert statistics.delong(truth, score, patient=patient).caution == "60 positive patients: known to hold from 100"
    assert statistics.delong(truth, score).caution == ""
    assert statistics.delong(truth[80:], score[80:]).caution == "40 positive images: known to hold from 100"
    assert statistics.delong_test(1 - truth, score, score, patient=patient).caution.startswith("60 negative patients")


def test_cells_without_patients_beside_cells_with_them_are_told() -> None:
    truth, score, patient = counted(100, 100)
    known, unknown = Cell("x", truth, score, patient), Cell("x", truth, score)
    row = statistics.gap([Cell("y", *counted(200, 200, 5))], [known, unknown], labels=["a"], replicates=0)[0]
    assert row.unit == "image"
    assert row.caution == "images taken as independent: 1 cell has patient ids, others none"


def test_the_kind_that_is_named_is_the_one_that_was_computed() -> None:
    truth, score, patient = counted(12, 90)
    spec = "brier"
    row = statistics.estimate(truth, score, patient, labels=["a"], metrics=[spec], kind="delong")[0]
    from xrbench.metrics import parse

    assert row.interval == applicable_kind("delong", parse(spec))
    assert row.caution == "12 positive patients: jackknife intervals are known to hold from 20"


def calibrated(patients: int, shift: float, seed: int) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Draw two images a patient whose probabilities are right, or all shifted by so many log odds."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), 2)
    odds = 0.8 * rng.normal(size=patients)[patient] + 0.8 * rng.normal(size=len(patient)) - 0.5
    truth = (rng.random(len(odds)) < 1 / (1 + np.exp(-odds))).astype(float)
    return truth, 1 / (1 + np.exp(-odds - shift)), patient


def test_calibration_errors_that_chance_could_make_are_cautioned() -> None:
    name = "expected-calibration-error"
    shown = []
    for seed in range(20):
        truth, score, patient = calibrated(600, 0.0, seed)
        row = statistics.estimate(truth, score, patient, labels=["a"], metrics=[name])[0]
        assert row.caution.startswith("biased upwards: perfectly calibrated probabilities would show about 0.0")
        shown.append((row.value, error_by_chance(score), row.low))
    value, chance, low = np.mean(shown, axis=0)
    # Right on average, and why it matters: the true error is 0, and every interval lies above it.
    assert chance == pytest.approx(value, rel=0.08)
    assert low > 0.015
    truth, score, patient = calibrated(2500, 1.0, 0)
    table = [np.stack(pair, axis=1) for pair in ((truth, truth), (score, calibrated(2500, 0.0, 0)[1]))]
    rows = statistics.estimate(table[0], table[1], patient, labels=["a", "b"], metrics=[name])
    assert [bool(row.caution) for row in rows] == [False, True, True]
    assert rows[2].caution == "biased upwards: b"
    cells = [Cell("x", truth, score, patient), Cell("y", *calibrated(300, 0.0, 3))]
    assert "biased upwards" in statistics.gap(cells[:1], cells[1:], metric=name, labels=["a"], replicates=0)[0].caution
    one = statistics.gap(cells[:1], cells[:1], metric=name, labels=["a"], replicates=0)[0]
    assert one.caution == "2,500 patients left out in 1,024 groups", "no bias; computed anew at one prevalence"


def test_a_bare_interval_warns() -> None:
    truth, score, patient = counted(12, 90)
    with pytest.warns(UserWarning, match="12 positive patients: jackknife intervals are known to hold from 20"):
        low, high = statistics.auc_interval(truth, score, patient=patient)
    assert low < high
    with pytest.warns(UserWarning, match="known to hold from 100"):
        statistics.auc_interval(*counted(50, 90)[:2], patient=counted(50, 90)[2], kind="bca", replicates=100)
