"""From images with any number of findings to images with exactly one class.

Published labels may stand side by side in one image; a softmax over classes wants one each. Which images take part and what
each is taken for is a declared rule, and what the rule leaves out is counted. A cap on the images of a class draws by a
hash of the image's id, so that neither the order of the rows nor the other images decide whether one is kept.
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
"""Class number of an image that takes no part."""

EVERY_OTHER = "*"
"""Key of the caps for all datasets that are not named."""

Truth = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClassChoice:
    """What a class rule makes of a dataset's images.

    Attributes:
        number: Class of each row, int64 of shape (n,): a position in the labels, or -1 where the row takes no part.
        truth: float32 of shape (n, labels): 1 in the column of the class and 0 elsewhere; NaN in rows that take no part.
        before, after: Label -> images of that class, before and after the cap.
        without: Images left out since none of the labels is positive.
        several: Images with more than one positive label, whether the rule leaves them out or chooses among the labels.
        left_out: Images that the rule leaves out for having several labels; 0 where it chooses.
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
        """Which rows take part, shape (n,)."""
        return np.asarray(self.number != NONE)


def single_class(
    truth: Truth, labels: Sequence[str], rule: ClassRule, *, dataset: str, images: Sequence[str] | npt.NDArray[np.str_]
) -> ClassChoice:
    """Give each image of a dataset its class, or leave it out.

    Args:
        truth: 1, 0 or NaN after the label policy, shape (n, labels). Only a 1 is a finding: 0 and NaN are its absence.
        labels: The classes, in the order of the columns.
        rule: ``exactly-one`` keeps images with one positive label; ``first`` takes the first positive label in the order of
            ``labels``; ``most-frequent`` the positive label that most of these images have, the earlier one when equal.
            Its cap for the dataset (0 or not named: none) then keeps that many images of a class.
        dataset: Name of the dataset, as the caps name it.
        images: Id of each row; it alone decides, with the rule's seed, whether a cap keeps an image.

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
    number = _choose(positive, rule)
    before = np.bincount(number[number != NONE], minlength=len(labels))
    number = _capped(number, images, cap_of(rule, dataset), rule.seed)
    kept = number != NONE
    if not kept.any():
        raise DataError(
            f"{dataset}: class rule {rule.rule!r} leaves no image: of {len(number):,}, {int((count == 0).sum()):,} have none of "
            f"the labels {', '.join(labels)} and {int((count > 1).sum()):,} have several"
        )
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
    """Return the cap on a dataset's images of one class; 0 is none.

    Raises:
        CardError: It is below 0.

    >>> cap_of(ClassRule(caps={"*": 900, "vindr": 0}), "chexpert"), cap_of(ClassRule(caps={"*": 900, "vindr": 0}), "vindr")
    (900, 0)
    """
    cap = rule.caps.get(dataset, rule.caps.get(EVERY_OTHER, 0))
    if cap < 0:
        raise CardError(f"classes.caps: {dataset}: wanted 0 (no cap) or more images of a class, got {cap}")
    return cap


def check_caps(rule: ClassRule, datasets: Iterable[str], *, where: str = "") -> None:
    """Refuse caps of datasets that a suite does not have, and caps below 0.

    Args:
        rule: The class rule.
        datasets: All datasets of the suite.
        where: The suite, for messages.

    Raises:
        CardError: The first cap that means nothing, with the nearest known name.
    """
    place, known = f"{where}: " if where else "", set(datasets)
    for name, cap in rule.caps.items():
        if name != EVERY_OTHER and name not in known:
            raise CardError(f"{place}classes.caps: unknown dataset {name!r}{suggestion(name, known)}")
        if cap < 0:
            raise CardError(f"{place}classes.caps: {name}: wanted 0 (no cap) or more images of a class, got {cap}")


def check_classes(
    train: Mapping[str, int], tests: Mapping[str, Mapping[str, int]], labels: Sequence[str], where: str
) -> tuple[str, ...]:
    """Refuse a training set without an image of some class, and say which classes a test set cannot judge.

    Args:
        train: Label -> training images of that class.
        tests: Test set -> label -> its images of that class.
        labels: The classes.
        where: The training set, such as ``vindr (val-split)``.

    Returns:
        One line for each class that is learned and stands in no test set.

    Raises:
        DataError: A class has no training image; all such classes are named, with the test sets that have them.

    >>> check_classes({"Edema": 9, "Mass": 2}, {"chexpert": {"Edema": 4}}, ["Edema", "Mass"], "vindr (val-split)")
    ("class 'Mass' has 2 training images in vindr (val-split) but none in chexpert: it cannot be judged there",)
    """
    absent = [label for label in labels if not train.get(label)]
    if absent:
        raise DataError(
            "; ".join(_absent(label, tests, where) for label in absent) + "; a class is learned from images of it"
        )
    return tuple(
        f"class {label!r} has {train[label]:,} training images in {where} but none in {', '.join(missing)}: "
        "it cannot be judged there"
        for label in labels
        if (missing := [name for name, counts in tests.items() if not counts.get(label)])
    )


def _absent(label: str, tests: Mapping[str, Mapping[str, int]], where: str) -> str:
    there = [f"{counts[label]:,} in {name}" for name, counts in tests.items() if counts.get(label)]
    elsewhere = f"but {', '.join(there)}" if there else "and none in any test set"
    return f"class {label!r} has no training image in {where} {elsewhere}"


def _choose(positive: npt.NDArray[np.bool_], rule: ClassRule) -> Numbers:
    """Choose a class for each row of positive labels, shape (n, labels); -1 where there is none to choose."""
    count = positive.sum(axis=1)
    order = np.arange(positive.shape[1])
    if rule.rule == "most-frequent":
        order = np.argsort(-positive.sum(axis=0), kind="stable")
    chosen = order[np.argmax(positive[:, order], axis=1)]
    wanted = count == 1 if rule.rule == "exactly-one" else count > 0
    return np.where(wanted, chosen, NONE).astype(np.int64)


def _capped(number: Numbers, images: Sequence[str] | npt.NDArray[np.str_], cap: int, seed: int) -> Numbers:
    if not cap:
        return number
    kept = number.copy()
    for label in np.unique(number[number != NONE]):
        rows = np.flatnonzero(number == label)
        if len(rows) > cap:
            ordered = sorted(rows.tolist(), key=lambda row: _order(seed, str(images[row])))
            kept[ordered[cap:]] = NONE
    return kept


def _order(seed: int, image: str) -> tuple[bytes, str]:
    return hashlib.blake2b(f"class cap\x1f{seed}\x1f{image}".encode(), digest_size=8).digest(), image
