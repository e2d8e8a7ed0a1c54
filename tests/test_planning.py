from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from xrbench import cards, planning
from xrbench.catalogue import Catalogue, open_catalogue
from xrbench.errors import CardError, UnknownNameError, UsageError
from xrbench.planning import make_plan, parse_only, settings_of, without_datasets


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return open_catalogue()


def test_the_paper_has_six_settings_with_the_seeds_it_prints(catalogue: Catalogue) -> None:
    # Tetteh et al. 2021, table 2: seed, training pair, validation and test dataset of each column
    printed = [
        (0, {"nih", "chexpert"}, "mimic", "padchest"),
        (42, {"nih", "padchest"}, "mimic", "chexpert"),
        (99, {"chexpert", "mimic"}, "padchest", "nih"),
        (1, {"nih", "mimic"}, "chexpert", "padchest"),
        (2, {"chexpert", "padchest"}, "nih", "mimic"),
        (3, {"mimic", "padchest"}, "chexpert", "nih"),
    ]
    found = settings_of(catalogue.suite("ood-cxr").protocol)
    assert [(s.seed, set(s.train), s.valid, s.test) for s in found] == printed


def test_all_twelve_settings_and_three_seeds(catalogue: Catalogue) -> None:
    twelve = settings_of(catalogue.suite("ood-cxr-all-pairs").protocol)
    names = ("nih", "chexpert", "mimic", "padchest")
    expected = {
        (frozenset(pair), v, t)
        for pair in itertools.combinations(names, 2)
        for v, t in itertools.permutations(set(names) - set(pair))
    }
    assert {(frozenset(s.train), s.valid, s.test) for s in twelve} == expected
    assert len(twelve) == 12
    six = {(s.train, s.valid, s.test) for s in settings_of(catalogue.suite("ood-cxr").protocol)}
    three = settings_of(catalogue.suite("ood-cxr-three-seeds").protocol)
    assert len(three) == 18
    assert {(s.train, s.valid, s.test) for s in three} == six
    assert {s.seed for s in three} == {0, 42, 99}


def test_plan_counts_and_what_is_shared(catalogue: Catalogue) -> None:
    plan = make_plan(catalogue.suite("ood-cxr"), catalogue, profile="paper")
    assert len(plan.fits) == 12
    by_protocol = {
        kind: [c for c in plan.cells if c.protocol == kind] for kind in ("external", "internal", "validation")
    }
    # two trained methods in six settings, and the model used without training once a test dataset (padchest, chexpert, nih, mimic)
    assert len(by_protocol["external"]) == 12 + 4
    assert len(by_protocol["internal"]) == 24
    assert len(by_protocol["validation"]) == 12
    assert len({cell.name for cell in plan.cells}) == len(plan.cells)
    assert all(set(cell.fits) <= {fit.name for fit in plan.fits} for cell in plan.cells)
    as_is = [cell for cell in plan.cells if not cell.fits]
    assert {cell.test for cell in as_is} == {"padchest", "chexpert", "nih", "mimic"}
    assert all(cell.seen for cell in as_is), "the weights were made from these datasets"


def test_names_are_made_of_values(catalogue: Catalogue) -> None:
    plan = make_plan(catalogue.suite("ood-cxr"), catalogue, profile="paper")
    assert "balanced-batching/densenet121-imagenet/nih+chexpert/valid-mimic/seed-0/padchest" in {
        cell.name for cell in plan.cells
    }


def test_the_test_dataset_never_trains_or_validates(catalogue: Catalogue) -> None:
    for name in catalogue.names("suite"):
        for fit in make_plan(catalogue.suite(name), catalogue).fits:
            assert fit.test not in fit.train
            assert fit.test != fit.valid
            assert fit.valid not in fit.train


def test_slices_of_one_base_make_a_fit_depend_on_its_test(catalogue: Catalogue) -> None:
    plan = make_plan(catalogue.suite("open-cxr"), catalogue)
    assert len(plan.fits) == 3 * 2 * 3
    guarded = {frozenset(fit.train) for fit in plan.fits if fit.guarded}
    assert guarded == {frozenset({"nih-pa", "guangzhou"}), frozenset({"nih-ap", "guangzhou"})}
    assert all(fit.name.endswith(f"/without-{fit.test}") == fit.guarded for fit in plan.fits)


def test_only_filters_and_adds(catalogue: Catalogue) -> None:
    suite = catalogue.suite("ood-cxr")
    plan = make_plan(suite, catalogue, profile="paper", only=["method=balanced-batching,seed=0,42"])
    assert {fit.seed for fit in plan.fits} == {0, 42}
    assert {fit.method for fit in plan.fits} == {"balanced-batching"}
    external = make_plan(suite, catalogue, profile="paper", only=["test=padchest", "method=balanced-batching"])
    assert {cell.test for cell in external.cells if cell.protocol != "validation"} == {"padchest"}
    assert any(cell.protocol == "validation" for cell in external.cells), "thresholds need validation"
    added = make_plan(suite, catalogue, profile="paper", only=["method=random-batching-as-released"])
    assert {fit.method for fit in added.fits} == {"random-batching-as-released"}


def test_seeds_replace_those_of_the_settings(catalogue: Catalogue) -> None:
    plan = make_plan(catalogue.suite("ood-cxr"), catalogue, profile="paper", seeds=[7, 8])
    assert {fit.seed for fit in plan.fits} == {7, 8}
    assert len(plan.fits) == 24


def test_another_precision_is_another_recipe(catalogue: Catalogue) -> None:
    plans = [
        make_plan(catalogue.suite("ood-cxr"), catalogue, profile="quick", precision=given)
        for given in (None, "bfloat16")
    ]
    assert [{recipe.precision for recipe in plan.recipes.values()} for plan in plans] == [{"float32"}, {"bfloat16"}]
    assert plans[1].profile.precision == "bfloat16"


