"""The compiled passes against the plain metrics with the patients' counts as weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from xrbench import metrics
from xrbench.metrics.multiclass import validate_classes
from xrbench.metrics.names import MetricSpec, parse
from xrbench.statistics.intervals.class_columns import class_columns
from xrbench.statistics.resampling import bootstrap_counts, logistic_kernel, replicates
from xrbench.statistics.resampling.label_columns import LabelColumn, label_column
from xrbench.statistics.resampling.replicates import replicate
from xrbench.statistics.resampling.resampled import left_out_groups, left_out_values, sample_values
from xrbench.statistics.resampling.score_steps import score_steps

NAMES = [
    "auc",
    "average-precision",
    "recall@threshold=0.5",
    "specificity@threshold=0.6",
    "ppv@threshold=0.5",
    "npv@threshold=0.5,prevalence=0.1",
    "f1@threshold=0.5",
    "accuracy@threshold=0.5",
    "macro-recall@threshold=0.5",
    "mcc@threshold=0.5",
    "cohen-kappa@threshold=0.6",
    "positive-calls-per-1000@threshold=0.5",
    "net-benefit@threshold=0.3",
    "brier",
    "expected-calibration-error",
    "calibration-slope",
    "calibration-intercept",
]
AUC = "xrbench.metrics.ranking:auc"


def laid_out(data: Any, names: list[str]) -> LabelColumn:
    specs = [parse(name) for name in names]
    code = data.patient.astype(np.int32)
    return label_column(data.truth[:, 0], data.score[:, 0], code, label="x", specs=specs, thresholds=None)


@pytest.mark.parametrize("digits", [12, 1])
@pytest.mark.parametrize("patients", [8, 150])
def test_replicates_are_the_metrics_with_counts_as_weights(
    draw_images: Callable[..., Any], patients: int, digits: int
) -> None:
    data = draw_images(patients, patients, digits=digits, masked=0.1)
    source = bootstrap_counts.Bootstrap(patients, key=9)
    found = replicate([laid_out(data, NAMES)], source, 70, threads=1)[:, 0]
    counts = np.concatenate([source.counts(0), source.counts(64)], axis=1)
    for lane in (0, 1, 2, 3, 63, 64, 69):
        weights = counts[data.patient, lane]
        expected = [metrics.evaluate(n, data.truth[:, 0], data.score[:, 0], weights=weights) for n in NAMES]
        assert found[lane] == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_a_metric_without_a_pass_of_its_own_is_computed_by_its_formula(draw_images: Callable[..., Any]) -> None:
    data = draw_images(5, 60, masked=0.1)
    plain = MetricSpec("plain", metrics.Metric(name="plain", family="rank", better="higher", multilabel=AUC))
    one = laid_out(data, ["auc"])
    other = replace(one, specs=(plain,))
    source = bootstrap_counts.Bootstrap(60, key=3)
    found = replicate([other], source, 64, threads=1)[:, 0, 0]
    assert found == pytest.approx(replicate([one], source, 64, threads=1)[:, 0, 0], abs=1e-12)
    assert len(set(found)) > 30


def test_threads_and_company_change_nothing(draw_images: Callable[..., Any]) -> None:
    data = draw_images(4, 200)
    source = bootstrap_counts.Bootstrap(200, key=1)
    both = replicate([laid_out(data, NAMES), laid_out(data, NAMES)], source, 300, threads=3)
    alone = replicate([laid_out(data, NAMES[:3])], source, 100, threads=1)
    assert np.array_equal(both[:, 0], both[:, 1])
    assert np.array_equal(both[:100, 0, :3], alone[:, 0])


def test_values_of_everyone_are_those_of_one_row_of_counts(draw_images: Callable[..., Any]) -> None:
    one = laid_out(draw_images(3, 2_500, masked=0.1), NAMES)
    everyone = replicate([one], bootstrap_counts.FullSample(2_500), 1, threads=1)[0]
    assert np.array_equal(sample_values([one], 2_500), everyone)


@pytest.mark.parametrize(
    ("patients", "digits", "shift"),
    [(8, 1, 1.0), (25, 12, 3.0), (40, 12, 5.0), (60, 1, 1.0), (150, 2, 4.0), (1_300, 2, 1.0), (1_300, 12, 2.0)],
)
def test_left_out_values_are_the_metrics_of_all_others(
    draw_images: Callable[..., Any], patients: int, digits: int, shift: float
) -> None:
    """Against the passes over counts that leave out each patient, for every metric, with ties, unlabelled images and separable classes."""
    one = laid_out(draw_images(patients, patients, digits=digits, masked=0.1, shift=shift), NAMES)
    group = np.arange(patients)
    straight = replicate([one], bootstrap_counts.Jackknife(group), patients, threads=1)
    assert left_out_values([one], group, threads=1) == pytest.approx(straight, abs=1e-12, rel=1e-10, nan_ok=True)
    counted = [number for number, spec in enumerate(one.specs) if spec.base == "auc" or spec.family == "decision"]
    assert np.array_equal(left_out_values([one], group)[..., counted], straight[..., counted], equal_nan=True)


def test_left_out_values_of_predicted_classes() -> None:
    rng = np.random.default_rng(1)
    patient = rng.integers(0, 2_000, 5_000).astype(np.int32)
    found = validate_classes(rng.integers(0, 3, 5_000), rng.random((5_000, 3)))
    one = class_columns(found, patient, [metrics.parse_classes("macro-f1"), metrics.parse_classes("class-recall")])
    group = np.arange(2_000)
    straight = replicate([one], bootstrap_counts.Jackknife(group), 2_000, threads=1)
    assert np.array_equal(left_out_values([one], group, threads=1), straight)
    assert straight.shape == (2_000, 1, 4)


def test_an_order_that_is_perfect_without_one_patient_is_exactly_perfect() -> None:
    """One positive stands below all negatives: without it both figures are 1, and not one step of rounding away from it."""
    rng = np.random.default_rng(0)
    positive = rng.random(3_000) < 0.3
    score = positive + rng.random(3_000)
    score[np.argmax(positive)] = -1.0
    data = SimpleNamespace(
        truth=positive[:, None].astype(float), score=special.expit(score)[:, None], patient=np.arange(3_000)
    )
    left = laid_out(data, ["auc", "average-precision"]).left_out(3_000)
    assert (left[np.argmax(positive)] == 1).all()
    assert np.sum(left == 1) == 2


def test_a_metric_of_ones_own_is_grouped_by_what_images_hold(draw_images: Callable[..., Any]) -> None:
    """Beyond 1,024 patients; in whatever order the rows stand, each group holds the same images."""
    data = draw_images(3, 2_500)
    plain = MetricSpec("plain", metrics.Metric(name="plain", family="rank", better="higher", multilabel=AUC))
    order = np.random.default_rng(0).permutation(len(data.patient))
    # As the file's order decides: patients are numbered by their first row.
    turned = type(data)(data.truth[order], data.score[order], pd.factorize(data.patient[order])[0])
    one, other = (replace(laid_out(sample, ["auc"]), specs=(plain,)) for sample in (data, turned))
    group, again = (left_out_groups([column], 2_500) for column in (one, other))
    assert np.bincount(group).tolist() == [3] * 452 + [2] * 572
    first_row = np.unique(data.patient[order], return_index=True)[1]
    assert np.array_equal(group, again[turned.patient[first_row]])
    assert left_out_groups([laid_out(data, ["auc"])], 2_500).tolist() == list(range(2_500))
    # Few groups are enough to see that they are what is left out.
    few = group % 5
    without = [data.patient[~np.isin(data.patient, np.flatnonzero(few == g))] for g in range(5)]
    rows = [np.isin(data.patient, part) for part in without]
    expected = [metrics.auc(data.truth[row, 0], data.score[row, 0]) for row in rows]
    assert left_out_values([one], few)[:, 0, 0] == pytest.approx(expected, abs=1e-12)


class Bars:
    """Note each bar: its label, its length, and the steps that it was moved."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, int, list[int]]] = []

    def line(self, text: str) -> None: ...

    def detail(self, text: str) -> None: ...

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Any]:
        steps: list[int] = []
        self.shown.append((label, total, steps))

        class One:
            def advance(self, count: int = 1, note: str = "") -> None:
                steps.append(count)

        yield One()


