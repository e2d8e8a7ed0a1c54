from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from xrbench import statistics
from xrbench.errors import MeasureError
from xrbench.statistics import Cell


def test_t_interval_is_scipys() -> None:
    values = [0.81, 0.84, 0.79, 0.83]
    found = statistics.mean_and_spread([*values, math.nan], level=0.9)
    low, high = stats.t.interval(0.9, 3, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
    assert found.sd == pytest.approx(np.std(values, ddof=1))
    assert found.n == 4
    assert math.isnan(statistics.mean_and_spread([0.8]).low)
    assert math.isnan(statistics.mean_and_spread([]).mean)


def noisy(draw_images: Callable[..., Any], spread: float, seeds: int = 4) -> list[Cell]:
    data = draw_images(1, 300, 2)
    rng = np.random.default_rng(5)
    gains = 1 + spread * rng.normal(size=seeds)
    logit = np.log(data.score / (1 - data.score))
    return [Cell("x", data.truth, logit + gain * data.truth, data.patient) for gain in gains]


def test_shares_follow_where_the_noise_is(draw_images: Callable[..., Any]) -> None:
    quiet = statistics.two_level(noisy(draw_images, 0.0), labels=["a", "b"])[2]
    loud = statistics.two_level(noisy(draw_images, 0.6), labels=["a", "b"])[2]
    assert quiet.seed_share == pytest.approx(0.0, abs=1e-9)
    assert loud.seed_share > 0.5
    assert loud.patient_share + loud.seed_share == pytest.approx(1.0)
    assert loud.high - loud.low > 1.5 * (quiet.high - quiet.low)


def test_without_seed_noise_it_is_the_patients_interval(draw_images: Callable[..., Any]) -> None:
    data = draw_images(2, 200)
    cells = [Cell("x", *data)] * 3
    row = statistics.two_level(cells, labels=["a"])[0]
    one = statistics.estimate(*data, labels=["a"], kind="jackknife")[0]
    # an AUC alone is widened for outliers that few patients would not show; means over seeds are not
    assert (row.low, row.high) == pytest.approx((one.low, one.high), abs=5e-3)


def test_error_adds_both_sources(draw_images: Callable[..., Any]) -> None:
    cells = noisy(draw_images, 0.3)
    row = statistics.two_level(cells, labels=["a", "b"])[0]
    values = [statistics.estimate(c.truth, c.score, c.patient, labels=["a", "b"])[0].value for c in cells]
    assert row.sd == pytest.approx(np.std(values, ddof=1))
    seeds = row.sd**2 / 4
    assert row.error**2 * row.seed_share == pytest.approx(seeds, rel=1e-9)


def test_one_seed_and_two_domains_are_refused(draw_images: Callable[..., Any]) -> None:
    data = draw_images(2, 50)
    row = statistics.two_level([Cell("x", *data)], labels=["a"])[0]
    assert row.reason == "interval: one seed cannot show how much seeds matter"
    with pytest.raises(MeasureError, match="one domain: x, y"):
        statistics.two_level([Cell("x", *data), Cell("y", *data)], labels=["a"])
