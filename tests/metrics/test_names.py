from __future__ import annotations

import pytest

from xrbench import metrics
from xrbench.errors import MeasureError, UnknownNameError, UsageError


def test_operating_points_are_read() -> None:
    spec = metrics.parse("ppv@sensitivity=0.9,prevalence=0.02")
    assert (spec.base, spec.condition, spec.target, spec.prevalence) == ("ppv", "sensitivity", 0.9, 0.02)
    assert spec.from_validation
    assert not metrics.parse("recall@threshold=0.5").from_validation
    assert metrics.parse("brier").better == "lower"


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("acu", UnknownNameError, "did you mean 'auc'"),
        ("sensitivity@specificity=0.9", UsageError, "did you mean 'recall'"),
        ("recall", UsageError, "expected one operating point"),
        ("recall@specifity=0.9", UsageError, "did you mean 'specificity'"),
        ("recall@specificity=high", UsageError, "wants a number"),
        ("recall@specificity=90", UsageError, "outside 0..1"),
        ("recall@specificity=0.9,threshold=0.5", UsageError, "expected one operating point"),
        ("recall@specificity=0.9,specificity=0.8", UsageError, "given twice"),
        ("auc@specificity=0.9", UsageError, "no operating point"),
        ("recall@specificity=0.9,prevalence=0.1", UsageError, "no option 'prevalence'"),
        ("ppv@specificity=0.9,prevalence=1.5", UsageError, "prevalence 1.5"),
        ("net-benefit@specificity=0.9", UsageError, "threshold probability"),
        ("recall@threshold=nan", UsageError, "not a number"),
    ],
)
def test_wrong_names_are_refused(name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        metrics.parse(name)


def test_a_threshold_from_validation_must_be_given() -> None:
    with pytest.raises(MeasureError, match="validation set"):
        metrics.evaluate("recall@specificity=0.9", [1, 0], [0.9, 0.1])
    truth, score = [1, 1, 0, 0], [0.9, 0.3, 0.5, 0.1]
    at = metrics.validation_threshold("recall@specificity=0.9", truth, score)
    assert metrics.evaluate("recall@specificity=0.9", truth, score, threshold=at) == 0.5


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("macro-recal", UnknownNameError, "did you mean 'macro-recall'"),
        ("recall", UsageError, "did you mean 'class-recall'"),
        ("auroc", UsageError, "did you mean 'auc'"),
        ("balanced-accuracy", UsageError, "did you mean 'macro-recall'"),
        ("recall@threshold=0.5", UsageError, "no room for an operating point; write 'class-recall'"),
        ("accuracy@specificity=0.9", UsageError, "no room for an operating point; write 'accuracy'"),
        ("net-benefit@threshold=0.1", UnknownNameError, "unknown multi-class metric 'net-benefit'"),
    ],
)
def test_wrong_names_of_exclusive_classes_are_refused(name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        metrics.parse_classes(name)
