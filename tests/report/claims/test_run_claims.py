"""Adjusted p-values, declared claims, DeLong beside the jackknife, and tests over settings: against SciPy and statsmodels."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from xrbench import cards, cli, compare, statistics
from xrbench.compare.across_runs import signed_row
from xrbench.compare.hypotheses import answer, p_of
from xrbench.compare.scores_io import open_results, read_scores
from xrbench.errors import CardError, UsageError
from xrbench.report.run_folder import suite_of
from xrbench.report.tables.method_comparisons import comparison_tables, declared
from xrbench.runs import store
from xrbench.statistics.inference.crossed import Crossed

MakeRun = Callable[..., Path]
SETTINGS = ("a+b>held-out>c", "a+c>held-out>b")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, make_run: MakeRun) -> Path:
    return make_run(tmp_path_factory.mktemp("claims"), {"plain": 1.5, "fancy": 1.9, "third": 0.3})


def declare(folder: Path, **changes: Any) -> None:
    """Declare the run's comparison otherwise."""
    manifest = store.read_json(folder / store.MANIFEST)
    manifest["suite"]["adjustment"] = changes.pop("adjustment", "holm")
    comparison = cards.Comparison(challenger="fancy", baseline="plain", **changes)
    manifest["suite"]["comparisons"] = [cards.plain(comparison)]
    store.write_json(folder / store.MANIFEST, manifest)


def compared(folder: Path, **options: Any) -> compare.Comparison:
    found = compare.run(folder, replicates=100, **{"about": "networks", **options})
    assert isinstance(found, compare.Comparison)
    return found


@pytest.mark.parametrize(("adjustment", "theirs"), [("holm", "holm"), ("bh", "fdr_bh")])
def test_p_values_are_adjusted_as_the_suite_or_the_command_says(good: Path, adjustment: Any, theirs: str) -> None:
    declare(good, adjustment=adjustment)
    for found in (compared(good), compared(good, adjust=adjustment)):
        rows = found.sections[0].rows
        expected = multipletests([row.p for row in rows], method=theirs)[1]
        np.testing.assert_allclose([row.p_adjusted for row in rows], expected)
        name = {"holm": "Holm", "bh": "Benjamini-Hochberg"}[adjustment]
        assert f"{name} over 3 comparisons" in found.text()
        assert f"p({name})" in found.text()
    other = {"holm": "bh", "bh": "holm"}[adjustment]
    assert compared(good, adjust=other).how.adjustment == other


def test_delong_stands_beside_where_there_is_one_cell(good: Path) -> None:
    declare(good)
    found = json.loads(json.dumps(compared(good, only=["test=c"]).to_dict()))
    results = open_results(good)
    names = [f"{method}/net/a+b/valid-held-out/seed-0/c" for method in ("plain", "fancy")]
    a, b = (results.predictions(name) for name in names)
    assert a is not None
    assert b is not None
    rows = {row["label"]: row for row in found["sections"][0]["rows"]}
    known = a["truth:Edema"].notna()
    test = statistics.delong_test(
        a.loc[known, "truth:Edema"],
        a.loc[known, "score:Edema"],
        b.loc[known, "score:Edema"],
        patient=a.loc[known, "patient_id"],
    )
    assert rows["Edema"]["p_delong"] == pytest.approx(test.p)
    assert 0 < rows["Edema"]["p_bootstrap"] <= 1
    assert math.isnan(rows["mean"]["p_delong"])
    assert all(math.isnan(row.p_delong) for row in compared(good).sections[0].rows), "two cells"


def claims(folder: Path, **options: Any) -> list[Mapping[str, Any]]:
    return [vars(row) for row in compared(folder, **options).sections[0].rows]


def test_non_inferiority_is_its_own_test_adjusted_over_its_family(good: Path) -> None:
    declare(good, question="non-inferiority", margin=0.02)
    rows = claims(good)
    raw = [min(1.0, 2 * row["errors"].p_above(-0.02)) for row in rows]
    np.testing.assert_allclose([row["p_question"] for row in rows], multipletests(raw, method="holm")[1])
    for row, p in zip(rows, raw, strict=True):
        # the interval at that significance ends at the margin, and the plain z-test is not far
        assert row["errors"].limits(p)[0] == pytest.approx(-0.02, abs=1e-6)
        assert stats.norm.isf(p / 2) == pytest.approx((row["difference"] + 0.02) / row["error"], rel=0.3)
        assert row["answer"] == ("shown" if row["p_question"] < 0.05 else "not shown")
    text = compared(good).text()
    assert "declared: non-inferiority, margin 0.02" in text
    assert "p of non-inferiority" in text
    assert "shown" in {row["answer"] for row in rows}


