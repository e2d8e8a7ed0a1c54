from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from xrbench.data.datasets.demographics import age_bands, describe_split

NAN = np.nan

rows = st.lists(
    st.tuples(
        st.sampled_from(["p", "q", "r", "s"]),
        st.sampled_from(["F", "M", None]),
        st.one_of(st.just(NAN), st.floats(0, 130)),
    ),
    min_size=1,
    max_size=25,
)


def frame_of(drawn: list[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(drawn, columns=["patient_id", "sex", "age"])
    return frame.astype({"age": float})


def first_known(drawn: list[tuple[Any, ...]]) -> dict[str, tuple[str, float]]:
    """Read row after row, as one would with a pencil."""
    sexes: dict[str, str] = defaultdict(lambda: "unknown")
    ages: dict[str, float] = defaultdict(lambda: NAN)
    for patient, sex, age in drawn:
        if sex is not None and patient not in sexes:
            sexes[patient] = sex
        if age <= 120 and patient not in ages:
            ages[patient] = age
    return {patient: (sexes[patient], ages[patient]) for patient, *_ in drawn}


@given(drawn=rows, width=st.sampled_from([5, 7, 10]))
@settings(max_examples=150, deadline=None)
def test_counts_are_those_of_reading_row_after_row(drawn: list[tuple[Any, ...]], width: int) -> None:
    frame, people = frame_of(drawn), first_known(drawn)
    found = describe_split(frame, np.zeros((len(frame), 1), np.float32), ["Edema"])
    assert found["images"] == len(drawn)
    assert found["patients"] == len(people)
    assert found["male"] == sum(sex == "M" for sex, _ in people.values())
    assert found["female"] == sum(sex == "F" for sex, _ in people.values())
    bands = age_bands(frame, width=width)
    assert sum(band["patients"] for band in bands) == len(people)
    for band in bands:
        if band["low"] is None:
            expected = sum(sex == band["sex"] and np.isnan(age) for sex, age in people.values())
        else:
            assert band["high"] - band["low"] == width
            expected = sum(sex == band["sex"] and band["low"] <= age < band["high"] for sex, age in people.values())
        assert band["patients"] == expected


def test_bands_of_a_sex_have_no_gap_and_all_sexes_have_the_same_bands() -> None:
    frame = frame_of([("a", "F", 3), ("b", "M", 41), ("c", None, 18), ("d", "M", NAN), ("e", "F", 400)])
    bands = age_bands(frame, width=10)
    lows = {sex: [b["low"] for b in bands if b["sex"] == sex] for sex in ("F", "M", "unknown")}
    assert lows == {
        "F": [0, 10, 20, 30, 40, None],
        "M": [0, 10, 20, 30, 40, None],
        "unknown": [0, 10, 20, 30, 40],
    }


def test_positive_and_labelled_are_counted_by_image() -> None:
    frame = frame_of([("p", "F", 1), ("p", "F", 1), ("q", "M", 2)])
    truth = np.array([[1, NAN], [0, NAN], [1, 0]], np.float32)
    found = describe_split(frame, truth, ["Edema", "Mass"])
    assert found["positive"] == {"Edema": 2, "Mass": 0}
    assert found["labelled"] == {"Edema": 3, "Mass": 1}


def test_without_patient_ids_nothing_is_said_about_patients() -> None:
    frame = pd.DataFrame({"patient_id": [None, None], "sex": ["F", "M"], "age": [30.0, 40.0]})
    found = describe_split(frame, np.zeros((2, 1), np.float32), ["Edema"])
    assert (found["images"], found["patients"], found["male"], found["female"]) == (2, None, None, None)
    assert age_bands(frame) == []


def test_nobody_and_no_age_at_all() -> None:
    nobody = frame_of([])
    found = describe_split(nobody, np.zeros((0, 1), np.float32), ["Edema"])
    assert (found["images"], found["positive"]) == (0, {"Edema": 0})
    assert age_bands(nobody) == []
    assert age_bands(frame_of([("a", "F", NAN)])) == [{"sex": "F", "low": None, "high": None, "patients": 1}]


def test_a_dataset_of_112_120_images_takes_well_under_a_second() -> None:
    draws = np.random.default_rng(0)
    n = 112_120
    frame = pd.DataFrame(
        {
            "patient_id": draws.integers(0, 30_805, n).astype(str),
            "sex": draws.choice(["F", "M"], n),
            "age": draws.integers(0, 100, n).astype(float),
        }
    ).astype({"patient_id": pd.Series(["text"]).dtype})
    truth = draws.integers(0, 2, (n, 14)).astype(np.float32)
    start = time.process_time()
    describe_split(frame, truth, [str(number) for number in range(14)])
    age_bands(frame)
    assert time.process_time() - start < 0.8
