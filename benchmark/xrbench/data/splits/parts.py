"""The parts of a fit: who trains, validates and tests, as row positions of each domain, and what must hold for them.

Conventions: a *domain* is a dataset or a slice of one; its *base* is the dataset whose patients it holds. Two slices of one
base share patients, so a person is ``(base, patient)``. A *part* is domain name -> row positions in that domain's frame, in
published order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xrbench.errors import DataError

Rows = npt.NDArray[np.int64]
Part = dict[str, Rows]

NO_VALIDATION = "none"
"""What ``Roles.valid`` says when nobody validates."""


@dataclass(frozen=True)
class Members:
    """Whose images a domain holds: the base, and the patient of each row (shape (n,), strings)."""

    base: str
    patient: npt.NDArray[np.str_]


@dataclass(frozen=True)
class Roles:
    """Which domains train, validate and test.

    Attributes:
        train: The training domains.
        valid: A domain; None for held-out patients of the training domains; or ``"none"`` for no validation at all.
        test: The external test domain, or several; none when only the internal test is wanted.
    """

    train: tuple[str, ...]
    valid: str | None
    test: str | tuple[str, ...]

    @property
    def tests(self) -> tuple[str, ...]:
        """The external test domains."""
        return (self.test,) if isinstance(self.test, str) else self.test


@dataclass(frozen=True)
class Parts:
    """The rows of one fit.

    Attributes:
        train, valid: What is learned from, and what selects the epoch and sets thresholds.
        internal: Held-out patients of the training domains; or, with ``resubstitution``, training images.
        external: The test domains.
        excluded: Domain -> images left out of training or validation because their patient stands on another side.
        resubstitution: Whether the internal test is made on training images: such figures are no held-out ones.
    """

    train: Part
    valid: Part
    internal: Part
    external: Part
    excluded: dict[str, int]
    resubstitution: bool = False


def check_disjoint(parts: Parts, domains: Mapping[str, Members]) -> None:
    """Refuse parts in which a patient stands on two sides; the internal test may be made on training images if it says so.

    Raises:
        DataError: Somebody does; the message names one.
    """
    train, valid = people_of(parts.train, domains), people_of(parts.valid, domains)
    test = people_of(parts.external, domains)
    if parts.resubstitution:
        _check_within(parts)
    else:
        test |= people_of(parts.internal, domains)
    for one, other, names in (
        (train, valid, "train and valid"),
        (train, test, "train and test"),
        (valid, test, "valid and test"),
    ):
        both = one & other
        if both:
            base, patient = min(both)
            raise DataError(f"patient {patient!r} of {base} stands in {names} ({len(both)} such patients)")


def rows_digest(*parts: Sequence[str] | npt.NDArray[np.generic]) -> str:
    """Hash columns of the rows of a part (ids, patients, truth, pixel digests) into 32 hexadecimal digits.

    >>> rows_digest(["a", "b"]) == rows_digest(["ab"])
    False
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray) and part.dtype.kind == "f":
            data = np.ascontiguousarray(np.where(np.isnan(part), np.float32(-9), part), dtype="<f4").tobytes()
        else:
            data = "\x1f".join(map(str, part)).encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def check_filled(parts: Parts, roles: Roles) -> None:
    """Refuse parts of which one that is needed has no image.

    Raises:
        DataError: Nothing is left to train, validate or test on.
    """
    for name, rows in parts.train.items():
        if not len(rows):
            tests = " + ".join(roles.tests)
            raise DataError(
                f"{name}: no image is left to train on{f' when {tests} is the test' if tests else ''}: all are of patients on "
                "other sides, or unreadable"
            )
    if roles.valid != NO_VALIDATION and not any(len(rows) for rows in parts.valid.values()):
        raise DataError(f"{' + '.join(parts.valid) or 'validation'}: no image is left to validate on")
    for name in roles.tests:
        if not len(parts.external[name]):
            raise DataError(f"{name}: no image to test on")


def all_rows(members: Members) -> Rows:
    """Return the positions of all rows of a domain."""
    return np.arange(len(members.patient))


def people_of(part: Part, domains: Mapping[str, Members]) -> set[tuple[str, str]]:
    """Name everybody with an image in a part, as (base, patient)."""
    return {
        (domains[name].base, patient)
        for name, rows in part.items()
        for patient in set(domains[name].patient[rows].tolist())
    }


def without(rows: Rows, members: Members, people: set[tuple[str, str]]) -> Rows:
    """Leave out the rows of some people."""
    unwanted = [patient for base, patient in people if base == members.base]
    if not unwanted:
        return rows
    return rows[~np.isin(members.patient[rows], np.array(unwanted))]


def first_rows(rows: Rows, limit: int) -> Rows:
    """Take at most so many rows; a limit of 0 is none."""
    return rows[:limit] if limit else rows


def _check_within(parts: Parts) -> None:
    for name, rows in parts.internal.items():
        if not np.isin(rows, parts.train.get(name, rows[:0])).all():
            raise DataError(f"{name}: resubstitution is measured on training images, and some here are none")
