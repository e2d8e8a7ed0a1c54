"""Tables of next hospitals and of case mix, from stored rows."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from xrbench.cards import SuiteCard, TableLayout
from xrbench.compare.scores_io import Results
from xrbench.report.run_folder import Run
from xrbench.report.tables.hospitals import case_mix, hospitals

NAN = float("nan")
SPREAD: dict[str, Any] = {
    "configuration": "",
    "method": "plain",
    "model": "net",
    "hospitals": "a, b",
    "label": "mean",
    "metric": "auc",
    "value": 0.8,
    "low": 0.7,
    "high": 0.88,
    "level": 0.95,
    "next_low": 0.4,
    "next_high": 0.97,
    "tau": 0.3,
    "i2": 0.62,
    "df": 1,
    "n_hospitals": 2,
    "n_trainings": 3,
    "reason": "",
    "caution": "2 hospitals hardly show",
}
PART: dict[str, Any] = {
    "method": "plain",
    "model": "net",
    "members": 1,
    "train": "a",
    "test": "b",
    "protocol": "external",
    "seed": 0,
    "configuration": "",
    "seen": False,
    "internal_test": "a",
    "label": "Edema",
    "value": 0.15,
    "internal": 0.9,
    "expected": 0.8,
    "external": 0.75,
    "case_mix": 0.1,
    "case_mix_low": 0.05,
    "case_mix_high": 0.15,
    "rest": 0.05,
    "rest_low": -0.01,
    "rest_high": 0.11,
    "effective_positive": 61.6,
    "effective_negative": NAN,
    "level": 0.95,
    "used": "age, with Effusion",
    "left_out": "view",
    "reason": "",
    "caution": "",
}


def run_of(rows: list[dict[str, Any]], name: str) -> Run:
    suite = SuiteCard(title="Study", labels=("Edema", "Effusion"))
    results = Results("memory", pd.DataFrame({"data": ["x"], "suite": ["study"]}), lambda cell: None, Path("memory"))
    return Run(Path("memory"), {}, suite, results, None, {name: pd.DataFrame(rows)})


def texts(table: Any) -> list[dict[str, str]]:
    return [
        {name: text.removeprefix("'") for name, text in row.items()} for row in csv.DictReader(io.StringIO(table.csv()))
    ]


def test_a_next_hospital_stands_beside_the_mean() -> None:
    table = hospitals(run_of([SPREAD], "hospitals"), TableLayout(name="next", kind="hospitals", digits=2))
    assert table is not None
    (row,) = texts(table)
    assert (row["mean AUC"], row["next hospital"]) == ("0.80 (0.70-0.88)", "0.40-0.97")
    assert (row["hospitals"], row["tau"], row["between hospitals"], row["trainings"]) == ("a, b", "0.30", "62 %", "3")
    assert any("2 hospitals hardly show" in note for note in table.notes)


def test_with_one_hospital_there_is_no_table() -> None:
    one = {**SPREAD, "n_hospitals": 1, "next_low": NAN, "next_high": NAN, "i2": NAN, "tau": NAN}
    layout = TableLayout(name="next", kind="hospitals", digits=2)
    assert hospitals(run_of([one], "hospitals"), layout) is None
    both = hospitals(run_of([SPREAD, {**one, "method": "other"}], "hospitals"), layout)
    assert both is not None
    assert [row["next hospital"] for row in texts(both)] == ["0.40-0.97", "–"]


def test_a_gap_is_shown_in_its_parts() -> None:
    table = case_mix(run_of([PART], "case-mix"), TableLayout(name="parts", kind="case-mix", digits=2))
    assert table is not None
    (row,) = texts(table)
    assert (row["gap"], row["case mix"], row["rest"]) == (
        "+0.15",
        "+0.10 (+0.05 … +0.15)",
        "+0.05 (-0.01 … +0.11)",
    )
    assert (row["expected AUC"], row["effective positive"], row["effective negative"]) == ("0.80", "62", "–")
    assert table.notes[0].startswith("Case mix: age, other findings.")
    assert any(note == "Not known on both sides, and therefore in the rest: view." for note in table.notes)


@pytest.mark.parametrize("make", [hospitals, case_mix])
def test_what_was_not_computed_has_no_table(make: Any) -> None:
    run = replace(run_of([], "seeds"), computed={})
    assert make(run, TableLayout(name="x", kind="hospitals", digits=2)) is None
