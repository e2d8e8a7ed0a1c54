"""What the tool says of its intervals and tests, held against the simulation whose table is committed beside this file.

The table is made by ``simulate.py`` (hours); every claim is asserted on its rows. A row's percentage is itself uncertain: a claim
falls when a row contradicts it by more than two of its standard errors. A small simulation shows that the machinery is sound.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xrbench.statistics.intervals import cautions
from xrbench.statistics.intervals.interval_kinds import ENOUGH, ENOUGH_FOR

HERE = Path(__file__).parent
LOW, HIGH = 93.5, 96.5


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"validation_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


simulate = load("simulate")


@pytest.fixture(scope="module")
def table() -> Any:
    """The committed rows, with the error of each percentage and the patients that a sample has of the rarer class."""
    rows = pd.read_csv(HERE / "coverage.csv")
    share = rows["covered"] / 100
    rows["error"] = 100 * np.sqrt(share * (1 - share) / (rows["simulations"] - rows["none"]))
    # A patient of an ill person's 1 to 8 images has a positive one unless all are negative, and the other way round.
    images = np.arange(1, 9)
    ill = rows["prevalence"] / rows["purity"]
    some = [1 - np.mean((1 - purity) ** images) for purity in rows["purity"]]
    whole = [np.mean(purity**images) for purity in rows["purity"]]
    positive, negative = rows["patients"] * ill * some, rows["patients"] * (1 - ill * np.array(whole))
    rows["fewest"], rows["most"] = np.minimum(positive, negative), np.maximum(positive, negative)
    return rows


def outside(rows: Any, low: float = LOW, high: float = HIGH) -> list[str]:
    """List the rows that lie outside the limits by more than two of their errors."""
    wrong = rows[(rows["covered"] + 2 * rows["error"] < low) | (rows["covered"] - 2 * rows["error"] > high)]
    return [
        " ".join(map(str, row)) for row in wrong[["what", "kind", "patients", "prevalence", "truth", "covered"]].values
    ]


def test_the_whole_grid_was_simulated(table: Any) -> None:
    columns = ["what", "patients", "prevalence", "truth", "icc", "purity", "noise"]
    found = set(table[columns].itertuples(index=False, name=None))
    expected = set()
    for scene in simulate.scenes():
        truth = "-".join(map(str, scene.truth)) + (f" share {scene.share}" if scene.share != 0.5 else "")
        expected.add((scene.what, scene.patients, scene.prevalence, truth, scene.icc, scene.purity, scene.noise))
    assert {tuple(map(str, row)) for row in found} == {tuple(map(str, row)) for row in expected}
    assert table["simulations"].min() >= 500


def test_the_default_interval_of_the_auc_holds_everywhere(table: Any) -> None:
    mine = table[(table["what"] == "auc") & (table["kind"] == "default")]
    assert len(mine) == 54
    assert outside(mine, LOW, 99.5) == []
    # Wide on purpose where few patients could show an outlier, and only there.
    assert outside(mine[mine["fewest"] >= 200], LOW, 97) == []
    assert 94.5 <= mine["covered"].median() <= 97
    # Neither tail carries all of the error.
    assert mine["too_high"].max() < 4
    assert mine["too_low"].max() < 4


def test_the_default_interval_of_the_auc_holds_with_scores_that_are_not_normal(table: Any) -> None:
    """Outliers, five grades, mislabelled patients, informative numbers of images; DeLong's interval falls short there."""
    mine = table[table["what"] == "noise"]
    assert set(mine["noise"]) == set(simulate.NOISES)
    default, delong = mine[mine["kind"] == "default"], mine[mine["kind"] == "delong"]
    assert outside(default, LOW, 99.8) == []
    assert default["too_high"].max() < 4
    assert default["none"].sum() == 0
    assert delong["covered"].min() < 88


def test_default_intervals_of_further_metrics_hold(table: Any) -> None:
    mine = table[table["what"] == "more"]
    assert {kind.partition(":")[0] for kind in mine["kind"]} == set(simulate.MORE)
    assert outside(mine, LOW, 97.5) == []


def test_images_taken_as_independent_never_hold(table: Any) -> None:
    mine = table[(table["what"] == "auc") & table["kind"].str.startswith("image-level")]
    assert len(mine) >= 54
    assert mine["covered"].max() < LOW
    tests = table[table["kind"] == "test: image-level delong"]
    assert tests["covered"].max() < 90


@pytest.mark.parametrize("kind", sorted(ENOUGH_FOR))
def test_kinds_hold_where_the_tool_does_not_warn(table: Any, kind: str) -> None:
    mine = table[(table["what"] == "auc") & (table["kind"] == kind)]
    if kind == "stratified":
        assert len(mine) == 0  # the same percentiles of draws within classes: warned of like the bootstrap
        assert ENOUGH_FOR[kind] == ENOUGH_FOR["bootstrap"]
        return
    assert outside(mine[mine["fewest"] >= ENOUGH_FOR[kind]]) == []
    # And the warning is needed: below, some scenes fall short.
    assert outside(mine[mine["fewest"] < ENOUGH_FOR[kind]]) != []


