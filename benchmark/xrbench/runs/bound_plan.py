"""Bind a plan to its data: the rows that each fit is trained on, and those that each cell is measured on.

No pixel is read here unless caches are opened; ``xrbench plan`` and ``xrbench run`` both start with ``bind``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench import cards, planning
from xrbench.catalogue import Catalogue
from xrbench.data.cache import build as caching
from xrbench.data.datasets import sources
from xrbench.data.datasets.sources import DataRoots, Selected
from xrbench.data.images.image_set import ImageSet
from xrbench.data.labels import policies as labelling
from xrbench.data.labels.head_truth import head_truth, metadata_heads
from xrbench.data.splits import split
from xrbench.errors import DataError, MissingDataError
from xrbench.planning import Cell, Fit, Plan
from xrbench.progress import Reporter, Silent
from xrbench.runs.fit_parts import all_parts, divide_fits, roles_of
from xrbench.runs.plan_checks import check_learnable, class_notes, dataset_notes, exclusion_notes

STANDARD = ("view", "age", "sex")
"""Columns of the metadata that are stored with predictions, for subgroups; "No Finding" and devices are stored as ``raw:``."""


@dataclass
class BoundPlan:
    """A plan with its data.

    Attributes:
        plan: The plan, without what misses its data.
        catalogue: Where the cards of its models and methods are.
        domains: The selected rows of each dataset.
        parts: Fit name -> its rows.
        missing: Dataset -> why it cannot be used, with where to ask for it.
        notes: What a reader of the results should know, such as images that are left out.
        settings_left_out: How many settings cannot run for want of data.
        caches: (base, image size) -> pixel cache, once opened.
        unreadable: Dataset -> which of its rows have no pixels, where some have none.
    """

    plan: Plan
    catalogue: Catalogue
    domains: dict[str, Selected]
    parts: dict[str, split.Parts]
    missing: dict[str, str]
    notes: list[str]
    settings_left_out: int = 0
    caches: dict[tuple[str, int], caching.PixelCache] = field(default_factory=dict)
    unreadable: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)

    @property
    def fits(self) -> tuple[Fit, ...]:
        """What is trained once."""
        return self.plan.fits

    @property
    def cells(self) -> tuple[Cell, ...]:
        """What is measured."""
        return self.plan.cells

    @property
    def fixture(self) -> bool:
        """Whether any dataset is synthetic."""
        return any(domain.synthetic for domain in self.domains.values())

    def part(self, cell: Cell) -> split.Part:
        """Return the rows a cell is measured on."""
        if not cell.fits:
            return self._whole(cell.test)
        parts = self.parts[cell.fits[0]]
        if cell.protocol == "validation":
            return parts.valid
        if cell.protocol == "external":
            # a fit may be tested on several external datasets; its parts hold the rows of the first
            return {cell.test: parts.external[cell.test]} if cell.test in parts.external else self._whole(cell.test)
        return {name: parts.internal[name] for name in cell.tests}

    def _whole(self, dataset: str) -> split.Part:
        """Return all readable rows of an external test dataset, up to the profile's limit."""
        rows = np.arange(len(self.domains[dataset].frame))[: self.plan.profile.limits.test or None]
        unreadable = self.unreadable.get(dataset)
        return {dataset: rows if unreadable is None else rows[~unreadable[rows]]}

    def image_size(self, model: cards.ModelCard) -> int:
        """Return the side in pixels at which a model's images are cached."""
        return model.image_size or self.plan.profile.image_size

    def needed(self) -> dict[tuple[str, int], list[str]]:
        """List the images that fits and cells need: (dataset, image size) -> paths, in published order."""
        masks: dict[tuple[str, int], dict[str, npt.NDArray[np.bool_]]] = {}
        uses = [(fit.model, part) for fit in self.fits for part in all_parts(self.parts[fit.name])]
        uses += [(cell.model, self.part(cell)) for cell in self.cells]
        for model, part in uses:
            size = self.image_size(self.catalogue.model(model))
            for name, rows in part.items():
                domain = self.domains[name]
                of_base = masks.setdefault((domain.base, size), {})
                of_base.setdefault(name, np.zeros(len(domain.frame), bool))[rows] = True
        needed = {}
        for key, of_base in masks.items():
            paths = [path for name, mask in of_base.items() for path in self.domains[name].frame["path"][mask]]
            needed[key] = list(dict.fromkeys(paths))  # slices of one dataset may share images
        return needed

    def open_caches(
        self, folder: Path, *, jobs: int, reporter: Reporter | None = None, skip_unreadable: bool = False
    ) -> None:
        """Build or reopen the pixel caches; images that cannot be read are left out if ``skip_unreadable``.

        Raises:
            DataError: Images cannot be read; all of them are listed before anything is trained.
        """
        problems = []
        for key, place, source in self._cache_sources(folder, skip_unreadable):
            try:
                self.caches[key] = caching.open_cache(
                    place, jobs=jobs, reporter=reporter or Silent(), where=f"suite {self.plan.suite.name}", **source
                )
            except DataError as error:
                problems.append(error)
        if problems:
            raise type(problems[0])("\n".join(str(problem) for problem in problems))
        self._leave_out_unreadable()

    def reopen_caches(self, folder: Path, *, skip_unreadable: bool = False) -> bool:
        """Open the pixel caches without reading an image.

        Returns:
            Whether all of them are there and up to date.
        """
        for key, place, source in self._cache_sources(folder, skip_unreadable):
            cache = caching.peek_cache(place, **source)
            if cache is None:
                return False
            self.caches[key] = cache
        self._leave_out_unreadable()
        return True

    def _cache_sources(
        self, folder: Path, skip_unreadable: bool
    ) -> Iterator[tuple[tuple[str, int], Path, dict[str, Any]]]:
        """List each cache's key and folder, and what it is made from, as arguments of ``open_cache`` and ``peek_cache``."""
        for (base, size), paths in self.needed().items():
            domain = next(domain for domain in self.domains.values() if domain.base == base)
            source = {
                "root": domain.root,
                "paths": paths,
                "steps": self.plan.suite.preprocessing,
                "image_size": size,
                "channels": domain.published.channels,
                "skip_unreadable": skip_unreadable,
            }
            yield (base, size), cache_folder(folder, base, domain.root), source

    def image_set(self, part: split.Part, recipe: cards.Recipe) -> ImageSet:
        """Join the rows of a part with their pixels and the truth of every head."""
        size, heads = self.image_size(recipe.model), metadata_heads(recipe.method)
        return ImageSet.join([self._images(name, rows, size, heads) for name, rows in part.items() if len(rows)])

    def _images(self, name: str, rows: split.Rows, size: int, heads: Sequence[cards.Head]) -> ImageSet:
        domain = self.domains[name]
        frame, cache = domain.frame.iloc[rows], self.caches[domain.base, size]
        return ImageSet(
            (name,),
            (cache.pixels,),
            np.zeros(len(rows), np.int64),
            cache.rows(frame["path"].tolist()),
            domain.truth[rows],
            patient=self._patients[name][rows],
            targets={head.name: head_truth(head, frame, dataset=name) for head in heads},
        )

    @cached_property
    def _patients(self) -> dict[str, npt.NDArray[np.int64]]:
        """Number the patients of all datasets: name -> one number a row, equal within a patient alone, across slices too."""
        names = list(self.domains)
        members = [self.domains[name].members for name in names]
        texts = np.concatenate([np.char.add(f"{one.base}\x1f", one.patient) for one in members])
        ends = np.cumsum([len(one.patient) for one in members])[:-1]
        return dict(zip(names, np.split(pd.factorize(texts)[0].astype(np.int64), ends), strict=True))

    def frame(self, part: split.Part) -> pd.DataFrame:
        """Make the predictions frame of a part, still without scores."""
        return pd.concat([self._metadata(name, rows) for name, rows in part.items()], ignore_index=True)

    def _metadata(self, name: str, rows: split.Rows) -> pd.DataFrame:
        domain = self.domains[name]
        selected = domain.frame.iloc[rows].reset_index(drop=True)
        columns = ["image", "patient_id", *(column for column in STANDARD if column in selected)]
        frame = selected[columns].copy()
        frame.insert(2, "dataset", name)
        for number, label in enumerate(self.plan.suite.labels):
            frame[f"truth:{label}"] = domain.truth[rows, number]
            frame[f"raw:{label}"] = domain.raw[rows, number]
        for label in sorted(labelling.APART.difference(self.plan.suite.labels)):
            if label in selected:
                frame[f"raw:{label}"] = selected[label].to_numpy(np.float32)
        return frame

    def _leave_out_unreadable(self) -> None:
        """Take images without pixels out of every part, and check again that what is left can be trained on."""
        for name, domain in self.domains.items():
            bad = {path for (base, _), cache in self.caches.items() if base == domain.base for path in cache.unreadable}
            unreadable = domain.frame["path"].isin(list(bad)).to_numpy()
            if not unreadable.any():
                continue
            self.unreadable[name] = unreadable
            self.notes.append(f"{name}: {int(unreadable.sum()):,} unreadable images are left out (--skip-unreadable)")
            for parts in self.parts.values():
                for part in all_parts(parts):
                    if name in part:
                        part[name] = part[name][~unreadable[part[name]]]
        if self.unreadable:
            for fit in self.fits:
                split.check_filled(self.parts[fit.name], roles_of(fit))
                method = self.plan.recipes[fit.name].method
                check_learnable(fit, method, self.parts[fit.name], self.domains, self.plan.suite)
            self.leave_out_empty()

    def leave_out_empty(self) -> None:
        """Drop cells without any image, such as an internal test where nobody is held out, and note them."""
        empty = [cell for cell in self.cells if not any(len(rows) for rows in self.part(cell).values())]
        self.plan = planning.without_cells(self.plan, [cell.name for cell in empty])
        tests = [(cell.protocol, cell.test, "+".join(cell.train)) for cell in empty]
        for protocol, test, train in dict.fromkeys(tests):
            of = f" of fits on {train}" if train else ""
            self.notes.append(f"no {protocol} test on {test}{of}: no image is left for it")


