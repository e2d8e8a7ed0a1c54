from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xrbench.cards import Vocabulary
from xrbench.data.readers import mimic
from xrbench.errors import DataError, MissingDataError

Write = Callable[[str, str], Path]

METADATA = """dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime
02aa804e,10000032,50414267,CHEST (PA AND LAT),PA,3056,2544,21800506,213014.531
174413ec,10000032,50414267,CHEST (PA AND LAT),LL,3056,2544,21800506,213014.531
2a2277a9,10000032,53189527,CHEST (PORTABLE AP),AP,2544,3056,21810626,165500.312
e084de3b,10000764,57375967,CHEST PORT,,2544,3056,21320921,63400.1
68b5c4b1,12000764,59999999,CHEST PORT,AP,2544,3056,21320922,63400.1
"""
LABELS = """subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,Fracture,Lung Lesion,\
Lung Opacity,No Finding,Pleural Effusion,Pleural Other,Pneumonia,Pneumothorax,Support Devices
10000032,50414267,,,,,,,,,1.0,,,,,
10000032,53189527,,,,-1.0,,,,1.0,,0.0,,,,
10000764,57375967,,,1.0,,,,,,,-1,,-1.0,,
"""
SPLIT = """dicom_id,study_id,subject_id,split
e084de3b,57375967,10000764,test
02aa804e,50414267,10000032,train
174413ec,50414267,10000032,train
2a2277a9,53189527,10000032,validate
68b5c4b1,59999999,12000764,train
"""


@pytest.fixture(params=["", ".gz"])
def root(request: pytest.FixtureRequest, write: Write, tmp_path: Path) -> Path:
    for table, text in (("metadata", METADATA), ("chexpert", LABELS), ("split", SPLIT)):
        write(f"mimic-cxr-2.0.0-{table}.csv{request.param}", text)
    return tmp_path


def test_images_with_the_labels_of_their_study(root: Path, vocabulary: Vocabulary) -> None:
    reading = mimic.read(root, vocabulary=vocabulary, labels={})
    frame = reading.frame
    assert frame["image"].tolist() == ["02aa804e", "174413ec", "2a2277a9", "e084de3b"]
    assert frame["path"].tolist()[0] == "files/p10/p10000032/s50414267/02aa804e.jpg"
    assert frame["patient_id"].tolist() == ["10000032"] * 3 + ["10000764"]
    assert frame["study"].tolist() == ["50414267", "50414267", "53189527", "57375967"]
    assert frame["view"].tolist()[:3] == ["PA", "LATERAL", "AP"]
    assert frame["view"].isna().tolist() == [False, False, False, True]
    assert frame["split"].tolist() == ["train", "train", "validate", "test"]
    assert frame["age"].isna().all()
    assert frame["sex"].isna().all()
    np.testing.assert_array_equal(frame["No Finding"], [1, 1, np.nan, np.nan])
    np.testing.assert_array_equal(frame["Effusion"], [np.nan, np.nan, 0, -1])
    np.testing.assert_array_equal(frame["Edema"], [np.nan, np.nan, -1, np.nan])


def test_images_of_studies_without_labels_are_counted(root: Path, vocabulary: Vocabulary) -> None:
    dropped = mimic.read(root, vocabulary=vocabulary, labels={}).dropped
    assert list(dropped.values()) == [1]
    assert "study without labels" in next(iter(dropped))


def test_images_may_lie_without_the_folder_files(root: Path, vocabulary: Vocabulary) -> None:
    (root / "p10").mkdir()
    assert mimic.read(root, vocabulary=vocabulary, labels={}).frame["path"][0].startswith("p10/p10000032/")


def test_sex_and_age_from_mimic_iv(root: Path, write: Write, vocabulary: Vocabulary) -> None:
    write(
        "patients.csv.gz",
        "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod\n10000032,F,52,2180,2014 - 2016,2180-09-09\n",
    )
    frame = mimic.read(root, vocabulary=vocabulary, labels={}).frame
    np.testing.assert_array_equal(frame["age"], [52, 52, 53, np.nan])
    assert frame["sex"].tolist()[:3] == ["F", "F", "F"]
    assert frame["sex"].isna().tolist()[3]


def test_the_other_labeller(root: Path, write: Write, vocabulary: Vocabulary) -> None:
    write("mimic-cxr-2.0.0-negbio.csv", LABELS.replace("10000032,50414267,,", "10000032,50414267,1.0,"))
    frame = mimic.read(root, vocabulary=vocabulary, labels={}, labeller="negbio").frame
    assert frame["Atelectasis"].tolist()[:2] == [1, 1]


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("chexpert", ("10000764,57375967,,,1.0", "10000764,57375967,,,7"), r"row 4, column 'Consolidation'.*got '7'"),
        ("chexpert", ("10000032,53189527", "10000032,50414267"), r"row 3: study '50414267' stands more than once"),
        ("metadata", ("174413ec", "02aa804e"), r"image '02aa804e' stands in rows 2 and 3"),
        ("metadata", ("ViewPosition", "View Position"), r"no column 'ViewPosition'; did you mean 'View Position'\?"),
        ("split", ("2a2277a9", "2a2277aa"), r"split\.csv: no split for image '2a2277a9'"),
    ],
)
def test_bad_metadata_is_named_in_one_line(
    write: Write, tmp_path: Path, vocabulary: Vocabulary, table: str, change: tuple[str, str], message: str
) -> None:
    for name, text in (("metadata", METADATA), ("chexpert", LABELS), ("split", SPLIT)):
        write(f"mimic-cxr-2.0.0-{name}.csv", text.replace(*change) if name == table else text)
    with pytest.raises(DataError, match=message) as caught:
        mimic.read(tmp_path, vocabulary=vocabulary, labels={})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("absent", ["metadata", "chexpert", "split"])
def test_each_table_is_needed(root: Path, vocabulary: Vocabulary, absent: str) -> None:
    next(root.glob(f"*-{absent}.csv*")).unlink()
    with pytest.raises(MissingDataError, match=f"no mimic-cxr-2.0.0-{absent}.csv"):
        mimic.read(root, vocabulary=vocabulary, labels={})


def test_the_published_headers(realdata: Path, write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    headers = realdata / "headers"
    metadata = (headers / "mimic_metadata_SYNTHETIC.csv").read_text()
    write("mimic-cxr-2.0.0-metadata.csv", metadata)
    write("mimic-cxr-2.0.0-negbio.csv", (headers / "mimic_negbio_SYNTHETIC.csv").read_text())
    images = [row["dicom_id"] for row in csv.DictReader(metadata.splitlines())]
    write("mimic-cxr-2.0.0-split.csv", "dicom_id,split\n" + "".join(f"{image},test\n" for image in images))
    frame = mimic.read(tmp_path, vocabulary=vocabulary, labels={}, labeller="negbio").frame
    assert frame["image"].tolist() == images
    assert set(frame["view"]) == {"PA", "LATERAL"}
