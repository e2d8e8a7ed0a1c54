from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from xrbench.errors import StoreError
from xrbench.runs import store
from xrbench.runs.store import Store


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image": ["a", "b", "c"],
            "patient_id": ["001", "001", None],
            "dataset": ["nih"] * 3,
            "truth:Edema": np.array([1, 0, np.nan], np.float32),
            "score:Edema": np.array([0.9, 0.1, 0.5], np.float32),
        }
    )


def test_predictions_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "cells" / "k.parquet"
    store.write_predictions(path, frame(), {"key": "k", "cell": "a/b"})
    back, about = store.read_predictions(path, key="k")
    assert back["patient_id"].tolist()[:2] == ["001", "001"]
    assert back["truth:Edema"].isna().tolist() == [False, False, True]
    assert np.array_equal(back["score:Edema"], frame()["score:Edema"])
    assert about["cell"] == "a/b"
    assert store.labels_of(back) == ("Edema",)


def test_another_specification_is_refused_naming_the_field(tmp_path: Path) -> None:
    store.write_predictions(tmp_path / "p", frame(), {"key": "k"})
    with pytest.raises(StoreError, match="field key: expected other, got k"):
        store.read_predictions(tmp_path / "p", key="other")


def test_an_edited_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    store.write_predictions(path, frame(), {"key": "k"})
    table = pq.read_table(path)
    edited = table.set_column(4, "score:Edema", [[0.9, 0.1, 0.6]]).replace_schema_metadata(table.schema.metadata)
    pq.write_table(edited, path)
    with pytest.raises(StoreError, match="damaged or edited"):
        store.read_predictions(path)


def test_foreign_missing_and_torn_files_are_told_apart(tmp_path: Path) -> None:
    frame().to_parquet(tmp_path / "foreign.parquet")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 half a file")
    for name, words in (
        ("foreign", "not written by xrbench"),
        ("torn", "not a readable Parquet"),
        ("absent", "no such file"),
    ):
        with pytest.raises(StoreError, match=words):
            store.read_predictions(tmp_path / f"{name}.parquet")


def test_two_commands_never_hold_one_lock(tmp_path: Path) -> None:
    results = Store(tmp_path)
    code = (
        "import pathlib; from xrbench.runs.store import Store\n"
        f"with Store(pathlib.Path({str(tmp_path)!r})).try_lock('s') as ours: print(ours)"
    )

    def other() -> str:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

    with results.try_lock("s") as ours:
        assert (ours, other()) == (True, "False")
    assert other() == "True"
    assert not list(tmp_path.rglob("*.lock")), "locks of work that is done are gone"


def test_a_short_lock_is_waited_for(tmp_path: Path) -> None:
    results = Store(tmp_path)
    code = f"import pathlib; from xrbench.runs.store import Store\nwith Store(pathlib.Path({str(tmp_path)!r})).lock('s'): print('in')"
    with results.lock("s"):
        waiting = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=2)
    assert waiting.communicate(timeout=60)[0].strip() == "in"


def test_out_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(StoreError, match="is a file"):
        Store(tmp_path / "out")


def test_json_holds_no_nan(tmp_path: Path) -> None:
    store.write_json(tmp_path / "m.json", {"a": float("nan"), "b": [1.5, {"c": float("nan")}]})
    assert store.read_json(tmp_path / "m.json") == {"a": None, "b": [1.5, {"c": None}]}
    (tmp_path / "bad.json").write_text("[1]")
    with pytest.raises(StoreError, match="expected a JSON object, got list"):
        store.read_json(tmp_path / "bad.json")


def test_a_run_folder_of_before_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / store.MANIFEST).write_text('{"format": "xrbench-run-1", "suite": {}}')
    with pytest.raises(
        StoreError, match=r"format 'xrbench-run-1', expected 'xrbench-run-2'\); run the suite again"
    ) as caught:
        store.read_manifest(tmp_path)
    assert "\n" not in str(caught.value)
