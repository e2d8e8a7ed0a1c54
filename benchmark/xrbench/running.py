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
from typing import Any

import xrbench
from xrbench import cards, keys, store
from xrbench.assembly import Assembly
from xrbench.catalogue import Catalogue
from xrbench.errors import DataError, StoreError, TrainingError, XrbenchError
from xrbench.planning import Cell, Fit
from xrbench.progress import Reporter, Silent
from xrbench.store import Store

FORMAT = "xrbench-run-1"
FIXTURE = "FIXTURE"
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
    _check_weights(assembly, catalogue)
    cache = options.cache or options.out / "cache"
    assembly.open_caches(catalogue, cache, jobs=options.jobs, reporter=say, skip_unreadable=options.skip_unreadable)
    for note in assembly.notes:
        say.line(note)
    fit_keys = {fit.name: assembly.fit_key(fit) for fit in assembly.plan.fits}
    cell_keys = {cell.name: assembly.cell_key(cell, catalogue, fit_keys) for cell in assembly.plan.cells}
    pending = [cell for cell in assembly.plan.cells if not results.has_cell(cell_keys[cell.name])]
    say.line(
        f"{len(assembly.plan.cells) - len(pending)} of {len(assembly.plan.cells)} cells are there, {len(pending)} to do"
    )
    failed: dict[str, str] = {}
    device = _device(options.device) if pending else options.device
    trained = _train(assembly, pending, fit_keys, results, device, say, failed)
    measured = _predict(assembly, catalogue, pending, (fit_keys, cell_keys), results, device, say, failed)
    folder = _write_manifest(assembly, options, results, (fit_keys, cell_keys), failed, device)
    return RunResult(folder, failed, trained, measured)


def run_folder(assembly: Assembly, results: Store) -> Path:
    """Return the folder that a run of this plan on these data writes to."""
    suite = assembly.plan.suite
    digests = {name: domain.digest for name, domain in assembly.domains.items()}
    return results.run_folder(
        suite.name, keys.run_key(suite, assembly.plan.profile_name, assembly.plan.profile, digests)
    )


def _check_weights(assembly: Assembly, catalogue: Catalogue) -> None:
    from xrbench.training.weights import require_weights

    for name in dict.fromkeys(cell.model for cell in assembly.plan.cells):
        require_weights(catalogue.model(name))
    for fit in assembly.plan.fits:
        keys.check_blocks(catalogue.method(fit.method))
        keys.check_blocks(catalogue.model(fit.model))


def _train(
    assembly: Assembly,
    pending: Sequence[Cell],
    fit_keys: Mapping[str, str],
    results: Store,
    device: str,
    say: Reporter,
    failed: dict[str, str],
) -> int:
    from xrbench.training import fit as training

    needed = {name for cell in pending for name in cell.fits}
    todo = [fit for fit in assembly.plan.fits if fit.name in needed]
    unfinished = [fit for fit in todo if not training.is_finished(results.fit_folder(fit_keys[fit.name]))]
    with say.bar("fits", len(unfinished)) as bar:
        for number, fit in enumerate(unfinished, 1):
            say.line(f"fit {number}/{len(unfinished)} {fit.name}")
            made_of, parts = assembly.plan.recipes[fit.name], assembly.parts[fit.name]
            key = fit_keys[fit.name]
            try:
                training.fit(
                    made_of,
                    assembly.image_set(parts.train, made_of.model),
                    assembly.image_set(parts.valid, made_of.model),
                    key=key,
                    folder=results.fit_folder(key),
                    device=device,
                    reporter=say,
                )
            except (TrainingError, DataError, MemoryError, RuntimeError) as error:
                failed[fit.name] = _reason(error)
                say.line(f"failed: {fit.name}: {failed[fit.name]}")
            bar.advance(1, fit.name)
    return len(unfinished) - sum(fit.name in failed for fit in unfinished)


