from __future__ import annotations

import numpy as np
import pytest

from xrbench import metrics
from xrbench.errors import MeasureError

NAN = float("nan")


@pytest.mark.parametrize(
    ("truth", "score", "options", "words"),
    [
        ([1, 0, 1], [0.1, 0.2], {}, "truth has 3 rows, score has 2"),
        ([1, 2], [0.1, 0.2], {}, "row 1: the truth is 2.0"),
        ([NAN, 0], [NAN, NAN], {}, "row 1: the score is NaN where the truth is 0"),
        ([1, 0], [0.1, 1.7], {"probability": True}, "row 1: score 1.7 is outside 0..1: are these logits?"),
        ([1, 0], [np.inf, 0.5], {"probability": True}, "row 0: score inf is outside"),
        ([[1, 0]], [0.1, 0.2], {}, r"truth has shape \(1, 2\)"),
        ([1, 0], ["a", "b"], {}, "score holds something that is not a number"),
        ([1, 0], [0.1, 0.2], {"weights": [1, -1]}, "row 1: weight -1.0"),
        ([1, 0], [0.1, 0.2], {"weights": [1]}, "weights have 1 rows"),
        ([1, 0], [0.1, NAN], {"label": "Edema"}, "^Edema: row 1"),
    ],
)
def test_unusable_rows_are_named(
    truth: list[float], score: list[float], options: dict[str, object], words: str
) -> None:
    with pytest.raises(MeasureError, match=words):
        metrics.validate(truth, score, **options)  # type: ignore[arg-type]


def test_rows_without_a_label_are_left_out_whatever_their_score() -> None:
    rows = metrics.validate([1, NAN, 0, NAN], [0.9, NAN, 0.1, 7.0], probability=True)
    assert rows.positive.tolist() == [True, False]
    assert rows.rows.tolist() == [0, 2]


def test_infinite_scores_are_ranks_like_any_other() -> None:
    assert metrics.auc([0, 1, 0, 1], [-np.inf, np.inf, 0.5, np.inf]) == 1.0
    assert metrics.auc([0, 1], [np.inf, np.inf]) == 0.5
