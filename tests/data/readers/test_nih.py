from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xrbench.cards import Vocabulary
from xrbench.data.readers import nih
from xrbench.errors import DataError, MissingDataError

Write = Callable[[str, str], Path]

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
ROWS = [
    "00000003_000.png,Hernia|Infiltration,0,3,74,F,PA,2500,2048,0.168,0.168",
    "00000001_001.png,Cardiomegaly|Emphysema,1,1,58,M,PA,2894,2729,0.143,0.143",
    "00000002_000.png,No Finding,0,2,414,M,AP,2500,2048,0.171,0.171",
]
CSV = "Data_Entry_2017_v2020.csv"


def table(rows: list[str], header: str = HEADER, end: str = "") -> str:
    return "\n".join(row + end for row in [header, *rows]) + "\n"


def test_one_row_an_image_in_published_order(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write(CSV, table(ROWS))
    reading = nih.read(tmp_path, vocabulary=vocabulary, labels={})
    frame = reading.frame
    assert frame["image"].tolist() == ["00000003_000.png", "00000001_001.png", "00000002_000.png"]
    assert frame["patient_id"].tolist() == ["00000003", "00000001", "00000002"]
    assert frame["view"].tolist() == ["PA", "PA", "AP"]
    assert frame["sex"].tolist() == ["F", "M", "M"]
    np.testing.assert_array_equal(frame["age"], [74, 58, np.nan])
    assert frame["study"].isna().all()
    assert len(reading.labels) == 15
    positive = [[label for label in reading.labels if row[label] == 1] for _, row in frame.iterrows()]
    assert positive == [["Hernia", "Infiltration"], ["Cardiomegaly", "Emphysema"], ["No Finding"]]
    assert not np.isnan(frame[list(reading.labels)].to_numpy()).any()


@pytest.mark.parametrize(
    ("header", "end"),
    [
        (HEADER, ""),
        (HEADER, ","),
        (HEADER.replace("OriginalImage[Width,Height]", '"OriginalImage[Width,Height]"'), ""),
        (HEADER.replace("Patient Gender", "Patient Sex"), ""),
        ("\ufeff" + HEADER, ""),
    ],
    ids=["v2020", "2017 with trailing commas", "header shorter than the rows", "sex", "byte-order mark"],
)
def test_headers_as_they_were_published(
    write: Write, tmp_path: Path, vocabulary: Vocabulary, header: str, end: str
) -> None:
    write("Data_Entry_2017.csv", table(ROWS, header, end))
    frame = nih.read(tmp_path, vocabulary=vocabulary, labels={}).frame
    assert frame["image"].tolist() == [row[:16] for row in ROWS]
    assert frame["sex"].tolist() == ["F", "M", "M"]


def test_the_kaggle_sample_has_ages_with_units_and_padded_ids(
    realdata: Path, write: Write, tmp_path: Path, vocabulary: Vocabulary
) -> None:
    shutil.copy(realdata / "headers" / "nih_kaggle_sample_labels.csv", tmp_path / "sample_labels.csv")
    frame = nih.read(tmp_path, vocabulary=vocabulary, labels={}, csv="sample_labels.csv").frame
    assert frame["age"].tolist()[:4] == [60, 57, 77, 79]
    assert frame["patient_id"].tolist()[0] == "00000013"
    assert frame.loc[0, "Pleural Thickening"] == 1


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("{}", "{}"),
        ("images/{}", "images/{}"),
        ("images_001/images/{}", "images_001/images/{}"),
        ("images_012/{}", "images_012/{}"),
        ("images-224/{}", "images-224/{}"),
        ("elsewhere/{}", "images/{}"),
    ],
)
def test_images_are_found_wherever_copies_keep_them(
    write: Write, tmp_path: Path, vocabulary: Vocabulary, place: str, path: str
) -> None:
    write(CSV, table(ROWS))
    for row in ROWS:
        write(place.format(row[:16]), "")
    frame = nih.read(tmp_path, vocabulary=vocabulary, labels={}).frame
    assert frame["path"].tolist() == [path.format(row[:16]) for row in ROWS]


def test_images_spread_over_folders_and_converted_to_jpeg(write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write(CSV, table(ROWS))
    write("images_001/images/00000003_000.png", "")
    write("images_002/images/00000001_001.jpg", "")
    frame = nih.read(tmp_path, vocabulary=vocabulary, labels={}).frame
    assert frame["path"].tolist() == [
        "images_001/images/00000003_000.png",
        "images_002/images/00000001_001.jpg",
        "images/00000002_000.png",
    ]


def test_the_published_files_as_they_come(realdata: Path, vocabulary: Vocabulary) -> None:
    root = realdata / "native" / "nih"
    frame = nih.read(root, vocabulary=vocabulary, labels={}).frame
    assert len(frame) == 5
    assert all((root / path).is_file() for path in frame["path"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("Hernia|Infiltration", "Hernia|Infiltratoin"),
            r"row 2, column 'Finding Labels'.*did you mean 'Infiltration'\?",
        ),
        ((",58,", ",old,"), r"row 3, column 'Patient Age': expected an age such as 57 or 057Y, got 'old'"),
        ((",AP,", ","), "row 4 has 10 cells, the first row has 11"),
        (("Patient Age", "Patient Aeg"), r"no column 'Patient Age'; did you mean 'Patient Aeg'\?"),
        (("00000001_001", "00000003_000"), r"image '00000003_000\.png' stands in rows 2 and 3"),
        (("00000001_001.png", ""), r"row 3, column 'Image Index': expected an image id, got ''"),
    ],
)
def test_bad_metadata_is_named_in_one_line(
    write: Write, tmp_path: Path, vocabulary: Vocabulary, change: tuple[str, str], message: str
) -> None:
    write(CSV, table(ROWS).replace(*change))
    with pytest.raises(DataError, match=message) as caught:
        nih.read(tmp_path, vocabulary=vocabulary, labels={})
    assert "\n" not in str(caught.value)
    assert CSV in str(caught.value)


def test_missing_metadata(tmp_path: Path, vocabulary: Vocabulary) -> None:
    with pytest.raises(MissingDataError, match=r"no Data_Entry_2017_v2020\.csv"):
        nih.read(tmp_path, vocabulary=vocabulary, labels={})
