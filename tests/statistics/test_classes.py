from __future__ import annotations

import numpy as np
import pytest

from xrbench import metrics, statistics
from xrbench.errors import UnknownNameError

CLASSES = ["nv", "mel", "bkl"]


def draw(seed: int, patients: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), rng.integers(1, 4, patients))
    truth = rng.integers(0, 3, patients)[patient].astype(float)
    score = np.exp(1.2 * np.eye(3)[truth.astype(int)] + rng.normal(size=(len(truth), 3)))
    return truth, score / score.sum(axis=1, keepdims=True), patient


@pytest.mark.parametrize("kind", ["default", "bootstrap", "bca"])
def test_values_and_intervals_of_all_classes(kind: str) -> None:
    truth, score, patient = draw(1, 250)
    names = ["accuracy", "macro-recall", "macro-f1", "auc"]
    rows = statistics.estimate_classes(truth, score, patient, classes=CLASSES, metrics=names, kind=kind)
    expected = {
        "accuracy": metrics.multiclass_accuracy(truth, score),
        "macro-recall": metrics.multiclass_macro_recall(truth, score),
        "macro-f1": metrics.multiclass_macro_f1(truth, score),
    }
    for row in rows[:3]:
        assert row.value == pytest.approx(expected[row.metric], abs=1e-12)
        assert row.low < row.value < row.high
        # An ordinary patient bootstrap of accuracy, with patients of 1 to 3 images.
        assert 0.05 < row.high - row.low < 0.15
    assert [row.label for row in rows[3:]] == [*CLASSES, "mean"]
    assert rows[-1].value == pytest.approx(metrics.multiclass_auc(truth, score), abs=1e-12)


def test_kinds_agree() -> None:
    truth, score, patient = draw(2, 400)
    rows = [
        statistics.estimate_classes(truth, score, patient, classes=CLASSES, metrics=["macro-f1"], kind=kind)[0]
        for kind in ("jackknife", "bootstrap", "bca")
    ]
    for row in rows[1:]:
        assert (row.low, row.high) == pytest.approx((rows[0].low, rows[0].high), abs=0.006)


def test_one_class_says_so_and_wrong_columns_are_refused() -> None:
    _, score, _ = draw(3, 20)
    row = statistics.estimate_classes(np.zeros(len(score)), score, classes=CLASSES, metrics=["macro-recall"])[0]
    assert row.reason == "fewer than two classes have images"
    with pytest.raises(UnknownNameError):
        statistics.estimate_classes(np.zeros(len(score)), score, classes=["a", "b"])
