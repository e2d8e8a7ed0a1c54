"""Over seeds, settings, methods and domains: against NumPy, SciPy and statsmodels on the scores themselves."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from xrbench import cards, statistics
from xrbench.analyses import analyse
from xrbench.analyses.domain_matrix import domains_of
from xrbench.analyses.pairwise import apart
from xrbench.compare.scores_io import Results
from xrbench.runs.run_cell import RunCell

Frames = dict[str, pd.DataFrame]
SETTINGS = ["b+c>held-out>a", "a+c>held-out>b", "a+b>held-out>c"]


def external(results: Results, **wanted: str) -> pd.DataFrame:
    rows = results.scores[(results.scores["protocol"] == "external") & ~results.scores["seen"]]
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    return rows


def test_a_figure_over_seeds_is_their_mean_with_two_sources_of_error(found: Frames, results: Results) -> None:
    rows = external(results, method="plain", setting=SETTINGS[0], label="Edema", metric="auc")
    table = found["seeds"]
    mine = table[(table["over"] == "seeds") & (table["protocol"] == "external") & (table["method"] == "plain")]
    mine = mine[(mine["setting"] == SETTINGS[0]) & (mine["label"] == "Edema") & (mine["metric"] == "auc")]
    (row,) = mine.to_dict("records")
    assert row["value"] == pytest.approx(rows["value"].mean())
    assert row["sd"] == pytest.approx(rows["value"].std(ddof=1))
    assert row["n_seeds"] == 3
    assert row["patient_share"] + row["seed_share"] == pytest.approx(1)
    # wider than the patients of one seed alone would make it, on the average over seeds
    assert row["high"] - row["low"] > (rows["high"] - rows["low"]).mean() * np.sqrt(row["patient_share"]) * 0.8
    assert row["n_positive"] == rows["n_positive"].iloc[0]


def test_over_settings_stands_the_mean_of_seed_means_with_the_sample_deviation(found: Frames, results: Results) -> None:
    table = found["seeds"]
    mine = table[(table["over"] == "settings") & (table["label"] == "mean") & (table["metric"] == "auc")]
    for row in mine.to_dict("records"):
        rows = external(results, method=row["method"], label="mean", metric="auc")
        means = rows.groupby(rows["setting"].where(rows["setting"] != "", rows["test"]))["value"].mean()
        assert row["value"] == pytest.approx(means.mean())
        assert row["sd"] == pytest.approx(means.std(ddof=1))
        assert float(row["low"]) < float(row["value"]) < float(row["high"])
        assert row["patient_share"] + row["seed_share"] == pytest.approx(1)
        assert row["n_settings"] == (2 if row["method"] == "ready" else 3), "it has seen c"


def figures(results: Results, label: str) -> pd.DataFrame:
    """One row a setting, one column a method; the ready-made model has the figure of the setting's test set."""
    rows = external(results, label=label, metric="auc")
    trained = rows[rows["train"] != ""]
    wide = trained.pivot_table(index="setting", columns="method", values="value").loc[SETTINGS]
    ready = rows[rows["method"] == "ready"].set_index("test")["value"]
    return wide.assign(ready=[ready.get(name.rpartition(">")[2], np.nan) for name in wide.index])


def test_ranks_are_friedmans_over_settings_in_which_everybody_has_a_value(found: Frames, results: Results) -> None:
    wide = figures(results, "Edema").dropna()
    assert len(wide) == 2
    mine = found["ranks"]
    mine = mine[(mine["label"] == "Edema") & (mine["metric"] == "auc")].set_index("method")
    expected = wide.rank(axis=1, ascending=False).mean()
    assert mine["mean_rank"].to_dict() == pytest.approx(expected.to_dict())
    friedman = stats.friedmanchisquare(*(wide[name] for name in wide))
    assert mine["statistic"].iloc[0] == pytest.approx(friedman.statistic)
    # Two settings: of the 36 pairs of orders, those with as large a statistic.
    ranks = wide.rank(axis=1).to_numpy()
    orders = itertools.product(*(itertools.permutations(row) for row in ranks))
    spreads = [np.var(np.sum(pair, axis=0)) for pair in orders]
    assert mine["p"].iloc[0] == pytest.approx(np.mean(np.array(spreads) >= np.var(ranks.sum(axis=0)) - 1e-9))
    assert mine["critical_difference"].iloc[0] == 2.0
    assert set(mine["distribution"]) == {"exact"}
    assert set(mine["n_settings"]) == {2}
    assert mine["caution"].str.endswith("1 settings left out, where a method has no value").all()


