from __future__ import annotations

import errno
import gzip
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image

from xrbench import cards, progress
from xrbench.catalogue import shipped
from xrbench.data.boxes import load_boxes
from xrbench.data.check import check
from xrbench.data.domains import FIXTURE_MARKER, Domain, load_domain, slice_of
from xrbench.data.fixture import NOTICE, TRUTH, VERSION, read_marker, write, write_fixture
from xrbench.data.fixture.body import Body, cardiothoracic_ratio, frontal
from xrbench.data.fixture.disease import VISIBLE, Place, draw
from xrbench.data.fixture.hospitals import HOSPITALS
from xrbench.data.fixture.picture import boxes_of
from xrbench.data.fixture.shapes import Grid, Textures, bump, disc, segment
from xrbench.data.images import decode
from xrbench.data.labels import truth as apply_policy
from xrbench.errors import DataError, UsageError
from xrbench.progress import Reporter
from xrbench.rng import stream

NAMES = ("nih", "chexpert", "mimic", "padchest", "vindr")
MAIN = ("Cardiomegaly", "Effusion", "Edema", "Consolidation")
SMALL = tuple(replace(hospital, films=14) for hospital in HOSPITALS)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fixture(tmp_path_factory.mktemp("data") / "fixture")


@pytest.fixture(scope="module")
def drawn(root: Path) -> pd.DataFrame:
    return pd.read_csv(root / TRUTH / "truth.csv", dtype={"patient_id": str, "image": str})


@pytest.fixture(scope="module")
def domains(root: Path, vocabulary: cards.Vocabulary) -> dict[str, Domain]:
    folder = shipped() / "registry" / "datasets"
    read = {name: cards.read(folder / f"{name}.toml", cards.DatasetCard) for name in NAMES}
    return {name: load_domain(card, None, vocabulary, root) for name, card in read.items()}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "HOSPITALS", SMALL)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def usable(drawn: pd.DataFrame, name: str) -> pd.DataFrame:
    """List the films that a reader of the default card should return, in order."""
    here = drawn[drawn["dataset"] == name]
    if name == "padchest":
        here = here[~here["note"].isin(["bad-file", "no-labels"])]
    if name == "chexpert":
        here = here[here["path"].str.startswith("train/")]
    return here.reset_index(drop=True)


# What is written


def test_it_stays_under_twenty_megabytes_with_four_hundred_pa_films_a_chest_set(
    root: Path, drawn: pd.DataFrame
) -> None:
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) < 20e6
    films = drawn[drawn["view"] == "PA"].groupby("dataset").size()
    assert all(400 <= films[name] <= 600 for name in NAMES[:4])
    assert films["vindr"] == 260


def test_every_dataset_and_the_whole_say_that_they_are_synthetic(root: Path, drawn: pd.DataFrame) -> None:
    for folder in (root, *(root / name for name in NAMES)):
        marker = read_marker(folder)
        assert marker is not None
        assert (marker["synthetic"], marker["notice"], marker["version"], marker["seed"]) == (True, NOTICE, VERSION, 0)
        assert "FIXTURE" in marker["notice"]
    whole = read_marker(root) or {}
    assert {name: part["images"] for name, part in whole["datasets"].items()} == dict(
        drawn.groupby("dataset", sort=False).size()
    )


