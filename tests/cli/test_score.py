"""Predictions from elsewhere: judged like our own, and refused in one line that names the row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from xrbench import cli

if TYPE_CHECKING:
    from tests.cli.conftest import Lab

Said = Callable[[], str]


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A vendor's scores at site b with the truth in another table, and at site a with the truth beside them."""
    rng = np.random.default_rng(1)
    for site, skill, images in (("a", 3.0, 160), ("b", 2.0, 240)):
        truth = (rng.random((images, 2)) < 0.35).astype(int)
        score = 1 / (1 + np.exp(-(skill * truth + rng.normal(size=truth.shape) - 1)))
        ids = pd.DataFrame({"image": [f"{site}{i:03}" for i in range(images)], "patient_id": np.arange(images) // 2})
        ids.assign(PleuralEffusion=score[:, 0].round(4), Edema=score[:, 1].round(4)).to_csv(
            tmp_path / f"vendor_{site}.csv", index=False
        )
        ids.assign(Effusion=truth[:, 0], Edema=truth[:, 1]).to_csv(tmp_path / f"site_{site}.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def judged(capsys: pytest.CaptureFixture[str], *words: str) -> pd.DataFrame:
    capsys.readouterr()
    assert cli.invoke(["score", *words, "--replicates", "100", "--json"]) == 0
    return pd.DataFrame(json.loads(capsys.readouterr().out)["scores"])


def rewrite(file: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    change(pd.read_csv(file, dtype=str, keep_default_na=False)).to_csv(file, index=False)


def cell(row: int, column: str, value: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Write another cell; rows as a spreadsheet numbers them."""
    return lambda table: table.assign(**{column: table[column].where(table.index != row - 2, value)})


BOTH = ("vendor_b.csv", "--labels", "site_b.csv")


def test_figures_are_those_of_scikit_learn_with_the_right_counts(capsys: pytest.CaptureFixture[str]) -> None:
    rewrite("site_b.csv", cell(2, "Edema", ""))
    found = {(row["label"], row["metric"]): row for row in judged(capsys, *BOTH).to_dict("records")}
    scores, truth = pd.read_csv("vendor_b.csv"), pd.read_csv("site_b.csv")
    for label, column in (("Effusion", "PleuralEffusion"), ("Edema", "Edema")):
        known = truth[label].notna()
        there = truth.loc[known, label], scores.loc[known, column]
        assert found[label, "auc"]["value"] == pytest.approx(roc_auc_score(*there), abs=1e-12)
        precision = average_precision_score(*there)
        assert found[label, "average-precision"]["value"] == pytest.approx(precision, abs=1e-12)
        row = found[label, "auc"]
        assert (row["n_positive"], row["n_negative"]) == (there[0].sum(), (there[0] == 0).sum())
        assert (row["n_masked"], row["n_patients"], row["unit"]) == ((~known).sum(), 120, "patient")
        assert row["low"] < row["value"] < row["high"]


def test_text_says_how_the_tables_were_read(capsys: pytest.CaptureFixture[str]) -> None:
    rewrite("vendor_b.csv", lambda table: table.assign(Pneumothorx="0.5"))
    rewrite("site_b.csv", lambda table: table.iloc[:-1].assign(Hernia="0"))
    assert cli.invoke(["score", *BOTH, "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "239 images of 120 patients; 2 labels matched; no score for Hernia",
        "'PleuralEffusion' read as 'Effusion' (synonym)",
        "column 'Pneumothorx' is not a label; did you mean 'Pneumothorax'?",
        "1 scored images have no truth and are left out",
    ]
    assert "Figures with 95% intervals (jackknife, resampling patients)" in lines


def test_a_threshold_is_set_on_the_reference_and_carried_over(capsys: pytest.CaptureFixture[str]) -> None:
    words = (*BOTH, "--compare", "vendor_a.csv", "--compare-labels", "site_a.csv", "--target", "sensitivity=0.9")
    found = judged(capsys, *words)
    there, truth_there = pd.read_csv("vendor_a.csv"), pd.read_csv("site_a.csv")
    here, truth_here = pd.read_csv("vendor_b.csv"), pd.read_csv("site_b.csv")
    # the highest score that calls at least 90 % of the reference's positives
    positives = np.sort(there.loc[truth_there["Edema"] == 1, "Edema"])[::-1]
    threshold = positives[int(np.ceil(0.9 * len(positives))) - 1]
    row = found[(found["label"] == "Edema") & (found["metric"] == "recall@sensitivity=0.9")]
    assert row["site"].tolist() == ["vendor_b"], "the reference is not judged at a threshold that was chosen on it"
    assert row["threshold"].tolist() == [pytest.approx(threshold)]
    recall = (here.loc[truth_here["Edema"] == 1, "Edema"] >= threshold).mean()
    assert row["value"].tolist() == [pytest.approx(recall)]
    assert cli.invoke(["score", *words, "--replicates", "100", "--quiet"]) == 0
    text = capsys.readouterr().out
    assert "thresholds for sensitivity=0.9, chosen on vendor_a, which is not judged at them: Effusion" in text
    assert "Generalization gap (reference minus here)" in text


def test_two_files_of_one_name_are_two_sites(capsys: pytest.CaptureFixture[str], desk: Path) -> None:
    for site in "ab":
        (desk / site).mkdir()
        table = pd.read_csv(f"vendor_{site}.csv").rename(columns={"PleuralEffusion": "score:Effusion"})
        table.assign(**{"truth:Effusion": pd.read_csv(f"site_{site}.csv")["Effusion"]}).to_csv(
            f"{site}/p.csv", index=False
        )
    found = judged(capsys, "b/p.csv", "--compare", "a/p.csv")
    assert found["site"].unique().tolist() == ["a/p.csv", "b/p.csv"]
    assert cli.invoke(["score", "a/p.csv", "--compare", "a/p.csv"]) == 3
    assert "is the table that is judged; another site's is expected" in capsys.readouterr().err


def test_logits_rank_alike_and_are_put_through_the_logistic_function(capsys: pytest.CaptureFixture[str]) -> None:
    plain = judged(capsys, *BOTH, "--metric", "auc", "--metric", "brier")
    table = pd.read_csv("vendor_b.csv")
    for name in ("PleuralEffusion", "Edema"):
        table[name] = np.log(table[name] / (1 - table[name]))
    table.to_csv("vendor_b.csv", index=False)
    assert cli.invoke(["score", *BOTH]) == 3
    assert "is outside 0..1: are these logits? pass --logits" in capsys.readouterr().err
    logits = judged(capsys, *BOTH, "--metric", "auc", "--metric", "brier", "--logits")
    np.testing.assert_allclose(logits["value"], plain["value"], atol=1e-9)


@pytest.mark.parametrize(
    ("file", "change", "expected"),
    [
        ("vendor_b.csv", cell(7, "Edema", "1.7"), "vendor_b.csv: row 7: score 1.7 for Edema is outside 0..1"),
        ("vendor_b.csv", cell(7, "Edema", "high"), "vendor_b.csv: row 7: 'high' for Edema is not a number"),
        ("vendor_b.csv", cell(7, "Edema", ""), "vendor_b.csv: row 7: no score for Edema, whose truth is known (1 such"),
        ("vendor_b.csv", cell(7, "Edema", "NaN"), "vendor_b.csv: row 7: no score for Edema, whose truth is known"),
        ("vendor_b.csv", cell(7, "image", "b000"), "vendor_b.csv: row 7: image 'b000' stands twice"),
        ("vendor_b.csv", cell(7, "image", ""), "vendor_b.csv: row 7: no image id"),
        ("vendor_b.csv", lambda t: t.drop(index=3), "1 of 240 images of site_b.csv have no score, such as 'b003'"),
        ("vendor_b.csv", lambda t: t.rename(columns={"image": "imag"}), "column 'image' missing; did you mean 'imag'?"),
        ("vendor_b.csv", lambda t: t.assign(Effusion="0.5"), "columns 'PleuralEffusion' and 'Effusion' both mean"),
        ("vendor_b.csv", lambda t: t.iloc[:0], "vendor_b.csv: has no rows"),
        (
            "vendor_b.csv",
            lambda t: t[["image"]],
            "no label has both truth and score; scores: none; truth: Effusion, Edema",
        ),
        ("site_b.csv", cell(7, "Edema", "2"), "site_b.csv: row 7: truth 2 for Edema: expected 1, 0 or nothing"),
        ("site_b.csv", cell(7, "Edema", "-1"), "truth -1 for Edema: expected 1, 0 or nothing; decide what uncertain"),
        ("site_b.csv", cell(7, "patient_id", ""), "site_b.csv: row 7: no patient id, other rows have one"),
    ],
)
def test_a_wrong_table_is_one_line(
    file: str, change: Callable[[pd.DataFrame], pd.DataFrame], expected: str, said: Said
) -> None:
    rewrite(file, change)
    assert cli.invoke(["score", *BOTH]) == 3
    words = said()
    assert words.count("\n") == 1
    assert expected in words


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--target", "sensitivity=0.9"), "--target sensitivity=0.9: needs --compare, whose images set the threshold"),
        (("--metric", "recall@specificity=0.9"), "--metric recall@specificity=0.9: needs --compare"),
        (
            ("--target", "sensitvity=0.9"),
            "expected sensitivity=SHARE, specificity=SHARE or threshold=SCORE; did you mean",
        ),
        (("--target", "threshold=high"), "--target threshold=high: 'high' is not a number"),
        (("--metric", "auroc"), "unknown metric 'auroc'; did you mean 'auc'?"),
        (("--compare-labels", "site_a.csv"), "there is no --compare: leave out --compare-labels"),
        (("--replicates", "5"), "Invalid value for '--replicates'"),
        (("--html", "."), ".: is a folder; a file is expected"),
        (("--csv", "site_a.csv/x.csv"), "site_a.csv"),
    ],
)
def test_options_that_do_not_go_together(words: tuple[str, ...], expected: str, said: Said) -> None:
    assert cli.invoke(["score", *BOTH, *words]) == 3
    assert expected in said()


def test_a_column_that_stands_twice_is_refused(desk: Path, said: Said) -> None:
    (desk / "twice.csv").write_text("image,Edema,Edema\nx,0.5,0.6\n")
    assert cli.invoke(["score", "twice.csv", "--labels", "site_b.csv"]) == 3
    assert "twice.csv: column 'Edema' stands 2 times in the header" in said()


def test_files_that_are_no_tables(desk: Path, said: Said) -> None:
    (desk / "noise.csv").write_bytes(bytes(range(128, 256)) * 9)
    (desk / "noise.parquet").write_bytes(b"noise" * 99)
    for name in ("noise.csv", "noise.parquet"):
        assert cli.invoke(["score", name]) == 3
        assert f"{name}: not a readable table: " in said()
    assert cli.invoke(["score", "nowhere.csv"]) == 3
    assert "nowhere.csv: no such file" in said()


def test_without_patients_intervals_are_by_image(capsys: pytest.CaptureFixture[str]) -> None:
    for file in ("vendor_b.csv", "site_b.csv"):
        rewrite(file, lambda table: table.drop(columns="patient_id"))
    assert cli.invoke(["score", *BOTH, "--quiet"]) == 0
    text = capsys.readouterr().out
    assert "240 images; no patient ids: intervals are by image" in text
    assert "resampling images (no patient ids)" in text


def test_a_label_of_one_class_is_undefined_with_counts_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    rewrite("site_b.csv", lambda table: table.assign(Edema="0"))
    found = {row["label"]: row for row in judged(capsys, *BOTH, "--metric", "auc").to_dict("records")}
    assert np.isnan(found["Edema"]["value"])
    assert (found["Edema"]["n_positive"], found["Edema"]["n_negative"]) == (0, 240)
    assert found["Edema"]["reason"] == "no positive among 240 labelled images"
    assert found["mean"]["value"] == found["Effusion"]["value"]


def test_pages_and_tables_are_written(capsys: pytest.CaptureFixture[str], desk: Path) -> None:
    (desk / "<b>x.csv").write_bytes(Path("vendor_b.csv").read_bytes())
    words = ("<b>x.csv", "--labels", "site_b.csv", "--html", "page.html", "--csv", "scores.csv")
    found = judged(capsys, *words)
    written = pd.read_csv("scores.csv")
    np.testing.assert_array_equal(written["value"], found["value"])
    page = Path("page.html").read_text()
    assert "&lt;b&gt;x" in page
    assert "<b>x" not in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.train
def test_a_cell_of_a_run_is_judged_alike_from_outside(first_lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    scores = pd.read_csv(first_lab.folder / "scores.csv")
    one = scores[(scores["protocol"] == "external") & (scores["metric"] == "auc")].iloc[0]
    frame = pd.read_parquet(first_lab.out / "cells" / f"{one['key']}.parquet")
    frame.to_csv("ours.csv", index=False)
    found = judged(capsys, "ours.csv", "--metric", "auc").set_index("label")
    mine = scores[(scores["cell"] == one["cell"]) & (scores["metric"] == "auc")].set_index("label")
    for column in ("value", "low", "high", "n_positive", "n_negative", "n_patients"):
        np.testing.assert_allclose(found[column].astype(float), mine[column].astype(float), atol=1e-7, err_msg=column)


@pytest.mark.train
def test_a_run_is_judged_again_but_not_by_other_measures(done: Lab, said: Said) -> None:
    before = (done.folder / "scores.csv").read_bytes()
    (done.folder / "scores.csv").unlink()
    assert done.invoke("score", done.out, "--quiet") == 0
    assert (done.folder / "scores.csv").read_bytes() == before
    said()
    assert done.invoke("score", done.out, "--metric", "brier") == 3
    assert "a run is judged again by its own suite and data: leave out --metric" in said()


def found(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, pd.DataFrame]:
    """Judge and return every table of the answer."""
    capsys.readouterr()
    assert cli.invoke(["score", *words, "--replicates", "100", "--json", "--quiet"]) == 0
    answer = json.loads(capsys.readouterr().out)
    return {name: pd.DataFrame(rows) for name, rows in answer.items() if name != "notes"}


@pytest.fixture
def people(desk: Path) -> pd.DataFrame:
    """The truth at site b, with a sex beside it and an age in the vendor's table."""
    rng = np.random.default_rng(5)
    truth = pd.read_csv("site_b.csv")
    truth = truth.assign(Sex=np.where(truth["patient_id"] % 3, "F", "M"))
    truth.to_csv("site_b.csv", index=False)
    age = np.repeat(rng.integers(10, 95, len(truth) // 2), 2)
    vendor = pd.read_csv("vendor_b.csv").assign(age=age)
    vendor.to_csv("vendor_b.csv", index=False)
    return truth.assign(age=age, score=vendor["Edema"])


def test_subgroups_come_from_either_table(capsys: pytest.CaptureFixture[str], people: pd.DataFrame) -> None:
    words = (*BOTH, "--subgroup", "sex", "--subgroup", "age=18,40,80", "--minimum", "15")
    table = found(capsys, *words)["subgroups"]
    for group in ("F", "M"):
        (row,) = table[(table["label"] == "Edema") & (table["group"] == group)].to_dict("records")
        mine = people[people["Sex"] == group]
        assert row["value"] == pytest.approx(roc_auc_score(mine["Edema"], mine["score"]))
        assert row["n_patients"] == mine["patient_id"].nunique()
    old = people[people["age"] >= 80]
    (row,) = table[(table["label"] == "Edema") & (table["group"] == "80+")].to_dict("records")
    assert row["value"] == pytest.approx(roc_auc_score(old["Edema"], old["score"]))
    small = table[table["group"] == "0-17"]
    assert people.loc[people["age"] < 18, "patient_id"].nunique() < 15
    assert set(small["reason"]) == {"suppressed: fewer than 15 patients"}
    assert (small[["n_positive", "n_negative"]] == 0).all(axis=None)


def test_a_decision_curve_is_net_benefit_by_hand(capsys: pytest.CaptureFixture[str], people: pd.DataFrame) -> None:
    table = found(capsys, *BOTH, "--decision", "0.1,0.4")["decision-curve"]
    for row in table[table["label"] == "Edema"].to_dict("records"):
        called, sick = people["score"] >= row["threshold"], people["Edema"] == 1
        odds = row["threshold"] / (1 - row["threshold"])
        assert row["value"] == pytest.approx(((called & sick).sum() - odds * (called & ~sick).sum()) / len(people))
        assert row["treat_all"] == pytest.approx(sick.mean() - odds * (~sick).mean())
    assert table["threshold"].tolist() == [0.1, 0.4] * 2


def test_an_operating_point_says_how_far_it_has_drifted(
    capsys: pytest.CaptureFixture[str], people: pd.DataFrame
) -> None:
    words = (*BOTH, "--compare", "vendor_a.csv", "--compare-labels", "site_a.csv", "--target", "specificity=0.9")
    tables = found(capsys, *words, "--prevalence", "0.02", "--prevalence", "0.5")
    table = tables["operating"]
    assert set(table["site"]) == {"vendor_b"}, "the reference is not judged at thresholds that were chosen on it"
    mine = table[table["label"] == "Edema"].set_index("metric")
    at = mine["threshold"].iloc[0]
    called, sick = people["score"] >= at, people["Edema"] == 1
    recall, specificity = called[sick].mean(), (~called)[~sick].mean()
    assert mine["value"]["drift"] == pytest.approx(specificity - 0.9)
    for share in (0.02, 0.5):
        expected = recall * share / (recall * share + (1 - specificity) * (1 - share))
        assert mine["value"][f"ppv,prevalence={share:g}"] == pytest.approx(expected)
    assert mine["value"]["ppv"] == pytest.approx(sick[called].mean())
    assert mine["low"]["drift"] < mine["value"]["drift"] < mine["high"]["drift"]


def test_a_stated_threshold_needs_no_reference_and_has_no_drift(capsys: pytest.CaptureFixture[str]) -> None:
    table = found(capsys, *BOTH, "--target", "threshold=0.5", "--prevalence", "0.1")["operating"]
    assert set(table["threshold"]) == {0.5}
    assert "drift" not in set(table["metric"])
    assert "ppv,prevalence=0.1" in set(table["metric"])


def test_a_metric_that_is_asked_for_twice_stands_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--compare", "vendor_a.csv", "--compare-labels", "site_a.csv", "--target", "sensitivity=0.9")
    tables = found(capsys, *BOTH, *words, "--metric", "ppv@sensitivity=0.9")
    for table in (tables["scores"], tables["operating"]):
        assert not table.duplicated(["site", "label", "metric"]).any()
    assert set(tables["scores"]["site"]) == {"vendor_b"}, "every metric here needs a threshold"
    assert "ppv" in set(tables["operating"]["metric"])


def test_interval_and_level_are_those_that_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    default = found(capsys, *BOTH, "--metric", "auc")["scores"]
    assert set(default["interval"]) == {"jackknife"}
    narrow = found(capsys, *BOTH, "--metric", "auc", "--level", "0.5")["scores"]
    assert set(narrow["level"]) == {0.5}
    assert ((narrow["high"] - narrow["low"]) < (default["high"] - default["low"])).all()
    drawn = found(capsys, *BOTH, "--metric", "auc", "--interval", "bootstrap")["scores"]
    assert set(drawn["interval"]) == {"bootstrap"}
    assert set(drawn["replicates"]) == {100}


def test_every_finding_stands_in_text_csv_and_page(
    capsys: pytest.CaptureFixture[str], people: pd.DataFrame, desk: Path
) -> None:
    words = (*BOTH, "--subgroup", "sex", "--decision", "0.2", "--target", "threshold=0.5", "--quiet")
    assert cli.invoke(["score", *words, "--csv", "out.csv", "--html", "out.html"]) == 0
    text, page = capsys.readouterr().out, (desk / "out.html").read_text()
    for title in ("Groups of patients", "Net benefit of acting at a threshold probability", "At threshold 0.5"):
        assert title in text
        assert title in page
    for name in ("subgroups", "decision-curve", "operating"):
        table = pd.read_csv(desk / f"out-{name}.csv")
        assert len(table)
        assert {"site", "label", "value", "low", "high", "n_positive", "reason", "caution"} <= set(table)
    assert len(pd.read_csv(desk / "out.csv"))


def test_the_words_for_intervals_are_those_of_the_library() -> None:
    from xrbench.cli.results import INTERVALS
    from xrbench.statistics import KINDS

    assert INTERVALS == KINDS


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--subgroup", "sexe"), "site_b.csv: no column 'sexe' to group patients by; did you mean 'Sex'?"),
        (("--subgroup", "age=40,18"), "--subgroup age=40,18: expected rising whole numbers above 0, where bands begin"),
        (("--subgroup", "age=18,old"), "--subgroup age=18,old: 'old' is not a number"),
        (("--subgroup", "sex=18"), "--subgroup sex: column 'sex': 'M' is not a number, and bands are of numbers"),
        (("--subgroup", "=18"), "--subgroup =18: expected COLUMN, or COLUMN=NUMBER,NUMBER,..."),
        (("--minimum", "3"), "--minimum: says how small a group may be; add --subgroup COLUMN"),
        (("--prevalence", "0.1"), "--prevalence 0.1: predictive values are of an operating point; add --target"),
        (("--prevalence", "2"), "2.0 is not in the range 0<x<1"),
        (("--decision", "0.1,x"), "--decision 0.1,x: 'x' is not a number"),
        (("--decision", "1"), "--decision 1: a threshold probability is from 0 to below 1, got 1"),
        (("--interval", "boot"), "unknown kind of interval 'boot'; did you mean 'bootstrap'?"),
        (("--level", "1"), "1.0 is not in the range 0<x<1"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(
    said: Said, people: pd.DataFrame, words: tuple[str, ...], message: str
) -> None:
    assert cli.invoke(["score", *BOTH, *words, "--quiet"]) == 3
    error = said().strip()
    assert message in error
    assert "\n" not in error


@pytest.mark.train
def test_a_run_is_judged_by_its_own_suite(done: Lab, said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("--subgroup", "sex"), ("--decision", "0.1"), ("--interval", "bca"), ("--level", "0.9")):
        assert done.invoke("score", done.out, *words) == 3
        assert f"a run is judged again by its own suite and data: leave out {words[0]}" in said()
    manifest = json.loads((done.folder / "manifest.json").read_text())
    manifest["suite"]["analyses"]["subgroups"] = [{"column": "sex", "bands": [], "minimum": 2, "metrics": []}]
    manifest["suite"]["analyses"]["across"] = ["ranks"]
    (done.folder / "manifest.json").write_text(json.dumps(manifest))
    capsys.readouterr()
    assert done.invoke("score", done.out, "--quiet") == 0
    text = capsys.readouterr().out
    assert f"pairs, subgroups, ranks written to {done.folder / 'analyses'}" in text
    assert "The weakest group of patients of every test set" in text
    assert sorted(path.stem for path in (done.folder / "analyses").glob("*.csv")) == ["pairs", "ranks", "subgroups"]
