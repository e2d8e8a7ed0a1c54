"""Nothing is marked best whose lead is not shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from xrbench import analyses, cards, statistics
from xrbench.catalogue import Catalogue, shipped
from xrbench.compare.rows import About
from xrbench.metrics.metric import Better
from xrbench.report.pages import publish
from xrbench.report.run_folder import open_run
from xrbench.report.score_grid import Figure, Line
from xrbench.report.tables import build
from xrbench.report.tables.best_marks import Marks, name_of
from xrbench.runs import store

A, B, C = (Line(name, "net") for name in "abc")


def figure(value: float, *, low: float = 0.0, high: float = 1.0, seen: bool = False) -> Figure:
    return Figure(value, low, high, (0,), math.nan, seen, ({},))


def apart(*pairs: str, about: About = "methods") -> Marks:
    """Marks for one setting, in which ``ab`` says that a and b are shown to differ."""
    names = (frozenset(name_of(name, "net") for name in pair) for pair in pairs)
    return Marks({("here", "auc", "mean"): (about, frozenset(names))})


def marked(marks: Marks, figures: dict[Line, Figure], *, digits: int = 3, better: Better = "higher") -> set[str]:
    lines = marks.leaders(figures, digits, better, setting="here", metric="auc", label="mean")
    return {line.method for line in lines}


def test_nobody_leads_whose_lead_is_not_shown() -> None:
    figures = {A: figure(0.80), B: figure(0.79), C: figure(0.70)}
    assert marked(apart("ac", "bc"), figures) == {"a", "b"}
    assert marked(apart("ab", "ac", "bc"), figures) == {"a"}
    assert marked(apart("bc"), figures) == set(), "where that is everybody, nobody is marked"
    assert marked(apart(), figures) == set()


def test_what_prints_the_same_shares_the_mark() -> None:
    figures = {A: figure(0.801), B: figure(0.799), C: figure(0.70)}
    assert marked(apart("ab", "ac", "bc"), figures, digits=2) == {"a", "b"}
    assert marked(apart("ab", "ac", "bc"), figures, digits=3) == {"a"}


def test_direction_contamination_and_what_has_none() -> None:
    figures = {A: figure(0.2), B: figure(0.1), C: figure(0.05, seen=True)}
    every = apart("ab", "ac", "bc")
    assert marked(every, figures, better="lower") == {"b"}
    assert marked(every, figures, better="neither") == set()
    assert marked(apart("ac"), {A: figure(0.2), C: figure(0.9, seen=True)}) == set(), "one alone leads nobody"


def test_without_pairs_intervals_decide() -> None:
    figures = {A: figure(0.80), B: figure(0.79, low=0.7, high=0.81), C: figure(0.70, low=0.6, high=0.75)}
    assert marked(Marks(), figures) == {"a", "b"}
    low = {A: figure(0.2), B: figure(0.3, low=0.15, high=0.4), C: figure(0.5, low=0.4, high=0.6)}
    assert marked(Marks(), low, better="lower") == {"a", "b"}


@pytest.mark.parametrize("skill", [1.9, 4.5])
def test_a_run_marks_by_its_pairs(tmp_path: Path, make_run: Callable[..., Path], skill: float) -> None:
    folder = make_run(tmp_path, {"plain": 1.8, "fancy": skill, "worse": 0.2})
    manifest = store.read_json(folder / store.MANIFEST)
    manifest["suite"]["tables"] = [cards.plain(cards.TableLayout(name="main", kind="settings", digits=3))]
    manifest["suite"]["methods"] = ["plain", "fancy", "worse"]
    store.write_json(folder / store.MANIFEST, manifest)
    pairs = analyses.analyse_run(folder)["pairs"]
    pairs = pairs[pairs["about"] == "networks"]
    pairs["p"] = pairs.groupby(["setting", "label"])["p"].transform(lambda p: statistics.adjust(p.to_numpy()))
    pairs = pairs.set_index(["setting", "label", "challenger", "baseline"])
    written = publish.publish(folder, Catalogue([shipped()]))
    (table,) = (table for table in written.tables if table.name == "main")
    run = open_run(folder, Catalogue([shipped()]))
    external = run.scores[(run.scores["protocol"] == "external") & (run.scores["metric"] == "auc")]
    values = external.set_index(["setting", "label", "method"])["value"]
    told = 0
    for block in table.blocks:
        for row in block:
            label = {"Avg Test AUC": "mean"}.get(row[1].text, row[1].text)
            for setting, cell in zip(("a+b>held-out>c", "a+c>held-out>b"), row[2:4], strict=True):
                if label in ("Best Valid AUC",) or row[0].text not in ("plain", "fancy"):
                    continue
                other = {"plain": "fancy", "fancy": "plain"}[row[0].text]
                ahead = values[setting, label, row[0].text] - values[setting, label, other]
                within = float(pairs.loc[(setting, label, "fancy", "plain"), "p"]) >= 0.05  # type: ignore[arg-type]
                if ahead > 0:
                    assert cell.best, "the best is marked; the third is far behind"
                else:
                    assert cell.best == within
                told += 1
    assert told == 2 * 2 * 3
    assert any("as these networks: another training may be marked otherwise" in note for note in table.notes)
    assert build.named(run, "main") == table


def test_the_note_names_the_end_that_is_marked() -> None:
    assert "the highest in its column" in Marks().note("higher")
    assert "the lowest in its column" in Marks().note("lower")
    assert apart("ab").note("lower").startswith("Marked: the best in its column")
    assert "trained anew, trainings and patients varying" in apart("ab").note("higher")
    assert "as these networks: another training may be marked otherwise" in apart("ab", about="networks").note("higher")


def test_a_table_marks_the_lowest_brier_score(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    folder = make_run(tmp_path, {"plain": 0.3, "fancy": 6.0})
    manifest = store.read_json(folder / store.MANIFEST)
    layouts = [cards.TableLayout(name=name, kind="settings", metric=name, digits=3) for name in ("auc", "brier")]
    manifest["suite"]["tables"] = [cards.plain(layout) for layout in layouts]
    store.write_json(folder / store.MANIFEST, manifest)
    run = open_run(folder, Catalogue([shipped()]))
    for layout in layouts:
        made = build.run_table(run, layout)
        assert made is not None
        best = {row[0].text for block in made.blocks for row in block if any(cell.best for cell in row)}
        assert best == {"fancy"}, layout.name
        assert any(("lowest" if layout.name == "brier" else "highest") in note for note in made.notes)
