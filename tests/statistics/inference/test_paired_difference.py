from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from xrbench import metrics, statistics
from xrbench.errors import MeasureError
from xrbench.statistics import PairedCell


def pair(draw_images: Callable[..., Any], seed: int, patients: int = 150, *, gain: float = 0.0, labels: int = 2) -> Any:
    data = draw_images(seed, patients, labels)
    rng = np.random.default_rng(seed + 1000)
    other = data.score + 0.1 * rng.normal(size=data.score.shape) + gain * np.nan_to_num(data.truth)
    return data, other


def test_difference_is_b_minus_a(draw_images: Callable[..., Any]) -> None:
    data, other = pair(draw_images, 1, gain=0.1)
    cell = PairedCell("x", data.truth, data.score, other, data.patient)
    rows = statistics.compare([cell], labels=["a", "b"], replicates=500)
    for i, row in enumerate(rows[:2]):
        a, b = (metrics.auc(data.truth[:, i], part[:, i]) for part in (data.score, other))
        assert (row.value_a, row.value_b) == pytest.approx((a, b), abs=1e-12)
        assert row.difference == pytest.approx(b - a, abs=1e-12)
        assert row.low < row.difference < row.high
        assert (row.p < 0.05) == (row.low > 0 or row.high < 0)
        assert row.verdict == "better"
        # noncentral t with the degrees of freedom of the jackknife: a little above the normal 2.80 standard errors
        assert 2.8 < row.detectable / row.error < 3.1
    mean = rows[2]
    assert mean.difference == pytest.approx(np.mean([row.difference for row in rows[:2]]), abs=1e-12)
    assert math.isnan(mean.p_delong)


def test_swapping_models_mirrors_everything(draw_images: Callable[..., Any]) -> None:
    data, other = pair(draw_images, 2, gain=0.1)
    one = statistics.compare([PairedCell("x", data.truth, data.score, other, data.patient)], labels=["a", "b"])
    two = statistics.compare([PairedCell("x", data.truth, other, data.score, data.patient)], labels=["a", "b"])
    for row, turned in zip(one, two, strict=True):
        assert (row.low, row.high) == pytest.approx((-turned.high, -turned.low), abs=1e-12)
        assert row.p == pytest.approx(turned.p, abs=1e-12)
        assert (row.verdict, turned.verdict) in {("better", "worse"), ("cannot tell", "cannot tell")}


def test_the_error_is_delongs(draw_images: Callable[..., Any]) -> None:
    data, other = pair(draw_images, 3, 400, labels=1)
    row = statistics.compare(
        [PairedCell("x", data.truth, data.score, other, data.patient)], labels=["a"], replicates=4000
    )[0]
    test = statistics.delong_test(data.truth[:, 0], data.score[:, 0], other[:, 0], patient=data.patient)
    assert row.error == pytest.approx(test.error, rel=0.05)
    assert row.p_delong == test.p


def test_cells_of_one_domain_share_their_patients(draw_images: Callable[..., Any]) -> None:
    data, other = pair(draw_images, 4)
    cell = PairedCell("x", data.truth, data.score, other, data.patient)
    apart = PairedCell("y", data.truth, data.score, other, data.patient)
    once = statistics.compare([cell], labels=["a", "b"], replicates=2000)[2]
    twice = statistics.compare([cell, cell], labels=["a", "b"], replicates=2000)[2]
    independent = statistics.compare([cell, apart], labels=["a", "b"], replicates=2000)[2]
    # The same test set twice teaches nothing; two hospitals halve the variance.
    assert twice.error == pytest.approx(once.error, rel=1e-9)
    assert independent.error == pytest.approx(once.error / math.sqrt(2), rel=0.1)
    assert twice.n_patients == once.n_patients
    assert independent.n_patients == 2 * once.n_patients


def test_a_subset_of_the_patients_is_recognised(draw_images: Callable[..., Any]) -> None:
    data, other = pair(draw_images, 5)
    part = data.patient < 100
    whole = PairedCell("x", data.truth, data.score, other, data.patient)
    some = PairedCell("x", data.truth[part], data.score[part], other[part], data.patient[part])
    row = statistics.compare([whole, some], labels=["a", "b"], replicates=500)[2]
    assert row.n_patients == 150
    assert row.n_cells == 2


