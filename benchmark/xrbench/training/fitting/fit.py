"""Training of one fit: epochs, selection of the best one, and resumption after an interruption."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import TrainingError
from xrbench.progress import Reporter, Silent, Task
from xrbench.rng import stream
from xrbench.training.fitting import checkpoint, devices, validation
from xrbench.training.fitting.checkpoint import FitFolder, Progress
from xrbench.training.fitting.loop import Epoch, Loop
from xrbench.training.models import state_dict


@dataclass(frozen=True)
class FitResult:
    """Summary of a finished fit.

    Attributes:
        folder: Folder of its files.
        epochs: Number of epochs that were trained.
        best_epoch: The selected epoch, from 1.
        best_auc: Its mean validation AUC; NaN when none was defined.
        seconds: Training time, over all starts.
        images_per_second: Training images per second of training time.
        stopped: ``epochs`` when all epochs were trained, ``patience`` when training stopped early.
        notes: Caveats for a reader of the results, in sentences.
        fresh: False when the fit had been finished before and nothing was done.
    """

    folder: Path
    epochs: int
    best_epoch: int
    best_auc: float
    seconds: float
    images_per_second: float
    stopped: str
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


def fit(
    recipe: Recipe,
    train: ImageSet,
    valid: ImageSet,
    *,
    key: str,
    folder: Path,
    device: str = "cpu",
    reporter: Reporter | None = None,
    label: str = "fit",
) -> FitResult:
    """Train a network, or resume after the last finished epoch; a finished fit is only read.

    On the CPU an interrupted fit ends with the same weights, bit for bit, as an uninterrupted one.

    Args:
        recipe: Specification of the fit, apart from its images.
        train: Training images; ``domains`` are in the order in which the setting names its datasets.
        valid: Validation images; may be empty when the method selects the last epoch.
        key: Hash of everything that decides the fit.
        folder: Folder of the fit's files.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``auto``.
        reporter: Where progress is shown.
        label: Text in front of the progress bar.

    Raises:
        TrainingError: There are no images, or no label that can be learned, or a loss is not finite.
        StoreError: The folder holds another fit (the first differing field is named), or cannot be written to.
        CardError, WeightsError, UsageError: The recipe or the device cannot be used.
    """
    reporter = reporter or Silent()
    fit_folder = FitFolder(folder, key=key, recipe=recipe)
    result = fit_folder.finished(reporter)
    if result is not None:
        return _result(folder, result, fresh=False)
    notes = _check_images(recipe, train, valid)
    for note in notes:
        reporter.line(f"{label}: {note}")
    torch_device = devices.find(device)
    with devices.deterministic(torch_device, threads=recipe.threads):
        loop = Loop(recipe, train, device=torch_device, reporter=reporter)
        progress = _resume(fit_folder, loop, reporter, label)
        with reporter.bar(label, recipe.epochs * loop.steps) as bar:
            bar.advance(progress.epoch * loop.steps)
            while progress.epoch < recipe.epochs and not _out_of_patience(progress, recipe):
                _train_epoch(fit_folder, loop, valid, progress, bar)
    if math.isnan(progress.best_auc) and recipe.method.selection == "best-mean-auc":
        notes.append("no label has both a positive and a negative in validation: the last epoch was kept")
        reporter.line(f"{label}: {notes[-1]}")
    result = _summary(progress, recipe, notes)
    fit_folder.finish(progress.best, result)
    return _result(folder, result, fresh=True)


def _train_epoch(fit_folder: FitFolder, loop: Loop, valid: ImageSet, progress: Progress, bar: Task) -> None:
    epoch = loop.epoch(progress.epoch, bar)
    result = _validate(loop, valid, progress.epoch)
    progress.epoch += 1
    progress.rows.append(_row(progress.epoch, epoch, result, loop))
    # until an AUC is defined the latest epoch is selected; a comparison with NaN is False, so an undefined one never replaces it
    undecided = math.isnan(progress.best_auc)
    if loop.recipe.method.selection == "last" or undecided or result.mean_auc > progress.best_auc:
        progress.best_epoch, progress.best_auc = progress.epoch, result.mean_auc
        progress.best = state_dict.copy(loop.network)
    fit_folder.save(progress, loop.network.state_dict(), loop.optimiser.state_dict())
    bar.advance(0, _note(progress, loop.recipe, epoch, result))


def _validate(loop: Loop, valid: ImageSet, epoch: int) -> validation.ValidationResult:
    recipe = loop.recipe
    if not len(valid):
        return validation.undefined_result(len(recipe.labels))
    if recipe.method.validation == "fixed":
        order, augmentation, rng = list(validation.ordered_batches(len(valid), recipe.batch_size)), [], None
    else:
        rng_of_images = stream(recipe.identity, "validation", epoch)
        order = list(validation.released_batches(len(valid), recipe, rng_of_images))
        augmentation, rng = loop.augmentation, stream(recipe.identity, "validation-augmentation", epoch)
    logits = validation.run_network(loop.network, valid, iter(order), loop.pixels, augmentation=augmentation, rng=rng)
    return validation.evaluate(logits, valid.truth[np.concatenate(order)], loop.validation_objective)


def _resume(fit_folder: FitFolder, loop: Loop, reporter: Reporter, label: str) -> Progress:
    saved = fit_folder.load(reporter)
    if saved is None:
        return Progress()
    progress, network, optimiser = saved
    loop.network.load_state_dict(network)
    loop.optimiser.load_state_dict(optimiser)
    fit_folder.write_log(progress.rows)
    reporter.line(f"{label}: goes on after epoch {progress.epoch} of {loop.recipe.epochs}")
    return progress


def _out_of_patience(progress: Progress, recipe: Recipe) -> bool:
    # a patience of 0 never stops
    return 0 < recipe.method.patience <= progress.epoch - progress.best_epoch


def _row(epoch: int, figures: Epoch, result: validation.ValidationResult, loop: Loop) -> checkpoint.Row:
    return {
        "epoch": epoch,
        "train_loss": figures.loss,
        "valid_loss": result.loss,
        "valid_auc": result.mean_auc,
        **{f"valid_auc:{label}": float(auc) for label, auc in zip(loop.recipe.labels, result.aucs, strict=True)},
        "lr": figures.lr,
        "images_per_second": figures.images / figures.seconds,
        "seconds": figures.seconds,
        **{f"drawn:{name}": int(n) for name, n in zip(loop.train.domains, figures.images_by_domain, strict=True)},
    }


def _note(progress: Progress, recipe: Recipe, figures: Epoch, result: validation.ValidationResult) -> str:
    if np.isnan(result.loss):
        return f"epoch {progress.epoch}/{recipe.epochs}  loss {figures.loss:.3f}"
    auc = "undefined" if math.isnan(result.mean_auc) else f"{result.mean_auc:.3f}"
    best = "" if math.isnan(progress.best_auc) else f" (best {progress.best_auc:.3f} @ {progress.best_epoch})"
    return f"epoch {progress.epoch}/{recipe.epochs}  loss {figures.loss:.3f}  valid AUC {auc}{best}"


def _check_images(recipe: Recipe, train: ImageSet, valid: ImageSet) -> list[str]:
    """Check the shapes of both sets; return a note for each label that lacks a positive or a negative in training."""
    for name, images in (("training", train), ("validation", valid)):
        if not len(images):
            if name == "validation" and recipe.method.selection == "last" and not recipe.method.patience:
                continue
            raise TrainingError(f"no {name} images")
        if images.truth.shape[1] != len(recipe.labels):
            raise TrainingError(f"{name}: truth of {images.truth.shape[1]} labels, the recipe has {len(recipe.labels)}")
        side = images.pixels[0].shape[-1]
        if side != recipe.image_size:
            raise TrainingError(f"{name}: images of {side} px, the recipe has {recipe.image_size} px")
    notes, usable = [], 0
    for column, label in enumerate(recipe.labels):
        column_truth = train.truth[:, column]
        lacking = [word for word, value in (("positive", 1), ("negative", 0)) if not (column_truth == value).any()]
        usable += not lacking
        if recipe.task == "multiclass" and "positive" in lacking:
            raise TrainingError(f"class {label!r} has no image in {'+'.join(train.domains)}")
        if lacking:
            notes.append(f"label {label!r} has no {' and no '.join(lacking)} in {'+'.join(train.domains)}")
    if not usable:
        raise TrainingError(f"nothing to learn: {'; '.join(notes)}")
    return notes


def _summary(progress: Progress, recipe: Recipe, notes: list[str]) -> dict[str, Any]:
    seconds = sum(row["seconds"] for row in progress.rows)
    # the log has rates, not counts; rows of epochs before an interruption come from the checkpoint
    images = sum(row["seconds"] * row["images_per_second"] for row in progress.rows)
    return {
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_auc": None if math.isnan(progress.best_auc) else progress.best_auc,
        "seconds": seconds,
        "images_per_second": images / seconds if seconds else 0.0,
        "stopped": "patience" if _out_of_patience(progress, recipe) and progress.epoch < recipe.epochs else "epochs",
        "notes": notes,
    }


def _result(folder: Path, values: Mapping[str, Any], *, fresh: bool) -> FitResult:
    auc = values["best_auc"]
    return FitResult(
        folder=folder,
        epochs=values["epochs"],
        best_epoch=values["best_epoch"],
        best_auc=math.nan if auc is None else auc,
        seconds=values["seconds"],
        images_per_second=values["images_per_second"],
        stopped=values["stopped"],
        notes=tuple(values["notes"]),
        fresh=fresh,
    )
