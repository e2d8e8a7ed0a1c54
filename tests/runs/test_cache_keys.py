from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from xrbench import cards
from xrbench.catalogue import open_catalogue
from xrbench.planning import make_plan
from xrbench.runs import cache_keys

Struct = TypeVar("Struct", bound=msgspec.Struct)
ROWS = {"train": "t", "valid": "v", "preprocessing": "p"}


@pytest.fixture(scope="module")
def recipe() -> cards.Recipe:
    catalogue = open_catalogue()
    plan = make_plan(catalogue.suite("ood-cxr"), catalogue, profile="quick")
    return plan.recipes[plan.fits[0].name]


OTHER_METHOD: dict[str, object] = {
    "inference": "resnet18-imagenet",
    "ensemble": "random-batching",
    "sampler": "first-dataset-batches",
    "objective": "cross-entropy",
    "task_weights": "none",
    "l2_in_loss": 0.25,
    "optimiser": {"block": "adam", "lr": 0.5},
    "schedule": "cosine",
    "augmentation": ("horizontal-flip",),
    "selection": "last",
    "patience": 7,
    "accumulate": 5,
    "validation": "as-released",
    "epochs": 11,
    "heads": (cards.Head(name="age", kind="regression", column="age"),),
    "averaging": 0.5,
    "parent_weights": "all",
    "pruning": {"block": "magnitude", "amount": 0.25},
}
OTHER_MODEL: dict[str, object] = {
    "network": {"block": "torchvision", "name": "resnet50"},
    "weights": "imagenet",
    "channels": 3,
    "stem": "mean",
    "image_size": 99,
    "scale": (-1024.0, 1024.0),
    "mean": (0.5,),
    "std": (0.25,),
    "outputs": ("Edema",),
    "seen": ("nih",),
}
OTHER_RECIPE: dict[str, object] = {
    "labels": ("Edema",),
    "image_size": 17,
    "epochs": 23,
    "batch_size": 29,
    "steps_per_epoch": 31,
    "precision": "bfloat16",
    "seed": 37,
    "threads": 3,
    "task": "multiclass",
    "identity": "another suite's",
}
OTHER_SUITE: dict[str, object] = {
    "name": "other",
    "task": "multiclass",
    "classes": cards.ClassRule(rule="first"),
    "labels": ("Edema",),
    "uncertain": "ones",
    "blank": "negative",
    "where": {"view": "AP"},
    "mappings": ("pneumonia-like",),
    "preprocessing": ("pad-square", "resize"),
}
OTHER_PROFILE: dict[str, object] = {
    "image_size": 17,
    "epochs": 23,
    "batch_size": 29,
    "steps_per_epoch": 31,
    "precision": "bfloat16",
    "threads": 3,
    "seeds": (5, 6),
    "schedule": "cosine",
    "averaging": 0.5,
    "limits": cards.Limits(test=5),
    "split": cards.SplitRule(seed=41),
}
"""Another value of each field that a key hashes; ``channels_last`` is negated in the tests."""


def one_field_changed(card: Struct, values: dict[str, object]) -> list[Struct]:
    """Change one field at a time, to a value that it does not have."""
    assert [field for field, value in values.items() if getattr(card, field) == value] == []
    return [msgspec.structs.replace(card, **{field: value}) for field, value in values.items()]


def test_everything_that_decides_a_fit_changes_its_key(recipe: cards.Recipe) -> None:
    replace = msgspec.structs.replace
    apart = {*cache_keys.WORDS, *cache_keys.OF_PARENTS}
    assert {*OTHER_METHOD, *apart} == set(cards.MethodCard.__struct_fields__)
    assert {*OTHER_MODEL, *cache_keys.WORDS} - {"stage"} == set(cards.ModelCard.__struct_fields__)
    assert {*OTHER_RECIPE, "method", "model", "channels_last"} == set(cards.Recipe.__struct_fields__)
    others = [
        replace(recipe, channels_last=not recipe.channels_last),
        *one_field_changed(recipe, OTHER_RECIPE),
        *(replace(recipe, method=method) for method in one_field_changed(recipe.method, OTHER_METHOD)),
        *(replace(recipe, model=model) for model in one_field_changed(recipe.model, OTHER_MODEL)),
    ]
    keys = {cache_keys.fit_key(changed, **ROWS) for changed in [recipe, *others]}
    for field in ROWS:
        keys.add(cache_keys.fit_key(recipe, **{**ROWS, field: "other"}))
    keys |= {cache_keys.fit_key(recipe, **ROWS, parents=parents) for parents in (["a"], ["b"], ["a", "b"])}
    assert len(keys) == 1 + len(others) + len(ROWS) + 3


