"""What was concluded, as tables and figures: each text against the row that it comes from."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xrbench import analyses, blocks, cards, scoring
from xrbench.cards import Analyses, FigureLayout, PolicyRule, SubgroupRule, TableLayout
from xrbench.catalogue import Catalogue, shipped
from xrbench.errors import CardError, UnknownNameError, UsageError
from xrbench.rendering.table import Table
from xrbench.report.figures.build import draw_figure
from xrbench.report.pages import leaderboard, publish
from xrbench.report.run_folder import Run, open_run, run_of_scores
from xrbench.report.tables import analysis_table, build
from xrbench.runs import store

MakeRun = Callable[..., Path]
JUDGEMENT = Analyses(
    operating=("sensitivity=0.9",),
    prevalences=(0.02,),
    decision_thresholds=(0.2, 0.4),
    subgroups=(SubgroupRule(column="sex"), SubgroupRule(column="scanner")),
    policies=(PolicyRule(name="ones", uncertain="ones"), PolicyRule(name="zeros", uncertain="zeros")),
    across=("seeds", "ranks", "signed-rank", "variance", "matrix"),
    case_mix=("sex", "view", "findings"),
)


def with_people(cell: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Give the drawn images a sex and published states, some of them uncertain."""
    rng = np.random.default_rng(3)
    frame = frame.assign(sex=np.where(frame["patient_id"].astype(int) % 2, "F", "M"))
    for label in ("Edema", "Effusion"):
        frame[f"raw:{label}"] = frame[f"truth:{label}"].where(rng.random(len(frame)) > 0.1, -1.0)
    return frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_run: MakeRun) -> Path:
    folder = make_run(tmp_path_factory.mktemp("run"), {"plain": 1.5, "fancy": 2.5}, change=with_people)
    manifest = store.read_json(folder / store.MANIFEST)
    manifest["suite"]["analyses"] = cards.plain(JUDGEMENT)
    manifest["suite"]["tables"] = [cards.plain(TableLayout(name="positions", kind="ranks", metric="brier"))]
    manifest["suite"]["figures"] = [
        cards.plain(FigureLayout(name="apart", kind="critical-difference")),
        cards.plain(FigureLayout(name="worth", kind="decision-curve", options={"label": "Edema"})),
    ]
    store.write_json(folder / store.MANIFEST, manifest)
    scoring.score_run(folder)
    analyses.analyse_run(folder)
    return folder


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue([shipped()])


@pytest.fixture(scope="module")
def run(folder: Path, catalogue: Catalogue) -> Run:
    return open_run(folder, catalogue)


def laid(run: Run, kind: str, **options: object) -> tuple[Table, list[dict[str, str]]]:
    """Make a table, and read its CSV form again."""
    table = build.run_table(run, TableLayout(name=kind, kind=kind, metric="auc", digits=3, options=options))
    assert table is not None
    return table, list(csv.DictReader(io.StringIO(table.csv())))


def number(frame: pd.DataFrame, row: object, column: str) -> float:
    """Return one number of a frame."""
    return float(frame.at[row, column])  # type: ignore[arg-type]


def analysis(run: Run, name: str, **expected: object) -> pd.DataFrame:
    frame = analyses.read(run.folder, name)
    assert frame is not None
    for column, value in expected.items():
        frame = frame[frame[column] == value]
    return frame


@pytest.mark.parametrize("kind", [kind for kind in analysis_table.KINDS if kind != "hospitals"])
def test_every_analysis_has_a_table_that_is_stamped_and_says_n(run: Run, kind: str) -> None:
    table, rows = laid(run, kind)
    assert rows
    assert table.stamp == "FIXTURE: synthetic phantoms, not clinical results"
    assert all(row["stamp"] == table.stamp for row in rows)
    text = table.text()
    assert any(word in text for word in ("patients", "settings", "scores", " n "))
    assert blocks.BLOCKS["table"][kind].startswith("xrbench.report.tables.")


def test_operating_points_are_written_with_their_intervals(run: Run) -> None:
    _, rows = laid(run, "operating")
    frame = analysis(run, "operating", protocol="external")
    assert len(rows) == len(frame[["cell", "label"]].drop_duplicates()) == 2 * 2 * 2
    first = frame[(frame["cell"] == frame["cell"].iloc[0]) & (frame["label"] == "Edema")].set_index("metric")
    row = rows[0]
    recall, drift = first.loc["recall"], first.loc["drift"]
    fixed = f"{recall['value']:.3f} ({recall['low']:.3f}-{recall['high']:.3f})"
    assert row["recall"] == f"{fixed} [{recall['procedure_low']:.3f}-{recall['procedure_high']:.3f}]"
    assert "[" not in row["PPV"]
    assert row["drifted"] == ("yes" if drift["low"] > 0 or drift["high"] < 0 else "not shown")
    assert (
        row["drift from target"].removeprefix("'")
        == f"{drift['value']:+.3f} ({drift['low']:+.3f} … {drift['high']:+.3f})"
    )
    assert row["PPV at 0.02"].startswith(f"{number(first, 'ppv,prevalence=0.02', 'value'):.3f} ")
    assert row["threshold"] == f"{recall['threshold']:.4f}"
    assert (row["positive"], row["patients"]) == (f"{recall['n_positive']:.0f}", f"{recall['n_patients']:.0f}")
    assert row["test"] == "c"
    assert row["train"] == "a+b, seed 0"


