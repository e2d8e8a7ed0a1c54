"""Data of a suite: metadata of its datasets, the selected rows, and their labels under the suite's policy.

No image is opened here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench import cards
from xrbench.catalogue import Catalogue
from xrbench.data.datasets.domain import Domain, find_folder, load_domain, select, slice_of
from xrbench.data.labels import policies as labelling
from xrbench.data.labels.single_class import ClassChoice, check_caps, single_class
from xrbench.data.splits import split
from xrbench.errors import CardError, DataError, MissingDataError, UsageError
from xrbench.planning import Plan


@dataclass(frozen=True)
class DataRoots:
    """Folders of the datasets.

    Attributes:
        default: Folder with one folder a dataset; None when there is none.
        datasets: Folders of single datasets, which take precedence over the default.
    """

    default: Path | None = None
    datasets: Mapping[str, Path] = field(default_factory=dict)

    def folder(self, card: cards.DatasetCard) -> Path | None:
        """Return the folder of a dataset, or None when it is missing.

        Raises:
            UsageError: A root is a file or does not exist.
        """
        if card.name in self.datasets:
            folder = self.datasets[card.name]
            if not folder.is_dir():
                raise UsageError(
                    f"data root of {card.name}: {folder}: {'not a folder' if folder.exists() else 'no such folder'}"
                )
            return folder
        return find_folder(card, self.default) if self.default is not None else None


@dataclass(frozen=True)
class Selected:
    """Selected rows of one domain of a suite.

    Attributes:
        name, base, root, card: The domain, the dataset whose patients it holds, its folder, its card.
        published: Card of the dataset that the domain is, or is cut from.
        frame: Tidy frame of the selected rows, in published order.
        raw: States as published: 1, 0, -1, NaN, shape (n, labels).
        truth: 1, 0 or NaN after the suite's label policy, float32, shape (n, labels).
        members: Base and patient of each row; without patient ids each image is a patient of its own.
        labels: All labels that the dataset has.
        lacking: Labels of the suite that the dataset does not have: they are NaN in every image.
        total: Rows of the dataset before selection.
        by_patient: False when the dataset has no patient ids.
        choice: For multi-class tasks, the choice of one class for each row, over all rows before it.
    """

    name: str
    base: str
    root: Path
    card: cards.DatasetCard
    published: cards.DatasetCard
    frame: pd.DataFrame
    raw: npt.NDArray[np.float32]
    truth: npt.NDArray[np.float32]
    members: split.Members
    labels: tuple[str, ...]
    lacking: tuple[str, ...]
    total: int
    by_patient: bool
    synthetic: bool
    digest: str
    choice: ClassChoice | None = None


def load(name: str, catalogue: Catalogue, roots: DataRoots) -> Domain:
    """Read the metadata of one dataset or slice.

    Raises:
        MissingDataError: It is missing; the message says where it is expected and where to request it.
    """
    chain = chain_of(name, catalogue)
    folder = roots.folder(chain[-1])
    if folder is None:
        raise MissingDataError(missing_line(name, chain[-1], roots))
    return load_domain(chain[0], chain[1:], catalogue.vocabulary, folder.parent, folder=folder)


def chain_of(name: str, catalogue: Catalogue) -> list[cards.DatasetCard]:
    """Return a domain's card and those of its bases, down to the dataset that it is cut from."""
    chain = [catalogue.dataset(name)]
    while chain[-1].base:
        chain.append(catalogue.dataset(chain[-1].base, where=f"dataset {chain[-1].name}"))
    return chain