def test_words_for_people_do_not(recipe: cards.Recipe) -> None:
    replace = msgspec.structs.replace
    reworded = replace(recipe, method=replace(recipe.method, title="Another title", notes="And notes"))
    assert cache_keys.fit_key(reworded, **ROWS) == cache_keys.fit_key(recipe, **ROWS)


def test_an_optional_field_with_its_default_is_in_no_key(recipe: cards.Recipe) -> None:
    class Longer(cards.MethodCard, frozen=True):
        """A method card of a later version."""

        later: tuple[str, ...] = ()
        also: tuple[float, ...] = (1.0,)

    values = {name: getattr(recipe.method, name) for name in recipe.method.__struct_fields__}
    longer = msgspec.structs.replace(recipe, method=Longer(**values))
    assert cache_keys.fit_key(longer, **ROWS) == cache_keys.fit_key(recipe, **ROWS)
    used = msgspec.structs.replace(recipe, method=Longer(**values, later=("a",)))
    assert cache_keys.fit_key(used, **ROWS) != cache_keys.fit_key(recipe, **ROWS)


def test_streams_do_not_depend_on_fields_of_cards(recipe: cards.Recipe) -> None:
    """The figures of a fit stay when a field is added, a default is written out or a title changes."""
    catalogue = open_catalogue()
    suite = msgspec.structs.replace(catalogue.suite("ood-cxr"), title="Another title", notes="notes")
    plan = make_plan(suite, catalogue, profile="quick")
    assert plan.recipes[plan.fits[0].name].identity == recipe.identity
    identities = [plan.recipes[fit.name].identity for fit in plan.fits]
    assert len(set(identities)) == len(identities)


