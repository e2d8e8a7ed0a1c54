from __future__ import annotations

from typing import Any

import pytest

from xrbench.statistics.inference.verdicts import verdict

NAN = float("nan")


@pytest.mark.parametrize(
    ("low", "high", "p"),
    [(NAN, 0.05, 0.003), (0.01, NAN, 0.003), (0.01, 0.05, NAN), (NAN, NAN, 0.003), (NAN, NAN, NAN)],
)
@pytest.mark.parametrize("margin", [0.0, 0.02])
def test_nothing_is_told_from_a_number_that_is_missing(low: float, high: float, p: float, margin: float) -> None:
    assert verdict(low, high, p=p, margin=margin) == "cannot tell"


@pytest.mark.parametrize(
    ("low", "high", "options", "words"),
    [
        (0.01, 0.05, {"p": 0.003}, "better"),
        (-0.05, -0.01, {"p": 0.003}, "worse"),
        (-0.05, -0.01, {"p": 0.003, "better": "lower"}, "better"),
        (0.01, 0.05, {"p": 0.003, "better": "lower"}, "worse"),
        (0.01, 0.05, {"p": 0.003, "better": "neither"}, "differs"),
        (-0.01, 0.05, {"p": 0.2, "better": "neither"}, "cannot tell"),
        (-0.01, 0.01, {"p": 0.9, "better": "neither", "margin": 0.02}, "equivalent within 0.02"),
        # adjusted over its family, p may say less than the interval of the one difference
        (0.01, 0.05, {"p": 0.06}, "cannot tell"),
        (0.01, 0.05, {"p": 0.06, "level": 0.9}, "better"),
        (-0.03, 0.01, {"p": 0.3, "margin": 0.02}, "cannot tell"),
        (-0.03, 0.01, {"p": 0.3, "margin": 0.02, "inner": (-0.019, 0.0)}, "equivalent within 0.02"),
        (-0.01, 0.03, {"p": 0.3, "margin": 0.02, "better": "lower"}, "cannot tell"),
        (-0.03, 0.01, {"p": 0.3, "margin": 0.02, "better": "lower"}, "not worse by more than 0.02"),
        (
            -0.03,
            0.01,
            {"p": 0.3, "margin": 0.02, "better": "lower", "inner": (-0.03, -0.01)},
            "not worse by more than 0.02",
        ),
        (-0.015, -0.005, {"p": 0.003, "margin": 0.02}, "equivalent within 0.02"),
        (-0.03, -0.005, {"p": 0.003, "margin": 0.02}, "worse"),
        (-0.02, 0.05, {"p": 0.3, "margin": 0.02}, "cannot tell"),
    ],
)
def test_words_by_hand(low: float, high: float, options: dict[str, Any], words: str) -> None:
    assert verdict(low, high, **options) == words
