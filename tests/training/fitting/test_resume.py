"""A fit that was interrupted ends as if it had not been."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
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
from xrbench.training.fitting.fit import fit  # noqa: E402
from xrbench.training.prediction.predict import predict  # noqa: E402

Make = Callable[..., Recipe]

HARD: dict[str, Any] = {
    "epochs": 5,
    "task_weights": "rarity",
    "l2_in_loss": 1e-4,
    "accumulate": 2,
    "optimiser": {"block": "adam", "lr": 0.02, "amsgrad": True},
    "schedule": {"block": "cosine", "warmup": 1},
    "augmentation": ({"block": "affine", "degrees": 20.0, "translate": 0.1, "scale": [0.9, 1.1]}, "horizontal-flip"),
    "model": {"network": {"block": "mylab_blocks:tiny_network", "dropout": 0.2}},
}
"""Everything that could carry state from one epoch to the next."""

KILLED = """
import sys, torch
from pathlib import Path
sys.path[:0] = [{mylab!r}, {here!r}, {above!r}]
torch.set_num_threads({threads})
import conftest
from mylab_blocks import DiesAt
from test_resume import HARD
from xrbench.data.images.image_set import ImageSet
from xrbench.training.fitting import checkpoint
from xrbench.training.fitting.fit import fit
checkpoint.INTERVAL = 0.0
train = ImageSet.join([conftest.make_images(40, 1, name="large"), conftest.make_images(24, 2, name="small")])
fit(
    conftest.make_recipe(**HARD), train, conftest.make_images(60, 3, name="valid"),
    key="k", folder=Path({folder!r}), reporter=DiesAt(18),
)
"""


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a checkpoint after every epoch, however short."""
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)


@pytest.fixture
def through(recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path) -> Any:
    """Return the scores, the weights and the log of the fit that ran through."""
    folder = tmp_path / "through"
    fit(recipe(**HARD), pair, valid, key="k", folder=folder)
    return outcome(recipe(**HARD), valid, folder)


def outcome(made: Recipe, valid: ImageSet, folder: Path) -> Any:
    with (folder / "log.csv").open(newline="") as file:
        log = list(csv.DictReader(file))
    for row in log:
        del row["seconds"], row["images_per_second"]
    return predict(made, valid, folder=folder, key="k"), log


def same(found: Any, expected: Any) -> None:
    assert np.array_equal(found[0], expected[0])  # bit for bit
    assert found[1] == expected[1]


@pytest.mark.parametrize("step", [3, 12, 25])
def test_ctrl_c_in_the_middle_changes_nothing(
    step: int, through: Any, recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    from mylab_blocks import DiesAt  # type: ignore[import-not-found]

    made, folder = recipe(**HARD), tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        fit(made, pair, valid, key="k", folder=folder, reporter=DiesAt(step, KeyboardInterrupt()))
    again = fit(made, pair, valid, key="k", folder=folder)
    assert again.fresh
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    same(outcome(made, valid, folder), through)


def test_a_killed_process_goes_on_where_it_stopped(
    through: Any, recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path, mylab: Path, listening: Any
) -> None:
    folder = tmp_path / "killed"
    code = KILLED.format(
        mylab=str(mylab),
        here=str(Path(__file__).parent),
        above=str(Path(__file__).parents[1]),
        threads=torch.get_num_threads(),
        folder=str(folder),
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )  # a process to kill
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (folder / "done.json").exists()
    made = recipe(**HARD)
    fit(made, pair, valid, key="k", folder=folder, reporter=listening)
    assert listening.lines == ["fit: goes on after epoch 3 of 5"]  # five steps an epoch, killed at the eighteenth
    same(outcome(made, valid, folder), through)


@pytest.mark.parametrize("damage", ["cut", "empty", "bit", "gone"])
def test_without_a_whole_checkpoint_the_fit_starts_again(
    damage: str, through: Any, recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path, listening: Any
) -> None:
    made, folder = recipe(**HARD), tmp_path / "broken"
    stop_after(4, made, pair, valid, folder)
    damaged(folder / "checkpoint.pt", damage)
    fit(made, pair, valid, key="k", folder=folder, reporter=listening)
    assert not any("goes on" in line for line in listening.lines)
    assert any("checkpoint.pt: broken" in line for line in listening.lines) == (damage != "gone")
    same(outcome(made, valid, folder), through)


def test_a_fit_stopped_between_its_last_epoch_and_its_end_only_ends(
    through: Any, recipe: Make, pair: ImageSet, valid: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xrbench.training.fitting.checkpoint import FitFolder

    made, folder = recipe(**HARD), tmp_path / "late"
    with monkeypatch.context() as patch:
        patch.setattr(FitFolder, "finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(made, pair, valid, key="k", folder=folder)
    fit(made, pair, valid, key="k", folder=folder)
    same(outcome(made, valid, folder), through)


def interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def stop_after(epochs: int, made: Recipe, train: ImageSet, valid: ImageSet, folder: Path) -> None:
    from mylab_blocks import DiesAt

    with pytest.raises(KeyboardInterrupt):
        fit(made, train, valid, key="k", folder=folder, reporter=DiesAt(5 * epochs + 2, KeyboardInterrupt()))


def damaged(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    else:
        # in the middle of a tensor, where only a checksum can tell
        place = content.index(torch.load(path)["state"]["network"]["1.running_mean"].numpy().tobytes()) + 8
        content[place] ^= 1
        path.write_bytes(content)
