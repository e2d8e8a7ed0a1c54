from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xrbench import cards
from xrbench.catalogue import Catalogue, open_catalogue
from xrbench.data.datasets.sources import DataRoots
from xrbench.errors import CardError, DataError, MissingDataError
from xrbench.planning import make_plan, without_datasets
from xrbench.runs.bound_plan import BoundPlan, bind
from xrbench.runs.cache_keys import ensemble_key
from xrbench.runs.fit_keys import fit_key, keys_of

SUITE = """
title = "Tiny"
labels = ["Edema"]
models = ["resnet18-scratch"]
methods = ["random-batching"]
[protocol]
datasets = ["one", "two", "three"]
train_size = 2
[profiles.only]
image_size = 8
split = { kind = "patients", test_fraction = 0.25, valid_fraction = 0.25, seed = 0 }
"""


def hospital(root: Path, name: str, *, patients: int = 12, change: str = "") -> None:
    folder = root / name / "images"
    folder.mkdir(parents=True)
    rows = []
    for number in range(2 * patients):
        Image.fromarray(np.full((10, 12), 9 * number % 256, np.uint8)).save(folder / f"{number}.png")
        rows.append(
            {
                "image": f"{number}.png",
                "patient_id": f"{name}-{number // 2}",
                "view": "PA",
                "age": 50,
                "sex": "F",
                "Edema": number % 3 % 2,
            }
        )
        os.utime(folder / f"{number}.png", (1e9, 1e9))  # long ago, as published files are
    frame = pd.DataFrame(rows).astype({"patient_id": object})
    if change == "one class":
        frame["Edema"] = 0
    if change == "no patients":
        frame["patient_id"] = None
    if change == "one without patient":
        frame.loc[3, "patient_id"] = None
    if change == "no such label":
        frame = frame.rename(columns={"Edema": "Fracture"})
    frame.to_csv(root / name / "labels.csv", index=False)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    for name in ("one", "two", "three"):
        path = tmp_path / "lab" / "registry" / "datasets" / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'title = "{name}"\nreader = "table"\n')
    suites = tmp_path / "lab" / "registry" / "suites"
    suites.mkdir()
    (suites / "tiny.toml").write_text(SUITE)
    return open_catalogue([tmp_path / "lab"])


def bound(catalogue: Catalogue, root: Path, *, allow_missing: bool = False) -> BoundPlan:
    return bind(make_plan(catalogue.suite("tiny"), catalogue), catalogue, DataRoots(root), allow_missing=allow_missing)


