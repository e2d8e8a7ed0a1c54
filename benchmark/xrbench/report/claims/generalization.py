"""Claims about generalization: the gap, training sets and networks against each other, and findings that are recognised badly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from xrbench import statistics
from xrbench.cards import Claim
from xrbench.metrics import metric_title, parse_as
from xrbench.report.claims.verdict import Direction, Verdict, unanswered, verdict_on
from xrbench.report.effects import Contrast, groups, label_effects, measured, paired, unpaired
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import MEAN
from xrbench.runs.run_cell import RunCell

Cells = list[RunCell]
DIRECTIONS: Mapping[str, tuple[Direction, str]] = {"higher": ("positive", "above"), "lower": ("negative", "below")}
"""Better direction of a metric -> the side of 0 on which a gain is."""


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
    """Claim that figures are better on held-out patients than on another dataset, for every model, training set and label.

    Options:
        metric: As for all claims.
        labels: As for all claims.
        configurations: As for all claims.
        direction: ``positive`` when internal is better, ``alike`` when the two are within the margin.
        margin: For ``alike``: the smallest gap that matters.
        ensembles: Whether it is about ensembles, instead of single fits.
    """
    parts: list[Contrast] = []
    for internal in _groups(run, "internal", configurations, ensembles=ensembles):
        external = _same_method(run, internal[0], "external", internal[0].training_set)
        effects = unpaired(run, internal, external, metric=metric, labels=_computed(run, labels))
        parts += _named(effects, labels, f"{internal[0].model} {internal[0].training_set}")
    at = " at one prevalence (the internal one)" if parse_as(run.suite.task, metric).moves_with_prevalence else ""
    what = f"internal minus external {metric_title(metric)}{at}"
    how = "patients left out one at a time, two sets of patients"
    if direction == "positive":
        return _gain(run, claim, metric, parts, what, f": {how}")
    alike = f"{what} within {margin:g}: two one-sided tests, patients left out one at a time"
    test = alike if direction == "alike" else f"{what}, {direction}: {how}"
    return verdict_on(run, claim, parts, test, direction=direction, margin=margin)


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
    """Claim that one training set gives better figures than another, for every model and label.

    Options:
        challenger: The training set that is said to be better.
        baseline: The other one.
        protocol: ``external`` compares on the same images; ``internal`` compares each on its own held-out patients, and a patient of
            both counts as one.
        metric: As for all claims.
        labels: Labels that it is about; ``mean`` is the mean over all, which is the default.
        models: Networks that it is about; all by default.
        ensembles: Whether it is about ensembles, instead of single fits.
    """
    chosen = tuple(labels) or (MEAN,)
    parts: list[Contrast] = []
    for first in _groups(run, protocol, (challenger,), ensembles=ensembles):
        if models and first[0].model not in models:
            continue
        second = _same_method(run, first[0], protocol, baseline)
        if protocol == "external":
            effects = paired(run, _same_images(first, second), metric=metric, labels=_computed(run, chosen))
        else:
            effects = unpaired(run, first, second, metric=metric, labels=_computed(run, chosen))
        parts += _named(effects, chosen, first[0].model)
    how = "paired over patients of the same images" if protocol == "external" else "each on its own held-out patients"
    what = f"{protocol} {metric_title(metric)} of {challenger} minus {baseline}"
    return _gain(run, claim, metric, parts, what, f": {how}")


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
    """Claim that two networks are alike: their figures on the same images are within a margin, for every training set and label.

    Options:
        margin: The smallest difference that matters.
        models: The two networks; the first two that were measured by default.
        protocols: As for all claims.
        metric: As for all claims.
        labels: As for all claims.
    """
    test = f"{metric_title(metric)} of two networks on the same images within {margin:g}: two one-sided tests, paired over patients"
    pair = tuple(models) or tuple(dict.fromkeys(cell.model for cell in measured(run, members=1)))[:2]
    if len(pair) != 2:
        return unanswered(claim.text, test=test, reason="fewer than two networks were measured")
    parts: list[Contrast] = []
    for protocol in protocols:
        for first in _groups(run, protocol, (), ensembles=False):
            if first[0].model != pair[0]:
                continue
            same = {"method": first[0].method, "training_set": first[0].training_set}
            second = measured(run, protocol=protocol, model=pair[1], members=1, **same)
            effects = paired(run, _same_images(first, second), metric=metric, labels=_computed(run, labels))
            parts += _named(effects, labels, f"{first[0].training_set} {protocol}")
    return verdict_on(run, claim, parts, test, direction="alike", margin=margin)


def label_weaker(
    run: Run, claim: Claim, *, label: str, protocols: Sequence[str] = ("internal", "external"), metric: str = "auc"
) -> Verdict:
    """Claim that a finding is recognised worse than the others are on average, for every model and training set.

    Options:
        label: The finding.
        protocols: As for all claims.
        metric: As for all claims.
    """
    parts = []
    for protocol in protocols:
        for cells in _groups(run, protocol, (), ensembles=False):
            effect = _against_others(run, cells, label, metric)
            parts += [effect.named(f"{cells[0].model} {cells[0].training_set} {protocol}")] if effect else []
    what = f"mean {metric_title(metric)} of the other labels minus that of {label}"
    return _gain(run, claim, metric, parts, what, ", on the same patients")


def _gain(run: Run, claim: Claim, metric: str, parts: Sequence[Contrast], what: str, how: str) -> Verdict:
    """Test that all differences are gains: above 0 where higher figures are better, below 0 where lower ones are.

    Args:
        run: The run.
        claim: The claim.
        metric: The metric that is compared.
        parts: The differences.
        what: Description of the difference.
        how: Description of the test, with the punctuation before it.
    """
    better = parse_as(run.suite.task, metric).better
    if better == "neither":
        return unanswered(claim.text, test=what + how, reason="neither higher nor lower figures are better")
    direction, side = DIRECTIONS[better]
    return verdict_on(run, claim, parts, f"{what} {side} 0{how}", direction=direction)


def _against_others(run: Run, cells: Cells, label: str, metric: str) -> Contrast | None:
    """Subtract a label's figure from the mean of the other labels' figures in the same cells."""
    labelled = label_effects.labelled_cells(run, (cells,), run.suite.labels)
    if labelled is None or label not in run.suite.labels:
        return None

    def only(cell: statistics.Predictions, number: int) -> statistics.Predictions:
        truth, score = (np.asarray(each)[:, [number]] for each in (cell.truth, cell.score))
        return replace(cell, truth=truth, score=score)

    # Every other label is a cell of its own with one label, so that the mean over cells is the mean over labels.
    column = run.suite.labels.index(label)
    others = [only(cell, at) for cell in labelled[0] for at in range(len(run.suite.labels)) if at != column]
    alone = [only(cell, column) for cell in labelled[0]]
    options = label_effects.options_of(run)
    gaps = statistics.gap(others, alone, metric=metric, labels=(label,), task="multilabel", **options)
    return label_effects.from_gap(gaps[0], (others, alone))


def _groups(run: Run, protocol: str, configurations: Sequence[str], *, ensembles: bool) -> list[Cells]:
    """Group the cells of each method, model, training set and test: the seeds of one group differ."""
    cells = measured(run, protocol=protocol, seen=False, training_set=tuple(configurations) or None)
    kept = [cell for cell in cells if (cell.members > 1) == ensembles]
    return list(groups(kept, "method", "model", "training_set", "test").values())


def _same_method(run: Run, cell: RunCell, protocol: str, training_set: str) -> Cells:
    """List the cells of the same method and model under a protocol and a training set."""
    same = {"method": cell.method, "model": cell.model, "seen": False}
    return measured(run, protocol=protocol, training_set=training_set, **same)


def _same_images(first: Cells, second: Cells) -> list[tuple[RunCell, RunCell]]:
    """Pair cells on the same test set by the order of their seeds, which need not be the same numbers."""
    pairs = []
    for test in dict.fromkeys(cell.test for cell in first):
        a, b = (sorted((c for c in cells if c.test == test), key=lambda c: c.seed) for cells in (first, second))
        pairs += list(zip(a, b, strict=False))
    return pairs


def _computed(run: Run, labels: Sequence[str]) -> tuple[str, ...]:
    """List the labels to compute: all of them where the mean is meant or none is named."""
    return tuple(labels) if labels and MEAN not in labels else run.suite.labels


def _named(effects: Sequence[Contrast], labels: Sequence[str], name: str) -> list[Contrast]:
    """Keep the effects of the labels of a claim, and put a name before theirs.

    Without labels all but the mean are kept; a metric over all classes has a single effect, which is always kept.
    """
    if labels:
        kept = [effect for effect in effects if effect.name in labels] or [
            each for each in effects if len(effects) == 1
        ]
    else:
        kept = [effect for effect in effects if effect.name != MEAN]
    return [effect.named(f"{name} {effect.name}") for effect in kept]
