from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xrbench import cards
from xrbench.cards import DatasetCard, Vocabulary
from xrbench.catalogue import Catalogue, shipped
from xrbench.data.datasets.domain import (
    FIXTURE_MARKER,
    Domain,
    find_folder,
    frame_digest,
    load_domain,
    select,
    slice_of,
)
from xrbench.errors import CardError, DataError, MissingDataError, UnknownNameError, UsageError

TABLE = """image,patient_id,view,age,sex,No Finding,Edema,site
1.png,p1,PA,30,F,1,0,north
2.png,p1,AP,31,F,0,1,north
3.png,p2,PA,80,M,0,-1,south
4.png,p3,,,,0,,south
"""
NIH = """Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position
00000001_000.png,Edema,1,30,F,PA
00000002_000.png,No Finding,2,60,M,AP
"""


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def card(name: str, **fields: object) -> DatasetCard:
    return cards.convert({"title": name, **fields}, DatasetCard, where=f"{name}.toml", name=name)


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return put(tmp_path, {"ours/labels.csv": TABLE, "ours/images/1.png": ""})


@pytest.fixture
def load(vocabulary: Vocabulary, ours: Path) -> Callable[..., Domain]:
    def loader(card: DatasetCard, base: object = None, root: Path = ours, **options: object) -> Domain:
        return load_domain(card, base, vocabulary, root, **options)  # type: ignore[arg-type]

    return loader


OURS = card("ours", reader="table")


def test_a_dataset(load: Callable[..., Domain], ours: Path) -> None:
    domain = load(OURS)
    assert (domain.name, domain.base, domain.root, len(domain)) == ("ours", "ours", ours / "ours", 4)
    assert domain.labels == ("No Finding", "Edema")
    assert domain.layout == "table"
    assert not domain.synthetic


def test_slices_and_slices_of_slices_keep_patients_of_the_dataset(load: Callable[..., Domain]) -> None:
    north = card("north", base="ours", where={"site": "north"})
    images = card("north-pa", base="north", where={"view": "PA"})
    one = load(north, OURS)
    two = load(images, [north, OURS])
    assert (one.name, one.base, one.frame["image"].tolist()) == ("north", "ours", ["1.png", "2.png"])
    assert (two.name, two.base, two.frame["image"].tolist()) == ("north-pa", "ours", ["1.png"])
    assert two.frame.index.tolist() == [0]
    assert slice_of(load(OURS), north).digest == one.digest


def test_a_slice_without_its_base_is_refused(load: Callable[..., Domain]) -> None:
    images = card("images", base="ours", where={"view": "PA"})
    for base in (None, card("theirs", reader="table")):
        with pytest.raises(CardError, match="images: a slice of 'ours' needs the card of 'ours'"):
            load(images, base)


@pytest.mark.parametrize(
    ("where", "images"),
    [
        ({"view": "PA"}, [1, 3]),
        ({"view": ["AP", "PA"]}, [1, 2, 3]),
        ({"view": ["AP", "COSTAL"]}, [2]),
        ({"age": {"min": 31}}, [2, 3]),
        ({"age": {"min": 30, "max": 31}}, [1, 2]),
        ({"age": 80}, [3]),
        ({"Edema": [0, -1]}, [1, 3]),
        ({"site": "south", "sex": "M"}, [3]),
        ({}, [1, 2, 3, 4]),
    ],
)
def test_select(load: Callable[..., Domain], where: dict[str, object], images: list[int]) -> None:
    assert load(OURS).where(where).frame["image"].tolist() == [f"{number}.png" for number in images]


