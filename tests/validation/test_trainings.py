"""What the tool says of methods and of its gate, held against simulations whose tables are committed beside this file.

The tables are made by ``simulate_trainings.py`` and ``simulate_gate.py``; each bound is asserted on every row, with two Monte Carlo
standard errors of room. Small simulations show that the tables are of the code as it is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.validation import simulate_gate as gate
from tests.validation import simulate_trainings as trainings
from xrbench.statistics.resampling.jackknife import freedom

HERE = Path(__file__).parent


TABLE = pd.read_csv(HERE / "trainings.csv")
DECISIONS = pd.read_csv(HERE / "gate.csv")
ROOM = 2 * TABLE["error"]


def test_every_scene_was_simulated_often() -> None:
    assert (TABLE["repetitions"] >= 10_000).all()
    assert (DECISIONS["repetitions"] >= 2_000).all()
    questions = [4 if scene.settings == 1 and scene.trainings[0] > 1 else 1 for scene in trainings.scenes()]
    assert len(TABLE) == sum(questions)
    assert len(DECISIONS) == len(list(gate.scenes()))


@pytest.mark.parametrize(("fewest", "bound"), [(1, 6.5), (3, 6.5), (5, 6.0)])
def test_equal_methods_are_rarely_called_different(fewest: int, bound: float) -> None:
    null = TABLE["question"].isin(["difference", "difference of gaps"]) & (TABLE["apart"] == 0)
    least = TABLE[["trainings_a", "trainings_b"]].min(axis=1)
    chosen = null & (least >= fewest)
    assert chosen.sum() > 5
    assert (TABLE["verdicts"] <= bound + ROOM)[chosen].all(), TABLE[chosen & (TABLE["verdicts"] > bound)]


def test_intervals_hold_the_truth() -> None:
    enough = TABLE[["trainings_a", "trainings_b"]].min(axis=1) >= 3
    assert TABLE.loc[enough, "coverage"].between(93 - ROOM[enough], 97.5 + ROOM[enough]).all()
    assert set(TABLE.loc[enough, "question"]) == set(trainings.DRAWN)


def test_patients_alone_call_equal_methods_different() -> None:
    """The reason why trainings are counted: with seeds left out, far more than 5 %."""
    spread = (
        (TABLE["question"] == "difference")
        & (TABLE["apart"] == 0)
        & (TABLE["sd_a"] >= 0.016)
        & (TABLE["sd_b"] >= 0.016)
    )
    large = spread & (TABLE["patients"] >= 1000) & (TABLE["trainings_a"] == 3)
    assert (TABLE.loc[large, "patients_only"] > 10).all()


def test_power_rises_with_trainings_and_differences() -> None:
    power = TABLE[(TABLE["question"] == "difference") & (TABLE["apart"] > 0)]
    for _, of_scene in power.groupby(["sd_a", "apart"]):
        assert of_scene.sort_values("trainings_a")["verdicts"].is_monotonic_increasing
    for _, of_scene in power.groupby(["sd_a", "trainings_a"]):
        assert of_scene.sort_values("apart")["verdicts"].is_monotonic_increasing


def test_the_gate_rarely_calls_a_regression_where_there_is_none() -> None:
    fine = DECISIONS["loss"] <= DECISIONS["margin"]
    assert (DECISIONS.loc[fine, "regression"] <= 5).all()


def test_the_gate_rarely_passes_a_loss_at_its_margin_and_catches_a_planted_one() -> None:
    at_margin = (DECISIONS["loss"] == DECISIONS["margin"]) & (DECISIONS["sections"] > 1)
    assert (DECISIONS.loc[at_margin, "passed"] <= 5).all()
    planted = DECISIONS["loss"] == 0.05
    assert (DECISIONS.loc[planted, "regression"] >= 80).all()
    steady = (DECISIONS["loss"] == 0) & (DECISIONS["sd"] == 0.005)
    assert (DECISIONS.loc[steady, "passed"] >= 80).all(), "it can decide"


def test_a_small_simulation_gives_the_table(tmp_path: Path) -> None:
    scene = trainings.Scene((3, 3), (0.016, 0.016), patients=300)
    for row in trainings.simulate(scene, 400, seed=1):
        same = (TABLE["question"] == row.question) & (TABLE["patients"] == 300) & (TABLE["sd_a"] == 0.016)
        same &= (TABLE["sd_b"] == 0.016) & (TABLE["trainings_a"] == 3) & (TABLE["settings"] == 1)
        (expected,) = TABLE.loc[same, "coverage"]
        assert row.coverage == pytest.approx(expected, abs=4)
    trainings.write(trainings.simulate(scene, 20), tmp_path)
    assert list(pd.read_csv(tmp_path / "trainings.csv")) == list(TABLE)
    assert (tmp_path / "trainings.md").read_text().count("\n") == (HERE / "trainings.md").read_text().count("\n") - len(
        TABLE
    ) + 4


def test_the_simulations_degrees_of_freedom_are_those_of_the_jackknife() -> None:
    shares = np.random.default_rng(0).normal(size=60)
    strata = (np.arange(60) >= 15).astype(np.int64)
    assert trainings._freedom([(shares, 15)]) == pytest.approx(freedom([shares], [strata]))


def test_a_small_simulation_of_the_gate_gives_its_table(tmp_path: Path) -> None:
    scene = gate.Scene(loss=0.02)
    row = gate.simulate(scene, 100, seed=1)
    assert row.regression <= 10
    assert row.passed <= 5
    gate.write([row], tmp_path)
    assert list(pd.read_csv(tmp_path / "gate.csv")) == list(DECISIONS)
