"""What people hand over: masked arrays, tensors, numbers of 32 bits, ids as numbers and as text, a name where names are expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrbench import metrics, statistics
from xrbench.errors import MeasureError, UsageError
from xrbench.statistics.intervals.formulas import wilson
from xrbench.statistics.resampling.clusters import encode

RNG = np.random.default_rng(0)
TRUTH = np.tile([1.0, 0.0], 40)
SCORE = np.round(0.2 * TRUTH + 0.8 * RNG.random(80), 2)
HIDDEN = np.arange(80) < 6
ANYTHING: Any = ["auc"]
NOTHING: Any = None


def masked(values: Any) -> Any:
    return np.ma.masked_array(values, mask=HIDDEN)


@given(st.integers(1, 10_000), st.floats(0.5, 0.999))
def test_wilsons_interval_of_all_or_none_holds_its_value(size: int, level: float) -> None:
    assert wilson(1.0, size, level, df=max(1, size - 1))[1] == 1
    assert wilson(0.0, size, level, df=max(1, size - 1))[0] == 0


def test_a_masked_truth_is_not_labelled() -> None:
    known = np.where(HIDDEN, np.nan, TRUTH)
    for metric in ("auc", "recall@threshold=0.5", "brier"):
        expected = metrics.evaluate(metric, known, SCORE)
        assert metrics.evaluate(metric, masked(TRUTH), SCORE) == expected
        assert metrics.evaluate(metric, masked(TRUTH), masked(SCORE)) == expected
        rows = statistics.estimate(masked(TRUTH), masked(SCORE), labels=["x"], metrics=[metric])
        assert rows[0].value == pytest.approx(expected, abs=1e-12)
        assert rows[0].n_masked == 6
    assert statistics.delong(masked(TRUTH), SCORE).auc[0] == metrics.auc(known, SCORE)
    classes = np.stack([1 - SCORE, SCORE], axis=1)
    assert metrics.multiclass_accuracy(masked(TRUTH), classes) == metrics.multiclass_accuracy(known, classes)


def test_a_masked_score_of_a_labelled_image_is_missing() -> None:
    with pytest.raises(MeasureError, match=r"row 0: the score is NaN where the truth is 1"):
        metrics.auc(TRUTH, masked(SCORE))


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.6, 0.7, 0.9, 0.05])
def test_a_number_of_32_bits_meets_the_threshold_that_it_was(threshold: float) -> None:
    """Of scores in tenths and twentieths, as a network in single precision writes them."""
    exact = np.round(np.arange(0.0, 1.0001, 0.05), 2)
    single = exact.astype(np.float32)
    truth = np.ones(len(exact))
    expected = float(np.mean(exact >= threshold))
    assert metrics.recall(truth, single, threshold=threshold) == expected
    assert metrics.recall(truth, single.astype(np.float64), threshold=threshold) == expected
    row = statistics.estimate(truth, single, labels=["x"], metrics=[f"recall@threshold={threshold}"])[0]
    assert (row.value, row.threshold) == (expected, threshold)


def test_scores_of_64_bits_are_compared_as_they_are() -> None:
    below = float(np.float32(0.7))
    assert below < 0.7
    assert metrics.recall([1, 1], [below, 0.3], threshold=0.7) == 0.0
    assert metrics.recall([1, 1], [below, below], threshold=0.7) == 1.0


@pytest.mark.parametrize(
    ("ids", "numbers"),
    [
        ([1, "1", 2, "2"], [0, 0, 1, 1]),
        (np.array([1, "1", 1.0, "1.0"], object), [0, 0, 0, 1]),
        (["a", "", "  ", None], [0, 1, 2, 3]),
        (np.ma.masked_array([7, 7, 7, 8], mask=[False, False, True, True]), [0, 0, 1, 2]),
        ([1.5, "1.5", 2, True], [0, 1, 2, 3]),
    ],
    ids=["numbers and text", "objects", "blank", "masked", "what is no whole number stays"],
)
def test_ids_are_the_same_patient_whatever_their_type(ids: Any, numbers: list[int]) -> None:
    patients = encode(ids, 4)
    assert patients.unit == "patient"
    # Missing ids are numbered behind the known ones.
    assert len(set(patients.code.tolist())) == len(set(numbers))
    pairs = [(i, j) for i in range(4) for j in range(i)]
    assert all((patients.code[i] == patients.code[j]) == (numbers[i] == numbers[j]) for i, j in pairs)


def test_blank_ids_alone_make_images_the_unit() -> None:
    assert encode(np.array(["", " ", None], object), 3).unit == "image"
    blank = statistics.Cell("a", TRUTH, SCORE, [""] * 80)
    other = statistics.Cell("b", TRUTH, SCORE, [""] * 80)
    assert statistics.gap([blank], [other], labels=["x"], replicates=0)[0].unit == "image"


def test_ids_of_two_files_match_although_their_types_differ() -> None:
    patient = np.arange(80) // 2
    a, b = (statistics.Cell("h", TRUTH, SCORE, ids) for ids in (patient, [str(each) for each in patient]))
    same = statistics.compare([(a, b)], labels=["x"], replicates=0)[0]
    assert (same.n_patients, same.difference, same.error) == (40, 0.0, 0.0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: statistics.estimate(TRUTH, SCORE, labels=["x"], metrics="auc"), "metrics is the text 'auc'"),
        (lambda: statistics.estimate(TRUTH, SCORE, labels="Edema"), "labels is the text 'Edema'"),
        (lambda: statistics.Predictions("h", TRUTH, SCORE, labels="E"), "labels is the text 'E'"),
        (lambda: statistics.gap([statistics.Cell("h", TRUTH, SCORE)], [], labels="E"), "labels is the text 'E'"),
        (lambda: statistics.thresholds_for(TRUTH, SCORE, labels=["x"], metrics="auc"), "metrics is the text 'auc'"),
        (lambda: metrics.evaluate(ANYTHING, TRUTH, SCORE), r"metric is \['auc'\], expected one name"),
        (lambda: metrics.parse_classes(NOTHING), "metric is None, expected one name"),
    ],
)
def test_a_text_is_not_taken_for_a_list(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        call()


class Tensor:
    """Behaves as a tensor of PyTorch that requires gradients."""

    def __array__(self, *args: object, **kwargs: object) -> Any:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    def detach(self) -> Tensor:
        return self


@pytest.mark.parametrize(
    "call",
    [
        lambda score: metrics.auc(TRUTH, score),
        lambda score: metrics.multiclass_accuracy(TRUTH, score),
        lambda score: statistics.estimate(TRUTH, score, labels=["x"]),
        lambda score: statistics.delong(TRUTH, score),
    ],
)
def test_a_tensor_with_gradients_is_refused_with_what_to_pass(call: Callable[[Any], Any]) -> None:
    with pytest.raises(
        MeasureError, match=r"score is a tensor that NumPy cannot read: pass score.detach\(\).cpu\(\).float\(\)"
    ):
        call(Tensor())
