"""Bring a plan and the data together: which rows each fit learns from, which each cell is measured on, and their keys.

No pixel is read here unless caches are opened; ``xrbench plan`` and ``xrbench run`` both start with ``assemble``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench import cards, planning
from xrbench.catalogue import Catalogue
from xrbench.data.cache import build as caching
from xrbench.data.datasets import sources
from xrbench.data.datasets.demographics import age_bands, age_of_patients, describe_split
from xrbench.data.datasets.sources import DataRoots, Selected
from xrbench.data.images import preprocessing
from xrbench.data.images.image_set import ImageSet
from xrbench.data.labels import policies as labelling
from xrbench.data.labels.single_class import check_classes
from xrbench.data.splits import split
from xrbench.errors import DataError, MissingDataError
from xrbench.planning import HELD_OUT, Cell, Fit, Plan
from xrbench.progress import Reporter, Silent
from xrbench.runs import cache_keys

STANDARD = ("view", "age", "sex")
"""Columns that travel from the tidy frame into predictions, for subgroups; "No Finding" and devices do as ``raw:`` states."""


@dataclass
class Assembly:
    """A plan with its data.

    Attributes:
        plan: The plan, without what misses its data.
        domains: The selected rows of each dataset.
        parts: Fit name -> its rows.
        missing: Dataset -> why it cannot be used, with where to ask for it.
        notes: Things to be said once, such as patients that cost images.
        settings_left_out: How many settings cannot run for want of data.
        caches: (base, image size) -> pixel cache, once opened.
        unreadable: Dataset -> which of its rows have no pixels, where some have none.
    """

    plan: Plan
    domains: dict[str, Selected]
    parts: dict[str, split.Parts]
    missing: dict[str, str]
    notes: list[str]
    settings_left_out: int = 0
    caches: dict[tuple[str, int], caching.PixelCache] = field(default_factory=dict)
    unreadable: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)

    @property
    def fixture(self) -> bool:
        """Say whether any figure would come from synthetic images."""
        return any(domain.synthetic for domain in self.domains.values())

    def part(self, cell: Cell) -> split.Part:
        """Return the rows a cell is measured on."""
        if not cell.fits:
            rows = np.arange(len(self.domains[cell.test].frame))[: self.plan.profile.limits.test or None]
            unreadable = self.unreadable.get(cell.test)
            return {cell.test: rows if unreadable is None else rows[~unreadable[rows]]}
        parts = self.parts[cell.fits[0]]
        if cell.protocol == "validation":
            return parts.valid
        inside = cell.protocol in ("internal", "resubstitution")
        return {name: (parts.internal if inside else self._external(cell))[name] for name in cell.tests}

    def _external(self, cell: Cell) -> split.Part:
        """Return the rows of a cell's external test dataset, which may be another one than its fit's first."""
        parts = self.parts[cell.fits[0]]
        if cell.test in parts.external:
            return parts.external
        rows = np.arange(len(self.domains[cell.test].frame))[: self.plan.profile.limits.test or None]
        unreadable = self.unreadable.get(cell.test)
        return {cell.test: rows if unreadable is None else rows[~unreadable[rows]]}

    def image_size(self, model: cards.ModelCard) -> int:
        """Return the side in pixels at which a model's images are cached."""
        return model.image_size or self.plan.profile.image_size

    def needed(self, catalogue: Catalogue) -> dict[tuple[str, int], list[str]]:
        """List the images that fits and cells need: (dataset, image size) -> paths, in published order."""
        wanted: dict[tuple[str, int], dict[str, npt.NDArray[np.bool_]]] = {}
        uses = [(fit.model, part) for fit in self.plan.fits for part in _all_parts(self.parts[fit.name])]
        uses += [(cell.model, self.part(cell)) for cell in self.plan.cells]
        for model, part in uses:
            size = self.image_size(catalogue.model(model))
            for name, rows in part.items():
                domain = self.domains[name]
                masks = wanted.setdefault((domain.base, size), {})
                masks.setdefault(name, np.zeros(len(domain.frame), bool))[rows] = True
        return {
            key: list(
                dict.fromkeys(path for name, mask in masks.items() for path in self.domains[name].frame["path"][mask])
            )
            for key, masks in wanted.items()
        }

    def open_caches(
        self,
        catalogue: Catalogue,
        folder: Path,
        *,
        jobs: int,
        reporter: Reporter | None = None,
        skip_unreadable: bool = False,
    ) -> None:
        """Build or reopen the pixel caches; images that cannot be read are left out if ``skip_unreadable``.

        Raises:
            DataError: Images cannot be read; all of them are listed before anything is trained.
        """
        problems = []
        for (base, size), paths in self.needed(catalogue).items():
            root = next(domain.root for domain in self.domains.values() if domain.base == base)
            try:
                self.caches[base, size] = caching.open_cache(
                    cache_folder(folder, base, root),
                    root=root,
                    paths=paths,
                    steps=self.plan.suite.preprocessing,
                    image_size=size,
                    channels=1,
                    jobs=jobs,
                    reporter=reporter or Silent(),
                    skip_unreadable=skip_unreadable,
                    where=f"suite {self.plan.suite.name}",
                )
            except DataError as error:
                problems.append(error)
        if problems:
            raise type(problems[0])("\n".join(str(problem) for problem in problems))
        self._leave_out_unreadable()

    def reopen_caches(self, catalogue: Catalogue, folder: Path, *, skip_unreadable: bool = False) -> bool:
        """Open the pixel caches if all of them are there and up to date, without reading an image; say whether they are."""
        for (base, size), paths in self.needed(catalogue).items():
            root = next(domain.root for domain in self.domains.values() if domain.base == base)
            found = caching.peek_cache(
                cache_folder(folder, base, root),
                root=root,
                paths=paths,
                steps=self.plan.suite.preprocessing,
                image_size=size,
                channels=1,
                skip_unreadable=skip_unreadable,
            )
            if found is None:
                return False
            self.caches[base, size] = found
        self._leave_out_unreadable()
        return True

    def image_set(self, part: split.Part, model: cards.ModelCard) -> ImageSet:
        """Put the rows of a part together with their pixels and truth."""
        size = self.image_size(model)
        return ImageSet.join([self._images(name, rows, size) for name, rows in part.items() if len(rows)])

    def frame(self, part: split.Part) -> pd.DataFrame:
        """Make the predictions frame of a part, still without scores."""
        return pd.concat([self._rows(name, rows) for name, rows in part.items()], ignore_index=True)

    def rows_digest(self, part: split.Part, model: cards.ModelCard) -> str:
        """Hash ids, patients, truth and pixels of a part."""
        size = self.image_size(model)
        digests = []
        for name, rows in part.items():
            domain = self.domains[name]
            chosen = domain.frame.iloc[rows]
            pixels = self.caches[domain.base, size].digests(chosen["path"].tolist())
            patients = domain.members.patient[rows]
            digests.append(
                split.rows_digest(
                    [name, domain.base], chosen["image"].tolist(), patients, domain.truth[rows].ravel(), pixels
                )
            )
        return split.rows_digest(digests)

    def preprocessing_digest(self, model: cards.ModelCard) -> str:
        """Hash the steps between a file and its cached pixels."""
        return preprocessing.digest(self.plan.suite.preprocessing, image_size=self.image_size(model), channels=1)

    def fit_key(self, fit: Fit) -> str:
        """Return the key of a fit; caches must be open."""
        made_of, parts = self.plan.recipes[fit.name], self.parts[fit.name]
        return cache_keys.fit_key(
            made_of,
            train=self.rows_digest(parts.train, made_of.model),
            valid=self.rows_digest(parts.valid, made_of.model),
            preprocessing=self.preprocessing_digest(made_of.model),
        )

    def cell_key(self, cell: Cell, catalogue: Catalogue, fit_keys: Mapping[str, str]) -> str:
        """Return the key of a cell; caches must be open."""
        model = catalogue.model(cell.model)
        if cell.is_ensemble:
            return cache_keys.ensemble_key(self.member_keys(cell, fit_keys))
        return cache_keys.cell_key(
            [fit_keys[name] for name in cell.fits],
            rows=self.rows_digest(self.part(cell), model),
            preprocessing=self.preprocessing_digest(model),
            model=None if cell.fits else model,
            labels=self.plan.suite.labels,
        )

    def member_keys(self, cell: Cell, fit_keys: Mapping[str, str]) -> list[str]:
        """Return the keys of the cells whose scores an ensemble averages: one a fit, on the same rows."""
        model = self.plan.recipes[cell.fits[0]].model
        rows, pixels = self.rows_digest(self.part(cell), model), self.preprocessing_digest(model)
        return [
            cache_keys.cell_key([fit_keys[name]], rows=rows, preprocessing=pixels, labels=self.plan.suite.labels)
            for name in cell.fits
        ]

    def used(self) -> list[dict[str, object]]:
        """Describe what is used of each dataset, as the papers' first tables do."""
        described = []
        for name in self.domains:
            domain = self.domains[name]
            trained = [len(parts.train[name]) for parts in self.parts.values() if name in parts.train]
            patients = int(domain.frame["patient_id"].nunique()) if domain.by_patient else None
            age, spread = age_of_patients(domain.frame)
            described.append(
                {
                    "dataset": name,
                    "base": domain.base,
                    "title": domain.card.title,
                    "images": len(domain.frame),
                    "patients": patients,
                    "mean_age": age,
                    "sd_age": spread,
                    "unreadable": int(self.unreadable[name].sum()) if name in self.unreadable else 0,
                    "used": max(trained, default=0),
                    "pathologies": len(set(domain.labels) - labelling.APART),
                    "region": domain.card.region or domain.published.region,
                    "synthetic": domain.synthetic,
                    "shareable": domain.synthetic or domain.published.shareable,
                    "digest": domain.digest,
                    "of": domain.total,
                }
            )
        return described

    def divided(self) -> list[dict[str, object]]:
        """Describe each dataset, and each side that its patients are divided into, as a flowchart of the data does.

        A division that several fits share stands once, under the first of their seeds.
        """
        labels, described = self.plan.suite.labels, []
        for name, domain in self.domains.items():
            whole = describe_split(domain.frame, domain.truth, labels)
            described.append({"configuration": "", "dataset": name, "seed": 0, "split": "all", **whole})
        seen: set[tuple[str, str, str, bytes]] = set()
        for fit in self.plan.fits:
            parts = self.parts[fit.name]
            sides = {"train": parts.train, "valid": parts.valid, "test": {**parts.external, **parts.internal}}
            for side, part in sides.items():
                for name, rows in part.items():
                    mark = (fit.configuration or "+".join(fit.train), name, side, rows.tobytes())
                    if mark in seen or not len(rows):
                        continue
                    seen.add(mark)
                    domain = self.domains[name]
                    counts = describe_split(domain.frame.iloc[rows], domain.truth[rows], labels)
                    described.append(
                        {"configuration": mark[0], "dataset": name, "seed": fit.seed, "split": side, **counts}
                    )
        return described

    def ages(self) -> list[dict[str, object]]:
        """Count the patients of each dataset by sex and age."""
        return [{"dataset": name, **band} for name, domain in self.domains.items() for band in age_bands(domain.frame)]

    def _images(self, name: str, rows: split.Rows, size: int) -> ImageSet:
        domain = self.domains[name]
        cache = self.caches[domain.base, size]
        at = cache.rows(domain.frame["path"].iloc[rows].tolist())
        return ImageSet((name,), (cache.pixels,), np.zeros(len(rows), np.int64), at, domain.truth[rows])

    def _rows(self, name: str, rows: split.Rows) -> pd.DataFrame:
        domain = self.domains[name]
        chosen = domain.frame.iloc[rows].reset_index(drop=True)
        kept = chosen[["image", "patient_id", *(column for column in STANDARD if column in chosen)]].copy()
        kept.insert(2, "dataset", name)
        for number, label in enumerate(self.plan.suite.labels):
            kept[f"truth:{label}"] = domain.truth[rows, number]
            kept[f"raw:{label}"] = domain.raw[rows, number]
        for label in sorted(labelling.APART.difference(self.plan.suite.labels)):
            if label in chosen:
                kept[f"raw:{label}"] = chosen[label].to_numpy(np.float32)
        return kept

    def _leave_out_unreadable(self) -> None:
        """Take images without pixels out of every part; what is left must still be enough to learn from."""
        for name, domain in self.domains.items():
            bad = {path for (base, _), cache in self.caches.items() if base == domain.base for path in cache.unreadable}
            without = domain.frame["path"].isin(list(bad)).to_numpy()
            if not without.any():
                continue
            self.unreadable[name] = without
            self.notes.append(f"{name}: {int(without.sum()):,} unreadable images are left out (--skip-unreadable)")
            for parts in self.parts.values():
                for part in _all_parts(parts):
                    if name in part:
                        part[name] = part[name][~without[part[name]]]
        if self.unreadable:
            for fit in self.plan.fits:
                split.check_filled(self.parts[fit.name], _roles(fit))
                _check_learnable(fit, self.parts[fit.name], self.domains, self.plan.suite)
            self.leave_out_empty()

    def leave_out_empty(self) -> None:
        """Drop cells without any image, such as an internal test where nobody is held out, and say so."""
        empty = [cell for cell in self.plan.cells if not any(len(rows) for rows in self.part(cell).values())]
        self.plan = planning.without_cells(self.plan, [cell.name for cell in empty])
        tests = [(cell.protocol, cell.test, "+".join(cell.train)) for cell in empty]
        for protocol, test, train in dict.fromkeys(tests):
            of = f" of fits on {train}" if train else ""
            self.notes.append(f"no {protocol} test on {test}{of}: no image is left for it")


