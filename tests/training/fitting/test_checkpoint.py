from __future__ import annotations

import csv
import errno
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xrbench.cards import Recipe
from xrbench.errors import StoreError
from xrbench.progress import Silent

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.fitting import checkpoint  # noqa: E402
from xrbench.training.fitting.checkpoint import FitFolder, Progress, write_bytes  # noqa: E402

Make = Callable[..., Recipe]


def state(value: float) -> dict[str, Any]:
    return {"weight": torch.full((4, 1, 3, 3), value).to(memory_format=torch.channels_last)}


def saved(folder: FitFolder, epoch: int) -> None:
    rows = [{"epoch": n + 1, "valid_auc": math.nan, "lr": 0.1} for n in range(epoch)]
    progress = Progress(epoch=epoch, best_epoch=1, best_value=0.5, best=state(1), rows=rows)
    optimiser = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1}]}
    folder.save(progress, {"network": state(epoch), "optimiser": optimiser}, kept="network")
    folder.write_log(rows)


def test_what_is_saved_comes_back_as_it_was(recipe: Make, tmp_path: Path) -> None:
    folder = FitFolder(tmp_path / "fit", key="k", recipe=recipe())
    saved(folder, 2)
    loaded = FitFolder(tmp_path / "fit", key="k", recipe=recipe()).load(Silent())
    assert loaded is not None
    progress, values = loaded
    assert (progress.epoch, progress.best_epoch, progress.best_value) == (2, 1, 0.5)
    assert torch.equal(values["network"]["weight"], state(2)["weight"])
    assert values["network"]["weight"].stride() == state(2)["weight"].stride()
    assert values["optimiser"]["param_groups"] == [{"lr": 0.1}]
    assert torch.equal(progress.best["weight"], state(1)["weight"])


def test_the_log_says_whole_numbers_plainly_and_leaves_undefined_cells_empty(recipe: Make, tmp_path: Path) -> None:
    saved(FitFolder(tmp_path, key="k", recipe=recipe()), 2)
    with (tmp_path / "log.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["epoch", "valid_auc", "lr"], ["1", "", "0.1"], ["2", "", "0.1"]]


def test_there_is_one_copy(recipe: Make, tmp_path: Path) -> None:
    folder = FitFolder(tmp_path, key="k", recipe=recipe())
    for epoch in (1, 2, 3):
        saved(folder, epoch)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.pt", "log.csv"}
    loaded = folder.load(Silent())
    assert loaded is not None
    assert loaded[0].epoch == 3


@pytest.mark.parametrize("kept", ["network", "average"])
def test_the_best_weights_are_not_written_twice_and_come_back(kept: str, recipe: Make, tmp_path: Path) -> None:
    folder = FitFolder(tmp_path, key="k", recipe=recipe())
    large = {"weight": torch.arange(100_000, dtype=torch.float32)}
    other = {"weight": torch.zeros(100_000)}
    states = {"network": other, "average": large} if kept == "average" else {"network": large, "average": None}
    sizes = []
    for best_epoch in (2, 1):
        folder.save(Progress(epoch=2, best_epoch=best_epoch, best=large), states, kept=kept)
        sizes.append((tmp_path / "checkpoint.pt").stat().st_size)
        loaded = FitFolder(tmp_path, key="k", recipe=recipe()).load(Silent())
        assert loaded is not None
        assert torch.equal(loaded[0].best["weight"], large["weight"])
    # torch writes a tensor once that is named twice: another one of the same size is what an earlier epoch has
    folder.save(Progress(epoch=2, best_epoch=1, best={"weight": large["weight"].clone()}), states, kept=kept)
    assert (tmp_path / "checkpoint.pt").stat().st_size > sizes[0] + 400_000


def test_checkpoints_take_a_bounded_share_of_the_time(
    recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a second for each write and three for each epoch, one in nine epochs is written: 25 seconds apart, at least."""
    now = [0.0]
    folder = FitFolder(tmp_path, key="k", recipe=recipe())
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def slow(*_: Any) -> None:
        now[0] += 1.0

    monkeypatch.setattr(checkpoint, "_save", slow)
    written = []
    for epoch in range(1, 41):
        now[0] += 3.0
        if folder.is_due:
            saved(folder, epoch)
            written.append(epoch)
    assert written == [1, 10, 19, 28, 37]
    assert len(written) - 1 <= 0.04 * now[0]


def test_files_of_another_format_are_refused(recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = FitFolder(tmp_path, key="k", recipe=recipe())
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT", "xrbench-fit-0")
        saved(folder, 1)
    with pytest.raises(StoreError, match=r"checkpoint\.pt: format 'xrbench-fit-0'; this version reads 'xrbench-fit-1'"):
        folder.load(Silent())


def test_a_field_that_the_stored_recipe_lacks_is_named(recipe: Make, tmp_path: Path) -> None:
    older = FitFolder(tmp_path, key="k", recipe=recipe())
    del older.recipe["method"]["patience"]
    saved(older, 1)
    with pytest.raises(StoreError, match=r"another specification: method\.patience is None there, 0 is expected"):
        FitFolder(tmp_path, key="other", recipe=recipe()).load(Silent())


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_is_one_line_and_loses_nothing(
    failing: str, recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = FitFolder(tmp_path, key="k", recipe=recipe())
    saved(folder, 1)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, full)
        with pytest.raises(StoreError, match=r"checkpoint.pt: cannot be written: No space left on device"):
            saved(folder, 2)
    loaded = folder.load(Silent())
    assert loaded is not None
    assert loaded[0].epoch == 1
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_reader_never_sees_half_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes(tmp_path / "a", b"old")
    seen = []
    real = os.fsync

    def look(handle: int) -> None:
        seen.append((tmp_path / "a").read_bytes())
        real(handle)

    monkeypatch.setattr(os, "fsync", look)
    write_bytes(tmp_path / "a", b"new and longer")
    assert seen == [b"old", b"new and longer"], "the file is flushed, then renamed, then its folder is flushed"
    assert (tmp_path / "a").read_bytes() == b"new and longer"


def test_checkpoints_go_when_the_fit_is_finished(recipe: Make, tmp_path: Path) -> None:
    folder = FitFolder(tmp_path, key="k", recipe=recipe())
    saved(folder, 1)
    saved(folder, 2)
    folder.finish(state(1), {"epochs": 2})
    assert {path.name for path in tmp_path.iterdir()} == {"done.json", "log.csv", "weights.pt"}
    assert folder.finished(Silent()) == {"epochs": 2}
    assert torch.equal(folder.weights()["weight"], state(1)["weight"])


def test_titles_and_names_are_no_difference(recipe: Make, tmp_path: Path) -> None:
    """Another key with the same decisive fields is told by its key, not by a word that only people read."""
    saved(FitFolder(tmp_path, key="k", recipe=recipe()), 1)
    renamed = FitFolder(tmp_path, key="other", recipe=recipe(name="yours", title="another"))
    with pytest.raises(StoreError, match="key is 'k' there, 'other' is expected"):
        renamed.load(Silent())
