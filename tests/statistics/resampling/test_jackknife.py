"""Contrasts of two figures, from left-out values that can be worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from xrbench.statistics.resampling.contrast import contrast
from xrbench.statistics.resampling.jackknife import LeftOut, scaled_figure


def domain(values: list[float], positives: int) -> LeftOut:
    """Left-out values of one domain whose first ``positives`` groups have positives."""
    return LeftOut(np.array(values), (np.arange(len(values)) < positives).astype(np.int64))


@pytest.mark.parametrize(("positives", "fewest"), [((4, 8), 4), ((5, 12), 4), ((12, 4), 4), ((7, 9), 7)])
def test_a_perfect_figure_is_as_uncertain_as_its_rarest_class_in_any_domain(
    positives: tuple[int, int], fewest: int
) -> None:
    """Two domains of 16 groups: figure b is 1 and figure a is 0, whoever is left out."""
    perfect = [domain([1.0] * 16, count) for count in positives]
    zero = [domain([0.0] * 16, count) for count in positives]
    both = contrast((0.0, 1.0), (zero, perfect))
    assert both is not None
    # The rule of three on either side: a standard error of min(1, 3 / n) / 1.96, n the smallest class of all domains.
    assert both.error == pytest.approx(np.sqrt(2) * min(1.0, 3 / fewest) / 1.96, rel=1e-12)
    same = contrast((1.0, 1.0), (perfect, perfect))
    assert same is not None
    assert same.error == 0.0


@pytest.mark.parametrize(
    "values",
    [[0.8, float("nan"), 0.7, 0.75], [0.8], []],
    ids=["a patient without whom it is undefined", "one patient", "no patient"],
)
def test_left_out_values_that_do_not_show_an_error_give_none(values: list[float]) -> None:
    part = LeftOut(np.array(values), np.zeros(len(values), np.int64))
    assert scaled_figure(0.75, [part]) is None
