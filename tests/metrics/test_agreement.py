"""Agreement corrected for chance, against scikit-learn and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from xrbench import metrics, statistics
from xrbench.metrics.agreement import cohen_kappa, cohen_kappa_of, mcc, mcc_of
from xrbench.metrics.decisions import Counts


def classed(seed: int, classes: int, size: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, size, p=rng.dirichlet(np.full(classes, 2.0)))
    score = rng.dirichlet(np.ones(classes), size) + 0.5 * np.eye(classes)[truth]
    return truth, score / score.sum(axis=1, keepdims=True), rng.random(size) * 3


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_mcc_of_a_decision_is_scikit_learns(seed: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    truth = (rng.random(300) < 0.2).astype(float)
    score, weights = np.round(rng.random(300) * 0.6 + 0.3 * truth, 1), rng.random(300) if weighted else None
    for threshold in (0.2, 0.5, 0.7):
        expected = sk.matthews_corrcoef(truth, score >= threshold, sample_weight=weights)
        value = metrics.evaluate(f"mcc@threshold={threshold}", truth, score, weights=weights)
        assert value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 6])
def test_mcc_of_classes_is_scikit_learns(classes: int, weighted: bool) -> None:
    for seed in range(5):
        truth, score, weights = classed(seed, classes)
        expected = sk.matthews_corrcoef(truth, score.argmax(axis=1), sample_weight=weights if weighted else None)
        found = metrics.evaluate_classes("mcc", truth, score, weights=weights if weighted else None)
        assert found == pytest.approx([expected], abs=1e-12)


def test_mcc_by_hand() -> None:
    assert mcc_of(Counts(*np.array([6, 2, 1, 3], float))) == pytest.approx((6 * 3 - 2 * 1) / math.sqrt(8 * 7 * 5 * 4))
    assert mcc(np.diag([3.0, 2.0, 5.0])) == pytest.approx(1)
    assert mcc(np.array([[0.0, 4.0], [3.0, 0.0]])) == pytest.approx(-1)
    assert mcc(np.outer([2.0, 4.0, 6.0], [1.0, 2.0, 1.0])) == pytest.approx(0, abs=1e-15)  # independent
    # s = 7, c = 4; true 3 2 2, predicted 2 3 2: (28 - 16) / (49 - 17)
    assert mcc(np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]])) == pytest.approx(12 / 32)


@pytest.mark.parametrize("weight", [1.0, 0.1, 1 / 3])
def test_mcc_of_a_single_class_is_undefined(weight: float) -> None:
    for counts in ([[5, 3], [0, 0]], [[5, 0], [3, 0]], [[5, 0], [0, 0]], [[0, 0], [0, 0]]):
        assert np.isnan(mcc(weight * np.array(counts, float)))
    truth = np.array([0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    assert math.isnan(metrics.evaluate("mcc@threshold=2", truth, truth, weights=np.full(7, weight)))
    assert math.isnan(metrics.evaluate("mcc@specificity=0.9", truth, truth, threshold=math.nan))


def test_mcc_is_said_to_be_undefined_and_why() -> None:
    truth, score = np.array([0.0, 1.0] * 30), np.tile([0.2, 0.4], 30)
    row = statistics.estimate(truth, score, labels=["Edema"], metrics=["mcc@threshold=0.5"])[0]
    assert math.isnan(row.value)
    assert row.reason == "all images are predicted as one class"
    alone = np.column_stack([np.full(60, 0.7), np.full(60, 0.3)])
    row = statistics.estimate(truth, alone, labels=["sick", "well"], task="multiclass", metrics=["mcc"])[0]
    assert row.reason == "all images are predicted as one class"
    row = statistics.estimate(np.zeros(60), alone, labels=["sick", "well"], task="multiclass", metrics=["mcc"])[0]
    assert row.reason == "fewer than two classes have images"


def test_mcc_below_0_has_an_interval_within_its_range() -> None:
    rng = np.random.default_rng(2)
    truth = np.repeat([0.0, 1.0], 200)
    score = np.where(rng.random(400) < 0.1, truth, 1 - truth)  # nine of ten are misclassified
    row = statistics.estimate(truth, score, labels=["Edema"], metrics=["mcc@threshold=0.5"])[0]
    assert row.interval == "jackknife"
    assert -1 < row.low < row.value < row.high < -0.4
    # With classes of equal size it is twice the accuracy minus 1, and its logit on -1..1 that of the accuracy.
    right = float(np.mean((score >= 0.5) == truth))
    width = 2 * (math.atanh(row.high) - math.atanh(row.low)) / 2 / 1.97
    assert width == pytest.approx(1 / math.sqrt(400 * right * (1 - right)), rel=0.1)


def test_paired_mcc_has_the_bootstraps_error() -> None:
    rng = np.random.default_rng(3)
    truth = np.repeat([0.0, 1.0], [300, 100])
    a, b = (truth * 0.4 + rng.random(400) * 0.8 for _ in range(2))
    cell = statistics.PairedCell("here", truth, a, b)
    row = statistics.compare([cell], metric="mcc@threshold=0.6", labels=["Edema"], replicates=500)[0]
    called = [np.where(score >= 0.6, 1, 0) for score in (a, b)]
    assert row.difference == pytest.approx(
        sk.matthews_corrcoef(truth, called[1]) - sk.matthews_corrcoef(truth, called[0])
    )
    drawn = [rng.integers(0, 400, 400) for _ in range(300)]
    spread = np.std(
        [sk.matthews_corrcoef(truth[i], called[1][i]) - sk.matthews_corrcoef(truth[i], called[0][i]) for i in drawn]
    )
    assert row.error == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 6])
def test_kappa_is_scikit_learns(classes: int, weighted: bool) -> None:
    for seed in range(5):
        truth, score, weights = classed(seed, classes)
        used = weights if weighted else None
        expected = sk.cohen_kappa_score(truth, score.argmax(axis=1), sample_weight=used)
        assert metrics.evaluate_classes("cohen-kappa", truth, score, weights=used) == pytest.approx(
            [expected], abs=1e-12
        )
        one = (truth == 0).astype(float)
        expected = sk.cohen_kappa_score(one, score[:, 0] >= 0.3, sample_weight=used)
        value = metrics.evaluate("cohen-kappa@threshold=0.3", one, score[:, 0], weights=used)
        assert value == pytest.approx(expected, abs=1e-12)


def test_kappa_by_hand() -> None:
    # Observed agreement 0.7, by chance 0.5 x 0.6 + 0.5 x 0.4.
    assert cohen_kappa(np.array([[20.0, 5.0], [10.0, 15.0]])) == pytest.approx(0.4)
    assert cohen_kappa_of(Counts(*np.array([15, 5, 10, 20], float))) == pytest.approx(0.4)
    assert cohen_kappa(np.diag([3.0, 2.0, 5.0])) == pytest.approx(1)
    assert cohen_kappa(np.array([[0.0, 4.0], [4.0, 0.0]])) == pytest.approx(-1)
    assert cohen_kappa(np.outer([2.0, 4.0, 6.0], [1.0, 2.0, 1.0])) == pytest.approx(0, abs=1e-15)  # independent


@pytest.mark.parametrize("weight", [1.0, 0.1, 1 / 3])
def test_kappa_is_undefined_only_where_chance_agrees_perfectly(weight: float) -> None:
    for counts in ([[5, 0], [0, 0]], [[0, 0], [0, 0]]):
        assert np.isnan(cohen_kappa(weight * np.array(counts, float)))
    for counts in ([[5, 3], [0, 0]], [[5, 0], [3, 0]]):  # one class of truth, or predicted
        assert cohen_kappa(weight * np.array(counts, float)) == pytest.approx(0, abs=1e-15)


def test_kappa_of_many_replicates_at_once() -> None:
    counts = np.random.default_rng(4).integers(0, 9, (3, 3, 50)).astype(float)
    for formula in (cohen_kappa, mcc):
        assert formula(counts) == pytest.approx([float(formula(counts[..., lane])) for lane in range(50)], nan_ok=True)


def test_kappa_with_an_interval() -> None:
    # Fleiss, Cohen & Everitt (1969), Psychol Bull 72:323, give the error of kappa in large samples.
    p = np.array([[0.20, 0.05], [0.15, 0.60]])
    counts = (1000 * p).astype(int)
    truth = np.repeat([0.0, 0.0, 1.0, 1.0], counts.ravel())
    score = np.repeat([0.1, 0.9, 0.1, 0.9], counts.ravel())
    row = statistics.estimate(truth, score, labels=["Edema"], metrics=["cohen-kappa@threshold=0.5"])[0]
    true, predicted, observed = p.sum(axis=1), p.sum(axis=0), np.trace(p)
    chance = true @ predicted
    kappa = (observed - chance) / (1 - chance)
    assert row.value == pytest.approx(kappa)
    diagonal = sum(p[k, k] * (1 - (true[k] + predicted[k]) * (1 - kappa)) ** 2 for k in range(2))
    others = sum(p[i, j] * (predicted[i] + true[j]) ** 2 for i in range(2) for j in range(2) if i != j)
    variance = diagonal + (1 - kappa) ** 2 * others - (kappa - chance * (1 - kappa)) ** 2
    error = math.sqrt(variance / 1000) / (1 - chance)
    assert (row.high - row.low) / 2 / 1.96 == pytest.approx(error, rel=0.02)