def test_signed_ranks_of_the_declared_pair(found: Frames, results: Results) -> None:
    table = found["signed-rank"]
    assert table["label"].tolist() == ["Edema", "Effusion", "mean"]
    raw = []
    for row in table.to_dict("records"):
        wide = figures(results, row["label"])
        raw.append(stats.wilcoxon(wide["fancy"], wide["plain"]).pvalue)
        assert row["p"] == pytest.approx(raw[-1])
        assert row["value"] == pytest.approx((wide["fancy"] - wide["plain"]).mean())
        assert row["wins"] == (wide["fancy"] > wide["plain"]).sum()
        assert row["wins"] + row["ties"] + row["losses"] == row["n_settings"] == 3
        assert row["smallest_p"] == 2 / 2**3
        assert row["smallest_p_adjusted"] == 3 * 2 / 2**3
        assert row["caution"].endswith("whatever the differences, so few settings give no adjusted p below 0.75")
    np.testing.assert_allclose(table["p_adjusted"], multipletests(raw, method="holm")[1])


def test_parts_of_the_variance_are_those_of_the_trained_methods(found: Frames, results: Results) -> None:
    rows = external(results, label="Edema", metric="auc")
    rows = rows[rows["train"] != ""]
    mine = found["variance"]
    mine = mine[mine["label"] == "Edema"].set_index("source")
    expected = statistics.decompose(
        rows["value"].tolist(), {name: rows[name].tolist() for name in ("method", "setting", "seed")}
    )
    assert mine.loc["method", "value"] == pytest.approx(expected.parts["method"])
    assert mine.loc["test", "reason"] == "changes together with setting: its part is in there"
    assert mine["share"].sum() == pytest.approx(1)
    assert mine.loc["rest", "n_scores"] == 18
    assert mine.loc[["method"], "caution"].str.contains("known poorly").all()


def test_the_matrix_has_internal_figures_on_its_diagonal_only(found: Frames, results: Results) -> None:
    table = found["matrix"]
    mine = table[(table["method"] == "plain") & (table["label"] == "Edema")].set_index(["train", "test"])
    assert len(mine) == 9
    scores = results.scores
    rows = scores[(scores["method"] == "plain") & (scores["label"] == "Edema") & (scores["metric"] == "auc")]
    outside = rows[(rows["protocol"] == "external") & (rows["test"] == "c")]["value"]
    inside = rows[(rows["protocol"] == "internal") & (rows["test"] == "b")]["value"]
    for pair, values, protocol in ((("a", "c"), outside, "external"), (("b", "b"), inside, "internal")):
        assert mine.loc[pair, "value"] == pytest.approx(values.mean())
        low, value, high = mine[["low", "value", "high"]].to_numpy(float)[list(mine.index).index(pair)]
        assert low < value < high
        assert (mine.loc[pair, "n_trainings"], mine.loc[pair, "over"]) == (3, "trainings")
        assert mine.loc[pair, "n_figures"] == len(values)
        assert mine.loc[pair, "protocol"] == protocol
    assert "ready" not in set(table["method"]), "a model that is used without training has no training domain"


def test_a_named_training_set_is_a_domain_of_its_own() -> None:
    cell = RunCell(method="m", model="n", train="a+b", test="c", protocol="external", cell="x")
    assert domains_of(replace(cell, configuration="both")) == ("both",)
    assert domains_of(cell) == ("a", "b")


