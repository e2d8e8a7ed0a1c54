"""Summarise what a run would do: its fits and cells, which of them are done, and what is missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from xrbench import blocks
from xrbench.cards import MethodCard
from xrbench.errors import StoreError
from xrbench.fixture_notice import STAMP
from xrbench.planning import Fit, graph
from xrbench.progress import clock
from xrbench.rendering.numbers import plural
from xrbench.runs import shared_parents
from xrbench.runs.bound_plan import BoundPlan
from xrbench.runs.fit_keys import cell_key, fit_keys
from xrbench.runs.store import Store, read_manifest

PROTOCOLS = ("external", "internal", "resubstitution", "validation")


@dataclass(frozen=True)
class FitSummary:
    """One fit.

    Attributes:
        name, key: Its name, and its key where pixels are prepared.
        stage: ``training``, ``pre-training``, ``fine-tuning`` ...
        parents: The fits that it starts from.
        given: The one parent that all seeds share; empty where each seed has its own.
        train, valid: Dataset -> number of images.
        excluded: Dataset -> images left out because their patients are in another split.
        epochs: Length of the training.
        images: Images in an epoch.
        done: Whether it is trained.
    """

    name: str
    key: str
    stage: str
    parents: tuple[str, ...]
    given: str
    train: dict[str, int]
    valid: dict[str, int]
    excluded: dict[str, int]
    epochs: int
    images: int
    done: bool


@dataclass(frozen=True)
class CellSummary:
    """One cell.

    Attributes:
        name, protocol, fits: As planned.
        images: Number of test images.
        key: Its key where pixels are prepared.
        done: Whether it is measured.
    """

    name: str
    protocol: str
    fits: tuple[str, ...]
    images: int
    key: str
    done: bool


@dataclass(frozen=True)
class PlanSummary:
    """A plan in words and numbers.

    Attributes:
        head: One line on what there is to do.
        fits, cells: One summary each.
        missing: Dataset -> where it is expected and where to ask for it.
        notes: What a reader of the results should know, such as images that are left out.
        left_out: Number of settings that cannot run for want of data.
        settings: Number of all settings.
        images_per_second: Median speed of training in the last run of the suite; NaN if there is none.
        keyed: Whether pixels are prepared, so that it is known what is done.
        fixture: Whether the images are synthetic.
    """

    head: str
    fits: tuple[FitSummary, ...]
    cells: tuple[CellSummary, ...]
    missing: dict[str, str]
    notes: tuple[str, ...]
    left_out: int
    settings: int
    images_per_second: float
    keyed: bool
    fixture: bool

    def lines(self) -> list[str]:
        """Write the summary as lines of text."""
        lines = [STAMP] if self.fixture else []
        lines.append(self.head)
        lines += list(self.missing.values())
        if self.missing:
            lines.append(
                f"         {self.left_out} of {self.settings} settings cannot run; "
                f"--allow-missing runs the other {self.settings - self.left_out}"
            )
        lines += self.notes
        if not self.keyed:
            lines.append("pixels are not prepared yet, so it is not known what is done already")
        lines += ["", "fits (each trained once; its cells share it)"]
        shared = Counter(name for cell in self.cells for name in cell.fits)
        children = Counter(name for fit in self.fits for name in fit.parents)
        for fit, depth in graph.depths(self.fits):
            sizes = " + ".join(f"{count:,} {name}" for name, count in fit.train.items())
            shares = plural(shared[fit.name], "cell")
            if children[fit.name]:
                shares += f", start of {plural(children[fit.name], 'fit')}"
            if fit.given:
                shares += f"; {shared_parents.phrase([fit.given])}"
            stage = "" if fit.stage == "training" else f"{fit.stage}: "
            lines.append(
                f"  {'done ' if fit.done else 'to do'} {'  ' * depth}{stage}{fit.name}   train {sizes}; {shares}"
            )
        lines += ["", "cells"]
        lines += [
            f"  {'done ' if cell.done else 'to do'} {cell.protocol:<10} {cell.name}   {cell.images:,} images"
            for cell in self.cells
        ]
        lines += ["", self._cost()]
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Write the summary as plain values, for JSON."""
        return {
            "fixture": self.fixture,
            "summary": self.head,
            "fits": [vars(fit) for fit in self.fits],
            "cells": [vars(cell) for cell in self.cells],
            "missing": self.missing,
            "notes": list(self.notes),
            "settings": self.settings,
            "settings_left_out": self.left_out,
            "images_times_epochs": sum(fit.images * fit.epochs for fit in self.fits if not fit.done),
            "images_per_second": self.images_per_second,
            "pixels_prepared": self.keyed,
        }

    def _cost(self) -> str:
        todo = [fit.images * fit.epochs for fit in self.fits if not fit.done]
        if not todo:
            return "nothing is left to train"
        text = f"images x epochs: {_big(max(todo))} a fit, {_big(sum(todo))} in all"
        if self.images_per_second > 0:
            speed = self.images_per_second
            text += f"; at the measured {speed:,.0f} images/s about {clock(max(todo) / speed)} a fit, {clock(sum(todo) / speed)} in all"
        return text


