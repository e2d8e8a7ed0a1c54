"""Claims about multi-class suites: accuracy, ensembles, which classes are predicted and recalled, and confidence."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from xrbench.cards import Claim
from xrbench.metrics.naive import naive_accuracy
from xrbench.rendering.numbers import number
from xrbench.report.claims.verdict import Verdict, unanswered, verdict_on
from xrbench.report.effects import Contrast, class_effects, groups, measured
from xrbench.report.effects.cells import RESUBSTITUTION, known
from xrbench.report.run_folder import Run
from xrbench.report.tables.multiclass import ensembles_or_all
from xrbench.runs.run_cell import RunCell
from xrbench.statistics.inference.correlation import rank_correlation

PROPORTIONAL = "proportional"
Effect = Callable[[RunCell, str], Contrast | None]
"""Cell, and class that it is compared with -> difference; None where it cannot be computed."""


def accuracy_above(
    run: Run,
    claim: Claim,
    *,
    floor: float | str,
    protocol: str = "external",
    configurations: Sequence[str] = (),
) -> Verdict:
    """Claim that the accuracy is above a number, or above that of guessing, for every training set.

    Options:
        floor: A number, or ``proportional``: guessing each class as often as the test set has it.
        protocol: As for all claims; figures on training images answer no such claim.
        configurations: As for all claims.
    """

    def above_floor(cell: RunCell, _: str) -> Contrast | None:
        classes = class_effects.classes_of(run, cell)
        if classes is None:
            return None
        counts = classes.counts()
        null = naive_accuracy(counts, counts).proportional if floor == PROPORTIONAL else float(floor)
        return class_effects.against(run, [cell], class_effects.correct, null=null)

    shown = floor if isinstance(floor, str) else format(floor, "g")
    parts = _effects(_cells(run, protocol, configurations), above_floor)
    return verdict_on(run, claim, parts, f"{protocol} accuracy above {shown}: patients as clusters")


def ensemble_gain(
    run: Run, claim: Claim, *, protocols: Sequence[str] = ("internal",), configurations: Sequence[str] = ()
) -> Verdict:
    """Claim that an ensemble is right more often than its members are on average, on the same images.

    Options:
        protocols: As for all claims; ``resubstitution`` compares two figures on the same training images.
        configurations: As for all claims.
    """

    def gain(whole: RunCell, _: str) -> Contrast | None:
        same = {"model": whole.model, "test": whole.test, "training_set": whole.training_set}
        members = measured(run, protocol=whole.protocol, members=1, **same)
        return class_effects.gain(run, whole, members) if whole.members > 1 and members else None

    parts = []
    for protocol in protocols:
        parts += _effects(_cells(run, protocol, configurations), gain, (protocol,))
    return verdict_on(
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
    """Claim that one class is predicted for more than a share of all images, for every training set.

    Options:
        predicted: The class.
        floor: The share.
        protocol: As for all claims.
        configurations: As for all claims.
    """
    value = class_effects.predicted(_number(run, predicted))
    parts = _effects(
        _cells(run, protocol, configurations),
        lambda cell, _: class_effects.against(run, [cell], value, null=floor),
    )
    return verdict_on(run, claim, parts, f"share of {protocol} images that are called {predicted} above {floor:g}")


def predicted_next(
    run: Run,
    claim: Claim,
    *,
    predicted: str,
    after: Sequence[str],
    protocol: str = "external",
    configurations: Sequence[str] = (),
) -> Verdict:
    """Claim that one class is predicted more often than each other one, except those that come before it.

    Options:
        predicted: The class.
        after: Classes that are predicted more often still.
        protocol: As for all claims.
        configurations: As for all claims.
    """
    first = class_effects.predicted(_number(run, predicted))

    def more(cell: RunCell, label: str) -> Contrast | None:
        second = class_effects.predicted(_number(run, label))
        return class_effects.against(
            run, [cell], lambda classes: first(classes) - second(classes), null=0.0, share=False
        )

    others = [label for label in run.suite.labels if label != predicted and label not in after]
    parts = _effects(_cells(run, protocol, configurations), more, others)
    return verdict_on(run, claim, parts, f"share called {predicted} minus share called each other class above 0")


def best_recalled(
    run: Run, claim: Claim, *, recalled: str, protocol: str = "external", configurations: Sequence[str] = ()
) -> Verdict:
    """Claim that the recall of one class is above that of each of the others, for every training set.

    Options:
        recalled: The class.
        protocol: As for all claims.
        configurations: As for all claims.
    """
    first = class_effects.of_class(class_effects.correct, _number(run, recalled))

    def above(cell: RunCell, label: str) -> Contrast | None:
        second = class_effects.of_class(class_effects.correct, _number(run, label))
        return class_effects.between(run, [cell], first, second)

    others = [label for label in run.suite.labels if label != recalled]
    parts = _effects(_cells(run, protocol, configurations), above, others)
    return verdict_on(
        run, claim, parts, f"recall of {recalled} minus that of each other class above 0: patients as clusters"
    )


def recall_rises(run: Run, claim: Claim, *, protocol: str = "external", configurations: Sequence[str] = ()) -> Verdict:
    """Claim that classes with more training images have a higher recall, by the rank correlation over classes.

    With k classes the smallest possible two-sided p-value is 2 / k!: with fewer than four, nothing can be told.

    Options:
        protocol: As for all claims.
        configurations: As for all claims.
    """
    parts = []
    for cell in _cells(run, protocol, configurations):
        counts, classes = class_effects.training_counts(run, cell.training_set), class_effects.classes_of(run, cell)
        if counts is not None and classes is not None:
            tested_classes = [at for at in range(len(counts)) if (classes.classified.truth == at).any()]
            recall = np.array([classes.correct[classes.classified.truth == at].mean() for at in tested_classes])
            images = counts[tested_classes].astype(float)
            parts.append(_rank_correlation(images, recall, cell.training_set, len(classes.correct)))
    test = "Spearman's correlation of training images and recall over classes above 0: all orders of the classes"
    return verdict_on(run, claim, parts, test)


def confidence_falls(run: Run, claim: Claim, *, configurations: Sequence[str] = ()) -> Verdict:
    """Claim that the mean probability of the predicted class is lower on another dataset than on held-out images.

    Options:
        configurations: As for all claims.
    """

    def fall(internal: RunCell, _: str) -> Contrast | None:
        same = {"method": internal.method, "model": internal.model, "training_set": internal.training_set}
        external = measured(run, protocol="external", **same)
        return class_effects.unpaired(run, [internal], external, class_effects.confidence) if external else None

    parts = _effects(_cells(run, "internal", configurations), fall)
    return verdict_on(run, claim, parts, "mean probability of the predicted class, internal minus external, above 0")


def not_comparable(run: Run, claim: Claim, *, configuration: str, other: str = "") -> Verdict:
    """Answer a claim that compares a figure on training images with one on other images: nothing follows from the two.

    Options:
        configuration: The training set whose fits were trained on the images that they are tested on.
        other: A training set whose held-out images are meant; by default it is the images of another dataset.
    """
    compared = (other, "internal") if other else (configuration, "external")
    texts = []
    for name, protocol in ((configuration, RESUBSTITUTION), compared):
        cells = measured(run, training_set=name, protocol=protocol)
        classes = class_effects.classes_of(run, ensembles_or_all(cells)[0]) if cells else None
        shown = "not measured" if classes is None else f"accuracy {number(float(classes.correct.mean()), 3)}"
        texts.append(f"{name} {'on its training images' if protocol == RESUBSTITUTION else protocol}: {shown}")
    why = "none: on training images accuracy is another quantity than on others; nothing follows from their difference"
    return unanswered(claim.text, test=why, reason="; ".join(texts))


def _cells(run: Run, protocol: str, configurations: Sequence[str]) -> list[RunCell]:
    """List the ensembles of each training set, or its fits where there is none."""
    if run.suite.task != "multiclass":
        return []
    cells = measured(run, protocol=protocol, seen=False, training_set=tuple(configurations) or None)
    tests = groups(cells, "model", "training_set", "test").values()
    return [cell for members in tests for cell in ensembles_or_all(members)]


def _effects(cells: Sequence[RunCell], effect: Effect, compared: Sequence[str] = ("",)) -> list[Contrast]:
    """Compute a difference for each cell, and for each of the names that it is compared with; those without are left out."""
    parts = []
    for cell in cells:
        for name in compared:
            contrast = effect(cell, name)
            if contrast is not None:
                parts.append(contrast.named(f"{cell.training_set} {name}".rstrip()))
    return parts


def _number(run: Run, label: str) -> int:
    return run.suite.labels.index(known(run, "class", label, run.suite.labels, where="claim"))


def _rank_correlation(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], name: str, images: int) -> Contrast:
    nan, correlation = math.nan, rank_correlation(x, y)
    reason = f"{name}: fewer than four classes, or all alike" if math.isnan(correlation.p) else ""
    rho = correlation.rho
    return Contrast(name, rho, 0.0, rho, nan, nan, correlation.p, nan, images=images, reason=reason)
