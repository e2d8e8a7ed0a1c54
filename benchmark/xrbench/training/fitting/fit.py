"""From images to a trained network on disk, in steps that can be interrupted anywhere."""

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
    """What came of a fit.

    Attributes:
        folder: Where its files are.
        epochs: Epochs that were trained.
        best_epoch: The epoch whose weights were kept, from 1.
        best_auc: Its mean validation AUC; NaN when none was defined.
        seconds: Time spent training and validating, over all starts.
        images_per_second: Training images, without validation.
        stopped: ``epochs`` when all were trained, ``patience`` when it stopped before.
        notes: What a reader of the results should know, in sentences.
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
        """The file of the weights that were kept."""
        return self.folder / checkpoint.WEIGHTS

    @property
    def log(self) -> Path:
        """The table of epochs."""
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
    """Train a network, or go on after the last finished epoch; a finished fit is left alone.

    On the CPU an interrupted fit ends with the same weights, bit for bit, as one that ran through.

    Args:
        recipe: What decides the fit besides images.
        train: Training images; the order of ``domains`` is the order in which the setting names its datasets.
        valid: Validation images; none when the method keeps the last epoch's weights.
        key: Hash of all that decides the fit.
        folder: Where the fit's files are kept.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``auto``.
        reporter: Where progress is shown.
        label: Words at the front of the bar.

    Raises:
        TrainingError: There is nothing to learn or to validate on, or a loss is not a number.
        StoreError: The folder holds another fit (the first differing field is named), or cannot be written to.
        CardError, WeightsError, UsageError: The recipe or the device is not usable.
    """
    reporter = reporter or Silent()
    kept = FitFolder(folder, key=key, recipe=recipe)
    result = kept.finished(reporter)
    if result is not None:
        return _result(folder, result, fresh=False)
    notes = _check(recipe, train, valid)
    for note in notes:
        reporter.line(f"{label}: {note}")
    place = devices.find(device)
    with devices.deterministic(place, threads=recipe.threads):
        loop = Loop(recipe, train, device=place, reporter=reporter)
        progress = _restore(kept, loop, reporter, label)
        with reporter.bar(label, recipe.epochs * loop.steps) as bar:
            bar.advance(progress.epoch * loop.steps)
            while not _over(progress, recipe):
                _one_epoch(kept, loop, valid, progress, bar)
    if math.isnan(progress.best_auc) and recipe.method.selection == "best-mean-auc":
        notes.append("no label has both a positive and a negative in validation: the last epoch was kept")
        reporter.line(f"{label}: {notes[-1]}")
    result = _summary(progress, recipe, notes)
    kept.finish(progress.best, result)
    return _result(folder, result, fresh=True)


def _one_epoch(kept: FitFolder, loop: Loop, valid: ImageSet, progress: Progress, bar: Task) -> None:
    figures = loop.epoch(progress.epoch, bar)
    verdict = _validate(loop, valid, progress.epoch)
    progress.epoch += 1
    progress.rows.append(_row(progress.epoch, figures, verdict, loop))
    undecided = math.isnan(progress.best_auc)
    if loop.recipe.method.selection == "last" or undecided or verdict.mean > progress.best_auc:
        progress.best_epoch, progress.best_auc = progress.epoch, verdict.mean
        progress.best = state_dict.copy(loop.network)
    kept.save(progress, loop.network.state_dict(), loop.optimiser.state_dict())
    bar.advance(0, _note(progress, loop.recipe, figures, verdict))


def _validate(loop: Loop, valid: ImageSet, epoch: int) -> validation.Verdict:
    recipe = loop.recipe
    if not len(valid):
        return validation.nothing(len(recipe.labels))
    if recipe.method.validation == "fixed":
        order, augmentation, rng = list(validation.batches(len(valid), recipe.batch_size)), [], None
    else:
        drawn = stream(recipe.identity, "validation", epoch)
        order = list(validation.released_batches(len(valid), recipe, drawn))
        augmentation, rng = loop.augmentation, stream(recipe.identity, "validation-augmentation", epoch)
    logits = validation.outputs(loop.network, valid, iter(order), loop.pixels, augmentation=augmentation, rng=rng)
    return validation.judge(logits, valid.truth[np.concatenate(order)], loop.validation_objective)


def _restore(kept: FitFolder, loop: Loop, reporter: Reporter, label: str) -> Progress:
    found = kept.load(reporter)
    if found is None:
        return Progress()
    progress, network, optimiser = found
    loop.network.load_state_dict(network)
    loop.optimiser.load_state_dict(optimiser)
    kept.write_log(progress.rows)
    reporter.line(f"{label}: goes on after epoch {progress.epoch} of {loop.recipe.epochs}")
    return progress


def _over(progress: Progress, recipe: Recipe) -> bool:
    return progress.epoch >= recipe.epochs or _impatient(progress, recipe)


def _impatient(progress: Progress, recipe: Recipe) -> bool:
    return 0 < recipe.method.patience <= progress.epoch - progress.best_epoch


def _row(epoch: int, figures: Epoch, verdict: validation.Verdict, loop: Loop) -> checkpoint.Row:
    return {
        "epoch": epoch,
        "train_loss": figures.loss,
        "valid_loss": verdict.loss,
        "valid_auc": verdict.mean,
        **{f"valid_auc:{label}": float(auc) for label, auc in zip(loop.recipe.labels, verdict.aucs, strict=True)},
        "lr": figures.lr,
        "images_per_second": figures.images / figures.seconds,
        "seconds": figures.seconds,
        **{f"drawn:{name}": int(n) for name, n in zip(loop.train.domains, figures.drawn, strict=True)},
    }


def _note(progress: Progress, recipe: Recipe, figures: Epoch, verdict: validation.Verdict) -> str:
    if np.isnan(verdict.loss):
        return f"epoch {progress.epoch}/{recipe.epochs}  loss {figures.loss:.3f}"
    auc = "undefined" if math.isnan(verdict.mean) else f"{verdict.mean:.3f}"
    best = "" if math.isnan(progress.best_auc) else f" (best {progress.best_auc:.3f} @ {progress.best_epoch})"
    return f"epoch {progress.epoch}/{recipe.epochs}  loss {figures.loss:.3f}  valid AUC {auc}{best}"


def _check(recipe: Recipe, train: ImageSet, valid: ImageSet) -> list[str]:
    """Refuse what cannot be learnt or validated; note labels that cannot be learnt."""
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
        there = train.truth[:, column]
        lacking = [word for word, value in (("positive", 1), ("negative", 0)) if not (there == value).any()]
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
    images = sum(row["seconds"] * row["images_per_second"] for row in progress.rows)
    return {
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_auc": None if math.isnan(progress.best_auc) else progress.best_auc,
        "seconds": seconds,
        "images_per_second": images / seconds if seconds else 0.0,
        "stopped": "patience" if _impatient(progress, recipe) and progress.epoch < recipe.epochs else "epochs",
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
