"""Parents of fits on real rows: nobody on whom a fit is tested teaches its ancestors, and keys follow what a parent learned from."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from tests.runs.test_bound_plan import hospital
from xrbench.catalogue import Catalogue, open_catalogue
from xrbench.data.datasets.sources import DataRoots
from xrbench.errors import DataError
from xrbench.planning import make_plan
from xrbench.runs.bound_plan import BoundPlan, bind
from xrbench.runs.fit_keys import fit_keys, keys_of
from xrbench.runs.plan_summary import summarise

SUITE = """
title = "Chains"
labels = ["Edema"]
models = ["resnet18-scratch"]
methods = ["child", "sibling"]
[protocol]
datasets = ["one", "two"]
train_size = 1
pretrain = [{pretrain}]
seeds = [0, 1]
[profiles.only]
image_size = 8
split = {{ kind = "patients", test_fraction = 0.25, valid_fraction = 0.25 }}
"""
CHILD = 'title = "{}"\nparent = "pretext"\nparent_train = "pretrain"'
PRETEXT = """
title = "Pretext"
selection = { head = "view", metric = "auc" }
heads = [{ name = "view", kind = "binary", column = "view", values = ["AP", "PA"] }]
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("one", "two", "other"):
        hospital(tmp_path / "data", name)
        path = tmp_path / "data" / name / "labels.csv"
        frame = pd.read_csv(path)
        frame["view"] = ["PA" if number % 3 else "AP" for number in range(len(frame))]
        frame.to_csv(path, index=False)
    return tmp_path / "data"


def shelf(folder: Path, *, pretrain: str, pretext: str = PRETEXT) -> Catalogue:
    cards = {f"datasets/{name}": f'title = "{name}"\nreader = "table"\n' for name in ("one", "two", "other")}
    cards |= {"methods/child": CHILD.format("Child"), "methods/sibling": CHILD.format("Sibling")}
    cards |= {"methods/pretext": pretext, "suites/chains": SUITE.format(pretrain=f'"{pretrain}"')}
    for name, text in cards.items():
        path = folder / "registry" / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return open_catalogue([folder])


def bound(catalogue: Catalogue, root: Path, *only: str) -> BoundPlan:
    return bind(make_plan(catalogue.suite("chains"), catalogue, only=only), catalogue, DataRoots(root))


def patients(found: BoundPlan, fit: str, *sides: str) -> set[str]:
    parts = found.parts[fit]
    return {
        patient
        for side in sides
        for name, rows in getattr(parts, side).items()
        for patient in found.domains[name].members.patient[rows].tolist()
    }


def test_whoever_is_held_out_for_a_child_is_held_out_of_its_ancestors(tmp_path: Path, data: Path) -> None:
    found = bound(shelf(tmp_path / "lab", pretrain="one"), data, "train=one")
    children = [fit for fit in found.fits if fit.parents]
    assert len(children) == 2 * 2
    for child in children:
        held_out = patients(found, child.name, "valid", "internal", "external")
        (parent,) = child.parents
        assert not held_out & patients(found, parent, "train", "valid")
        # 3 test patients and 3 validation patients of 12, with two images each; a quarter of the others validates the parent
        assert found.parts[parent].excluded == {"one": 12}
        assert {side: len(patients(found, parent, side)) for side in ("train", "valid")} == {"train": 4, "valid": 2}
    note = "pretrain one, for fits on one, valid held-out, seeds 0, 1: 12 images of one left out, their patients are held out"
    assert any(text.startswith(note) for text in found.notes), found.notes


def test_a_parent_that_would_have_nobody_left_is_refused(tmp_path: Path, data: Path) -> None:
    # every patient of "one" is tested in the second setting
    with pytest.raises(DataError, match="one: no image is left to train on"):
        bound(shelf(tmp_path / "lab", pretrain="one"), data, "train=two")


def test_keys_follow_the_parent(tmp_path: Path, data: Path) -> None:
    def keys(pretext: str = PRETEXT) -> dict[str, str]:
        found = bound(shelf(tmp_path / "lab", pretrain="other", pretext=pretext), data)
        found.open_caches(tmp_path / "cache", jobs=1)
        assert dict(keys_of(found).fits) == fit_keys(found)
        return fit_keys(found)

    before = keys()
    assert len(before) == 2 + 8, "one parent a seed, shared by two methods in two settings"
    recipe = keys(PRETEXT + "l2_in_loss = 0.5\n")
    assert all(recipe[name] != key for name, key in before.items()), "the parent's recipe decides its children"
    title = keys(PRETEXT.replace("Pretext", "Another title"))
    assert title == before

    frame = pd.read_csv(data / "other" / "labels.csv")
    frame.loc[frame.index[:6], "view"] = "AP"
    frame.to_csv(data / "other" / "labels.csv", index=False)
    rows = keys()
    assert all(rows[name] != key for name, key in before.items()), "and so do the rows that it learns from"


def test_a_head_needs_its_column_and_its_values(tmp_path: Path, data: Path) -> None:
    absent = PRETEXT.replace('column = "view"', 'column = "vew"')
    with pytest.raises(DataError, match="other: no column 'vew' for head 'view'; did you mean 'view'"):
        bound(shelf(tmp_path / "lab", pretrain="other", pretext=absent), data)
    unknown = PRETEXT.replace('"AP", "PA"', '"AP", "LL"')
    with pytest.raises(DataError, match=re.escape("other: head 'view': no training image with view = 'LL'")):
        bound(shelf(tmp_path / "lab", pretrain="other", pretext=unknown), data)


def test_the_plan_shows_the_graph(tmp_path: Path, data: Path) -> None:
    summary = summarise(bound(shelf(tmp_path / "lab", pretrain="other"), data), out=tmp_path / "runs")
    fits = [line for line in summary.lines() if line.startswith("  to do ") and "   train " in line]
    assert fits[0].startswith(
        "  to do pre-training: pretext/resnet18-scratch/pretrain:other/valid-held-out/seed-0   train "
    )
    assert fits[0].endswith("0 cells, start of 4 fits")
    assert all(line.startswith("  to do   fine-tuning: ") for line in fits[1:5])
    plain = summary.to_dict()["fits"]
    assert plain[1]["parents"] == (plain[0]["name"],)
    assert (plain[0]["stage"], plain[1]["stage"]) == ("pre-training", "fine-tuning")


def test_the_plan_says_where_all_seeds_share_a_parent(tmp_path: Path, data: Path) -> None:
    shelf(tmp_path / "lab", pretrain="other")
    path = tmp_path / "lab" / "registry" / "methods" / "child.toml"
    path.write_text(path.read_text() + "\nparent_seed = 0")
    catalogue = open_catalogue([tmp_path / "lab"])
    summary = summarise(bound(catalogue, data), out=tmp_path / "runs")
    parent = "pretext/resnet18-scratch/pretrain:other/valid-held-out/seed-0"
    given = {fit["name"]: fit["given"] for fit in summary.to_dict()["fits"]}
    assert set(given.values()) == {"", parent}
    assert all(bool(shared) == name.startswith("child/") for name, shared in given.items())
    ends = [line.endswith(f"; given one parent for all seeds ({parent})") for line in summary.lines()]
    assert sum(ends) == sum(map(bool, given.values())) == 2 * 2
