"""The rule chooses the same images every time, whatever the order of rows, and half of them were misclassified."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xrbench.errors import UnknownNameError, UsageError
from xrbench.explain.image_selection import by_rule, named, read_list
from xrbench.explain.run_cells import NetworkCell

MakeCell = Callable[..., NetworkCell]


@pytest.fixture
def many() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = (rng.random((80, 1)) < 0.5).astype(float)
    truth[:5] = np.nan
    return truth, np.clip(0.5 + 0.3 * (truth - 0.5) + rng.normal(0, 0.25, truth.shape), 0.01, 0.99)


def chosen(cell: NetworkCell, count: int) -> list[str]:
    return [item.image[1] for item in by_rule([cell], [0], count)]


def test_half_are_true_positives_and_half_errors(make_cell: MakeCell, many: tuple[np.ndarray, np.ndarray]) -> None:
    truth, score = many[0], np.nan_to_num(many[1], nan=0.7)
    cell = make_cell(truth, score)
    items = by_rule([cell], [0], 6)
    right = [truth[item.row, 0] == 1 and score[item.row, 0] >= 0.5 for item in items]
    wrong = [(truth[item.row, 0] == 1) != (score[item.row, 0] >= 0.5) for item in items]
    assert right == [True] * 3 + [False] * 3
    assert wrong == [False] * 3 + [True] * 3
    assert not np.isnan([truth[item.row, 0] for item in items]).any()


def test_the_order_of_rows_does_not_matter(make_cell: MakeCell, many: tuple[np.ndarray, np.ndarray]) -> None:
    truth, score = np.nan_to_num(many[0]), np.nan_to_num(many[1], nan=0.7)
    turned = make_cell(
        truth, score, name="m/net/turned/here", order=lambda frame: frame.iloc[::-1].reset_index(drop=True)
    )
    assert chosen(make_cell(truth, score), 8) == chosen(turned, 8)
    assert chosen(turned, 8)[:1] == chosen(turned, 2)[:1], "more images add to fewer"


def test_a_short_half_is_filled_by_the_other(make_cell: MakeCell) -> None:
    cell = make_cell([[1]] * 5 + [[0]] * 2, [[0.9]] * 5 + [[0.8], [0.1]])
    assert sorted(chosen(cell, 4)) == sorted({*chosen(cell, 4)})
    assert len(chosen(cell, 4)) == 4
    assert "i5" in chosen(cell, 4), "the only error"
    assert "i6" not in chosen(cell, 99), "negatives that were called so show nothing"


def test_the_threshold_of_validation_says_what_is_called(make_cell: MakeCell) -> None:
    truth, score = [[1], [1], [0], [0]], [[0.3], [0.1], [0.25], [0.05]]
    assert not make_cell(truth, score).predicted.any()
    cell = make_cell(truth, score, name="m/net/low/here", thresholds={"Edema": 0.25})
    assert cell.predicted[:, 0].tolist() == [True, False, True, False]


def test_of_exclusive_classes_the_highest_is_called_and_the_first_of_equals(make_cell: MakeCell) -> None:
    cell = make_cell([[1, 0], [0, 1]], [[0.5, 0.5], [0.2, 0.8]], exclusive=True)
    assert cell.predicted.tolist() == [[True, False], [False, True]]
    assert np.isnan(cell.threshold("Edema"))


def test_networks_of_one_test_set_are_shown_the_same_images(make_cell: MakeCell) -> None:
    rng = np.random.default_rng(1)
    truth = (rng.random((40, 1)) < 0.5).astype(float)
    first = make_cell(truth, rng.random((40, 1)), name="m/net/a/seed-0/here")
    other = make_cell(
        truth,
        rng.random((40, 1)),
        name="m/net/a/seed-1/here",
        order=lambda frame: frame.iloc[5:].reset_index(drop=True),
    )
    items = by_rule([first, other], [0], 6)
    pictures = [{item.image for item in items if item.cell is cell} for cell in (first, other)]
    assert pictures[1] == {picture for picture in pictures[0] if picture[1] not in ("i0", "i1", "i2", "i3", "i4")}


def test_named_images_are_found_in_every_cell_that_has_them(make_cell: MakeCell) -> None:
    here = make_cell([[1], [0]], [[0.9], [0.1]])
    there = make_cell([[1], [0]], [[0.9], [0.1]], name="m/net/a/seed-0/there", dataset="there")
    assert [item.image for item in named([here, there], [0], ["i1"])] == [("here", "i1"), ("there", "i1")]
    assert [item.image for item in named([here, there], [0], ["there/i1"])] == [("there", "i1")]
    with pytest.raises(UnknownNameError, match=r"the chosen cells: unknown image 'i11'; did you mean 'i1'\?"):
        named([here, there], [0], ["i1", "i11"])


def test_a_list_of_images_has_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("\ufeffi1\n\n# a remark\n there/i2 \ni1\n", encoding="utf-8")
    assert read_list(path) == ("i1", "there/i2")
    path.write_text("# nothing\n")
    with pytest.raises(UsageError, match="names no image; expected one id a line"):
        read_list(path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_list(tmp_path / "none.txt")