def test_without_patients_images_are_known_by_their_ids(draw_images: Callable[..., Any]) -> None:
    data, other = pair(draw_images, 6)
    ids = [f"{row}.png" for row in range(len(data.truth))]
    straight = PairedCell("x", data.truth, data.score, other, image=ids)
    turned = PairedCell("x", data.truth[::-1], data.score[::-1], other[::-1], image=ids[::-1])
    once = statistics.compare([straight], labels=["a", "b"], replicates=500)[2]
    twice = statistics.compare([straight, turned], labels=["a", "b"], replicates=500)[2]
    assert once.unit == "image"
    assert twice.error == pytest.approx(once.error, rel=1e-9)


def test_undefined_cells_are_left_out_and_none_left_is_said(draw_images: Callable[..., Any]) -> None:
    data, other = pair(draw_images, 7)
    blank = data.truth.copy()
    blank[:, 1] = 0.0
    cell = PairedCell("x", data.truth, data.score, other, data.patient)
    half = PairedCell("y", blank, data.score, other, data.patient)
    rows = statistics.compare([cell, half], labels=["a", "b"], replicates=200)
    assert [row.n_cells for row in rows] == [2, 1, 2]
    row = statistics.compare([half], labels=["a", "b"], replicates=200)[1]
    assert (row.verdict, row.reason) == ("cannot tell", "no cell in which both models have a value")
    with pytest.raises(MeasureError, match="no cell was given"):
        statistics.compare([], labels=["a"])


def test_lower_is_better_for_brier(draw_images: Callable[..., Any]) -> None:
    data = draw_images(8, 200, 1)
    worse = np.clip(data.score + 0.3 * (0.5 - data.truth), 0, 1)
    cell = PairedCell("x", data.truth, data.score, worse, data.patient)
    row = statistics.compare([cell], metric="brier", labels=["a"], replicates=200)[0]
    assert row.difference > 0
    assert row.verdict == "worse"


@pytest.mark.parametrize(
    ("ends", "p", "margin", "words"),
    [
        ((0.01, 0.05), 0.003, 0.02, "better"),
        ((0.01, 0.05), 0.08, 0.0, "cannot tell"),
        ((-0.05, -0.03), 0.001, 0.02, "worse"),
        ((-0.05, -0.01), 0.003, 0.02, "worse"),
        ((-0.015, -0.001), 0.03, 0.02, "equivalent within 0.02"),
        ((-0.01, 0.03), 0.3, 0.02, "not worse by more than 0.02"),
        ((-0.03, 0.03), 0.9, 0.02, "cannot tell"),
        ((math.nan, math.nan), math.nan, 0.02, "cannot tell"),
    ],
)
def test_verdicts(ends: tuple[float, float], p: float, margin: float, words: str) -> None:
    assert statistics.verdict(*ends, p=p, margin=margin) == words


def test_adjustments_are_monotone_and_skip_nan() -> None:
    raw = [0.04, math.nan, 0.001, 0.02]
    holm, bh = statistics.adjust(raw), statistics.adjust(raw, method="bh")
    assert holm[[0, 2, 3]] == pytest.approx([0.04, 0.003, 0.04])
    assert bh[[0, 2, 3]] == pytest.approx([0.04, 0.003, 0.03])
    assert math.isnan(holm[1])
    assert np.isnan(statistics.adjust([math.nan])).all()
    with pytest.raises(MeasureError, match=r"p-value 1\.5"):
        statistics.adjust([0.1, 1.5])


def test_a_perfect_side_is_not_known_exactly() -> None:
    # Model b ranks all ten patients rightly; nobody's absence changes that, yet five patients of a class prove little.
    truth = np.repeat([1.0, 0.0], 5)
    a = np.array([0.9, 0.8, 0.7, 0.6, 0.3, 0.4, 0.2, 0.2, 0.1, 0.1])
    b = np.linspace(1, 0, 10)
    row = statistics.compare([PairedCell("here", truth, a, b, np.arange(10))], labels=["Edema"], replicates=200)[0]
    assert (row.value_a, row.value_b) == (0.96, 1.0)
    assert row.error > 3 / 5 / 1.96  # the rule of three for five patients, and a's own error on top
    assert row.low < 0 < row.high
    assert row.p > 0.2
    same = statistics.compare([PairedCell("here", truth, b, b, np.arange(10))], labels=["Edema"], replicates=200)[0]
    assert (same.difference, same.p, same.low, same.high) == (0.0, 1.0, 0.0, 0.0)