def test_internal_rows_are_named_and_come_only_when_asked_for(run: Run) -> None:
    _, rows = laid(run, "operating", protocol="internal", label="Edema")
    assert {row["test"] for row in rows} == {"a (internal)", "b (internal)", "c (internal)"}
    assert {row["label"] for row in rows} == {"Edema"}


def test_decision_curves_stand_beside_both_defaults(run: Run) -> None:
    _, rows = laid(run, "decision-curve", label="Edema")
    frame = analysis(run, "decision-curve", protocol="external", label="Edema").reset_index(drop=True)
    assert [row["threshold"] for row in rows] == ["0.2", "0.4"] * 4
    assert rows[1]["act on everyone"] == f"{number(frame, 1, 'treat_all'):.3f}"
    assert rows[1]["net benefit"].startswith(f"{number(frame, 1, 'value'):.3f} (")


def test_the_weakest_group_and_a_column_that_is_not_there(run: Run) -> None:
    table, rows = laid(run, "subgroups")
    frame = analysis(run, "subgroups", protocol="external", label="mean", column="sex")
    assert len(rows) == 4
    weakest = frame[frame["weakest"].astype(str) == "True"].iloc[0]
    assert rows[0]["weakest group"] == weakest["group"]
    assert rows[0]["others"] == f"{weakest['value'] + weakest['behind']:.3f}"
    shown = str(weakest["worst"]) == "True"
    assert rows[0]["worse than the others"] == ("yes" if shown else "cannot tell")
    assert rows[0]["groups shown"] == "2"
    assert any("no column 'scanner' in the predictions" in note for note in table.notes)


def test_policies_stand_beside_each_other(run: Run) -> None:
    _, rows = laid(run, "policies", label="Edema")
    frame = analysis(run, "policies", protocol="external", label="Edema")
    assert [row["method"] for row in rows] == ["plain", "fancy"] * 2
    for row in rows[:2]:
        mine = frame[(frame["method"] == row["method"]) & (frame["test"] == "c")].set_index("policy")
        for policy in ("own policy", "ones", "zeros"):
            assert row[policy].startswith(f"{number(mine, policy, 'value'):.3f} (")
    assert {row["same best"] for row in rows} <= {"yes", "no"}
    assert {row["lowest tau"] for row in rows} <= {"1.00", "-1.00"}


def test_over_seeds_and_settings(run: Run) -> None:
    table, rows = laid(run, "seeds")
    over = [row for row in rows if row["train"] == "all settings"]
    frame = analysis(run, "seeds", over="settings", label="mean", metric="auc").set_index("method")
    assert [row["method"] for row in over] == ["plain", "fancy"]
    assert over[0]["sd"] == f"{number(frame, 'plain', 'sd'):.3f}"
    assert any("one seed cannot show" in note for note in table.notes)


def test_ranks_take_the_metric_of_their_layout(run: Run) -> None:
    layout = run.suite.tables[0]
    made = build.run_table(run, layout)
    assert made is not None
    assert "brier" in made.caption
    rows = list(csv.DictReader(io.StringIO(made.csv())))
    frame = analysis(run, "ranks", metric="brier")
    assert [row["mean rank"] for row in rows] == [f"{rank:.2f}" for rank in frame["mean_rank"]]


def test_signed_ranks_variance_and_matrix(run: Run) -> None:
    _, rows = laid(run, "signed-rank")
    assert [row["label"] for row in rows] == ["Edema", "Effusion", "mean"]
    (head,) = (name for name in rows[0] if name.startswith("smallest p (") and name.endswith(") that could be"))
    assert {row[head] for row in rows} == {"1"}, "two settings: 2 / 2 ** 2, times three rows"
    _, rows = laid(run, "variance", label="each")
    assert {row["source"] for row in rows} >= {"method", "setting", "test", "seed"}
    assert "has a single value" in {row["remark"] for row in rows}
    _, rows = laid(run, "matrix", label="Edema")
    inside = next(row for row in rows if row["trained on"] == "b")
    frame = analysis(run, "matrix", label="Edema", train="b", test="b", method="plain")
    assert inside["b"] == f"{frame['value'].iloc[0]:.3f} n 1 *"


