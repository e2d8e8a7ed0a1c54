"""From an assembled plan to predictions on disk: caches, fits, cells; only what is missing is done.

The same command, given again, finds finished fits and cells by their keys and goes on where it stopped. A fit or cell that
fails is named and the others go on; the manifest says which.
"""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xrbench
from xrbench import cards, keys, store
from xrbench.assembly import Assembly
from xrbench.catalogue import Catalogue
from xrbench.errors import StoreError, TrainingError
from xrbench.planning import Cell, Fit
from xrbench.progress import Reporter, Silent
from xrbench.stamp import FIXTURE
from xrbench.store import Store

if TYPE_CHECKING:
    from xrbench.training.predict import Predictor

FORMAT = "xrbench-run-1"
FAILURES = (TrainingError, StoreError, MemoryError, RuntimeError)
"""What may go wrong with one fit or cell without ending the run; a full disk or a missing card ends it."""

LIBRARIES = (
    "numpy",
    "pandas",
    "scipy",
    "pillow",
    "scikit-image",
    "pydicom",
    "torch",
    "torchvision",
    "timm",
    "torchxrayvision",
)


@dataclass(frozen=True)
class Options:
    """How a run is carried out, without changing what it finds.

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
    """What a run left behind.

    Attributes:
        folder: The run's folder, with its manifest.
        failed: Name of a fit or cell -> why it failed.
        trained, measured: How many fits and cells were done now.
    """

    folder: Path
    failed: dict[str, str]
    trained: int
    measured: int


@dataclass(frozen=True)
class Keys:
    """Name -> key, of fits and of cells."""

    fits: Mapping[str, str]
    cells: Mapping[str, str]


def run(assembly: Assembly, catalogue: Catalogue, options: Options, *, reporter: Reporter | None = None) -> RunResult:
    """Train and predict what is missing of an assembled plan.

    Raises:
        DataError: Images cannot be read (before anything is trained).
        WeightsError: Pretrained weights are not there (before anything is trained).
        StoreError: Another command is at work in the same folder.
    """
    say = reporter or Silent()
    results = Store(options.out)
    with results.lock(assembly.plan.suite.name):
        return _run(assembly, catalogue, options, results, say)


def _run(assembly: Assembly, catalogue: Catalogue, options: Options, results: Store, say: Reporter) -> RunResult:
    _check_weights(assembly, catalogue, say)
    cache = options.cache or options.out / "cache"
    assembly.open_caches(catalogue, cache, jobs=options.jobs, reporter=say, skip_unreadable=options.skip_unreadable)
    for note in assembly.notes:
        say.line(note)
    keyed = keys_of(assembly, catalogue)
    pending = [cell for cell in assembly.plan.cells if not results.has_cell(keyed.cells[cell.name])]
    say.line(
        f"{len(assembly.plan.cells) - len(pending)} of {len(assembly.plan.cells)} cells are there, {len(pending)} to do"
    )
    failed: dict[str, str] = {}
    device = _device(options.device) if pending else options.device
    trained = _train(assembly, pending, keyed, results, device, say, failed)
    measured = _predict(assembly, pending, keyed, results, device, say, failed)
    folder = _write_manifest(assembly, options, results, keyed, failed, device)
    return RunResult(folder, failed, trained, measured)


def keys_of(assembly: Assembly, catalogue: Catalogue) -> Keys:
    """Compute the keys of all fits and cells; caches must be open."""
    fits = {fit.name: assembly.fit_key(fit) for fit in assembly.plan.fits}
    return Keys(fits, {cell.name: assembly.cell_key(cell, catalogue, fits) for cell in assembly.plan.cells})


def run_folder(assembly: Assembly, results: Store) -> Path:
    """Return the folder that a run of this plan on these data writes to."""
    suite = assembly.plan.suite
    digests = {name: domain.digest for name, domain in assembly.domains.items()}
    return results.run_folder(
        suite.name, keys.run_key(suite, assembly.plan.profile_name, assembly.plan.profile, digests)
    )


def _check_weights(assembly: Assembly, catalogue: Catalogue, say: Reporter) -> None:
    """Refuse what could not start, before any pixel is read: blocks that are not there, weights that cannot be had."""
    from xrbench.training.weights import obtain

    for fit in assembly.plan.fits:
        keys.check_blocks(catalogue.method(fit.method))
        keys.check_blocks(catalogue.model(fit.model))
    for name in dict.fromkeys(cell.model for cell in assembly.plan.cells):
        if catalogue.model(name).weights != "none":
            obtain(catalogue.model(name), reporter=say)


def _train(
    assembly: Assembly,
    pending: Sequence[Cell],
    keyed: Keys,
    results: Store,
    device: str,
    say: Reporter,
    failed: dict[str, str],
) -> int:
    """Train the fits that pending cells need; one that fails is named and the others go on."""
    from xrbench.training.checkpoint import DONE
    from xrbench.training.fit import fit as train

    needed = {name for cell in pending for name in cell.fits}
    todo = [fit for fit in assembly.plan.fits if fit.name in needed]
    unfinished = [fit for fit in todo if not (results.fit_folder(keyed.fits[fit.name]) / DONE).is_file()]
    with say.bar("fits", len(unfinished)) as bar:
        for number, fit in enumerate(unfinished, 1):
            recipe, parts, key = assembly.plan.recipes[fit.name], assembly.parts[fit.name], keyed.fits[fit.name]
            label = f"fit {number}/{len(unfinished)} {fit.method} {fit.model} {'+'.join(fit.train)} seed {fit.seed}"
            try:
                train(
                    recipe,
                    assembly.image_set(parts.train, recipe.model),
                    assembly.image_set(parts.valid, recipe.model),
                    key=key,
                    folder=results.fit_folder(key),
                    device=device,
                    reporter=say,
                    label=label,
                )
            except FAILURES as error:
                failed[fit.name] = _reason(error)
                say.line(f"failed: {fit.name}: {failed[fit.name]}")
            bar.advance(1, fit.name)
    return sum(fit.name not in failed for fit in unfinished)


def _predict(
    assembly: Assembly,
    pending: Sequence[Cell],
    keyed: Keys,
    results: Store,
    device: str,
    say: Reporter,
    failed: dict[str, str],
) -> int:
    """Measure pending cells; those of one fit load its network once."""
    from xrbench.training.predict import Predictor

    done = 0
    loaded: tuple[str, Predictor] | None = None
    with say.bar("cells", len(pending)) as bar:
        for cell in pending:
            maker = cell.fits[0] if cell.fits else cell.name
            try:
                if maker in failed:
                    raise TrainingError(f"its fit failed: {failed[maker]}")
                if loaded is None or loaded[0] != maker:
                    key = keyed.fits.get(maker, "")
                    folder = results.fit_folder(key) if key else None
                    recipe = assembly.plan.recipes[maker]
                    loaded = maker, Predictor(recipe, folder=folder, key=key, device=device, reporter=say)
                _measure(assembly, cell, loaded[1], keyed, results)
                done += 1
            except FAILURES as error:
                failed[cell.name] = _reason(error)
                say.line(f"failed: {cell.name}: {failed[cell.name]}")
            bar.advance(1, cell.test)
    return done


def _measure(assembly: Assembly, cell: Cell, predict: Predictor, keyed: Keys, results: Store) -> None:
    """Predict every row of a cell and store the predictions."""
    part = assembly.part(cell)
    recipe = predict.recipe
    scores = predict(assembly.image_set(part, recipe.model), label=f"predict {cell.test}")
    frame = assembly.frame(part)
    if scores.shape != (len(frame), len(recipe.labels)):
        expected = (len(frame), len(recipe.labels))
        raise StoreError(f"{cell.name}: {expected} scores are expected, the model gave {scores.shape}")
    for number, label in enumerate(recipe.labels):
        frame[f"score:{label}"] = scores[:, number]
    about = {**describe_cell(cell), "key": keyed.cells[cell.name], "fit_keys": [keyed.fits[name] for name in cell.fits]}
    about |= {"data": _data(assembly), "xrbench": xrbench.__version__}
    store.write_predictions(results.cell_file(keyed.cells[cell.name]), frame, about)


def describe_cell(cell: Cell) -> dict[str, Any]:
    """Describe a cell in plain values, as manifests and predictions carry it."""
    plain = cards.plain(cell)
    return {**plain, "cell": plain.pop("name")}


def _data(assembly: Assembly) -> str:
    return FIXTURE if assembly.fixture else "real"


def _device(name: str) -> str:
    from xrbench.training.devices import find

    return str(find(name))


def _reason(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _write_manifest(
    assembly: Assembly,
    options: Options,
    results: Store,
    keyed: Keys,
    failed: Mapping[str, str],
    device: str,
) -> Path:
    """Write what the run consists of; cells of an earlier, smaller run of the same data stay in it."""
    folder = run_folder(assembly, results)
    path = folder / store.MANIFEST
    before = store.read_json(path) if path.is_file() else {}
    plan = assembly.plan
    fits = {entry["name"]: entry for entry in before.get("fits", [])}
    fits.update({fit.name: _fit_entry(fit, assembly, keyed, failed) for fit in plan.fits})
    cells = {entry["cell"]: entry for entry in before.get("cells", [])}
    cells.update({cell.name: _cell_entry(cell, keyed, failed) for cell in plan.cells})
    settings = {_setting_key(entry): entry for entry in [*before.get("settings", []), *map(cards.plain, plan.settings)]}
    manifest = {
        "format": FORMAT,
        "suite": cards.plain(plan.suite),
        "profile_name": plan.profile_name,
        "profile": cards.plain(plan.profile),
        "data": _data(assembly),
        "settings": list(settings.values()),
        "datasets": _merged_by("dataset", before.get("datasets", []), assembly.used()),
        "missing": assembly.missing,
        "notes": assembly.notes,
        "fits": list(fits.values()),
        "cells": list(cells.values()),
        "command": shlex.join(options.command),
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": {**environment(), "device": device},
    }
    store.write_json(path, manifest)
    return folder


def _fit_entry(fit: Fit, assembly: Assembly, keyed: Keys, failed: Mapping[str, str]) -> dict[str, Any]:
    parts = assembly.parts[fit.name]
    sizes = {
        side: {name: len(rows) for name, rows in getattr(parts, side).items()}
        for side in ("train", "valid", "internal", "external")
    }
    entry = {**cards.plain(fit), "key": keyed.fits[fit.name], "images": sizes, "excluded": parts.excluded}
    return {**entry, "failed": failed.get(fit.name, "")}


def _cell_entry(cell: Cell, keyed: Keys, failed: Mapping[str, str]) -> dict[str, Any]:
    key = keyed.cells[cell.name]
    entry = {**describe_cell(cell), "key": key, "fit_keys": [keyed.fits[name] for name in cell.fits]}
    return {**entry, "file": f"../../cells/{key}.parquet", "failed": failed.get(cell.name, "")}


def _setting_key(setting: Mapping[str, Any]) -> tuple[Any, ...]:
    return (tuple(setting["train"]), setting["valid"], setting["test"], setting["seed"])


def _merged_by(
    field: str, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    merged = {entry[field]: entry for entry in old}
    for entry in new:
        before = merged.get(entry[field], {})
        merged[entry[field]] = {**entry, "used": max(entry.get("used", 0), before.get("used", 0))}
    return list(merged.values())


def environment() -> dict[str, Any]:
    """Describe what the figures were made with: versions, processor, and the state of the code."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "xrbench": xrbench.__version__,
        "python": platform.python_version(),
        "libraries": versions,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "code": _git_state(),
    }


def _git_state() -> str:
    """Return commit and whether there are uncommitted changes, if the code is a checkout."""
    top = Path(__file__).parents[2]
    if not (top / ".git").exists():
        return ""
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=top, capture_output=True, text=True, check=True
        )
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "-uno"], cwd=top, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit.stdout.strip() + ("+changes" if dirty.stdout.strip() else "")


def command_line() -> list[str]:
    """Return the command as it was given, with the program's name shortened."""
    return ["xrbench", *sys.argv[1:]]
