from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from xrbench import metrics
from xrbench.errors import MeasureError


@pytest.mark.parametrize("weighted", [False, True])
def test_against_scikit_learn(weighted: bool) -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 4, 300)
    score = rng.dirichlet(np.ones(4), 300) + 0.3 * np.eye(4)[truth]
    score /= score.sum(axis=1, keepdims=True)
    weights = rng.integers(1, 4, 300).astype(float) if weighted else None
    called = score.argmax(axis=1)
    for ours, theirs in (
        (metrics.multiclass_accuracy, sk.accuracy_score(truth, called, sample_weight=weights)),
        (metrics.multiclass_macro_recall, sk.balanced_accuracy_score(truth, called, sample_weight=weights)),
        (metrics.multiclass_macro_f1, sk.f1_score(truth, called, average="macro", sample_weight=weights)),
        (metrics.multiclass_auc, sk.roc_auc_score(truth, score, multi_class="ovr", sample_weight=weights)),
    ):
        assert ours(truth, score, weights=weights) == pytest.approx(theirs, abs=1e-12)
    expected = sk.confusion_matrix(truth, called, sample_weight=weights)
    assert metrics.multiclass_confusion(truth, score, weights=weights) == pytest.approx(expected)


def test_absent_classes_and_unlabelled_rows_stay_out() -> None:
    score = [[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1], [math.nan] * 3]
    truth = [0, 1, 1, math.nan]
    assert metrics.multiclass_macro_recall(truth, score) == 0.75
    assert math.isnan(metrics.multiclass_macro_recall([0, 0, 0, math.nan], score))
    assert math.isnan(metrics.multiclass_auc([0, 0, 0, math.nan], score))
    assert math.isnan(metrics.multiclass_accuracy([math.nan] * 4, score))


@pytest.mark.parametrize(
    ("truth", "score", "words"),
    [
        ([0, 3], [[0.1, 0.9], [0.2, 0.8]], "row 1: class 3 is not one of 0 to 1"),
        ([0, 0.5], [[0.1, 0.9], [0.2, 0.8]], "row 1: class 0.5"),
        ([0, 1], [[0.1, 0.9], [math.nan, 0.8]], "row 1: a score is NaN"),
        ([0, 1], [0.1, 0.9], r"wanted \(n,\) and \(n, classes\)"),
    ],
)
def test_unusable_rows_are_named(truth: list[float], score: list[list[float]], words: str) -> None:
    with pytest.raises(MeasureError, match=words):
        metrics.multiclass_accuracy(truth, score)
