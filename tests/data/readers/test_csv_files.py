from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xrbench.data.readers.csv_files import find_sheet, header_of, read_sheet, text_column
from xrbench.errors import DataError, MissingDataError

Write = Callable[[str, str], Path]
AB = {"a": "a", "b": "b"}


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n3,4\n",
        "\ufeffa,b\n1,2\n3,4\n",
        "a,b\r\n1,2\r\n3,4\r\n",
        " a ,b\n1,2\n\n3,4",
        "a,b\n1,2,\n3,4,\n",
        'a,x,b\n1,"two\nlines, and a comma",2\n3,"say ""aah""",4\n',
    ],
    ids=["plain", "byte-order mark", "windows", "spaces and an empty line", "rows longer than the header", "quoted"],
)
def test_variants_of_csv_read_alike(write: Write, text: str) -> None:
    for name in ("t.csv", "t.csv.gz"):
        sheet = read_sheet(write(name, text), AB)
        assert (sheet.text("a").tolist(), sheet.text("b").tolist()) == (["1", "3"], ["2", "4"])


def test_cells_keep_their_text(write: Write) -> None:
    sheet = read_sheet(write("t.csv", "a,b\n007,NaN\n1e5, \n"), AB)
    assert sheet.text("a").tolist() == ["007", "1e5"]
    assert sheet.text("b", missing=["", "nan"]).isna().tolist() == [True, True]


def test_a_column_may_have_had_several_names(write: Write) -> None:
    path = write("t.csv", "a,Patient Gender\n1,F\n")
    sheet = read_sheet(path, {"sex": ("Patient Sex", "Patient Gender")}, optional={"b": "b"})
    assert sheet.text("sex").tolist() == ["F"]
    assert "b" not in sheet
    assert header_of(path) == ("a", "Patient Gender")


def test_each_distinct_text_is_parsed_once(write: Write) -> None:
    seen: list[str] = []

    def parse(word: str) -> float:
        seen.append(word)
        return float(word)

    sheet = read_sheet(write("t.csv", "a,b\n" + "1,2\n3,2\n" * 50), AB)
    assert sheet.values("b", parse, expected="a number", dtype=np.float64).tolist() == [2.0] * 100
    assert seen == ["2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv: the file is empty"),
        ("a,b\n", "t.csv: no rows below the header"),
        ("a,bb\n1,2\n", "t.csv: no column 'b'; did you mean 'bb'?"),
        ("a,b,a\n1,2,3\n", "t.csv: column 'a' stands 2 times in the header"),
        ("a,b\n1,2\n3,4,5\n", "t.csv: cannot be read as CSV: row 3 has 3 cells, the first row has 2"),
        ("a,b\n1,2\n3\n", "t.csv: cannot be read as CSV: row 3 has 1 cells, the first row has 2"),
    ],
)
def test_broken_files_are_named_in_one_line(write: Write, text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_sheet(write("t.csv", text), AB)
    assert str(caught.value).endswith(message)
    assert "\n" not in str(caught.value)


def test_a_bad_cell_is_named_by_row_column_and_content(write: Write) -> None:
    sheet = read_sheet(write("t.csv", "a,b\n1,2\n1,2\n1,two\n"), AB)
    with pytest.raises(DataError, match=r"t\.csv: row 4, column 'b': expected a number, got 'two'"):
        sheet.values("b", float, expected="a number")


@pytest.mark.parametrize("data", [b"a,b\n1,2\n", gzip.compress(b"a,b\n" + b"1,2\n" * 10_000, mtime=0)[:40]])
def test_damaged_gzip_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "t.csv.gz").write_bytes(data)
    with pytest.raises(DataError, match="cannot be read as CSV"):
        read_sheet(tmp_path / "t.csv.gz", AB)


def test_text_of_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("a,b\nLunge,Ödem\n".encode("latin-1"))
    with pytest.raises(DataError, match="cannot be read as CSV"):
        read_sheet(tmp_path / "t.csv", AB)


def test_find_sheet_prefers_the_first_pattern_and_the_plain_file(write: Write, tmp_path: Path) -> None:
    packed = write("old.csv.gz", "a,b\n1,2\n")
    assert find_sheet(tmp_path, "new*.csv", "old*.csv") == packed
    plain = write("old.csv", "a,b\n1,2\n")
    assert find_sheet(tmp_path, "new*.csv", "old*.csv") == plain
    newer = write("new2.csv.gz", "a,b\n1,2\n")
    assert find_sheet(tmp_path, "new*.csv", "old*.csv") == newer


def test_a_missing_file_comes_with_the_nearest_one(write: Write, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no train\.csv or train\.csv\.gz \(labels\); no CSV file is there"):
        find_sheet(tmp_path, "train.csv", needed="labels")
    write("training.csv", "a,b\n1,2\n")
    with pytest.raises(MissingDataError, match=r"did you mean 'training\.csv'"):
        find_sheet(tmp_path, "train.csv")


def test_text_columns_have_one_type() -> None:
    assert text_column([None, None]).dtype == text_column(["a", None]).dtype == text_column(["a", "b"]).dtype
