from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xrbench import cards
from xrbench.cards import DatasetCard, Vocabulary
from xrbench.data.datasets.check import Check, check
from xrbench.data.datasets.domain import FIXTURE_MARKER
from xrbench.errors import UsageError

NIH = """Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position
00000001_000.png,Edema,1,30,F,PA
00000001_001.png,No Finding,1,31,F,AP
00000002_000.png,Hernia,2,60,M,PA
"""
IMAGES = ("00000001_000.png", "00000001_001.png", "00000002_000.png")


def card(name: str = "nih", **fields: object) -> DatasetCard:
    values = {"title": "Chest images", "reader": "nih", "access": "ask the NIH", **fields}
    return cards.convert(values, DatasetCard, where=name, name=name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "nih"
    (folder / "images").mkdir(parents=True)
    (folder / "Data_Entry_2017.csv").write_text(NIH)
    for number, name in enumerate(IMAGES):
        Image.fromarray(np.full((8, 8), 40 * number, np.uint8)).save(folder / "images" / name)
    return tmp_path


def look(root: Path, vocabulary: Vocabulary, dataset: DatasetCard | None = None, **options: object) -> Check:
    found = check(dataset or card(), None, vocabulary, root, **options)  # type: ignore[arg-type]
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["ok"] is found.ok
    return found


def test_all_is_well(root: Path, vocabulary: Vocabulary) -> None:
    whole = card(counts={"images": 3, "patients": 2, "view:PA": 2, "positive:Hernia": 1})
    found = look(root, vocabulary, whole, read_pixels=True, jobs=2)
    assert found.ok
    assert found.lines() == [
        "nih   Chest images   ok",
        f"  3 images, 2 patients   {root / 'nih'}   (published layout)",
        "  readable: all 3 images were decoded",
        "  counts: as published (4 numbers compared)",
    ]


def test_a_dataset_that_is_not_there(tmp_path: Path, vocabulary: Vocabulary) -> None:
    found = look(tmp_path, vocabulary)
    assert not found.ok
    assert found.lines() == [
        "nih   Chest images   missing",
        f"  nih: not found in {tmp_path} (looked for nih)",
        "  where to ask: ask the NIH",
    ]
    (tmp_path / "nih").mkdir()
    assert "no Data_Entry_2017_v2020.csv" in look(tmp_path, vocabulary).missing


def test_a_data_root_that_is_a_file(root: Path, vocabulary: Vocabulary) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        look(root / "nih" / "Data_Entry_2017.csv", vocabulary)


def test_absent_images_are_counted_and_named_in_order(root: Path, vocabulary: Vocabulary) -> None:
    for name in (IMAGES[2], IMAGES[0]):
        (root / "nih" / "images" / name).unlink()
    found = look(root, vocabulary, read_pixels=True)
    assert not found.ok
    assert found.absent == (f"images/{IMAGES[0]}", f"images/{IMAGES[2]}")
    assert found.decoded == 1
    assert (
        "  absent: 2 of 3 images are listed but not there: images/00000001_000.png, images/00000002_000.png"
        in found.lines()
    )


def test_unreadable_images_are_named_with_the_reason_when_pixels_are_read(root: Path, vocabulary: Vocabulary) -> None:
    (root / "nih" / "images" / IMAGES[1]).write_bytes(b"not an image")
    assert look(root, vocabulary).ok
    found = look(root, vocabulary, read_pixels=True)
    assert not found.ok
    assert list(found.unreadable) == [f"images/{IMAGES[1]}"]
    assert str(root) not in found.unreadable[f"images/{IMAGES[1]}"]
    assert any(line.startswith("  unreadable: 1 of 3 images: images/00000001_001.png: ") for line in found.lines())


def test_ids_that_stand_twice_and_other_bad_metadata(root: Path, vocabulary: Vocabulary) -> None:
    (root / "nih" / "Data_Entry_2017.csv").write_text(NIH.replace(IMAGES[1], IMAGES[0]))
    found = look(root, vocabulary)
    assert not found.ok
    assert "stands in rows 2 and 3" in found.wrong
    assert found.lines()[0] == "nih   Chest images   wrong"


def test_one_file_for_two_images(tmp_path: Path, vocabulary: Vocabulary) -> None:
    folder = tmp_path / "ours"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "1.png").touch()
    (folder / "labels.csv").write_text("image,Edema\n1,1\n1.jpg,0\n")
    found = look(tmp_path, vocabulary, card("ours", reader="table"))
    assert not found.ok
    assert found.shared == ("images/1.png",)


