from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrbench.cards import Limits, SplitRule
from xrbench.data.splits.assign import apportion
from xrbench.data.splits.split import (
    Members,
    Parts,
    Roles,
    assign_patients,
    check_disjoint,
    check_filled,
    divide,
    rows_digest,
)
from xrbench.errors import CardError, DataError


def members(base: str, patients: list[str]) -> Members:
    return Members(base, np.array(patients, dtype=np.str_))


def people(parts: Parts, side: str, domains: dict[str, Members]) -> set[tuple[str, str]]:
    part = getattr(parts, side)
    return {(domains[name].base, str(p)) for name, rows in part.items() for p in domains[name].patient[rows]}


@given(n=st.integers(3, 200), test=st.floats(0, 0.6), valid=st.floats(0, 0.6), seed=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_sides_have_the_published_sizes_and_ignore_order(n: int, test: float, valid: float, seed: int) -> None:
    patients = [f"p{number}" for number in range(n)]
    found = assign_patients("nih", patients, seed=seed, test=test, valid=valid)
    n_test = math.ceil(test * n)
    assert sum(side == "test" for side in found.values()) == n_test
    assert sum(side == "valid" for side in found.values()) == math.ceil(valid * (n - n_test))
    assert found == assign_patients("nih", patients[::-1] + patients, seed=seed, test=test, valid=valid)


def test_sides_reproduce_the_patient_counts_of_a_published_split() -> None:
    # ChestX-ray14 and CheXpert, 20 % test then 10 % validation by patient (Mashhaditafreshi et al. 2020, figures 4 and 5)
    for n, expected in ((30805, (22179, 2465, 6161)), (64540, (46468, 5164, 12908))):
        found = list(assign_patients("any", map(str, range(n)), seed=0, test=0.2, valid=0.1).values())
        assert (found.count("train"), found.count("valid"), found.count("test")) == expected


def test_another_seed_or_base_is_another_split() -> None:
    patients = list(map(str, range(100)))
    one = assign_patients("a", patients, seed=0, test=0.5, valid=0)
    assert one != assign_patients("a", patients, seed=1, test=0.5, valid=0)
    assert one != assign_patients("b", patients, seed=0, test=0.5, valid=0)


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


# Sides that keep the share of each class


@given(sizes=st.lists(st.integers(0, 50), min_size=1, max_size=6), share=st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_apportioned_shares_are_within_one_of_their_quota_and_sum_up(sizes: list[int], share: float) -> None:
    everyone = sum(sizes)
    total = math.floor(share * everyone)
    found = apportion(dict(enumerate(sizes)), total)
    assert sum(found.values()) == total
    for number, size in enumerate(sizes):
        assert found[number] <= size
        assert abs(found[number] - (total * size / everyone if everyone else 0)) < 1


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    test=st.floats(0, 0.6),
    valid=st.floats(0, 0.6),
    seed=st.integers(0, 5),
)
@settings(max_examples=100, deadline=None)
def test_strata_keep_their_share_and_the_sides_their_size(
    sizes: list[int], test: float, valid: float, seed: int
) -> None:
    strata = {f"p{number}-{place}": number for number, size in enumerate(sizes) for place in range(size)}
    found = assign_patients("vindr", strata, seed=seed, test=test, valid=valid, strata=strata)
    n = len(strata)
    plain = assign_patients("vindr", strata, seed=seed, test=test, valid=valid)
    for side in ("train", "valid", "test"):
        assert list(found.values()).count(side) == list(plain.values()).count(side)
    n_test = math.ceil(test * n)
    for number, size in enumerate(sizes):
        held = sum(found[patient] == "test" for patient, stratum in strata.items() if stratum == number)
        assert abs(held - n_test * size / n) < 1
    # within a stratum the order is that of the plain split: whoever is held out is held out before the others
    for number in range(len(sizes)):
        own = [patient for patient, stratum in strata.items() if stratum == number]
        share = sum(found[patient] == "test" for patient in own) / len(own)
        alone = assign_patients("vindr", own, seed=seed, test=max(share - 1e-9, 0), valid=0)
        assert {p for p in own if found[p] == "test"} == {p for p in own if alone[p] == "test"}


def test_one_stratum_is_the_plain_split() -> None:
    patients = [f"p{i}" for i in range(97)]
    plain = assign_patients("nih", patients, seed=3, test=0.2, valid=0.1)
    assert assign_patients("nih", patients, seed=3, test=0.2, valid=0.1, strata=dict.fromkeys(patients, 4)) == plain
    assert assign_patients("nih", patients, seed=3, test=0.2, valid=0.1, strata={}) == plain


def test_a_stratified_division_goes_by_the_class_of_the_first_image() -> None:
    patients = [f"p{i // 2}" for i in range(400)]
    first = np.repeat(np.arange(200) % 4 == 0, 2).astype(np.int64)
    second_differs = np.where(np.arange(400) % 2, 1 - first, first)
    domains = {"a": members("a", patients), "t": members("t", ["x", "y"])}
    roles, rule = Roles(("a",), "none", "t"), SplitRule(test_fraction=0.2, stratify=True)
    made = [
        divide(roles, domains, rule=rule, limits=Limits(), seed=0, strata={"a": strata, "t": np.array([0, 1])})
        for strata in (first, second_differs)
    ]
    for parts in made:
        held = {domains["a"].patient[row] for row in parts.internal["a"]}
        assert len(held) == 40
        assert sum(int(patient[1:]) % 4 == 0 for patient in held) == 10
    assert made[0].internal["a"].tolist() == made[1].internal["a"].tolist()


def test_slices_of_one_base_agree_on_every_patient_when_stratified() -> None:
    everyone = [f"p{i}" for i in range(60)]
    domains = {"pa": members("nih", everyone[:40]), "ap": members("nih", everyone[20:]), "far": members("far", ["a"])}
    strata = {"pa": np.arange(40) % 3, "ap": np.arange(40) % 2, "far": np.zeros(1, np.int64)}
    rule, population = SplitRule(test_fraction=0.3, stratify=True), {"nih": everyone}
    held = {}
    for train in (("pa", "ap"), ("pa",), ("ap",)):
        parts = divide(
            Roles(train, "none", "far"),
            domains,
            rule=rule,
            limits=Limits(),
            seed=0,
            population=population,
            strata=strata,
        )
        held[train] = {name: {str(domains[name].patient[row]) for row in parts.internal[name]} for name in train}
        assert parts.excluded == {}
    assert held["pa",]["pa"] == held["pa", "ap"]["pa"]
    assert held["ap",]["ap"] == held["pa", "ap"]["ap"]


def test_a_patients_first_image_is_looked_for_in_the_order_of_the_strata() -> None:
    everyone = [f"p{i}" for i in range(40)]
    domains = {"pa": members("nih", everyone), "ap": members("nih", everyone), "far": members("far", ["a"])}
    halves = {"pa": np.zeros(40, np.int64), "ap": np.arange(40) % 2}
    rule = SplitRule(test_fraction=0.5, stratify=True)
    plain = assign_patients("nih", everyone, seed=5, test=0.5, valid=0)
    held = {}
    for order in (("pa", "ap"), ("ap", "pa")):
        strata = {name: halves[name] for name in order}
        parts = divide(Roles(("pa",), "none", "far"), domains, rule=rule, limits=Limits(), seed=5, strata=strata)
        held[order] = {everyone[row] for row in parts.internal["pa"]}
    assert held["pa", "ap"] == {patient for patient, side in plain.items() if side == "test"}
    assert sum(int(patient[1:]) % 2 for patient in held["ap", "pa"]) == 10
    assert held["pa", "ap"] != held["ap", "pa"]


def test_strata_change_nothing_where_the_rule_does_not_stratify() -> None:
    domains = {"a": members("a", [f"p{i}" for i in range(50)]), "t": members("t", ["x"])}
    plain, given_strata = (
        divide(Roles(("a",), None, "t"), domains, rule=SplitRule(), limits=Limits(), seed=1, strata=strata)
        for strata in (None, {"a": np.arange(50) % 2})
    )
    for side in ("train", "valid", "internal"):
        assert getattr(plain, side)["a"].tolist() == getattr(given_strata, side)["a"].tolist()


def test_a_split_that_was_published_stays_as_it_is() -> None:
    # the hash decides every committed figure: another order would be another benchmark
    found = assign_patients("nih", [f"p{i}" for i in range(12)], seed=42, test=0.25, valid=0.2)
    assert [p for p, side in found.items() if side == "test"] == ["p0", "p9", "p5"]
    assert [p for p, side in found.items() if side == "valid"] == ["p10", "p4"]


def test_equal_remainders_go_to_the_smaller_number() -> None:
    assert apportion({2: 5, 0: 5, 1: 5}, 4) == {0: 2, 1: 1, 2: 1}
    assert apportion({0: 1, 1: 1}, 1) == {0: 1, 1: 0}
    # quotas of 0.5, 1.25 and 3.25: the largest remainder, not the largest stratum, is rounded up
    assert apportion({0: 2, 1: 5, 2: 13}, 5) == {0: 1, 1: 1, 2: 3}


def test_patients_of_unknown_class_are_a_stratum_of_their_own() -> None:
    patients = [f"p{i}" for i in range(40)]
    strata = dict.fromkeys(patients[:20], 0)
    for seed in range(4):
        found = assign_patients("nih", patients, seed=seed, test=0.25, valid=0.2, strata=strata)
        for part in (patients[:20], patients[20:]):
            assert [found[patient] for patient in part].count("test") == 5
            assert [found[patient] for patient in part].count("valid") == 3


# Seeds, limits and what they leave out


@pytest.mark.parametrize("kind", ["patients", "sequential"])
def test_the_seed_of_a_rule_goes_before_that_of_the_setting(kind: str) -> None:
    domains = {"a": members("a", [f"p{i}" for i in range(40)]), "t": members("t", ["x"])}

    def validating(rule_seed: int | None, seed: int) -> list[int]:
        rule = SplitRule(kind=kind, valid_fraction=0.5, seed=rule_seed)  # type: ignore[arg-type]
        parts = divide(Roles(("a",), None, "t"), domains, rule=rule, limits=Limits(train=10), seed=seed)
        return [int(row) for row in parts.valid["a"]]

    assert validating(None, 1) != validating(None, 2)
    assert validating(0, 1) == validating(0, 2) == validating(None, 0)
    assert validating(3, 1) == validating(None, 3)


def test_a_sequential_split_fills_training_with_patients_who_are_not_tested() -> None:
    domains = {"pa": members("nih", ["1", "2", "3", "4", "5", "6", "7"]), "ap": members("nih", ["1", "2", "20"])}
    rule = SplitRule(kind="sequential")
    parts = divide(Roles(("pa",), "none", "ap"), domains, rule=rule, limits=Limits(train=3), seed=0)
    assert parts.train["pa"].tolist() == [2, 3, 4]
    assert parts.internal["pa"].tolist() == [5, 6]


def test_a_sequential_split_validates_on_its_share_of_those_who_do_not_train() -> None:
    domains = {"a": members("a", [f"p{i}" for i in range(50)]), "t": members("t", ["x"])}
    rule = SplitRule(kind="sequential", test_fraction=0.9, valid_fraction=0.25)
    parts = divide(Roles(("a",), None, "t"), domains, rule=rule, limits=Limits(train=10), seed=0)
    assert parts.train["a"].tolist() == list(range(10))
    assert (len(parts.valid["a"]), len(parts.internal["a"])) == (10, 30)


def test_each_part_has_a_limit_of_its_own_and_what_it_cuts_off_is_not_excluded() -> None:
    domains = {
        "a": members("a", [f"p{i}" for i in range(60)]),
        "v": members("a", [f"p{i}" for i in range(6)] + [f"q{i}" for i in range(20)]),
        "t": members("t", [f"t{i}" for i in range(9)]),
    }
    rule, limits = SplitRule(test_fraction=0.5), Limits(train=5, valid=2, test=3)
    parts = divide(Roles(("a",), "v", "t"), domains, rule=rule, limits=limits, seed=0)
    assert [len(rows) for rows in (parts.train["a"], parts.valid["v"])] == [5, 2]
    assert [len(rows) for rows in (parts.internal["a"], parts.external["t"])] == [3, 3]
    own = divide(Roles(("a",), None, "t"), domains, rule=rule, limits=limits, seed=0)
    assert [len(own.train["a"]), len(own.valid["a"]), len(own.internal["a"])] == [5, 2, 3]
    # the internal test keeps its first three images; nobody else of the 30 held-out patients trains
    assert own.excluded == {}


def test_excluded_images_are_counted_for_each_domain_before_any_limit() -> None:
    domains = {
        "a": members("x", ["1", "2", "3", "4", "4", "5"]),
        "v": members("x", ["1", "1", "4", "6"]),
        "t": members("x", ["1", "7"]),
    }
    parts = divide(
        Roles(("a",), "v", "t"),
        domains,
        rule=SplitRule(test_fraction=0.0),
        limits=Limits(train=1),
        seed=0,
        internal=False,
    )
    # patient 1 is in the test: one image leaves training and two validation; patient 4 then is in validation
    assert parts.excluded == {"a": 3, "v": 2}
    assert parts.valid["v"].tolist() == [2, 3]
    assert parts.train["a"].tolist() == [1]
    limited = divide(
        Roles(("a",), "v", "t"),
        domains,
        rule=SplitRule(test_fraction=0.0),
        limits=Limits(valid=1),
        seed=0,
        internal=False,
    )
    # of validation's four images the limit would have kept one, and one is left: nothing was lost
    assert limited.excluded == {"a": 3}


def test_patients_beyond_the_limit_of_the_test_may_train() -> None:
    domains = {"a": members("x", ["1", "2", "3", "4"]), "t": members("x", ["1", "2", "3"])}
    parts = divide(
        Roles(("a",), "none", "t"),
        domains,
        rule=SplitRule(test_fraction=0.0),
        limits=Limits(test=1),
        seed=0,
        internal=False,
    )
    assert parts.external["t"].tolist() == [0]
    assert parts.train["a"].tolist() == [1, 2, 3]


def test_without_an_internal_test_nobody_is_held_out_for_it() -> None:
    domains = {"a": members("a", [f"p{i}" for i in range(40)]), "t": members("t", ["x"])}
    for kind in ("patients", "everything"):
        rule = SplitRule(kind=kind)
        parts = divide(Roles(("a",), "none", "t"), domains, rule=rule, limits=Limits(), seed=0, internal=False)
        assert len(parts.train["a"]) == 40
        assert not any(len(rows) for rows in parts.internal.values())
        assert not parts.resubstitution


def test_a_validation_set_of_its_own_takes_nobody_from_training() -> None:
    domains = {"a": members("a", [f"p{i}" for i in range(40)]), "v": members("v", ["y"]), "t": members("t", ["x"])}
    rule = SplitRule(test_fraction=0.25, valid_fraction=0.5)
    parts = divide(Roles(("a",), "v", "t"), domains, rule=rule, limits=Limits(), seed=0)
    assert (len(parts.train["a"]), len(parts.internal["a"])) == (30, 10)


def test_slices_split_alike_whatever_else_is_in_the_setting() -> None:
    everyone = [f"p{i}" for i in range(60)]
    domains = {"pa": members("nih", everyone[:30]), "far": members("far", ["a"])}
    parts = divide(
        Roles(("pa",), None, "far"),
        domains,
        rule=SplitRule(test_fraction=0.4, valid_fraction=0.3),
        limits=Limits(),
        seed=3,
        population={"nih": everyone},
    )
    whole = assign_patients("nih", everyone, seed=3, test=0.4, valid=0.3)
    for side, rows in (("train", parts.train), ("valid", parts.valid), ("test", parts.internal)):
        assert {everyone[row] for row in rows["pa"]} == {p for p in everyone[:30] if whole[p] == side}


@pytest.mark.parametrize(
    ("train", "valid", "internal", "external", "message"),
    [
        ([0, 1], [1], [], [], "train and valid"),
        ([0, 1], [], [1], [], "train and test"),
        ([0, 1], [], [], [1], "train and test"),
        ([0], [1], [1], [], "valid and test"),
        ([0], [1], [], [1], "valid and test"),
    ],
)
def test_each_pair_of_parts_is_compared(
    train: list[int], valid: list[int], internal: list[int], external: list[int], message: str
) -> None:
    domains = {"a": members("a", ["1", "2"])}
    parts = [{"a": np.array(rows, np.int64)} for rows in (train, valid, internal, external)]
    with pytest.raises(DataError, match=f"patient '2' of a stands in {message} \\(1 such patients\\)"):
        check_disjoint(Parts(parts[0], parts[1], parts[2], parts[3], {}), domains)


def test_the_same_id_in_another_base_is_another_patient() -> None:
    domains = {"a": members("a", ["1", "2"]), "v": members("v", ["1"]), "t": members("t", ["2"])}
    parts = divide(Roles(("a",), "v", "t"), domains, rule=SplitRule(test_fraction=0.0), limits=Limits(), seed=0)
    assert parts.train["a"].tolist() == [0, 1]
    assert parts.excluded == {}


def test_each_part_that_is_needed_has_images() -> None:
    some, none = np.array([0]), np.array([], np.int64)
    roles = Roles(("a", "b"), None, ("t", "u"))
    train, valid, external = {"a": some, "b": some}, {"a": none, "b": some}, {"t": some, "u": some}
    good = Parts(train, valid, {}, external, {})
    check_filled(good, roles)  # one of two validation domains may be empty
    for parts, message in [
        (replace(good, train={"a": some, "b": none}), r"b: no image is left to train on when t \+ u is the test"),
        (replace(good, valid={"a": none, "b": none}), r"a \+ b: no image is left to validate on"),
        (replace(good, external={"t": some, "u": none}), "u: no image to test on"),
    ]:
        with pytest.raises(DataError, match=message):
            check_filled(parts, roles)


def test_resubstitution_is_refused_where_a_single_image_did_not_train() -> None:
    domains = {"a": members("a", ["1", "2", "3"])}
    train, internal = {"a": np.array([0, 1])}, {"a": np.array([1, 2])}
    with pytest.raises(DataError, match="a: resubstitution is measured on training images"):
        check_disjoint(Parts(train, {}, internal, {}, {}, resubstitution=True), domains)


def test_a_digest_that_was_published_stays_as_it_is() -> None:
    # it stands in the keys of finished fits: another one would train them again
    truth = np.array([[1, 0], [np.nan, 1]], np.float32)
    assert rows_digest(["a", "b"], truth) == "905fffcdd7bbef7b76d12eef2af0fca8"


# No validation, several tests, and training on everything


def test_without_validation_nobody_is_held_out_for_it() -> None:
    domains = {"a": members("a", [f"p{i}" for i in range(40)]), "t": members("t", ["x"])}
    without = divide(Roles(("a",), "none", "t"), domains, rule=SplitRule(), limits=Limits(), seed=0)
    with_valid = divide(Roles(("a",), None, "t"), domains, rule=SplitRule(), limits=Limits(), seed=0)
    assert without.valid == {}
    assert without.internal["a"].tolist() == with_valid.internal["a"].tolist()
    assert set(without.train["a"]) == {*with_valid.train["a"], *with_valid.valid["a"]}
    check_filled(without, Roles(("a",), "none", "t"))
    with pytest.raises(DataError, match="no image is left to validate on"):
        check_filled(without, Roles(("a",), None, "t"))


@pytest.mark.parametrize("kind", ["patients", "sequential", "everything"])
def test_several_tests_keep_their_shared_patients(kind: str) -> None:
    domains = {
        "pa": members("nih", ["1", "2", "3", "4", "5", "6", "7", "8"]),
        "ap": members("nih", ["1", "2", "20"]),
        "far": members("far", ["g0", "g1"]),
    }
    parts = divide(
        Roles(("pa",), "none", ("ap", "far")),
        domains,
        rule=SplitRule(kind=kind, test_fraction=0.2),  # type: ignore[arg-type]
        limits=Limits(train=3 if kind == "sequential" else 0),
        seed=0,
    )
    assert {name: rows.tolist() for name, rows in parts.external.items()} == {"ap": [0, 1, 2], "far": [0, 1]}
    assert not {"1", "2"} & set(domains["pa"].patient[parts.train["pa"]].tolist())
    one = divide(
        Roles(("pa",), "none", "ap"),
        domains,
        rule=SplitRule(kind=kind),  # type: ignore[arg-type]
        limits=Limits(train=3 if kind == "sequential" else 0),
        seed=0,
    )
    assert one.train["pa"].tolist() == parts.train["pa"].tolist()


def test_training_on_everything_tests_on_the_training_images_and_says_so() -> None:
    domains = {
        "a": members("nih", ["1", "1", "2", "3", "4"]),
        "b": members("b", ["1", "2"]),
        "t": members("nih", ["2", "9"]),
    }
    parts = divide(Roles(("a", "b"), "none", "t"), domains, rule=SplitRule(kind="everything"), limits=Limits(), seed=0)
    assert parts.resubstitution
    assert {name: rows.tolist() for name, rows in parts.train.items()} == {"a": [0, 1, 3, 4], "b": [0, 1]}
    assert {name: rows.tolist() for name, rows in parts.internal.items()} == {"a": [0, 1, 3, 4], "b": [0, 1]}
    assert parts.valid == {}
    assert parts.excluded == {"a": 1}  # patient 2 of nih is in the external test
    held = divide(Roles(("a", "b"), "none", "t"), domains, rule=SplitRule(), limits=Limits(), seed=0)
    assert not held.resubstitution


def test_limits_hold_when_everything_trains() -> None:
    domains = {"a": members("a", [f"p{i}" for i in range(9)]), "t": members("t", ["x"])}
    parts = divide(
        Roles(("a",), "none", "t"),
        domains,
        rule=SplitRule(kind="everything"),
        limits=Limits(train=6, test=4),
        seed=0,
    )
    assert parts.train["a"].tolist() == [0, 1, 2, 3, 4, 5]
    assert parts.internal["a"].tolist() == [0, 1, 2, 3]


def test_only_an_internal_test_that_says_so_may_hold_training_images() -> None:
    domains = {"a": members("a", ["1", "2", "3"]), "b": members("a", ["3"])}
    rows = np.array([0, 1])
    again = Parts({"a": rows}, {}, {"a": rows}, {"b": np.array([0])}, {}, resubstitution=True)
    check_disjoint(again, domains)
    with pytest.raises(DataError, match="stands in train and test"):
        check_disjoint(Parts({"a": rows}, {}, {"a": rows}, {"b": np.array([0])}, {}), domains)
    with pytest.raises(DataError, match="stands in train and test"):
        check_disjoint(
            Parts({"a": np.arange(3)}, {}, {"a": rows}, {"b": np.array([0])}, {}, resubstitution=True), domains
        )
    with pytest.raises(DataError, match="a: resubstitution is measured on training images, and some here are none"):
        check_disjoint(Parts({"a": rows}, {}, {"a": np.arange(3)}, {}, {}, resubstitution=True), domains)


@pytest.mark.parametrize(
    ("rule", "valid", "message"),
    [
        (SplitRule(kind="everything"), None, "'everything' holds nobody out to validate on; expected valid = 'none'"),
        (SplitRule(kind="everything", stratify=True), "none", "a split of kind 'everything' holds nobody out by class"),
        (SplitRule(kind="sequential", stratify=True), "none", "a split of kind 'sequential' holds nobody out by class"),
    ],
)
def test_rules_that_mean_nothing_are_refused(rule: SplitRule, valid: str | None, message: str) -> None:
    domains = {"a": members("a", ["1", "2", "3"]), "t": members("t", ["x"])}
    with pytest.raises(CardError, match=message):
        divide(Roles(("a",), valid, "t"), domains, rule=rule, limits=Limits(), seed=0, strata={})


def test_stratifying_wants_classes() -> None:
    domains = {"a": members("a", ["1", "2", "3"]), "t": members("t", ["x"])}
    with pytest.raises(DataError, match=r"split\.stratify: expected images with exactly one class each"):
        divide(Roles(("a",), "none", "t"), domains, rule=SplitRule(stratify=True), limits=Limits(), seed=0)
