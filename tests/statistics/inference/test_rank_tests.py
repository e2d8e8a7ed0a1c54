from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from xrbench import statistics
from xrbench.errors import MeasureError
from xrbench.statistics.inference import rank_permutations
from xrbench.statistics.inference.rank_permutations import rank_sums

# Demšar (2006), Table 6: AUCs of four variants of C4.5 on 14 data sets.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)
NAMES = ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"]


def test_friedman_and_nemenyi_of_the_published_example() -> None:
    found = statistics.rank_methods(DEMSAR, NAMES)
    ranks = dict(zip(found.methods, found.mean_ranks, strict=True))
    assert [ranks[name] for name in NAMES] == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    # Critical values 2.569 (4 methods) at 5 %: CD = 2.569 x (4 x 5 / (6 x 14)) ** 0.5 = 1.25; with 14 data sets, orders of ranks give
    # nearly the same.
    assert statistics.nemenyi(4, 14) == pytest.approx(1.25, abs=5e-3)
    assert found.critical_difference == pytest.approx(1.25, abs=0.08)
    reference = stats.friedmanchisquare(*DEMSAR.T)
    assert found.statistic == pytest.approx(reference.statistic, abs=1e-10)
    assert found.p == pytest.approx(reference.pvalue, abs=0.01)
    assert found.distribution == "permutation"
    assert found.methods[0] == "C4.5+m+cf"
    assert found.groups == ((0, 3),)


@pytest.mark.parametrize(("methods", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_critical_values_are_the_published_ones(methods: int, q: float) -> None:
    """Demšar (2006), Table 5(a), at 5 %."""
    assert statistics.nemenyi(methods, 1) / math.sqrt(methods * (methods + 1) / 6) == pytest.approx(q, abs=1e-3)


def test_wilcoxon_of_the_published_example() -> None:
    """Demšar (2006), section 3.1.3: C4.5 against C4.5+m, 14 data sets, smaller sum 12 (ties of zero shared there)."""
    found = statistics.wilcoxon(DEMSAR[:, 0], DEMSAR[:, 1])
    assert found.n == 12
    assert found.p < 0.05
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=9), rng.normal(size=9)
    assert statistics.wilcoxon(a, b).p == pytest.approx(stats.wilcoxon(a, b).pvalue)
    assert statistics.wilcoxon(a, a).p == 1.0


@pytest.mark.parametrize(
    ("settings", "methods", "statistic", "p"),
    [
        (3, 3, 6.0, 0.028),
        (4, 3, 6.5, 0.042),
        (5, 3, 6.4, 0.039),
        (6, 3, 7.0, 0.029),
        (2, 4, 6.0, 0.042),
        (3, 4, 7.4, 0.033),
    ],
)
def test_exact_values_of_friedmans_statistic_are_the_published_ones(
    settings: int, methods: int, statistic: float, p: float
) -> None:
    """Friedman (1937), tables of the exact distribution, as in Siegel (1956), Table N."""
    chance = rank_sums(np.tile(np.arange(1.0, methods + 1), (settings, 1)))
    assert chance.exact
    assert chance.share.sum() == pytest.approx(1)
    assert chance.p(statistic * settings * methods * (methods + 1) / 12) == pytest.approx(p, abs=6e-4)


@pytest.mark.parametrize("ties", [False, True])
def test_the_distribution_is_that_of_all_orders(ties: bool) -> None:
    """Against a loop over all orders of four settings, with shared ranks and without."""
    ranks = np.array([[1, 2, 3], [1.5, 1.5, 3], [2, 2, 2], [1, 2.5, 2.5]] if ties else [[1.0, 2, 3]] * 4)
    spreads, widest = [], []
    for orders in itertools.product(*(itertools.permutations(row) for row in ranks)):
        sums = np.sum(orders, axis=0)
        spreads.append(np.sum((sums - sums.mean()) ** 2))
        widest.append(np.ptp(sums))
    chance = rank_sums(ranks)
    for spread in np.unique(spreads):
        assert chance.p(spread) == pytest.approx(np.mean(np.array(spreads) >= spread - 1e-9))
    critical = chance.critical(0.05)
    assert np.mean(np.array(widest) > critical) <= 0.05
    assert np.mean(np.array(widest) > critical - 0.5) > 0.05


def test_two_settings_can_show_no_difference_of_three_methods() -> None:
    found = statistics.rank_methods([[0.9, 0.8, 0.7]] * 2, ["a", "b", "c"])
    assert found.p == pytest.approx(1 / 6)
    assert found.groups == ((0, 2),)
    # The limit would call a and c different from 15 settings on, but not here: 2.343 x (3 x 4 / 12) ** 0.5.
    assert found.critical_difference == 2.0 < statistics.nemenyi(3, 2)


def test_a_sample_of_orders_agrees_with_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = np.tile(np.arange(1.0, 4), (6, 1))
    every = rank_sums(ranks)
    monkeypatch.setattr(rank_permutations, "FEASIBLE", 0)
    some = rank_sums(ranks)
    assert (every.exact, some.exact) == (True, False)
    for spread in (14.0, 26.0, 42.0):
        # The error of a share of 100,000 draws is at most 0.0016.
        assert some.p(spread) == pytest.approx(every.p(spread), abs=0.006)
    assert some.critical(0.05) == every.critical(0.05)


def test_many_settings_take_the_limits() -> None:
    rng = np.random.default_rng(3)
    table = rng.normal(size=(40, 3))
    found = statistics.rank_methods(table, ["a", "b", "c"])
    assert found.distribution == "limit"
    assert found.p == pytest.approx(stats.friedmanchisquare(*table.T).pvalue)
    assert found.critical_difference == statistics.nemenyi(3, 40)


def test_clear_winners_stand_apart() -> None:
    rng = np.random.default_rng(1)
    table = np.array([[0.9, 0.85, 0.6, 0.5]] * 20) + 0.001 * rng.normal(size=(20, 4))
    found = statistics.rank_methods(table, NAMES)
    assert found.mean_ranks == (1.0, 2.0, 3.0, 4.0)
    assert statistics.nemenyi(4, 20) == pytest.approx(1.049, abs=1e-3)
    assert found.critical_difference == pytest.approx(1.049, abs=0.06)
    assert found.groups == ((0, 1), (1, 2), (2, 3))
    lower = statistics.rank_methods(table, NAMES, higher_is_better=False)
    assert lower.methods == found.methods[::-1]


def test_ties_and_gaps_in_the_table() -> None:
    found = statistics.rank_methods([[0.5, 0.5], [0.7, 0.7], [math.nan, 0.9]], ["a", "b"])
    assert (found.mean_ranks, found.p, found.n_settings) == ((1.5, 1.5), 1.0, 2)
    with pytest.raises(MeasureError, match="two methods and two settings"):
        statistics.rank_methods([[0.5, 0.5]], ["a", "b"])