def assemble(plan: Plan, catalogue: Catalogue, roots: DataRoots, *, allow_missing: bool = False) -> Assembly:
    """Read the metadata of a plan's datasets and divide their patients.

    Args:
        plan: The plan.
        catalogue: Where the dataset cards are.
        roots: Where the data are.
        allow_missing: Leave out what needs datasets that are not there, instead of stopping.

    Raises:
        MissingDataError: Datasets are not there (all are named), or none of the plan can run without them.
        DataError: Metadata are not as their layout promises, or a label cannot be learned.
    """
    domains, missing = sources.load_all(plan, catalogue, roots)
    if missing and not allow_missing:
        raise MissingDataError("\n".join(missing.values()))
    kept = planning.without_datasets(plan, list(missing)) if missing else plan
    if not kept.cells:
        raise MissingDataError(
            "\n".join([*missing.values(), f"nothing of suite {plan.suite.name} can run without them"])
        )
    domains = {name: domains[name] for name in kept.datasets}
    population = _population(domains)
    notes = [
        f"{d.name}: no patient ids; splits and intervals are by image" for d in domains.values() if not d.by_patient
    ]
    notes += [f"{d.name}: has no label {', '.join(d.lacking)}; masked there" for d in domains.values() if d.lacking]
    members = {name: domain.members for name, domain in domains.items()}
    parts = {fit.name: _divide(fit, kept, domains, members, population) for fit in kept.fits}
    notes += _class_notes(domains, kept.suite.classes)
    for fit in kept.fits:
        notes += _check_learnable(fit, parts[fit.name], domains, kept.suite)
    notes = list(dict.fromkeys(notes + _costs(kept, parts)))
    left_out = len(plan.settings) - len(kept.settings)
    made = Assembly(kept, domains, parts, missing, notes, settings_left_out=left_out)
    made.leave_out_empty()
    return made