def test_the_same_seed_gives_the_same_bytes_in_another_process_and_another_seed_does_not(
    small: None, tmp_path: Path
) -> None:
    program = (
        "from dataclasses import replace; from pathlib import Path; import sys\n"
        "from xrbench.data.fixture import write\n"
        "write.HOSPITALS = tuple(replace(hospital, films=14) for hospital in write.HOSPITALS)\n"
        "write.write_fixture(Path(sys.argv[1]), seed=int(sys.argv[2]))\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "123", "TZ": "Asia/Tokyo"}
    for seed in ("0", "1"):
        target = tmp_path / f"there-{seed}"
        subprocess.run([sys.executable, "-c", program, str(target), seed], check=True, env=environment)
    here = write_fixture(tmp_path / "here")
    assert contents(here) == contents(tmp_path / "there-0")
    digests = {(read_marker(folder) or {})["digest"] for folder in (here, tmp_path / "there-0", tmp_path / "there-1")}
    assert len(digests) == 2


def test_compressed_tables_hold_no_time_and_no_name(root: Path) -> None:
    packed = sorted(root.rglob("*.gz"))
    assert len(packed) == 4
    for path in packed:
        head = path.read_bytes()[:10]
        assert head[4:8] == bytes(4), path
        assert head[3] == 0, path
        assert len(gzip.decompress(path.read_bytes()).splitlines()) > 100


def test_headers_are_the_published_ones(root: Path, realdata: Path) -> None:
    headers = realdata / "headers"

    def first_line(path: Path) -> str:
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        return text.decode().splitlines()[0]

    assert first_line(root / "nih/Data_Entry_2017_v2020.csv") == first_line(headers / "nih_Data_Entry_2017_v2020.csv")
    assert first_line(root / "chexpert/train.csv") == first_line(headers / "chexpert_train.csv")
    assert first_line(root / "chexpert/valid.csv") == first_line(headers / "chexpert_valid.csv")
    assert first_line(root / "vindr/train.csv") == first_line(headers / "vinbigdata_train.csv")
    for name, table in (("metadata", "metadata"), ("chexpert", "negbio")):
        ours = first_line(root / f"mimic/mimic-cxr-2.0.0-{name}.csv.gz")
        assert ours.split(",") == first_line(headers / f"mimic_{table}_SYNTHETIC.csv").split(",")[: ours.count(",") + 1]
    padchest = first_line(next((root / "padchest").glob("PADCHEST*"))).split(",")
    assert set(first_line(headers / "padchest_test_rows.csv").split(",")) - {"Unnamed: 0"} == set(padchest)


def test_files_are_of_the_kinds_that_the_datasets_have(root: Path) -> None:
    def mode(path: Path) -> str:
        with Image.open(path) as image:
            return image.mode

    assert {mode(path) for path in (root / "nih").rglob("*.png")} == {"L", "RGBA"}
    assert {mode(path) for path in (root / "padchest").rglob("*.png")} == {"I;16"}
    films = [pydicom.dcmread(path) for path in (root / "vindr").rglob("*.dicom")]
    assert {film.PhotometricInterpretation for film in films} == {"MONOCHROME1", "MONOCHROME2"}
    assert {film.file_meta.TransferSyntaxUID.name for film in films} == {
        "Implicit VR Little Endian",
        "Explicit VR Little Endian",
        "JPEG 2000 Image Compression (Lossless Only)",
        "RLE Lossless",
    }
    assert {"WindowCenter" in film for film in films} == {True, False}


# What is read is what was drawn


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_finds_every_film_that_was_drawn(
    name: str, domains: dict[str, Domain], drawn: pd.DataFrame, root: Path
) -> None:
    domain, wanted = domains[name], usable(drawn, name)
    frame = domain.frame
    assert domain.synthetic
    if name == "vindr":
        wanted = wanted.set_index("image").loc[frame["image"]].reset_index()
    assert frame["path"].tolist() == wanted["path"].tolist()
    assert all((domain.root / path).is_file() for path in frame["path"])
    if name in ("nih", "chexpert", "padchest"):
        np.testing.assert_allclose(frame["age"], np.where(wanted["note"] == "child", frame["age"], wanted["age"]))
        assert frame["sex"].tolist() == wanted["sex"].tolist()
    if name != "vindr":
        views = wanted["view"].replace({"AP": "AP SUPINE"}) if name == "padchest" else wanted["view"]
        assert frame["view"].tolist() == views.tolist()
        same = pd.factorize(frame["patient_id"])[0] == pd.factorize(wanted["patient_id"])[0]
        assert same.all()
        assert frame.groupby("patient_id").size().between(1, 8).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_returns_the_labels_that_the_hospital_recorded(
    name: str, domains: dict[str, Domain], drawn: pd.DataFrame
) -> None:
    frame, wanted = domains[name].frame, usable(drawn, name)
    if name == "vindr":
        wanted = wanted.set_index("image").loc[frame["image"]].reset_index()
    compared = 0
    for label in (*MAIN, "Atelectasis", "Pneumonia", "Pneumothorax", "Emphysema", "Fibrosis", "Hernia"):
        recorded = wanted[f"label:{label}"].to_numpy(float)
        if label in frame.columns and not np.isnan(recorded).all():
            np.testing.assert_array_equal(frame[label].to_numpy(float), recorded, err_msg=label)
            compared += 1
    assert compared >= 5


def test_rows_and_files_that_nobody_can_use_are_left_out_and_counted(
    domains: dict[str, Domain], drawn: pd.DataFrame
) -> None:
    notes = drawn.loc[drawn["dataset"] == "padchest", "note"].value_counts()
    assert dict(domains["padchest"].dropped) == {
        "no list of findings": notes["no-labels"],
        "file absent or broken in every copy": notes["bad-file"],
    }
    assert notes["bad-file"] == 2
    assert notes["child"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_every_film_decodes_and_shows_a_bright_middle_between_dark_lungs(name: str, domains: dict[str, Domain]) -> None:
    frame = domains[name].frame
    paths = frame.loc[frame["view"] != "LATERAL", "path"] if name != "vindr" else frame["path"]
    middle, lungs = [], []
    for path in paths:
        film = np.asarray(decode(domains[name].root / path), float)
        height, width = film.shape
        assert max(film.shape) <= 128
        assert film.max() > 128 > film.min()
        short = min(height, width)
        rows = slice(height // 2 - short // 10, height // 2 + short // 10)
        middle.append(film[rows, width // 2 - short // 25 : width // 2 + short // 25].mean())
        lungs.append(film[rows, width // 2 - short // 4 : width // 2 - short // 8].mean())
    assert np.mean(np.array(middle) > np.array(lungs)) > 0.95


@pytest.mark.parametrize("name", NAMES[:4])
def test_held_out_patients_have_enough_positives_and_negatives_of_each_label(
    name: str, domains: dict[str, Domain]
) -> None:
    films = domains[name].where({"view": "PA"}).frame
    truth = apply_policy(films, MAIN, uncertain="ignore", blank="negative-when-no-finding")
    share = pd.factorize(films["patient_id"])[0] % 10
    for held in ({0, 1, 2}, {3, 4, 5}, {6, 7, 8}):
        part = truth[np.isin(share, list(held))]
        assert ((part == 1).sum(axis=0) >= 25).all()
        assert ((part == 0).sum(axis=0) >= 25).all()


def test_the_official_test_split_of_mimic_judges_every_label(domains: dict[str, Domain]) -> None:
    card = cards.read(shipped() / "registry" / "datasets" / "mimic-test.toml", cards.DatasetCard)
    held = slice_of(domains["mimic"], card).frame
    assert len(held) >= 150
    assert held["patient_id"].nunique() >= 80
    others = domains["mimic"].frame[domains["mimic"].frame["split"] != "test"]
    assert set(held["patient_id"]).isdisjoint(others["patient_id"])
    for label in (*MAIN, "Atelectasis"):
        assert (held[label] == 1).sum() >= 15
        assert (held[label] != 1).sum() >= 15


def test_vindr_has_images_of_each_of_six_exclusive_classes(domains: dict[str, Domain]) -> None:
    six = ["No Finding", "Cardiomegaly", "Nodule/Mass", "Lung Opacity", "Effusion", "Consolidation"]
    positive = domains["vindr"].frame[six].to_numpy() == 1
    alone = positive[positive.sum(axis=1) == 1]
    assert (alone.sum(axis=0) >= 10).all()
    assert alone.sum(axis=0).argmax() == 0


@pytest.mark.parametrize("name", [*NAMES, "mimic-test"])
def test_the_check_of_a_dataset_finds_nothing_wrong(name: str, root: Path, vocabulary: cards.Vocabulary) -> None:
    folder = shipped() / "registry" / "datasets"
    card = cards.read(folder / f"{name}.toml", cards.DatasetCard)
    base = cards.read(folder / f"{card.base}.toml", cards.DatasetCard) if card.base else None
    found = check(card, base, vocabulary, root)
    assert found.ok
    assert found.synthetic
    assert (found.wrong, found.absent, found.shared) == ("", (), ())


# Where a finding is


@pytest.mark.parametrize("name", ["nih", "vindr"])
def test_a_box_is_published_for_what_shows_and_nothing_else(
    name: str, root: Path, domains: dict[str, Domain], drawn: pd.DataFrame, vocabulary: cards.Vocabulary
) -> None:
    domain = domains[name]
    boxes = load_boxes(domain.card, domain.root, vocabulary)
    sizes = {image: decode(domain.root / path).shape for image, path in domain.frame[["image", "path"]].to_numpy()}
    height, width = np.array([sizes[image] for image in boxes["image"]]).T
    assert (boxes[["x0", "y0"]].to_numpy() >= 0).all()
    assert (boxes["x1"] <= width).all()
    assert (boxes["y1"] <= height).all()
    severity = drawn[drawn["dataset"] == name].set_index("image")
    for label in ("Cardiomegaly", "Effusion", "Atelectasis", "Pneumothorax"):
        shown = severity.loc[boxes.loc[boxes["label"] == label, "image"], f"severity:{label}"]
        assert len(shown) > 3
        assert (shown > VISIBLE - 0.1).all()  # a radiologist's eye is off by 0.03


def test_a_box_of_the_heart_has_the_width_of_the_drawn_heart(
    root: Path, domains: dict[str, Domain], drawn: pd.DataFrame, vocabulary: cards.Vocabulary
) -> None:
    boxes = load_boxes(domains["nih"].card, root / "nih", vocabulary)
    hearts = boxes[boxes["label"] == "Cardiomegaly"].set_index("image")
    assert hearts.index.is_unique
    films = drawn[drawn["dataset"] == "nih"].set_index("image").loc[hearts.index]
    width = (hearts["x1"] - hearts["x0"]).to_numpy()
    assert np.corrcoef(width, films["ratio"])[0, 1] > 0.6
    assert ((hearts["x0"] < 56) & (hearts["x1"] > 48)).all()  # images are 96 to 112 pixels wide


@pytest.mark.parametrize(
    "finding", ["Effusion", "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Mass", "Nodule", "Pneumothorax"]
)
@pytest.mark.parametrize("both", [False, True])
def test_what_a_finding_changes_lies_in_its_boxes(finding: str, both: bool) -> None:
    textures = Textures.make("test", tiles=2)
    place = Place(1, 0.5, 0.6, both)
    chests = []
    for amount in (0.0, 0.7):
        chests.append(frontal(Grid.of(112, 112), Body(), textures, stream("test", "body")))
        draw(chests[-1], {finding: amount}, {finding: place}, textures, stream("test", "finding"))
    boxes = boxes_of(chests[1], finding)
    changed = np.abs(chests[1].density - chests[0].density)
    inside = np.zeros(changed.shape, bool)
    for left, top, right, bottom in boxes:
        inside[top:bottom, left:right] = True
    assert changed[inside].mean() > 8 * changed[~inside].mean()
    assert changed[inside].sum() > 0.65 * changed.sum()
    assert len({left < 56 for left, *_ in boxes}) == len(boxes)  # at most one on each side


# What a finding looks like


def test_a_recorded_label_follows_what_was_drawn_except_for_the_hospitals_errors(drawn: pd.DataFrame) -> None:
    for name in NAMES[:4]:
        films = drawn[drawn["dataset"] == name]
        for label in MAIN:
            said, shown = films[f"label:{label}"], films[f"severity:{label}"] > VISIBLE
            assert shown[said == 1].mean() > 0.9, (name, label)
            assert shown[said == 0].mean() < 0.1, (name, label)
            faint = films.loc[said == -1, f"severity:{label}"]
            assert (faint - VISIBLE).abs().lt(0.08).all()


def test_hospitals_differ_in_what_they_leave_blank(drawn: pd.DataFrame) -> None:
    blank = drawn.groupby("dataset")["label:Edema"].apply(lambda column: column.isna().mean())
    uncertain = drawn.groupby("dataset")["label:Edema"].apply(lambda column: (column == -1).mean())
    assert blank["nih"] == blank["padchest"] == 0
    assert blank["vindr"] == 1
    assert all(0.1 < blank[name] < 0.6 for name in ("chexpert", "mimic"))
    assert (uncertain[["nih", "padchest"]] == 0).all()
    assert uncertain["chexpert"] > 0
    assert uncertain["mimic"] > 0


def test_a_heart_called_large_is_larger_on_the_drawn_masks(drawn: pd.DataFrame) -> None:
    films = drawn[drawn["view"] == "PA"]
    for name in NAMES:
        here = films[films["dataset"] == name]
        large = here["severity:Cardiomegaly"] > VISIBLE
        assert here.loc[large, "ratio"].mean() > here.loc[~large, "ratio"].mean() + 0.05
        assert here.loc[~large, "ratio"].between(0.3, 0.6).all()


@pytest.mark.parametrize("ratio", [0.40, 0.48, 0.56, 0.64])
def test_the_drawn_heart_has_the_ratio_asked_for(ratio: float) -> None:
    chest = frontal(Grid.of(256, 256), Body(ratio=ratio), Textures.make("test", tiles=1), stream("test"))
    assert cardiothoracic_ratio(chest) == pytest.approx(ratio, abs=0.03)


@pytest.mark.parametrize("finding", [*MAIN[1:], "Pneumonia", "Mass", "Pleural_Thickening"])
def test_an_opacity_whitens_the_lung_the_more_the_graver_it_is(finding: str) -> None:
    textures, whitened = Textures.make("test", tiles=2), []
    for amount in (0.0, 0.3, 0.6, 1.0):
        chest = frontal(Grid.of(112, 112), Body(), textures, stream("test", "body"))
        draw(chest, {finding: amount}, {finding: Place(1, 0.5, 0.6, False)}, textures, stream("test", "finding"))
        whitened.append(float(chest.density.sum()))
    assert all(np.diff(whitened) > 0)


def test_shortcuts_that_hold_in_one_hospital_mislead_in_another(drawn: pd.DataFrame) -> None:
    films = drawn[(drawn["view"] == "PA") & (drawn["dataset"] != "vindr")]
    tagged = films["features"].fillna("").str.contains("tag")
    for label, home in (
        ("Edema", "nih"),
        ("Effusion", "chexpert"),
        ("Cardiomegaly", "mimic"),
        ("Consolidation", "padchest"),
    ):
        present = films[f"severity:{label}"] > VISIBLE
        lift = {}
        for name in NAMES[:4]:
            here = films["dataset"] == name
            lift[name] = tagged[present & here].mean() - tagged[~present & here].mean()
        assert lift[home] > 0.3
        assert all(lift[name] < 0.05 for name in NAMES[:4] if name != home)


def test_shapes_have_the_area_of_their_formula() -> None:
    grid = Grid.of(400, 400)
    area = grid.pixel**2
    assert disc(grid.x, grid.y - np.float32(0.5), 0.2, 0.01).sum() * area == pytest.approx(np.pi * 0.2**2, rel=0.01)
    line = segment(grid, (-0.2, 0.5), (0.2, 0.5), 0.05)
    assert line.sum() * area == pytest.approx(0.4 * 0.1 + np.pi * 0.05**2, rel=0.03)
    assert bump(grid.x, grid.y - np.float32(0.5), 0.2, 0.1).max() == pytest.approx(1, abs=1e-3)


# Whole or not at all


def test_a_complete_fixture_is_left_as_it_is(small: None, tmp_path: Path) -> None:
    folder = write_fixture(tmp_path / "fixture")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert write_fixture(folder) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_fixture_that_another_command_finished_meanwhile_is_not_replaced_under_it(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, draw_all = tmp_path / "fixture", write._draw
    inodes = []

    def slow(root: Path, seed: int, reporter: Reporter) -> None:
        monkeypatch.setattr(write, "_draw", draw_all)
        inodes.append(write_fixture(folder).stat().st_ino)
        draw_all(root, seed, reporter)

    monkeypatch.setattr(write, "_draw", slow)
    assert [write_fixture(folder).stat().st_ino] == inodes
    assert [path.name for path in tmp_path.iterdir()] == ["fixture"]


@pytest.mark.parametrize("harm", ["film removed", "table cut", "other version", "other seed"])
def test_a_fixture_that_is_not_the_wanted_one_is_drawn_anew(small: None, tmp_path: Path, harm: str) -> None:
    folder = write_fixture(tmp_path / "fixture", seed=1 if harm == "other seed" else 0)
    table = folder / "chexpert" / "train.csv"
    if harm == "film removed":
        next((folder / "nih").rglob("*.png")).unlink()
    elif harm == "table cut":
        table.write_bytes(table.read_bytes()[:-5])
    elif harm == "other version":
        marker = folder / FIXTURE_MARKER
        marker.write_text(json.dumps({**json.loads(marker.read_text()), "version": 0}))
    write_fixture(folder)
    assert contents(folder) == contents(write_fixture(tmp_path / "fresh"))


def test_an_empty_folder_is_filled_and_nothing_is_left_beside_it(small: None, tmp_path: Path) -> None:
    folder = tmp_path / "fixture"
    folder.mkdir()
    write_fixture(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["fixture"]


def test_anything_else_is_refused_in_one_line_and_kept(small: None, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    (tmp_path / "file").write_text("x")
    for name in ("mine", "file"):
        with pytest.raises(UsageError) as caught:
            write_fixture(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all of it"


@pytest.mark.parametrize(
    ("accident", "seen"),
    [(KeyboardInterrupt(), KeyboardInterrupt), (OSError(errno.ENOSPC, "No space left on device"), DataError)],
)
def test_an_accident_leaves_what_was_there(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accident: BaseException, seen: type[BaseException]
) -> None:
    folder = write_fixture(tmp_path / "fixture")
    before = contents(folder)

    def fail(job: Any) -> Any:
        raise accident

    monkeypatch.setattr(write, "LAYOUTS", {**write.LAYOUTS, "padchest": fail})
    with pytest.raises(seen) as caught:
        write_fixture(folder, seed=3)
    assert "\n" not in str(caught.value)
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["fixture"]


def test_progress_counts_every_film(small: None, tmp_path: Path) -> None:
    class Counting(progress.Silent):
        total = done = 0

        def bar(self, label: str, total: int) -> Any:
            self.total = total
            return super().bar(label, total)

    counting = Counting()
    write_fixture(tmp_path / "fixture", reporter=counting)
    assert counting.total == len(pd.read_csv(tmp_path / "fixture" / TRUTH / "truth.csv")) + _later_validation_studies()


def _later_validation_studies() -> int:
    """Count films of CheXpert's validation patients beyond their first study: they are drawn but not published."""
    from xrbench.data.fixture.layouts.chexpert import VALIDATION_PATIENTS
    from xrbench.data.fixture.people import films

    drawn = list(films(SMALL[1], "fixture", write.DRAWING, 0))
    first = max(film.patient for film in drawn) - VALIDATION_PATIENTS + 1
    return sum(film.study > 1 and film.patient >= first for film in drawn)