@pytest.mark.parametrize(
    ("where", "error", "message"),
    [
        ({"veiw": "PA"}, DataError, r"ours: where: no column 'veiw'; did you mean 'view'\?"),
        ({"view": "PAA"}, DataError, r"ours: where: view: no row has 'PAA'; did you mean 'PA'\?"),
        ({"site": "abroad"}, DataError, r"no row has 'abroad'; known: north, south$"),
        ({"age": "old"}, DataError, "age: no row has 'old'"),
        ({"age": {"min": 90}}, DataError, "age: no row lies between 90 and inf; here: 30 to 80"),
        ({"age": {"least": 90}}, CardError, "age: expected min and max, got 'least'"),
        ({"age": {"min": "90"}}, CardError, "age.min: expected a number, got '90'"),
        ({"view": {"min": 1}}, DataError, "view: min and max need a column of numbers"),
        ({"view": "AP", "site": "south"}, DataError, "no row meets all of"),
    ],
)
def test_conditions_that_match_nothing(
    load: Callable[..., Domain], where: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        select(load(OURS).frame, where, name="ours")
    assert "\n" not in str(caught.value)


def test_folders_are_found_by_name_then_by_the_cards_list_whatever_the_case(tmp_path: Path) -> None:
    dataset = card("mine", reader="table", folders=["Mine-v1", "deep/er"])
    assert find_folder(dataset, tmp_path) is None
    (tmp_path / "Deep" / "ER").mkdir(parents=True)
    assert find_folder(dataset, tmp_path) == tmp_path / "Deep" / "ER"
    (tmp_path / "mine-V1").mkdir()
    assert find_folder(dataset, tmp_path) == tmp_path / "mine-V1"
    (tmp_path / "MINE").mkdir()
    assert find_folder(dataset, tmp_path) == tmp_path / "MINE"
    (tmp_path / "mine").touch()
    assert find_folder(dataset, tmp_path) == tmp_path / "MINE"


def test_a_data_root_that_is_no_folder(load: Callable[..., Domain], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file: not a folder"):
        load(OURS, root=tmp_path / "file")
    with pytest.raises(UsageError, match="nowhere: no such folder"):
        load(OURS, root=tmp_path / "nowhere")
    with pytest.raises(UsageError, match="gone: no such folder"):
        load(OURS, folder=tmp_path / "gone")


def test_a_dataset_that_is_not_there(load: Callable[..., Domain]) -> None:
    absent = card("absent", reader="nih", folders=["Other"], access="ask the NIH")
    with pytest.raises(MissingDataError, match=r"^absent: not found in .* \(looked for absent, Other\); ask the NIH$"):
        load(absent)


def test_our_layout_stands_in_for_a_published_one(tmp_path: Path, load: Callable[..., Domain]) -> None:
    nih = card("nih", reader="nih", options={"csv": "Data_Entry_2017.csv"}, labels={"own": "Edema"})
    put(tmp_path, {"nih/Data_Entry_2017.csv": NIH})
    published = load(nih, root=tmp_path)
    assert (published.layout, len(published), dict(published.read_options)) == (
        "published",
        2,
        {"csv": "Data_Entry_2017.csv"},
    )
    put(tmp_path, {"nih/labels.csv": TABLE, "nih/images/1.png": ""})
    sample = load(nih, root=tmp_path)
    assert (sample.layout, len(sample), dict(sample.read_options)) == ("table", 4, {})


@pytest.mark.parametrize("place", ["ours/", ""])
def test_drawn_images_are_known_by_a_marker(load: Callable[..., Domain], ours: Path, place: str) -> None:
    (ours / f"{place}{FIXTURE_MARKER}").touch()
    assert load(OURS).synthetic
    assert load(card("pa", base="ours", where={"view": "PA"}), OURS).synthetic


def test_a_card_can_say_that_images_are_drawn(load: Callable[..., Domain]) -> None:
    assert load(card("ours", reader="table", synthetic=True)).synthetic


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"reader": "tabel"}, UnknownNameError, r"ours: unknown reader 'tabel'; did you mean 'table'\?"),
        ({"reader": "table", "options": {"cvs": "x"}}, CardError, r"has no option 'cvs'; did you mean 'csv'\?"),
        ({"reader": "table", "options": {"csv": 3}}, CardError, "ours: options.csv: Expected `str`, got `int`"),
        ({"reader": "table", "options": {"root": "x"}}, CardError, "'root' is not an option of a reader"),
        ({"reader": "chexpert", "options": {"files": "train.csv"}}, CardError, "options.files: Expected `array`"),
        ({"reader": "padchest", "options": {"without": "all"}}, CardError, "options.without: Invalid enum value 'all'"),
    ],
)
def test_bad_options_are_one_line(
    load: Callable[..., Domain], ours: Path, fields: dict[str, object], error: type[Exception], message: str
) -> None:
    (ours / "ours" / "labels.csv").write_text(TABLE.replace("patient_id", "who"))
    with pytest.raises(error, match=message):
        load(card("ours", **fields))