def cache_folder(folder: Path, base: str, root: Path) -> Path:
    """Choose the folder of a dataset's caches; copies of it in different places have different ones."""
    return folder / hashlib.blake2b(str(root.resolve()).encode(), digest_size=4).hexdigest() / base


def _population(domains: Mapping[str, Selected]) -> dict[str, list[str]]:
    people: dict[str, set[str]] = {}
    for domain in domains.values():
        people.setdefault(domain.base, set()).update(domain.members.patient.tolist())
    return {base: sorted(patients) for base, patients in people.items()}


def _roles(fit: Fit) -> split.Roles:
    return split.Roles(fit.train, None if fit.valid == HELD_OUT else fit.valid, fit.test)


def _strata(plan: Plan, domains: Mapping[str, Selected]) -> dict[str, npt.NDArray[np.int64]] | None:
    """Give the class of each row of the datasets, where the suite has exclusive classes."""
    if plan.suite.task != "multiclass":
        return None
    return {name: domain.truth.argmax(axis=1).astype(np.int64) for name, domain in domains.items()}


def _divide(
    fit: Fit,
    plan: Plan,
    domains: Mapping[str, Selected],
    members: Mapping[str, split.Members],
    population: Mapping[str, Sequence[str]],
) -> split.Parts:
    limits = plan.profile.limits
    if plan.recipes[fit.name].method.validation == "as-released":
        # the released code draws its validation batches from the whole dataset, anew in each epoch
        limits = msgspec.structs.replace(limits, valid=0)
    return split.divide(
        _roles(fit),
        members,
        rule=fit.split or plan.profile.split,
        strata=_strata(plan, domains),
        limits=limits,
        seed=fit.seed,
        internal=plan.suite.protocol.internal,
        population=population,
    )


