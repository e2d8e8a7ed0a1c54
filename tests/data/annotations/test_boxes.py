from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xrbench import cards
from xrbench.cards import DatasetCard, Vocabulary
from xrbench.catalogue import shipped
from xrbench.data.annotations.boxes import TRANSFORMS, load_boxes, to_cached
from xrbench.data.datasets.check import check
from xrbench.data.datasets.domain import load_domain
from xrbench.data.images.preprocessing import pipeline
from xrbench.errors import CardError, DataError, MissingDataError

ENTRIES = """Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position
00000001_000.png,Infiltration,0,1,57,M,PA
00000002_000.png,Mass|Effusion,0,2,60,F,AP
00000003_000.png,No Finding,0,3,60,F,AP
"""
NIH_BOXES = """Image Index,Finding Label,Bbox [x,y,w,h],,,
00000001_000.png,Infiltrate,225.5,547.25,86.75,79.5
00000002_000.png,Mass,10,20,30,40
00000002_000.png,Effusion,1,2,3,4
"""
VINDR = """image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max
aa,No finding,14,R1,,,,
bb,Cardiomegaly,3,R9,100.0,200.0,900.0,700.0
bb,Pleural effusion,10,R8,5,6,7,9
bb,Cardiomegaly,3,R8,110.0,210.0,890.0,690.0
cc,Nodule/Mass,8,R10,1,2,3,4
"""


def card(name: str) -> DatasetCard:
    return cards.read(shipped() / "registry" / "datasets" / f"{name}.toml", DatasetCard)


@pytest.fixture
def nih(tmp_path: Path) -> Path:
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text(ENTRIES)
    (tmp_path / "BBox_List_2017.csv").write_text(NIH_BOXES)
    return tmp_path


@pytest.fixture
def vindr(tmp_path: Path) -> Path:
    (tmp_path / "train.csv").write_text(VINDR)
    return tmp_path


# Tables of boxes


def test_boxes_of_chestx_ray14(nih: Path, vocabulary: Vocabulary) -> None:
    boxes = load_boxes(card("nih"), nih, vocabulary)
    assert boxes["label"].tolist() == ["Infiltration", "Mass", "Effusion"]
    assert boxes["image"].tolist() == ["00000001_000.png", "00000002_000.png", "00000002_000.png"]
    assert boxes[["x0", "y0", "x1", "y1"]].to_numpy().tolist() == [
        [225.5, 547.25, 312.25, 626.75],
        [10, 20, 40, 60],
        [1, 2, 4, 6],
    ]
    assert boxes["reader"].notna().sum() == 0
    assert boxes[["width", "height"]].notna().to_numpy().sum() == 0


def test_boxes_of_vindr_are_those_of_each_reader(vindr: Path, vocabulary: Vocabulary) -> None:
    boxes = load_boxes(card("vindr"), vindr, vocabulary)
    assert boxes[["image", "label", "reader"]].to_numpy().tolist() == [
        ["bb", "Cardiomegaly", "R9"],
        ["bb", "Effusion", "R8"],
        ["bb", "Cardiomegaly", "R8"],
        ["cc", "Nodule/Mass", "R10"],
    ]
    assert boxes[["x0", "y0", "x1", "y1"]].to_numpy()[0].tolist() == [100, 200, 900, 700]