def test_the_rule_of_three_counts_the_patients_of_the_rarer_class() -> None:
    """Four positive and sixteen negative patients of one image each; model b ranks all of them correctly."""
    truth = np.repeat([1.0, 0.0], [4, 16])
    a = np.concatenate([[0.95, 0.83, 0.62, 0.33], np.linspace(0.05, 0.8, 16)])
    b = np.linspace(1, 0, 20)
    row = statistics.compare([PairedCell("x", truth, a, b, np.arange(20))], labels=["Edema"], replicates=100)[0]
    left_out = []
    for patient in range(20):
        kept = np.arange(20) != patient
        positive, negative = a[kept & (truth == 1)], a[kept & (truth == 0)]
        left_out.append(float(np.mean(positive[:, None] > negative[None, :])))
    # The jackknife variance of a's logit, carried to the AUC by the delta method; b adds 3 / 4 / 1.96 for its four positives.
    logit = special.logit(left_out)
    own = np.sqrt(19 / 20 * np.sum((logit - logit.mean()) ** 2)) * row.value_a * (1 - row.value_a)
    assert row.value_b == 1.0
    assert row.error == pytest.approx(np.hypot(own, 3 / 4 / 1.96), rel=1e-9)


def test_the_bootstrap_p_value_is_widened_for_few_patients() -> None:
    """With six patients of the rarer class the bootstrap variance is 5/6 of what it should be (Hesterberg 2015)."""
    rng = np.random.default_rng(11)
    truth = np.repeat([1.0, 0.0], [6, 60])
    common = rng.normal(size=66) + 0.8 * truth
    a, b = (common + 0.8 * rng.normal(size=66) for _ in range(2))
    cell = PairedCell("x", truth, a, b, np.arange(66))
    row = statistics.compare([cell], labels=["Edema"], replicates=20_000)[0]
    counts = np.random.default_rng(5).multinomial(66, [1 / 66] * 66, 20_000).astype(float)
    pairs = counts[:, :6].sum(axis=1) * counts[:, 6:].sum(axis=1)
    above = [(score[:6, None] > score[None, 6:]).astype(float) for score in (a, b)]
    defined = pairs > 0
    auc_a, auc_b = (
        np.einsum("ri,ij,rj->r", counts[defined, :6], part, counts[defined, 6:]) / pairs[defined] for part in above
    )
    expected = float(np.std(auc_b - auc_a, ddof=1)) * np.sqrt(6 / 5)
    used = abs(row.difference) / stats.norm.isf(row.p_bootstrap / 2)
    assert used == pytest.approx(expected, rel=0.03)


def test_the_verdict_is_at_the_level_of_the_interval(draw_images: Callable[..., Any]) -> None:
    """A difference with p between 5 % and 40 % is no difference at 95 % and one at 60 %, as its interval says."""
    for seed in range(20):
        data, other = pair(draw_images, seed, 60, labels=1)
        cell = PairedCell("x", data.truth, data.score, other, data.patient)
        strict = statistics.compare([cell], labels=["a"], replicates=50)[0]
        if not 0.05 < strict.p < 0.35:
            continue
        loose = statistics.compare([cell], labels=["a"], replicates=50, level=0.6)[0]
        assert strict.verdict == "cannot tell"
        assert loose.verdict == ("better" if loose.difference > 0 else "worse")
        assert loose.low > 0 or loose.high < 0
        return
    pytest.fail("no seed gives a difference in between")


def test_a_class_without_images_is_no_class_of_few_patients() -> None:
    """What a figure rests on is counted over the classes that have images: three of one, two of the other."""
    truth = [0, 0, 0, 1, 1]
    a = [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1]]
    cell = PairedCell("x", truth, a, a[::-1], ["p", "q", "r", "s", "t"])
    names = ["x", "y", "never"]
    row = statistics.compare([cell], metric="macro-recall", labels=names, task="multiclass", replicates=50)[0]
    assert "only 2 patients of one class" in row.caution


def test_patients_who_are_all_alike_show_no_error_and_give_no_p_value() -> None:
    """Each of eight patients has the same four positives and four negatives: leaving one out changes neither figure."""
    truth, patient = np.tile([1.0, 1, 1, 1, 0, 0, 0, 0], 8)[:, None], np.repeat(np.arange(8), 8)
    half = np.tile([0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], 8)[:, None]  # finds 2 of 4
    more = np.tile([0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1], 8)[:, None]  # 3 of 4
    cell = PairedCell("x", truth, half, more, patient)
    row = statistics.compare([cell], labels=["a"], metric="recall@threshold=0.5", replicates=200)[0]
    assert (row.value_a, row.value_b, row.difference, row.error) == (0.5, 0.75, 0.25, 0.0)
    assert math.isnan(row.p)
    assert row.verdict == "cannot tell"
