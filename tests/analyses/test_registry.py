"""Which analyses are made, what is written, and what happens when something is not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
import pandas as pd
import pytest

import xrbench
from xrbench import analyses, cards
from xrbench.cards import Analyses, SubgroupRule
from xrbench.compare.scores_io import Results
from xrbench.errors import StoreError, UsageError
from xrbench.runs import store

Across = Literal["seeds", "ranks", "signed-rank", "variance", "matrix", "hospitals"]
MakeRun = Callable[..., Path]
ACROSS: tuple[Across, ...] = ("seeds", "ranks", "signed-rank", "variance", "matrix", "hospitals")


def ask(folder: Path, analyses: Analyses) -> None:
    """Write another analyses into a run's suite."""
    manifest = store.read_json(folder / store.MANIFEST)
    manifest["suite"]["analyses"] = cards.plain(analyses)
    store.write_json(folder / store.MANIFEST, manifest)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_run: MakeRun) -> Path:
    return make_run(tmp_path_factory.mktemp("run"), {"plain": 1.5, "fancy": 2.5})


def test_a_suite_that_asks_for_nothing_gets_nothing(run: Path) -> None:
    ask(run, Analyses())
    assert analyses.analyse_run(run) == {}
    assert not list((run / "analyses").glob("*"))


def test_each_analysis_is_a_stamped_file_beside_the_scores(run: Path) -> None:
    ask(run, Analyses(operating=("sensitivity=0.9",), across=ACROSS))
    made = analyses.analyse_run(run)
    assert list(made) == ["operating", *ACROSS]
    assert sorted(path.name for path in (run / "analyses").iterdir()) == sorted(f"{name}.csv" for name in made)
    for name, frame in made.items():
        assert set(frame["stamp"]) == {"FIXTURE: synthetic phantoms, not clinical results"}
        again = analyses.read(run, name)
        assert again is not None
        pd.testing.assert_frame_equal(
            again[["label", "value", "reason", "caution"]], frame[["label", "value", "reason", "caution"]]
        )
        for column in ("low", "high", "interval", "reason", "caution"):
            assert column in frame


def test_what_is_no_longer_asked_for_goes_away(run: Path) -> None:
    ask(run, Analyses(across=("ranks",)))
    (run / "analyses").mkdir(exist_ok=True)
    (run / "analyses" / "matrix.csv").write_text("old")
    (run / "analyses" / "mine.csv").write_text("a user's own")
    analyses.analyse_run(run)
    assert sorted(path.name for path in (run / "analyses").iterdir()) == ["mine.csv", "ranks.csv"]
    (run / "analyses" / "mine.csv").unlink()


def test_columns_that_a_run_does_not_have_are_reasons(run: Path) -> None:
    ask(run, Analyses(subgroups=(SubgroupRule(column="sex"),), policies=(cards.PolicyRule(name="ones"),)))
    made = analyses.analyse_run(run)
    assert made["subgroups"]["reason"].str.startswith("no column 'sex' in the predictions").all()
    assert made["policies"]["reason"].str.startswith("no column 'raw:Edema'").all()


def test_predictions_that_are_gone_are_reasons(results: Results, suite: cards.SuiteCard) -> None:
    without = Results(results.where, results.scores, lambda _: None, results.folder)
    tables = analyses.analyse(without, suite)
    for name in ("operating", "decision-curve", "subgroups", "policies"):
        assert tables[name]["reason"].str.endswith("predictions are missing").all(), name
    assert tables["ranks"]["mean_rank"].notna().any(), "ranks need the scores alone"
    pairs = tables["pairs"].groupby("about")
    assert set(pairs.get_group("networks")["interval"]) == {"normal"}, (
        "from the intervals of the scores, as independent"
    )
    assert pairs.get_group("methods")["reason"].str.startswith("cannot tell: without predictions").all()


def test_from_python(run: Path) -> None:
    ask(run, Analyses(across=("ranks",)))
    assert list(xrbench.analyse(run)) == ["ranks"]
    assert list(xrbench.analyse(str(run))) == ["ranks"]


def test_wrong_words_are_one_line(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown analysis 'rank'"):
        analyses.read(run, "rank")
    with pytest.raises(StoreError, match=r"manifest\.json"):
        analyses.analyse_run(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps(store.read_json(run / store.MANIFEST)))
    with pytest.raises(StoreError, match=r"no scores\.csv; score the run first") as raised:
        analyses.analyse_run(tmp_path)
    assert "\n" not in str(raised.value)


def test_asking_by_card_is_all_there_is(suite: cards.SuiteCard) -> None:
    every = msgspec.structs.replace(suite.analyses, case_mix=("sex",))
    assert analyses.asked(msgspec.structs.replace(suite, analyses=every)) == tuple(analyses.ANALYSES)
    assert analyses.asked(msgspec.structs.replace(suite, analyses=Analyses(), tables=())) == ()


def test_tables_from_python(run: Path) -> None:
    from xrbench.api import Suite
    from xrbench.catalogue import Catalogue, shipped

    ask(run, Analyses(across=("ranks",)))
    xrbench.analyse(run)
    card = msgspec.convert(store.read_json(run / store.MANIFEST)["suite"], cards.SuiteCard)
    suite = Suite(card, Catalogue([shipped()]))
    scores = xrbench.score(run)
    assert "mean rank" in xrbench.table(scores, suite, "ranks", results=run).text()
    with pytest.raises(UsageError, match="is made of a run folder, not of scores alone"):
        xrbench.table(scores, suite, "ranks")
    (run / "analyses" / "ranks.csv").unlink()
    with pytest.raises(UsageError, match="has nothing for a table of kind 'ranks'"):
        xrbench.table(scores, suite, "ranks", results=run)
