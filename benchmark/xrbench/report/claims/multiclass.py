"""Claims about exclusive classes: accuracy, ensembles, which classes are predicted and recognised, and how sure networks are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from xrbench.cards import Claim
from xrbench.metrics.naive import naive_accuracy
from xrbench.rendering.numbers import number
from xrbench.report.claims.verdict import Verdict, unanswered, weighed
from xrbench.report.effects import Contrast, class_effects, groups, measured
from xrbench.report.effects.cells import RESUBSTITUTION, known
from xrbench.report.effects.class_effects import Value
from xrbench.report.run_folder import Run
from xrbench.report.tables.multiclass import ensembles_or_all
from xrbench.runs.run_cell import RunCell
from xrbench.statistics.inference.correlation import rank_correlation

PROPORTIONAL = "proportional"
Values = npt.NDArray[np.float64]


def accuracy_above(
    run: Run,
    claim: Claim,
    *,
    floor: float | str,
    protocol: str = "external",
    configurations: Sequence[str] = (),
) -> Verdict:
    """Judge that the accuracy is above a number, or above what guessing gets, for every training set.

    Args:
        run: The run.
        claim: The claim.
        floor: A number, or ``proportional``: guessing each class as often as the test set has it.
        protocol: ``internal`` or ``external``; figures on training images answer no such claim.
        configurations: Training sets that it is about; all by default.
    """
    test = f"{protocol} accuracy above {floor if isinstance(floor, str) else format(floor, 'g')}: patients as clusters"
    parts = []
    for one in _ensembles(run, protocol, configurations):
        found = class_effects.classes_of(run, one)
        if found is not None:
            null = (
                naive_accuracy(found.counts(), found.counts()).proportional if floor == PROPORTIONAL else float(floor)
            )
            parts += _named(class_effects.against(run, [one], class_effects.right, null=null), one.training_set)
    return _weighed(run, claim, parts, test)


def ensemble_gain(
    run: Run, claim: Claim, *, protocols: Sequence[str] = ("internal",), configurations: Sequence[str] = ()
) -> Verdict:
    """Judge that an ensemble is right more often than its members are on average, on the same images.

    Args:
        run: The run.
        claim: The claim.
        protocols: Tests that it is about; ``resubstitution`` compares two figures on the same training images.
        configurations: Training sets that it is about; all by default.
    """
    parts = []
    for protocol in protocols:
        for whole in _ensembles(run, protocol, configurations):
            members = [
                one
                for one in measured(run, protocol=protocol, model=whole.model, test=whole.test, members=1)
                if one.training_set == whole.training_set
            ]
            if whole.members > 1 and members:
                parts += _named(class_effects.gain(run, whole, members), f"{whole.training_set} {protocol}")
    return _weighed(
        run, claim, parts, "accuracy of the ensemble minus the mean of its fits above 0: paired over patients"
    )


def most_predicted(
    run: Run,
    claim: Claim,
    *,
    predicted: str,
    floor: float = 0.5,
    protocol: str = "external",
    configurations: Sequence[str] = (),
) -> Verdict:
    """Judge that more than a share of all images is given one class, for every training set.

    Args:
        run: The run.
        claim: The claim.
        predicted: The class.
        floor: The share.
        protocol: The kind of test.
        configurations: Training sets that it is about; all by default.
    """
    value = class_effects.called(_number(run, predicted))
    parts = []
    for one in _ensembles(run, protocol, configurations):
        parts += _named(class_effects.against(run, [one], value, null=floor), one.training_set)
    return _weighed(run, claim, parts, f"share of {protocol} images that are called {predicted} above {floor:g}")


def predicted_next(
    run: Run,
    claim: Claim,
    *,
    predicted: str,
    after: Sequence[str],
    protocol: str = "external",
    configurations: Sequence[str] = (),
) -> Verdict:
    """Judge that one class is predicted more often than each other one, except those that come before it.

    Args:
        run: The run.
        claim: The claim.
        predicted: The class.
        after: Classes that are predicted more often still.
        protocol: The kind of test.
        configurations: Training sets that it is about; all by default.
    """

    def more(mine: Value, other: Value) -> Value:
        return lambda found: mine(found) - other(found)

    parts = []
    for one in _ensembles(run, protocol, configurations):
        for label in run.suite.labels:
            if label != predicted and label not in after:
                value = more(class_effects.called(_number(run, predicted)), class_effects.called(_number(run, label)))
                found = class_effects.against(run, [one], value, null=0.0, share=False)
                parts += _named(found, f"{one.training_set} {label}")
    return _weighed(run, claim, parts, f"share called {predicted} minus share called each other class above 0")


def best_recalled(
    run: Run, claim: Claim, *, recalled: str, protocol: str = "external", configurations: Sequence[str] = ()
) -> Verdict:
    """Judge that one class is recognised better than each of the others, for every training set.

    Args:
        run: The run.
        claim: The claim.
        recalled: The class.
        protocol: The kind of test.
        configurations: Training sets that it is about; all by default.
    """
    mine = class_effects.of_class(class_effects.right, _number(run, recalled))
    parts = []
    for one in _ensembles(run, protocol, configurations):
        for at, label in enumerate(run.suite.labels):
            if label != recalled:
                other = class_effects.of_class(class_effects.right, at)
                parts += _named(class_effects.between(run, [one], mine, other), f"{one.training_set} {label}")
    return _weighed(
        run, claim, parts, f"recall of {recalled} minus that of each other class above 0: patients as clusters"
    )


def recall_rises(run: Run, claim: Claim, *, protocol: str = "external", configurations: Sequence[str] = ()) -> Verdict:
    """Judge that classes with more training images are recognised better, by the rank correlation over classes.

    With k classes the smallest possible two-sided p-value is 2 / k!: with fewer than four, nothing can be told.

    Args:
        run: The run.
        claim: The claim.
        protocol: The kind of test.
        configurations: Training sets that it is about; all by default.
    """
    parts = []
    for one in _ensembles(run, protocol, configurations):
        counts, found = class_effects.training_counts(run, one.training_set), class_effects.classes_of(run, one)
        if counts is not None and found is not None:
            there = [at for at in range(len(counts)) if (found.found.truth == at).any()]
            recall = np.array([found.right[found.found.truth == at].mean() for at in there])
            parts.append(_rank_correlation(counts[there].astype(float), recall, one.training_set, len(found.right)))
    test = "Spearman's correlation of training images and recall over classes above 0: all orders of the classes"
    return _weighed(run, claim, parts, test)


def confidence_falls(run: Run, claim: Claim, *, configurations: Sequence[str] = ()) -> Verdict:
    """Judge that networks are less sure on another dataset: the mean probability of the predicted class.

    Args:
        run: The run.
        claim: The claim.
        configurations: Training sets that it is about; all with held-out images by default.
    """
    parts = []
    for inside in _ensembles(run, "internal", configurations):
        outside = [
            one
            for one in measured(run, protocol="external", method=inside.method, model=inside.model)
            if one.training_set == inside.training_set
        ]
        if outside:
            parts += _named(
                class_effects.unpaired(run, [inside], outside, class_effects.confidence), inside.training_set
            )
    return _weighed(run, claim, parts, "mean probability of the predicted class, internal minus external, above 0")


def not_comparable(run: Run, claim: Claim, *, configuration: str, other: str = "") -> Verdict:
    """Answer a claim that sets a figure on training images against one on other images: nothing follows from the two.

    Args:
        run: The run.
        claim: The claim.
        configuration: The training set whose fits learned from the images that they are tested on.
        other: A training set whose held-out images are meant; by default it is the images of another dataset.
    """
    where = (other, "internal") if other else (configuration, "external")
    texts = []
    for name, protocol in ((configuration, RESUBSTITUTION), where):
        cells = measured(run, training_set=name, protocol=protocol)
        found = class_effects.classes_of(run, ensembles_or_all(cells)[0]) if cells else None
        shown = "not measured" if found is None else f"accuracy {number(float(found.right.mean()), 3)}"
        texts.append(f"{name} {'on its training images' if protocol == RESUBSTITUTION else protocol}: {shown}")
    why = "none: on training images accuracy is another quantity than on others; nothing follows from their difference"
    return unanswered(claim.text, test=why, reason="; ".join(texts))


def _ensembles(run: Run, protocol: str, configurations: Sequence[str]) -> list[RunCell]:
    """List the ensembles of each training set, or its fits where there is none."""
    if run.suite.task != "multiclass":
        return []
    cells = [one for one in measured(run, protocol=protocol) if not one.seen]
    kept = [one for one in cells if not configurations or one.training_set in configurations]
    return [one for mine in groups(kept, "model", "training_set", "test").values() for one in ensembles_or_all(mine)]


def _weighed(run: Run, claim: Claim, parts: Sequence[Contrast], test: str) -> Verdict:
    return weighed(claim.text, parts, direction="positive", test=test, level=run.suite.interval.level)


def _named(found: Contrast | None, name: str) -> list[Contrast]:
    return [] if found is None else [found.called(name)]


def _number(run: Run, label: str) -> int:
    return run.suite.labels.index(known(run, "class", label, run.suite.labels, where="claim"))


def _rank_correlation(x: Values, y: Values, name: str, images: int) -> Contrast:
    nan, found = math.nan, rank_correlation(x, y)
    reason = f"{name}: fewer than four classes, or all alike" if math.isnan(found.p) else ""
    return Contrast(name, found.rho, 0.0, found.rho, nan, nan, found.p, nan, images=images, reason=reason)
