"""Write the manifest of a run: its fits and cells, their data, and the versions that computed them.

The manifest is merged: cells that an earlier, smaller command measured on the same rows stay in it; those whose images have
changed since do not.
"""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from xrbench import cards
from xrbench.errors import StoreError
from xrbench.fixture_notice import FIXTURE
from xrbench.planning import Cell, Fit
from xrbench.progress import Reporter
from xrbench.runs import cache_keys, store
from xrbench.runs.bound_plan import BoundPlan
from xrbench.runs.fit_keys import Keys, rows_digest
from xrbench.runs.fit_summaries import read_summary
from xrbench.runs.provenance import describe_ages, describe_datasets, describe_splits
from xrbench.runs.store import Store
from xrbench.version import __version__

Entry = dict[str, Any]

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


def run_folder(bound: BoundPlan, results: Store) -> Path:
    """Return the folder that a run of this plan on these data writes to."""
    suite = bound.plan.suite
    digests = {name: domain.digest for name, domain in bound.domains.items()}
    return results.run_folder(
        suite.name, cache_keys.run_key(suite, bound.plan.profile_name, bound.plan.profile, digests)
    )


def write_manifest(
    bound: BoundPlan,
    results: Store,
    keys: Keys,
    *,
    failed: Mapping[str, str],
    device: str,
    command: Sequence[str],
    reporter: Reporter,
) -> Path:
    """Write the manifest, unless the one that is there already says all of it.

    Args:
        bound: The plan with its data; caches are open.
        results: The ``--out`` folder.
        keys: Keys of all fits and cells.
        failed: Name of a fit or cell -> why it failed.
        device: Where it was computed.
        command: The command line.
        reporter: Where it is reported that an earlier manifest cannot be read.

    Returns:
        The run's folder.
    """
    folder = run_folder(bound, results)
    before = _read_earlier(folder, reporter)
    fits_before = {entry["name"]: entry for entry in before.get("fits", [])}
    cells_before = {entry["cell"]: entry for entry in before.get("cells", [])}
    fits = {
        fit.name: _with_summary(_fit_entry(fit, bound, keys, failed), results, fits_before.get(fit.name, {}))
        for fit in bound.plan.fits
    }
    cells = {cell.name: _cell_entry(cell, bound, keys, failed) for cell in bound.plan.cells}
    plan = bound.plan
    same_suite = before.get("suite") == store.without_nan(cards.plain(plan.suite))
    if same_suite and _all_there(fits, fits_before) and _all_there(cells, cells_before):
        return folder
    old_fits, old_cells = _still_valid(before, fits, cells)
    settings = {_setting_key(entry): entry for entry in [*before.get("settings", []), *map(cards.plain, plan.settings)]}
    missing = {name: text for name, text in before.get("missing", {}).items() if name not in bound.domains}
    manifest = {
        "format": store.MANIFEST_FORMAT,
        "suite": cards.plain(plan.suite),
        "profile_name": plan.profile_name,
        "profile": cards.plain(plan.profile),
        "data": data_of(bound),
        "settings": list(settings.values()),
        "datasets": _merged_by("dataset", before.get("datasets", []), describe_datasets(bound)),
        "splits": _merged_splits(before.get("splits", []) if old_cells else [], describe_splits(bound)),
        "ages": _merged_ages(before.get("ages", []), describe_ages(bound)),
        "missing": {**(missing if old_cells else {}), **bound.missing},
        "notes": list(dict.fromkeys([*(before["notes"] if old_cells else ()), *bound.notes])),
        "fits": list({**old_fits, **fits}.values()),
        "cells": list({**old_cells, **cells}.values()),
        "command": shlex.join(command),
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": {**environment(), "device": device},
    }
    store.write_json(folder / store.MANIFEST, manifest)
    return folder


def describe_cell(cell: Cell) -> dict[str, Any]:
    """Describe a cell in plain values, as manifests and predictions carry it."""
    plain = cards.plain(cell)
    return {**plain, "cell": plain.pop("name"), "members": max(1, len(cell.fits))}


def data_of(bound: BoundPlan) -> str:
    """Return ``FIXTURE`` for synthetic images, ``real`` for others."""
    return FIXTURE if bound.fixture else "real"


