"""Fits whose objective, average or heads have a state end as if they had not been interrupted, bit for bit."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xrbench.cards import Head, Recipe, Selection
from xrbench.data.images.image_set import ImageSet

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.components import objectives  # noqa: E402
from xrbench.training.fitting import checkpoint  # noqa: E402
from xrbench.training.fitting.checkpoint import FitFolder  # noqa: E402
from xrbench.training.fitting.fit import fit  # noqa: E402

Make = Callable[..., Recipe]
Sets = tuple[ImageSet, ImageSet]

COMMON: dict[str, Any] = {
    "epochs": 4,
    "l2_in_loss": 1e-4,
    "schedule": "cosine",
    "augmentation": ({"block": "affine", "degrees": 20.0}, "horizontal-flip"),
    "model": {"network": {"block": "mylab_blocks:tiny_network", "dropout": 0.2}},
}
GROUP_DRO = {"block": "group-dro", "step_size": 0.5}
KINDS: dict[str, dict[str, Any]] = {
    "group-dro": {"objective": GROUP_DRO},
    "plain number": {"objective": {"block": "mylab_blocks:Remembers", "rate": 0.2}},
    "parameters of its own": {
        "heads": (Head(name="views", kind="none"),),
        "sampler": "mylab_blocks:two_views",
        "objective": "mylab_blocks:Similar",
        "selection": Selection(head="views", metric="loss"),
    },
    "average": {"averaging": 0.9, "accumulate": 2},
    "average and state": {"averaging": 0.7, "objective": GROUP_DRO},
    "heads": {
        "heads": (
            Head(name="age", kind="regression", column="age", scale=50.0),
            Head(name="labels", kind="labels"),
            Head(name="sex", kind="binary", column="sex", values=("F", "M")),
        ),
        "task_weights": "rarity",
        "selection": Selection(head="age", metric="mae"),
    },
    "pairs": {"objective": {"block": "coral", "weight": 10.0}, "sampler": "mylab_blocks:two_of_a_patient"},
}

KILLED = """
import sys, torch
from pathlib import Path
sys.path[:0] = [{mylab!r}, {here!r}, {above!r}]
torch.set_num_threads({threads})
import conftest
from mylab_blocks import DiesAt
from test_resume_state import COMMON, KINDS, with_equal_labels
from xrbench.data.images.image_set import ImageSet
from xrbench.training.fitting import checkpoint
from xrbench.training.fitting.fit import fit
checkpoint.INTERVAL = 0.0
train = ImageSet.join([conftest.make_images(40, 1, name="large"), conftest.make_images(24, 2, name="small")])
valid = conftest.make_images(60, 3, name="valid")
fit(
    conftest.make_recipe(**COMMON, **KINDS[{kind!r}]),
    with_equal_labels(conftest.with_metadata(train)), with_equal_labels(conftest.with_metadata(valid)),
    key="k", folder=Path({folder!r}), reporter=DiesAt(13),
)
"""


def with_equal_labels(images: ImageSet) -> ImageSet:
    """Give the two images of a patient the same labels."""
    assert images.patient is not None
    return replace(images, truth=images.truth[2 * images.patient])


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a checkpoint after every epoch, however short."""
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)


@pytest.fixture
def sets(pair: ImageSet, valid: ImageSet, metadata: Any) -> Sets:
    return with_equal_labels(metadata(pair)), with_equal_labels(metadata(valid))


def outcome(made: Recipe, folder: Path) -> tuple[Any, Any]:
    with (folder / "log.csv").open(newline="") as file:
        log = list(csv.DictReader(file))
    for row in log:
        del row["seconds"], row["images_per_second"]
    return FitFolder(folder, key="k", recipe=made).weights(), log


def assert_same(found: tuple[Any, Any], expected: tuple[Any, Any]) -> None:
    assert found[1] == expected[1]
    assert found[0].keys() == expected[0].keys()
    assert all(torch.equal(found[0][name], value) for name, value in expected[0].items())


@pytest.mark.parametrize("kind", KINDS)
def test_interruptions_within_epochs_change_nothing(kind: str, recipe: Make, sets: Sets, tmp_path: Path) -> None:
    from mylab_blocks import DiesAt  # type: ignore[import-not-found]

    made = recipe(**COMMON, **KINDS[kind])
    fit(made, *sets, key="k", folder=tmp_path / "through")
    for at in (3, 13, 19):
        with pytest.raises(KeyboardInterrupt):
            fit(made, *sets, key="k", folder=tmp_path / "stopped", reporter=DiesAt(at, KeyboardInterrupt()))
    assert fit(made, *sets, key="k", folder=tmp_path / "stopped").fresh
    assert_same(outcome(made, tmp_path / "stopped"), outcome(made, tmp_path / "through"))


@pytest.mark.parametrize("kind", ["plain number", "average and state"])
def test_a_killed_process_goes_on_where_it_stopped(
    kind: str, recipe: Make, sets: Sets, tmp_path: Path, mylab: Path, listening: Any
) -> None:
    made, folder = recipe(**COMMON, **KINDS[kind]), tmp_path / "killed"
    code = KILLED.format(
        mylab=str(mylab),
        here=str(Path(__file__).parent),
        above=str(Path(__file__).parents[1]),
        threads=torch.get_num_threads(),
        kind=kind,
        folder=str(folder),
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    fit(made, *sets, key="k", folder=folder, reporter=listening)
    assert listening.lines == ["fit: goes on after epoch 2 of 4"]  # five steps an epoch, killed at the thirteenth
    fit(made, *sets, key="k", folder=tmp_path / "through")
    assert_same(outcome(made, folder), outcome(made, tmp_path / "through"))


def test_without_the_state_of_its_objective_a_fit_ends_elsewhere(
    recipe: Make, sets: Sets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mylab_blocks import DiesAt

    made = recipe(**COMMON, **KINDS["plain number"])
    fit(made, *sets, key="k", folder=tmp_path / "through")
    with pytest.raises(KeyboardInterrupt):
        fit(made, *sets, key="k", folder=tmp_path / "stopped", reporter=DiesAt(13, KeyboardInterrupt()))
    monkeypatch.setattr(objectives, "restore", lambda *_: None)
    fit(made, *sets, key="k", folder=tmp_path / "stopped")
    assert outcome(made, tmp_path / "stopped")[1] != outcome(made, tmp_path / "through")[1]


def test_checkpoints_far_apart_lose_time_but_no_bit(
    recipe: Make, sets: Sets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listening: Any
) -> None:
    from mylab_blocks import DiesAt

    monkeypatch.setattr(checkpoint, "INTERVAL", 1e9)  # the first and the last epoch alone
    made = recipe(**COMMON, **KINDS["average and state"])
    fit(made, *sets, key="k", folder=tmp_path / "through")
    with pytest.raises(KeyboardInterrupt):
        fit(made, *sets, key="k", folder=tmp_path / "stopped", reporter=DiesAt(18, KeyboardInterrupt()))
    fit(made, *sets, key="k", folder=tmp_path / "stopped", reporter=listening)
    assert listening.lines == ["fit: goes on after epoch 1 of 4"]
    assert_same(outcome(made, tmp_path / "stopped"), outcome(made, tmp_path / "through"))
