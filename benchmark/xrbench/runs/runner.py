"""Carry out a bound plan: build caches, train fits and measure cells that are not stored yet.

Finished fits and cells are found by their keys, so the same command goes on where it stopped. A fit or cell that fails is
named in the manifest, and the others go on.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xrbench import cards
from xrbench.config import processors
from xrbench.errors import StoreError
from xrbench.planning import Cell, Fit
from xrbench.progress import Reporter, Silent
from xrbench.runs import cache_keys, executor_choice, store
from xrbench.runs.bound_plan import BoundPlan
from xrbench.runs.executors import Executor
from xrbench.runs.fit_keys import Keys, keys_of, member_keys
from xrbench.runs.manifest import data_of, describe_cell, write_manifest
from xrbench.runs.schedule import Node
from xrbench.runs.store import Store
from xrbench.runs.tasks import CellTask, FitTask, Outcome, Parent, failure, is_measured
from xrbench.version import __version__


@dataclass(frozen=True)
class Options:
    """How a run is carried out; none of it changes a result.

    Attributes:
        out: Where results go.
        cache: Where pixel caches go; below ``out`` when None.
        device: ``cpu``, ``cuda``, ``cuda:1`` ..., or ``auto``.
        jobs: Processes that read images, and fits that are trained at once; None for one a processor, and as many fits as the
            processors bear with the threads of their recipes.
        skip_unreadable: Leave unreadable images out instead of stopping.
        command: The command line, for the record.
        executor: Block that does the fits and cells; empty for ``processes`` where there are several at once, else ``serial``.

    Raises:
        UnknownNameError: There is no such executor.
    """

    out: Path
    cache: Path | None = None
    device: str = "auto"
    jobs: int | None = None
    skip_unreadable: bool = False
    command: Sequence[str] = ()
    executor: str = ""

    def __post_init__(self) -> None:
        executor_choice.check_name(self.executor)


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

    Several commands may work in one folder at once: no fit is trained and no cell measured twice.

    Raises:
        DataError: Images cannot be read (before anything is trained).
        WeightsError: Pretrained weights are not there (before anything is trained).
        StoreError: Results cannot be stored.
    """
    say, results = reporter or Silent(), Store(options.out)
    executor_choice.find(options.executor)  # before anything is read
    device = _device(options.device)
    _check_weights(bound, say)
    cache, readers = options.cache or options.out / "cache", options.jobs or processors()
    bound.open_caches(cache, jobs=readers, reporter=say, skip_unreadable=options.skip_unreadable)
    for note in bound.notes:
        say.line(note)
    keys = keys_of(bound)
    pending = [cell for cell in bound.cells if not is_measured(results, cell.name, keys.cells[cell.name], say)]
    total = len(bound.cells)
    say.line(f"{total - len(pending):,} of {total:,} cells are there, {len(pending):,} to do")
    fits = _unfinished(bound, results, keys, pending)
    for line in _precision_notes(bound, fits, device):
        say.line(line)
    names = [fit.name for fit in fits] or [cell.fits[0] if cell.fits else cell.name for cell in pending]
    executor = executor_choice.build(
        options.executor,
        [bound.plan.recipes[name].threads for name in names],
        jobs=options.jobs,
        device=device,
        say=say,
    )
    work = _Work(bound, results, keys, device, executor, say)
    if pending:
        work.do(fits, pending)
    with results.lock(f"manifest-{bound.plan.suite.name}"):
        folder = write_manifest(
            bound, results, keys, failed=work.failed, device=device, command=options.command, reporter=say
        )
    return RunResult(folder, work.failed, work.counts["fits"], work.counts["cells"])