def _check_learnable(
    fit: Fit, parts: split.Parts, domains: Mapping[str, Selected], suite: cards.SuiteCard
) -> list[str]:
    """Refuse a training set from which a label or class cannot be learned; return what a test set cannot judge."""
    if suite.task == "multiclass":
        tests = {"+".join(part): part for part in (parts.external, parts.internal) if part}
        counted = {name: _positives(part, domains, suite.labels) for name, part in tests.items()}
        where = "+".join(fit.train) + (f" ({fit.configuration})" if fit.configuration else "")
        return list(check_classes(_positives(parts.train, domains, suite.labels), counted, suite.labels, where))
    truth = np.concatenate([domains[name].truth[rows] for name, rows in parts.train.items()])
    for number, label in enumerate(suite.labels):
        positive, negative = int((truth[:, number] == 1).sum()), int((truth[:, number] == 0).sum())
        if not positive or not negative:
            raise DataError(
                f"{'+'.join(fit.train)}: label {label!r} has {positive:,} positive and {negative:,} negative training images; "
                "a classifier needs both"
            )
    return []


def _positives(part: split.Part, domains: Mapping[str, Selected], labels: Sequence[str]) -> dict[str, int]:
    counts = sum((domains[name].truth[rows] == 1).sum(axis=0) for name, rows in part.items())
    return dict(zip(labels, np.broadcast_to(counts, len(labels)).tolist(), strict=True))


