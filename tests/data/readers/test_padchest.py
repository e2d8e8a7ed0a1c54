from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xrbench import cards
from xrbench.cards import Vocabulary
from xrbench.catalogue import shipped
from xrbench.data.readers import padchest
from xrbench.errors import DataError, MissingDataError, UnknownNameError

Write = Callable[[str, str], Path]

CSV = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
HEADER = ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,Projection,Report,Labels"
FINDINGS = {
    "Effusion": ["pleural effusion"],
    "Consolidation": ["consolidation", "air bronchogram"],
    "No Finding": ["normal"],
}
ROWS = [
    "0,b.png,0,20140915,205366866401,839860488694292331637988235681460987,1930.0,F,PA,\"sin hallazg, patolog\",['normal']",
    "1,a.png,54,20150914,135803415504,313572750430997347502932654319389875966,1929.0,M,L,x,\"['Consolidation', ' pleural effusion', '']\"",
    "2,c.png,1,20150914,135803415504,313572750430997347502932654319389875966,,O,AP_horizontal,x,\"[' ''pleural effusion''']\"",
    "3,d.png,1,20150914,1358034155040,31357,2010.0,nan,UNK,x,['air bronchogram']",
    "4,e.png,1,20150914,1358034155041,31358,1950.0,M,PA,x,nan",
    "5,216840111366964012283393834152009033102258826_00-059-087.png,48,20150914,1358,31359,1950.0,M,PA,x,['normal']",
    "6,216840111366964012487858717522009280135853083_00-075-001.png,43,20150914,1359,31360,1950.0,M,PA,x,['normal']",
]


def table(rows: list[str] = ROWS) -> str:
    return "\n".join([HEADER, *rows]) + "\n"


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_tidy_rows_in_published_order(write: Write, tmp_path: Path, vocabulary: Vocabulary, ending: str) -> None:
    write(CSV + ending, table())
    reading = padchest.read(tmp_path, vocabulary=vocabulary, labels={}, findings=FINDINGS)
    frame = reading.frame
    assert frame["image"].tolist() == ["b.png", "a.png", "c.png", "d.png"]
    assert frame["path"].tolist() == ["0/b.png", "54/a.png", "1/c.png", "1/d.png"]
    assert frame["patient_id"][0] == "839860488694292331637988235681460987"
    assert frame["study"].tolist()[:2] == ["205366866401", "135803415504"]
    assert frame["view"].tolist()[:3] == ["PA", "LATERAL", "AP SUPINE"]
    assert frame["view"].isna().tolist()[3]
    assert frame["sex"].isna().tolist() == [False, False, True, True]
    np.testing.assert_array_equal(frame["age"], [84, 86, np.nan, 5])
    assert reading.labels == ("Effusion", "Consolidation", "No Finding")
    assert frame[list(reading.labels)].to_numpy().tolist() == [[0, 0, 1], [1, 1, 0], [1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("without", "images", "dropped"),
    [("absent-and-broken", 4, [1, 2]), ("absent", 5, [1, 1]), ("nothing", 6, [1])],
)
def test_rows_left_out_are_counted(
    write: Write, tmp_path: Path, vocabulary: Vocabulary, without: str, images: int, dropped: list[int]
) -> None:
    write(CSV, table())
    reading = padchest.read(tmp_path, vocabulary=vocabulary, labels={}, findings=FINDINGS, without=without)  # type: ignore[arg-type]
    assert len(reading.frame) == images
    assert list(reading.dropped.values()) == dropped
    assert images + sum(dropped) == len(ROWS)


def test_only_people_born_before(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write(CSV, table())
    reading = padchest.read(tmp_path, vocabulary=vocabulary, labels={}, findings=FINDINGS, born_before=2009)
    assert reading.frame["image"].tolist() == ["b.png", "a.png"]
    assert reading.dropped["not known to be born before 2009"] == 2


@pytest.mark.parametrize("top", ["", "images/"])
def test_numbered_folders(write: Write, tmp_path: Path, vocabulary: Vocabulary, top: str) -> None:
    write(CSV, table())
    write(f"{top}54/a.png", "")
    frame = padchest.read(tmp_path, vocabulary=vocabulary, labels={}, findings=FINDINGS).frame
    assert frame["path"].tolist()[:2] == [f"{top}0/b.png", f"{top}54/a.png"]


@pytest.mark.parametrize("folder", ["", "images/", "images-224/"])
def test_flat_copies(write: Write, tmp_path: Path, vocabulary: Vocabulary, folder: str) -> None:
    write(CSV, table())
    for name in ("a", "b", "c", "d"):
        write(f"{folder}{name}.png", "")
    frame = padchest.read(tmp_path, vocabulary=vocabulary, labels={}, findings=FINDINGS).frame
    assert frame["path"].tolist() == [f"{folder}{name}.png" for name in "bacd"]


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("['normal']", ["normal"]),
        ("['COPD signs', ' air trapping']", ["copd signs", "air trapping"]),
        ("[' ''pneumonia''']", ["pneumonia"]),
        ("['', ' ']", []),
        ("[]", []),
        ("[\"pleural effusion\", 'nodule']", ["pleural effusion", "nodule"]),
        ("normal, nodule", ["normal", "nodule"]),
    ],
)
def test_lists_with_stray_spaces_and_quotes(text: str, findings: list[str]) -> None:
    assert padchest.split_findings(text) == findings


