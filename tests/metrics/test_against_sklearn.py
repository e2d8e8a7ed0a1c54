"""Every figure against scikit-learn or statsmodels, on scores with and without ties, with and without weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as sm
from sklearn import metrics as sk

from xrbench import metrics

Floats = npt.NDArray[np.float64]
CASES = [(seed, digits, weighted) for seed in range(3) for digits in (16, 1) for weighted in (False, True)]


def case(seed: int, digits: int, weighted: bool) -> tuple[Floats, Floats, Floats | None]:
    rng = np.random.default_rng(seed)
    truth = (rng.random(300) < 0.3).astype(float)
    score = np.round(1 / (1 + np.exp(-rng.normal(truth - 0.5))), digits)
    return truth, score, rng.integers(0, 4, 300).astype(float) if weighted else None


@pytest.mark.parametrize(("seed", "digits", "weighted"), CASES)
def test_figures_of_order(seed: int, digits: int, weighted: bool) -> None:
    truth, score, weights = case(seed, digits, weighted)
    expected = sk.roc_auc_score(truth, score, sample_weight=weights)
    assert metrics.auc(truth, score, weights=weights) == pytest.approx(expected, abs=1e-13)
    expected = sk.average_precision_score(truth, score, sample_weight=weights)
    assert metrics.average_precision(truth, score, weights=weights) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize(("seed", "digits", "weighted"), CASES)
def test_figures_of_a_decision(seed: int, digits: int, weighted: bool) -> None:
    truth, score, weights = case(seed, digits, weighted)
    called = score >= 0.4
    options = {"threshold": 0.4, "weights": weights}
    for ours, theirs in (
        (metrics.recall, sk.recall_score(truth, called, sample_weight=weights)),
        (metrics.specificity, sk.recall_score(truth, called, sample_weight=weights, pos_label=0)),
        (metrics.ppv, sk.precision_score(truth, called, sample_weight=weights)),
        (metrics.npv, sk.precision_score(truth, called, sample_weight=weights, pos_label=0)),
        (metrics.f1, sk.f1_score(truth, called, sample_weight=weights)),
        (metrics.accuracy, sk.accuracy_score(truth, called, sample_weight=weights)),
        (metrics.macro_recall, sk.balanced_accuracy_score(truth, called, sample_weight=weights)),
    ):
        assert ours(truth, score, **options) == pytest.approx(theirs, abs=1e-13)  # type: ignore[arg-type]
    cells = sk.confusion_matrix(truth, called, sample_weight=weights)
    counts = metrics.confusion(truth, score, threshold=0.4, weights=weights)
    assert [float(count) for count in counts] == pytest.approx([cells[1, 1], cells[0, 1], cells[1, 0], cells[0, 0]])


@pytest.mark.parametrize(("seed", "digits", "weighted"), CASES)
def test_figures_of_probabilities(seed: int, digits: int, weighted: bool) -> None:
    truth, score, weights = case(seed, digits, weighted)
    expected = sk.brier_score_loss(truth, score, sample_weight=weights)
    assert metrics.brier(truth, score, weights=weights) == pytest.approx(expected, abs=1e-13)
    kept = np.clip(score, 1e-7, 1 - 1e-7)
    x, w = np.log(kept / (1 - kept)), np.ones_like(truth) if weights is None else weights
    fit = sm.GLM(truth, sm.add_constant(x), sm.families.Binomial(), freq_weights=w).fit(tol=1e-14, maxiter=200)
    assert metrics.calibration_slope(truth, score, weights=weights) == pytest.approx(fit.params[1], abs=1e-8)
    ones = np.ones((len(x), 1))
    fit = sm.GLM(truth, ones, sm.families.Binomial(), freq_weights=w, offset=x).fit(tol=1e-14, maxiter=200)
    assert metrics.calibration_intercept(truth, score, weights=weights) == pytest.approx(fit.params[0], abs=1e-8)


def test_calibration_error_against_scikit_learns_curve() -> None:
    truth, score, _ = case(5, 16, False)
    share, mean = sk_curve(truth, score, 10)
    sizes = np.histogram(score, np.linspace(0, 1, 11))[0]
    expected = np.sum(sizes[sizes > 0] * np.abs(share - mean)) / len(truth)
    assert metrics.expected_calibration_error(truth, score, bins=10) == pytest.approx(expected, abs=1e-12)


def sk_curve(truth: Floats, score: Floats, bins: int) -> tuple[Floats, Floats]:
    from sklearn.calibration import calibration_curve

    curve: tuple[Floats, Floats] = calibration_curve(truth, score, n_bins=bins)
    return curve
