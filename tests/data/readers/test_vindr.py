from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from xrbench.cards import Vocabulary
from xrbench.data.readers import vindr
from xrbench.errors import DataError, MissingDataError

Write = Callable[[str, str], Path]

TABLE = """image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max
f5,No finding,14,R11,,,,
f5,No finding,14,R7,,,,
a1,Cardiomegaly,3,R10,691.0,1375.0,1653.0,1831.0
c3,No finding,14,R8,,,,
a1,Aortic enlargement,0,R10,1264.0,743.0,1611.0,1019.0
a1,cardiomegaly,3,R9,627.0,357.0,947.0,433.0
c3,Pleural effusion,10,R9,627.0,357.0,947.0,433.0
a1,No finding,14,R8,,,,
"""


def test_the_union_of_the_radiologists(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write("train.csv", TABLE)
    reading = vindr.read(tmp_path, vocabulary=vocabulary, labels={})
    frame = reading.frame
    assert frame["image"].tolist() == ["f5", "a1", "c3"]
    found = [{label for label in reading.labels if row[label] == 1} for _, row in frame.iterrows()]
    assert found == [{"No Finding"}, {"Cardiomegaly", "Aortic Enlargement"}, {"Effusion"}]
    assert len(reading.labels) == 15
    assert set(frame[list(reading.labels)].to_numpy().ravel().tolist()) == {0.0, 1.0}


def test_it_says_that_there_are_no_patients(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write("train.csv.gz", TABLE)
    reading = vindr.read(tmp_path, vocabulary=vocabulary, labels={})
    assert reading.frame["patient_id"].isna().all()
    assert "no patient ids" in reading.notes[0]


@pytest.mark.parametrize("ending", ["dicom", "dcm", "png", "jpg"])
def test_images_with_any_ending(write: Write, tmp_path: Path, vocabulary: Vocabulary, ending: str) -> None:
    write("train.csv", TABLE)
    write(f"train/a1.{ending}", "")
    paths = vindr.read(tmp_path, vocabulary=vocabulary, labels={}).frame["path"].tolist()
    assert paths == ["train/f5.dicom", f"train/a1.{ending}", "train/c3.dicom"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Aortic enlargement", "Aortic stuff"), r"row 6, column 'class_name': expected a class.*got 'Aortic stuff'"),
        (("\na1,No", "\n,No"), r"row 9, column 'image_id': expected an image id, got ''"),
        (("class_name", "class"), r"no column 'class_name'; did you mean 'class"),
    ],
)
def test_bad_metadata_is_named_in_one_line(
    write: Write, tmp_path: Path, vocabulary: Vocabulary, change: tuple[str, str], message: str
) -> None:
    write("train.csv", TABLE.replace(*change))
    with pytest.raises(DataError, match=message):
        vindr.read(tmp_path, vocabulary=vocabulary, labels={})


def test_missing_metadata(tmp_path: Path, vocabulary: Vocabulary) -> None:
    with pytest.raises(MissingDataError, match=r"no train\.csv"):
        vindr.read(tmp_path, vocabulary=vocabulary, labels={})


def test_published_rows(realdata: Path, write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write("train.csv", (realdata / "headers" / "vinbigdata_train.csv").read_text())
    frame = vindr.read(tmp_path, vocabulary=vocabulary, labels={}).frame
    assert frame["No Finding"].tolist() == [1, 1, 0, 0, 1, 0, 0]
    assert frame["ILD"].tolist() == [0, 0, 0, 0, 0, 0, 1]
