"""What holds for every reader, on a shuffled copy of its published layout."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xrbench import blocks
from xrbench.cards import Vocabulary
from xrbench.data.readers.base import STANDARD, Reading
from xrbench.errors import DataError

Write = Callable[[str, str], Path]

FINDINGS = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,"
    "Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
NUMBERS = [7, 2, 9, 4, 1]


def _nih(write: Write) -> list[str]:
    ids = [f"0000000{n}_000.png" for n in NUMBERS]
    header = "Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position\n"
    write("Data_Entry_2017.csv", header + "".join(f"{i},Edema,{i[7]},50,F,PA\n" for i in ids))
    return ids


def _chexpert(write: Write) -> list[str]:
    ids = [f"train/patient0000{n}/study1/view1_frontal.jpg" for n in NUMBERS]
    rows = "".join(f"CheXpert-v1.0/{i},Female,50,Frontal,PA{',' * 14}\n" for i in ids)
    write("train.csv", f"Path,Sex,Age,Frontal/Lateral,AP/PA,{FINDINGS}\n{rows}")
    return ids


def _mimic(write: Write) -> list[str]:
    ids = [f"dicom{n}" for n in NUMBERS]
    rows = "".join(f"{i},1000000{i[5]},5000000{i[5]},PA,21800101\n" for i in ids)
    write("mimic-cxr-2.0.0-metadata.csv", f"dicom_id,subject_id,study_id,ViewPosition,StudyDate\n{rows}")
    labels = "".join(f"1000000{n},5000000{n}{',' * 14}\n" for n in sorted(NUMBERS))
    write("mimic-cxr-2.0.0-chexpert.csv", f"subject_id,study_id,{FINDINGS}\n{labels}")
    write("mimic-cxr-2.0.0-split.csv", "dicom_id,split\n" + "".join(f"{i},train\n" for i in sorted(ids)))
    return ids


def _padchest(write: Write) -> list[str]:
    ids = [f"{n}_x.png" for n in NUMBERS]
    header = "ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,Projection,Labels\n"
    rows = "".join(f"{i},0,20140101,5{i[0]},8{i[0]},1950.0,F,PA,['consolidation']\n" for i in ids)
    write("PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", header + rows)
    return ids


def _vindr(write: Write) -> list[str]:
    ids = [f"f{n}" for n in NUMBERS]
    write("train.csv", "image_id,class_name\n" + "".join(f"{i},Consolidation\n" for i in [*ids, *reversed(ids)]))
    return ids


def _table(write: Write) -> list[str]:
    ids = [f"{n}.png" for n in NUMBERS]
    rows = "".join(f"{i},p{i[0]},PA,50,F,1\n" for i in ids)
    write("labels.csv", "image,patient_id,view,age,sex,Consolidation\n" + rows)
    return ids


LAYOUTS = {"nih": _nih, "chexpert": _chexpert, "mimic": _mimic, "padchest": _padchest, "vindr": _vindr, "table": _table}


def read(name: str, root: Path, vocabulary: Vocabulary) -> Reading:
    reading = blocks.find("reader", name)(root, vocabulary=vocabulary, labels={})
    assert isinstance(reading, Reading)
    return reading


def test_every_reader_is_tried_here() -> None:
    assert set(LAYOUTS) == set(blocks.BLOCKS["reader"])


@pytest.mark.parametrize("name", LAYOUTS)
def test_frames_are_tidy_and_in_published_order(
    name: str, write: Write, tmp_path: Path, vocabulary: Vocabulary
) -> None:
    ids = LAYOUTS[name](write)
    reading = read(name, tmp_path, vocabulary)
    frame = reading.frame
    assert frame["image"].tolist() == ids
    assert frame.index.equals(frame.reset_index(drop=True).index)
    assert tuple(frame.columns[: len(STANDARD)]) == STANDARD
    assert tuple(frame.columns[len(STANDARD) : len(STANDARD) + len(reading.labels)]) == reading.labels
    assert set(reading.labels) <= set(vocabulary.pathologies)
    assert {str(frame[label].dtype) for label in reading.labels} == {"float32"}
    assert frame["age"].dtype == np.float64
    assert all(str(frame[column].dtype) == str(frame["image"].dtype) for column in STANDARD if column != "age")
    assert not any(path.startswith("/") or "\\" in path for path in frame["path"])


@pytest.mark.parametrize("name", LAYOUTS)
def test_reading_leaves_the_global_generators_alone(
    name: str, write: Write, tmp_path: Path, vocabulary: Vocabulary
) -> None:
    LAYOUTS[name](write)
    ours, numpys = random.getstate(), np.random.get_state(legacy=False)
    read(name, tmp_path, vocabulary)
    assert random.getstate() == ours
    np.testing.assert_equal(np.random.get_state(legacy=False), numpys)


@pytest.mark.parametrize("name", LAYOUTS)
def test_empty_and_missing_files_are_one_line(name: str, write: Write, tmp_path: Path, vocabulary: Vocabulary) -> None:
    LAYOUTS[name](write)
    for path in sorted(tmp_path.glob("*.csv")):
        whole = path.read_text()
        for text in ("", whole.splitlines()[0] + "\n"):
            path.write_text(text)
            with pytest.raises(DataError, match=f"{path.name}: (the file is empty|no rows below the header)"):
                read(name, tmp_path, vocabulary)
        path.write_text(whole)