def test_rows_are_counted_and_keys_follow_pixels(catalogue: Catalogue, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        hospital(tmp_path / "data", name)
    first = bound(catalogue, tmp_path / "data")
    parts = first.parts[first.plan.fits[0].name]
    # 12 patients with two images each: ceil(12/4) = 3 for test, ceil(9/4) = 3 for validation, 6 train
    assert [len(rows) for rows in parts.train.values()] == [12, 12]
    assert [len(rows) for rows in parts.valid.values()] == [6, 6]
    assert [len(rows) for rows in parts.internal.values()] == [6, 6]
    assert len(parts.external["three"]) == 24
    assert not first.reopen_caches(tmp_path / "cache"), "nothing is prepared yet"
    first.open_caches(tmp_path / "cache", jobs=1)
    before = {fit.name: fit_key(first, fit) for fit in first.plan.fits}
    again = bound(catalogue, tmp_path / "data")
    assert again.reopen_caches(tmp_path / "cache")
    assert {fit.name: fit_key(again, fit) for fit in again.plan.fits} == before

    trained = again.domains["one"].frame["path"].iloc[int(parts.train["one"][0])]
    Image.fromarray(np.full((10, 12), 255, np.uint8)).save(tmp_path / "data" / "one" / trained)
    changed = bound(catalogue, tmp_path / "data")
    assert not changed.reopen_caches(tmp_path / "cache")
    changed.open_caches(tmp_path / "cache", jobs=1)
    after = {fit.name: fit_key(changed, fit) for fit in changed.plan.fits}
    differing = {changed.plan.fit(name).train for name in before if before[name] != after[name]}
    assert differing == {("one", "two"), ("one", "three")}, "only fits that learn from the image are others now"


def test_an_ensembles_key_is_that_of_its_members_cells(catalogue: Catalogue, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        hospital(tmp_path / "data", name)
    registry = tmp_path / "lab" / "registry"
    (registry / "methods").mkdir()
    (registry / "methods" / "together.toml").write_text('title = "Together"\nensemble = "random-batching"')
    card = SUITE.replace('"random-batching"', '"random-batching", "together"')
    (registry / "suites" / "tiny.toml").write_text(card.replace("train_size = 2", "train_size = 2\nseeds = [0, 1, 2]"))
    found = bound(open_catalogue([tmp_path / "lab"]), tmp_path / "data")
    found.open_caches(tmp_path / "cache", jobs=1)
    keys = keys_of(found)
    assert keys.fits == {fit.name: fit_key(found, fit) for fit in found.fits}
    assert len(set(keys.cells.values())) == len(found.cells)
    ensembles = [cell for cell in found.cells if cell.method == "together"]
    assert ensembles
    for ensemble in ensembles:
        same = (ensemble.train, ensemble.test, ensemble.protocol)
        alone = [
            keys.cells[cell.name]
            for cell in found.cells
            if cell.method == "random-batching" and (cell.train, cell.test, cell.protocol) == same
        ]
        assert len(alone) == 3
        assert keys.cells[ensemble.name] == ensemble_key(alone)


def test_images_and_frames_agree_row_by_row(catalogue: Catalogue, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        hospital(tmp_path / "data", name)
    found = bound(catalogue, tmp_path / "data")
    found.open_caches(tmp_path / "cache", jobs=1)
    cell = next(cell for cell in found.plan.cells if cell.protocol == "validation")
    part = found.part(cell)
    images, frame = found.image_set(part, found.plan.recipes[cell.fits[0]]), found.frame(part)
    assert len(images) == len(frame)
    assert np.array_equal(images.truth[:, 0], frame["truth:Edema"])
    grey = images.gather(np.arange(len(images)))[:, 0, 4, 4]
    assert grey.tolist() == [9 * int(name.removesuffix(".png")) % 256 for name in frame["image"]]
    assert frame["dataset"].tolist() == [images.domains[d] for d in images.domain]


def test_missing_datasets_are_all_named_with_where_to_ask(catalogue: Catalogue, tmp_path: Path) -> None:
    hospital(tmp_path / "data", "one")
    with pytest.raises(MissingDataError) as caught:
        bound(catalogue, tmp_path / "data")
    assert "missing: two" in str(caught.value)
    assert "missing: three" in str(caught.value)
    assert "xrbench data check two" in str(caught.value)
    with pytest.raises(MissingDataError, match="nothing of suite tiny can run without them"):
        bound(catalogue, tmp_path / "data", allow_missing=True)


def test_a_label_with_one_class_cannot_be_learned(catalogue: Catalogue, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        hospital(tmp_path / "data", name, change="one class")
    with pytest.raises(DataError, match=r"one\+two: label 'Edema' has 0 positive and 24 negative training images"):
        bound(catalogue, tmp_path / "data")


def test_a_label_that_one_hospital_lacks_is_masked_there_and_said(catalogue: Catalogue, tmp_path: Path) -> None:
    hospital(tmp_path / "data", "one", change="no such label")
    hospital(tmp_path / "data", "two")
    hospital(tmp_path / "data", "three")
    found = bound(catalogue, tmp_path / "data")
    assert "one: has no label Edema; masked there" in found.notes
    assert np.isnan(found.domains["one"].truth).all()


def test_without_patient_ids_images_are_the_unit_and_it_is_said(catalogue: Catalogue, tmp_path: Path) -> None:
    hospital(tmp_path / "data", "one", change="no patients")
    hospital(tmp_path / "data", "two")
    hospital(tmp_path / "data", "three")
    found = bound(catalogue, tmp_path / "data")
    assert "one: no patient ids; splits and intervals are by image" in found.notes


def test_some_images_without_patient_id_are_an_error_that_names_the_first(catalogue: Catalogue, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        hospital(tmp_path / "data", name, change="one without patient" if name == "one" else "")
    with pytest.raises(DataError, match=r"one: image '3\.png' has no patient id \(1 of 24 have none\)"):
        bound(catalogue, tmp_path / "data")


def test_validation_as_released_draws_from_the_whole_dataset(catalogue: Catalogue, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        hospital(tmp_path / "data", name)
    path = tmp_path / "lab" / "registry" / "suites" / "tiny.toml"
    text = (
        path.read_text()
        .replace("train_size = 2", 'train_size = 1\nvalid = "dataset"')
        .replace("[profiles.only]", "[profiles.only]\nlimits = { valid = 5 }")
    )
    path.write_text(text.replace('"random-batching"', '"balanced-batching", "balanced-batching-as-released"'))
    found = bound(open_catalogue([tmp_path / "lab"]), tmp_path / "data")
    sizes = {fit.method: {len(rows) for rows in found.parts[fit.name].valid.values()} for fit in found.plan.fits}
    assert sizes == {"balanced-batching": {5}, "balanced-batching-as-released": {24}}


def test_leaving_out_datasets_keeps_what_does_not_need_them(catalogue: Catalogue) -> None:
    plan = make_plan(catalogue.suite("tiny"), catalogue)
    assert without_datasets(plan, ["three"]).fits == ()
    assert isinstance(plan.suite, cards.SuiteCard)


def colour(catalogue: Catalogue, root: Path, name: str) -> None:
    """Give a hospital images in colour, and say so on its card."""
    for path in (root / name / "images").iterdir():
        grey = int(np.asarray(Image.open(path))[0, 0])
        Image.fromarray(np.full((10, 12, 3), [grey, 255 - grey, 7], np.uint8)).save(path)
        os.utime(path, (1e9, 1e9))
    card = catalogue.path("dataset", name)
    card.write_text(card.read_text() + "channels = 3\n")


def colourful(catalogue: Catalogue, tmp_path: Path, *names: str, model: str = "resnet18-scratch-rgb") -> BoundPlan:
    for name in ("one", "two", "three"):
        hospital(tmp_path / "data", name)
    for name in names:
        colour(catalogue, tmp_path / "data", name)
    suite = catalogue.path("suite", "tiny")
    suite.write_text(SUITE.replace("resnet18-scratch", model))
    return bound(open_catalogue([tmp_path / "lab"]), tmp_path / "data")


def test_grey_and_colour_hospitals_in_one_batch(catalogue: Catalogue, tmp_path: Path) -> None:
    found = colourful(catalogue, tmp_path, "two")
    found.open_caches(tmp_path / "cache", jobs=1)
    assert {base: cache.pixels.shape[1] for (base, _), cache in found.caches.items()} == {
        "one": 1,
        "two": 3,
        "three": 1,
    }
    fit = next(fit for fit in found.plan.fits if fit.train == ("one", "two"))
    images = found.image_set(found.parts[fit.name].train, found.plan.recipes[fit.name])
    batch = images.gather(np.arange(len(images)))
    assert batch.shape == (24, 3, 8, 8)
    of_two = images.domain == images.domains.index("two")
    assert (batch[~of_two] == batch[~of_two][:, :1]).all()
    assert (batch[of_two][:, 2] == 7).all()
    again = bound(found.catalogue, tmp_path / "data")
    assert again.reopen_caches(tmp_path / "cache")


def test_keys_know_colour_where_it_is_used_and_only_there(catalogue: Catalogue, tmp_path: Path) -> None:
    grey = colourful(catalogue, tmp_path, model="resnet18-scratch-rgb")
    grey.open_caches(tmp_path / "cache", jobs=1)
    before = {fit.name: fit_key(grey, fit) for fit in grey.plan.fits}
    # the same files, read in colour
    card = catalogue.path("dataset", "two")
    card.write_text(card.read_text() + "channels = 3\n")
    read_anew = bound(open_catalogue([tmp_path / "lab"]), tmp_path / "data")
    read_anew.open_caches(tmp_path / "cache", jobs=1)
    changed = {fit.train for fit in read_anew.plan.fits if fit_key(read_anew, fit) != before[fit.name]}
    assert changed == {("one", "two"), ("two", "three")}


def test_a_network_for_grey_images_is_refused_on_colour_in_one_line(catalogue: Catalogue, tmp_path: Path) -> None:
    with pytest.raises(CardError) as caught:
        colourful(catalogue, tmp_path, "two", model="resnet18-scratch")
    message = str(caught.value)
    assert "\n" not in message
    assert "resnet18-scratch.toml: channels: expected 3 for the images in colour of dataset 'two', got 1" in message
    assert message.endswith("two.toml has 3)")
