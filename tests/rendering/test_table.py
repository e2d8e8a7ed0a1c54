"""Tables are escaped for where they go, aligned, and stamped."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from xrbench.errors import StoreError, UnknownNameError
from xrbench.rendering.table import FORMS, Cell, Table, save

NASTY = (
    "<script>alert(1)</script>",
    '" onmouseover="x',
    r"\input{/etc/passwd}",
    "50 % & a_b #1 $x$ ~ ^ {y}",
    "=cmd|' /C calc'!A0",
    "a | b\nsecond line\x1b[31m",
    "[x] *y* `z` {{7*7}}",
)


def nasty() -> Table:
    rows = tuple((Cell(text), Cell(text, best=True)) for text in NASTY)
    return Table("n", NASTY[0], (("one", NASTY[0]),), (rows,), "lr", notes=(NASTY[3],), stamp="STAMP")


@pytest.fixture
def grouped() -> Table:
    """Two blocks, a spanning line, two header lines."""
    first = (
        (Cell("m1"), Cell("AUC"), Cell("0.91", best=True), Cell("0.80")),
        (Cell("m1"), Cell("n"), Cell("10"), Cell("9")),
    )
    second = ((Cell("m2"), Cell("AUC"), Cell("0.90†"), Cell("–")),)
    return Table(
        name="grouped",
        caption="Two blocks",
        groups=(("", 2), ("test", 2)),
        header=(("", "seed", "0", "1"), ("method", "row", "nih", "mimic")),
        blocks=(first, second),
        align="llrr",
        titled=True,
        notes=("† seen",),
        stamp="FIXTURE: synthetic",
    )


@pytest.mark.parametrize("form", list(FORMS))
def test_each_form_is_what_was_agreed(form: str, grouped: Table, golden: Callable[[str, str], None]) -> None:
    golden(f"grouped.{form}", FORMS[form](grouped))


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_html_runs_nothing_and_shows_everything() -> None:
    parser = Elements()
    parser.feed(nasty().html())
    assert set(parser.tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td", "strong", "p"}
    assert parser.attributes == {"scope", "class"}
    assert NASTY[0] in parser.texts
    assert NASTY[1] in parser.texts


def test_latex_has_no_live_special_characters() -> None:
    text = nasty().latex()
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    assert "input" in body
    assert r"\input" not in body
    assert r"50 \% \& a\_b \#1 \$x\$ \textasciitilde{} \textasciicircum{} \{y\}" in body
    for line in body.splitlines()[1:]:
        assert len(re.findall(r"(?<!\\)&", line)) == 1
        assert line.endswith(r" \\")
        assert not line.startswith(("[", "*"))
    for symbol in "%#$_^~":
        assert not re.search(rf"(?<!\\){re.escape(symbol)}", body)
    opened = len(re.findall(r"(?<!\\)\{", text))
    assert opened == len(re.findall(r"(?<!\\)\}", text)) > 10


def test_csv_starts_no_formula_and_survives_parsing() -> None:
    rows = list(csv.reader(io.StringIO(nasty().csv())))
    assert [len(row) for row in rows] == [3] * (1 + len(NASTY))
    assert {row[0] for row in rows[1:]} == {"STAMP"}
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for row in rows for cell in row)
    assert rows[1][1] == NASTY[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-0.02", "-0.02"),
        ("+0.06", "+0.06"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1+1", "'=1+1"),
        ("＝1", "'＝1"),
    ],
)
def test_csv_keeps_numbers_and_disarms_formulas(text: str, expected: str) -> None:
    table = Table("t", "", (("x",),), (((Cell(text),),),), "l")
    assert list(csv.reader(io.StringIO(table.csv())))[1] == [expected]


def test_markdown_rows_have_the_columns_of_the_header() -> None:
    lines = nasty().markdown().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in table] == [3] * (2 + len(NASTY))
    assert not any("<script" in line or "\x1b" in line for line in lines)


def test_terminal_text_has_no_control_characters() -> None:
    assert not re.search(r"[^\n -~†–±＝]", nasty().text())


def test_every_form_is_stamped(grouped: Table) -> None:
    for form, write in FORMS.items():
        assert "FIXTURE: synthetic" in write(grouped), form
    assert grouped.to_dict()["stamp"] == "FIXTURE: synthetic"
    json.dumps(grouped.to_dict())


def test_csv_of_an_empty_table_is_stamped() -> None:
    table = Table("t", "", (("x", "y"),), (), "ll", stamp="STAMP")
    assert list(csv.reader(io.StringIO(table.csv()))) == [["stamp", "x", "y"], ["STAMP", "", ""]]


@pytest.mark.parametrize("align", ["l", "lrr", "lx"])
def test_a_crooked_table_is_refused(align: str) -> None:
    with pytest.raises(ValueError, match="columns"):
        Table("t", "", (("x", "y"),), (((Cell("1"), Cell("2")),),), align)


def test_saving_keeps_names_inside_the_folder(tmp_path: Path) -> None:
    table = Table("../up\\x", "", (("x",),), (), "l")
    paths = save(table, tmp_path / "tables", ("md", "html"))
    assert {path.parent for path in paths} == {tmp_path / "tables"}
    assert all(path.is_file() for path in paths)


def test_saving_names_what_is_wrong(tmp_path: Path) -> None:
    table = Table("t", "", (("x",),), (), "l")
    with pytest.raises(UnknownNameError, match="unknown table form 'markdown'"):
        save(table, tmp_path, ("markdown",))
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        save(table, tmp_path / "file")
