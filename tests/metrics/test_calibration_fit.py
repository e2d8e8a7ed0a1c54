"""The fit behind calibration slope and intercept solves the likelihood's equations, also where Newton's step goes too far."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special

from xrbench import metrics

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

OVERSHOOTS = 109
"""A seed whose sample makes Newton's method halve a step: few images, very unequal weights, one far away."""
RUNS_AWAY = 145
"""A seed whose sample takes plain Newton's method so far that all probabilities are 0 or 1 and no next step exists."""


@pytest.mark.parametrize("seed", [OVERSHOOTS, RUNS_AWAY, *range(20)])
def test_the_fit_is_where_the_likelihood_has_no_slope(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = rng.integers(4, 12)
    x = np.clip(rng.standard_t(1, count), -15, 15)
    truth = rng.random(count) < special.expit(6 * x)
    weights = np.exp(rng.normal(0, 2, count))
    score = special.expit(x)
    slope = metrics.calibration_slope(truth, score, weights=weights)
    if np.isnan(slope):
        overlap = (
            truth.any() and not truth.all() and x[~truth].max() > x[truth].min() and x[truth].max() > x[~truth].min()
        )
        assert not overlap
        return
    # Whatever the intercept is, the slope must solve both equations; the intercept is found by its own equation.
    shifted = _intercept(x, truth, weights, slope)
    rest = weights * (truth - special.expit(shifted + slope * x))
    assert float(rest @ x) == pytest.approx(0, abs=1e-6 * float(weights.sum()))


def test_the_sample_makes_newtons_method_halve_a_step() -> None:
    """Otherwise the first case above would not test what it is there for."""
    rng = np.random.default_rng(OVERSHOOTS)
    count = rng.integers(4, 12)
    x = np.clip(rng.standard_t(1, count), -15, 15)
    truth = rng.random(count) < special.expit(6 * x)
    weights = np.exp(rng.normal(0, 2, count))
    centre = np.average(x, weights=weights)
    x = (x - centre) / np.sqrt(np.average((x - centre) ** 2, weights=weights))
    design, beta, values = np.stack([x, np.ones_like(x)]), np.zeros(2), []
    for _ in range(12):
        linear = beta @ design
        values.append(float(np.sum(weights * (truth * linear - np.logaddexp(0, linear)))))
        p = special.expit(linear)
        beta = beta + np.linalg.solve((design * (weights * p * (1 - p))) @ design.T, design @ (weights * (truth - p)))
    assert min(np.diff(values)) < 0, "plain Newton never goes down on this sample"


def test_the_other_sample_takes_plain_newton_where_no_step_exists() -> None:
    """Halving must come before the next step is sought: there is none from where the whole step leads."""
    rng = np.random.default_rng(RUNS_AWAY)
    count = rng.integers(4, 12)
    x = np.clip(rng.standard_t(1, count), -15, 15)
    truth = rng.random(count) < special.expit(6 * x)
    weights = np.exp(rng.normal(0, 2, count))
    assert not np.isnan(metrics.calibration_slope(truth, special.expit(x), weights=weights))
    design, beta, least = np.stack([x, np.ones_like(x)]), np.zeros(2), np.inf
    for _ in range(12):
        p = special.expit(beta @ design)
        curvature = (design * (weights * p * (1 - p))) @ design.T
        least = min(least, float(np.linalg.det(curvature)))
        if least < 1e-12:
            break
        beta = beta + np.linalg.solve(curvature, design @ (weights * (truth - p)))
    assert least < 1e-12, "plain Newton never leaves the region where the likelihood is curved"


def _intercept(x: FloatArray, truth: BoolArray, weights: FloatArray, slope: float) -> float:
    """Solve for the intercept at a given slope by bisection."""
    low, high = -200.0, 200.0
    for _ in range(200):
        middle = (low + high) / 2
        rest = float(weights @ (truth - special.expit(middle + slope * x)))
        low, high = (middle, high) if rest > 0 else (low, middle)
    return (low + high) / 2


def test_nobody_needs_treatment_at_a_threshold_of_zero() -> None:
    """All are treated and harm costs nothing: the net benefit is the prevalence."""
    assert metrics.net_benefit([1, 0, 0, 0], [0.9, 0.1, 0.2, 0.3], threshold=0.0) == 0.25
