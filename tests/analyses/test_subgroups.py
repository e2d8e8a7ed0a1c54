"""Figures of each sex and age against scikit-learn on the same rows, and p-values against statsmodels."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from xrbench import cards
from xrbench.analyses import Material, analyse
from xrbench.analyses.subgroups import groups_of, rows_of
from xrbench.compare.scores_io import Results
from xrbench.errors import MeasureError
from xrbench.runs.run_cell import RunCell
from xrbench.statistics import thresholds_for

TEST = "plain/net/a+b/valid-held-out/seed-0/c"


def cell_of(material: Material) -> RunCell:
    return next(cell for cell in material.results.cells if cell.cell == TEST)


@pytest.fixture(scope="module")
def table(found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return found["subgroups"]


def test_each_sex_has_the_figure_of_its_own_rows(table: pd.DataFrame, results: Results) -> None:
    frame = results.predictions(TEST)
    assert frame is not None
    mine = table[(table["cell"] == TEST) & (table["column"] == "sex") & (table["label"] == "Edema")]
    assert mine["group"].tolist() == ["F", "M"]
    values = {}
    for row in mine.to_dict("records"):
        part = frame[(frame["sex"] == row["group"]) & frame["truth:Edema"].notna()]
        values[row["group"]] = roc_auc_score(part["truth:Edema"], part["score:Edema"])
        assert row["value"] == pytest.approx(values[row["group"]])
        assert row["n_patients"] == part["patient_id"].nunique()
        assert row["low"] < row["value"] < row["high"]
    by_group = mine.set_index("group")
    assert by_group.loc["F", "behind"] == pytest.approx(values["M"] - values["F"])
    assert by_group["weakest"].tolist() == [values["F"] < values["M"], values["M"] < values["F"]]


def test_p_values_are_adjusted_over_the_groups_and_labels_of_a_table(table: pd.DataFrame, material: Material) -> None:
    mine = table[(table["cell"] == TEST) & (table["column"] == "age") & (table["metric"] == "auc")]
    tested = mine[mine["p"].notna()]
    assert len(tested) > 3
    bonferroni = multipletests(tested["p"], method="bonferroni")[1]
    assert ((tested["p_adjusted"] >= tested["p"]) & (tested["p_adjusted"] <= bonferroni + 1e-12)).all()
    apart = (tested["behind_low"] > 0) | (tested["behind_high"] < 0)
    assert (apart == (tested["p_adjusted"] < 0.05)).all()
    rule = cards.SubgroupRule(column="age", bands=(18, 40, 80), minimum=12)
    test, frame = material.predictions(cell_of(material)), material.frame(cell_of(material))
    rows = pd.DataFrame(rows_of(test, frame, rule, metric="auc", adjustment="bh")).dropna(subset=["p"])
    np.testing.assert_allclose(rows["p_adjusted"], multipletests(rows["p"], method="fdr_bh")[1])


def test_one_group_is_the_weakest_and_none_the_worst_without_evidence(table: pd.DataFrame) -> None:
    shown = table[table["behind_low"].notna()]
    assert len(shown) > 20
    assert (shown["worst"] == (shown["weakest"] & (shown["p_adjusted"] < 0.05))).all()
    assert (~shown["worst"] | (shown["behind_low"] > 0)).all()
    assert (shown["weakest"] & ~shown["worst"]).any()


def test_small_groups_are_suppressed_with_everything_that_is_in_them(table: pd.DataFrame, results: Results) -> None:
    frame = results.predictions(TEST)
    assert frame is not None
    patients = frame.drop_duplicates("patient_id")["age"]
    sizes = {"0-17": (patients < 18).sum(), "80+": (patients >= 80).sum()}
    small = [name for name, size in sizes.items() if size < 12]
    assert small, "the drawn patients have a small band"
    rows = table[(table["cell"] == TEST) & table["group"].isin(small)]
    assert rows["suppressed"].all()
    assert rows[["value", "low", "high", "behind", "p"]].isna().all(axis=None)
    assert (rows[["n_positive", "n_negative", "n_images"]] == 0).all(axis=None), "not even how many are in it"
    assert set(rows["reason"]) == {"suppressed: fewer than 12 patients"}


def test_a_threshold_of_a_group_is_that_of_the_validation_images(table: pd.DataFrame, material: Material) -> None:
    metric = "recall@specificity=0.9"
    row = table[(table["cell"] == TEST) & (table["metric"] == metric) & (table["group"] == "40-79")].iloc[0]
    valid = material.validation(cell_of(material))
    frame = material.results.predictions(TEST)
    assert valid is not None
    assert frame is not None
    at = thresholds_for(valid.truth, valid.score, labels=valid.labels, metrics=[metric])[row["label"], metric]
    sick = frame[(frame[f"truth:{row['label']}"] == 1) & frame["age"].between(40, 79)]
    assert row["value"] == pytest.approx((sick[f"score:{row['label']}"] >= at).mean())


def test_a_metric_that_needs_validation_images_is_refused_where_there_are_none(table: pd.DataFrame) -> None:
    rows = table[(table["method"] == "ready") & (table["metric"] == "recall@specificity=0.9")]
    assert len(rows) == 3
    assert rows["reason"].str.startswith("no validation images").all()


def test_wrong_columns_are_named_in_one_line(material: Material) -> None:
    frame = material.frame(cell_of(material))
    with pytest.raises(MeasureError, match=r"no column 'sexe' in the predictions; did you mean 'sex'\?"):
        groups_of(frame, cards.SubgroupRule(column="sexe"))
    with pytest.raises(MeasureError, match="column 'sex': 'F' is not a number, and bands are of numbers") as raised:
        groups_of(frame.sort_values("sex"), cards.SubgroupRule(column="sex", bands=(18,)))
    assert "\n" not in str(raised.value)


def test_a_column_that_is_missing_is_a_reason_not_a_crash(results: Results, suite: cards.SuiteCard) -> None:
    rule = cards.SubgroupRule(column="scanner")
    other = msgspec.structs.replace(suite, analyses=cards.Analyses(subgroups=(rule,)), tables=())
    table = analyse(results, other)["subgroups"]
    assert table["reason"].str.startswith("no column 'scanner' in the predictions").all()
    assert set(table["column"]) == {"scanner"}


def test_unknown_sexes_form_no_group(material: Material) -> None:
    frame = material.frame(cell_of(material))
    partly = frame.assign(sex=frame["sex"].where(frame.index > 9, None))
    rows = rows_of(material.predictions(cell_of(material)), partly, cards.SubgroupRule(column="sex"), metric="auc")
    assert {row["group"] for row in rows} == {"F", "M"}
    assert {row["n_missing"] for row in rows} == {10}


def test_a_group_in_which_nobody_is_wrong_has_a_distance_but_no_certainty(material: Material) -> None:
    test, frame = material.predictions(cell_of(material)), material.frame(cell_of(material))
    frame = frame.assign(group=np.where(np.arange(len(frame)) < 60, "first", "rest"))
    score = np.array(test.score)
    score[:60] = np.nan_to_num(np.asarray(test.truth)[:60])
    rows = rows_of(replace(test, score=score), frame, cards.SubgroupRule(column="group", minimum=5), metric="auc")
    perfect = [row for row in rows if row["group"] == "first"]
    assert {row["value"] for row in perfect} == {1.0}
    for row in rows:
        assert row["behind"] == pytest.approx(row["behind"])
        assert np.isnan([row["behind_low"], row["behind_high"], row["p"], row["p_adjusted"]]).all()
        assert "all patients of a side agree" in row["caution"]
