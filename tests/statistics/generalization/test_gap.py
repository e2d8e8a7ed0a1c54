from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from xrbench import statistics
from xrbench.statistics import Cell


def test_gap_is_internal_minus_external_with_independent_errors(draw_images: Callable[..., Any]) -> None:
    inside, outside = draw_images(1, 300, 2, shift=2.0), draw_images(2, 300, 2, shift=0.5)
    cells = [Cell("in", *inside), Cell("out", *outside)]
    row = statistics.gap(cells[:1], cells[1:], labels=["a", "b"], replicates=2000)[2]
    means = [statistics.estimate(*part, labels=["a", "b"], replicates=2000)[2] for part in (inside, outside)]
    assert (row.internal, row.external) == pytest.approx((means[0].value, means[1].value), abs=1e-12)
    widths = [(mean.high - mean.low) / 3.92 for mean in means]
    assert row.error == pytest.approx(math.hypot(*widths), rel=0.07)
    assert 0 < row.low < row.gap < row.high


def test_shared_patients_cancel(draw_images: Callable[..., Any]) -> None:
    data = draw_images(3, 200)
    same = statistics.gap([Cell("x", *data)], [Cell("x", *data)], labels=["a"], replicates=200)[0]
    assert (same.gap, same.low, same.high) == (0.0, 0.0, 0.0)
    apart = statistics.gap([Cell("x", *data)], [Cell("y", *data)], labels=["a"], replicates=200)[0]
    assert apart.low < 0 < apart.high


def test_a_missing_side_is_said(draw_images: Callable[..., Any]) -> None:
    data = draw_images(3, 200)
    blank = Cell("y", data.truth * 0, data.score, data.patient)
    row = statistics.gap([Cell("x", *data)], [blank], labels=["a"], replicates=50)[0]
    assert math.isnan(row.gap)
    assert row.reason == "no external cell has a value"


def test_the_mean_gap_is_over_labels_that_both_sides_have(draw_images: Callable[..., Any]) -> None:
    inside, outside = draw_images(1, 200, 2, shift=2.0), draw_images(2, 200, 2, shift=0.5)
    truth = inside.truth.copy()
    truth[:, 1] = 0
    cells = [Cell("in", truth, inside.score, inside.patient), Cell("out", *outside)]
    first, second, mean = statistics.gap(cells[:1], cells[1:], labels=["a", "b"], replicates=50)
    assert math.isnan(second.gap)
    assert (mean.gap, mean.external, mean.low) == (first.gap, first.external, first.low)
    nothing = [Cell("in", inside.truth * 0, inside.score, inside.patient), Cell("out", *outside)]
    assert statistics.gap(nothing[:1], nothing[1:], labels=["a", "b"], replicates=50)[2].reason
