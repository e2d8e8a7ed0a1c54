"""Claims about what is lost elsewhere, which training set or network is better there, and which finding is weak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from xrbench import statistics
from xrbench.cards import Claim
from xrbench.metrics import parse_as
from xrbench.rendering.numbers import metric_title
from xrbench.report.claims.verdict import Direction, Verdict, unanswered, weighed
from xrbench.report.effects import Contrast, groups, label_effects, measured, paired, unpaired
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import MEAN
from xrbench.runs.run_cell import RunCell

Cells = list[RunCell]
DIRECTIONS: Mapping[str, tuple[Direction, str]] = {"higher": ("positive", "above"), "lower": ("negative", "below")}
"""Direction of a metric -> on which side of 0 a gain lies."""
NO_DIRECTION = "neither higher nor lower figures are better"


def gap(
    run: Run,
    claim: Claim,
    *,
    metric: str = "auc",
    labels: Sequence[str] = (),
    configurations: Sequence[str] = (),
    direction: Direction = "positive",
    margin: float = 0.0,
    ensembles: bool = False,
) -> Verdict:
    """Judge that figures are better on held-out patients than on another dataset, for every model, training set and label.

    Args:
        run: The run.
        claim: The claim.
        metric: What is compared.
        labels: Labels that it is about; all, without their mean, by default. ``mean`` is the mean over all.
        configurations: Training sets that it is about; all by default.
        direction: ``positive`` when internal is better, ``alike`` when the two are within the margin.
        margin: For ``alike``: the smallest gap that matters.
        ensembles: Whether it is about ensembles, instead of single fits.
    """
    parts: list[Contrast] = []
    for inside in _groups(run, "internal", configurations, ensembles=ensembles):
        outside = _facing(run, inside, "external")
        found = unpaired(run, inside, outside, metric=metric, labels=_singles(run, labels))
        parts += [_called(inside[0], one) for one in _wanted(found, labels)]
    what = f"internal minus external {metric_title(metric)}"
    how = "patients left out one at a time, two sets of patients"
    if direction == "positive":
        return _gained(run, claim, metric, parts, what, how)
    alike = f"{what} within {margin:g}: two one-sided tests, patients left out one at a time"
    test = alike if direction == "alike" else f"{what}, {direction}: {how}"
    return weighed(claim.text, parts, direction=direction, test=test, margin=margin, level=run.suite.interval.level)


def configuration_better(
    run: Run,
    claim: Claim,
    *,
    challenger: str,
    baseline: str,
    protocol: str = "external",
    metric: str = "auc",
    labels: Sequence[str] = (),
    models: Sequence[str] = (),
    ensembles: bool = False,
) -> Verdict:
    """Judge that one training set gives better figures than another, for every model and label.

    Args:
        run: The run.
        claim: The claim.
        challenger: The training set that is said to be better.
        baseline: The other one.
        protocol: ``external`` compares on the same images; ``internal`` compares each on its own held-out patients, and a patient of
            both counts as one.
        metric: What is compared.
        labels: Labels that it is about; ``mean`` is the mean over all, which is the default.
        models: Networks that it is about; all by default.
        ensembles: Whether it is about ensembles, instead of single fits.
    """
    chosen = tuple(labels) or (MEAN,)
    parts: list[Contrast] = []
    for ours in _groups(run, protocol, (challenger,), ensembles=ensembles):
        theirs = [one for one in _others(run, ours[0], protocol) if one.training_set == baseline]
        if models and ours[0].model not in models:
            continue
        if protocol == "external":
            found = paired(run, _same_images(ours, theirs), metric=metric, labels=_singles(run, chosen))
        else:
            found = unpaired(run, ours, theirs, metric=metric, labels=_singles(run, chosen))
        parts += [one.called(_name(ours[0].model, one.name)) for one in _wanted(found, chosen)]
    how = "paired over patients of the same images" if protocol == "external" else "each on its own held-out patients"
    what = f"{protocol} {metric_title(metric)} of {challenger} minus {baseline}"
    return _gained(run, claim, metric, parts, what, how)


def models_alike(
    run: Run,
    claim: Claim,
    *,
    margin: float,
    models: Sequence[str] = (),
    protocols: Sequence[str] = ("internal", "external"),
    metric: str = "auc",
    labels: Sequence[str] = (),
) -> Verdict:
    """Judge that two networks are alike: their figures on the same images are within a margin, for every training set and label.

    Args:
        run: The run.
        claim: The claim.
        margin: The smallest difference that matters.
        models: The two networks; the first two that were measured by default.
        protocols: Tests that it is about.
        metric: What is compared.
        labels: Labels that it is about; all, without their mean, by default.
    """
    test = f"{metric_title(metric)} of two networks on the same images within {margin:g}: two one-sided tests, paired over patients"
    pair = tuple(models) or tuple(dict.fromkeys(one.model for one in measured(run, members=1)))[:2]
    if len(pair) != 2:
        return unanswered(claim.text, test=test, reason="fewer than two networks were measured")
    parts: list[Contrast] = []
    for protocol in protocols:
        for first in _groups(run, protocol, (), ensembles=False):
            if first[0].model != pair[0]:
                continue
            second = [
                one
                for one in measured(run, protocol=protocol, model=pair[1], method=first[0].method, members=1)
                if one.training_set == first[0].training_set
            ]
            found = paired(run, _same_images(first, second), metric=metric, labels=_singles(run, labels))
            parts += [one.called(f"{first[0].training_set} {protocol} {one.name}") for one in _wanted(found, labels)]
    return weighed(claim.text, parts, direction="alike", test=test, margin=margin, level=run.suite.interval.level)


def label_weaker(
    run: Run, claim: Claim, *, label: str, protocols: Sequence[str] = ("internal", "external"), metric: str = "auc"
) -> Verdict:
    """Judge that a finding is recognised worse than the others are on average, for every model and training set.

    Args:
        run: The run.
        claim: The claim.
        label: The finding.
        protocols: Tests that it is about.
        metric: What is compared.
    """
    parts = []
    for protocol in protocols:
        for cells in _groups(run, protocol, (), ensembles=False):
            found = _against_others(run, cells, label, metric)
            parts += [found.called(f"{cells[0].model} {cells[0].training_set} {protocol}")] if found else []
    what = f"mean {metric_title(metric)} of the other labels minus that of {label}"
    return _gained(run, claim, metric, parts, what, "on the same patients", mark=",")


def _gained(
    run: Run, claim: Claim, metric: str, parts: Sequence[Contrast], what: str, how: str, *, mark: str = ":"
) -> Verdict:
    """Judge that all differences are gains: above 0 where higher figures are better, below where lower ones are.

    Args:
        run: The run.
        claim: The claim.
        metric: What is compared.
        parts: The differences.
        what: What is subtracted from what.
        how: How it was tested.
        mark: What stands between the two.
    """
    better = parse_as(run.suite.task, metric).better
    if better == "neither":
        return unanswered(claim.text, test=f"{what}{mark} {how}", reason=NO_DIRECTION)
    direction, side = DIRECTIONS[better]
    test = f"{what} {side} 0{mark} {how}"
    return weighed(claim.text, parts, direction=direction, test=test, level=run.suite.interval.level)


def _against_others(run: Run, cells: Cells, label: str, metric: str) -> Contrast | None:
    """Subtract a label's figure from the mean of the other labels' figures in the same cells."""
    made = label_effects.labelled_cells(run, (cells,), run.suite.labels)
    if made is None or label not in run.suite.labels:
        return None

    def only(cell: statistics.Cell, number: int) -> statistics.Cell:
        truth, score = (np.asarray(each)[:, [number]] for each in (cell.truth, cell.score))
        return replace(cell, truth=truth, score=score)

    mine = run.suite.labels.index(label)
    others = [only(cell, at) for cell in made[0] for at in range(len(run.suite.labels)) if at != mine]
    level = run.suite.interval.level
    alone = [only(cell, mine) for cell in made[0]]
    gaps = statistics.gap(others, alone, metric=metric, labels=(label,), replicates=label_effects.ONCE, level=level)
    return label_effects.from_gap(gaps[0], (others, alone))


def _groups(run: Run, protocol: str, configurations: Sequence[str], *, ensembles: bool) -> list[Cells]:
    """List the cells of each method, model, training set and test: its seeds together."""
    cells = [one for one in measured(run, protocol=protocol) if (one.members > 1) == ensembles and not one.seen]
    kept = [one for one in cells if not configurations or one.training_set in configurations]
    return list(groups(kept, "method", "model", "training_set", "test").values())


def _others(run: Run, one: RunCell, protocol: str) -> Cells:
    """List the cells of the same method and model under that protocol."""
    cells = measured(run, protocol=protocol, method=one.method, model=one.model)
    return [cell for cell in cells if not cell.seen]


def _facing(run: Run, inside: Cells, protocol: str) -> Cells:
    return [one for one in _others(run, inside[0], protocol) if one.training_set == inside[0].training_set]


def _same_images(ours: Cells, theirs: Cells) -> list[tuple[RunCell, RunCell]]:
    """Pair cells on the same test set under the same seed; cells of other seeds face each other in order."""
    pairs = []
    for test in dict.fromkeys(one.test for one in ours):
        a = sorted((one for one in ours if one.test == test), key=lambda one: one.seed)
        b = sorted((one for one in theirs if one.test == test), key=lambda one: one.seed)
        pairs += list(zip(a, b, strict=False))
    return pairs


def _singles(run: Run, labels: Sequence[str]) -> tuple[str, ...]:
    """List the labels to compute: all of them where the mean is asked for or nothing is."""
    return tuple(labels) if labels and MEAN not in labels else run.suite.labels


def _wanted(found: Sequence[Contrast], labels: Sequence[str]) -> list[Contrast]:
    """Keep what is asked for; a metric over all classes is always meant."""
    if not labels:
        return [one for one in found if one.name != MEAN]
    kept = [one for one in found if one.name in labels]
    return kept or [one for one in found if len(found) == 1]


def _called(one: RunCell, found: Contrast) -> Contrast:
    return found.called(_name(f"{one.model} {one.training_set}", found.name))


def _name(*words: str) -> str:
    return " ".join(words)
