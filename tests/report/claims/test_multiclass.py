"""Claims about multi-class labels, on predictions whose shares are counted by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xrbench import cards
from xrbench.errors import UnknownNameError
from xrbench.report.claims import multiclass as checks
from xrbench.report.run_folder import Run

Make = Callable[..., Run]
Frames = Callable[..., pd.DataFrame]
CLAIM = cards.Claim(text="A sentence", kind="accuracy-above")
CLASSES = ("No Finding", "Cardiomegaly", "Mass", "Opacity", "Effusion")
SUITE = cards.SuiteCard(
    title="Classes",
    name="classes",
    task="multiclass",
    labels=CLASSES,
    methods=("sgd", "sgd-ensemble"),
    metrics=("accuracy",),
)


def blocks(*counts: int) -> list[int]:
    """List so many images of each class."""
    return [label for label, count in enumerate(counts) for _ in range(count)]


def with_right(truth: Sequence[int], right: int, *, instead: int = 0) -> list[int]:
    """Call the first so many images right and the others by another class."""
    return [label if at < right else (instead if label != instead else 1) for at, label in enumerate(truth)]


@pytest.fixture
def cell(exclusive: Frames) -> Callable[..., dict[str, Any]]:
    def make(truth: Sequence[int], called: Sequence[int], *, sure: float = 0.9, **about: Any) -> dict[str, Any]:
        dataset = about.get("test", "c")
        return {"method": "sgd", **about, "frame": exclusive(dataset, CLASSES, truth, called, sure=sure)}

    return make


Cell = Callable[..., dict[str, Any]]
EVEN = blocks(40, 40, 40, 40, 40)


def test_accuracy_above_a_number(made_run: Make, cell: Cell) -> None:
    shuffled = list(np.random.default_rng(1).permutation(EVEN))
    run = made_run(SUITE, [cell(shuffled, with_right(shuffled, 120))])
    found = checks.accuracy_above(run, CLAIM, floor=0.5)
    assert (found.outcome, found.parts[0].first, found.parts[0].second) == ("holds", 0.6, 0.5)
    # One share against a number, one image a patient: the ordinary error with n - 1.
    assert found.parts[0].error == pytest.approx(np.sqrt(0.6 * 0.4 / 199))
    assert checks.accuracy_above(run, CLAIM, floor=0.95).outcome == "does not hold"
    assert checks.accuracy_above(run, CLAIM, floor=0.58).outcome == "cannot tell"
    assert checks.accuracy_above(run, CLAIM, floor=0.5, protocol="internal").figures == "not measured"


def test_accuracy_above_proportional_guessing(made_run: Make, cell: Cell) -> None:
    truth = blocks(100, 50, 50, 0, 0)
    # Shares 1/2, 1/4, 1/4: 1/4 + 1/16 + 1/16.
    found = checks.accuracy_above(made_run(SUITE, [cell(truth, with_right(truth, 110))]), CLAIM, floor="proportional")
    assert (found.parts[0].second, found.outcome) == (0.375, "holds")


def test_an_ensemble_gains_over_its_members(made_run: Make, cell: Cell) -> None:
    members = [
        cell(EVEN, with_right(EVEN, right), seed=seed, protocol="internal", test="a")
        for seed, right in ((0, 100), (1, 140))
    ]
    whole = cell(EVEN, with_right(EVEN, 160), protocol="internal", test="a", method="sgd-ensemble", members=2)
    found = checks.ensemble_gain(made_run(SUITE, [*members, whole]), CLAIM)
    assert found.outcome == "holds"
    # 160 of 200 against the mean of 100 and 140.
    assert (found.parts[0].first, found.parts[0].second) == pytest.approx((0.8, 0.6))
    gains = np.r_[np.zeros(100), np.full(40, 0.5), np.ones(20), np.zeros(40)]
    assert found.parts[0].difference == pytest.approx(gains.mean())
    assert found.parts[0].error == pytest.approx(gains.std(ddof=1) / np.sqrt(200))
    worse = cell(EVEN, with_right(EVEN, 60), protocol="internal", test="a", method="sgd-ensemble", members=2)
    assert checks.ensemble_gain(made_run(SUITE, [*members, worse]), CLAIM).outcome == "does not hold"
    assert checks.ensemble_gain(made_run(SUITE, members), CLAIM).figures == "not measured"


def test_most_images_are_called_one_class(made_run: Make, cell: Cell) -> None:
    called = [0] * 140 + [1] * 60
    run = made_run(SUITE, [cell(EVEN, called)])
    assert checks.most_predicted(run, CLAIM, predicted="No Finding").outcome == "holds"
    assert checks.most_predicted(run, CLAIM, predicted="Cardiomegaly").outcome == "does not hold"
    assert checks.most_predicted(run, CLAIM, predicted="No Finding", floor=0.69).outcome == "cannot tell"
    every = made_run(SUITE, [cell(EVEN, [0] * 200)])
    assert checks.most_predicted(every, CLAIM, predicted="No Finding").outcome == "holds"
    with pytest.raises(UnknownNameError, match="did you mean 'No Finding'"):
        checks.most_predicted(run, CLAIM, predicted="No Findings")


def test_the_class_that_is_predicted_next(made_run: Make, cell: Cell) -> None:
    called = [0] * 100 + [1] * 60 + [2] * 20 + [3] * 10 + [4] * 10
    run = made_run(SUITE, [cell(EVEN, called)])
    found = checks.predicted_next(run, CLAIM, predicted="Cardiomegaly", after=["No Finding"])
    assert found.outcome == "holds"
    assert [one.difference for one in found.parts] == pytest.approx([40 / 200, 50 / 200, 50 / 200])
    assert checks.predicted_next(run, CLAIM, predicted="Mass", after=["No Finding"]).outcome == "does not hold"


def test_the_class_that_is_recognised_best(made_run: Make, cell: Cell) -> None:
    called = [0] * 38 + [1] * 2 + [1] * 10 + [0] * 30 + [0] * 120
    run = made_run(SUITE, [cell(EVEN, called)])
    found = checks.best_recalled(run, CLAIM, recalled="No Finding")
    assert found.outcome == "holds"
    # 38 of 40 against 10 of 40, and against none of the others.
    assert [one.difference for one in found.parts] == pytest.approx([0.7, 0.95, 0.95, 0.95])
    assert checks.best_recalled(run, CLAIM, recalled="Cardiomegaly").outcome == "does not hold"


def learned(*counts: int, configuration: str = "one") -> dict[str, Any]:
    positive = dict(zip(CLASSES, counts, strict=True))
    return {"configuration": configuration, "dataset": "a", "seed": 0, "split": "train", "positive": positive}


def test_recall_that_rises_with_how_often_a_class_was_learned(made_run: Make, cell: Cell) -> None:
    recalled = (40, 30, 20, 10, 5)
    called = [label if at < recalled[label] else (label + 1) % 5 for label in range(5) for at in range(40)]
    rising = made_run(SUITE, [cell(EVEN, called)], manifest={"splits": [learned(900, 700, 500, 300, 100)]})
    found = checks.recall_rises(rising, CLAIM)
    # All five in order: 2 of 120 orders are as far from nothing.
    assert found.parts[0].difference == 1.0
    assert found.support == pytest.approx(2 / 120)
    assert found.outcome == "holds"
    falling = made_run(SUITE, [cell(EVEN, called)], manifest={"splits": [learned(100, 300, 500, 700, 900)]})
    assert checks.recall_rises(falling, CLAIM).outcome == "does not hold"
    mixed = made_run(SUITE, [cell(EVEN, called)], manifest={"splits": [learned(900, 500, 700, 100, 300)]})
    assert checks.recall_rises(mixed, CLAIM).outcome == "cannot tell"


def test_three_classes_are_too_few_for_a_correlation(made_run: Make, cell: Cell) -> None:
    truth = blocks(40, 40, 40, 0, 0)
    called = [label if at < (40, 20, 5)[label] else 4 for label in range(3) for at in range(40)]
    run = made_run(SUITE, [cell(truth, called)], manifest={"splits": [learned(900, 500, 100, 50, 50)]})
    found = checks.recall_rises(run, CLAIM)
    assert found.outcome == "cannot tell"
    assert "fewer than four classes" in found.figures


def test_confidence_that_falls_outside(made_run: Make, cell: Cell) -> None:
    inside = cell(EVEN, EVEN, sure=0.9, test="a", protocol="internal")
    inside["frame"].loc[:99, [f"score:{label}" for label in CLASSES]] *= 0.98
    outside = cell(EVEN, EVEN, sure=0.6)
    outside["frame"].loc[:99, [f"score:{label}" for label in CLASSES]] *= 0.98
    found = checks.confidence_falls(made_run(SUITE, [inside, outside]), CLAIM)
    assert found.outcome == "holds"
    assert (found.parts[0].first, found.parts[0].second) == pytest.approx((0.9 * 0.99, 0.6 * 0.99))
    learned_ = {**inside, "protocol": "resubstitution"}
    assert checks.confidence_falls(made_run(SUITE, [learned_, outside]), CLAIM).figures == "not measured"


def test_figures_on_training_images_are_set_against_nothing(made_run: Make, cell: Cell) -> None:
    cells = [
        cell(EVEN, EVEN, test="a", protocol="resubstitution", configuration="full"),
        cell(EVEN, with_right(EVEN, 50), configuration="full"),
        cell(EVEN, with_right(EVEN, 120), test="a", protocol="internal", configuration="part"),
    ]
    run = made_run(SUITE, cells)
    drop = checks.not_comparable(run, CLAIM, configuration="full")
    assert drop.outcome == "cannot tell"
    assert drop.figures == "full on its training images: accuracy 1.000; full external: accuracy 0.250"
    assert np.isnan(drop.support)
    other = checks.not_comparable(run, CLAIM, configuration="full", other="part")
    assert other.figures.endswith("part internal: accuracy 0.600")
    assert "not measured" in checks.not_comparable(run, CLAIM, configuration="part").figures


def test_suites_of_several_findings_answer_none_of_these(made_run: Make, findings: Frames) -> None:
    run = made_run(
        cards.SuiteCard(title="t", name="t", labels=("Edema",)), [{"frame": findings("c", Edema=([1, 0], [0.9, 0.1]))}]
    )
    assert checks.accuracy_above(run, CLAIM, floor=0.5).outcome == "cannot tell"
    assert checks.recall_rises(run, CLAIM).figures == "not measured"
