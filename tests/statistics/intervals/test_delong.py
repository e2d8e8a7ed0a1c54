from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from xrbench import metrics, statistics

Floats = npt.NDArray[np.float64]


def by_definition(truth: Floats, score: Floats) -> tuple[float, float]:
    """Compute the AUC and DeLong's variance from all pairs, as in the paper of 1988."""
    x, y = score[truth == 1], score[truth == 0]
    psi = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    return float(psi.mean()), float(psi.mean(1).var(ddof=1) / len(x) + psi.mean(0).var(ddof=1) / len(y))


@pytest.mark.parametrize("digits", [12, 1])
def test_variance_is_that_of_all_pairs(draw_images: Callable[..., Any], digits: int) -> None:
    data = draw_images(1, 120, digits=digits, masked=0.1)
    truth, score = data.truth[:, 0], data.score[:, 0]
    found = statistics.delong(truth, score)
    auc, variance = by_definition(truth, score)
    assert found.auc[0] == pytest.approx(auc, abs=1e-13)
    assert found.covariance[0, 0] == pytest.approx(variance, rel=1e-11)


def test_one_image_a_patient_changes_nothing(draw_images: Callable[..., Any]) -> None:
    data = draw_images(2, 80, 2)
    plain = statistics.delong(data.truth[:, 0], data.score)
    own = statistics.delong(data.truth[:, 0], data.score, patient=np.arange(len(data.truth)))
    assert own.covariance == pytest.approx(plain.covariance, rel=1e-12)


def test_a_patient_with_copies_of_its_image_counts_once(draw_images: Callable[..., Any]) -> None:
    data = draw_images(3, 80)
    truth, score = data.truth[:, 0], data.score[:, 0]
    ids = np.arange(len(truth))
    thrice = statistics.delong(np.repeat(truth, 3), np.repeat(score, 3), patient=np.repeat(ids, 3))
    once = statistics.delong(truth, score)
    assert thrice.covariance[0, 0] == pytest.approx(once.covariance[0, 0], rel=1e-12)


def test_clustered_error_is_that_of_the_patient_bootstrap(draw_images: Callable[..., Any]) -> None:
    data = draw_images(4, 400)
    truth, score = data.truth[:, 0], data.score[:, 0]
    low, high = statistics.auc_interval(truth, score, patient=data.patient, replicates=4000)
    clustered, naive = (
        math.sqrt(statistics.delong(truth, score, patient=ids).covariance[0, 0]) for ids in (data.patient, None)
    )
    assert (high - low) / 3.92 == pytest.approx(clustered, rel=0.05)
    assert naive < 0.9 * clustered


def test_equal_scores_do_not_differ_and_swapping_flips_the_sign(draw_images: Callable[..., Any]) -> None:
    data = draw_images(5, 100, 2)
    truth = data.truth[:, 0]
    ab = statistics.delong_test(truth, data.score[:, 0], data.score[:, 1])
    ba = statistics.delong_test(truth, data.score[:, 1], data.score[:, 0])
    assert (ab.difference, ab.p) == (-ba.difference, ba.p)
    assert statistics.delong_test(truth, data.score[:, 0], np.exp(data.score[:, 0])).p == 1.0


def test_too_few_have_no_variance() -> None:
    assert np.isnan(statistics.delong([1, 1, 1], [0.1, 0.2, 0.3]).covariance).all()
    assert np.isnan(statistics.delong([1, 0, 0], [0.1, 0.2, 0.3]).covariance).all()
    assert math.isnan(statistics.delong_test([1, 0, 0], [0.1, 0.2, 0.3], [0.1, 0.2, 0.05]).p)
    assert all(math.isnan(end) for end in statistics.delong_interval([1, 0], [0.1, 0.2]))


def test_logit_interval_stays_inside(draw_images: Callable[..., Any]) -> None:
    truth, score = [1, 1, 1, 0, 0, 0], [0.9, 0.8, 0.4, 0.5, 0.2, 0.1]
    assert statistics.delong_interval(truth, score, logit=False)[1] > 1
    low, high = statistics.delong_interval(truth, score)
    assert 0 < low < metrics.auc(truth, score) < high < 1


@pytest.mark.parametrize("digits", [12, 1])
def test_clusters_are_summed_as_obuchowski_wrote(draw_images: Callable[..., Any], digits: int) -> None:
    """Her equations with plain loops over patients, for the variance of one AUC and the covariance of two."""
    data = draw_images(6, 60, 2, digits=digits)
    truth = data.truth[:, 0]
    m, n = truth.sum(), (1 - truth).sum()
    parts = []
    for model in range(2):
        score = data.score[:, model]
        x, y = score[truth == 1], score[truth == 0]
        auc = float(np.mean([(a > b) + 0.5 * (a == b) for a in x for b in y]))
        v10 = {i: np.mean([(score[i] > b) + 0.5 * (score[i] == b) for b in y]) for i in np.flatnonzero(truth == 1)}
        v01 = {i: np.mean([(a > score[i]) + 0.5 * (a == score[i]) for a in x]) for i in np.flatnonzero(truth == 0)}
        sums = []
        for patient in range(60):
            rows = np.flatnonzero(data.patient == patient)
            sums.append([sum(v[i] - auc for i in rows if i in v) for v in (v10, v01)])
        parts.append(np.array(sums))
    ill = len({data.patient[i] for i in np.flatnonzero(truth == 1)})
    well = len({data.patient[i] for i in np.flatnonzero(truth == 0)})
    expected = np.zeros((2, 2))
    for r in range(2):
        for s in range(2):
            s10 = ill / ((ill - 1) * m) * parts[r][:, 0] @ parts[s][:, 0]
            s01 = well / ((well - 1) * n) * parts[r][:, 1] @ parts[s][:, 1]
            s11 = 60 / 59 * (parts[r][:, 0] @ parts[s][:, 1] + parts[s][:, 0] @ parts[r][:, 1])
            expected[r, s] = s10 / m + s01 / n + s11 / (m * n)
    found = statistics.delong(truth, data.score, patient=data.patient).covariance
    assert found == pytest.approx(expected, rel=1e-10)