def test_what_the_card_asks_for_is_written_without_being_laid_out(folder: Path, catalogue: Catalogue) -> None:
    written = publish.publish(folder, catalogue)
    names = {table.name for table in written.tables}
    assert {*analysis_table.KINDS} - {"ranks", "hospitals"} <= names  # one is laid out, the other not asked for
    assert "positions" in names
    assert "ranks" not in names, "the suite lays them out itself, under another name"
    for name in ("operating", "positions", "matrix"):
        assert (folder / "tables" / f"{name}.md").is_file()
    page = (folder / "README.md").read_text()
    assert "## Beyond the scores" in page
    assert "[analyses](analyses)" in page
    assert "Methods ranked by external brier over settings" in page
    for name in ("apart", "worth-Edema"):
        assert f"![{name}](figures/{name}.svg)" in page


def test_what_was_asked_for_later_is_named(folder: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    older = tmp_path / "out" / "small" / "r1"
    shutil.copytree(folder, older)
    assert "not concluded yet" not in publish.publish(older, catalogue).summary()
    for name in ("ranks", "matrix"):
        (older / "analyses" / f"{name}.csv").unlink()
    assert f"not concluded yet: ranks, matrix; xrbench score {older}" in publish.publish(older, catalogue).summary()


def test_figures_have_their_numbers_beside_them(run: Run, tmp_path: Path) -> None:
    apart, worth = run.suite.figures
    paths = draw_figure(run, apart, tmp_path)
    assert [path.name for path in paths] == ["apart.svg", "apart.png", "apart.csv"]
    numbers = pd.read_csv(tmp_path / "apart.csv")
    assert numbers["mean_rank"].tolist() == sorted(analysis(run, "ranks", metric="auc", label="mean")["mean_rank"])
    assert set(numbers["stamp"]) == {run.stamp}
    assert run.stamp in (tmp_path / "apart.svg").read_text()
    with Image.open(tmp_path / "apart.png") as picture:
        assert picture.size[0] > 600
    paths = draw_figure(run, worth, tmp_path)
    assert [path.name for path in paths] == ["worth-Edema.svg", "worth-Edema.png", "worth-Edema.csv"]
    numbers = pd.read_csv(tmp_path / "worth-Edema.csv")
    frame = analysis(run, "decision-curve", protocol="external", label="Edema")
    np.testing.assert_allclose(numbers["value"], frame["value"])
    before = (tmp_path / "worth-Edema.svg").read_bytes()
    draw_figure(run, worth, tmp_path)
    assert (tmp_path / "worth-Edema.svg").read_bytes() == before, "the same numbers give the same file"


def test_every_group_has_a_row_with_its_own_counts(run: Run) -> None:
    _, rows = laid(run, "subgroups", label="Edema", every=True)
    stored = analysis(run, "subgroups", protocol="external", label="Edema")
    stored = stored[stored["group"] != ""]
    assert [row["group"] for row in rows] == stored["group"].tolist()
    assert sum(row["value"] != "n/a" for row in rows) == stored["value"].notna().sum()
    for row, (_, expected) in zip(rows, stored.iterrows(), strict=True):
        assert (row["test"], row["by"], row["label"]) == (expected["test"], expected["column"], "Edema")
        assert row["patients"] == f"{expected['n_patients']:,.0f}"
        assert row["figure"] == "AUC"


def test_nothing_is_made_of_what_was_not_asked_for(run: Run, tmp_path: Path, make_run: MakeRun) -> None:
    bare = open_run(make_run(tmp_path, {"plain": 1.5}), Catalogue([shipped()]))
    for kind in analysis_table.KINDS:
        assert build.run_table(bare, TableLayout(name="t", kind=kind)) is None
    for figure in run.suite.figures:
        assert draw_figure(bare, figure, tmp_path / "figures") == []
    assert not (tmp_path / "figures").exists()


def test_wrong_kinds_and_options_are_one_line(run: Run) -> None:
    with pytest.raises(UnknownNameError, match="unknown table 'rank'; did you mean 'ranks'"):
        build.run_table(run, TableLayout(name="t", kind="rank"))
    with pytest.raises(CardError, match="table 'ranks' has no option 'lable'; did you mean 'label'"):
        build.run_table(run, TableLayout(name="t", kind="ranks", options={"lable": "Edema"}))
    with pytest.raises(UsageError, match="is made of a run folder, not of scores alone"):
        build.named(run_of_scores(run.scores, run.suite), "positions")
    assert build.named(run, "positions").name == "positions"
    assert build.named(run, "matrix").name == "matrix"


def test_a_leaderboard_shows_what_the_run_concluded(folder: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    board = leaderboard.write(folder, tmp_path, catalogue)
    page = (board / "README.md").read_text()
    assert "## Beyond the scores" in page
    assert leaderboard.render(board, catalogue) == page, "the page is a function of the files in its folder"
    ranks = (board / "analyses" / "ranks.csv").read_bytes()
    assert ranks == (folder / "analyses" / "ranks.csv").read_bytes()
    assert "FIXTURE" in ranks.decode()