def summarise(
    bound: BoundPlan,
    *,
    out: str | Path,
    cache: str | Path | None = None,
    skip_unreadable: bool = False,
) -> PlanSummary:
    """Summarise what a run of this plan would do.

    Args:
        bound: The plan with its data.
        out: Folder of results, for what is done already.
        cache: Folder of pixel caches; below ``out`` by default.
        skip_unreadable: Whether unreadable images are left out.
    """
    results = Store(Path(out).expanduser())
    folder = Path(cache).expanduser() if cache else results.out / "cache"
    keyed = bound.reopen_caches(folder, skip_unreadable=skip_unreadable)
    keys = fit_keys(bound) if keyed else dict.fromkeys((fit.name for fit in bound.fits), "")
    cells = []
    for cell in bound.cells:
        key = cell_key(bound, cell, keys) if keyed else ""
        images = sum(len(rows) for rows in bound.part(cell).values())
        cells.append(CellSummary(cell.name, cell.protocol, cell.fits, images, key, bool(key) and results.has_cell(key)))
    fits = [_fit(fit, bound, keys[fit.name], results) for fit in bound.fits]
    return PlanSummary(
        head=_head(bound, cells),
        fits=tuple(fits),
        cells=tuple(cells),
        missing=bound.missing,
        notes=(*bound.notes, *_ensembles(bound), *_shared(bound)),
        left_out=bound.settings_left_out,
        settings=bound.settings_left_out + len(bound.plan.settings),
        images_per_second=_speed(results, bound),
        keyed=keyed,
        fixture=bound.fixture,
    )


def _head(bound: BoundPlan, cells: list[CellSummary]) -> str:
    plan = bound.plan
    trained = [method for method in plan.methods if not _untrained(bound.catalogue.method(method))]
    pretrained = [method for method in plan.methods if _untrained(bound.catalogue.method(method))]
    models = len({fit.model for fit in plan.fits})
    product = f"{plural(len(plan.settings), 'setting')} x {plural(len(trained), 'method')}"
    product += f" x {models} models" if models > 1 else ""
    need = "needs" if len(pretrained) == 1 else "need"
    untrained = f"; {', '.join(pretrained)} {need} no training" if pretrained else ""
    counts = Counter(cell.protocol for cell in cells)
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in PROTOCOLS if counts[kind])
    done = sum(cell.done for cell in cells)
    fits = f"{plural(len(plan.fits), 'fit')} ({product}{untrained})"
    return (
        f"{plan.suite.name}, profile {plan.profile_name}: {fits}, {plural(len(cells), 'cell')} ({kinds}), {done} done"
    )


def _untrained(card: MethodCard) -> bool:
    return bool(card.inference or card.ensemble)


def _ensembles(bound: BoundPlan) -> list[str]:
    """Note for each ensemble what it averages; it needs no training."""
    lines = []
    for method in bound.plan.methods:
        member = bound.catalogue.method(method).ensemble
        cells = [cell for cell in bound.cells if cell.method == method]
        if member and cells:
            lines.append(
                f"{method}: {plural(len(cells), 'cell')}, each the mean of {len(cells[0].fits)} stored predictions of {member}; no training"
            )
    return lines


def _shared(bound: BoundPlan) -> list[str]:
    """Note which named training sets hold out the same images of a dataset."""
    groups: dict[tuple[str, int, bytes], dict[str, None]] = {}
    for fit in bound.fits:
        for name, rows in bound.parts[fit.name].internal.items():
            if fit.configuration:
                groups.setdefault((name, len(rows), rows.tobytes()), {})[fit.configuration] = None
    return [
        f"{name}: the same {count:,} images are held out for configurations {', '.join(names)}"
        for (name, count, _), names in groups.items()
        if len(names) > 1
    ]


def _fit(fit: Fit, bound: BoundPlan, key: str, results: Store) -> FitSummary:
    parts, recipe = bound.parts[fit.name], bound.plan.recipes[fit.name]
    train = {name: len(rows) for name, rows in parts.train.items()}
    _, options = blocks.split("sampler", recipe.method.sampler)
    groups = int(options.get("groups", 0)) or len(train)
    # an epoch covers all images once or, with a batch from each domain, the largest domain once
    one_pass = sum(train.values()) if "groups" in options else max(train.values()) * groups
    images = recipe.steps_per_epoch * recipe.batch_size * groups or one_pass
    return FitSummary(
        name=fit.name,
        key=key,
        stage=fit.stage,
        parents=fit.parents,
        given=fit.given,
        train=train,
        valid={name: len(rows) for name, rows in parts.valid.items()},
        excluded=parts.excluded,
        epochs=recipe.epochs,
        images=images,
        done=bool(key) and (results.fit_folder(key) / "done.json").is_file(),
    )


def _speed(results: Store, bound: BoundPlan) -> float:
    """Return the median of the images a second that the last run of this suite logged; NaN if there is none."""
    speeds = []
    for run in results.runs(bound.plan.suite.name)[:1]:
        for entry in _fits_of(run):
            log = results.fit_folder(entry["key"]) / "log.csv"
            if log.is_file():
                frame = pd.read_csv(log)
                if "images_per_second" in frame:
                    speeds.append(float(frame["images_per_second"].median()))
    return float(pd.Series(speeds).median()) if speeds else float("nan")


def _fits_of(run: Path) -> list[dict[str, Any]]:
    """List the fits of a run; none when its manifest cannot be read, which ``run`` reports and repairs."""
    try:
        return list(read_manifest(run)["fits"])
    except StoreError:
        return []


def _big(number: int) -> str:
    return f"{number / 1e6:,.1f} M" if number >= 1_000_000 else f"{number:,}"
