from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from xrbench import cards, keys
from xrbench.catalogue import open_catalogue
from xrbench.planning import make_plan

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
        replace(recipe, method=replace(recipe.method, optimiser={"block": "adam", "lr": 0.5})),
        replace(recipe, model=replace(recipe.model, stem="sum")),
    ]
    found = {keys.fit_key(other, **ROWS) for other in [recipe, *others]}
    for field in ROWS:
        found.add(keys.fit_key(recipe, **{**ROWS, field: "other"}))
    assert len(found) == 1 + len(others) + len(ROWS)


def test_words_for_people_do_not(recipe: cards.Recipe) -> None:
    replace = msgspec.structs.replace
    reworded = replace(recipe, method=replace(recipe.method, title="Another title", notes="And notes"))
    assert keys.fit_key(reworded, **ROWS) == keys.fit_key(recipe, **ROWS)


def test_local_weights_count_by_content(recipe: cards.Recipe, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(b"one")
    local = msgspec.structs.replace(recipe, model=msgspec.structs.replace(recipe.model, weights=str(path)))
    first = keys.fit_key(local, **ROWS)
    path.write_bytes(b"two")
    assert keys.fit_key(local, **ROWS) != first


def test_a_cell_depends_on_fits_rows_and_the_model_used_as_it_comes() -> None:
    model = cards.ModelCard(title="m", name="m", network="timm")
    found = {
        keys.cell_key(["f"], rows="r", preprocessing="p"),
        keys.cell_key(["g"], rows="r", preprocessing="p"),
        keys.cell_key(["f", "g"], rows="r", preprocessing="p"),
        keys.cell_key(["f"], rows="s", preprocessing="p"),
        keys.cell_key([], rows="r", preprocessing="p", model=model, labels=("a",)),
        keys.cell_key([], rows="r", preprocessing="p", model=model, labels=("b",)),
    }
    assert len(found) == 6


def test_a_run_is_the_same_when_methods_and_settings_are_added() -> None:
    catalogue = open_catalogue()
    suite = catalogue.suite("ood-cxr")
    profile = suite.profiles["quick"]
    one = keys.run_key(suite, "quick", profile, {"nih": "d"})
    more = msgspec.structs.replace(suite, methods=(*suite.methods, "other"), protocol=cards.Protocol())
    assert keys.run_key(more, "quick", msgspec.structs.replace(profile, methods=("x",)), {"nih": "d"}) == one
    assert keys.run_key(suite, "quick", profile, {"nih": "e"}) != one
    assert keys.run_key(msgspec.structs.replace(suite, uncertain="ones"), "quick", profile, {"nih": "d"}) != one
