from __future__ import annotations

import math
from typing import Any

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
    parts: list[tuple[Any, str | None]] = [
        ((metrics.multiclass_precision, metrics.multiclass_recall, metrics.multiclass_f1), None),
        ((metrics.multiclass_macro_precision, metrics.multiclass_macro_recall, metrics.multiclass_macro_f1), "macro"),
        (
            (metrics.multiclass_weighted_precision, metrics.multiclass_weighted_recall, metrics.multiclass_weighted_f1),
            "weighted",
        ),
    ]
    for functions, average in parts:
        theirs = sk.precision_recall_fscore_support(truth, called, average=average, sample_weight=weights)
        for function, expected in zip(functions, theirs, strict=False):
            assert function(truth, score, weights=weights) == pytest.approx(expected, abs=1e-12)
    expected = sk.confusion_matrix(truth, called, sample_weight=weights)
    assert metrics.multiclass_confusion(truth, score, weights=weights) == pytest.approx(expected)


def test_undefined_classes_are_scikit_learns_nan() -> None:
    rng = np.random.default_rng(2)
    truth = rng.choice([0, 1, 3], 40)
    score = rng.dirichlet(np.ones(5), 40)
    score[:, [1, 4]] = 0.0  # class 1 is never predicted, class 2 is never true, class 4 is neither
    called = score.argmax(axis=1)
    options = {"labels": range(5), "zero_division": np.nan}
    each = sk.precision_recall_fscore_support(truth, called, **options)
    of_each = (metrics.multiclass_precision, metrics.multiclass_recall, metrics.multiclass_f1)
    for one, expected in zip(of_each, each, strict=False):
        assert one(truth, score) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert [int(np.isnan(column).sum()) for column in each[:3]] == [2, 2, 1]
    means: list[tuple[Any, int, str]] = [
        (metrics.multiclass_macro_precision, 0, "macro"),
        (metrics.multiclass_macro_recall, 1, "macro"),
        (metrics.multiclass_macro_f1, 2, "macro"),
        (metrics.multiclass_weighted_precision, 0, "weighted"),
        (metrics.multiclass_weighted_recall, 1, "weighted"),
        (metrics.multiclass_weighted_f1, 2, "weighted"),
    ]
    for function, what, average in means:
        theirs = sk.precision_recall_fscore_support(truth, called, average=average, **options)[what]
        assert function(truth, score) == pytest.approx(theirs, abs=1e-12)


def test_equal_scores_are_called_the_first_class() -> None:
    assert metrics.multiclass_confusion([0, 1, 2], [[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [0.3, 0.3, 0.3]]).tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [1, 0, 0],
    ]


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
        ([0, 1], [0.1, 0.9], r"expected \(n,\) and \(n, classes\)"),
        (["a", "b"], [[0.1, 0.9], [0.2, 0.8]], "truth holds something that is not a number"),
        ([[0, 1], [1, 1]], [[0.1, 0.9], [0.2, 0.8]], "row 1: the truth is 1 1; expected a single 1"),
        ([[0, 1], [1, math.nan]], [[0.1, 0.9], [0.2, 0.8]], "row 1: the truth is 1 nan"),
        ([[0.5, 0.5], [1, 0]], [[0.1, 0.9], [0.2, 0.8]], "row 0: the truth is 0.5 0.5"),
        ([[0, 1, 0], [1, 0, 0]], [[0.1, 0.9], [0.2, 0.8]], r"truth has shape \(2, 3\)"),
    ],
)
def test_unusable_rows_are_named(truth: Any, score: list[list[float]], words: str) -> None:
    with pytest.raises(MeasureError, match=words):
        metrics.multiclass_accuracy(truth, score)
