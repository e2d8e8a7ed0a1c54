from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.fitting import checkpoint  # noqa: E402
from xrbench.training.fitting.checkpoint import FitFolder  # noqa: E402
from xrbench.training.fitting.fit import fit  # noqa: E402
from xrbench.training.fitting.usage import Usage  # noqa: E402

Make = Callable[..., Recipe]


def test_a_fit_records_what_it_took(recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path) -> None:
    started = time.monotonic()
    done = fit(recipe(epochs=2), pair, valid, key="k", folder=tmp_path)
    assert done.seconds < done.wall_seconds < time.monotonic() - started
    assert done.device == "cpu"
    assert done.threads == torch.get_num_threads()
    assert done.peak_memory > 50  # MiB; an interpreter with torch
    stored = json.loads((tmp_path / "done.json").read_text())["result"]
    assert stored["peak_memory"] == done.peak_memory


def test_peak_memory_is_that_of_the_process() -> None:
    usage = Usage(torch.device("cpu"))
    before = usage.peak_memory
    held = np.ones(int(before + 64) * 2**17)  # 64 MiB more than ever
    assert usage.peak_memory > before + 32
    del held


def test_wall_time_and_memory_go_on_over_starts(
    recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mylab_blocks import DiesAt  # type: ignore[import-not-found]

    made = recipe(epochs=3)
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    monkeypatch.setattr(Usage, "wall_seconds", property(lambda _: 100.0))
    monkeypatch.setattr(Usage, "peak_memory", property(lambda _: 5000.0))
    with pytest.raises(KeyboardInterrupt):
        fit(made, pair, valid, key="k", folder=tmp_path, reporter=DiesAt(7, KeyboardInterrupt()))
    monkeypatch.setattr(Usage, "wall_seconds", property(lambda _: 10.0))
    monkeypatch.setattr(Usage, "peak_memory", property(lambda _: 4000.0))
    done = fit(made, pair, valid, key="k", folder=tmp_path)
    assert (done.wall_seconds, done.peak_memory) == (110.0, 5000.0)


def test_a_fit_of_an_earlier_version_is_read(recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path) -> None:
    made = recipe(epochs=1)
    earlier: dict[str, Any] = {
        "epochs": 4,
        "best_epoch": 2,
        "best_auc": 0.75,
        "seconds": 2.0,
        "images_per_second": 50.0,
        "stopped": "epochs",
        "notes": ["a note"],
    }
    FitFolder(tmp_path, key="k", recipe=made).finish(torch.nn.Linear(1, 1).state_dict(), earlier)
    done = fit(made, pair, valid, key="k", folder=tmp_path)
    assert not done.fresh
    assert (done.best_epoch, done.best_value, done.figure, done.notes) == (2, 0.75, "labels auc", ("a note",))
    assert math.isnan(done.wall_seconds)
    assert math.isnan(done.peak_memory)
