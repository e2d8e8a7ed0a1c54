from __future__ import annotations

from pathlib import Path

import pytest

from xrbench.config import data_folders, file_of, resolve
from xrbench.errors import CardError, UsageError


def test_options_go_before_variables_before_the_file_before_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XRBENCH_OUT", "XRBENCH_JOBS"):
        monkeypatch.delenv(name, raising=False)
    assert resolve({}, folder=tmp_path)["out"].source == "default"
    (tmp_path / "xrbench.toml").write_text('out = "from-file"\njobs = 3\n')
    assert resolve({}, folder=tmp_path)["out"].value == "from-file"
    monkeypatch.setenv("XRBENCH_OUT", "from-variable")
    found = resolve({}, folder=tmp_path)
    assert (found["out"].value, found["out"].source) == ("from-variable", "variable XRBENCH_OUT")
    found = resolve({"out": "given"}, folder=tmp_path)
    assert (found["out"].value, found["jobs"].value) == ("given", 3)


def test_a_wrong_file_names_file_and_field(tmp_path: Path) -> None:
    (tmp_path / "xrbench.toml").write_text('outt = "x"')
    with pytest.raises(CardError, match=r"xrbench\.toml: .*`outt`; did you mean 'out'"):
        file_of(tmp_path)
    (tmp_path / "xrbench.toml").write_text('jobs = "two"')
    with pytest.raises(CardError, match=r"Expected `int.*`, got `str` - at `\$\.jobs`"):
        file_of(tmp_path)


def test_a_variable_that_should_be_a_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XRBENCH_JOBS", "many")
    with pytest.raises(UsageError, match="XRBENCH_JOBS: expected a whole number of 1 or more, got 'many'"):
        resolve({}, folder=tmp_path)


def test_data_roots_are_common_or_of_one_dataset(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    root, folders = data_folders([str(tmp_path), f"nih={tmp_path / 'a'}"], file_of(tmp_path), ["nih", "mimic"])
    assert root == tmp_path
    assert folders == {"nih": tmp_path / "a"}
    with pytest.raises(UsageError, match="unknown dataset; did you mean 'nih'"):
        data_folders([f"nhi={tmp_path / 'a'}"], file_of(tmp_path), ["nih", "mimic"])
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file; a folder is expected"):
        data_folders([str(tmp_path / "file")], file_of(tmp_path), ["nih"])
    with pytest.raises(UsageError, match="no such folder"):
        data_folders([str(tmp_path / "absent")], file_of(tmp_path), ["nih"])