def test_default_intervals_of_other_figures_hold(table: Any) -> None:
    mine = table[table["what"].isin(["difference", "gap", "mean", "other"])]
    default = mine[(mine["kind"] == "default") | mine["kind"].str.endswith(": default")]
    default = default[~default["kind"].str.startswith("test")]
    assert len(default) >= 36 + 10 + 10 + 60
    # Drawing rare samples again until 20 patients are ill holds the prevalence steadier than nature does: intervals of figures
    # that depend on it (predictive values, F1, average precision) then hold more often than they would.
    steadied = default["kind"].str.startswith(("ppv", "f1", "average-precision"))
    assert outside(default[~steadied]) == []
    assert outside(default[steadied], LOW, 99) == []
    assert default["fewest"].min() >= ENOUGH - 1


def test_tests_err_as_often_as_they_say_or_the_tool_warns(table: Any) -> None:
    mine = table[(table["what"] == "difference") & table["kind"].str.startswith("test: ")]
    for kind in ("default", "bootstrap", "delong"):
        rows = mine[mine["kind"] == f"test: {kind}"]
        assert len(rows) == 18
        auc = rows["truth"].str.split("-").str[0].astype(float)
        safe = [cautions.conservative_test(int(most), one) != "" for most, one in zip(rows["most"], auc, strict=True)]
        name = {"default": [], "bootstrap": ["p_bootstrap"], "delong": ["p_delong"]}[kind]
        few = [cautions.few_for_tests(round(fewest), name) != "" for fewest in rows["fewest"]]
        warned = np.array(safe) | np.array(few)
        # Rejecting too rarely is warned of as well; too often, never by more than a point without a warning.
        assert outside(rows[~warned], 94, 96) == []
        assert outside(rows[np.array(safe)], 94, 98) == []


def test_nothing_was_left_without_an_interval(table: Any) -> None:
    default = table[(table["kind"] == "default") & (table["what"] == "auc")]
    assert default["none"].sum() == 0


def plausible(covered: float, simulations: int, nominal: float, chance: float = 1e-4) -> bool:
    """Tell whether so many of the simulations are no surprise at a nominal coverage."""
    low, high = stats.binom.ppf([chance / 2, 1 - chance / 2], simulations, nominal)
    return bool(low <= round(covered / 100 * simulations) <= high)


def test_a_small_simulation_is_plausible_and_repeats_itself() -> None:
    scene = simulate.Scene("gap", 100, 0.5, (0.85, 0.85))
    (row,) = simulate.simulate(scene, 300)
    assert plausible(row["covered"], 300, 0.95)
    assert not plausible(row["covered"], 300, 0.8)
    assert row == simulate.simulate(scene, 300)[0]
    assert row["covered"] + row["too_high"] + row["too_low"] == pytest.approx(100, abs=0.05)


def test_a_small_simulation_finds_image_level_intervals_too_narrow() -> None:
    rows = {row["kind"]: row for row in simulate.simulate(simulate.Scene("auc", 100, 0.5, (0.85,)), 150)}
    assert plausible(rows["default"]["covered"], 150, 0.95)
    assert not plausible(rows["image-level delong"]["covered"], 150, 0.95)
    assert rows["image-level delong"]["width"] < rows["default"]["width"]


def test_a_small_simulation_of_tests_under_the_null() -> None:
    rows = {row["kind"]: row for row in simulate.simulate(simulate.Scene("difference", 100, 0.5, (0.7, 0.7)), 150)}
    assert plausible(rows["test: default"]["covered"], 150, 0.95)
    assert not plausible(rows["test: image-level delong"]["covered"], 150, 0.95)
    assert math.isfinite(rows["default"]["width"])


def test_drawn_samples_have_the_auc_they_should() -> None:
    """The scores' shift is that of two normals with the stated AUC, whatever the patients share."""
    from xrbench import metrics

    for auc, icc, purity in ((0.7, 0.5, 1.0), (0.95, 0.2, 0.7)):
        rng = np.random.default_rng(1)
        sample = simulate.Sample(simulate.Scene("auc", 20_000, 0.3, (auc,), icc, purity), rng)
        assert metrics.auc(sample.truth, sample.scores[0]) == pytest.approx(auc, abs=0.006)
        assert sample.truth.mean() == pytest.approx(0.3, abs=0.015)


def test_scores_that_are_not_normal_have_the_auc_they_should() -> None:
    from xrbench import metrics

    for noise in simulate.NOISES:
        scene = simulate.Scene("noise", 20_000, 0.2, (0.9,), noise=noise)
        sample = simulate.Sample(scene, np.random.default_rng(1))
        assert metrics.auc(sample.truth, sample.scores[0]) == pytest.approx(0.9, abs=0.01)


def test_a_small_simulation_of_groups_that_do_not_differ() -> None:
    groups = load("groups")
    table = pd.read_csv(HERE / "groups.csv")
    assert [tuple(row) for row in table[list(groups.Scene._fields)].to_numpy().tolist()] == [
        tuple(s) for s in groups.SCENES
    ]
    error = 100 * np.sqrt(0.95 * 0.05 / table["simulations"])
    for column in ("differences_hold", "values_hold", "weakest_holds"):
        assert (table[column] + 2 * error >= 95).all()
    # One of all differences is the weakest group's, in one direction only.
    assert (table["called_worst"] - 2 * error <= 5).all()
    small = groups.simulate(groups.SCENES[0], 60)
    assert small == groups.simulate(groups.SCENES[0], 60)
    assert float(str(small["differences_hold"])) > 83