def _predict(
    assembly: Assembly,
    catalogue: Catalogue,
    pending: Sequence[Cell],
    made: tuple[Mapping[str, str], Mapping[str, str]],
    results: Store,
    device: str,
    say: Reporter,
    failed: dict[str, str],
) -> int:
    fit_keys, cell_keys = made
    done = 0
    with say.bar("cells", len(pending)) as bar:
        for cell in pending:
            broken = [name for name in cell.fits if name in failed]
            if broken:
                failed[cell.name] = f"its fit failed: {failed[broken[0]]}"
            else:
                try:
                    _measure(assembly, catalogue, cell, fit_keys, cell_keys[cell.name], results, device, say)
                    done += 1
                except (XrbenchError, MemoryError, RuntimeError) as error:
                    failed[cell.name] = _reason(error)
                    say.line(f"failed: {cell.name}: {failed[cell.name]}")
            bar.advance(1, cell.test)
    return done


def _measure(
    assembly: Assembly,
    catalogue: Catalogue,
    cell: Cell,
    fit_keys: Mapping[str, str],
    key: str,
    results: Store,
    device: str,
    say: Reporter,
) -> None:
    """Predict every row of a cell and store the predictions."""
    from xrbench.training import predict

    part = assembly.part(cell)
    model = catalogue.model(cell.model)
    images = assembly.image_set(part, model)
    labels = assembly.plan.suite.labels
    if cell.fits:
        recipe = assembly.plan.recipes[cell.fits[0]]
        scores = predict.predict(
            recipe, results.fit_folder(fit_keys[cell.fits[0]]), images, device=device, reporter=say
        )
    else:
        scores = predict.predict_as_is(model, labels, images, device=device, reporter=say)
    frame = assembly.frame(part)
    if scores.shape != (len(frame), len(labels)):
        raise StoreError(
            f"{cell.name}: {len(frame)} rows and {len(labels)} labels should be scored, the model gave {scores.shape}"
        )
    for number, label in enumerate(labels):
        frame[f"score:{label}"] = scores[:, number]
    about = {
        **describe_cell(cell),
        "key": key,
        "fit_keys": [fit_keys[name] for name in cell.fits],
        "data": _data(assembly),
    }
    store.write_predictions(results.cell_file(key), frame, {**about, "xrbench": xrbench.__version__})


def describe_cell(cell: Cell) -> dict[str, Any]:
    """Describe a cell in plain values, as manifests and predictions carry it."""
    plain = cards.plain(cell)
    return {**plain, "cell": plain.pop("name")}


def _data(assembly: Assembly) -> str:
    return FIXTURE if assembly.fixture else "real"


def _device(name: str) -> str:
    from xrbench.training.devices import resolve

    return resolve(name)


def _reason(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _write_manifest(
    assembly: Assembly,
    options: Options,
    results: Store,
    made: tuple[Mapping[str, str], Mapping[str, str]],
    failed: Mapping[str, str],
    device: str,
) -> Path:
    """Write what the run consists of; cells of an earlier, smaller run of the same data stay in it."""
    folder = run_folder(assembly, results)
    path = folder / store.MANIFEST
    before = store.read_json(path) if path.is_file() else {}
    fit_keys, cell_keys = made
    plan = assembly.plan
    fits = {entry["name"]: entry for entry in before.get("fits", [])}
    fits.update({fit.name: _fit_entry(fit, assembly, fit_keys, failed) for fit in plan.fits})
    cells = {entry["cell"]: entry for entry in before.get("cells", [])}
    cells.update({cell.name: _cell_entry(cell, cell_keys, fit_keys, failed) for cell in plan.cells})
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


def _fit_entry(fit: Fit, assembly: Assembly, fit_keys: Mapping[str, str], failed: Mapping[str, str]) -> dict[str, Any]:
    parts = assembly.parts[fit.name]
    sizes = {
        side: {name: len(rows) for name, rows in getattr(parts, side).items()}
        for side in ("train", "valid", "internal", "external")
    }
    entry = {**cards.plain(fit), "key": fit_keys[fit.name], "images": sizes, "excluded": parts.excluded}
    return {**entry, "failed": failed.get(fit.name, "")}


def _cell_entry(
    cell: Cell, cell_keys: Mapping[str, str], fit_keys: Mapping[str, str], failed: Mapping[str, str]
) -> dict[str, Any]:
    key = cell_keys[cell.name]
    entry = {**describe_cell(cell), "key": key, "fit_keys": [fit_keys[name] for name in cell.fits]}
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
