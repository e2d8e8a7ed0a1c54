from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics as sk

from xrbench import metrics, statistics
from xrbench.errors import MeasureError, UsageError

CLASSES = ["nv", "mel", "bkl"]
OVERALL = [
    "accuracy",
    "macro-recall",
    "macro-precision",
    "macro-f1",
    "weighted-recall",
    "weighted-precision",
    "weighted-f1",
]
EACH = ["class-recall", "class-precision", "class-f1"]
Floats = npt.NDArray[np.float64]


def draw(seed: int, patients: int, shares: tuple[float, ...] = (0.34, 0.33, 0.33)) -> tuple[Floats, Floats, Any]:
    """Draw patients of 1 to 3 images, all of one class, whose scores hang together."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), rng.integers(1, 4, patients))
    truth = rng.choice(len(shares), patients, p=shares)[patient]
    shared = rng.normal(size=(patients, len(shares)))[patient]
    score = np.exp(1.5 * np.eye(len(shares))[truth] + 0.7 * shared + 0.7 * rng.normal(size=shared.shape))
    return truth.astype(float), score / score.sum(axis=1, keepdims=True), patient


def by_hand(name: str, truth: Floats, score: Floats) -> Floats:
    """Compute a figure with scikit-learn, a class without images or predictions left out."""
    called = score.argmax(axis=1)
    if name == "accuracy":
        return np.atleast_1d(sk.accuracy_score(truth, called))
    kind, _, what = name.partition("-")
    average = {"class": None, "macro": "macro", "weighted": "weighted"}[kind]
    found = sk.precision_recall_fscore_support(
        truth, called, labels=range(score.shape[1]), average=average, zero_division=np.nan
    )
    return np.atleast_1d(found[{"precision": 0, "recall": 1, "f1": 2}[what]])


@pytest.mark.parametrize("kind", ["default", "jackknife", "bootstrap", "bca", "stratified", "delong", "wilson"])
def test_values_and_intervals_of_predicted_classes(kind: str) -> None:
    truth, score, patient = draw(1, 250)
    rows = statistics.estimate(
        truth, score, patient, labels=CLASSES, metrics=[*OVERALL, *EACH], kind=kind, task="multiclass"
    )
    for name in (*OVERALL, *EACH):
        mine = [row for row in rows if row.metric == name]
        assert [row.label for row in mine] == (["all classes"] if name in OVERALL else CLASSES)
        assert [row.value for row in mine] == pytest.approx(by_hand(name, truth, score), abs=1e-12)
    for row in rows:
        share = row.metric in ("accuracy", "weighted-recall", "class-recall", "class-precision")
        default = "wilson" if share else "jackknife"
        wanted = kind if kind in ("jackknife", "bootstrap", "bca") else default
        assert row.interval == wanted
        assert 0 < row.low < row.value < row.high < 1
        assert 0.05 < row.high - row.low < 0.25
        assert bool(row.caution) == (kind in ("bootstrap", "bca") and row.metric not in ("accuracy", "weighted-recall"))
        assert (row.n_positive + row.n_negative, row.n_patients) == (len(truth), 250)


def test_an_ordinary_patient_bootstrap_agrees() -> None:
    truth, score, patient = draw(2, 300)
    tables = np.zeros((300, 3, 3))
    np.add.at(tables, (patient, truth.astype(int), score.argmax(axis=1)), 1)
    times = np.random.default_rng(0).multinomial(300, [1 / 300] * 300, 20_000)
    counts = np.tensordot(times, tables, 1)
    right, true, called = np.einsum("rkk->rk", counts), counts.sum(axis=2), counts.sum(axis=1)
    each = 2 * right / (true + called)
    names = ["macro-precision", "weighted-f1", "class-f1", "class-recall"]
    drawn = [
        np.mean(right / called, axis=1),
        np.sum(true * each, axis=1) / true.sum(axis=1),
        *each.T,
        *(right / true).T,
    ]
    ends = np.quantile(drawn, [0.025, 0.975], axis=1).T
    for kind in ("default", "bootstrap", "bca"):
        rows = statistics.estimate(
            truth, score, patient, labels=CLASSES, metrics=names, kind=kind, replicates=20_000, task="multiclass"
        )
        for row, (low, high) in zip(rows, ends, strict=True):
            assert (row.low, row.high) == pytest.approx((low, high), abs=0.004 if kind == "bootstrap" else 0.012)


def test_rows_against_the_rest_are_those_of_one_label() -> None:
    truth, score, patient = draw(3, 200)
    table = (truth[:, None] == np.arange(3)).astype(float)
    names = ["auc", "average-precision", "brier"]
    rows = statistics.estimate(
        truth, score, patient, labels=CLASSES, metrics=["auc", "accuracy", *names[1:]], task="multiclass"
    )
    assert [row.metric for row in rows] == [*["auc"] * 4, "accuracy", *["average-precision"] * 4, *["brier"] * 4]
    against = [row for row in rows if row.metric != "accuracy"]
    expected = statistics.estimate(table, score, patient, labels=CLASSES, metrics=names)
    assert repr(against) == repr(expected)
    assert against[3].value == pytest.approx(sk.roc_auc_score(truth, score, multi_class="ovr"), abs=1e-12)


def test_one_column_a_class_is_read_like_numbers() -> None:
    truth, score, patient = draw(4, 100)
    truth[::7] = np.nan
    table = np.where(np.isnan(truth)[:, None], np.nan, truth[:, None] == np.arange(3))
    names = ["accuracy", "class-f1", "auc"]
    one, two = (
        statistics.estimate(t, score, patient, labels=CLASSES, metrics=names, task="multiclass") for t in (truth, table)
    )
    assert repr(one) == repr(two)
    assert one[0].n_masked == int(np.isnan(truth).sum())


def test_weights_are_repetition_and_a_patient_twice_is_two_patients_images() -> None:
    truth, score, patient = draw(5, 80)
    again = np.concatenate([np.arange(len(truth)), np.flatnonzero(patient == 3)])
    weights = np.where(patient == 3, 2.0, 1.0)
    for name, function in (
        ("macro-precision", metrics.multiclass_macro_precision),
        ("weighted-f1", metrics.multiclass_weighted_f1),
    ):
        row = statistics.estimate(truth[again], score[again], labels=CLASSES, metrics=[name], task="multiclass")[0]
        assert row.value == pytest.approx(function(truth, score, weights=weights), abs=1e-12)


def test_small_and_absent_classes_are_told() -> None:
    truth, score, patient = draw(6, 200, (0.5, 0.45, 0.05))
    few = len(np.unique(patient[truth == 2]))
    names = ["accuracy", "macro-f1", "class-recall"]
    rows = statistics.estimate(truth, score, patient, labels=CLASSES, metrics=names, task="multiclass")
    words = f"few patients of bkl ({few}): jackknife intervals are known to hold from 20"
    wilson = words.replace("jackknife", "wilson")
    assert [row.caution for row in rows] == ["", words, "", "", wilson]
    rows = statistics.estimate(
        truth, score, patient, labels=CLASSES, metrics=names, kind="bootstrap", task="multiclass"
    )
    assert "known to hold from 100" in rows[1].caution
    without = truth != 2
    rows = statistics.estimate(
        truth[without],
        score[without],
        patient[without],
        labels=CLASSES,
        metrics=["macro-recall", "class-recall"],
        task="multiclass",
    )
    assert rows[0].caution == "bkl without an image"
    assert (np.isnan(rows[3].value), rows[3].reason) == (True, "no image of this class")


def test_a_class_that_is_never_predicted_has_no_precision() -> None:
    truth, score, patient = draw(7, 150)
    score[:, 2] = 0.0
    rows = statistics.estimate(
        truth,
        score,
        patient,
        labels=CLASSES,
        metrics=["class-precision", "macro-precision", "class-recall"],
        task="multiclass",
    )
    assert (np.isnan(rows[2].value), rows[2].reason) == (True, "no image is predicted as this class")
    assert rows[3].value == pytest.approx((rows[0].value + rows[1].value) / 2, abs=1e-12)
    assert rows[6].value == 0.0
    assert rows[6].high > 0


def test_results_do_not_depend_on_threads() -> None:
    truth, score, patient = draw(8, 120)
    one, four = (
        statistics.estimate(
            truth,
            score,
            patient,
            labels=CLASSES,
            metrics=OVERALL,
            kind="bootstrap",
            replicates=300,
            threads=threads,
            task="multiclass",
        )
        for threads in (1, 4)
    )
    assert repr(one) == repr(four)


def test_one_class_says_so_and_wrong_columns_are_refused() -> None:
    _, score, _ = draw(3, 20)
    row = statistics.estimate(np.zeros(len(score)), score, labels=CLASSES, metrics=["macro-recall"], task="multiclass")[
        0
    ]
    assert row.reason == "fewer than two classes have images"
    row = statistics.estimate([np.nan] * len(score), score, labels=CLASSES, metrics=["class-f1"], task="multiclass")[0]
    assert row.reason == "no labelled image"
    with pytest.raises(MeasureError, match="score has 3 columns, 2 classes are named"):
        statistics.estimate(np.zeros(len(score)), score, labels=["a", "b"], task="multiclass")
    with pytest.raises(UsageError, match="did you mean 'class-f1'"):
        statistics.estimate(np.zeros(len(score)), score, labels=CLASSES, metrics=["f1"], task="multiclass")
