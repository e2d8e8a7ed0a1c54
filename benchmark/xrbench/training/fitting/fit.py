"""Training of one fit: epochs, selection of the best one, and resumption after an interruption."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xrbench.cards import Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.progress import Reporter, Silent, Task
from xrbench.training.fitting import devices, image_checks, log, result, selection
from xrbench.training.fitting.checkpoint import FitFolder, Progress
from xrbench.training.fitting.epoch_validation import validate
from xrbench.training.fitting.loop import Loop
from xrbench.training.fitting.result import FitResult
from xrbench.training.fitting.start import Start
from xrbench.training.fitting.usage import Usage
from xrbench.training.models import state_dict


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
    start: Start | None = None,
) -> FitResult:
    """Train a network, or resume after the last checkpoint; a finished fit is only read.

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
        start: The finished fit whose weights this one starts from; None for the weights of the model card.

    Raises:
        TrainingError: There are no images, or nothing that can be learned, or a loss is not finite.
        StoreError: The folder holds another fit (the first differing field is named), or cannot be written to; or the fit to start from is
            not finished.
        CardError, WeightsError, UsageError: The recipe, the weights to start from or the device cannot be used.
    """
    reporter = reporter or Silent()
    fit_folder = FitFolder(folder, key=key, recipe=recipe)
    stored = fit_folder.finished(reporter)
    if stored is not None:
        return result.from_values(folder, stored, fresh=False)
    notes = image_checks.check_images(recipe, train, valid)
    for note in notes:
        reporter.line(f"{label}: {note}")
    torch_device = devices.find(device)
    with devices.deterministic(torch_device, threads=recipe.threads):
        usage = Usage(torch_device)
        loop = Loop(recipe, train, device=torch_device, reporter=reporter, start=start)
        progress = _resume(fit_folder, loop, reporter, label)
        with reporter.bar(label, recipe.epochs * loop.steps) as bar:
            bar.advance(progress.epoch * loop.steps)
            _train(fit_folder, loop, valid, progress, usage, bar)
        undefined = selection.undefined_note(progress, recipe)
        if undefined:
            notes.append(undefined)
            reporter.line(f"{label}: {undefined}")
        summary = result.summarise(progress, recipe, notes, torch_device)
    fit_folder.finish(progress.best, summary)
    return result.from_values(folder, summary, fresh=True)


def _train(fit_folder: FitFolder, loop: Loop, valid: ImageSet, progress: Progress, usage: Usage, bar: Task) -> None:
    """Train, validate and log epoch by epoch until the last one, or until patience ends."""
    recipe, wall_seconds, peak_memory = loop.recipe, progress.wall_seconds, progress.peak_memory
    while not _is_last(progress, recipe):
        epoch = loop.epoch(progress.epoch, bar)
        validated = validate(loop, valid, progress.epoch)
        progress.epoch += 1
        progress.rows.append(log.row(progress.epoch, epoch, validated, loop))
        if selection.take_in(progress, validated, recipe):
            progress.best = state_dict.copy(loop.evaluated)
        progress.wall_seconds = wall_seconds + usage.wall_seconds
        # of several starts the largest; one of them may not know it
        progress.peak_memory = float(np.fmax(peak_memory, usage.peak_memory))
        if fit_folder.is_due or _is_last(progress, recipe):
            fit_folder.save(progress, loop.state(), kept="average" if loop.average else "network")
        fit_folder.write_log(progress.rows)
        bar.advance(0, log.note(progress, recipe, epoch, validated))


def _is_last(progress: Progress, recipe: Recipe) -> bool:
    return progress.epoch >= recipe.epochs or selection.out_of_patience(progress, recipe)


def _resume(fit_folder: FitFolder, loop: Loop, reporter: Reporter, label: str) -> Progress:
    saved = fit_folder.load(reporter)
    if saved is None:
        return Progress()
    progress, state = saved
    loop.restore(state)
    fit_folder.write_log(progress.rows)
    reporter.line(f"{label}: goes on after epoch {progress.epoch} of {loop.recipe.epochs}")
    return progress