def test_counts_that_differ(root: Path, vocabulary: Vocabulary) -> None:
    counts = {"images": 112120, "patients": 2, "studies": 9, "view:PA": 5, "view:AP": 6}
    found = look(root, vocabulary, card(counts=counts))
    assert not found.ok
    assert found.lines()[2:] == [
        "  counts: images is 3, published 112,120",
        "  counts: studies is unknown, published 9",
        "  counts: view:PA is 2, published 5",
        "  counts: 4 of 5 numbers are not those published",
    ]
    assert found.to_dict()["counts"]["view:PA"] == {"expected": 5, "found": 2}


def test_samples_and_drawn_images_need_not_be_whole(root: Path, vocabulary: Vocabulary) -> None:
    counts = {"images": 112120}
    (root / FIXTURE_MARKER).touch()
    drawn = look(root, vocabulary, card(counts=counts))
    assert drawn.ok
    assert "FIXTURE, synthetic images" in drawn.lines()[1]
    assert len(drawn.lines()) == 2
    (root / FIXTURE_MARKER).unlink()
    (root / "nih" / "labels.csv").write_text("image,patient_id,view,age,sex,Edema\n00000001_000.png,1,PA,30,F,1\n")
    sample = look(root, vocabulary, card(counts=counts))
    assert sample.ok
    assert sample.layout == "table"
    assert "  counts: 1 of 112,120 published images are here; a sample is not compared" in sample.lines()


def test_a_slice_is_checked_on_its_own_rows(root: Path, vocabulary: Vocabulary) -> None:
    images = card("images", reader="", access="", base="nih", where={"view": "PA"}, counts={"images": 2})
    found = check(images, card(), vocabulary, root)
    assert found.ok
    assert (found.images, found.access) == (2, "ask the NIH")


def skin(folder: Path, *, grey: int = 0) -> None:
    """Draw six images of the colour of skin, the first few of them in grey with three channels."""
    (folder / "images").mkdir(parents=True)
    (folder / "labels.csv").write_text("image,dx\n" + "".join(f"{n}.jpg,nv\n" for n in range(6)))
    for number in range(6):
        colour = (120, 120, 120) if number < grey else (200, 150, 120)
        pixels = np.random.default_rng(number).integers(-20, 20, (40, 40, 1)) + np.array(colour)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{number}.jpg")


def test_colour_is_compared_with_the_card(tmp_path: Path, vocabulary: Vocabulary) -> None:
    skin(tmp_path / "all")
    skin(tmp_path / "some", grey=2)
    skin(tmp_path / "none", grey=6)

    def line(name: str, channels: int) -> list[str]:
        asked = card(name, reader="table", options={"class_column": "dx"}, channels=channels)
        found = look(tmp_path, vocabulary, asked, read_pixels=True)
        assert found.ok
        return [line for line in found.lines() if line.startswith("  colour:")]

    assert line("all", 3) == ["  colour: 6 images show colours"]
    assert line("some", 3) == ["  colour: 4 images show colours, 2 are grey"]
    assert line("none", 3) == ["  colour: 0 images show colours, 6 are grey"]
    kept = "channels = 3 in the card keeps them"
    assert line("some", 1) == [f"  colour: 4 of 6 images show colours and are read as grey; {kept}"]
    assert line("none", 1) == []