def bind(plan: Plan, catalogue: Catalogue, roots: DataRoots, *, allow_missing: bool = False) -> BoundPlan:
    """Read the metadata of a plan's datasets and split their patients.

    Args:
        plan: The plan.
        catalogue: Where the cards are.
        roots: Where the data are.
        allow_missing: Leave out what needs datasets that are not there, instead of stopping.

    Raises:
        MissingDataError: Datasets are not there (all are named), or none of the plan can run without them.
        DataError: Metadata are not as their layout promises, or a label cannot be learned.
    """
    domains, missing = sources.load_all(plan, catalogue, roots)
    if missing and not allow_missing:
        raise MissingDataError("\n".join(missing.values()))
    runnable = planning.without_datasets(plan, list(missing)) if missing else plan
    if not runnable.cells:
        raise MissingDataError(
            "\n".join([*missing.values(), f"nothing of suite {plan.suite.name} can run without them"])
        )
    domains = {name: domains[name] for name in runnable.datasets}
    parts = divide_fits(runnable, domains)
    notes = dataset_notes(domains) + class_notes(domains, runnable.suite.classes)
    for fit in runnable.fits:
        notes += check_learnable(fit, runnable.recipes[fit.name].method, parts[fit.name], domains, runnable.suite)
    notes = list(dict.fromkeys(notes + exclusion_notes(runnable, parts)))
    left_out = len(plan.settings) - len(runnable.settings)
    bound = BoundPlan(runnable, catalogue, domains, parts, missing, notes, settings_left_out=left_out)
    bound.leave_out_empty()
    return bound


def cache_folder(folder: Path, base: str, root: Path) -> Path:
    """Choose the folder of a dataset's caches; copies of it in different places have different ones."""
    return folder / hashlib.blake2b(str(root.resolve()).encode(), digest_size=4).hexdigest() / base
