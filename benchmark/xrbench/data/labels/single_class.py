"""Selection of images with exactly one class, for multi-class tasks, from images with any number of findings.

An image can have several published labels; a softmax over classes needs exactly one. A declared rule decides which images take
part and with which class, and the images that it leaves out are counted. A cap on the images of a class draws by a hash of the
image's id, so that neither the order of the rows nor the other images decide whether one is drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xrbench.cards import ClassRule
from xrbench.errors import CardError, DataError, suggestion

NONE = -1
"""Class number of an image that is left out."""

EVERY_OTHER = "*"
"""Key of the cap of all datasets without one of their own."""

Truth = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClassChoice:
    """Classes of a dataset's images under a class rule.

    Attributes:
        number: Class of each row, int64 of shape (n,): a position in the labels, or -1 where the row is left out.
        truth: float32 of shape (n, labels): 1 in the column of the class and 0 elsewhere; NaN in rows that are left out.
        before, after: Label -> images of that class, before and after the cap.
        without: Images left out because none of the labels is positive.
        several: Images with more than one positive label, whether the rule leaves them out or chooses one.
        left_out: Images that the rule leaves out for having several labels; 0 where it chooses one.
    """

    number: Numbers
    truth: Truth
    before: dict[str, int]
    after: dict[str, int]
    without: int
    several: int
    left_out: int

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Mask of the rows that are not left out, shape (n,)."""
        return np.asarray(self.number != NONE)


def single_class(
    truth: Truth, labels: Sequence[str], rule: ClassRule, *, dataset: str, images: Sequence[str] | npt.NDArray[np.str_]
) -> ClassChoice:
    """Assign each image of a dataset to one class, or leave it out.

    Args:
        truth: 1, 0 or NaN after the label policy, shape (n, labels). Only 1 counts as a finding: 0 and NaN do not.
        labels: The classes, in the order of the columns.
        rule: ``exactly-one`` keeps images with one positive label; ``first`` takes the first positive label in the order of
            ``labels``; ``most-frequent`` the positive label that most of these images have, the earlier one of equals. Its
            cap for the dataset (0 or absent: none) then keeps that many images of a class.
        dataset: Name of the dataset, as the caps name it.
        images: Id of each row; with the rule's seed it alone decides the draw of a cap.

    Raises:
        CardError: A cap is below 0.
        DataError: No image is left.

    >>> truth = np.array([[1, 0], [1, 1], [0, np.nan], [0, 1]], np.float32)
    >>> choice = single_class(truth, ["Edema", "Mass"], ClassRule(), dataset="nih", images=["a", "b", "c", "d"])
    >>> choice.number.tolist(), choice.after, choice.without, choice.left_out
    ([0, -1, -1, 1], {'Edema': 1, 'Mass': 1}, 1, 1)
    """
    positive = truth == 1
    count = positive.sum(axis=1)
    number = _choose_class(positive, rule)
    before = np.bincount(number[number != NONE], minlength=len(labels))
    number = _apply_cap(number, images, cap_of(rule, dataset), rule.seed)
    kept = number != NONE
    if not kept.any():
        raise DataError(
            f"{dataset}: class rule {rule.rule!r} leaves no image: of {len(number):,}, {int((count == 0).sum()):,} have none of "
            f"the labels {', '.join(labels)} and {int((count > 1).sum()):,} have several"
        )
    # NaN throughout a row leaves it out of losses and metrics
    one_hot = np.full(truth.shape, np.nan, np.float32)
    one_hot[kept] = 0
    one_hot[np.flatnonzero(kept), number[kept]] = 1
    after = np.bincount(number[kept], minlength=len(labels))
    several = int((count > 1).sum())
    return ClassChoice(
        number=number,
        truth=one_hot,
        before=dict(zip(labels, before.tolist(), strict=True)),
        after=dict(zip(labels, after.tolist(), strict=True)),
        without=int((count == 0).sum()),
        several=several,
        left_out=several if rule.rule == "exactly-one" else 0,
    )