@pytest.mark.parametrize(("patience", "moved"), [(-1.0, [[1, 1, 1, 1, 1]]), (1e6, [])])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_bar_is_shown_once_the_work_takes_longer(
    draw_images: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    patience: float,
    moved: list[list[int]],
    threads: int,
) -> None:
    monkeypatch.setattr(replicates, "PATIENCE", patience)
    bars = Bars()
    one = laid_out(draw_images(3, 50), ["auc"])
    replicate([one], bootstrap_counts.Bootstrap(50, key=1), 300, threads=threads, reporter=bars, label="bootstrap")
    assert [(label, total) for label, total, _ in bars.shown] == [("bootstrap", 5)] * len(moved)
    assert [steps for _, _, steps in bars.shown] == moved


def test_a_late_bar_starts_with_what_is_done(draw_images: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 0.4, 0.8, 1.2])
    monkeypatch.setattr("xrbench.statistics.resampling.replicates.time", SimpleNamespace(monotonic=lambda: next(ticks)))
    bars = Bars()
    one = laid_out(draw_images(3, 50), ["auc"])
    replicate([one], bootstrap_counts.Bootstrap(50, key=1), 300, threads=1, reporter=bars)
    assert bars.shown == [("replicates", 5, [3, 1, 1])]


def test_chances_are_the_logistic_function_to_the_last_places() -> None:
    for x in (*np.linspace(-40, 40, 161), 1e-12, -709.0, 709.0, -5000.0, 5000.0):
        chance, power, rest = np.empty(64), np.empty(64), np.empty(64)
        slope = np.linspace(0.5, 2.0, 64)
        logistic_kernel._chances(np.full(64, 0.1), slope, x, chance, power, rest)
        expected = special.expit(np.clip(0.1 + slope * x, -700, 700))
        assert chance == pytest.approx(expected, rel=2e-15, abs=1e-300)


