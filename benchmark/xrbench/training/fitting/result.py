"""Summary of a finished fit, as it is stored and as it is returned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from xrbench.cards import Recipe
from xrbench.training.fitting import checkpoint, selection, usage
from xrbench.training.fitting.checkpoint import Progress


@dataclass(frozen=True)
class FitResult:
    """Summary of a finished fit.

    Attributes:
        folder: Folder of its files.
        epochs: Number of epochs that were trained.
        best_epoch: The selected epoch, from 1.
        best_value: Its figure of validation; NaN when none was defined.
        figure: What that is: a head and a metric, such as ``labels auc``.
        seconds: Training time, over all starts, without validation and checkpoints.
        images_per_second: Training images per second of training time.
        stopped: ``epochs`` when all epochs were trained, ``patience`` when training stopped early.
        wall_seconds: Time on the clock, over all starts, up to the checkpoint of each.
        peak_memory: Peak memory in MiB, the largest of all starts: on a GPU that of its tensors, else that of the whole process. NaN where
            it is not known.
        device: Name of the device of the last start.
        threads: CPU threads of the last start.
        notes: Caveats for a reader of the results, in sentences.
        fresh: False when the fit had been finished before and nothing was done.
    """

    folder: Path
    epochs: int
    best_epoch: int
    best_value: float
    figure: str
    seconds: float
    images_per_second: float
    stopped: str
    wall_seconds: float = math.nan
    peak_memory: float = math.nan
    device: str = ""
    threads: int = 0
    notes: tuple[str, ...] = ()
    fresh: bool = True

    @property
    def weights(self) -> Path:
        """File of the selected weights."""
        return self.folder / checkpoint.WEIGHTS

    @property
    def log(self) -> Path:
        """File of the log, one row an epoch."""
        return self.folder / checkpoint.LOG


def summarise(progress: Progress, recipe: Recipe, notes: list[str], device: torch.device) -> dict[str, Any]:
    """Return the values of a finished fit for ``done.json``; undefined ones are None."""
    seconds = sum(row["seconds"] for row in progress.rows)
    # the log has rates, not counts; rows of epochs before an interruption come from the checkpoint
    images = sum(row["seconds"] * row["images_per_second"] for row in progress.rows)
    stopped = progress.epoch < recipe.epochs and selection.out_of_patience(progress, recipe)
    rule = selection.figure(recipe)
    return {
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_value": _defined(progress.best_value),
        "figure": f"{rule.head} {rule.metric}",
        "seconds": seconds,
        "images_per_second": images / seconds if seconds else 0.0,
        "stopped": "patience" if stopped else "epochs",
        "wall_seconds": progress.wall_seconds,
        "peak_memory": _defined(progress.peak_memory),
        "device": usage.device_name(device),
        "threads": torch.get_num_threads(),
        "notes": notes,
    }


def from_values(folder: Path, values: Mapping[str, Any], *, fresh: bool) -> FitResult:
    """Return the summary that ``summarise`` described.

    Fits of earlier versions have ``best_auc``, and neither memory nor device.
    """
    earlier = {"best_value": values.get("best_auc"), "figure": "labels auc"}
    given: dict[str, Any] = {**earlier, **values, "notes": tuple(values["notes"])}
    given.pop("best_auc", None)
    defined: dict[str, Any] = {name: math.nan if value is None else value for name, value in given.items()}
    return FitResult(folder=folder, fresh=fresh, **defined)


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value