def select_rows(loaded: Domain, plan: Plan, catalogue: Catalogue) -> Selected:
    """Select the rows of a domain that a suite uses, and apply its label policy."""
    suite, name = plan.suite, loaded.name
    frame = (select(loaded.frame, suite.where, name=name) if suite.where else loaded.frame).reset_index(drop=True)
    if not len(frame):
        raise DataError(f"{name}: no image is left where {suite.where}")
    with_mapped_labels = labelling.with_mappings(
        frame, [catalogue.vocabulary.mappings[mapping] for mapping in suite.mappings]
    )
    lacking = labelling.absent_labels(with_mapped_labels, suite.labels)
    # ids for some images only would make the others patients of their own, whoever they are
    patients = frame["patient_id"]
    by_patient = not patients.isna().all()
    if by_patient and patients.isna().any():
        without = frame["image"][patients.isna()]
        raise DataError(
            f"{name}: image {without.iloc[0]!r} has no patient id ({len(without):,} of {len(frame):,} have none); "
            "splits need one for every image, or for none"
        )
    patient_of_row = (patients if by_patient else frame["image"]).astype(str).to_numpy().astype(np.str_)
    raw = labelling.published_states(with_mapped_labels, suite.labels)
    truth = labelling.truth(with_mapped_labels, suite.labels, uncertain=suite.uncertain, blank=suite.blank)
    # the choice of a class leaves images out: everything that has a row for each image follows it
    choice = None
    if suite.task == "multiclass":
        images = frame["image"].astype(str).tolist()
        choice = single_class(truth, suite.labels, suite.classes, dataset=name, images=images)
        has_class = choice.kept
        frame = frame[has_class].reset_index(drop=True)
        raw, truth, patient_of_row = raw[has_class], choice.truth[has_class], patient_of_row[has_class]
    return Selected(
        name=name,
        base=loaded.base,
        root=loaded.root,
        card=loaded.card,
        published=catalogue.dataset(loaded.base),
        frame=frame,
        raw=raw,
        truth=truth,
        members=split.Members(loaded.base, patient_of_row),
        labels=loaded.labels,
        lacking=lacking,
        total=len(loaded.frame),
        by_patient=by_patient,
        synthetic=loaded.synthetic,
        digest=loaded.digest,
        choice=choice,
    )


def load_all(plan: Plan, catalogue: Catalogue, roots: DataRoots) -> tuple[dict[str, Selected], dict[str, str]]:
    """Read every dataset of a plan, the metadata of a common base once.

    Returns:
        Domain -> selected rows, and for datasets that are missing, domain -> message.

    Raises:
        DataError: Metadata are not as their layout promises.
        CardError: A network for grey images is given a dataset in colour.
    """
    check_channels(plan, catalogue)
    if plan.suite.task == "multiclass":
        check_caps(plan.suite.classes, plan.datasets_of_suite, where=f"suite {plan.suite.name}")
    bases: dict[str, Domain] = {}
    domains: dict[str, Selected] = {}
    missing: dict[str, str] = {}
    for name in plan.datasets:
        base = plan.bases[name]
        card = catalogue.dataset(base)
        if base not in bases:
            if roots.folder(card) is None:
                missing[name] = missing_line(name, card, roots)
                continue
            bases[base] = load(base, catalogue, roots)
        domain = bases[base]
        for card_of_slice in reversed(chain_of(name, catalogue)[:-1]):
            domain = slice_of(domain, card_of_slice)
        domains[name] = select_rows(domain, plan, catalogue)
    return domains, missing


def check_channels(plan: Plan, catalogue: Catalogue) -> None:
    """Refuse a network for grey images on a dataset in colour; grey images are repeated for a network with 3 channels.

    Raises:
        CardError: The message names both cards, and what can be changed in them.
    """
    used = [(fit.model, name) for fit in plan.fits for name in (*fit.train, fit.valid)]
    used += [(cell.model, name) for cell in plan.cells for name in cell.tests]
    # "held-out" and "none" are no datasets
    for model, name in dict.fromkeys((model, plan.bases[name]) for model, name in used if name in plan.bases):
        if catalogue.dataset(name).channels > catalogue.model(model).channels:
            raise CardError(
                f"{catalogue.path('model', model)}: channels: expected 3 for the images in colour of dataset {name!r}, got 1; "
                f"take a network with 3 channels, or a dataset card with channels = 1, which reads them as grey "
                f"({catalogue.path('dataset', name)} has 3)"
            )


def missing_line(name: str, card: cards.DatasetCard, roots: DataRoots) -> str:
    """Return the message for a missing dataset: where it is expected and where to request it."""
    place = f"{roots.default / card.name}" if roots.default else "a data root (--data-root)"
    access = f"; {card.access}" if card.access else ""
    return f"missing: {name}   expected in {place}{access}; then `xrbench data check {name}`"
