"""The multi-reader analysis against published results."""

from __future__ import annotations

import numpy as np
import pytest

from xrbench.errors import MeasureError
from xrbench.statistics.inference.multireader import CaseCovariances, case_covariances, multireader

VAN_DYKE = [
    [0.91964573, 0.85877616, 0.90386473, 0.97310789, 0.82979066],
    [0.94782609, 0.90531401, 0.92173913, 0.99935588, 0.92995169],
]
"""AUCs of five readers under spin-echo and cine MRI (Van Dyke et al. 1993): published facts of the field's standard example."""
COVARIANCES = CaseCovariances(
    variance=0.00080229, same_reader=0.00034661, same_treatment=0.00034407, neither=0.00023903
)
"""Their jackknife variances and covariances, as RJafroc and OR-DBM MRMC print them."""


def test_van_dykes_data_give_the_published_analysis() -> None:
    row = multireader(VAN_DYKE, COVARIANCES)
    assert row.means == pytest.approx((0.89703704, 0.94083736), abs=1e-8)
    assert (row.ms_treatment, row.ms_interaction) == pytest.approx((0.00479617, 0.00055103), abs=1e-8)
    assert (row.random.f, row.random.df2, row.random.p) == pytest.approx((4.46, 15.26, 0.0517), abs=5e-3)
    assert row.random.p == pytest.approx(0.0517, abs=5e-5)
    # readers fixed: chi-square 5.476, p 0.0193; cases fixed: F 8.704 on 1 and 4 degrees of freedom, p 0.0420
    assert (row.fixed_readers.f, row.fixed_readers.p) == pytest.approx((5.476, 0.0193), abs=1e-3)
    assert (row.fixed_cases.f, row.fixed_cases.df2, row.fixed_cases.p) == pytest.approx((8.704, 4, 0.0420), abs=1e-3)
    # the interval of the difference that both programs print: 0.0438 with ends -0.0004 and 0.0880
    difference = row.means[1] - row.means[0]
    assert (difference - row.random.half_width, difference + row.random.half_width) == pytest.approx(
        (-0.0004, 0.0880), abs=1e-4
    )


def test_covariances_are_means_over_pairs_of_figures() -> None:
    rng = np.random.default_rng(0)
    shares = rng.normal(size=(40, 2, 3))
    found = case_covariances(shares)

    def covariance(a: tuple[int, int], b: tuple[int, int]) -> float:
        return float(shares[:, a[0], a[1]] @ shares[:, b[0], b[1]])

    cells = [(i, j) for i in range(2) for j in range(3)]
    by_kind = {
        (same_i, same_j): np.mean(
            [covariance(a, b) for a in cells for b in cells if (a[0] == b[0]) == same_i and (a[1] == b[1]) == same_j]
        )
        for same_i in (True, False)
        for same_j in (True, False)
    }
    assert (found.variance, found.same_treatment) == pytest.approx((by_kind[True, True], by_kind[True, False]))
    assert (found.same_reader, found.neither) == pytest.approx((by_kind[False, True], by_kind[False, False]))


def test_with_independent_figures_random_readers_are_a_paired_t_test() -> None:
    from scipy import stats

    figures = np.random.default_rng(1).normal(0.8, 0.03, (2, 6))
    row = multireader(figures, CaseCovariances(0.0, 0.0, 0.0, 0.0))
    assert row.random.p == pytest.approx(stats.ttest_rel(figures[0], figures[1]).pvalue)
    assert row.fixed_cases.p == pytest.approx(row.random.p)


@pytest.mark.parametrize("figures", [[[0.8, 0.9]], [[0.8], [0.9]], [[0.8, np.nan], [0.7, 0.9]]])
def test_too_few_or_missing_figures_are_refused(figures: list[list[float]]) -> None:
    with pytest.raises(MeasureError, match="two treatments and two readers"):
        multireader(figures, COVARIANCES)
    with pytest.raises(MeasureError, match="cases, treatments, readers"):
        case_covariances(np.zeros((5, 1, 3)))
