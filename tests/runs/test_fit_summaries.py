"""What fits took, in the manifest of a run: as far as it is known, and without an error where it is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.runs.test_chains import bound, data, shelf
from xrbench.progress import Silent
from xrbench.runs import store
from xrbench.runs.fit_keys import keys_of
from xrbench.runs.fit_summaries import read_summary
from xrbench.runs.manifest import write_manifest

__all__ = ["data"]
TOOK = {
    "epochs": 6, "best_epoch": 4, "best_value": 0.8, "figure": "labels auc", "seconds": 40.5, "images_per_second": 52.25,
    "stopped": "patience", "wall_seconds": 61.0, "peak_memory": 812.5, "device": "CPU", "threads": 2, "notes": [],
}  # fmt: skip


def finish(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "done.json").write_text(text)
    return folder


def test_a_finished_fit_says_what_it_took(tmp_path: Path) -> None:
    found = read_summary(finish(tmp_path, json.dumps({"key": "k", "result": TOOK})))
    assert found == {name: value for name, value in TOOK.items() if name not in ("best_value", "figure", "notes")}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"result": 3}', '{"result": {"epochs": null, "device": 1}}'])
def test_a_broken_file_says_nothing(tmp_path: Path, text: str) -> None:
    assert read_summary(finish(tmp_path, text)) == {}
    assert read_summary(tmp_path / "absent") == {}


def test_a_fit_of_before_says_what_it_knows(tmp_path: Path) -> None:
    text = json.dumps({"result": {"epochs": 2, "peak_memory": None, "threads": True}})
    assert read_summary(finish(tmp_path, text)) == {"epochs": 2}


def test_the_manifest_keeps_what_fits_took_and_is_written_only_when_it_changes(tmp_path: Path, data: Path) -> None:
    found = bound(shelf(tmp_path / "lab", pretrain="other"), data, "train=one", "method=child")
    found.open_caches(tmp_path / "cache", jobs=1)
    results, keys = store.Store(tmp_path / "out"), keys_of(found)

    def written() -> tuple[dict[str, dict[str, Any]], int]:
        folder = write_manifest(
            found, results, keys, failed={}, device="cpu", command=["xrbench", "run"], reporter=Silent()
        )
        fits = store.read_manifest(folder)["fits"]
        return {entry["name"]: entry["training"] for entry in fits}, (folder / "manifest.json").stat().st_mtime_ns

    nothing, _ = written()
    assert set(nothing) == {fit.name for fit in found.fits}
    assert not any(nothing.values())
    parent = next(fit for fit in found.fits if not fit.parents)
    folder = finish(results.fit_folder(keys.fits[parent.name]), json.dumps({"result": TOOK}))
    first, when = written()
    assert first[parent.name]["wall_seconds"] == 61
    assert written() == (first, when)
    shutil.rmtree(folder)
    assert written() == (first, when), "the folder of a fit may be removed"
