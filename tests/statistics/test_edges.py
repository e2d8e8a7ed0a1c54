"""Data at the edges of what a study can bring: no spread, no patients, no order, no end."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from xrbench import metrics, statistics
from xrbench.errors import MeasureError
from xrbench.metrics.table import named
from xrbench.statistics import Cell, PairedCell
from xrbench.statistics.options import KINDS

Floats = npt.NDArray[np.float64]
EVERY = [f"{name}@threshold=0.5" if row.family == "decision" else name for name, row in named("multilabel").items()]


def sample(patients: int = 160, seed: int = 0) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Draw two images for each patient, half of them with the finding, scores within 0..1."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), 2)
    truth = (patient % 2).astype(float)
    latent = 1.2 * truth - 0.6 + 0.7 * rng.normal(size=patients)[patient] + 0.7 * rng.normal(size=2 * patients)
    return truth, 1 / (1 + np.exp(-latent)), patient


def only(truth: Any, score: Any, patient: Any = None, **options: Any) -> statistics.Estimate:
    return statistics.estimate(truth, score, patient, labels=["Edema"], replicates=200, **options)[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", EVERY)
def test_every_metric_has_every_kind_of_interval(metric: str, kind: str) -> None:
    truth, score, patient = sample()
    rows = statistics.estimate(
        np.stack([truth, 1 - truth], axis=1),
        np.stack([score, 1 - score**2], axis=1),
        patient,
        labels=["a", "b"],
        metrics=[metric],
        kind=kind,
        replicates=200,
    )
    for row in rows:
        assert row.reason == ""
        assert row.low < row.value < row.high
        assert row.interval in KINDS
    assert [row.interval for row in rows[:2]] == [rows[0].interval] * 2


# Draws within classes hold the prevalence fixed, which most figures depend on.
STRATIFIED = ["auc", "recall@threshold=0.5", "specificity@threshold=0.5"]
PAIRS = [(metric, kind) for kind in ("default", "jackknife", "bca") for metric in EVERY]


@pytest.mark.parametrize(("metric", "kind"), [*PAIRS, *((metric, "stratified") for metric in STRATIFIED)])
def test_kinds_agree_with_plain_percentiles(metric: str, kind: str) -> None:
    truth, score, patient = sample(600, seed=3)
    plain, other = (
        statistics.estimate(truth, score, patient, labels=["a"], metrics=[metric], kind=one, replicates=2000)[0]
        for one in ("bootstrap", kind)
    )
    # The calibration error is biased upwards, in replicates once more, which BCa takes away twice.
    tolerance = 0.15 if metric != "expected-calibration-error" else 0.6
    width = plain.high - plain.low
    assert (other.low, other.high) == pytest.approx((plain.low, plain.high), abs=tolerance * width)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("only_class", [0.0, 1.0])
def test_one_class_has_no_auc(kind: str, only_class: float) -> None:
    row = only(np.full(40, only_class), np.linspace(0, 1, 40), np.arange(40), kind=kind)
    assert math.isnan(row.value)
    assert math.isnan(row.low)
    assert row.reason == f"no {'negative' if only_class else 'positive'} among 40 labelled images"


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_score_is_a_coin(kind: str) -> None:
    """All pairs are ties: 0.5 whoever is drawn, which the caution says is no certainty."""
    truth, _, patient = sample()
    row = only(truth, np.full(len(truth), 0.3), patient, kind=kind)
    assert (row.value, row.low, row.high) == pytest.approx((0.5, 0.5, 0.5), abs=1e-12)
    assert "interval without width" in row.caution
    pair = statistics.compare([PairedCell("x", truth, truth, np.full(len(truth), 0.3), patient)], labels=["a"])[0]
    assert (pair.value_a, pair.value_b) == (1.0, 0.5)


def test_two_constant_scores_do_not_differ() -> None:
    truth, _, patient = sample()
    flat = np.full(len(truth), 0.3)
    row = statistics.compare([PairedCell("x", truth, flat, flat + 0.2, patient)], labels=["a"], replicates=100)[0]
    assert (row.difference, row.p, row.p_delong, row.verdict) == (0.0, 1.0, 1.0, "cannot tell")


def test_many_ties_are_counted_half() -> None:
    truth, score, patient = sample()
    coarse = np.round(score * 4) / 4
    row = only(truth, coarse, patient)
    pairs = coarse[truth == 1][:, None] - coarse[truth == 0][None, :]
    assert row.value == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)), abs=1e-12)
    assert row.low < row.value < row.high


def test_a_nan_score_is_named_by_its_row() -> None:
    truth, score, patient = sample()
    score[17] = np.nan
    words = r"Edema: row 17: the score is NaN where the truth is \d"
    with pytest.raises(MeasureError, match=words):
        only(truth, score, patient)
    with pytest.raises(MeasureError, match="row 17: the score is NaN"):
        statistics.delong(truth, score)
    with pytest.raises(MeasureError, match="a: row 17"):
        statistics.compare([PairedCell("x", truth, truth, score, patient)], labels=["a"])
    with pytest.raises(MeasureError, match="row 17: a score is NaN"):
        statistics.estimate(truth, np.stack([score, score], axis=1), labels=["a", "b"], task="multiclass")
    truth[17] = np.nan
    assert only(truth, score, patient).n_masked == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", EVERY)
def test_one_patient_has_a_figure_but_no_interval(metric: str, kind: str) -> None:
    truth, score, _ = sample(20)
    row = only(truth, score, ["p"] * 40, metrics=[metric], kind=kind)
    assert row.value == pytest.approx(metrics.evaluate(metric, truth, score), abs=1e-12)
    assert math.isnan(row.low)
    assert row.reason == "interval: one patient cannot be resampled"
    assert row.n_patients == 1


def test_duplicated_image_ids_and_patient_ids_are_what_they_say() -> None:
    """The same id is the same patient wherever it stands; images without a patient are known by their own id."""
    truth, score, patient = sample()
    order = np.random.default_rng(1).permutation(len(truth))
    scattered = only(truth[order], score[order], patient[order])
    together = only(truth, score, patient)
    assert (scattered.low, scattered.high) == pytest.approx((together.low, together.high), abs=1e-12)
    image = np.arange(len(truth)) // 2
    cells = [Cell("x", truth, score, image=image), Cell("x", truth, score, patient=image)]
    by_image, by_patient = (
        statistics.gap([Cell("y", *sample(160, 5))], [cell], labels=["a"], replicates=0)[0] for cell in cells
    )
    assert by_image.error == pytest.approx(by_patient.error, rel=1e-9)


def test_a_patient_under_two_names_weighs_twice() -> None:
    truth, score, patient = sample()
    again = patient == 5
    weights = np.where(again, 2.0, 1.0)
    parts = [np.concatenate([part, part[again]]) for part in (truth, score)]
    names = np.concatenate([patient, np.full(again.sum(), 999)])
    for metric in EVERY:
        row = only(parts[0], parts[1], names, metrics=[metric])
        assert row.value == pytest.approx(metrics.evaluate(metric, truth, score, weights=weights), abs=1e-8)


def test_infinite_scores_are_ranks_but_no_probabilities() -> None:
    truth, score, patient = sample()
    score[3], score[8] = np.inf, -np.inf
    high = np.where(np.isposinf(score), 2.0, np.where(np.isneginf(score), -2.0, score))
    for kind in KINDS:
        there, here = only(truth, score, patient, kind=kind), only(truth, high, patient, kind=kind)
        assert (there.value, there.low, there.high) == (here.value, here.low, here.high)
    found, expected = statistics.delong(truth, score, patient=patient), statistics.delong(truth, high, patient=patient)
    assert found.covariance[0, 0] == expected.covariance[0, 0]
    for metric in ("brier", "expected-calibration-error", "calibration-slope", "calibration-intercept"):
        with pytest.raises(MeasureError, match=r"Edema: row 3: score inf is outside 0\.\.1: are these logits"):
            only(truth, score, patient, metrics=[metric])


def test_nothing_at_all_is_undefined() -> None:
    for kind in KINDS:
        row = only([], [], [], kind=kind)
        assert (math.isnan(row.value), row.reason, row.n_images) == (True, "no labelled image", 0)


@pytest.mark.slow
def test_ten_million_rows() -> None:
    """AUC, DeLong's interval and the default one, in a process of its own, whose peak memory is then known."""
    code = """
import resource, numpy as np
from xrbench import statistics
rng = np.random.default_rng(0)
truth = (rng.random(10_000_000) < 0.1).astype(float)
score = rng.random(10_000_000) + 0.3 * truth
patient = np.arange(10_000_000) // 2
row = statistics.estimate(truth, score, patient, labels=["a"], threads=1)[0]
print(row.value, row.low, row.high, *statistics.delong_interval(truth, score, patient=patient))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    figures, peak = done.stdout.splitlines()
    value, low, high, delong_low, delong_high = map(float, figures.split())
    # Of uniform scores, one of them shifted by 0.3: 1 - 0.7 ** 2 / 2.
    assert value == pytest.approx(0.755, abs=0.001)
    assert (low, high) == pytest.approx((delong_low, delong_high), abs=0.15 * (high - low))
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(peak) * unit < 2 * 2**30