def test_readers_of_other_packages_are_found_and_checked(
    load: Callable[..., Domain], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, {"lab_reader.py": "def read(root, *, vocabulary, labels):\n    return 1\n"})
    (tmp_path / "ours" / "labels.csv").unlink()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(CardError, match="returned int, not a Reading"):
        load(card("ours", reader="lab_reader:read"))


def test_the_digest_is_of_what_the_frame_says(load: Callable[..., Domain], ours: Path, tmp_path: Path) -> None:
    before = load(OURS)
    (ours / "ours" / "images" / "2.jpg").touch()
    elsewhere = load(OURS)
    assert elsewhere.frame["path"].tolist() != before.frame["path"].tolist()
    assert elsewhere.digest == before.digest
    seen = {before.digest}
    for change in (("30", "33"), ("-1", "1"), ("p2", "p3"), ("AP", "PA"), ("south\n4", "east\n4"), ("4.png", "5.png")):
        (ours / "ours" / "labels.csv").write_text(TABLE.replace(*change))
        seen.add(load(OURS).digest)
    assert len(seen) == 7
    rows = TABLE.splitlines()
    (ours / "ours" / "labels.csv").write_text("\n".join([rows[0], *reversed(rows[1:])]))
    assert load(OURS).digest not in seen


def test_the_digest_does_not_depend_on_storage() -> None:
    frame = pd.DataFrame({"a": ["x", None], "b": np.array([1, np.nan], np.float32)})
    other = pd.DataFrame({"a": pd.Series(["x", None], dtype=object), "b": np.array([1, -np.nan], np.float64)})
    assert frame_digest(frame) == frame_digest(other)
    assert frame_digest(frame) != frame_digest(frame.assign(a=["x", "None"]))


def test_shipped_cards_read_the_real_samples(realdata: Path) -> None:
    catalogue = Catalogue([shipped()])
    found = {}
    for name in ("nih", "nih-pa", "nih-ap", "guangzhou", "ieee8023", "hannover"):
        dataset = catalogue.dataset(name)
        base = catalogue.dataset(dataset.base) if dataset.base else None
        domain = load_domain(dataset, base, catalogue.vocabulary, realdata / "cxr")
        assert domain.layout == "table"
        assert all((domain.root / path).is_file() for path in domain.frame["path"])
        positive = int((domain.frame["Pneumonia"] == 1).sum())
        found[name] = (len(domain), domain.frame["patient_id"].nunique(), positive)
    assert found["nih"] == (460, 370, 230)
    assert found["guangzhou"] == (420, 365, 210)
    assert found["ieee8023"] == (189, 102, 182)
    assert found["hannover"][:2] == (165, 71)
    assert found["nih-pa"][0] == found["nih-ap"][0] == 230
    assert found["nih-pa"][1] + found["nih-ap"][1] > 370


def test_shipped_cards_say_who_to_cite_and_ask() -> None:
    catalogue = Catalogue([shipped()])
    for name in catalogue.names("dataset"):
        card = catalogue.dataset(name)
        whole = catalogue.dataset(card.base) if card.base else card
        assert all((whole.title, whole.cite, whole.licence, whole.access, whole.region)), name
        assert "\n" not in whole.access
