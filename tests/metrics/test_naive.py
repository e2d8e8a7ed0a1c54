"""What guessing gives, by hand, by simulation, and with the figures that a paper printed."""

from __future__ import annotations

import numpy as np
import pytest

from xrbench.errors import MeasureError
from xrbench.metrics.naive import naive_accuracy


def test_guesses_by_hand() -> None:
    found = naive_accuracy([5, 3, 2], [1, 1, 2])
    assert found.uniform == pytest.approx(1 / 3)
    assert found.proportional == pytest.approx((1 + 1 + 4) / 16)
    assert found.from_training == pytest.approx(0.5 * 0.25 + 0.3 * 0.25 + 0.2 * 0.5)
    assert found.commonest == pytest.approx(0.25)


def test_six_classes_are_guessed_with_the_printed_accuracy() -> None:
    # Zhou: 1/K = 1/6, printed as 0.167.
    assert round(naive_accuracy([1] * 6, [4, 1, 1, 1, 1, 9]).uniform, 3) == 0.167


def test_a_simulated_guesser_gets_there() -> None:
    generator = np.random.default_rng(1)
    train, test = np.array([40, 30, 20, 10]), np.array([10, 20, 30, 40])
    truth = np.repeat(np.arange(4), test)
    drawn = generator.choice(4, size=(4000, len(truth)), p=train / train.sum())
    assert naive_accuracy(train, test).from_training == pytest.approx((drawn == truth).mean(), abs=0.002)


def test_proportional_guessing_lies_between_uniform_and_the_commonest_class() -> None:
    generator = np.random.default_rng(2)
    for _ in range(50):
        counts = generator.integers(0, 100, 6) + np.array([1, 0, 0, 0, 0, 0])
        found = naive_accuracy(counts, counts)
        assert found.uniform - 1e-12 <= found.proportional <= found.commonest + 1e-12
        assert found.proportional == found.from_training


def test_nothing_to_guess_on_is_undefined() -> None:
    assert all(np.isnan(value) for value in naive_accuracy([1, 1], [0, 0]))
    without = naive_accuracy([0, 0], [1, 3])
    assert np.isnan(without.from_training)
    assert np.isnan(without.commonest)
    assert without.proportional == pytest.approx(10 / 16)


@pytest.mark.parametrize(("train", "test"), [([1, 2], [1, 2, 3]), ([-1, 2], [1, 1]), ([], [])])
def test_what_is_no_count_is_refused(train: list[int], test: list[int]) -> None:
    with pytest.raises(MeasureError):
        naive_accuracy(train, test)
