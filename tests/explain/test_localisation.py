"""Shares and hits are those that can be counted on squared paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrbench.explain.localisation import dilated, localise, peak, region, spread


@given(x0=st.integers(0, 11), y0=st.integers(0, 8), width=st.integers(1, 12), height=st.integers(1, 9))
def test_of_a_map_without_preference_the_share_is_the_area(x0: int, y0: int, width: int, height: int) -> None:
    box = (x0, y0, min(x0 + width, 12), min(y0 + height, 9))
    found = localise(np.full((9, 12), 0.3), [box])
    area = (box[2] - box[0]) * (box[3] - box[1]) / 108
    assert found.share == pytest.approx(area)
    assert found.area == pytest.approx(area)


def test_boxes_of_several_readers_are_one_region() -> None:
    values = np.zeros((4, 4))
    values[0, 0], values[1, 1], values[3, 3] = 1, 2, 1
    found = localise(values, [(0, 0, 2, 2), (1, 1, 3, 3)])
    assert found.share == pytest.approx(3 / 4), "what both marked counts once"
    assert found.area == pytest.approx(7 / 16)
    assert found.hit == 1


def test_the_highest_point_may_lie_outside_by_the_tolerance() -> None:
    values = np.zeros((9, 9))
    values[4, 8] = 1
    box = [(2.0, 2.0, 6.0, 6.0)]
    hits = {tolerance: localise(values, box, tolerance=tolerance).hit for tolerance in (0, 2.9, 3)}
    assert hits == {0: 0.0, 2.9: 0.0, 3: 1.0}, "column 8 is three columns behind column 5"
    assert localise(values, box, tolerance=1).near == pytest.approx((16 + 4 * 4) / 81), (
        "a rim of four sides, no corners"
    )
    assert localise(values, box, tolerance=99).near == 1


def test_a_box_thinner_than_a_pixel_is_not_lost() -> None:
    assert region([(2.6, 0, 2.9, 4)], (4, 4))[:, 2].all()
    assert region([(3.6, 3.6, 4.0, 4.0)], (4, 4)).sum() == 1
    assert dilated(np.zeros((2, 2), bool), 0).sum() == 0


def test_a_map_that_points_nowhere_has_no_figures() -> None:
    found = localise(np.zeros((3, 3)), [(0, 0, 1, 1)])
    assert np.isnan([found.share, found.hit]).all()
    assert found.area == pytest.approx(1 / 9)
    assert np.isnan(spread(np.zeros((3, 3)))[:5]).all()


def test_the_middle_of_a_plateau_is_its_highest_point() -> None:
    """What is made larger from few cells is flat at the rim; the corner of the flat part is no better than the rest."""
    values = np.zeros((8, 8))
    values[0:3, 5:8] = 1
    assert peak(values) == (1, 6)
    values[7, 0] = 1
    assert values[peak(values)] == 1


@given(st.lists(st.floats(0, 1), min_size=12, max_size=12))
def test_inside_and_outside_make_the_whole(numbers: list[float]) -> None:
    values = np.array(numbers).reshape(3, 4) + 1e-3
    left, right = localise(values, [(0, 0, 1.2, 3)]), localise(values, [(1.2, 0, 4, 3)])
    assert left.share + right.share == pytest.approx(1)
    assert left.hit + right.hit == 1


@pytest.mark.parametrize(("below", "expected"), [(0.9e-6, (0, 1)), (1.1e-6, (0, 2))])
def test_values_within_a_millionth_of_the_highest_are_one_plateau(below: float, expected: tuple[int, int]) -> None:
    """Rounding while a map is made larger leaves no false peak at the rim of a plateau; a real difference is a peak."""
    for scale in (1e-3, 1.0, 50.0):
        values = np.zeros((3, 4))
        values[0, :3] = scale * (1 - below)
        values[0, 2] = scale
        assert peak(values) == expected