def test_local_weights_count_by_content(recipe: cards.Recipe, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(b"one")
    local = msgspec.structs.replace(recipe, model=msgspec.structs.replace(recipe.model, weights=str(path)))
    first = cache_keys.fit_key(local, **ROWS)
    path.write_bytes(b"two")
    assert cache_keys.fit_key(local, **ROWS) != first


def test_everything_that_decides_a_cell_changes_its_key() -> None:
    model = cards.ModelCard(title="m", name="m", network="timm")
    base: dict[str, Any] = {"rows": "r", "preprocessing": "p", "model": model, "labels": ("a", "b")}
    keys = {cache_keys.cell_key(fits, **base) for fits in ([], ["f"], ["g"], ["f", "g"], ["g", "f"], ["fg"])} | {
        cache_keys.cell_key([], **{**base, field: value})
        for field, value in (("rows", "s"), ("preprocessing", "q"), ("model", None), ("labels", ("b", "a")))
    }
    assert len(keys) == 6 + 4
    models = one_field_changed(model, OTHER_MODEL)
    assert len({cache_keys.cell_key([], **{**base, "model": changed}) for changed in [model, *models]}) == 11
    reworded = msgspec.structs.replace(model, title="t", notes="n", name="o")
    assert cache_keys.cell_key([], **{**base, "model": reworded}) == cache_keys.cell_key([], **base)


def test_an_ensemble_is_that_of_its_members_in_any_order() -> None:
    assert cache_keys.ensemble_key(["a", "b"]) == cache_keys.ensemble_key(["b", "a"])
    assert len({cache_keys.ensemble_key(members) for members in (["a"], ["a", "b"], ["a", "c"], ["a", "a"])}) == 4


def test_everything_that_decides_a_run_changes_its_key() -> None:
    catalogue = open_catalogue()
    suite = catalogue.suite("ood-cxr")
    profile = suite.profiles["quick"]
    suites = one_field_changed(suite, OTHER_SUITE)
    profiles = [
        *one_field_changed(profile, OTHER_PROFILE),
        msgspec.structs.replace(profile, channels_last=not profile.channels_last),
    ]
    assert {*OTHER_PROFILE, "channels_last", "models", "methods"} == set(cards.Profile.__struct_fields__)
    keys = {cache_keys.run_key(changed, "quick", profile, {"nih": "d"}) for changed in [suite, *suites]}
    keys |= {cache_keys.run_key(suite, "quick", changed, {"nih": "d"}) for changed in profiles}
    keys |= {cache_keys.run_key(suite, "full", profile, {"nih": "d"})}
    datasets: list[dict[str, str]] = [{}, {"nih": "e"}, {"mimic": "d"}, {"nih": "d", "mimic": "d"}]
    keys |= {cache_keys.run_key(suite, "quick", profile, data) for data in datasets}
    assert len(keys) == 1 + len(suites) + len(profiles) + 1 + len(datasets)


def test_what_can_be_added_to_a_run_or_is_judged_later_does_not_change_its_key() -> None:
    suite = open_catalogue().suite("ood-cxr")
    later: dict[str, object] = {
        "title": "Another title",
        "notes": "And notes",
        "extends": "another",
        "paper": "another",
        "models": ("resnet50-imagenet",),
        "methods": ("random-batching",),
        "metrics": ("brier",),
        "protocol": cards.Protocol(),
        "interval": cards.Interval(level=0.9),
        "comparisons": (cards.Comparison(challenger="a", baseline="b"),),
        "adjustment": "bh",
        "analyses": cards.Analyses(across=("ranks",)),
        "tables": (),
        "figures": (cards.FigureLayout(name="f", kind="roc"),),
        "profiles": {},
    }
    assert {*OTHER_SUITE, *later} == set(cards.SuiteCard.__struct_fields__)
    profile = suite.profiles["quick"]
    changed = [suite, *one_field_changed(suite, later)]
    assert len({cache_keys.run_key(card, "quick", profile, {"nih": "d"}) for card in changed}) == 1


def test_a_run_is_the_same_when_methods_and_settings_are_added() -> None:
    catalogue = open_catalogue()
    suite = catalogue.suite("ood-cxr")
    profile = suite.profiles["quick"]
    one = cache_keys.run_key(suite, "quick", profile, {"nih": "d"})
    more = msgspec.structs.replace(suite, methods=(*suite.methods, "other"), protocol=cards.Protocol())
    assert cache_keys.run_key(more, "quick", msgspec.structs.replace(profile, methods=("x",)), {"nih": "d"}) == one
    assert cache_keys.run_key(suite, "quick", profile, {"nih": "e"}) != one
    assert cache_keys.run_key(msgspec.structs.replace(suite, uncertain="ones"), "quick", profile, {"nih": "d"}) != one


DEFAULTS: dict[str, dict[str, object]] = {
    "MethodCard": {
        "inference": "",
        "ensemble": "",
        "sampler": "random-batches",
        "objective": "masked-bce",
        "task_weights": "none",
        "l2_in_loss": 0.0,
        "optimiser": "adam",
        "schedule": "constant",
        "augmentation": (),
        "selection": "best-mean-auc",
        "patience": 0,
        "accumulate": 1,
        "validation": "fixed",
        "epochs": 0,
        "heads": (),
        "averaging": 0.0,
        "parent": "",
        "parent_train": "train",
        "parent_weights": "backbone",
        "parent_model": "",
        "parent_seed": None,
        "pruning": None,
        "stage": "",
    },
    "ModelCard": {
        "weights": "none",
        "channels": 1,
        "stem": "new",
        "image_size": 0,
        "scale": (0.0, 1.0),
        "mean": (),
        "std": (),
        "outputs": (),
        "seen": (),
    },
    "Recipe": {"threads": 0, "task": "multilabel", "identity": ""},
    "Profile": {
        "image_size": 224,
        "epochs": 10,
        "batch_size": 32,
        "steps_per_epoch": 0,
        "precision": "float32",
        "channels_last": True,
        "threads": 0,
        "models": (),
        "methods": (),
        "seeds": (),
        "schedule": "",
        "averaging": 0.0,
        "limits": cards.Limits(train=0, valid=0, test=0),
        "split": cards.SplitRule(kind="patients", test_fraction=0.2, valid_fraction=0.1, stratify=False, seed=None),
    },
}


def test_defaults_are_those_that_keys_leave_out() -> None:
    """Another default gives other figures under the same key, unless ``NUMBERS`` is raised with it."""
    for kind in (cards.MethodCard, cards.ModelCard, cards.Recipe, cards.Profile):
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for name, default in DEFAULTS[kind.__name__].items():
            field = fields[name]
            made = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
            assert msgspec.to_builtins(made) == msgspec.to_builtins(default), (kind.__name__, name)
    assert cache_keys.NUMBERS == 2


def test_the_order_in_which_a_card_is_written_does_not_matter(recipe: cards.Recipe) -> None:
    written = {"block": "adam", "lr": 0.5, "amsgrad": True}
    one, other = (
        msgspec.structs.replace(recipe, method=msgspec.structs.replace(recipe.method, optimiser=options))
        for options in (written, dict(reversed(written.items())))
    )
    assert cache_keys.fit_key(one, **ROWS) == cache_keys.fit_key(other, **ROWS)


def test_keys_have_the_length_that_folders_are_named_by(recipe: cards.Recipe) -> None:
    suite = open_catalogue().suite("ood-cxr")
    run = cache_keys.run_key(suite, "quick", suite.profiles["quick"], {"nih": "d"})
    for key, length in ((run, 12), (cache_keys.fit_key(recipe, **ROWS), 32), (cache_keys.ensemble_key(["a", "b"]), 32)):
        assert len(key) == length
        assert set(key) <= set("0123456789abcdef")
