"""The two kinds of work of a run, as functions of values that can be sent to another process: train one fit, measure one cell.

What they return and write does not depend on where they run, or on what runs beside them. A task whose lock another process holds is
not done twice: it comes back as ``busy``.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import StoreError, XrbenchError, disk_is_full
from xrbench.progress import Reporter
from xrbench.runs import store
from xrbench.runs.store import Store

if TYPE_CHECKING:
    from xrbench.training.prediction.predict import Predictor

Status = Literal["done", "there", "busy", "failed", "skipped", "fatal"]


@dataclass(frozen=True)
class Parent:
    """The finished fit that another one starts from.

    Attributes:
        key: Its key.
        recipe: Its recipe.
    """

    key: str
    recipe: Recipe


@dataclass(frozen=True)
class FitTask:
    """A fit to train.

    Attributes:
        name, key: The fit's name and key.
        recipe: Everything that decides it besides its images.
        train, valid: Its images; pixels are mapped from the caches.
        out: Folder of results.
        device: Where to compute.
        label: Text in front of its progress bar.
        parent: The fit whose weights it starts from.
    """

    name: str
    key: str
    recipe: Recipe
    train: ImageSet
    valid: ImageSet
    out: Path
    device: str
    label: str
    parent: Parent | None = None


@dataclass(frozen=True)
class CellTask:
    """A cell to measure.

    Attributes:
        name, key: The cell's name and key.
        recipe: Recipe of its fit, or of the pretrained model.
        images: The test images.
        frame: One row an image, without scores.
        about: Name, key and provenance, stored with the predictions.
        out: Folder of results.
        device: Where to compute.
        fit_key: Key of its fit; empty for a pretrained model.
        label: Text in front of its progress bar.
    """

    name: str
    key: str
    recipe: Recipe
    images: ImageSet
    frame: pd.DataFrame
    about: Mapping[str, Any]
    out: Path
    device: str
    fit_key: str
    label: str


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        status: ``done``; ``there``: it was stored already; ``busy``: another process is at it; ``failed``; ``skipped``: what it starts
            from failed; ``fatal``: nothing can be stored any more, as on a full disk.
        reason: Why it failed, in one line.
        detail: The traceback of a failure.
    """

    status: Status
    reason: str = ""
    detail: str = field(default="", repr=False)


def train_one(task: FitTask, reporter: Reporter) -> Outcome:
    """Train a fit, or resume it; a finished one is only read."""
    results = Store(task.out)
    with results.try_lock(f"fit-{task.key}") as ours:
        return _guarded(lambda: _train(task, results, reporter)) if ours else Outcome("busy")


def measure_one(task: CellTask, reporter: Reporter) -> Outcome:
    """Predict every image of a cell and store the predictions, unless they are stored."""
    results = Store(task.out)
    with results.try_lock(f"cell-{task.key}") as ours:
        return _guarded(lambda: _measure(task, results, reporter)) if ours else Outcome("busy")


def is_measured(results: Store, name: str, key: str, reporter: Reporter) -> bool:
    """Say whether the predictions of a cell are stored and intact."""
    if not results.has_cell(key):
        return False
    try:
        store.read_predictions(results.cell_file(key), key=key)
    except StoreError:
        reporter.line(f"{results.cell_file(key)}: damaged; {name} is measured again")
        return False
    return True


def failure(error: Exception) -> Outcome:
    """Describe an error as the outcome of a task."""
    detail = "".join(traceback.format_exception(error))
    return Outcome("fatal" if disk_is_full(error) else "failed", reason_of(error), detail)


def reason_of(error: Exception) -> str:
    """Put an error into one line, with its place in the code unless it was raised on purpose."""
    message = (str(error).splitlines() or [""])[0]
    if isinstance(error, XrbenchError):
        return message
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    frames = traceback.extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if "site-packages" not in frame.filename), frames[-1])
    return f"{type(error).__name__}: {message} ({Path(place.filename).name}, line {place.lineno})"


def _guarded(work: Any) -> Outcome:
    try:
        return Outcome("done" if work() else "there")
    except Exception as error:
        return failure(error)


def _train(task: FitTask, results: Store, reporter: Reporter) -> bool:
    """Train; return whether anything was left to do."""
    from xrbench.training.fitting.fit import fit
    from xrbench.training.fitting.start import Start

    start, parent = None, task.parent
    if parent is not None:
        start = Start(results.fit_folder(parent.key), parent.key, parent.recipe, task.recipe.method.parent_weights)
    result = fit(
        task.recipe,
        task.train,
        task.valid,
        key=task.key,
        folder=results.fit_folder(task.key),
        device=task.device,
        reporter=reporter,
        label=task.label,
        start=start,
    )
    return result.fresh


_loaded: dict[tuple[str, str, str], Predictor] = {}
"""The network that was used last in this process: cells of one fit come one after the other."""


def _measure(task: CellTask, results: Store, reporter: Reporter) -> bool:
    if is_measured(results, task.name, task.key, reporter):
        return False
    predict = _predictor(task, results, reporter)
    scores = predict(task.images, label=task.label)
    frame, labels = task.frame.copy(), task.recipe.labels
    expected = (len(frame), len(labels))
    if scores.shape != expected:
        raise StoreError(f"{task.name}: {expected} scores are expected, the model gave {scores.shape}")
    for number, label in enumerate(labels):
        frame[f"score:{label}"] = scores[:, number]
    store.write_predictions(results.cell_file(task.key), frame, task.about)
    return True


def _predictor(task: CellTask, results: Store, reporter: Reporter) -> Predictor:
    """Load the network of a fit, or the pretrained one of a cell without a fit."""
    from xrbench.training.prediction.predict import Predictor

    source = (str(task.out), task.fit_key or task.recipe.model.name, task.device)
    if source not in _loaded:
        _loaded.clear()
        folder = results.fit_folder(task.fit_key) if task.fit_key else None
        _loaded[source] = Predictor(task.recipe, folder=folder, key=task.fit_key, device=task.device, reporter=reporter)
    _loaded[source].reporter = reporter
    return _loaded[source]
