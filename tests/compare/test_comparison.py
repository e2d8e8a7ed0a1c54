"""Two runs, or two methods of one, are compared on the same patients; the gate ends in one of four ways."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xrbench import compare, statistics
from xrbench.compare.pairs import facing
from xrbench.compare.regression_gate import judge
from xrbench.compare.rows import CompareOptions, Row, Section
from xrbench.compare.scores_io import open_results, read_scores
from xrbench.errors import XrbenchError
from xrbench.runs import store
from xrbench.runs.run_cell import RunCell
from xrbench.statistics.inference.crossed import Crossed

LABELS = ("Edema", "Effusion")
SETTINGS = ((("a", "b"), "c"), (("a", "c"), "b"))
Change = Callable[[str, pd.DataFrame], pd.DataFrame]
MakeRun = Callable[..., Path]

run = partial(compare.run, replicates=100)
networks = partial(compare.run, replicates=100, about="networks")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, make_run: MakeRun) -> Path:
    """A run in which fancy is a little better than plain."""
    return make_run(tmp_path_factory.mktemp("good"), {"plain": 1.5, "fancy": 2.5})


def test_a_run_equals_itself(good: Path) -> None:
    found = run(good, good)
    assert isinstance(found, compare.Comparison)
    assert found.exit_code == 0
    assert {row.difference for _, row in found.rows} == {0.0}
    assert {row.verdict for _, row in found.rows} == {"cannot tell, these networks"}
    assert [(part.method, part.protocol) for part in found.sections] == [
        ("plain", "external"),
        ("fancy", "external"),
        ("plain", "internal"),
        ("fancy", "internal"),
    ]


def test_the_same_run_passes_the_gate_even_without_a_margin(good: Path) -> None:
    found = run(good, good, gate=True, margin=0.0)
    assert found.exit_code == 0
    assert "no regression: 4 of 4 comparisons not worse by more than 0" in found.text()
    assert found.text().startswith("FIXTURE: synthetic phantoms, not clinical results")


def test_differences_are_means_over_settings_of_the_metric(good: Path) -> None:
    found = run(good)
    assert isinstance(found, compare.Comparison)
    (part,) = found.sections
    scores = read_scores(good / "scores.csv")
    external = scores[(scores["protocol"] == "external") & (scores["metric"] == "auc")]
    means = external.groupby(["method", "label"])["value"].mean()
    for row in part.rows:
        assert row.difference == pytest.approx(means["fancy", row.label] - means["plain", row.label], abs=1e-12)
        assert (row.settings, row.cells) == (2, 2)
    assert [row.label for row in part.rows] == ["Edema", "Effusion", "mean"]


def test_it_is_what_the_statistics_say_of_the_paired_cells(good: Path) -> None:
    found = networks(good, metric="auc", replicates=300, seed=5)
    assert isinstance(found, compare.Comparison)
    results = open_results(good)
    cells = []
    for train, test in SETTINGS:
        names = [f"{method}/net/{'+'.join(train)}/valid-held-out/seed-0/{test}" for method in ("plain", "fancy")]
        a, b = (results.predictions(name) for name in names)
        assert a is not None
        assert b is not None
        score_a, score_b = (frame[[f"score:{label}" for label in LABELS]].to_numpy() for frame in (a, b))
        truth, patient = a[[f"truth:{label}" for label in LABELS]].to_numpy(), a["patient_id"].to_numpy()
        cells.append(statistics.PairedCell(test, truth, score_a, score_b, patient))
    expected = statistics.compare(cells, labels=LABELS, replicates=300, seed=5)
    got = [(row.difference, row.low_alone, row.high_alone, row.p) for row in found.sections[0].rows]
    assert got == [(one.difference, one.low, one.high, one.p) for one in expected]
    # Holm by hand: smallest p times three, and so on, never falling.
    order = sorted(range(3), key=lambda i: expected[i].p)
    holm, highest = {}, 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (3 - rank) * expected[i].p))
        holm[i] = highest
    assert [row.p_adjusted for row in found.sections[0].rows] == pytest.approx([holm[i] for i in range(3)])


def test_the_text_reads_as_promised(good: Path) -> None:
    lines = networks(good).text().splitlines()
    assert lines[0] == "FIXTURE: synthetic phantoms, not clinical results"
    assert (
        lines[2]
        == "fancy minus plain, external test AUC, these networks, paired over patients, Holm over 3 comparisons"
    )
    assert lines[3].split("  ")[0] == "label"
    for head in ("settings", "difference", "95 % interval", "p(Holm)", "smallest detectable", "verdict"):
        assert head in lines[3]
    assert lines[4].startswith("Edema")
    assert lines[4].rstrip().endswith("better, these networks")
    assert lines[7].startswith("gap internal-external: 0.1")
    assert " against 0.1" in lines[7]
    assert lines[8] == "one seed a setting: how much two trainings of one method differ is not in these intervals"


def test_one_label_has_no_mean_over_labels(tmp_path: Path, make_run: MakeRun) -> None:
    results = open_results(make_run(tmp_path, {"plain": 1.5, "fancy": 2.5}))
    scores = results.scores[results.scores["label"] != "Effusion"].reset_index(drop=True)
    found = compare.compare_runs(
        replace(results, scores=scores), replace(results, scores=scores), CompareOptions(replicates=100)
    )
    assert {row.label for _, row in found.rows} == {"Edema"}


def test_the_gap_line_is_internal_minus_external(good: Path) -> None:
    found = run(good)
    assert isinstance(found, compare.Comparison)
    scores = read_scores(good / "scores.csv")
    macro = scores[(scores["label"] == "mean") & (scores["metric"] == "auc")]
    mean = macro.groupby(["method", "protocol"])["value"].mean()
    ours, theirs = found.sections[0].gaps
    assert ours.gap == pytest.approx(mean["fancy", "internal"] - mean["fancy", "external"], abs=1e-12)
    assert theirs.gap == pytest.approx(mean["plain", "internal"] - mean["plain", "external"], abs=1e-12)


def test_methods_can_be_named(good: Path) -> None:
    turned = run(good, methods="plain, fancy")
    straight = run(good)
    assert isinstance(turned, compare.Comparison)
    assert isinstance(straight, compare.Comparison)
    pairs = zip(turned.sections[0].rows, straight.sections[0].rows, strict=True)
    assert all(a.difference == pytest.approx(-b.difference) for a, b in pairs)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory, make_run: MakeRun) -> Path:
    """The same run with fancy spoilt."""
    return make_run(tmp_path_factory.mktemp("damaged"), {"plain": 1.5, "fancy": 0.3})


def test_a_damaged_method_is_caught(good: Path, damaged: Path) -> None:
    found = run(good, damaged, gate=True, margin=0.02)
    assert isinstance(found, compare.Gate)
    assert found.exit_code == 1
    assert {one.section.method for one in found.judged if one.outcome == "regression"} == {"fancy"}
    assert "REGRESSION: Edema -0." in found.text()
    assert run(damaged, good, gate=True).exit_code == 0


def test_a_small_loss_on_few_patients_is_inconclusive(good: Path, tmp_path: Path, make_run: MakeRun) -> None:
    changed = make_run(tmp_path, {"plain": 1.5, "fancy": 2.5}, change=blur, scores=good)
    found = run(good, changed, gate=True, margin=0.003)
    assert found.exit_code == 2
    assert "inconclusive: " in found.text()


def blur(cell: str, frame: pd.DataFrame) -> pd.DataFrame:
    generator = np.random.default_rng(sum(map(ord, cell)))
    noise = {f"score:{label}": generator.normal(0, 0.02, len(frame)) for label in LABELS}
    return frame.assign(**{name: np.clip(frame[name] + wobble, 0, 1) for name, wobble in noise.items()})


def test_a_missing_cell_is_not_passed_over(good: Path, tmp_path: Path, make_run: MakeRun) -> None:
    gone = "fancy/net/a+c/valid-held-out/seed-0/b"
    fewer = make_run(tmp_path, {"plain": 1.5, "fancy": 2.5}, change=lambda name, f: f.iloc[:0] if name == gone else f)
    found = run(good, fewer, gate=True)
    assert found.exit_code == 2
    assert f"not measured in B: {gone}" in found.text()
    assert run(good, fewer, gate=True, only=["method=plain"]).exit_code == 0
    assert run(fewer, good, gate=True).exit_code == 0


def test_fewer_test_images_are_not_passed_over(good: Path, tmp_path: Path, make_run: MakeRun) -> None:
    cut = make_run(
        tmp_path, {"plain": 1.5, "fancy": 2.5}, change=lambda name, f: f.iloc[:150] if name.endswith("/c") else f
    )
    found = run(good, cut, gate=True)
    assert found.exit_code == 2
    assert "fewer test images in B: plain/net/a+b/valid-held-out/seed-0/c" in found.text()
    plain = run(good, cut).text()
    assert "50 test images are in A only and 0 in B only; the 150 common ones are compared" in plain


def test_rows_are_joined_by_image_not_by_position(good: Path, tmp_path: Path, make_run: MakeRun) -> None:
    turned = make_run(
        tmp_path, {"plain": 1.5, "fancy": 2.5}, change=lambda _, f: f.iloc[::-1].reset_index(drop=True), scores=good
    )
    assert {
        row.difference
        for _, row in compare.compare_runs(open_results(good), open_results(turned), CompareOptions()).rows
    } == {0.0}


def test_nothing_in_common_is_nothing_measured(good: Path, tmp_path: Path, make_run: MakeRun) -> None:
    other = make_run(tmp_path, {"other": 2.0})
    found = run(good, other, gate=True)
    assert found.exit_code == 2
    assert "nothing was measured" in found.text()
    assert run(good, other).exit_code == 2


def test_undefined_in_b_is_a_regression_and_in_a_is_not(good: Path, tmp_path: Path) -> None:
    board = leaderboard(good, tmp_path / "board", predictions=False)
    scores = pd.read_csv(board / "scores.csv")
    at = (scores["metric"] == "auc") & (scores["label"] == "Edema") & (scores["cell"].str.startswith("plain/net/a+b"))
    scores.loc[at & (scores["protocol"] == "external"), ["value", "low", "high"]] = math.nan
    broken = tmp_path / "broken"
    broken.mkdir()
    scores.to_csv(broken / "scores.csv", index=False)
    found = run(board, broken, gate=True)
    assert found.exit_code == 1
    assert "REGRESSION: Edema is undefined where A had a value, plain, external: plain/net/a+b" in found.text()
    assert run(broken, board, gate=True).exit_code == 0


def leaderboard(run: Path, folder: Path, *, predictions: bool) -> Path:
    """Copy a run as it would be committed."""
    folder.mkdir(parents=True)
    (folder / "scores.csv").write_bytes((run / "scores.csv").read_bytes())
    (folder / "meta.json").write_text(json.dumps({"suite": store.read_json(run / "manifest.json")["suite"]}))
    if predictions:
        results = open_results(run)
        frames = [results.predictions(cell) for cell in dict.fromkeys(results.scores["cell"])]
        named = [
            f.assign(cell=c)
            for f, c in zip(frames, dict.fromkeys(results.scores["cell"]), strict=True)
            if f is not None
        ]
        store.write_predictions(folder / "predictions.parquet", pd.concat(named), {"suite": "small"})
    return folder


def test_every_form_of_results_is_understood(good: Path, tmp_path: Path) -> None:
    board = leaderboard(good, tmp_path / "leaderboards" / "small", predictions=True)
    forms = [good, good / "scores.csv", good.parent.parent, board, board / "scores.csv"]
    texts = {run(form).text() for form in forms}
    assert len(texts) == 1
    assert run(board / "scores.csv", good.parent.parent, gate=True).exit_code == 0


def test_an_out_folder_means_its_newest_run_of_the_suite(good: Path, tmp_path: Path, make_run: MakeRun) -> None:
    first = make_run(tmp_path, {"plain": 1.5}, name="r1")
    second = make_run(tmp_path, {"plain": 1.5}, name="r2")
    other = tmp_path / "else" / "r3"
    other.mkdir(parents=True)
    for name in ("scores.csv", "manifest.json"):
        (other / name).write_bytes((second / name).read_bytes())
    os.utime(first / "manifest.json", (1, 1))
    os.utime(second / "manifest.json", (2, 2))
    assert open_results(tmp_path, suite="small").folder == second.resolve()
    assert open_results(tmp_path).folder == other.resolve()


def test_without_predictions_the_difference_is_unpaired_and_wide(good: Path, tmp_path: Path) -> None:
    board = leaderboard(good, tmp_path / "board", predictions=False)
    paired, unpaired = networks(good), networks(board)
    assert isinstance(paired, compare.Comparison)
    assert isinstance(unpaired, compare.Comparison)
    assert "unpaired (no predictions)" in unpaired.text()
    for a, b in zip(paired.sections[0].rows, unpaired.sections[0].rows, strict=True):
        assert b.difference == pytest.approx(a.difference)
        assert b.error > a.error


def test_the_unpaired_error_by_hand(tmp_path: Path) -> None:
    rows = []
    for method, value in (("plain", 0.70), ("fancy", 0.80)):
        for number, test in enumerate(("c", "c", "d")):
            width = 0.02 * (number + 1)
            about: dict[str, Any] = {
                "method": method,
                "model": "net",
                "train": f"t{number}",
                "valid": "v",
                "test": test,
                "protocol": "external",
            }
            about |= {"seed": 0, "label": "mean", "metric": "auc", "setting": str(number), "level": 0.95}
            rows.append(
                {**about, "value": value, "low": value - width, "high": value + width, "cell": f"{method}/{number}"}
            )
    path = tmp_path / "scores.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    found = networks(path, methods="fancy,plain")
    assert isinstance(found, compare.Comparison)
    (row,) = found.sections[0].rows
    one = math.sqrt(2) / 1.959964
    # Two cells on c count as fully dependent, those on d as independent of them.
    assert row.error == pytest.approx(math.hypot((0.02 + 0.04) * one, 0.06 * one) / 3, rel=1e-5)
    assert row.difference == pytest.approx(0.1)


@pytest.mark.parametrize("metric", ["recall@specificity=0.9", "brier"])
def test_other_metrics_use_the_thresholds_of_validation(good: Path, metric: str) -> None:
    found = run(good, metric=metric)
    assert isinstance(found, compare.Comparison)
    scores = read_scores(good / "scores.csv")
    mine = scores[(scores["protocol"] == "external") & (scores["metric"] == metric)]
    means = mine.groupby(["method", "label"])["value"].mean()
    for row in found.sections[0].rows:
        assert row.difference == pytest.approx(means["fancy", row.label] - means["plain", row.label], abs=1e-12)
    verdicts = {row.verdict for row in found.sections[0].rows}
    assert verdicts <= {"better", "cannot tell"}


def test_a_rising_brier_score_is_a_regression(good: Path, damaged: Path) -> None:
    assert run(good, damaged, gate=True, metric="brier").exit_code == 1
    assert run(damaged, good, gate=True, metric="brier").exit_code == 0


ROW = Row("mean", 1, 1, 0.8, 0.8, 0.0, 0.0, 0.0, 0.01, 0.5, 0.03)


def judged(difference: float, error: float, metric: str = "auc", others: int = 0) -> str:
    """Judge one row in a family with so many others that show nothing, at a margin of 0.02."""
    errors = Crossed(difference, 0.0, error**2, math.inf, math.inf)
    row = replace(ROW, difference=difference, errors=None if math.isnan(error) else errors)
    quiet = replace(ROW, errors=Crossed(0.0, 0.0, 1.0, math.inf, math.inf))
    part = Section("", "m", "n", "external", True, ())
    return judge([(part, row), *[(part, quiet)] * others], CompareOptions(metric=metric, margin=0.02))[0].outcome


@pytest.mark.parametrize(
    ("difference", "error", "outcome"),
    [
        # z of "no loss above 0.02" is (difference + 0.02) / error, held against 1.645; that of a larger loss against 1.960
        (-0.0034, 0.01, "not worse"),
        (-0.0037, 0.01, "inconclusive"),
        (-0.0397, 0.01, "regression"),
        (-0.0395, 0.01, "inconclusive"),
        (-0.02, 0.001, "inconclusive"),
        (-0.02, 0.0, "not worse"),
        (-0.021, 0.0, "regression"),
        (math.nan, math.nan, "not measured"),
        (-0.2, math.nan, "inconclusive"),
    ],
)
def test_outcomes_by_hand(difference: float, error: float, outcome: str) -> None:
    assert judged(difference, error) == outcome
    assert judged(-difference, error, "brier") == outcome


def test_a_loss_is_held_against_the_level_of_its_family() -> None:
    # z = 2.35: one-sided p 0.0094, twice and four times that, held against 0.025
    assert judged(-0.0435, 0.01, others=1) == "regression"
    assert judged(-0.0435, 0.01, others=3) == "inconclusive"


def cell(method: str, model: str, train: str, test: str, *, seed: int = 0, protocol: str = "external") -> RunCell:
    name = f"{method}/{model}/{train}/{seed}/{test}"
    return RunCell(
        cell=name,
        method=method,
        model=model,
        train=train,
        valid="v",
        test=test,
        protocol=protocol,
        seed=seed,
        setting="s",
    )


def test_an_ensemble_faces_the_cell_of_every_seed() -> None:
    members = [cell("plain", "net", "nih", "mimic", seed=seed) for seed in (0, 1, 2)]
    together = replace(cell("mean", "net", "nih", "mimic", seed=0), members=3)
    found = facing([*members, together], "mean", "plain")
    assert [pair.a.seed for pair in found] == [0, 1, 2]
    other = replace(together, configuration="small")
    assert facing([*members, other], "mean", "plain") == []


def test_the_same_id_in_two_hospitals_of_one_test_set_is_two_patients(good: Path) -> None:
    results = open_results(good)
    name = results.scores["cell"].iloc[0]
    frame = pd.DataFrame(
        {
            "image": ["1.png", "1.png", "2.png"],
            "patient_id": ["7", "7", None],
            "dataset": ["east", "west", "west"],
            "truth:Effusion": [1.0, 0.0, 0.0],
            "score:Effusion": [0.9, 0.2, 0.1],
        }
    )
    pooled = replace(results, predictions={name: frame}.get).predictions_of(results.cells[0], ["Effusion"])
    assert pooled is not None
    assert pooled.patient is not None
    assert list(np.asarray(pooled.patient, object)) == ["east/7", "west/7", None]


def test_methods_face_each_other_in_matching_settings() -> None:
    cells = [
        cell("new", "net", "a+b", "c"),
        cell("new", "net", "a+b", "c", seed=1),
        cell("new", "big", "a+b", "c"),
        cell("old", "net", "a+b", "c"),
        cell("old", "net", "a+c", "b"),
        cell("old", "net", "a+b", "c", seed=1),
        cell("ready", "zoo", "", "c"),
    ]
    names = [(p.b.cell, p.a.cell) for p in facing(cells, "new", "old")]
    assert names == [("new/net/a+b/0/c", "old/net/a+b/0/c"), ("new/net/a+b/1/c", "old/net/a+b/1/c")]
    assert [p.b.cell for p in facing(cells, "new", "ready")] == [
        "new/net/a+b/0/c",
        "new/net/a+b/1/c",
        "new/big/a+b/0/c",
    ]


def broken_runs(good: Path, tmp_path: Path, make_run: MakeRun) -> Mapping[str, Callable[[], object]]:
    def scores(text: str) -> Path:
        path = tmp_path / "scores.csv"
        path.write_text(text)
        return path

    def changed(change: Change) -> Path:
        return make_run(tmp_path / "out", {"plain": 1.5, "fancy": 2.5}, change=change, scores=good)

    def flip(_: str, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{"truth:Effusion": 1 - frame["truth:Effusion"]})

    def twice(_: str, frame: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([frame, frame.iloc[:1]], ignore_index=True)

    def cut_short() -> Path:
        run = changed(lambda _, f: f)
        for path in (tmp_path / "out" / "cells").glob("*.parquet"):
            path.write_bytes(path.read_bytes()[:200])
        return run

    text = (good / "scores.csv").read_text()
    first = text.splitlines()[1]
    return {
        "no such file or folder": lambda: run(good, tmp_path / "nowhere", gate=True),
        "holds no scores.csv and no folder of a run of suite 'small'": lambda: run(good, tmp_path, gate=True),
        "column 'value' missing": lambda: run(good, scores(text.replace(",value,", ",auc,", 1)), gate=True),
        "stands twice": lambda: run(good, scores(text + first + "\n"), gate=True),
        "row 2, column 'value': expected a number, got 'x'": lambda: run(
            scores(
                "method,model,train,valid,test,protocol,seed,label,metric,value,low,high,cell\nm,n,t,v,e,external,0,l,auc,x,,,c\n"
            ),
            good,
            gate=True,
        ),
        "the truth of Effusion differs on 200 of 200 common images": lambda: run(good, changed(flip), gate=True),
        "image 'c0.png' stands twice": lambda: run(good, changed(twice), gate=True),
        "no test image in common": lambda: run(good, changed(lambda _, f: f.assign(image="z" + f["image"])), gate=True),
        "not a readable Parquet file": lambda: run(good, cut_short(), gate=True),
        "--gate compares two runs": lambda: run(good, gate=True),
        "--methods compares methods of one run": lambda: run(good, good, methods="a,b"),
        "expected CHALLENGER,BASELINE": lambda: run(good, methods="a"),
        "unknown method 'fency'; did you mean 'fancy'": lambda: run(good, methods="fency,plain"),
        "--margin: expected 0 or more, got -1": lambda: run(good, good, margin=-1),
        "unknown metric 'acu'": lambda: run(good, metric="acu"),
        "nothing in": lambda: run(good, good, only=["method=none"]),
        "the suite declares no comparisons": lambda: run(scores(text)),
    }


@pytest.mark.parametrize("number", range(17))
def test_broken_input_ends_with_one_line_and_3(good: Path, tmp_path: Path, number: int, make_run: MakeRun) -> None:
    message, action = list(broken_runs(good, tmp_path, make_run).items())[number]
    with pytest.raises(XrbenchError) as caught:
        action()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_results_can_be_written_as_json(good: Path) -> None:
    for found in (run(good), run(good, good, gate=True)):
        values = found.to_dict()
        assert values["exit_code"] == 0
        assert values["stamp"].startswith("FIXTURE")
        json.dumps(store.without_nan(values))


@pytest.mark.parametrize(
    ("difference", "outcome"),
    [(0.0, "not worse"), (-0.01, "inconclusive"), (0.04, "regression"), (-0.04, "regression")],
)
def test_without_a_direction_the_gate_looks_at_both_sides(difference: float, outcome: str) -> None:
    assert judged(difference, 0.0085, "calibration-slope") == outcome


def test_the_text_says_which_sign_of_a_gap_is_a_loss(good: Path) -> None:
    said = {metric: run(good, metric=metric).text() for metric in ("auc", "brier")}
    assert "Lower is better: a gap below 0 is a loss on external images." in said["brier"]
    assert "is better: " not in said["auc"]
