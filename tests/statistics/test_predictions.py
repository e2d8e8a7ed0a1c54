"""Predictions know their labels and task; what a call states replaces what they carry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xrbench import statistics
from xrbench.errors import MeasureError, UsageError
from xrbench.statistics import Cell, PairedCell, Predictions, paired

CLASSES = ["nv", "mel", "bkl"]


def predictions(seed: int, domain: str = "here") -> Predictions:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, 120)
    score = np.eye(3)[truth] + rng.normal(size=(120, 3))
    return Predictions(domain, truth.astype(float), score, np.arange(120) // 2, labels=CLASSES, task="multiclass")


def test_labels_and_task_come_with_the_predictions() -> None:
    first, second = predictions(1), predictions(2, "there")
    bare = [replace(part, labels=(), task="multilabel") for part in (first, second)]
    carried = statistics.gap([first], [second], metric="macro-f1")
    assert repr(carried) == repr(
        statistics.gap(bare[:1], bare[1:], metric="macro-f1", labels=CLASSES, task="multiclass")
    )
    both = statistics.compare([(first, replace(first, score=predictions(3).score))], metric="class-recall")
    assert [row.label for row in both] == CLASSES
    assert [row.label for row in statistics.two_level([first, first], metric="auc")] == [*CLASSES, "mean"]


def test_a_class_against_the_rest_is_a_label_of_its_own() -> None:
    part = predictions(4)
    truth = (np.asarray(part.truth)[:, None] == np.arange(3)).astype(float)
    labels = Cell("here", truth, part.score, part.patient, labels=CLASSES)
    assert repr(statistics.two_level([part, part])) == repr(statistics.two_level([labels, labels]))


def test_cells_of_different_tasks_or_without_labels_are_refused() -> None:
    part = predictions(5)
    with pytest.raises(MeasureError, match="there: cells differ in their labels or task"):
        statistics.gap([part], [replace(part, domain="there", task="multilabel")])
    with pytest.raises(UsageError, match="no labels: state the names of the columns"):
        statistics.gap([Cell("x", [1, 0], [0.9, 0.1])], [Cell("y", [1, 0], [0.9, 0.1])])


def test_a_pair_has_the_same_truth_patients_and_images_on_both_sides() -> None:
    arguments = ("nih", [1, 0], [0.9, 0.2], [0.7, 0.3], ["p", "q"])
    thresholds = ({("Edema", "recall@sensitivity=0.9"): 0.5}, {("Edema", "recall@sensitivity=0.9"): 0.6})
    a, b = paired(*arguments, *thresholds, ["1.png", "2.png"])
    assert (a.score, b.score) == ([0.9, 0.2], [0.7, 0.3])
    assert (a.thresholds, b.thresholds) == thresholds
    for one in (a, b):
        assert (one.domain, one.truth, one.patient, one.image) == ("nih", [1, 0], ["p", "q"], ["1.png", "2.png"])
    c, d = PairedCell(*arguments, thresholds_b=thresholds[1])
    assert (c.thresholds, d.thresholds) == ({}, thresholds[1])
