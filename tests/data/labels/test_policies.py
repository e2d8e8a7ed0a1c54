from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrbench.cards import Mapping, Pathology, Vocabulary
from xrbench.data.labels import policies
from xrbench.errors import CardError, UnknownNameError, UsageError

NAN = float("nan")
STATES = [1.0, 0.0, -1.0, NAN]


@pytest.fixture
def frame() -> pd.DataFrame:
    """One row for each state, without and with "No Finding"."""
    healthy = [NAN] * 4 + [1.0] * 4
    values = np.array(STATES * 2, np.float32)
    return pd.DataFrame({"No Finding": healthy, "Edema": values, "Support Devices": values})


@pytest.mark.parametrize(
    "spelling", ["Effusion", "effusion", "Pleural Effusion", "pleural_effusion", "PLEURAL-EFFUSION"]
)
def test_names_are_found_in_any_spelling(vocabulary: Vocabulary, spelling: str) -> None:
    assert policies.Lookup(vocabulary)(spelling) == "Effusion"


def test_torchxrayvisions_names_are_known(vocabulary: Vocabulary) -> None:
    lookup = policies.Lookup(vocabulary)
    ours = {"Pleural_Thickening": "Pleural Thickening", "Pulmonary Fibrosis": "Fibrosis", "Nodule/Mass": "Nodule/Mass"}
    for theirs in ("Atelectasis", "Infiltration", "Enlarged Cardiomediastinum", "Lung Opacity", "Lung Lesion", *ours):
        assert lookup(theirs) == ours.get(theirs, theirs)


def test_unknown_names_come_with_the_nearest(vocabulary: Vocabulary) -> None:
    with pytest.raises(
        UnknownNameError, match=r"^suite: unknown label 'Cardiomegally'; did you mean 'Cardiomegaly'\?$"
    ):
        policies.Lookup(vocabulary)("Cardiomegally", where="suite")
    assert policies.Lookup(vocabulary).get("Cardiomegally") is None


def test_findings_are_not_merged_by_the_way(vocabulary: Vocabulary) -> None:
    lookup = policies.Lookup(vocabulary)
    names = [
        "Nodule",
        "Mass",
        "Nodule/Mass",
        "Lung Lesion",
        "Lung Opacity",
        "Infiltration",
        "Consolidation",
        "Pneumonia",
    ]
    assert [lookup(name) for name in names] == names


def test_a_name_for_two_findings_is_refused() -> None:
    vocabulary = Vocabulary(pathologies={"A": Pathology(synonyms=("x y",)), "B": Pathology(synonyms=("X_Y",))})
    with pytest.raises(CardError, match="'X_Y' stands for both 'A' and 'B'"):
        policies.Lookup(vocabulary)


def test_mappings_name_known_findings(vocabulary: Vocabulary) -> None:
    for mapping in vocabulary.mappings.values():
        assert {mapping.target, *mapping.sources} <= set(vocabulary.pathologies)
        assert mapping.reason


# Rows: 1, 0, -1, blank without "No Finding"; then the same with it.
@pytest.mark.parametrize(
    ("uncertain", "blank", "expected"),
    [
        ("ones", "negative", [1, 0, 1, 0, 1, 0, 1, 0]),
        ("zeros", "negative", [1, 0, 0, 0, 1, 0, 0, 0]),
        ("ignore", "ignore", [1, 0, NAN, NAN, 1, 0, NAN, NAN]),
        ("ones", "ignore", [1, 0, 1, NAN, 1, 0, 1, NAN]),
        ("ignore", "negative", [1, 0, NAN, 0, 1, 0, NAN, 0]),
        ("ignore", "negative-when-no-finding", [1, 0, NAN, NAN, 1, 0, NAN, 0]),
    ],
)
def test_each_policy_on_each_state(frame: pd.DataFrame, uncertain: str, blank: str, expected: list[float]) -> None:
    found = policies.truth(frame, ["Edema"], uncertain=uncertain, blank=blank)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found[:, 0], np.array(expected, np.float32))
    assert found.dtype == np.float32


def test_no_finding_says_nothing_about_devices_or_itself(frame: pd.DataFrame) -> None:
    found = policies.truth(
        frame, ["Support Devices", "No Finding"], uncertain="ignore", blank="negative-when-no-finding"
    )
    np.testing.assert_array_equal(found[:, 0], [1, 0, NAN, NAN, 1, 0, NAN, NAN])
    np.testing.assert_array_equal(found[:, 1], [NAN] * 4 + [1] * 4)


