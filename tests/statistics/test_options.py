"""Options are checked where a public function begins; one that a function does not have is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xrbench import statistics
from xrbench.cards import Interval
from xrbench.errors import UsageError
from xrbench.statistics import Cell

TRUTH, SCORE, PATIENT = [1, 1, 0, 0] * 10, list(np.linspace(0, 1, 40)), list(range(40))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "bootstrp"}, "unknown kind of interval 'bootstrp'; did you mean 'bootstrap'"),
        ({"level": 1.0}, r"level 1\.0 is not between 0 and 1"),
        ({"level": 0}, "level 0 is not between 0 and 1"),
        ({"replicates": 0}, "replicates 0 is below 1"),
        ({"unit": "patients"}, "unknown unit 'patients'; did you mean 'patient'"),
        ({"task": "multi-label"}, "unknown task 'multi-label'; did you mean 'multilabel'"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        statistics.estimate(TRUTH, SCORE, PATIENT, labels=["a"], **options)


def test_a_gap_has_no_kind_of_interval_and_may_do_without_replicates() -> None:
    cell = Cell("x", TRUTH, SCORE, PATIENT)
    assert statistics.gap([cell], [cell], labels=["a"], replicates=0)[0].replicates == 0
    with pytest.raises(UsageError, match="replicates -1 is below 0"):
        statistics.gap([cell], [cell], labels=["a"], replicates=-1)
    wrong: dict[str, Any] = {"kind": "bootstrap"}
    with pytest.raises(TypeError, match="kind"):
        statistics.gap([cell], [cell], labels=["a"], **wrong)


def test_a_card_gives_all_options_and_others_replace_them() -> None:
    card = Interval(kind="bootstrap", unit="image", replicates=70, level=0.8)
    row = statistics.estimate(TRUTH, SCORE, PATIENT, labels=["a"], **statistics.from_card(card, seed=3))[0]
    plain = statistics.estimate(
        TRUTH, SCORE, PATIENT, labels=["a"], kind="bootstrap", unit="image", replicates=70, level=0.8, seed=3
    )[0]
    assert repr(row) == repr(plain)
    assert (row.interval, row.unit, row.replicates, row.level) == ("bootstrap", "image", 70, 0.8)
    assert statistics.from_card(card, level=0.9)["level"] == 0.9