def environment() -> dict[str, Any]:
    """Describe what computed the results: versions, processor, and the state of the code."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "xrbench": __version__,
        "python": platform.python_version(),
        "libraries": versions,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "code": _git_state(),
    }


def _git_state() -> str:
    """Return the commit, with ``+changes`` if there are uncommitted ones; empty if the code is not a checkout."""
    top = Path(__file__).parents[3]
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


def _read_earlier(folder: Path, reporter: Reporter) -> Entry:
    """Read the manifest of an earlier command; one that cannot be read is written anew from the fits and cells themselves."""
    if not (folder / store.MANIFEST).exists():
        return {}
    try:
        return store.read_manifest(folder)
    except StoreError as error:
        reporter.line(f"{error}; it is written anew, without what other commands than this one had measured")
        return {}


def _still_valid(
    before: Mapping[str, Any], fits: Mapping[str, Entry], cells: Mapping[str, Entry]
) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """Keep the entries of earlier commands, except those whose images have changed since."""
    rows = {_role(entry): entry["rows"] for entry in (*fits.values(), *cells.values())}

    def unchanged(entry: Entry) -> bool:
        """Say whether no entry of this command has the same role with other rows."""
        return bool(rows.get(_role(entry), entry.get("rows")) == entry.get("rows"))

    old_fits = {entry["name"]: entry for entry in before.get("fits", []) if unchanged(entry)}
    known = {*old_fits, *fits}
    old_cells = {
        entry["cell"]: entry for entry in before.get("cells", []) if unchanged(entry) and set(entry["fits"]) <= known
    }
    return old_fits, old_cells


def _role(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what entries on the same rows have in common, whatever the method and the model."""
    split = (entry.get("configuration", ""), tuple(entry["train"]), entry["valid"], entry["test"], entry["seed"])
    if "cell" not in entry:
        return ("fit", *split)
    return ("external", entry["test"]) if entry["protocol"] == "external" else (entry["protocol"], *split)


def _fit_entry(fit: Fit, bound: BoundPlan, keys: Keys, failed: Mapping[str, str]) -> Entry:
    parts, model = bound.parts[fit.name], bound.plan.recipes[fit.name].model
    sizes = {
        side: {name: len(rows) for name, rows in getattr(parts, side).items()}
        for side in ("train", "valid", "internal", "external")
    }
    rows = [rows_digest(bound, part, model) for part in (parts.train, parts.valid)]
    entry = {**cards.plain(fit), "key": keys.fits[fit.name], "rows": rows, "images": sizes}
    return {**entry, "excluded": parts.excluded, "failed": failed.get(fit.name, "")}


def _with_summary(entry: Entry, results: Store, before: Mapping[str, Any]) -> Entry:
    """Add what the fit took; what an earlier command read stays when the folder of the same fit has been removed."""
    summary = read_summary(results.fit_folder(entry["key"]))
    if not summary and before.get("key") == entry["key"]:
        summary = before.get("training", {})
    return {**entry, "training": summary}


def _all_there(entries: Mapping[str, Entry], before: Mapping[str, Any]) -> bool:
    return all(before.get(name) == store.without_nan(entry) for name, entry in entries.items())


def _cell_entry(cell: Cell, bound: BoundPlan, keys: Keys, failed: Mapping[str, str]) -> Entry:
    key = keys.cells[cell.name]
    rows = rows_digest(bound, bound.part(cell), bound.catalogue.model(cell.model))
    entry = {**describe_cell(cell), "key": key, "rows": rows, "fit_keys": [keys.fits[name] for name in cell.fits]}
    reasons = [f"its fit failed: {failed[name]}" for name in cell.fits if name in failed]
    return {**entry, "file": f"../../cells/{key}.parquet", "failed": failed.get(cell.name, "".join(reasons[:1]))}


def _setting_key(setting: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        setting.get("configuration", ""),
        tuple(setting["train"]),
        setting["valid"],
        setting["test"],
        setting["seed"],
    )


def _merged_splits(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Add the splits of this command to those of earlier ones, which they replace."""
    names = ("configuration", "dataset", "seed", "split")
    return list({tuple(entry[name] for name in names): entry for entry in [*old, *new]}.values())


def _merged_ages(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    counted = {entry["dataset"] for entry in new}
    return [*(entry for entry in old if entry["dataset"] not in counted), *new]


def _merged_by(
    field: str, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    merged = {entry[field]: entry for entry in old}
    for entry in new:
        before = merged.get(entry[field], {})
        merged[entry[field]] = {**entry, "used": max(entry.get("used", 0), before.get("used", 0))}
    return list(merged.values())