def test_each_two_methods_of_a_setting_with_what_could_be_seen(found: Frames, results: Results) -> None:
    table = found["pairs"]
    assert set(zip(table["challenger"], table["baseline"], strict=True)) == {
        ("fancy", "plain"),
        ("ready", "plain"),
        ("ready", "fancy"),
    }
    mine = table[(table["setting"] == SETTINGS[0]) & (table["challenger"] == "fancy") & (table["label"] == "mean")]
    by_question = {row["about"]: row for row in mine.to_dict("records")}
    assert set(by_question) == {"methods", "networks"}
    wide = figures(results, "mean")
    for row in by_question.values():
        assert row["value"] == pytest.approx((wide["fancy"] - wide["plain"])[SETTINGS[0]])
        assert row["low"] < row["value"] < row["high"]
        assert row["detectable"] > row["error"]
    assert by_question["methods"]["n_trainings"] == 3


def test_lines_are_apart_where_the_adjusted_test_of_their_column_says_so(found: Frames) -> None:
    known = apart(found["pairs"], lambda method, model: f"{method} {model}", adjustment="holm", significance=0.05)
    for (setting, metric, label), (about, pairs) in known.items():
        assert about == "methods"
        rows = found["pairs"]
        rows = rows[(rows["about"] == about) & (rows["setting"] == setting) & (rows["label"] == label)]
        rows = rows[rows["metric"] == metric]
        rejected = multipletests(rows["p"], method="holm")[0]
        names = zip(rows["challenger"] + " " + rows["model"], rows["baseline"] + " " + rows["other"], strict=True)
        assert pairs == {frozenset(pair) for pair, shown in zip(names, rejected, strict=True) if shown}
    assert any(pairs for _, pairs in known.values())
    assert not any("ready zoo" in pair for pair in known[SETTINGS[2], "auc", "mean"][1]), "it has seen c"


def test_one_seed_and_two_settings_give_reasons_where_something_cannot_be_said(
    suite: cards.SuiteCard, make_study: Callable[..., Results]
) -> None:
    small = msgspec.structs.replace(suite, methods=("plain", "fancy"))
    tables = analyse(make_study(small, seeds=(0,), settings=2), small)
    seeds = tables["seeds"][tables["seeds"]["over"] == "seeds"]
    assert seeds["low"].isna().all()
    assert set(seeds["reason"]) == {"interval: one seed cannot show how much seeds matter"}
    assert seeds["value"].notna().all()
    variance = tables["variance"]
    assert variance.loc[variance["source"] == "seed", "reason"].unique().tolist() == ["has a single value"]
    assert variance["reason"].astype(bool).any()
    ranks = tables["ranks"]
    assert set(ranks["n_settings"]) == {2}
    assert ranks["mean_rank"].notna().all()


def test_one_setting_ranks_nobody(suite: cards.SuiteCard, make_study: Callable[..., Results]) -> None:
    small = msgspec.structs.replace(suite, methods=("plain",))
    tables = analyse(make_study(small, seeds=(0,), settings=1), small)
    assert set(tables["ranks"]["reason"]) == {"a ranking wants two methods and two settings, not 1 and 1"}
    assert tables["signed-rank"]["reason"].tolist() == ["not measured: fancy"]
    assert tables["pairs"].empty
    over = tables["seeds"][tables["seeds"]["over"] == "settings"]
    assert set(over["reason"]) == {"one training: how much another one would differ is not known"}
    assert tables["policies"]["tau"].isna().all()


def test_a_single_label_does_not_stand_twice(suite: cards.SuiteCard, make_study: Callable[..., Results]) -> None:
    """The mean over one label would double every family of tests."""
    one = msgspec.structs.replace(suite, labels=("Edema",), methods=("plain", "fancy"))
    tables = analyse(make_study(one, seeds=(0, 1), settings=2), one)
    for name, table in tables.items():
        assert set(table["label"]) == {"Edema"}, name
    groups = tables["subgroups"]
    mine = groups[(groups["cell"] == groups["cell"].iloc[0]) & (groups["column"] == "sex")]
    # each of two groups is the other one's others: a single comparison, so that nothing is adjusted
    np.testing.assert_allclose(mine["p_adjusted"], mine["p"], atol=0.02)
