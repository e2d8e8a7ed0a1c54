"""Tables in the papers' layouts, from the paper's own figures and from small frames made by hand."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pandas as pd
import pytest

from xrbench import cards
from xrbench.compare.scores_io import check_scores
from xrbench.errors import StoreError, UnknownNameError
from xrbench.fixture_notice import STAMP
from xrbench.rendering.table import Table
from xrbench.report.reported_values import Reported
from xrbench.report.run_folder import Run, run_of_scores
from xrbench.report.score_grid import Selection
from xrbench.report.tables import build
from xrbench.report.tables.win_tie_loss import wins_table

Row = Callable[..., dict[str, Any]]

# Mean and deviation as printed in the MEAN column of Table 2 of the balanced-batching paper.
PRINTED = {
    "xrv-all": ["–", "0.88 ± 0.05", "0.91 ± 0.01", "0.92 ± 0.04", "0.87 ± 0.09", "0.83 ± 0.07"],
    "random-batching": ["0.84 ± 0.04", "0.82 ± 0.07", "0.85 ± 0.07", "0.86 ± 0.05", "0.83 ± 0.10", "0.76 ± 0.07"],
    "balanced-batching": ["0.88 ± 0.04", "0.86 ± 0.05", "0.88 ± 0.03", "0.89 ± 0.05", "0.87 ± 0.07", "0.80 ± 0.07"],
}
# Where the mean or deviation of the printed cells rounds otherwise than what is printed (the cells were rounded before).
ROUNDED_OTHERWISE = {
    ("xrv-all", "Edema"): "0.88 ± 0.09",
    ("random-batching", "Cardiomegaly"): "0.85 ± 0.06",
    ("balanced-batching", "Effusion"): "0.90 ± 0.05",
}


def made(run: Run, layout: cards.TableLayout) -> Table:
    table = build.run_table(run, layout)
    assert table is not None
    return table


def column(table: Table, last: int = -1) -> dict[tuple[str, str], str]:
    return {(row[0].text, row[1].text): row[last].text for block in table.blocks for row in block}


def test_the_papers_cells_give_the_papers_means(paper_scores: pd.DataFrame, six_settings: cards.SuiteCard) -> None:
    ours = column(made(run_of_scores(paper_scores, six_settings), six_settings.tables[1]))
    titles = ["Best Valid AUC", "Avg Test AUC", "Cardiomegaly", "Effusion", "Edema", "Consolidation"]
    expected = {(m, t): text for m, texts in PRINTED.items() for t, text in zip(titles, texts, strict=True)}
    assert list(ours) == list(expected)
    assert {key: text for key, text in ours.items() if text != expected[key]} == ROUNDED_OTHERWISE


def test_means_that_round_otherwise_are_within_the_rounding_of_the_cells(
    paper_scores: pd.DataFrame, six_settings: cards.SuiteCard
) -> None:
    ours = column(
        made(run_of_scores(paper_scores, six_settings), cards.TableLayout(name="t", kind="settings", digits=4))
    )
    for method, label in ROUNDED_OTHERWISE:
        row = dict(zip(("Best Valid AUC", "Avg Test AUC", *six_settings.labels), PRINTED[method], strict=True))[label]
        said = [float(text) for text in row.split(" ± ")]
        got = [float(text) for text in ours[method, label].split(" ± ")]
        # A cell is off by at most 0.005, so is their mean; so is the printed figure.
        assert got == pytest.approx(said, abs=0.0101)


def test_wins_ties_and_losses_are_those_of_the_paper(
    paper_scores: pd.DataFrame, six_settings: cards.SuiteCard, golden: Callable[[str, str], None]
) -> None:
    selection = Selection(check_scores(paper_scores), six_settings, "auc")
    table = wins_table(selection, "balanced-batching", "random-batching")
    golden("wins.csv", table.csv())
    counts = {row[0].text: row[-1].text for block in table.blocks for row in block}
    # From the printed table, counted by hand: one loss (Cardiomegaly on PadChest), ties in the MIMIC column.
    assert counts == {
        "Best Valid AUC": "6/0/0",
        "Avg Test AUC": "5/1/0",
        "Cardiomegaly": "3/2/1",
        "Effusion": "5/1/0",
        "Edema": "5/1/0",
        "Consolidation": "5/1/0",
    }


@pytest.mark.parametrize("form", ["md", "tex", "csv"])
def test_table_2_of_the_paper_in_its_layout(
    form: str,
    paper_scores: pd.DataFrame,
    six_settings: cards.SuiteCard,
    paper: Reported,
    golden: Callable[[str, str], None],
) -> None:
    table = build.named(run_of_scores(paper_scores, six_settings, paper=paper), "table2")
    golden(f"table2.{form}", {"md": table.markdown, "tex": table.latex, "csv": table.csv}[form]())


def test_table_1_has_the_reported_figures_beside_ours(
    paper_scores: pd.DataFrame,
    six_settings: cards.SuiteCard,
    paper: Reported,
    descriptions: list[Mapping[str, Any]],
    golden: Callable[[str, str], None],
) -> None:
    table = build.named(run_of_scores(paper_scores, six_settings, paper=paper, descriptions=descriptions), "table1")
    golden("table1.md", table.markdown())
    assert "[" not in build.named(run_of_scores(paper_scores, six_settings, descriptions=descriptions), "table1").text()


def test_fixture_is_never_set_beside_a_paper(
    paper_scores: pd.DataFrame, six_settings: cards.SuiteCard, paper: Reported, descriptions: list[Mapping[str, Any]]
) -> None:
    fixture = paper_scores.assign(data="FIXTURE")
    for table in build.every_table(run_of_scores(fixture, six_settings, paper=paper, descriptions=descriptions)):
        assert "[" not in table.text()
        for text in (table.markdown(), table.latex(), table.text(), table.html()):
            assert STAMP in text
        assert {row[0] for row in list(csv.reader(io.StringIO(table.csv())))[1:]} == {STAMP}
    table = build.named(run_of_scores(fixture, six_settings, paper=paper), "table2")
    assert (
        "The figures reported in 'balanced-batching' are left out: these images are synthetic, not the paper's."
        in table.notes
    )


def test_other_settings_are_not_set_beside_a_paper(
    score_row: Row, small_suite: cards.SuiteCard, paper: Reported
) -> None:
    table = made(run_of_scores(pd.DataFrame([score_row(0.8)]), small_suite, paper=paper), small_suite.tables[0])
    assert "[" not in table.text()
    assert "No setting has the datasets of 'balanced-batching': its reported figures are left out." in table.notes


@pytest.fixture
def small_scores(score_row: Row) -> pd.DataFrame:
    """Two methods, two settings, an undefined label, a missing cell, a contaminated one."""
    rows = []
    for method, lift in (("plain", 0.0), ("fancy", 0.05)):
        for train, test, base in (("a+b", "c", 0.70), ("a+c", "b", 0.75)):
            if (method, test) == ("fancy", "b"):
                continue
            about: dict[str, Any] = {"method": method, "train": train, "setting": f"{train}>held-out>{test}"}
            value = base + lift
            rows.append(score_row(value, test=test, low=value - 0.02, high=value + 0.02, **about))
            rows.append(score_row(value, test=test, label="Edema", low=value - 0.1, high=value + 0.1, **about))
            none = {"n_positive": 0, "n_negative": 1200, "n_masked": 3, "reason": "no positive image"}
            rows.append(score_row(math.nan, test=test, label="Effusion", **none, **about))
            rows.append(score_row(0.9 + lift, protocol="validation", test="held-out", **about))
            for inside in train.split("+"):
                rows += [
                    score_row(0.88 + lift, protocol="internal", test=inside, label=k, **about)
                    for k in ("mean", "Edema")
                ]
    ready = {"method": "ready", "model": "big", "train": "", "valid": "", "setting": "", "seen": True}
    rows += [score_row(0.95, test=test, label=label, **ready) for test in ("c", "b") for label in ("mean", "Edema")]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("name", ["main", "main-intervals", "gap", "scores"])
def test_small_tables_are_what_was_agreed(
    name: str, small_scores: pd.DataFrame, small_suite: cards.SuiteCard, golden: Callable[[str, str], None]
) -> None:
    golden(f"{name}.txt", build.named(run_of_scores(small_scores, small_suite), name).text())


def test_missing_and_undefined_are_told_apart(small_scores: pd.DataFrame, small_suite: cards.SuiteCard) -> None:
    table = build.named(run_of_scores(small_scores, small_suite), "main")
    on_b = column(table, 3)
    assert on_b["fancy", "Edema"] == "–"
    assert on_b["plain", "Effusion"] == "n/a"
    assert "n/a: Effusion on b: 0 positive, 1,200 negative, 3 masked (no positive image)." in table.notes


def test_contaminated_figures_are_marked_and_left_out(small_scores: pd.DataFrame, small_suite: cards.SuiteCard) -> None:
    table = build.named(run_of_scores(small_scores, small_suite), "main")
    assert column(table, 2)["ready", "Edema"] == "0.95†"
    assert column(table)["ready", "Edema"] == "–"
    assert not any(cell.best for block in table.blocks for row in block for cell in row if row[0].text == "ready")
    assert any(note.startswith("† The weights have seen") for note in table.notes)


def test_marks_follow_intervals(small_scores: pd.DataFrame, small_suite: cards.SuiteCard) -> None:
    table = build.named(run_of_scores(small_scores, small_suite), "main")
    marked = {(row[0].text, row[1].text) for block in table.blocks for row in block if row[2].best}
    # In setting 1 the means are 0.70 (to 0.72) and 0.75: apart. Edema's intervals reach each other: nobody is marked.
    assert marked == {("fancy", "Avg Test AUC")}


def test_ties_share_the_mark(score_row: Row, small_suite: cards.SuiteCard) -> None:
    suite = cards.convert(
        {**cards.plain(small_suite), "methods": ["p", "q", "r"], "name": ""}, cards.SuiteCard, where="t"
    )
    scores = pd.DataFrame([score_row(v, method=m) for m, v in (("p", 0.801), ("q", 0.804), ("r", 0.70))])
    table = made(run_of_scores(scores, suite), small_suite.tables[0])
    assert {row[0].text for block in table.blocks for row in block if row[2].best} == {"p", "q"}


def test_one_label_has_no_mean_over_labels(score_row: Row, small_suite: cards.SuiteCard) -> None:
    suite = cards.SuiteCard(title="t", labels=("Edema",), protocol=small_suite.protocol, tables=small_suite.tables)
    scores = pd.DataFrame([score_row(0.8, label=label) for label in ("Edema", "mean")])
    table = build.named(run_of_scores(scores, suite), "main")
    assert [row[1].text for block in table.blocks for row in block] == ["Best Valid AUC", "Edema"]
    assert sum(map(len, build.named(run_of_scores(scores, suite), "scores").blocks)) == 1


def test_seeds_of_a_setting_are_averaged(score_row: Row, small_suite: cards.SuiteCard) -> None:
    scores = pd.DataFrame(
        [score_row(v, seed=s, low=v - 0.1, high=v + 0.1) for s, v in ((0, 0.70), (1, 0.80), (2, 0.90))]
    )
    layout = msgspec.structs.replace(small_suite.tables[0], options={"intervals": True})
    table = made(run_of_scores(scores, small_suite), layout)
    assert column(table, 2)["plain", "Avg Test AUC"] == "0.80 ± 0.10"
    assert table.header[0][2] == "0, 1, 2"
    assert "plain: MEAN over 1 of 2 settings (Avg Test AUC)." in table.notes


def test_the_gap_is_internal_minus_external(small_scores: pd.DataFrame, small_suite: cards.SuiteCard) -> None:
    table = build.named(run_of_scores(small_scores, small_suite), "gap")
    (rows,) = table.blocks
    mean = {row[0].text: [cell.text for cell in row[-3:]] for row in rows}
    # plain: 0.88 inside; (0.70 + 0.75) / 2 outside. fancy: only the first setting.
    assert mean["plain"] == ["0.880", "0.725", "+0.155"]
    assert mean["fancy"] == ["0.930", "0.750", "+0.180"]
    assert mean["ready"] == ["–", "–†", "–"]


def test_cells_guarded_for_one_test_dataset_stay_with_it(score_row: Row, small_suite: cards.SuiteCard) -> None:
    rows = []
    for test, value in (("c", 0.9), ("d", 0.6)):
        about: dict[str, Any] = {"setting": f"a+b>held-out>{test}"}
        fit = f"plain/net/a+b/valid-held-out/seed-0/without-{test}"
        rows.append(score_row(value, test=test, cell=f"{fit}/{test}", **about))
        rows.append(score_row(value, test="held-out", protocol="validation", cell=f"{fit}/validation", **about))
    suite = cards.SuiteCard(
        title="t", labels=("Edema",), methods=("plain",),
        protocol=cards.Protocol(settings=tuple(cards.Setting(train=("a", "b"), test=t) for t in ("c", "d"))),
    )  # fmt: skip
    table = made(run_of_scores(pd.DataFrame(rows), suite), small_suite.tables[0])
    assert [cell.text for cell in table.blocks[0][0]][2:4] == ["0.90", "0.60"]


def test_an_unknown_table_offers_the_nearest(small_scores: pd.DataFrame, small_suite: cards.SuiteCard) -> None:
    with pytest.raises(UnknownNameError, match="suite small: unknown table 'mian'; did you mean 'main'"):
        build.named(run_of_scores(small_scores, small_suite), "mian")


def test_a_missing_column_is_named(small_scores: pd.DataFrame, small_suite: cards.SuiteCard) -> None:
    with pytest.raises(StoreError, match="scores: column 'value' missing"):
        build.named(run_of_scores(small_scores.drop(columns="value"), small_suite), "main")


def test_no_scores_make_an_empty_table(small_scores: pd.DataFrame, small_suite: cards.SuiteCard) -> None:
    for table in build.every_table(run_of_scores(small_scores.iloc[:0], small_suite)):
        assert all(len(block) == 0 for block in table.blocks)
        assert table.markdown()


@pytest.mark.parametrize(("metric", "note"), [("auc", ""), ("brier", "Lower is better: a gap below 0 is a loss")])
def test_which_sign_of_a_gap_is_a_loss_is_said_where_it_is_not_the_usual_one(
    small_scores: pd.DataFrame, small_suite: cards.SuiteCard, metric: str, note: str
) -> None:
    layout = msgspec.structs.replace(small_suite.tables[1], metric=metric)
    table = made(run_of_scores(small_scores.assign(metric=metric), small_suite), layout)
    assert [text for text in table.notes if "is better" in text] == ([f"{note} on external images."] if note else [])