def test_without_findings_the_vocabulary_and_the_labels_decide(
    write: Write, tmp_path: Path, vocabulary: Vocabulary
) -> None:
    write(CSV, table())
    reading = padchest.read(tmp_path, vocabulary=vocabulary, labels={"Air Bronchogram": "Consolidation"})
    assert set(reading.labels) == {"Effusion", "Consolidation", "No Finding"}
    assert reading.frame["Consolidation"].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((",1929.0,", ",unknown,"), r"row 3, column 'PatientBirth': expected a year of birth, got 'unknown'"),
        (("a.png", "b.png"), r"image 'b\.png' stands in rows 2 and 3"),
        (("Projection", "projection"), r"no column 'Projection'; did you mean 'projection'\?"),
    ],
)
def test_bad_metadata_is_named_in_one_line(
    write: Write, tmp_path: Path, vocabulary: Vocabulary, change: tuple[str, str], message: str
) -> None:
    write(CSV, table().replace(*change))
    with pytest.raises(DataError, match=message):
        padchest.read(tmp_path, vocabulary=vocabulary, labels={}, findings=FINDINGS)


def test_nothing_left_nothing_there_and_unknown_labels(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    with pytest.raises(MissingDataError, match="no PADCHEST_chest"):
        padchest.read(tmp_path, vocabulary=vocabulary, labels={}, findings=FINDINGS)
    write(CSV, table(ROWS[4:6]))
    with pytest.raises(DataError, match="no row is left"):
        padchest.read(tmp_path, vocabulary=vocabulary, labels={}, findings=FINDINGS)
    write(CSV, table())
    with pytest.raises(UnknownNameError, match="did you mean 'Effusion'"):
        padchest.read(tmp_path, vocabulary=vocabulary, labels={}, findings={"Efusion": ["pleural effusion"]})


def test_published_rows(realdata: Path, write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write(CSV, (realdata / "headers" / "padchest_test_rows.csv").read_text())
    card = cards.read(shipped() / "registry" / "datasets" / "padchest.toml", cards.DatasetCard)
    frame = padchest.read(tmp_path, vocabulary=vocabulary, labels={}, **json.loads(json.dumps(card.options))).frame
    assert frame["image"][2] == "336326204749794028912525116839151974960_vsaz23.png"
    third = [label for label in frame.columns if frame[label].dtype == np.float32 and frame.loc[2, label] == 1]
    assert set(third) == {"Atelectasis", "Pneumonia", "Costophrenic Angle Blunting", "Infiltration"}
    assert frame["age"].tolist()[:3] == [64, 54, 46]
