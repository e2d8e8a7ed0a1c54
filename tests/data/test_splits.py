from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrbench.cards import Limits, SplitRule
from xrbench.data.splits import Members, Parts, Roles, check_disjoint, divide, rows_digest, sides
from xrbench.errors import DataError


def members(base: str, patients: list[str]) -> Members:
    return Members(base, np.array(patients, dtype=np.str_))


def people(parts: Parts, side: str, domains: dict[str, Members]) -> set[tuple[str, str]]:
    part = getattr(parts, side)
    return {(domains[name].base, str(p)) for name, rows in part.items() for p in domains[name].patient[rows]}


@given(n=st.integers(3, 200), test=st.floats(0, 0.6), valid=st.floats(0, 0.6), seed=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_sides_have_the_published_sizes_and_ignore_order(n: int, test: float, valid: float, seed: int) -> None:
    patients = [f"p{number}" for number in range(n)]
    found = sides("nih", patients, seed=seed, test=test, valid=valid)
    n_test = math.ceil(test * n)
    assert sum(side == "test" for side in found.values()) == n_test
    assert sum(side == "valid" for side in found.values()) == math.ceil(valid * (n - n_test))
    assert found == sides("nih", patients[::-1] + patients, seed=seed, test=test, valid=valid)


def test_sides_reproduce_the_patient_counts_of_a_published_split() -> None:
    # ChestX-ray14 and CheXpert, 20 % test then 10 % validation by patient (Mashhaditafreshi et al. 2020, figures 4 and 5)
    for n, expected in ((30805, (22179, 2465, 6161)), (64540, (46468, 5164, 12908))):
        found = list(sides("any", map(str, range(n)), seed=0, test=0.2, valid=0.1).values())
        assert (found.count("train"), found.count("valid"), found.count("test")) == expected


def test_another_seed_or_base_is_another_split() -> None:
    patients = list(map(str, range(100)))
    one = sides("a", patients, seed=0, test=0.5, valid=0)
    assert one != sides("a", patients, seed=1, test=0.5, valid=0)
    assert one != sides("b", patients, seed=0, test=0.5, valid=0)


patient_lists = st.lists(st.integers(0, 12), min_size=6, max_size=40)


@given(
    a=patient_lists,
    b=patient_lists,
    c=patient_lists,
    same=st.booleans(),
    kind=st.sampled_from(["patients", "sequential"]),
    seed=st.integers(0, 9),
)
@settings(max_examples=150, deadline=None)
def test_no_patient_ever_stands_on_two_sides(
    a: list[int], b: list[int], c: list[int], same: bool, kind: str, seed: int
) -> None:
    domains = {
        "a": members("x", [f"p{i}" for i in a]),
        "b": members("x" if same else "y", [f"p{i}" for i in b]),
        "c": members("x" if same else "z", [f"p{i}" for i in c]),
    }
    rule = SplitRule(kind=kind, test_fraction=0.3, valid_fraction=0.3)  # type: ignore[arg-type]
    for valid, train in ((None, ("a", "b")), ("b", ("a",))):
        try:
            parts = divide(Roles(train, valid, "c"), domains, rule=rule, limits=Limits(train=5), seed=seed)
        except DataError:
            continue
        train_people, valid_people = people(parts, "train", domains), people(parts, "valid", domains)
        test_people = people(parts, "internal", domains) | people(parts, "external", domains)
        assert not train_people & valid_people
        assert not train_people & test_people
        assert not valid_people & test_people
        assert all(len(rows) <= 5 for rows in parts.train.values())


def test_the_test_keeps_shared_patients_and_the_cost_is_counted() -> None:
    domains = {
        "pa": members("nih", ["1", "2", "3", "4", "5", "6", "7", "8"]),
        "ap": members("nih", ["1", "2", "20", "21"]),
        "far": members("far", [f"g{i}" for i in range(12)]),
    }
    rule = SplitRule(test_fraction=0.0, valid_fraction=0.2)
    parts = divide(Roles(("pa", "far"), None, "ap"), domains, rule=rule, limits=Limits(), seed=0, internal=False)
    assert parts.external["ap"].tolist() == [0, 1, 2, 3]
    kept = {*domains["pa"].patient[parts.train["pa"]], *domains["pa"].patient[parts.valid["pa"]]}
    assert kept == {"3", "4", "5", "6", "7", "8"}
    assert parts.excluded == {"pa": 2} or sum(parts.excluded.values()) == 1  # one of the two may count as validation
    assert "far" not in parts.excluded


def test_slices_of_one_base_agree_on_every_patient() -> None:
    everyone = [f"p{i}" for i in range(60)]
    domains = {
        "pa": members("nih", everyone[:40]),
        "ap": members("nih", everyone[20:]),
        "far": members("far", ["a", "b", "c"]),
    }
    rule = SplitRule(test_fraction=0.3, valid_fraction=0.2, seed=7)
    parts = divide(Roles(("pa", "ap"), None, "far"), domains, rule=rule, limits=Limits(), seed=0)
    assert parts.excluded == {}
    shared = set(everyone[20:40])
    for side in ("train", "valid", "internal"):
        in_pa = {p for p in domains["pa"].patient[getattr(parts, side)["pa"]] if p in shared}
        in_ap = {p for p in domains["ap"].patient[getattr(parts, side)["ap"]] if p in shared}
        assert in_pa == in_ap


def test_sequential_takes_the_first_rows_in_published_order_and_holds_out_others() -> None:
    domains = {
        "a": members("a", ["1", "1", "2", "2", "3", "2", "4", "5"]),
        "v": members("v", ["x", "y", "z"]),
        "t": members("t", ["q", "r", "s"]),
    }
    parts = divide(
        Roles(("a",), "v", "t"),
        domains,
        rule=SplitRule(kind="sequential"),
        limits=Limits(train=3, valid=2, test=2),
        seed=0,
    )
    assert parts.train["a"].tolist() == [0, 1, 2]
    assert parts.internal["a"].tolist() == [4, 6]  # rows 3 and 5 belong to patient 2, who trains
    assert parts.valid["v"].tolist() == [0, 1]
    assert parts.external["t"].tolist() == [0, 1]


def test_a_patient_on_two_sides_is_an_error_that_names_them() -> None:
    domains = {"a": members("a", ["1", "2"]), "b": members("a", ["2"])}
    parts = Parts(train={"a": np.array([0, 1])}, valid={}, internal={}, external={"b": np.array([0])}, excluded={})
    with pytest.raises(DataError, match="patient '2' of a stands in train and test"):
        check_disjoint(parts, domains)


def test_nothing_left_to_train_on_is_an_error() -> None:
    domains = {"a": members("n", ["1", "2"]), "b": members("n", ["1", "2"])}
    with pytest.raises(DataError, match="no image is left to train on"):
        divide(Roles(("a",), None, "b"), domains, rule=SplitRule(), limits=Limits(), seed=0)


def test_digest_sees_every_value_and_its_place() -> None:
    truth = np.array([[1, 0], [np.nan, 1]], np.float32)
    one = rows_digest(["a", "b"], truth)
    assert one == rows_digest(["a", "b"], truth.copy())
    assert one != rows_digest(["b", "a"], truth)
    assert one != rows_digest(["a", "b"], np.nan_to_num(truth))