def _class_notes(domains: Mapping[str, Selected], rule: cards.ClassRule) -> list[str]:
    """Say for each dataset what the class rule leaves out."""
    notes = []
    for domain in domains.values():
        if domain.choice is None:
            continue
        choice, kept = domain.choice, len(domain.frame)
        capped = sum(choice.before.values()) - sum(choice.after.values())
        notes.append(
            f"{domain.name}: {kept:,} of {len(choice.number):,} images have one class by the rule {rule.rule!r}: {choice.without:,} have "
            f"none, {choice.several:,} several ({choice.left_out:,} left out), {capped:,} above the cap"
        )
    return notes


def _costs(plan: Plan, parts: Mapping[str, split.Parts]) -> list[str]:
    """Say once for each setting how many images the rule of one side a patient costs."""
    seeds: dict[tuple[str, str], dict[int, None]] = {}
    for fit in plan.fits:
        for name, count in parts[fit.name].excluded.items():
            role = "training" if name in fit.train else "validation"
            roles = f"train {'+'.join(fit.train)}, valid {fit.valid}, test {fit.test}"
            cost = f"{count:,} {role} images of {name} left out, their patients are on another side"
            seeds.setdefault((roles, cost), {})[fit.seed] = None
    return [
        f"{roles}, seed{'s' if len(of) > 1 else ''} {', '.join(map(str, of))}: {cost}"
        for (roles, cost), of in seeds.items()
    ]


def _all_parts(parts: split.Parts) -> tuple[split.Part, ...]:
    return parts.train, parts.valid, parts.internal, parts.external