def cap_of(rule: ClassRule, dataset: str) -> int:
    """Return the cap on a dataset's images of one class; 0 for no cap.

    Raises:
        CardError: It is below 0.

    >>> cap_of(ClassRule(caps={"*": 900, "vindr": 0}), "chexpert"), cap_of(ClassRule(caps={"*": 900, "vindr": 0}), "vindr")
    (900, 0)
    """
    cap = rule.caps.get(dataset, rule.caps.get(EVERY_OTHER, 0))
    if cap < 0:
        raise CardError(f"classes.caps: {dataset}: expected 0 (no cap) or more images of a class, got {cap}")
    return cap


def check_caps(rule: ClassRule, datasets: Iterable[str], *, where: str = "") -> None:
    """Check that caps are not below 0 and belong to datasets of the suite.

    Args:
        rule: The class rule.
        datasets: All datasets of the suite.
        where: The suite, for messages.

    Raises:
        CardError: A cap is below 0, or its dataset is unknown; the nearest name is offered.
    """
    place, known = f"{where}: " if where else "", set(datasets)
    for name, cap in rule.caps.items():
        if name != EVERY_OTHER and name not in known:
            raise CardError(f"{place}classes.caps: unknown dataset {name!r}{suggestion(name, known)}")
        if cap < 0:
            raise CardError(f"{place}classes.caps: {name}: expected 0 (no cap) or more images of a class, got {cap}")


def check_classes(
    train: Mapping[str, int], tests: Mapping[str, Mapping[str, int]], labels: Sequence[str], where: str
) -> tuple[str, ...]:
    """Check that every class has a training image, and report classes that a test set lacks.

    Args:
        train: Label -> training images of that class.
        tests: Test set -> label -> its images of that class.
        labels: The classes.
        where: The training set, such as ``vindr (val-split)``.

    Returns:
        One line for each class that some test set lacks.

    Raises:
        DataError: A class has no training image; all such classes are named, with the test sets that have them.

    >>> check_classes({"Edema": 9, "Mass": 2}, {"chexpert": {"Edema": 4}}, ["Edema", "Mass"], "vindr (val-split)")
    ("class 'Mass' has 2 training images in vindr (val-split) but none in chexpert: it cannot be judged there",)
    """
    absent = [label for label in labels if not train.get(label)]
    if absent:
        raise DataError(
            "; ".join(_no_training_image(label, tests, where) for label in absent)
            + "; a class is trained on images of it"
        )
    return tuple(
        f"class {label!r} has {train[label]:,} training images in {where} but none in {', '.join(missing)}: "
        "it cannot be judged there"
        for label in labels
        if (missing := [name for name, counts in tests.items() if not counts.get(label)])
    )


def _no_training_image(label: str, tests: Mapping[str, Mapping[str, int]], where: str) -> str:
    tests_with_it = [f"{counts[label]:,} in {name}" for name, counts in tests.items() if counts.get(label)]
    elsewhere = f"but {', '.join(tests_with_it)}" if tests_with_it else "and none in any test set"
    return f"class {label!r} has no training image in {where} {elsewhere}"


def _choose_class(positive: npt.NDArray[np.bool_], rule: ClassRule) -> Numbers:
    """Choose the class of each row of positive labels, shape (n, labels); -1 where the rule chooses none."""
    count = positive.sum(axis=1)
    order = np.arange(positive.shape[1])
    if rule.rule == "most-frequent":
        order = np.argsort(-positive.sum(axis=0), kind="stable")
    # argmax returns the first True along the rule's order of labels
    chosen = order[np.argmax(positive[:, order], axis=1)]
    chooses = count == 1 if rule.rule == "exactly-one" else count > 0
    return np.where(chooses, chosen, NONE).astype(np.int64)


def _apply_cap(number: Numbers, images: Sequence[str] | npt.NDArray[np.str_], cap: int, seed: int) -> Numbers:
    if not cap:
        return number
    kept = number.copy()
    for label in np.unique(number[number != NONE]):
        rows = np.flatnonzero(number == label).tolist()
        ordered = sorted(rows, key=lambda row: _hash(seed, str(images[row])))
        kept[ordered[cap:]] = NONE
    return kept


def _hash(seed: int, image: str) -> tuple[bytes, str]:
    return hashlib.blake2b(f"class cap\x1f{seed}\x1f{image}".encode(), digest_size=8).digest(), image
