from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xrbench.cards import Vocabulary
from xrbench.data.readers import chexpert
from xrbench.errors import DataError, MissingDataError

Write = Callable[[str, str], Path]

HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,"
    "Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
ROWS = [
    "{}/train/patient00002/study2/view1_frontal.jpg,Female,87,Frontal,AP,,,-1.0,1.0,,-1,-1.0,,-1.0,,-1.0,,1.0,",
    "{}/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,PA,1.0,,,,,,,,,0.0,,,,1.0",
    "{}/train/patient00002/study1/view2_lateral.jpg,Male,0,Lateral,,,,,1,,,,,,0.0,,,,",
    "{}/train/patient00003/study1/view1_frontal.jpg,Unknown,41,Frontal,LL,,,,,,1.0,,,,0.0,,,,",
]


def table(rows: list[str], release: str = "CheXpert-v1.0-small") -> str:
    return "\n".join([HEADER, *rows]).replace("{}", release) + "\n"


@pytest.mark.parametrize("release", ["CheXpert-v1.0-small", "CheXpert-v1.0", "CheXpert-v1.0/CheXpert-v1.0"])
@pytest.mark.parametrize("name", ["train.csv", "train.csv.gz"])
def test_both_releases_read_alike(
    write: Write, tmp_path: Path, vocabulary: Vocabulary, release: str, name: str
) -> None:
    write(name, table(ROWS, release))
    reading = chexpert.read(tmp_path, vocabulary=vocabulary, labels={})
    frame = reading.frame
    assert frame["path"].tolist() == [row.partition(",")[0][3:] for row in ROWS]
    assert frame["image"].tolist() == frame["path"].tolist()
    assert frame["patient_id"].tolist() == ["patient00002", "patient00001", "patient00002", "patient00003"]
    assert frame["study"].tolist() == [f"patient0000{n}" for n in ("2/study2", "1/study1", "2/study1", "3/study1")]
    assert frame["view"].tolist() == ["AP", "PA", "LATERAL", "LL"]
    assert frame["sex"].tolist()[:3] == ["F", "F", "M"]
    assert frame["sex"].isna().tolist() == [False, False, False, True]
    np.testing.assert_array_equal(frame["age"], [87, 68, np.nan, 41])
    assert set(frame["split"]) == {"train"}


def test_states_as_published(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write("train.csv", table(ROWS))
    reading = chexpert.read(tmp_path, vocabulary=vocabulary, labels={})
    assert len(reading.labels) == 14
    np.testing.assert_array_equal(reading.frame["Edema"], np.array([-1, np.nan, np.nan, 1], np.float32))
    np.testing.assert_array_equal(reading.frame["Effusion"], [-1, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(reading.frame["No Finding"], [np.nan, 1, np.nan, np.nan])
    assert reading.frame["Edema"].dtype == np.float32


def test_the_valid_file_is_an_option(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write("train.csv", table(ROWS))
    write("valid.csv", table([ROWS[1].replace("train/patient00001", "valid/patient64541")]))
    assert len(chexpert.read(tmp_path, vocabulary=vocabulary, labels={}).frame) == 4
    frame = chexpert.read(tmp_path, vocabulary=vocabulary, labels={}, files=["train.csv", "valid.csv"]).frame
    assert frame["split"].tolist() == ["train"] * 4 + ["valid"]
    assert frame["path"].tolist()[-1] == "valid/patient64541/study1/view1_frontal.jpg"
    assert frame.index.tolist() == list(range(5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("patient00001/study1", "person1/study1"), r"row 3, column 'Path': expected a path such as CheXpert"),
        ((",-1,", ",maybe,"), r"row 2, column 'Edema': expected 1, 0, -1 or blank, got 'maybe'"),
        ((",Lateral,", ",Sideways,"), r"row 4, column 'Frontal/Lateral': expected Frontal or Lateral, got 'Sideways'"),
        (("Pleural Effusion", "Pleural Efusion"), r"no column 'Pleural Effusion'; did you mean 'Pleural Efusion'\?"),
        (("patient00002/study1/view2_lateral", "patient00002/study2/view1_frontal"), r"stands in rows 2 and 4"),
    ],
)
def test_bad_metadata_is_named_in_one_line(
    write: Write, tmp_path: Path, vocabulary: Vocabulary, change: tuple[str, str], message: str
) -> None:
    write("train.csv", table(ROWS).replace(*change))
    with pytest.raises(DataError, match=message) as caught:
        chexpert.read(tmp_path, vocabulary=vocabulary, labels={})
    assert "\n" not in str(caught.value)


def test_missing_metadata(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write("train.csv", table(ROWS))
    with pytest.raises(MissingDataError, match=r"no valid\.csv"):
        chexpert.read(tmp_path, vocabulary=vocabulary, labels={}, files=["train.csv", "valid.csv"])


def test_the_published_headers(realdata: Path, tmp_path: Path, vocabulary: Vocabulary) -> None:
    for name in ("train", "valid"):
        header = (realdata / "headers" / f"chexpert_{name}.csv").read_text().splitlines()[0]
        (tmp_path / f"{name}.csv").write_text("\n".join([header, ROWS[0].format("CheXpert-v1.0")]) + "\n")
        frame = chexpert.read(tmp_path, vocabulary=vocabulary, labels={}, files=[f"{name}.csv"]).frame
        assert frame["Fracture"].tolist() == [1]
