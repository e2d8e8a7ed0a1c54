from __future__ import annotations

import json
import math
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrbench.cards import DatasetCard
from xrbench.data.datasets.describe import count_of, describe
from xrbench.data.datasets.domain import Domain
from xrbench.data.readers.base import tidy

NAN = float("nan")


def domain(states: list[float], **columns: object) -> Domain:
    n = len(states)
    given: dict[str, object] = {"image": [f"{number}.png" for number in range(n)], **columns}
    frame = tidy(given, {"Edema": np.array(states, np.float32)})  # type: ignore[arg-type]
    card = DatasetCard(title="Ours", name="ours", reader="table")
    return Domain(card=card, base="ours", root=Path("ours"), frame=frame, labels=("Edema",), dropped={"no labels": 2})


@pytest.fixture
def ours() -> Domain:
    return domain(
        [1, 0, 0, -1, NAN],
        patient_id=["p1", "p1", "p2", "p2", "p3"],
        view=["PA", "AP", "PA", "PA", None],
        sex=["F", "F", "M", "M", None],
        age=[20, 60, 40, 41, NAN],
    )


def test_counts_by_hand(ours: Domain) -> None:
    found = describe(ours)
    assert (found.images, found.patients, found.studies) == (5, 3, None)
    assert found.views == {"PA": 3, "AP": 1, "unknown": 1}
    assert found.sex == {"F": 2, "M": 2, "unknown": 1}
    spread = float(np.std([20, 60, 40, 41], ddof=1))
    assert astuple(found.age) == pytest.approx((40.25, spread, 20, 60, 1))
    assert found.patient_age is not None
    assert astuple(found.patient_age) == pytest.approx((30, math.sqrt(200), 20, 40, 1))
    (edema,) = found.labels
    assert (edema.positive, edema.negative, edema.uncertain, edema.blank) == (1, 2, 1, 1)
    assert edema.prevalence == pytest.approx(1 / 3)


def test_the_table_and_the_json_say_the_same(ours: Domain) -> None:
    found = describe(ours)
    assert found.table().to_dict("records") == [
        {"label": "Edema", "positive": 1, "negative": 2, "uncertain": 1, "blank": 1, "prevalence": pytest.approx(1 / 3)}
    ]
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["labels"] == found.table().to_dict("records")
    assert plain["patients"] == 3
    assert plain["views"] == found.views
    assert plain["dropped"] == {"no labels": 2}


def test_what_is_undefined_is_nan_and_null_never_zero() -> None:
    found = describe(domain([-1, NAN]))
    assert math.isnan(found.labels[0].prevalence)
    assert math.isnan(found.age.mean)
    assert (found.patients, found.patient_age) == (None, None)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["labels"][0]["prevalence"] is None
    assert plain["age"]["mean"] is None
    assert "age       not published, 2 unknown" in found.lines()


def test_lines_for_people(ours: Domain) -> None:
    assert describe(ours).lines() == [
        "ours   Ours   (published layout)",
        "images    5   3 patients",
        "views     PA 3 (60.0%), AP 1 (20.0%), unknown 1 (20.0%)",
        "sex       F 2 (40.0%), M 2 (40.0%), unknown 1 (20.0%)",
        "age       40.2 ± 16.3 years (20 to 60, 1 unknown)",
        "          30.0 ± 14.1 years (20 to 40, 1 unknown) (patients at their first image)",
        "left out  2   no labels",
    ]


def test_images_in_colour_are_said_to_be(ours: Domain) -> None:
    coloured = replace(ours, channels=3)
    assert describe(coloured).lines()[1] == "images    5   3 patients, in colour"
    assert describe(coloured.where({"view": "PA"})).to_dict()["channels"] == 3
    assert describe(ours).to_dict()["channels"] == 1


def test_drawn_images_are_stamped(ours: Domain) -> None:
    drawn = Domain(card=ours.card, base="ours", root=ours.root, frame=ours.frame, labels=ours.labels, synthetic=True)
    assert describe(drawn).lines()[0] == "FIXTURE: synthetic phantoms, not clinical results"
    assert describe(drawn).to_dict()["synthetic"] is True


def test_a_slice_is_described_from_its_own_rows(ours: Domain) -> None:
    assert describe(ours.where({"view": "PA"})).images == 3


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("images", 5),
        ("rows", 7),
        ("patients", 3),
        ("studies", None),
        ("view:PA", 3),
        ("sex:M", 2),
        ("positive:Edema", 1),
        ("negative:Edema", 2),
        ("uncertain:Edema", 1),
        ("blank:Edema", 1),
        ("positive:Hernia", None),
        ("split:test", None),
    ],
)
def test_keys_of_counts(ours: Domain, key: str, number: int | None) -> None:
    assert count_of(ours, key) == number


@given(st.lists(st.sampled_from([1.0, 0.0, -1.0, NAN]), min_size=1, max_size=40))
def test_every_image_is_in_exactly_one_state(states: list[float]) -> None:
    row = describe(domain(states)).table().iloc[0]
    assert row[["positive", "negative", "uncertain", "blank"]].sum() == len(states)