def test_equivalence_is_two_one_sided_tests(good: Path) -> None:
    declare(good, question="equivalence", margin=0.2)
    rows = claims(good)
    raw = [max(row["errors"].p_above(-0.2), row["errors"].p_below(0.2)) for row in rows]
    np.testing.assert_allclose([row["p_question"] for row in rows], multipletests(raw, method="holm")[1])
    assert {row["answer"] for row in rows} == {"shown"}, "a margin of 0.2 is wide"
    declare(good, question="equivalence", margin=0.001)
    assert {row["answer"] for row in claims(good)} == {"not shown"}


def test_directions_of_claims() -> None:
    def normal(difference: float, error: float) -> Crossed:
        return Crossed(difference, 0.0, error**2, math.inf, math.inf)

    worse = normal(0.01, 0.01)
    assert p_of("non-inferiority", worse, 0.02, p=0.3, better="lower") == pytest.approx(2 * stats.norm.sf(1))
    assert p_of("non-inferiority", worse, 0.02, p=0.3, better="higher") == pytest.approx(2 * stats.norm.sf(3))
    both = p_of("equivalence", worse, 0.02, p=0.3, better="higher")
    assert p_of("non-inferiority", worse, 0.02, p=0.3, better="neither") == both == pytest.approx(stats.norm.sf(1))
    assert p_of("non-inferiority", normal(0.0, 0.0), 0.02, p=1.0, better="higher") == 0.0, (
        "the same scores on both sides"
    )
    assert math.isnan(p_of("equivalence", None, 0.02, p=1.0, better="higher"))
    assert answer("superiority", -0.02, p_adjusted=0.01, better="lower", level=0.95) == "shown"
    assert answer("superiority", 0.02, p_adjusted=0.01, better="lower", level=0.95) == "not shown"
    assert answer("superiority", math.nan, p_adjusted=0.01, better="lower", level=0.95) == "not shown"
    assert answer("equivalence", 0.0, p_adjusted=0.06, better="higher", level=0.95) == "not shown"


def test_a_margin_on_the_command_line_takes_the_place_of_the_declared_one(good: Path) -> None:
    declare(good, question="non-inferiority", margin=0.02)
    assert compared(good, margin=0.1).sections[0].margin == 0.1
    with pytest.raises(UsageError, match="fancy is declared for non-inferiority, which wants one above 0") as raised:
        compared(good, margin=0.0)
    assert "\n" not in str(raised.value)
    declare(good, margin=0.2)
    assert compared(good).sections[0].margin == 0.2, "the declared margin is used without being repeated"


def test_tables_of_declared_comparisons_carry_claim_and_adjustment(good: Path) -> None:
    declare(good, question="non-inferiority", margin=0.05, adjustment="bh")
    (table,) = comparison_tables(declared(open_results(good), suite_of(store.read_manifest(good))))
    assert table.header[0][-5:] == (
        "p (Benjamini-Hochberg)",
        "smallest detectable",
        "verdict",
        "p of non-inferiority",
        "claim",
    )
    assert table.notes[0] == "Declared: non-inferiority, margin 0.05."
    assert "Benjamini-Hochberg over 3 comparisons" in table.notes[1]
    assert {row[-1].text for row in table.blocks[0]} <= {"shown", "not shown"}


def test_values_stored_before_there_were_claims_are_laid_out_as_before(good: Path) -> None:
    declare(good)
    (value,) = declared(open_results(good), suite_of(store.read_manifest(good)))
    old = {name: item for name, item in value.items() if name not in ("adjustment", "across", "ranks")}
    old["sections"] = [
        {name: item for name, item in part.items() if name not in ("question", "margin", "signed")}
        for part in value["sections"]
    ]
    assert comparison_tables([old]) == comparison_tables([value])


def test_over_settings_with_wilcoxon_and_friedman(good: Path) -> None:
    declare(good)
    found = compared(good, across=True)
    scores = read_scores(good / "scores.csv")
    external = scores[(scores["protocol"] == "external") & (scores["metric"] == "auc")]
    raw = []
    for row in found.sections[0].signed:
        wide = external[external["label"] == row.label].pivot_table(index="setting", columns="method", values="value")
        raw.append(stats.wilcoxon(wide["fancy"], wide["plain"]).pvalue)
        assert row.p == pytest.approx(raw[-1])
        assert row.difference == pytest.approx((wide["fancy"] - wide["plain"]).mean())
        assert (row.settings, row.wins + row.ties + row.losses, row.smallest_p) == (2, 2, 0.5)
    expected = multipletests(raw, method="holm")[1]
    np.testing.assert_allclose([row.p_adjusted for row in found.sections[0].signed], expected)
    for one in found.ranks:
        wide = external[external["label"] == one.label].pivot_table(index="setting", columns="method", values="value")
        friedman = stats.friedmanchisquare(*(wide[name] for name in wide))
        # of all orders of the methods in the second setting, the share that gives such a statistic or a larger one
        first = wide.rank(axis=1).to_numpy()[0]
        orders = [stats.friedmanchisquare(*np.stack([first, order]).T).statistic for order in permutations(first)]
        assert one.ranking is not None
        assert one.ranking.p == pytest.approx(np.mean(np.array(orders) >= friedman.statistic - 1e-9))
        ranks = wide.rank(axis=1, ascending=False).mean()
        assert dict(zip(one.ranking.methods, one.ranking.mean_ranks, strict=True)) == ranks.to_dict()
    text = found.text()
    assert "across settings, Wilcoxon's signed ranks" in text
    assert "across settings, ranks (1 is best)" in text
    assert "across settings" not in compared(good).text()


