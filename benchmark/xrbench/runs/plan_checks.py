"""Check that a bound plan can be trained, and note what a reader of its results should know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from xrbench import cards
from xrbench.data.datasets.sources import Selected
from xrbench.data.labels.head_truth import check_head, head_truth, metadata_heads
from xrbench.data.labels.single_class import check_classes
from xrbench.data.splits import split
from xrbench.errors import DataError
from xrbench.planning import Fit, Plan


def check_learnable(
    fit: Fit, method: cards.MethodCard, parts: split.Parts, domains: Mapping[str, Selected], suite: cards.SuiteCard
) -> list[str]:
    """Refuse a training set that lacks positive or negative images of a label, images of a class, or values of a head's column.

    Returns:
        A note for each class that has no image in a test set.

    Raises:
        DataError: A label or class cannot be learned; the message names it.
    """
    for head in metadata_heads(method):
        values = [head_truth(head, domains[name].frame.iloc[rows], dataset=name) for name, rows in parts.train.items()]
        check_head(head, np.concatenate(values), fit.train)
    if not method.scores_labels:
        return []
    if suite.task == "multiclass":
        tests = {"+".join(part): part for part in (parts.external, parts.internal) if part}
        test_counts = {name: _positives(part, domains, suite.labels) for name, part in tests.items()}
        where = "+".join(fit.train) + (f" ({fit.configuration})" if fit.configuration else "")
        return list(check_classes(_positives(parts.train, domains, suite.labels), test_counts, suite.labels, where))
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
    """Count the positive images of each label in a part."""
    counts = np.zeros(len(labels), np.int64)
    for name, rows in part.items():
        counts += (domains[name].truth[rows] == 1).sum(axis=0)
    return dict(zip(labels, counts.tolist(), strict=True))


def dataset_notes(domains: Mapping[str, Selected]) -> list[str]:
    """Note datasets without patient ids, and labels that a dataset does not have."""
    notes = [
        f"{domain.name}: no patient ids; splits and intervals are by image"
        for domain in domains.values()
        if not domain.by_patient
    ]
    notes += [
        f"{domain.name}: has no label {', '.join(domain.lacking)}; masked there"
        for domain in domains.values()
        if domain.lacking
    ]
    return notes


def class_notes(domains: Mapping[str, Selected], rule: cards.ClassRule) -> list[str]:
    """Note for each dataset how many images the class rule leaves out."""
    notes = []
    for domain in domains.values():
        choice = domain.choice
        if choice is None:
            continue
        capped = sum(choice.before.values()) - sum(choice.after.values())
        notes.append(
            f"{domain.name}: {len(domain.frame):,} of {len(choice.number):,} images have one class by the rule {rule.rule!r}: "
            f"{choice.without:,} have none, {choice.several:,} several ({choice.left_out:,} left out), {capped:,} above the cap"
        )
    return notes


def exclusion_notes(plan: Plan, parts: Mapping[str, split.Parts]) -> list[str]:
    """Note once for each setting how many images are left out so that no patient is in more than one split.

    For the parent of other fits these are also the images of patients on whom those are validated and tested.
    """
    seeds: dict[tuple[str, str], dict[int, None]] = {}
    for fit in plan.fits:
        for name, count in parts[fit.name].excluded.items():
            seeds.setdefault((_roles(fit), _cost(fit, name, count)), {})[fit.seed] = None
    return [
        f"{roles}, seed{'s' if len(of) > 1 else ''} {', '.join(map(str, of))}: {cost}"
        for (roles, cost), of in seeds.items()
    ]


def _roles(fit: Fit) -> str:
    if fit.role == "train":
        return f"train {'+'.join(fit.train)}, valid {fit.valid}, test {fit.test}"
    reserved = fit.reserved
    children = f", for fits on {'+'.join(reserved.train)}, valid {reserved.valid}" if reserved else ""
    return f"pretrain {'+'.join(fit.train)}{children}{f', test {fit.test}' if fit.test else ''}"


def _cost(fit: Fit, dataset: str, count: int) -> str:
    if fit.role == "pretrain":
        return f"{count:,} images of {dataset} left out, their patients are held out for the fits that start from it"
    role = "training" if dataset in fit.train else "validation"
    return f"{count:,} {role} images of {dataset} left out, their patients are in another split"
