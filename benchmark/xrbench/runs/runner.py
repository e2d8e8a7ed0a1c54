"""Carry out a bound plan: build caches, train fits and measure cells that are not stored yet.

Finished fits and cells are found by their keys, so the same command goes on where it stopped. A fit or cell that fails is
named in the manifest, and the others go on.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from xrbench.errors import StoreError, XrbenchError, disk_is_full
from xrbench.planning import Cell, Fit
from xrbench.progress import Reporter, Silent
from xrbench.runs import cache_keys, store
from xrbench.runs.bound_plan import BoundPlan
from xrbench.runs.fit_keys import Keys, keys_of, member_keys
from xrbench.runs.manifest import data_of, describe_cell, write_manifest
from xrbench.runs.store import Store
from xrbench.version import __version__

if TYPE_CHECKING:
    from xrbench.training.prediction.predict import Predictor


@dataclass(frozen=True)
class Options:
    """How a run is carried out; none of it changes a result.

    Attributes:
        out: Where results go.
        cache: Where pixel caches go; below ``out`` when None.
        device: ``cpu``, ``cuda``, ``cuda:1`` ..., or ``auto``.
        jobs: Processes that read images.
        skip_unreadable: Leave unreadable images out instead of stopping.
        command: The command line, for the record.
    """

    out: Path
    cache: Path | None = None
    device: str = "auto"
    jobs: int = 2
    skip_unreadable: bool = False
    command: Sequence[str] = ()


@dataclass(frozen=True)
class RunResult:
    """Where the results of a run are, and what failed.

    Attributes:
        folder: The run's folder, with its manifest.
        failed: Name of a fit or cell -> why it failed.
        trained: How many fits were trained by this call.
        measured: How many cells were measured by this call.
    """

    folder: Path
    failed: dict[str, str]
    trained: int
    measured: int


def run(bound: BoundPlan, options: Options, *, reporter: Reporter | None = None) -> RunResult:
    """Train and predict what is missing of a bound plan.

    Raises:
        DataError: Images cannot be read (before anything is trained).
        WeightsError: Pretrained weights are not there (before anything is trained).
        StoreError: Another command is at work in the same folder.
    """
    say = reporter or Silent()
    results = Store(options.out)
    with results.lock(bound.plan.suite.name):
        return _run(bound, options, results, say)


def _run(bound: BoundPlan, options: Options, results: Store, say: Reporter) -> RunResult:
    device = _device(options.device)
    _check_weights(bound, say)
    cache = options.cache or options.out / "cache"
    bound.open_caches(cache, jobs=options.jobs, reporter=say, skip_unreadable=options.skip_unreadable)
    for note in bound.notes:
        say.line(note)
    work = _Work(bound, results, keys_of(bound), device, say)
    pending = [cell for cell in bound.cells if not work.is_there(cell)]
    total = len(bound.cells)
    say.line(f"{total - len(pending):,} of {total:,} cells are there, {len(pending):,} to do")
    trained = work.train(pending) if pending else 0
    measured = work.measure(pending) if pending else 0
    folder = write_manifest(
        bound,
        results,
        work.keys,
        failed=work.failed,
        device=device,
        command=options.command,
        reporter=say,
    )
    return RunResult(folder, work.failed, trained, measured)


def _check_weights(bound: BoundPlan, say: Reporter) -> None:
    """Refuse blocks that do not exist and weights that cannot be obtained, before any pixel is read."""
    from xrbench.training.models.weights import obtain

    for fit in bound.fits:
        cache_keys.check_blocks(bound.catalogue.method(fit.method))
        cache_keys.check_blocks(bound.catalogue.model(fit.model))
    for name in dict.fromkeys(cell.model for cell in bound.cells):
        if bound.catalogue.model(name).weights != "none":
            obtain(bound.catalogue.model(name), reporter=say)


class _Work:
    """Train fits and measure cells; ``failed`` names those that failed, with the reason."""

    def __init__(self, bound: BoundPlan, results: Store, keys: Keys, device: str, say: Reporter) -> None:
        self.bound, self.results, self.keys, self.device, self.say = bound, results, keys, device, say
        self.failed: dict[str, str] = {}

    def is_there(self, cell: Cell) -> bool:
        """Say whether a cell's predictions are stored and intact."""
        key = self.keys.cells[cell.name]
        if not self.results.has_cell(key):
            return False
        try:
            store.read_predictions(self.results.cell_file(key), key=key)
        except StoreError:
            self.say.line(f"{self.results.cell_file(key)}: damaged; {cell.name} is measured again")
            return False
        return True

    def train(self, pending: Sequence[Cell]) -> int:
        """Train the unfinished fits that these cells need.

        Returns:
            How many were trained.
        """
        from xrbench.training.fitting.dry_run import dry_run
        from xrbench.training.fitting.fit import fit as train

        needed = {name for cell in pending if not cell.is_ensemble for name in cell.fits}
        todo = [fit for fit in self.bound.fits if fit.name in needed and not self._is_finished(fit)]
        for recipe in {(fit.method, fit.model): self.bound.plan.recipes[fit.name] for fit in todo}.values():
            dry_run(recipe)
        if not todo:
            return 0
        with self.say.bar("fits", len(todo)) as bar:
            for number, fit in enumerate(todo, 1):
                label = f"fit {number}/{len(todo)} {fit.method} {fit.model} {fit.trained_on} seed {fit.seed}"
                recipe, parts = self.bound.plan.recipes[fit.name], self.bound.parts[fit.name]
                key = self.keys.fits[fit.name]
                try:
                    images = self.bound.image_set(parts.train, recipe.model)
                    valid = self.bound.image_set(parts.valid, recipe.model) if fit.validated else images.first(0)
                    train(
                        recipe,
                        images,
                        valid,
                        key=key,
                        folder=self.results.fit_folder(key),
                        device=self.device,
                        reporter=self.say,
                        label=label,
                    )
                except Exception as error:
                    self._fail(fit.name, error)
                bar.advance(1, fit.name)
        return sum(fit.name not in self.failed for fit in todo)

    def measure(self, pending: Sequence[Cell]) -> int:
        """Measure cells, except those whose fit failed.

        Returns:
            How many were measured.
        """
        loaded: tuple[str, Predictor] | None = None
        with self.say.bar("cells", len(pending)) as bar:
            # ensembles come last: they are the mean of scores that are stored by then
            for cell in sorted(pending, key=lambda cell: cell.is_ensemble):
                source = cell.fits[0] if cell.fits else cell.name
                try:
                    if set(cell.fits) & set(self.failed):
                        pass  # the fit is named already
                    elif cell.is_ensemble:
                        self._average(cell)
                    else:
                        if loaded is None or loaded[0] != source:
                            loaded = source, self._predictor(source)  # once for all cells of a fit
                        self._measure(cell, loaded[1])
                except Exception as error:
                    self._fail(cell.name, error)
                bar.advance(1, cell.test)
        return sum(cell.name not in self.failed and not set(cell.fits) & set(self.failed) for cell in pending)

    def _is_finished(self, fit: Fit) -> bool:
        """Say whether a fit is stored and intact."""
        from xrbench.training.fitting.checkpoint import FitFolder

        key = self.keys.fits[fit.name]
        folder = FitFolder(self.results.fit_folder(key), key=key, recipe=self.bound.plan.recipes[fit.name])
        try:
            return folder.finished(Silent()) is not None  # if it is damaged, training says so
        except StoreError:
            return False

    def _predictor(self, source: str) -> Predictor:
        """Load the network of a fit, or the pretrained one of a cell without a fit."""
        from xrbench.training.prediction.predict import Predictor

        key = self.keys.fits.get(source, "")
        folder = self.results.fit_folder(key) if key else None
        return Predictor(self.bound.plan.recipes[source], folder=folder, key=key, device=self.device, reporter=self.say)

    def _measure(self, cell: Cell, predict: Predictor) -> None:
        """Predict every row of a cell and store the predictions."""
        part, recipe = self.bound.part(cell), predict.recipe
        scores = predict(self.bound.image_set(part, recipe.model), label=f"predict {cell.test}")
        frame = self.bound.frame(part)
        expected = (len(frame), len(recipe.labels))
        if scores.shape != expected:
            raise StoreError(f"{cell.name}: {expected} scores are expected, the model gave {scores.shape}")
        for number, label in enumerate(recipe.labels):
            frame[f"score:{label}"] = scores[:, number]
        self._store(cell, frame)

    def _average(self, cell: Cell) -> None:
        """Store the mean of the scores of an ensemble's members on the same images."""
        keys = member_keys(self.bound, cell, self.keys.fits)
        members = [store.read_predictions(self.results.cell_file(key), key=key)[0] for key in keys]
        frame = members[0]
        if any(not member["image"].equals(frame["image"]) for member in members):
            raise StoreError(f"{cell.name}: its members were not measured on the same images")
        for label in store.labels_of(frame):
            scores = [member[f"score:{label}"].to_numpy(np.float64) for member in members]
            frame[f"score:{label}"] = np.mean(scores, axis=0)
        self._store(cell, frame)

    def _store(self, cell: Cell, frame: pd.DataFrame) -> None:
        key = self.keys.cells[cell.name]
        about = {**describe_cell(cell), "key": key, "fit_keys": [self.keys.fits[name] for name in cell.fits]}
        about |= {"data": data_of(self.bound), "xrbench": __version__}
        store.write_predictions(self.results.cell_file(key), frame, about)

    def _fail(self, name: str, error: Exception) -> None:
        """Record a failure; a full disk ends the run instead, since nothing else could be stored either."""
        if disk_is_full(error):
            raise error
        self.failed[name] = _reason(error)
        self.say.line(f"failed: {name}: {self.failed[name]}")
        self.say.detail("".join(traceback.format_exception(error)))


def _device(name: str) -> str:
    from xrbench.training.fitting.devices import find

    return str(find(name))


def _reason(error: Exception) -> str:
    """Put an error into one line, with its place in the code unless it was raised on purpose."""
    message = (str(error).splitlines() or [""])[0]
    if isinstance(error, XrbenchError):
        return message
    frames = traceback.extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if "site-packages" not in frame.filename), frames[-1])
    return f"{type(error).__name__}: {message} ({Path(place.filename).name}, line {place.lineno})"


def command_line() -> list[str]:
    """Return the command line, with the program's name shortened."""
    return ["xrbench", *sys.argv[1:]]