def test_one_setting_cannot_be_tested_as_many(good: Path) -> None:
    declare(good)
    found = compared(good, across=True, only=["test=c"])
    assert {row.reason for row in found.sections[0].signed} == {"1 settings have both sides; two are expected"}
    assert "1 settings have both sides; two are expected" in found.text()


def test_two_runs_are_tested_over_settings_too(good: Path, tmp_path: Path, make_run: MakeRun) -> None:
    declare(good)
    other = make_run(tmp_path, {"plain": 2.2, "fancy": 1.9})
    found = compare.run(good, other, replicates=100, across=True)
    assert isinstance(found, compare.Comparison)
    first = found.sections[0]
    (mean,) = (row for row in first.rows if row.label == "mean")
    (over,) = (row for row in first.signed if row.label == "mean")
    assert over.difference == pytest.approx(mean.difference)
    assert found.ranks == ()


def test_settings_without_a_value_do_not_count() -> None:
    row = signed_row("t", "Edema", [0.5, math.nan, 0.7], [0.6, 0.9, 0.7], 0.95, better="higher")
    assert (row.settings, row.wins, row.ties, row.losses) == (2, 1, 1, 0)


def test_wrong_words_are_one_line(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(good)
    assert cli.invoke(["compare", str(good), "--adjust", "hlom"]) == 3
    assert "did you mean 'holm'" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--gate decides by patients: leave out --across"):
        compare.run(good, good, gate=True, across=True)
    assert cli.invoke(["compare", str(good), "--across", "--replicates", "100", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ranks"][0]["ranking"]["n_settings"] == 2
    assert found["sections"][0]["signed"][0]["settings"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"question": "non-inferiority"}, r"comparisons\[0\].margin: the question 'non-inferiority' wants a margin"),
        ({"question": "equivalence", "margin": 0.0}, "the question 'equivalence' wants a margin above 0"),
        ({"margin": -0.1}, r"comparisons\[0\].margin: expected 0 or more, got -0.1"),
    ],
)
def test_claims_that_cannot_be_asked_are_refused_in_the_card(changes: dict[str, Any], message: str) -> None:
    comparison = {"challenger": "fancy", "baseline": "plain", **changes}
    with pytest.raises(CardError, match=message) as raised:
        cards.convert({"title": "t", "comparisons": [comparison]}, cards.SuiteCard, where="x.toml")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("analyses", "message"),
    [
        ({"operating": ["sens=0.9"]}, r"analyses.operating\[0\]: expected sensitivity=SHARE or specificity=SHARE"),
        ({"operating": ["sensitivity=1.5"]}, "with 0 < SHARE <= 1, got 'sensitivity=1.5'"),
        ({"prevalences": [0.1, 1.0]}, r"analyses.prevalences\[1\]: expected 0 < value < 1, got 1"),
        ({"decision_thresholds": [1.0]}, r"analyses.decision_thresholds\[0\]: expected 0 <= value < 1, got 1"),
        ({"subgroups": [{"column": "age", "bands": [40, 18]}]}, r"subgroups\[0\].bands: expected rising whole numbers"),
        ({"subgroups": [{"column": "age", "bands": [18.5]}]}, "where bands begin; got 18.5"),
        (
            {"subgroups": [{"column": "sex", "minimum": 0}]},
            r"subgroups\[0\].minimum: expected 1 or more, got 0",
        ),
        ({"policies": [{"name": "x"}, {"name": "x"}]}, r"policies\[0\].name: 'x' stands twice"),
        ({"policies": [{"name": "own policy"}]}, "is what the suite's own policy is called"),
        ({"across": ["rank"]}, "Invalid enum value 'rank'"),
    ],
)
def test_judgements_that_cannot_be_made_are_refused_in_the_card(analyses: dict[str, Any], message: str) -> None:
    with pytest.raises(CardError, match=message) as raised:
        cards.convert({"title": "t", "analyses": analyses}, cards.SuiteCard, where="x.toml")
    assert "\n" not in str(raised.value)