def test_resized_copies_of_vindr_say_how_large_the_image_was(vindr: Path, vocabulary: Vocabulary) -> None:
    header, *rows = VINDR.splitlines()
    table = [f"{header},width,height", *(f"{row},1000,800" for row in rows)]
    (vindr / "train.csv").write_text("\n".join(table) + "\n")
    boxes = load_boxes(card("vindr"), vindr, vocabulary)
    assert boxes[["width", "height"]].drop_duplicates().to_numpy().tolist() == [[1000, 800]]
    moved = to_cached(boxes, ["resize"], 100)
    assert moved[["x0", "y0", "x1", "y1"]].to_numpy()[0].tolist() == [10, 25, 90, 87.5]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "00000002_000.png,Mass",
            "00000009_000.png,Mass",
            r"row 3, column 'Image Index': expected an image of Data_Entry",
        ),
        ("Mass,10", "Masses,10", r"row 3, column 'Finding Label': expected one of Atelectasis, .*, got 'Masses'"),
        ("Mass,10", "No Finding,10", r"row 3, column 'Finding Label': expected one of Atelectasis"),
        (",10,20,30,40", ",10,20,0,40", r"row 3, column 'w': expected a width and height above 0, got '0'"),
        (",10,20,30,40", ",10,20,30,-4", r"row 3, column 'h\]': expected a width and height above 0, got '-4'"),
        (",10,20,30,40", ",-10,20,30,40", r"row 3, column 'Bbox \[x': expected 0 or more: a box lies inside its image"),
        (",10,20,30,40", ",10,,30,40", r"row 3, column 'y': expected a number of pixels, got ''"),
        (",10,20,30,40", ",10,inf,30,40", r"row 3, column 'y': expected a number of pixels, got 'inf'"),
    ],
)
def test_a_wrong_row_of_chestx_ray14_is_named(
    nih: Path, vocabulary: Vocabulary, before: str, after: str, message: str
) -> None:
    assert NIH_BOXES.count(before) == 1
    (nih / "BBox_List_2017.csv").write_text(NIH_BOXES.replace(before, after))
    with pytest.raises(DataError, match=rf"BBox_List_2017\.csv: {message}") as caught:
        load_boxes(card("nih"), nih, vocabulary)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("900.0,700.0", "100.0,700.0", r"row 3, column 'x_max': expected more than x_min = 100, got '100\.0'"),
        ("900.0,700.0", "900.0,150.0", r"row 3, column 'y_max': expected more than y_min = 200, got '150\.0'"),
        ("100.0,200.0", "-5,200.0", r"row 3, column 'x_min': expected 0 or more"),
        ("100.0,200.0", ",200.0", r"row 3, column 'x_min': expected a number of pixels, got ''"),
        ("900.0,700.0", "900.0,", r"row 3, column 'y_max': expected a number of pixels, got ''"),
        ("bb,Cardiomegaly,3,R9", "bb,Cardiomegalie,3,R9", r"row 3, column 'class_name': expected a class of VinDr-CXR"),
    ],
)
def test_a_wrong_row_of_vindr_is_named(
    vindr: Path, vocabulary: Vocabulary, before: str, after: str, message: str
) -> None:
    assert VINDR.count(before) == 1
    (vindr / "train.csv").write_text(VINDR.replace(before, after))
    with pytest.raises(DataError, match=rf"train\.csv: {message}") as caught:
        load_boxes(card("vindr"), vindr, vocabulary)
    assert "\n" not in str(caught.value)


def test_a_box_beyond_a_known_size_is_named(vindr: Path, vocabulary: Vocabulary) -> None:
    header, *rows = VINDR.splitlines()
    table = [f"{header},width,height", *(f"{row},899,700" for row in rows)]
    (vindr / "train.csv").write_text("\n".join(table) + "\n")
    assert len(load_boxes(card("vindr"), vindr, vocabulary)) == 4  # one pixel over the edge is rounding
    (vindr / "train.csv").write_text("\n".join(table).replace(",899,", ",880,") + "\n")
    with pytest.raises(
        DataError, match=r"row 3, column 'x_max': expected at most the image's width of 880, got '900\.0'"
    ):
        load_boxes(card("vindr"), vindr, vocabulary)


