from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from xrbench import metrics, statistics
from xrbench.errors import MeasureError, UsageError
from xrbench.statistics import PairedCell

CLASSES = ["nv", "mel", "bkl"]
Floats = npt.NDArray[np.float64]


def pair(seed: int, patients: int, *, gain: float = 0.0, images: int = 3) -> tuple[Floats, Floats, Floats, Any]:
    """Draw two models' scores on the same patients, who have up to ``images`` images; ``gain`` helps model b."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), rng.integers(1, images + 1, patients))
    truth = rng.integers(0, 3, patients)[patient]
    common = rng.normal(size=(patients, 3))[patient] + 0.5 * rng.normal(size=(len(truth), 3))
    a, b = (common + shift * np.eye(3)[truth] + 0.7 * rng.normal(size=common.shape) for shift in (1.5, 1.5 + gain))
    return truth.astype(float), a, b, patient


def compare(cells: Any, *, metric: str = "macro-recall", **options: Any) -> list[statistics.Difference]:
    return statistics.compare(cells, metric=metric, labels=CLASSES, task="multiclass", **options)


def bootstrap(function: Any, truth: Floats, a: Floats, b: Floats, patient: Any, times: int = 600) -> Floats:
    rng = np.random.default_rng(0)
    count = int(patient.max()) + 1
    drawn = rng.multinomial(count, [1 / count] * count, times)[:, patient].astype(float)
    return np.array([function(truth, b, weights=w) - function(truth, a, weights=w) for w in drawn])


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        ("accuracy", metrics.multiclass_accuracy),
        ("macro-recall", metrics.multiclass_macro_recall),
        ("macro-f1", metrics.multiclass_macro_f1),
    ],
)
def test_difference_and_error_are_those_of_a_paired_patient_bootstrap(metric: str, function: Any) -> None:
    truth, a, b, patient = pair(1, 250, gain=0.5)
    cell = PairedCell("here", truth, a, b, patient)
    rows = compare([cell], metric=metric)
    assert [(row.label, row.metric) for row in rows] == [("all classes", metric)]
    row = rows[0]
    assert (row.value_a, row.value_b) == pytest.approx((function(truth, a), function(truth, b)), abs=1e-12)
    drawn = bootstrap(function, truth, a, b, patient)
    assert row.error == pytest.approx(drawn.std(), rel=0.1)
    assert (row.low, row.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.012)
    assert (row.p < 0.05) == (row.low > 0 or row.high < 0)
    assert row.p == pytest.approx(row.p_bootstrap, abs=0.02)
    assert np.isnan(row.p_delong)
    assert (row.n_positive, row.n_negative, row.n_images, row.n_patients) == (len(truth), 0, len(truth), 250)
    assert row.caution == ""


def test_with_one_image_a_patient_the_error_is_that_of_paired_shares() -> None:
    truth, a, b, patient = pair(2, 400, images=1)
    right = [(score.argmax(axis=1) == truth).astype(float) for score in (a, b)]
    expected = np.std(right[1] - right[0], ddof=1) / np.sqrt(400)
    row = compare([PairedCell("x", truth, a, b, patient)], metric="accuracy")[0]
    assert row.error == pytest.approx(expected, rel=0.002)


def test_each_class_has_a_row_and_swapping_mirrors_it() -> None:
    truth, a, b, patient = pair(3, 200, gain=1.0)
    rows = compare([PairedCell("x", truth, a, b, patient)], metric="class-recall")
    turned = compare([PairedCell("x", truth, b, a, patient)], metric="class-recall")
    assert [row.label for row in rows] == CLASSES
    for k, (row, other) in enumerate(zip(rows, turned, strict=True)):
        mine = truth == k
        recall = [float(np.mean(score[mine].argmax(axis=1) == k)) for score in (a, b)]
        assert (row.value_a, row.value_b) == pytest.approx(recall, abs=1e-12)
        assert (row.low, row.high, row.p) == pytest.approx((-other.high, -other.low, other.p), abs=1e-12)
        assert (row.n_positive, row.n_negative) == (int(mine.sum()), int((~mine).sum()))


def test_classes_against_the_rest_are_compared_label_by_label() -> None:
    truth, a, b, patient = pair(4, 150)
    table = (truth[:, None] == np.arange(3)).astype(float)
    rows = compare([PairedCell("x", truth, a, b, patient)], metric="auc")
    expected = statistics.compare([PairedCell("x", table, a, b, patient)], metric="auc", labels=CLASSES)
    assert repr(rows) == repr(expected)


def test_one_column_a_class_is_read_like_numbers_and_cells_share_patients() -> None:
    truth, a, b, patient = pair(5, 120)
    table = (truth[:, None] == np.arange(3)).astype(float)
    once = compare([PairedCell("x", truth, a, b, patient)])[0]
    twice = compare([PairedCell("x", t, a, b, patient) for t in (truth, table)])[0]
    assert (twice.difference, twice.error) == pytest.approx((once.difference, once.error), rel=1e-9)
    assert (twice.n_cells, twice.n_patients) == (2, once.n_patients)


def test_margins_and_verdicts() -> None:
    truth, a, b, patient = pair(6, 300, gain=2.0)
    better = compare([PairedCell("x", truth, a, b, patient)])[0]
    worse = compare([PairedCell("x", truth, b, a, patient)])[0]
    assert (better.verdict, worse.verdict) == ("better", "worse")
    same = compare([PairedCell("x", truth, a, a, patient)], margin=0.01)[0]
    assert (same.difference, same.p, same.verdict) == (0.0, 1.0, "equivalent within 0.01")


def test_small_classes_and_wrong_names_are_told() -> None:
    truth, a, b, patient = pair(7, 45)
    row = compare([PairedCell("x", truth, a, b, patient)])[0]
    fewest = min(len(np.unique(patient[truth == k])) for k in range(3))
    assert row.caution.startswith(f"only {fewest} patients of one class")
    row = compare([PairedCell("x", truth, a, b, patient)], metric="accuracy")[0]
    assert row.caution == ""
    with pytest.raises(UsageError, match="did you mean 'class-recall'"):
        compare([PairedCell("x", truth, a, b)], metric="recall")
    with pytest.raises(MeasureError, match="score has 3 columns, 2 classes are named"):
        statistics.compare(
            [PairedCell("x", truth, a, b)], labels=["nv", "mel"], metric="macro-recall", task="multiclass"
        )
    with pytest.raises(MeasureError, match="no cell was given"):
        compare([])


def test_type_one_error_is_nominal() -> None:
    seen = []
    for seed in range(300):
        truth, a, b, patient = pair(1000 + seed, 100)
        cell = PairedCell("x", truth, a, b, patient)
        seen.append(compare([cell], replicates=0, threads=1)[0].p < 0.05)
    # 15 expected; the chance of more than 27, or fewer than 5, is below 1 in 500.
    assert 5 <= sum(seen) <= 27
