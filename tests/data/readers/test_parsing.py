from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrbench.data.readers import parsing


@given(st.integers(0, 120))
def test_ages_read_alike_in_every_spelling(age: int) -> None:
    spellings = (str(age), f"{age:03d}", f"{age:03d}Y", f"{age}.0", f"{age}y")
    assert {parsing.years(spelling) for spelling in spellings} == {float(age)}


@pytest.mark.parametrize(
    ("word", "age"), [("018M", 1.5), ("006W", 6 * 7 / 365.25), ("365D", 365 / 365.25), ("000", 0.0)]
)
def test_ages_with_units(word: str, age: float) -> None:
    assert parsing.years(word) == pytest.approx(age)


@pytest.mark.parametrize("word", ["", "nan", "None", "121", "411", "414Y"])
def test_unknown_and_impossible_ages(word: str) -> None:
    assert math.isnan(parsing.years(word))


@pytest.mark.parametrize(
    ("parse", "word"), [(parsing.years, "old"), (parsing.years, "-3"), (parsing.sex, "X?"), (parsing.state, "2")]
)
def test_nonsense_is_refused(parse: Callable[[str], object], word: str) -> None:
    with pytest.raises(ValueError, match=re.escape(word)):
        parse(word)


@pytest.mark.parametrize(
    ("word", "sex"), [("Male", "M"), ("f", "F"), ("Unknown", None), ("O", None), ("nan", None), ("", None)]
)
def test_sex(word: str, sex: str | None) -> None:
    assert parsing.sex(word) == sex


@pytest.mark.parametrize(
    ("word", "view"),
    [
        ("PA", "PA"),
        ("ap", "AP"),
        ("L", "LATERAL"),
        ("LL", "LATERAL"),
        ("Lateral", "LATERAL"),
        ("AP_horizontal", "AP SUPINE"),
        ("AP Supine", "AP SUPINE"),
        ("COSTAL", "COSTAL"),
        ("LAO", "LAO"),
        ("UNK", None),
        ("", None),
    ],
)
def test_views(word: str, view: str | None) -> None:
    assert parsing.view(word) == view


@pytest.mark.parametrize(("word", "state"), [("1", 1), ("1.0", 1), ("0.0", 0), ("-1", -1), ("-1.0", -1), ("-0.0", 0)])
def test_states(word: str, state: float) -> None:
    assert parsing.state(word) == state


def test_blank_states() -> None:
    assert all(math.isnan(parsing.state(word)) for word in ("", "NaN", "nan"))