def test_image_order_changes_no_count(draw_images: Callable[..., Any]) -> None:
    data = draw_images(4, 60, digits=1)
    turned = type(data)(*(part[::-1] for part in data))
    source = bootstrap_counts.Bootstrap(60, key=1)
    names = ["auc", "average-precision", "recall@threshold=0.5"]
    found = [replicate([laid_out(part, names)], source, 64, threads=1) for part in (data, turned)]
    assert np.array_equal(found[0], found[1])


def test_infinite_scores_and_constant_scores_pass(draw_images: Callable[..., Any]) -> None:
    data = draw_images(4, 30)
    data.score[:5] = np.inf
    data.score[5:9] = -np.inf
    found = replicate([laid_out(data, ["auc", "average-precision"])], bootstrap_counts.FullSample(30), 1, threads=1)[
        0, 0
    ]
    assert found[0] == pytest.approx(metrics.auc(data.truth[:, 0], data.score[:, 0]), abs=1e-12)
    data.score[:] = 0.5
    found = replicate([laid_out(data, ["auc"])], bootstrap_counts.Bootstrap(30, key=2), 50, threads=1)
    assert (found == 0.5).all()


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4)), max_size=40))
def test_steps_part_the_images_by_score_and_class(rows: list[tuple[int, int]]) -> None:
    positive = np.array([row[0] == 1 for row in rows], np.bool_)
    score = np.array([row[1] for row in rows], np.float64)
    steps = score_steps(score, positive, np.arange(len(rows), dtype=np.int32))
    assert sorted(steps.patient.tolist()) == list(range(len(rows)))
    assert (np.diff(score[steps.patient]) <= 0).all()
    inside = np.zeros(len(rows), np.bool_)
    for start, mid, end in zip(*steps[1:], strict=True):
        inside[start:mid] = True
        assert len(set(score[steps.patient[start:end]])) == 1
        assert not positive[steps.patient[mid:end]].any()
    assert np.array_equal(inside, positive[steps.patient])