def test_a_dataset_without_boxes_says_so(nih: Path, vocabulary: Vocabulary) -> None:
    with pytest.raises(MissingDataError, match="chexpert: no boxes are published for it; known for readers nih, vindr"):
        load_boxes(card("chexpert"), nih, vocabulary)
    (nih / "BBox_List_2017.csv").unlink()
    with pytest.raises(MissingDataError, match=r"no BBox_List_2017\.csv .*\(the boxes of ChestX-ray14\)"):
        load_boxes(card("nih"), nih, vocabulary)


def test_readers_and_checks_pass_over_the_table_of_boxes(nih: Path, vocabulary: Vocabulary) -> None:
    (nih / "images").mkdir()
    nih.rename(nih.parent / "nih")
    folder = nih.parent / "nih"
    without_counts = cards.convert({"title": "x", "reader": "nih"}, DatasetCard, where="nih", name="nih")
    digests = set()
    for text in (NIH_BOXES, "not,a\ntable", None):
        path = folder / "BBox_List_2017.csv"
        path.write_text(text) if text is not None else path.unlink()
        domain = load_domain(without_counts, None, vocabulary, folder.parent)
        digests.add(domain.digest)
        found = check(without_counts, None, vocabulary, folder.parent)
        assert (found.wrong, found.missing, found.images) == ("", "", 3)
    assert len(digests) == 1


# From the published file to the cache


def drawn(*boxes: tuple[float, float, float, float], image: str = "a") -> pd.DataFrame:
    frame = pd.DataFrame(list(boxes), columns=["x0", "y0", "x1", "y1"], dtype=float)
    return frame.assign(image=image, label="Mass")


shapes = st.tuples(st.integers(44, 131), st.integers(44, 131))
corners = st.tuples(st.integers(0, 100), st.integers(0, 100))
extents = st.tuples(st.integers(8, 60), st.integers(8, 60))


def white(shape: tuple[int, int], corner: tuple[int, int], extent: tuple[int, int]) -> tuple[Any, pd.DataFrame]:
    """Draw a white rectangle, and its box."""
    (height, width), (top, left) = shape, corner
    bottom, right = min(top + extent[0], height), min(left + extent[1], width)
    assume(bottom - top > 7)
    assume(right - left > 7)
    image = np.zeros(shape, np.uint8)
    image[top:bottom, left:right] = 255
    return image, drawn((left, top, right, bottom))


