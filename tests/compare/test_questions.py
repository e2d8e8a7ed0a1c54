"""Two questions: about methods, trained anew, and about these networks; and a gate that asks the one that it can answer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xrbench import cards, cli, compare, statistics
from xrbench.compare.differences import adjusted
from xrbench.compare.method_rows import setting_of
from xrbench.compare.pairs import facing, labels_of, sides
from xrbench.compare.rows import CompareOptions, Row, Section
from xrbench.compare.scores_io import open_results
from xrbench.errors import UsageError
from xrbench.runs import store
from xrbench.statistics.inference.crossed import Crossed

MakeRun = Callable[..., Path]
run = partial(compare.run, replicates=100)
SKILLS = {"plain": 1.5, "fancy": 2.5}
ROW = Row("mean", 1, 1, 0.8, 0.8, 0.0, 0.0, 0.0, 0.01, 0.5, 0.03)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, make_run: MakeRun) -> Path:
    return make_run(tmp_path_factory.mktemp("three"), SKILLS, seeds=(0, 1, 2))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory, make_run: MakeRun) -> Path:
    """The same methods under other seeds."""
    return make_run(tmp_path_factory.mktemp("others"), SKILLS, seeds=(3, 4, 5))


def compared(*folders: Path, **options: Any) -> compare.Comparison:
    found = run(*folders, **options)
    assert isinstance(found, compare.Comparison)
    return found


def test_methods_are_compared_over_trainings_and_patients(three: Path) -> None:
    (part,) = compared(three).sections
    results = open_results(three)
    sides = [
        [
            statistics.TrainedCell(predictions, cell.chain, setting_of(cell))
            for cell in results.cells
            if (cell.method, cell.protocol) == (method, "external")
            and (predictions := results.predictions_of(cell, labels_of(results))) is not None
        ]
        for method in ("plain", "fancy")
    ]
    expected = {row.label: row for row in statistics.method_difference(*sides)}
    assert part.about == "methods"
    for row in part.rows:
        one = expected[row.label]
        assert (row.difference, row.p, row.low_alone) == pytest.approx((one.value, one.p, one.low))
        assert (row.trainings, row.settings, row.over) == (3, 2, "trainings")
        assert (row.low > 0 or row.high < 0) == (row.p_adjusted < 0.05), "the interval is at the level of the verdict"
    assert "methods, trained anew: trainings and patients vary" in compared(three).text()


def test_two_runs_are_networks_unless_methods_are_asked_about(three: Path, others: Path) -> None:
    assert {part.about for part in compared(three, three).sections} == {"networks"}
    assert compared(three, others).sections == (), "no cell of one name"
    assert compared(three, others).exit_code == 2
    asked = compared(three, others, about="methods")
    assert {(part.method, part.protocol) for part in asked.sections} == {
        (method, protocol) for method in SKILLS for protocol in ("external", "internal")
    }
    assert asked.missing == ()
    assert all(row.trainings == 3 for _, row in asked.rows)
    assert max(abs(row.difference) for _, row in asked.rows) < 0.03, "the same methods under other seeds"


def test_a_single_training_answers_about_its_settings_or_not_at_all(tmp_path: Path, make_run: MakeRun) -> None:
    folder = make_run(tmp_path, SKILLS)
    (part,) = compared(folder).sections
    assert {(row.trainings, row.over) for row in part.rows} == {(1, "settings")}
    assert "1 (over settings)" in compared(folder).text()
    (alone,) = compared(folder, only=["test=c"]).sections
    for row in alone.rows:
        assert row.verdict == "cannot tell"
        assert row.reason == "cannot tell: one training: how much another one would differ is not known"
        assert math.isnan(row.low)
        assert not math.isnan(row.difference)
    networks = compared(folder, only=["test=c"], about="networks").sections[0]
    assert all(not math.isnan(row.low) for row in networks.rows)
    assert {row.verdict for row in networks.rows} <= {"better, these networks", "cannot tell, these networks"}


def test_gaps_of_methods_count_trainings(three: Path) -> None:
    (part,) = compared(three).sections
    (networks,) = compared(three, about="networks").sections
    assert part.gaps[0].gap == pytest.approx(networks.gaps[0].gap)
    assert (part.gaps[0].low, part.gaps[0].high) != (networks.gaps[0].low, networks.gaps[0].high)


def test_children_of_one_parent_are_paired(tmp_path: Path, make_run: MakeRun) -> None:
    folder = make_run(tmp_path, SKILLS, seeds=(0, 1, 2))
    alone = compared(folder).sections[0].rows[0]
    manifest = store.read_json(folder / store.MANIFEST)
    for entry in manifest["cells"]:
        entry["ancestors"] = [f"pretext/net/pretrain:z/seed-{entry['seed']}"]
    store.write_json(folder / store.MANIFEST, manifest)
    from xrbench.scoring import score_run

    score_run(folder)
    row = compared(folder).sections[0].rows[0]
    assert row.errors is not None
    assert alone.errors is not None
    # one training of the parent is in both settings and methods: three repetitions in all
    assert row.errors.df_trainings == 2  # type: ignore[attr-defined]
    assert alone.errors.df_trainings > 2  # type: ignore[attr-defined]
    assert (row.difference, row.value_a) == pytest.approx((alone.difference, alone.value_a))


def test_the_gate_asks_about_methods_where_both_sides_have_three_trainings(
    three: Path, others: Path, tmp_path: Path, make_run: MakeRun
) -> None:
    found = run(three, others, gate=True, margin=0.2)
    assert isinstance(found, compare.Gate)
    assert found.comparison.how.about == "methods"
    assert (found.decision, found.exit_code) == ("no regression", 0)
    assert "about methods: trainings and patients vary" in found.text()
    assert "smallest loss that would be called a regression with 80 % power" in found.text()
    once = make_run(tmp_path / "once", SKILLS)
    single = run(once, once, gate=True)
    assert isinstance(single, compare.Gate)
    assert single.comparison.how.about == "networks"
    assert "may rightly differ" in single.text()


def test_the_gate_catches_a_planted_loss_and_passes_other_seeds(
    three: Path, tmp_path_factory: pytest.TempPathFactory, make_run: MakeRun
) -> None:
    worse = make_run(tmp_path_factory.mktemp("worse"), {"plain": 0.4, "fancy": 2.5}, seeds=(6, 7, 8))
    caught = run(three, worse, gate=True, margin=0.05)
    assert isinstance(caught, compare.Gate)
    assert caught.exit_code == 1
    assert {one.section.method for one in caught.judged if one.outcome == "regression"} == {"plain"}
    again = make_run(tmp_path_factory.mktemp("again"), SKILLS, seeds=(9, 10, 11))
    assert run(three, again, gate=True, margin=0.02).exit_code != 1


def test_a_pass_rests_on_means_over_labels_unless_every_label_is_asked_for(three: Path, others: Path) -> None:
    mean = run(three, others, gate=True, margin=0.05)
    each = run(three, others, gate=True, margin=0.05, every_label=True)
    assert isinstance(mean, compare.Gate)
    assert isinstance(each, compare.Gate)
    assert {one.row.label for one in mean.judged if one.needed} == {"mean"}
    assert all(one.needed for one in each.judged)
    assert "--every-label" in mean.text()
    with pytest.raises(UsageError, match="--every-label is about --gate"):
        run(three, others, every_label=True)


def test_a_loss_in_one_label_is_a_regression_all_the_same(three: Path, tmp_path: Path, make_run: MakeRun) -> None:
    rng = np.random.default_rng(0)

    def spoil(cell: str, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{"score:Edema": rng.random(len(frame))}) if "validation" not in cell else frame

    spoilt = make_run(tmp_path, SKILLS, seeds=(0, 1, 2), change=spoil)
    found = run(three, spoilt, gate=True, margin=0.3)
    assert isinstance(found, compare.Gate)
    assert found.exit_code == 1
    assert {one.row.label for one in found.judged if one.outcome == "regression"} == {"Edema"}


def test_the_command_line_asks_either_question(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(["compare", str(three), "--about", "networks", "--json", "-q"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["sections"][0]["about"] == "networks"
    assert "errors" not in values["sections"][0]["rows"][0]
    assert cli.invoke(["compare", str(three), "--about", "method", "-q"]) == 3
    assert "did you mean 'methods'" in capsys.readouterr().err


def test_python_and_comparisons_of_runs_answer_alike(tmp_path: Path, make_run: MakeRun) -> None:
    """One rule for equivalence and non-inferiority, whoever asks, where one label is compared in one setting."""
    folder = make_run(tmp_path, {"plain": 1.5, "fancy": 1.6})
    results = open_results(folder)
    scores = results.scores[(results.scores["label"] == "Edema") & (results.scores["test"] == "c")]
    alone = replace(results, scores=scores[scores["protocol"] == "external"].reset_index(drop=True))
    (pair,) = facing(alone.cells, "fancy", "plain")
    both = sides(pair, alone, alone, ["Edema"])
    assert both is not None
    said = set()
    for margin in np.linspace(0.0, 0.12, 13):
        declared = cards.Comparison(challenger="fancy", baseline="plain", margin=float(margin))
        how = CompareOptions(margin=float(margin), about="networks", replicates=100)
        (row,) = compare.compare_methods(alone, [declared], how).sections[0].rows
        one = statistics.compare([both.cell], labels=["Edema"], margin=float(margin), replicates=2)[0]
        assert row.verdict == f"{one.verdict}, these networks"
        assert (row.low, row.high, row.detectable) == (one.low, one.high, one.detectable)
        if margin:
            equivalence = cards.Comparison(
                challenger="fancy", baseline="plain", margin=float(margin), question="equivalence"
            )
            (asked,) = compare.compare_methods(alone, [equivalence], how).sections[0].rows
            assert (asked.answer == "shown") == (asked.p_question < 0.05)
            if one.verdict.startswith("equivalent"):
                assert asked.answer == "shown"
        said.add(one.verdict.split(" ")[0])
    assert {"equivalent", "cannot"} <= said | {"better"}


@pytest.mark.parametrize("family", [1, 5, 15])
def test_the_smallest_detectable_difference_is_that_of_the_familys_verdict(family: int) -> None:
    """A lone true difference of that size, among others that are null, is found with 80 % power after Holm's adjustment."""
    rng, found = np.random.default_rng(1), 0
    error, repetitions = 0.01, 600
    size = Crossed(0.0, 0.0, error**2, math.inf, math.inf).detectable(0.05 / family)
    for _ in range(repetitions):
        values = error * rng.normal(size=family)
        values[0] += size
        rows = [
            replace(ROW, difference=value, errors=(of := Crossed(value, 0.0, error**2, math.inf, math.inf)), p=of.p())
            for value in values.tolist()
        ]
        (part,) = adjusted([Section("", "m", "n", "external", True, tuple(rows), about="methods")], CompareOptions())
        assert all(row.detectable == pytest.approx(size) for row in part.rows)
        found += part.rows[0].verdict in ("better", "worse")
    assert found / repetitions == pytest.approx(0.8, abs=0.05), "three Monte Carlo standard errors"
