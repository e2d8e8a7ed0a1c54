"""A suite of multi-class labels: what is concluded of classes, and what has no meaning for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from xrbench import analyses, cards, scoring
from xrbench.analyses.subgroups import rows_of
from xrbench.compare.scores_io import open_results, read_scores
from xrbench.runs import store
from xrbench.runs.prediction_frame import patients_of, truth_and_score
from xrbench.statistics import Predictions

CLASSES = ("Edema", "Effusion")


def as_classes(_: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Make each image one of two classes, with scores that sum to 1."""
    known = frame["truth:Edema"].notna()
    frame["truth:Effusion"] = (1 - frame["truth:Edema"]).where(known)
    frame["score:Effusion"] = 1 - frame["score:Edema"]
    return frame.assign(sex=np.where(frame["patient_id"].astype(int) % 2, "F", "M"))


def predictions(frame: pd.DataFrame) -> Predictions:
    truth, score = truth_and_score(frame, CLASSES)
    return Predictions("here", truth, score, patients_of(frame), labels=CLASSES, task="multiclass")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Path:
    folder = make_run(tmp_path_factory.mktemp("classes"), {"plain": 1.5, "fancy": 2.5}, change=as_classes)
    analyses = cards.Analyses(
        operating=("sensitivity=0.9",),
        decision_thresholds=(0.5,),
        subgroups=(cards.SubgroupRule(column="sex", metrics=("auc", "accuracy", "class-recall")),),
        policies=(cards.PolicyRule(name="ones", uncertain="ones"),),
        across=("seeds", "ranks", "signed-rank", "variance", "matrix"),
    )
    manifest = store.read_json(folder / store.MANIFEST)
    manifest["suite"] |= {
        "task": "multiclass",
        "metrics": ["auc", "accuracy", "class-recall"],
        "comparisons": [cards.plain(cards.Comparison(challenger="fancy", baseline="plain", metric="accuracy"))],
        "analyses": cards.plain(analyses),
        "tables": [cards.plain(cards.TableLayout(name="main", kind="settings", metric="accuracy"))],
    }
    store.write_json(folder / store.MANIFEST, manifest)
    scoring.score_run(folder)
    return folder


@pytest.fixture(scope="module")
def found(run: Path) -> dict[str, pd.DataFrame]:
    return analyses.analyse_run(run)


def test_the_declared_metric_of_all_classes_is_compared(found: dict[str, pd.DataFrame], run: Path) -> None:
    scores = read_scores(run / "scores.csv")
    rows = scores[(scores["metric"] == "accuracy") & (scores["protocol"] == "external")]
    wide = rows.pivot_table(index="setting", columns="method", values="value")
    (signed,) = found["signed-rank"].to_dict("records")
    assert (signed["label"], signed["metric"]) == ("all classes", "accuracy")
    assert signed["value"] == pytest.approx((wide["fancy"] - wide["plain"]).mean())
    pairs = found["pairs"][found["pairs"]["about"] == "networks"].set_index("setting")
    assert set(pairs["label"]) == {"all classes"}
    assert pairs["value"].to_dict() == pytest.approx((wide["fancy"] - wide["plain"]).to_dict())
    assert (pairs["detectable"] > 0).all()
    ranks = found["ranks"]
    assert set(ranks.loc[ranks["metric"] == "accuracy", "label"]) == {"all classes"}


def test_figures_over_seeds_are_made_for_classes_too(found: dict[str, pd.DataFrame], run: Path) -> None:
    table = found["seeds"]
    mine = table[(table["over"] == "seeds") & (table["metric"] == "accuracy") & (table["protocol"] == "external")]
    assert set(mine["label"]) == {"all classes"}
    results = open_results(run)
    frame = results.predictions("plain/net/a+b/valid-held-out/seed-0/c")
    assert frame is not None
    kept = frame[frame["truth:Edema"].notna()]
    expected = accuracy_score(kept["truth:Edema"] == 1, kept["score:Edema"] >= 0.5)
    (row,) = mine[(mine["method"] == "plain") & (mine["test"] == "c")].to_dict("records")
    assert row["value"] == pytest.approx(expected)
    assert row["reason"] == "interval: one seed cannot show how much seeds matter"


def test_each_class_against_the_rest_has_points_and_groups(found: dict[str, pd.DataFrame], run: Path) -> None:
    assert found["operating"]["value"].notna().any()
    assert set(found["operating"]["label"]) == set(CLASSES)
    frame = open_results(run).predictions("plain/net/a+b/valid-held-out/seed-0/c")
    assert frame is not None
    women = frame[(frame["sex"] == "F") & frame["truth:Edema"].notna()]
    table = found["subgroups"]
    mine = table[(table["cell"] == "plain/net/a+b/valid-held-out/seed-0/c") & (table["group"] == "F")]
    values = mine.set_index(["metric", "label"])["value"]
    sick, called = women["truth:Edema"] == 1, women["score:Edema"] >= 0.5
    assert values["auc", "Edema"] == pytest.approx(roc_auc_score(sick, women["score:Edema"]))
    assert values["accuracy", "all classes"] == pytest.approx(accuracy_score(sick, called))
    assert values["class-recall", "Edema"] == pytest.approx(called[sick].mean())


def test_the_worst_of_two_groups_lies_behind_the_other(found: dict[str, pd.DataFrame]) -> None:
    table = found["subgroups"]
    cell = (table["cell"] == "fancy/net/a+b/valid-held-out/seed-0/c") & (table["metric"] == "accuracy")
    by = table[cell].set_index("group")
    women, men = (by["value"][name] for name in ("F", "M"))
    assert by["behind"]["F"] == pytest.approx(men - women)
    assert by["weakest"].to_dict() == {"F": women < men, "M": men < women}
    assert by["low"]["F"] < women < by["high"]["F"]
    assert (by["behind_low"] < by["behind"]).all()
    assert by["p_adjusted"].between(0, 1).all()


def test_small_groups_of_classes_are_suppressed(run: Path) -> None:
    frame = open_results(run).predictions("plain/net/a+b/valid-held-out/seed-0/c")
    assert frame is not None
    rule = cards.SubgroupRule(column="sex", minimum=1000)
    rows = rows_of(predictions(frame), frame, rule, metric="accuracy")
    assert [row["group"] for row in rows] == ["F", "M"]
    assert {row["reason"] for row in rows} == {"suppressed: fewer than 1000 patients"}
    assert all(row["n_images"] == 0 and row["suppressed"] for row in rows)


def test_label_policies_mean_nothing_for_classes(found: dict[str, pd.DataFrame]) -> None:
    assert found["policies"]["reason"].str.contains("follow from its class rule").all()


def test_the_worst_group_of_classes_has_the_highest_brier_score(run: Path) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"image": [f"{n}" for n in range(200)], "sex": np.repeat(["F", "M"], 100)})
    truth = np.tile([0.0, 1.0], 100)
    skill = np.where(frame["sex"] == "F", 0.2, 2.5)
    frame["score:Edema"] = 1 / (1 + np.exp(-skill * (2 * truth - 1) - rng.normal(size=200)))
    frame["score:Effusion"] = 1 - frame["score:Edema"]
    frame["truth:Edema"], frame["truth:Effusion"] = truth, 1 - truth
    for metric, worst in (("accuracy", {"F"}), ("brier", {"F"}), ("cohen-kappa", {"F"}), ("calibration-slope", set())):
        rows = rows_of(predictions(frame), frame, cards.SubgroupRule(column="sex"), metric=metric)
        assert {row["group"] for row in rows if row["weakest"]} == worst, metric
