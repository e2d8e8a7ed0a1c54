"""A parent that all seeds share: whatever concludes about its method says so, and without one nothing changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from xrbench import analyses, cards, compare, scoring
from xrbench.catalogue import open_catalogue, shipped
from xrbench.planning.naming import ensemble_cell
from xrbench.planning.plan import Cell
from xrbench.report.claims import evaluate
from xrbench.report.figures.critical_difference import critical_difference
from xrbench.report.pages import leaderboard
from xrbench.report.pages.reproduction import reproduction
from xrbench.report.reported_values import Reported, reported
from xrbench.report.run_folder import Run, open_run
from xrbench.report.tables import build
from xrbench.runs.run_cell import RunCell
from xrbench.runs.shared_parents import given_notes

PARENT = "pretext/net/pretrain:z/valid-held-out/seed-7"
SAID = f"fancy: given one parent for all seeds ({PARENT})"
WORDS = "given one parent for all seeds"
ACROSS = ("seeds", "ranks", "signed-rank", "variance", "matrix")
GAP = cards.Claim(text="There is a gap.", kind="gap")
YOUNGER = cards.Claim(text="They are younger.", kind="younger", options={"first": "a", "second": "b"})
MakeRun = Callable[..., Path]


def paper() -> Reported:
    folder = shipped() / "baselines" / "balanced-batching"
    values: dict[str, Any] = cards.read_toml(folder / "paper.toml")
    return reported(cards.convert(values, cards.PaperCard, where="paper.toml", name=folder.name), folder)


PAPER = paper()


def scored(folder: Path, *, shared: bool) -> Path:
    """Ask for all analyses, share a parent among the cells of ``fancy``, and score."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["suite"]["analyses"] = {"across": list(ACROSS), "decision_thresholds": [0.3]}
    tables = [{"name": "main", "kind": "settings"}, {"name": "gap", "kind": "internal-external"}]
    manifest["suite"]["tables"] = [*tables, {"name": "data", "kind": "datasets"}]
    question = {"question": "non-inferiority", "margin": 0.05}
    manifest["suite"]["comparisons"] = [{"challenger": "fancy", "baseline": "plain", **question}]
    for entry in manifest["cells"]:
        entry["given"] = PARENT if shared and entry["method"] == "fancy" else ""
    path.write_text(json.dumps(manifest))
    scoring.score_run(folder)
    analyses.analyse_run(folder)
    return folder


