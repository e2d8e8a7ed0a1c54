"""The graph of fits: parents before children, one parent for many, and what each leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from xrbench.catalogue import Catalogue, open_catalogue
from xrbench.errors import CardError, UnknownNameError, UsageError
from xrbench.planning import graph, make_plan, without_datasets
from xrbench.planning.plan import Plan

SUITE = """
title = "Chains"
labels = ["Edema"]
models = ["small"]
methods = ["b1", "b2"]
[protocol]
train_size = 1
datasets = ["one", "two"]
seeds = [0, 1]
{protocol}
[profiles.only]
image_size = 8
split = {{ kind = "patients", test_fraction = 0.25, valid_fraction = 0.25{split} }}
"""
NET = 'title = "Small"\nnetwork = { block = "timm", name = "resnet10t" }'
WIDE = 'title = "Wide"\nnetwork = { block = "timm", name = "resnet18" }'
TABLE = 'title = "{}"\nreader = "table"'


@dataclass(frozen=True)
class Node:
    name: str
    parents: tuple[str, ...] = ()


def shelf(folder: Path, methods: dict[str, str], *, protocol: str = "", split: str = "") -> Catalogue:
    """Write a catalogue with a suite of two datasets, and open it."""
    suite = SUITE.format(protocol=protocol, split=split)
    cards = {f"methods/{name}": f'title = "{name}"\n{text}' for name, text in methods.items()}
    cards |= {f"datasets/{name}": TABLE.format(name) for name in ("one", "two", "other")}
    cards |= {"datasets/one-pa": 'title = "PA"\nbase = "one"\nwhere = { view = "PA" }'}
    cards |= {"suites/chains": suite, "models/small": NET, "models/wide": WIDE}
    for name, text in cards.items():
        path = folder / "registry" / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return open_catalogue([folder])


def plan(folder: Path, methods: dict[str, str], **options: str) -> Plan:
    catalogue = shelf(folder, methods, **options)
    return make_plan(catalogue.suite("chains"), catalogue)


def test_parents_stand_before_children_whatever_the_order() -> None:
    nodes = [Node("c", ("b",)), Node("x"), Node("b", ("a",)), Node("a"), Node("d", ("a",))]
    assert [node.name for node in graph.ordered(nodes)] == ["a", "b", "c", "x", "d"]
    by_name = {node.name: node for node in nodes}
    assert graph.ancestors("c", by_name) == ("a", "b")
    assert graph.descendants("a", nodes) == ("c", "b", "d")
    assert [node.name for node in graph.needed_by(["d"], nodes)] == ["a", "d"]
    assert [node.name for node in graph.without(["b"], nodes)] == ["x", "a", "d"]
    assert [(node.name, depth) for node, depth in graph.depths(graph.ordered(nodes))] == [
        ("a", 0),
        ("b", 1),
        ("c", 2),
        ("d", 1),
        ("x", 0),
    ]


def test_a_circle_and_an_unknown_parent_are_refused() -> None:
    with pytest.raises(UsageError, match=r"in a circle: (b -> a -> b|a -> b -> a)"):
        graph.ordered([Node("a", ("b",)), Node("b", ("a",))])
    with pytest.raises(UsageError, match="no parent 'z' in the plan"):
        graph.ordered([Node("a", ("z",))])


def test_seed_j_trains_its_own_parent_which_its_children_share(tmp_path: Path) -> None:
    made = plan(tmp_path, {"a": "", "b1": 'parent = "a"', "b2": 'parent = "a"'})
    parents = [fit for fit in made.fits if fit.method == "a"]
    assert len(parents) == 2 * 2, "two settings with two seeds"
    assert not [cell for cell in made.cells if cell.method == "a"], "a is no method of the suite"
    for parent in parents:
        children = [fit for fit in made.fits if fit.parents == (parent.name,)]
        assert {fit.method for fit in children} == {"b1", "b2"}
        assert {(fit.seed, fit.train, fit.stage) for fit in children} == {(parent.seed, parent.train, "fine-tuning")}
    assert [fit.name for fit in graph.ordered(made.fits)] == [fit.name for fit in made.fits]


def test_a_parent_that_is_a_method_of_the_suite_is_the_same_fit(tmp_path: Path) -> None:
    catalogue = shelf(tmp_path, {"b1": "", "b2": 'parent = "b1"'})
    suite = catalogue.suite("chains")
    both = make_plan(suite, catalogue)
    assert len(both.fits) == 8
    alone = make_plan(suite, catalogue, only=["method=b2,seed=1"])
    assert {fit.method for fit in alone.fits} == {"b1", "b2"}
    assert {fit.seed for fit in alone.fits} == {1}
    assert {cell.method for cell in alone.cells} == {"b2"}


def test_a_parent_on_other_patients_is_shared_by_all_settings(tmp_path: Path) -> None:
    methods = {"a": "", "b1": 'parent = "a"\nparent_train = "pretrain"', "b2": ""}
    made = plan(tmp_path, methods, protocol='pretrain = ["other"]')
    parents = [fit for fit in made.fits if fit.method == "a"]
    assert [fit.name for fit in parents] == [f"a/small/pretrain:other/valid-held-out/seed-{seed}" for seed in (0, 1)]
    assert {fit.stage for fit in parents} == {"pre-training"}
    assert not any(fit.guarded or fit.reserved for fit in made.fits)
    left = without_datasets(made, ["other"])
    assert {fit.method for fit in left.fits} == {cell.method for cell in left.cells} == {"b2"}


def test_a_parent_on_the_same_patients_belongs_to_its_setting(tmp_path: Path) -> None:
    methods = {"a": "", "b1": 'parent = "a"\nparent_train = "pretrain"', "b2": ""}
    made = plan(tmp_path, methods, protocol='pretrain = ["one-pa"]')
    names = [fit.name for fit in made.fits if fit.method == "a" and fit.seed == 0]
    assert names == [
        "a/small/pretrain:one-pa/valid-held-out/seed-0/for-one>held-out",
        "a/small/pretrain:one-pa/valid-held-out/seed-0/without-one",
    ]
    child = next(fit for fit in made.fits if fit.method == "b1" and fit.test == "one")
    assert child.name.endswith("/without-one"), "its parent leaves out the patients of its test"
    assert not next(fit for fit in made.fits if fit.method == "b2" and fit.test == "one").guarded


def test_grandparents_learn_from_what_their_child_learns_from(tmp_path: Path) -> None:
    methods = {"a": "", "m": 'parent = "a"', "b1": 'parent = "m"\nparent_train = "pretrain"', "b2": 'parent = "m"'}
    made = plan(tmp_path, methods, protocol='pretrain = ["other"]')
    chains = {fit.name: [made.fit(name).trained_on for name in fit.parents] for fit in made.fits if fit.method == "m"}
    assert {tuple(chain) for chain in chains.values()} == {("pretrain:other",), ("one",), ("two",)}


def test_one_parent_for_all_seeds_is_said(tmp_path: Path) -> None:
    made = plan(tmp_path, {"a": "", "b1": 'parent = "a"\nparent_seed = 7', "b2": ""}, split=", seed = 3")
    parents = [fit for fit in made.fits if fit.method == "a"]
    assert {(fit.seed, fit.train) for fit in parents} == {(7, ("one",)), (7, ("two",))}
    for cell in made.cells:
        assert bool(cell.given) == (cell.method == "b1")
    with pytest.raises(CardError, match=r"method b1: parent_seed: .* hold out of one; .*split.seed"):
        plan(tmp_path / "else", {"a": "", "b1": 'parent = "a"\nparent_seed = 7', "b2": ""})


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ({"b1": 'parent = "no-such-method"'}, "method b1: parent: .*unknown method 'no-such-method'"),
        ({"a": 'parent = "b1"', "b1": 'parent = "a"'}, "a circle: b1 -> a -> b1"),
        ({"b1": 'parent = "b1"'}, "a circle: b1 -> b1"),
        (
            {"a": "", "b1": 'parent = "a"\nparent_model = "wide"'},
            "'wide' is another architecture than 'small': network",
        ),
        ({"a": "", "b1": 'parent = "a"\nparent_model = "wyde"'}, "parent_model: .*'wyde'; did you mean 'wide'"),
        ({"a": 'ensemble = "b2"', "b1": 'parent = "a"'}, "'a' is not trained itself"),
        ({"a": "", "b1": 'parent = "a"\nparent_train = "pretrain"'}, "suite chains names no datasets to pre-train on"),
        ({"b1": 'parent_weights = "all"'}, "parent_weights: means nothing without 'parent'"),
        ({"b1": 'pruning = "magnitude"'}, "pruning: means nothing without 'parent'"),
        (
            {"a": "", "b1": 'parent = "a"\npruning = "magnitude"'},
            "pruning: needs all weights of the parent; expected parent_weights = 'all', got 'backbone'",
        ),
        (
            {"a": "", "b1": 'parent = "a"\nparent_weights = "all"\npruning = "magnitud"'},
            "unknown pruning 'magnitud'; did you mean 'magnitude'",
        ),
        (
            {
                "a": 'selection = "last"\nheads = [{ name = "age", kind = "regression", column = "age" }]',
                "b1": 'parent = "a"\nparent_weights = "all"',
            },
            r"the heads of 'a' are age \(regression\), those of 'b1' labels \(labels\)",
        ),
        (
            {"b1": 'selection = "last"\nheads = [{ name = "age", kind = "regression", column = "age" }]'},
            "gives no scores of the labels of suite chains",
        ),
    ],
)
def test_a_parent_that_cannot_be_is_a_card_error(methods: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises((CardError, UnknownNameError), match=words):
        plan(tmp_path, {"b2": "", **methods})


def test_a_fit_that_prunes_says_so(tmp_path: Path) -> None:
    made = plan(tmp_path, {"a": "", "b1": 'parent = "a"\nparent_weights = "all"\npruning = "magnitude"', "b2": ""})
    assert {fit.method: fit.stage for fit in made.fits} == {"a": "training", "b1": "pruning", "b2": "training"}
