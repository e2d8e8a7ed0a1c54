from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from xrbench import statistics
from xrbench.errors import MeasureError

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
    # Critical values 2.569 (4 methods) at 5 %: CD = 2.569 x (4 x 5 / (6 x 14)) ** 0.5 = 1.25.
    assert found.critical_difference == pytest.approx(1.25, abs=5e-3)
    reference = stats.friedmanchisquare(*DEMSAR.T)
    assert (found.statistic, found.p) == pytest.approx((reference.statistic, reference.pvalue), abs=1e-10)
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


def test_clear_winners_stand_apart() -> None:
    rng = np.random.default_rng(1)
    table = np.array([[0.9, 0.85, 0.6, 0.5]] * 20) + 0.001 * rng.normal(size=(20, 4))
    found = statistics.rank_methods(table, NAMES)
    assert found.mean_ranks == (1.0, 2.0, 3.0, 4.0)
    assert found.critical_difference == pytest.approx(1.049, abs=1e-3)
    assert found.groups == ((0, 1), (1, 2), (2, 3))
    lower = statistics.rank_methods(table, NAMES, higher_is_better=False)
    assert lower.methods == found.methods[::-1]


def test_ties_and_gaps_in_the_table() -> None:
    found = statistics.rank_methods([[0.5, 0.5], [0.7, 0.7], [math.nan, 0.9]], ["a", "b"])
    assert (found.mean_ranks, found.p, found.n_settings) == ((1.5, 1.5), 1.0, 2)
    with pytest.raises(MeasureError, match="two methods and two settings"):
        statistics.rank_methods([[0.5, 0.5]], ["a", "b"])
