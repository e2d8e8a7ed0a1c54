"""Influence of single patients against removing their rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from xrbench import metrics, statistics
from xrbench.errors import MeasureError, UsageError


@pytest.mark.parametrize("metric", ["auc", "average-precision", "recall@threshold=0.6", "brier", "calibration-slope"])
def test_each_patient_is_what_the_figure_loses_without_the_rows(draw_images: Callable[..., Any], metric: str) -> None:
    data = draw_images(1, 60, masked=0.1)
    names = np.array([f"p{number}" for number in data.patient])
    truth, score = data.truth[:, 0], data.score[:, 0]
    found = statistics.influence(truth, score, names, metric=metric, most=None)
    value = metrics.evaluate(metric, truth, score)
    assert {one.patient for one in found} == set(names[~np.isnan(truth)])
    for one in found:
        kept = names != one.patient
        without = metrics.evaluate(metric, truth[kept], score[kept])
        assert one.without == pytest.approx(without, abs=1e-9)
        assert one.change == pytest.approx(value - without, abs=1e-9)
        own = truth[~kept]
        assert (one.n_positive, one.n_negative) == (int(np.sum(own == 1)), int(np.sum(own == 0)))
    sizes = [abs(one.change) for one in found]
    assert sizes == sorted(sizes, reverse=True)


def test_without_patients_rows_are_named_and_a_figure_that_hangs_on_one_comes_first() -> None:
    found = statistics.influence([1, 0, 0, 0], [0.9, 0.2, 0.3, 0.1], most=2)
    assert len(found) == 2
    assert found[0].patient == 0
    assert np.isnan(found[0].without)


def test_a_threshold_is_asked_for_and_taken() -> None:
    truth, score = [1, 1, 0, 0], [0.9, 0.4, 0.5, 0.1]
    with pytest.raises(MeasureError, match="wants a threshold chosen on the validation set"):
        statistics.influence(truth, score, metric="recall@specificity=0.9")
    found = statistics.influence(truth, score, metric="recall@specificity=0.9", threshold=0.6)
    assert {(one.patient, one.without) for one in found} == {(0, 0.0), (1, 1.0), (2, 0.5), (3, 0.5)}
    with pytest.raises(UsageError, match="most -1 is below 0"):
        statistics.influence(truth, score, most=-1)