def test_only_a_positive_no_finding_makes_blanks_negative() -> None:
    frame = pd.DataFrame({"No Finding": STATES, "Edema": [NAN] * 4})
    found = policies.truth(frame, ["Edema"], uncertain="ignore", blank="negative-when-no-finding")
    np.testing.assert_array_equal(found[:, 0], [0, NAN, NAN, NAN])


def test_a_policy_for_each_label(frame: pd.DataFrame) -> None:
    frame = frame.assign(Effusion=frame["Edema"])
    found = policies.truth(
        frame, ["Effusion", "Edema"], uncertain={"Edema": "ones", "*": "zeros"}, blank={"*": "negative"}
    )
    assert found[2].tolist() == [0, 1]
    with pytest.raises(UsageError, match="uncertain: no choice for label 'Effusion'"):
        policies.truth(frame, ["Effusion"], uncertain={"Edema": "ones"}, blank="ignore")
    with pytest.raises(UsageError, match="blank: Edema: unknown choice 'negativ'; did you mean 'negative'"):
        policies.truth(frame, ["Edema"], uncertain="ones", blank="negativ")  # type: ignore[arg-type]


def test_a_label_that_is_not_there_is_never_known(frame: pd.DataFrame) -> None:
    wanted = ["Hernia", "Edema"]
    found = policies.truth(frame, wanted, uncertain="zeros", blank="negative")
    assert np.isnan(found[:, 0]).all()
    assert not np.isnan(found[:, 1]).any()
    assert policies.absent_labels(frame, wanted) == ("Hernia",)


def test_a_dataset_without_no_finding_keeps_its_blanks() -> None:
    frame = pd.DataFrame({"Edema": np.array([NAN, 1.0], np.float32)})
    found = policies.truth(frame, ["Edema"], uncertain="ignore", blank="negative-when-no-finding")
    np.testing.assert_array_equal(found[:, 0], [NAN, 1])


@given(st.lists(st.sampled_from(STATES), min_size=1, max_size=20), st.sampled_from(["ones", "zeros", "ignore"]))
def test_policies_never_touch_what_is_certain(values: list[float], uncertain: str) -> None:
    frame = pd.DataFrame({"Edema": np.array(values, np.float32)})
    before = frame.copy()
    published_states = policies.published_states(frame, ["Edema"])
    found = policies.truth(frame, ["Edema"], uncertain=uncertain, blank="negative")  # type: ignore[arg-type]
    certain = (published_states == 1) | (published_states == 0)
    np.testing.assert_array_equal(found[certain], published_states[certain])
    assert set(np.unique(found[~np.isnan(found)])) <= {0.0, 1.0}
    pd.testing.assert_frame_equal(frame, before)


def test_a_mapping_is_a_three_valued_or() -> None:
    pairs = [(a, b) for a in STATES for b in STATES]
    frame = pd.DataFrame(np.array(pairs, np.float32), columns=["Nodule", "Mass"])
    both = Mapping(target="Nodule/Mass", sources=("Nodule", "Mass"), reason="")
    found = policies.with_mappings(frame, [both])["Nodule/Mass"].tolist()
    for (a, b), value in zip(pairs, found, strict=True):
        expected = 1 if 1 in (a, b) else -1 if -1 in (a, b) else 0 if a == b == 0 else NAN
        np.testing.assert_equal(value, expected)


def test_a_mapping_joins_the_target_and_the_sources_that_are_there() -> None:
    both = Mapping(target="Nodule/Mass", sources=("Nodule", "Mass"), reason="")
    frame = pd.DataFrame({"Nodule/Mass": [1.0, 0.0, 0.0], "Nodule": [0.0, 0.0, -1.0]})
    assert policies.with_mappings(frame, [both])["Nodule/Mass"].tolist() == [1, 0, -1]


def test_mappings_use_what_the_dataset_has(vocabulary: Vocabulary) -> None:
    lesion = vocabulary.mappings["lung-lesion-as-nodule-mass"]
    own = pd.DataFrame({"Nodule/Mass": np.array([0, 1], np.float32)})
    assert policies.with_mappings(own, [lesion]).equals(own)
    other = pd.DataFrame({"Lung Lesion": np.array([-1, 1], np.float32)})
    assert policies.with_mappings(other, [lesion])["Nodule/Mass"].tolist() == [-1, 1]
    assert list(other.columns) == ["Lung Lesion"]
