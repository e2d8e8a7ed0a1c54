from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xrbench.cards import Vocabulary
from xrbench.data.readers import table
from xrbench.errors import CardError, DataError, MissingDataError, UnknownNameError

Write = Callable[[str, str], Path]

TABLE = """image,patient_id,view,age,sex,No Finding,pleural_effusion,Pneumonai,site
b.jpg,007,pa,36,F,1,0,0,north
a,007,L,,,0,1,,south
c.jpg,042,AP,057Y,m,,-1,1,north
"""


def test_one_row_an_image(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write("labels.csv", TABLE)
    write("images/a.png", "")
    reading = table.read(tmp_path, vocabulary=vocabulary, labels={})
    frame = reading.frame
    assert reading.labels == ("No Finding", "Effusion")
    assert frame["image"].tolist() == ["b.jpg", "a", "c.jpg"]
    assert frame["path"].tolist() == ["images/b.jpg", "images/a.png", "images/c.jpg"]
    assert frame["patient_id"].tolist() == ["007", "007", "042"]
    assert frame["view"].tolist() == ["PA", "LATERAL", "AP"]
    np.testing.assert_array_equal(frame["age"], [36, np.nan, 57])
    np.testing.assert_array_equal(frame["Effusion"], [0, 1, -1])
    np.testing.assert_array_equal(frame["No Finding"], [1, 0, np.nan])
    assert frame["site"].tolist() == ["north", "south", "north"]


def test_a_column_that_is_nearly_a_label_is_pointed_out(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write("labels.csv", TABLE)
    notes = table.read(tmp_path, vocabulary=vocabulary, labels={}).notes
    assert notes == ("labels.csv: column 'Pneumonai' is not a label; did you mean 'Pneumonia'?",)


def test_everything_may_have_other_names(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write("meta/images.csv.gz", "file,who,lungs,heart\nx/1.png,p1,1,\nx/2.png,p2,0,-1\n")
    reading = table.read(
        tmp_path / "meta",
        vocabulary=vocabulary,
        labels={"lungs": "Pneumonia", "heart": "Cardiomegaly"},
        csv="images.csv",
        images="images",
        columns={"image": "file", "patient_id": "who"},
        label_columns=["heart", "lungs"],
    )
    assert reading.labels == ("Cardiomegaly", "Pneumonia")
    assert reading.frame["path"].tolist() == ["images/x/1.png", "images/x/2.png"]
    assert reading.frame["patient_id"].tolist() == ["p1", "p2"]
    assert reading.frame["Cardiomegaly"].isna().tolist() == [True, False]


def test_a_path_column_goes_before_the_folder(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write("labels.csv", "image,where,Edema\n1,deep/down/1.png,1\n")
    frame = table.read(tmp_path, vocabulary=vocabulary, labels={}, columns={"path": "where"}).frame
    assert frame["path"].tolist() == ["deep/down/1.png"]


def test_an_image_alone_is_enough(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write("labels.csv", "image,Edema\n1.png,1\n2.png,0\n")
    reading = table.read(tmp_path, vocabulary=vocabulary, labels={})
    assert reading.frame[["patient_id", "view", "sex", "age"]].isna().all(axis=None)
    assert "no patient ids" in reading.notes[0]


CLASSES = """image,lesion_id,dx,age,sex,site
a.jpg,L1,nv,,,
b.jpg,L1,atypical nevus,40,F,back
c.jpg,L2,MEL,,,
d.jpg,L3,,,,
"""


def test_one_column_of_classes_is_a_label_for_each_class(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write("labels.csv", CLASSES)
    named = {"atypical nevus": "Nevus", "bcc": "Basal Cell Carcinoma"}
    options: dict[str, Any] = {"columns": {"patient_id": "lesion_id"}, "class_column": "dx"}
    reading = table.read(tmp_path, vocabulary=vocabulary, labels=named, **options)
    assert set(reading.labels) == {"Nevus", "Melanoma", "Basal Cell Carcinoma"}
    np.testing.assert_array_equal(reading.frame["Nevus"], [1, 1, 0, np.nan])
    np.testing.assert_array_equal(reading.frame["Melanoma"], [0, 0, 1, np.nan])
    np.testing.assert_array_equal(reading.frame["Basal Cell Carcinoma"], [0, 0, 0, np.nan])
    assert reading.frame["patient_id"].tolist() == ["L1", "L1", "L2", "L3"]
    assert reading.frame["site"].tolist()[1] == "back"


def test_classes_beside_label_columns(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write("labels.csv", "image,dx,Edema\n1.png,nv,1\n2.png,mel,0\n")
    reading = table.read(tmp_path, vocabulary=vocabulary, labels={}, class_column="dx", label_columns=["Edema"])
    assert reading.labels == ("Edema", "Nevus", "Melanoma")
    np.testing.assert_array_equal(reading.frame["Edema"], [1, 0])


def test_classes_that_nobody_knows(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write("labels.csv", CLASSES)
    with pytest.raises(UnknownNameError, match=r"labels\.csv: column 'dx': unknown label 'atypical nevus'"):
        table.read(tmp_path, vocabulary=vocabulary, labels={}, class_column="dx")
    with pytest.raises(DataError, match="no column 'diagnosis'"):
        table.read(tmp_path, vocabulary=vocabulary, labels={}, class_column="diagnosis")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,Edema\n1.png,2\n", r"row 2, column 'Edema': expected 1, 0, -1 or blank, got '2'"),
        ("image,Edema\n1.png,1\n1.png,0\n", r"image '1\.png' stands in rows 2 and 3"),
        ("image,Edema\n,1\n", r"row 2, column 'image': expected an image id"),
        ("imgae,Edema\n1.png,1\n", r"no column 'image'; did you mean 'imgae'\?"),
        ("image,site\n1.png,1\n", r"no column is a label of the vocabulary \(columns: site\)"),
        (
            "image,Effusion,Pleural Effusion\n1.png,1,1\n",
            "labels 'Effusion' and 'Pleural Effusion' are both 'Effusion'",
        ),
        ("image,sex,Edema\n1.png,boy,1\n", r"row 2, column 'sex': expected a sex"),
    ],
)
def test_bad_tables_are_named_in_one_line(
    write: Write, tmp_path: Path, vocabulary: Vocabulary, text: str, message: str
) -> None:
    write("labels.csv", text)
    with pytest.raises(DataError, match=message) as caught:
        table.read(tmp_path, vocabulary=vocabulary, labels={})
    assert "\n" not in str(caught.value)


def test_bad_options(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write("labels.csv", TABLE)
    with pytest.raises(CardError, match="unknown column 'patient'; did you mean 'patient_id'"):
        table.read(tmp_path, vocabulary=vocabulary, labels={}, columns={"patient": "patient_id"})
    with pytest.raises(DataError, match="no column 'Edema'"):
        table.read(tmp_path, vocabulary=vocabulary, labels={}, label_columns=["Edema"])
    with pytest.raises(UnknownNameError, match="unknown label 'Pneumonai'; did you mean 'Pneumonia'"):
        table.read(tmp_path, vocabulary=vocabulary, labels={}, label_columns=["Pneumonai"])
    with pytest.raises(DataError, match="no column 'lungs'"):
        table.read(tmp_path, vocabulary=vocabulary, labels={"lungs": "Pneumonia"})
    with pytest.raises(MissingDataError, match=r"no images\.csv or images\.csv\.gz.*did you mean|known"):
        table.read(tmp_path, vocabulary=vocabulary, labels={}, csv="images.csv")


def test_the_layout_is_recognised(write: Write, tmp_path: Path) -> None:
    assert not table.holds(tmp_path)
    write("labels.csv", TABLE)
    assert not table.holds(tmp_path)
    (tmp_path / "images").mkdir()
    assert table.holds(tmp_path)
    write("labels.csv", TABLE.replace("patient_id", "patient"))
    assert not table.holds(tmp_path)
