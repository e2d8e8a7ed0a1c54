"""Nothing is marked best by less than what the data could have shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from xrbench import analyses, cards
from xrbench.catalogue import Catalogue, shipped
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


def apart(**known: float) -> Marks:
    """Marks for one setting, ``ab=0.02`` being the smallest detectable difference of a and b."""
    found = {}
    for pair, value in known.items():
        names = [name_of(name, "net") for name in pair]
        for first, second in (names, names[::-1]):
            found["here", "auc", "mean", first, second] = value
    return Marks(found)


def marked(marks: Marks, figures: dict[Line, Figure], *, digits: int = 3, better: Better = "higher") -> set[str]:
    lines = marks.leaders(figures, digits, better, setting="here", metric="auc", label="mean")
    return {line.method for line in lines}


def test_nobody_leads_by_less_than_what_could_be_seen() -> None:
    figures = {A: figure(0.80), B: figure(0.79), C: figure(0.70)}
    assert marked(apart(ab=0.02, ac=0.02, bc=0.02), figures) == {"a", "b"}
    assert marked(apart(ab=0.005, ac=0.02, bc=0.02), figures) == {"a"}
    assert marked(apart(ab=0.02, ac=0.2, bc=0.2), figures) == set(), "where that is everybody, nobody is marked"


def test_what_prints_the_same_shares_the_mark() -> None:
    figures = {A: figure(0.801), B: figure(0.799), C: figure(0.70)}
    assert marked(apart(ab=0.001, ac=0.02, bc=0.02), figures, digits=2) == {"a", "b"}
    assert marked(apart(ab=0.001, ac=0.02, bc=0.02), figures, digits=3) == {"a"}


def test_a_pair_that_could_not_be_compared_cannot_be_told_apart() -> None:
    assert marked(apart(ab=0.02, bc=0.02), {A: figure(0.9), B: figure(0.5), C: figure(0.2)}) == {"a", "c"}
    assert marked(apart(ab=math.nan, ac=0.1), {A: figure(0.9), B: figure(0.5), C: figure(0.2)}) == {"a", "b"}


def test_direction_contamination_and_what_has_none() -> None:
    figures = {A: figure(0.2), B: figure(0.1), C: figure(0.05, seen=True)}
    assert marked(apart(ab=0.01, ac=0.01, bc=0.01), figures, better="lower") == {"b"}
    assert marked(apart(ab=0.01, ac=0.01, bc=0.01), figures, better="neither") == set()
    assert marked(apart(ab=0.01), {A: figure(0.2), C: figure(0.9, seen=True)}) == set(), "one alone leads nobody"


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
    pairs = analyses.analyse_run(folder)["pairs"].set_index(["setting", "label", "challenger", "baseline"])
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
                within = abs(ahead) < float(pairs.loc[(setting, label, "fancy", "plain"), "detectable"])  # type: ignore[arg-type]
                if ahead > 0:
                    assert cell.best, "the best is marked; the third is far behind"
                else:
                    assert cell.best == within
                told += 1
    assert told == 2 * 2 * 3
    assert any("the smallest difference that these patients would show" in note for note in table.notes)
    assert build.named(run, "main") == table


def test_the_note_names_the_end_that_is_marked() -> None:
    assert "the highest in its column" in Marks().note("higher")
    assert "the lowest in its column" in Marks().note("lower")
    assert Marks({("here", "auc", "mean", "a", "b"): 0.1}).note("lower").startswith("Marked: the best in its column")


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
