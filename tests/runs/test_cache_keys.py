from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from xrbench import cards
from xrbench.catalogue import open_catalogue
from xrbench.planning import make_plan
from xrbench.runs import cache_keys

ROWS = {"train": "t", "valid": "v", "preprocessing": "p"}


@pytest.fixture(scope="module")
def recipe() -> cards.Recipe:
    catalogue = open_catalogue()
    plan = make_plan(catalogue.suite("ood-cxr"), catalogue, profile="quick")
    return plan.recipes[plan.fits[0].name]


def test_everything_that_decides_a_fit_changes_its_key(recipe: cards.Recipe) -> None:
    replace = msgspec.structs.replace
    others = [
        replace(recipe, seed=recipe.seed + 1),
        replace(recipe, epochs=recipe.epochs + 1),
        replace(recipe, precision="bfloat16"),
        replace(recipe, threads=3),
        replace(recipe, channels_last=not recipe.channels_last),
        replace(recipe, labels=recipe.labels[::-1]),
        replace(recipe, identity="another suite's"),
        replace(recipe, method=replace(recipe.method, optimiser={"block": "adam", "lr": 0.5})),
        replace(recipe, model=replace(recipe.model, stem="sum")),
    ]
    found = {cache_keys.fit_key(other, **ROWS) for other in [recipe, *others]}
    for field in ROWS:
        found.add(cache_keys.fit_key(recipe, **{**ROWS, field: "other"}))
    assert len(found) == 1 + len(others) + len(ROWS)


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


def test_a_cell_depends_on_fits_rows_and_the_model_used_as_it_comes() -> None:
    model = cards.ModelCard(title="m", name="m", network="timm")
    found = {
        cache_keys.cell_key(["f"], rows="r", preprocessing="p"),
        cache_keys.cell_key(["g"], rows="r", preprocessing="p"),
        cache_keys.cell_key(["f", "g"], rows="r", preprocessing="p"),
        cache_keys.cell_key(["f"], rows="s", preprocessing="p"),
        cache_keys.cell_key([], rows="r", preprocessing="p", model=model, labels=("a",)),
        cache_keys.cell_key([], rows="r", preprocessing="p", model=model, labels=("b",)),
    }
    assert len(found) == 6


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
        "parent": "",
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