@given(shape=shapes, corner=corners, extent=extents, case=st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_a_crop_and_a_margin_move_a_box_by_whole_pixels(
    shape: tuple[int, int], corner: tuple[int, int], extent: tuple[int, int], case: int
) -> None:
    image, boxes = white(shape, corner, extent)
    small, large = min(shape), max(shape)
    steps, size = [
        (["centre-crop"], small),
        (["pad-square"], large),
        ([{"block": "centre-crop", "size": 37}], 37),
        (["pad-square", {"block": "centre-crop", "size": large - 9}], large - 9),
    ][case]
    pixels = pipeline(steps, image_size=size)(image)[0]  # type: ignore[arg-type]
    found = to_cached(boxes, steps, size, {"a": shape})  # type: ignore[arg-type]
    if not pixels.any():
        assert found.empty
        return
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    assert found[["x0", "y0", "x1", "y1"]].to_numpy().tolist() == [[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]]
    assert found["visible"].iloc[0] == pytest.approx((pixels > 0).sum() / (image > 0).sum())


@given(
    shape=shapes,
    corner=corners,
    extent=extents,
    steps=st.sampled_from([["resize"], ["centre-crop", "resize"], ["pad-square", "resize"]]),
    size=st.sampled_from([32, 64, 160]),
)
@settings(max_examples=200, deadline=None)
def test_a_white_rectangle_goes_where_its_box_goes(
    shape: tuple[int, int], corner: tuple[int, int], extent: tuple[int, int], steps: list[str], size: int
) -> None:
    image, boxes = white(shape, corner, extent)
    pixels = pipeline(steps, image_size=size)(image)[0].astype(float)
    found = to_cached(boxes, steps, size, {"a": shape})
    if not pixels.any():
        assert found.empty
        return
    box = found.iloc[0]
    assume(min(box["x1"] - box["x0"], box["y1"] - box["y0"]) > 3)  # a sliver at the edge is not white after smoothing
    # a smoothed edge is half as bright where the edge was
    y0, x0 = (np.flatnonzero(pixels.max(axis=axis) > 127)[0] for axis in (1, 0))
    y1, x1 = (np.flatnonzero(pixels.max(axis=axis) > 127)[-1] + 1 for axis in (1, 0))
    np.testing.assert_allclose([box["x0"], box["y0"], box["x1"], box["y1"]], [x0, y0, x1, y1], atol=0.75)


def test_a_crop_cuts_boxes_says_how_much_is_left_and_drops_what_is_gone() -> None:
    boxes = drawn((0, 0, 40, 50), (60, 10, 100, 20), (190, 0, 200, 100))
    moved = to_cached(boxes, ["centre-crop", "resize"], 50, {"a": (100, 200)})
    # the middle hundred columns, 50 to 150, are kept and halved
    assert moved.index.tolist() == [1]
    assert moved[["x0", "y0", "x1", "y1"]].to_numpy()[0].tolist() == [5, 5, 25, 10]
    assert moved["visible"].tolist() == [1.0]
    half = to_cached(drawn((40, 10, 60, 20)), ["centre-crop", "resize"], 50, {"a": (100, 200)})
    assert half["visible"].tolist() == [0.5]
    assert half[["width", "height"]].to_numpy().tolist() == [[50, 50]]


def test_each_image_is_moved_by_its_own_size() -> None:
    boxes = pd.concat([drawn((0, 0, 10, 10), image="wide"), drawn((0, 0, 10, 10), image="high")], ignore_index=True)
    moved = to_cached(boxes, ["pad-square", "resize"], 10, {"wide": (50, 100), "high": (200, 100)})
    assert moved[["x0", "y0", "x1", "y1"]].to_numpy().tolist() == [[0, 2.5, 1, 3.5], [2.5, 0, 3, 0.5]]


def test_greys_do_not_move_a_box() -> None:
    plain = to_cached(drawn((3, 4, 20, 30)), ["centre-crop", "resize"], 64, {"a": (50, 61)})
    steps: list[Any] = [
        "equalize",
        "centre-crop",
        {"block": "clahe", "clip_limit": 0.02},
        {"block": "resize", "filter": "skimage"},
    ]
    pd.testing.assert_frame_equal(plain, to_cached(drawn((3, 4, 20, 30)), steps, 64, {"a": (50, 61)}))


def test_no_box_at_all_is_no_error() -> None:
    assert to_cached(drawn(), ["centre-crop", "resize"], 64, {}).empty


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda boxes: to_cached(boxes, ["resize"], 8, {}),
            "image 'a' has boxes, and its height and width are not known",
        ),
        (lambda boxes: to_cached(boxes, ["resize"], 8), "image 'a' has boxes, and its height and width are not known"),
        (
            lambda boxes: to_cached(boxes, ["resize"], 8, {"a": (99, 50)}),
            "image 'a': a box of 'Mass' ends at x1 = 60, outside of 50 x 99 pixels",
        ),
    ],
)
def test_boxes_without_a_place_are_refused(change: Callable[[pd.DataFrame], object], message: str) -> None:
    with pytest.raises(DataError) as caught:
        change(drawn((10, 20, 60, 90)))
    assert str(caught.value) == message


def test_it_is_known_how_each_of_our_steps_moves_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    from xrbench.blocks import BLOCKS

    assert set(TRANSFORMS) == set(BLOCKS["preprocessing"])
    with pytest.raises(CardError, match=r"preprocessing 'numpy:flipud': it is not known how it moves boxes"):
        to_cached(drawn((1, 2, 3, 4)), ["numpy:flipud"], 8, {"a": (9, 9)})
