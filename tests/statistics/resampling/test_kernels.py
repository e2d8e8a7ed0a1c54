"""The compiled passes on samples that can be worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from xrbench.statistics.resampling import kernels
from xrbench.statistics.resampling.replicates import LANES


@pytest.mark.parametrize(
    ("x", "positive", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], False),
        ([0.3, 0.4, 0.1, 0.2], [0, 0, 1, 1], False),
        ([0.1, 0.3, 0.2, 0.4], [0, 0, 1, 1], True),
        ([0.1, 0.2, 0.2, 0.3], [0, 0, 1, 1], False),
        ([-0.1, -0.3, -0.2, -0.4], [0, 0, 1, 1], True),
    ],
)
def test_classes_overlap_when_neither_lies_wholly_above_the_other(
    x: list[float], positive: list[int], expected: bool
) -> None:
    counts = np.ones((len(x), LANES), np.uint8)
    # In lane 1 only one image of each class is drawn, which never overlap in an inner interval.
    counts[[1, 3], 1] = 0
    overlap = np.empty(LANES, bool)
    kernels.overlap_pass(counts, np.arange(len(x), dtype=np.int32), np.array(x), np.array(positive, bool), overlap)
    assert overlap[0] == expected
    assert not overlap[1]


def test_a_class_that_is_not_drawn_overlaps_with_nothing() -> None:
    counts = np.ones((4, LANES), np.uint8)
    counts[2:, 3] = 0
    overlap = np.empty(LANES, bool)
    positive = np.array([False, False, True, True])
    kernels.overlap_pass(counts, np.arange(4, dtype=np.int32), np.array([0.1, 0.3, 0.2, 0.4]), positive, overlap)
    assert overlap[0]
    assert not overlap[3]