def _precision_notes(bound: BoundPlan, fits: Sequence[Fit], device: str) -> list[str]:
    from xrbench.training.fitting import devices, precision

    formats = dict.fromkeys(bound.plan.recipes[fit.name].precision for fit in fits)
    return [text for name in formats if (text := precision.warning(name, devices.find(device)))]


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
    """The fits and cells of a run; ``failed`` names those that failed, with the reason."""

    def __init__(
        self, bound: BoundPlan, results: Store, keys: Keys, device: str, executor: Executor, say: Reporter
    ) -> None:
        self.bound, self.results, self.keys, self.device = bound, results, keys, device
        self.executor, self.say = executor, say
        self.failed: dict[str, str] = {}
        self.counts = Counter[str]()

    def do(self, fits: Sequence[Fit], cells: Sequence[Cell]) -> None:
        """Train fits and measure cells, each cell after its fit, and average the ensembles at the end."""
        for recipe in {(fit.method, fit.model): self.bound.plan.recipes[fit.name] for fit in fits}.values():
            _dry_run(recipe)
        single = [cell for cell in cells if not cell.is_ensemble]
        nodes = [self._fit_node(number, fit, fits) for number, fit in enumerate(fits, 1)]
        nodes += [self._cell_node(cell, fits) for cell in single]
        kinds = {node.name: "cells" if node.uses else "fits" for node in nodes}
        undone = dict(kinds)
        with ExitStack() as stack:
            bars = {
                kind: stack.enter_context(self.say.bar(kind, count)) for kind, count in Counter(kinds.values()).items()
            }

            def ended(node: Node, outcome: Outcome) -> None:
                kind = undone.pop(node.name)
                self._note(node.name, outcome, kind)
                bars[kind].advance(1, node.name)

            self.executor.run(nodes, ended, self.say)
        for name, kind in undone.items():
            self._note(name, Outcome("failed", f"{type(self.executor).__name__} left it undone"), kind)
        for cell in cells:
            if cell.is_ensemble and not set(cell.fits) & set(self.failed):
                self._average(cell)

    def _note(self, name: str, outcome: Outcome, kind: str) -> None:
        """Count what was done, and name what failed; a cell whose fit failed is not named once more."""
        if outcome.status == "done":
            self.counts[kind] += 1
        elif outcome.status == "failed" or (outcome.status == "skipped" and kind == "fits"):
            self.failed[name] = outcome.reason
            self.say.line(f"failed: {name}: {outcome.reason}")
            self.say.detail(outcome.detail)

    def _fit_node(self, number: int, fit: Fit, fits: Sequence[Fit]) -> Node:
        label = f"fit {number}/{len(fits)} {fit.method} {fit.model} {fit.trained_on} seed {fit.seed}"
        todo = {other.name for other in fits}
        after = tuple(parent for parent in fit.parents if parent in todo)
        return Node(fit.name, lambda: self._fit_task(fit, label), after)

    def _fit_task(self, fit: Fit, label: str) -> FitTask:
        recipes, parts = self.bound.plan.recipes, self.bound.parts[fit.name]
        recipe = recipes[fit.name]
        train = self.bound.image_set(parts.train, recipe)
        valid = self.bound.image_set(parts.valid, recipe) if fit.validated else train.first(0)
        parents = [Parent(self.keys.fits[name], recipes[name]) for name in fit.parents]
        return FitTask(
            name=fit.name,
            key=self.keys.fits[fit.name],
            recipe=recipe,
            train=train,
            valid=valid,
            out=self.results.out,
            device=self.device,
            label=label,
            parent=parents[0] if parents else None,
        )

    def _cell_node(self, cell: Cell, fits: Sequence[Fit]) -> Node:
        source = cell.fits[0] if cell.fits else cell.name
        after = (source,) if source in {fit.name for fit in fits} else ()
        return Node(cell.name, lambda: self._cell_task(cell, source), after, uses=source)

    def _cell_task(self, cell: Cell, source: str) -> CellTask:
        part, recipe = self.bound.part(cell), self.bound.plan.recipes[source]
        return CellTask(
            name=cell.name,
            key=self.keys.cells[cell.name],
            recipe=recipe,
            images=self.bound.image_set(part, recipe),
            frame=self.bound.frame(part),
            about=self._about(cell),
            out=self.results.out,
            device=self.device,
            fit_key=self.keys.fits.get(source, ""),
            label=f"predict {cell.test}",
        )

    def _average(self, cell: Cell) -> None:
        """Store the mean of the scores of an ensemble's members on the same images."""
        try:
            keys = member_keys(self.bound, cell, self.keys.fits)
            members = [store.read_predictions(self.results.cell_file(key), key=key)[0] for key in keys]
            frame = members[0]
            if any(not member["image"].equals(frame["image"]) for member in members):
                raise StoreError(f"{cell.name}: its members were not measured on the same images")
            for label in store.labels_of(frame):
                scores = [member[f"score:{label}"].to_numpy(np.float64) for member in members]
                frame[f"score:{label}"] = np.mean(scores, axis=0)
            store.write_predictions(self.results.cell_file(self.keys.cells[cell.name]), frame, self._about(cell))
            outcome = Outcome("done")
        except Exception as error:
            outcome = failure(error)
            if outcome.status == "fatal":
                raise
        self._note(cell.name, outcome, "cells")

    def _about(self, cell: Cell) -> dict[str, Any]:
        """Describe a cell with its key and provenance, as it is stored with the predictions."""
        about = {**describe_cell(cell), "key": self.keys.cells[cell.name]}
        about |= {"fit_keys": [self.keys.fits[name] for name in cell.fits]}
        return {**about, "data": data_of(self.bound), "xrbench": __version__}


def _unfinished(bound: BoundPlan, results: Store, keys: Keys, pending: Sequence[Cell]) -> tuple[Fit, ...]:
    """List the fits to train for these cells, with those that they start from, in the order of the plan."""
    finished = {fit.name for fit in bound.fits if _is_finished(fit, bound, results, keys)}
    needed = {name for cell in pending if not cell.is_ensemble for name in cell.fits} - finished
    # what a finished fit started from is not needed any more
    todo = set(needed)
    for fit in reversed(bound.fits):
        if fit.name in todo:
            todo |= set(fit.parents) - finished
    return tuple(fit for fit in bound.fits if fit.name in todo)


def _is_finished(fit: Fit, bound: BoundPlan, results: Store, keys: Keys) -> bool:
    """Say whether a fit is stored and intact."""
    from xrbench.training.fitting.checkpoint import FitFolder

    key = keys.fits[fit.name]
    folder = FitFolder(results.fit_folder(key), key=key, recipe=bound.plan.recipes[fit.name])
    try:
        return folder.finished(Silent()) is not None  # if it is damaged, training says so
    except StoreError:
        return False


def _dry_run(recipe: cards.Recipe) -> None:
    from xrbench.training.fitting.dry_run import dry_run

    dry_run(recipe)


def _device(name: str) -> str:
    from xrbench.training.fitting.devices import find

    return str(find(name))


def command_line() -> list[str]:
    """Return the command line, with the program's name shortened."""
    return ["xrbench", *sys.argv[1:]]