@pytest.fixture(scope="module")
def folders(make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    out = tmp_path_factory.mktemp("shared")
    skills = {"plain": 1.5, "fancy": 2.5}
    return {shared: scored(make_run(out / str(shared), skills), shared=shared) for shared in (False, True)}


@pytest.fixture
def run(folders: dict[bool, Path]) -> Run:
    return open_run(folders[True], open_catalogue([shipped()]))


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Everything that is said of a run."""
    run = open_run(folder, open_catalogue([shipped()]))
    for path in (folder / "scores.csv", *(folder / "analyses").glob("*.csv")):
        yield path.stem, path.read_text()
    yield "page", leaderboard.page_of_run(run)
    compared = compare.run(folder, across=True, replicates=50)
    gated = compare.run(folder, folder, gate=True, replicates=50)
    for name, result in (("compare", compared), ("gate", gated)):
        yield name, result.text()
        yield f"{name}-json", json.dumps(result.to_dict())


def test_without_one_nothing_speaks_of_it(folders: dict[bool, Path]) -> None:
    for name, text in texts(folders[False]):
        assert "given" not in text, name


def test_with_one_everything_that_concludes_says_so(folders: dict[bool, Path]) -> None:
    found = dict(texts(folders[True]))
    assert {"seeds", "ranks", "signed-rank", "variance", "matrix", "pairs", "decision-curve"} < set(found)
    for name, text in found.items():
        assert (PARENT if name == "scores" else SAID) in text or SAID in text.replace("\\", ""), name


def test_scores_have_one_column_more_and_the_same_values(folders: dict[bool, Path]) -> None:
    without, with_parent = (pd.read_csv(folders[shared] / "scores.csv") for shared in (False, True))
    assert tuple(without.columns) == scoring.COLUMNS
    pd.testing.assert_frame_equal(with_parent.drop(columns="given"), without)
    assert set(with_parent.loc[with_parent["method"] == "fancy", "given"]) == {PARENT}
    assert with_parent.loc[with_parent["method"] == "plain", "given"].isna().all()
    for name in ("ranks", "seeds"):
        frame = analyses.read(folders[True], name)
        assert frame is not None
        assert set(frame.loc[frame["method"] == "plain", "given"]) == {""}
        assert set(frame.loc[frame["method"] == "fancy", "given"]) == {SAID}


def test_every_verdict_and_answer_of_a_comparison_says_so(folders: dict[bool, Path]) -> None:
    compared = {shared: compare.run(folder, replicates=50) for shared, folder in folders.items()}
    mine, other = compared[True], compared[False]
    assert isinstance(mine, compare.Comparison)
    assert isinstance(other, compare.Comparison)
    (part,), (before,) = mine.sections, other.sections
    for row, old in zip(part.rows, before.rows, strict=True):
        assert (row.verdict, row.answer) == (f"{old.verdict}, {WORDS}", f"{old.answer}, {WORDS}")
        assert repr(replace(row, verdict="", answer="")) == repr(replace(old, verdict="", answer=""))
    assert part.given == (SAID,)


def test_two_runs_of_another_method_say_nothing(folders: dict[bool, Path]) -> None:
    compared = compare.run(folders[True], folders[True], only=["method=plain"], replicates=50)
    assert WORDS not in compared.text()
    assert "given" not in json.dumps(compared.to_dict())


def test_every_table_of_results_says_so_and_no_table_of_data(run: Run) -> None:
    for table in (*build.every_table(run), *build.wins_tables(run)):
        assert any(SAID in note for note in table.notes) is (table.name != "data"), table.name


def test_the_ranks_that_are_drawn_say_so(run: Run, tmp_path: Path) -> None:
    layout = cards.FigureLayout(name="ranks", kind="critical-difference")
    written = critical_difference(run, layout, tmp_path)
    if not written:
        pytest.fail("no ranks were drawn")
    words = " ".join(written[0].read_text().split())
    assert WORDS in words


def test_a_leaderboard_keeps_it(folders: dict[bool, Path], tmp_path: Path) -> None:
    for shared in (False, True):
        board = leaderboard.write(folders[shared], tmp_path / str(shared), open_catalogue([shipped()]))
        page = (board / "README.md").read_text()
        assert (SAID in page.replace("\\", "")) is shared
        assert leaderboard.render(board, open_catalogue([shipped()])) == page
        meta = json.loads((board / "meta.json").read_text())
        assert ("given" in meta["comparisons"][0]["sections"][0]) is shared


def test_a_reproduction_and_claims_say_so(folders: dict[bool, Path]) -> None:
    said: dict[bool, list[str]] = {}
    for shared, folder in folders.items():
        claimed = replace(PAPER, card=msgspec.structs.replace(PAPER.card, claims=(GAP, YOUNGER)))
        run = replace(open_run(folder, open_catalogue([shipped()])), paper=claimed)
        gap, younger = evaluate.judged(run)
        assert younger.given == (), "a claim about patients, whatever was trained"
        assert gap.given == ((SAID,) if shared else ())
        assert ("given" in evaluate.to_dict(gap)) is shared
        table = reproduction(run.scores, run.suite, claimed)
        said[shared] = [*evaluate.lines([gap, younger]), *table.notes]
    assert not any(WORDS in text for text in said[False])
    assert sum(SAID in text for text in said[True]) == 2


def test_many_parents_are_counted() -> None:
    cells = [
        RunCell(method="child", model="net", train="a", test="b", protocol="external", cell=str(n), given=f"p{n % 5}")
        for n in range(10)
    ]
    assert given_notes(cells) == ("child: given one parent for all seeds (p0; p1; p2; 2 others)",)


def test_an_ensemble_of_children_has_their_parent() -> None:
    cells = [
        Cell(name=f"child/net/a/seed-{n}/b", fits=(f"child/net/a/seed-{n}",), method="child", model="net", train=("a",),
             valid="none", test="b", protocol="external", seed=n, setting="a>b", given="p")
        for n in range(2)
    ]  # fmt: skip
    assert ensemble_cell("mean", cells).given == "p"