@pytest.mark.parametrize(
    ("only", "words"),
    [
        ("methd=x", "unknown field 'methd'; did you mean 'method'"),
        ("method=balanced-batchin", "unknown method 'balanced-batchin'; did you mean 'balanced-batching'"),
        ("seed=5", "no seed '5'; known: 0, 1, 2, 3, 42, 99"),
        ("test=padchst", "no test 'padchst'; did you mean 'padchest'"),
        ("balanced-batching", "expected field=value"),
    ],
)
def test_only_that_matches_nothing_says_what_there_is(catalogue: Catalogue, only: str, words: str) -> None:
    with pytest.raises((UsageError, UnknownNameError)) as caught:
        make_plan(catalogue.suite("ood-cxr"), catalogue, profile="paper", only=[only])
    assert words in str(caught.value)


def test_missing_datasets_leave_the_settings_that_need_them(catalogue: Catalogue) -> None:
    plan = make_plan(catalogue.suite("ood-cxr"), catalogue, profile="paper")
    rest = without_datasets(plan, ["mimic"])
    assert rest.settings == ()
    assert {cell.test for cell in rest.cells} == {"padchest", "chexpert", "nih"}, (
        "only the model used without training is left"
    )
    twelve = make_plan(catalogue.suite("ood-cxr-all-pairs"), catalogue, profile="paper")
    assert without_datasets(twelve, []).cells == twelve.cells


def test_unknown_profile_offers_the_nearest(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown profile 'quik'; did you mean 'quick'"):
        make_plan(catalogue.suite("ood-cxr"), catalogue, profile="quik")


def test_the_fixture_takes_the_quick_profile_and_real_data_the_first(catalogue: Catalogue) -> None:
    suite = catalogue.suite("ood-cxr")
    assert planning.choose_profile(suite, None, fixture=True)[0] == "quick"
    assert planning.choose_profile(suite, None, fixture=False)[0] == "paper"


def test_written_settings_without_seed_run_under_each() -> None:
    protocol = cards.Protocol(
        settings=(cards.Setting(train=("a",), test="b"), cards.Setting(train=("a",), test="c", seed=5)), seeds=(1, 2)
    )
    assert [(s.test, s.seed) for s in settings_of(protocol)] == [("b", 1), ("b", 2), ("c", 5)]


def test_parse_only_reads_alternatives() -> None:
    assert parse_only(["method=a, b,seed=3"]) == {"method": ("a", "b"), "seed": ("3",)}


def in_a_ring(protocol: cards.Protocol, /, *, step: int = 1) -> list[cards.Setting]:
    """Train on each dataset and test on the one that stands ``step`` places after it."""
    names = protocol.datasets
    return [cards.Setting(train=(name,), test=names[(n + step) % len(names)]) for n, name in enumerate(names)]


def no_settings(protocol: cards.Protocol, /) -> list[str]:
    return list(protocol.datasets)


RING = "tests.test_planning:in_a_ring"


def test_a_protocol_of_another_package_makes_the_settings(catalogue: Catalogue) -> None:
    protocol = cards.Protocol(kind=RING, datasets=("nih", "chexpert", "mimic"), seeds=(3, 4), options={"step": 2})
    suite = replace(catalogue.suite("ood-cxr"), protocol=protocol)
    settings = [(s.train, s.valid, s.test, s.seed) for s in make_plan(suite, catalogue, profile="quick").settings]
    pairs = [("nih", "mimic"), ("chexpert", "nih"), ("mimic", "chexpert")]
    # the quick profile has seeds of its own
    assert settings == [
        ((train,), "held-out", test, seed)
        for train, test in pairs
        for seed in suite.profiles["quick"].seeds or protocol.seeds
    ]


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"kind": "internal-externl"}, UnknownNameError, "did you mean 'internal-external'?"),
        ({"kind": "leave-datasets-out", "options": {"step": 1}}, CardError, "has no option 'step'"),
        ({"kind": RING, "options": {"steps": 1}}, CardError, "has no option 'steps'; did you mean 'step'?"),
        ({"kind": RING, "options": {"step": "x"}}, CardError, "TypeError"),
        ({"kind": RING, "options": {"step": 3}}, CardError, "settings[0]: 'nih' stands twice"),
        ({"kind": "tests.test_planning:no_settings"}, CardError, "expected settings, got str"),
        ({"kind": "tests.no_module:f"}, CardError, "no module 'tests.no_module'"),
    ],
)
def test_what_is_wrong_with_a_kind_of_protocol_is_said(
    fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    protocol = cards.Protocol(datasets=("nih", "chexpert", "mimic"), **fields)
    with pytest.raises(error) as raised:
        settings_of(protocol, where="suite s")
    assert str(raised.value).startswith("suite s: ")
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('kind = "leave-dataset-out"', "protocol: kind: unknown kind of protocol 'leave-dataset-out'; did you mean"),
        ('kind = "leave-datasets-out"\noptions = { size = 2 }', "protocol 'leave-datasets-out' has no option 'size'"),
    ],
)
def test_a_card_with_a_wrong_protocol_is_refused_when_it_is_read(lines: str, words: str, tmp_path: Path) -> None:
    folder = tmp_path / "registry" / "suites"
    folder.mkdir(parents=True)
    text = 'title = "Ring"\nextends = "ood-cxr"\n[protocol]\ndatasets = ["nih", "chexpert", "mimic"]\n' + lines
    (folder / "ring.toml").write_text(text)
    with pytest.raises((CardError, UnknownNameError), match=r"ring\.toml") as raised:
        open_catalogue([tmp_path]).suite("ring")
    assert words in str(raised.value)
