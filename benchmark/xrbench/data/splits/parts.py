"""Parts of a fit: the rows of each domain that train, validate and test, and the checks that they must pass.

Conventions: a *domain* is a dataset or a slice of one; its *base* is the dataset whose patients it holds. Two slices of one
base share patients, so a patient is identified by ``(base, patient)``. A *part* is domain name -> row positions in that domain's
frame, in published order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xrbench.errors import DataError

Rows = npt.NDArray[np.int64]
Part = dict[str, Rows]

NO_VALIDATION = "none"
"""Value of ``Roles.valid`` for no validation at all."""


@dataclass(frozen=True)
class Members:
    """Patients of a domain: its base, and the patient of each row, strings of shape (n,)."""

    base: str
    patient: npt.NDArray[np.str_]


@dataclass(frozen=True)
class Roles:
    """Which domains train, validate and test.

    Attributes:
        train: The training domains.
        valid: A domain; None for held-out patients of the training domains; or ``"none"`` for no validation at all.
        test: The external test domain, or several; an empty tuple for an internal test alone.
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
    """Rows of one fit.

    Attributes:
        train, valid: Training images, and those that select the epoch and set thresholds.
        internal: Held-out patients of the training domains; or, with ``resubstitution``, training images.
        external: The test domains.
        excluded: Domain -> images left out of training or validation because their patient is in another split.
        resubstitution: Whether the internal test uses training images, so that its figures are not held-out ones.
    """

    train: Part
    valid: Part
    internal: Part
    external: Part
    excluded: dict[str, int]
    resubstitution: bool = False


def check_disjoint(parts: Parts, domains: Mapping[str, Members]) -> None:
    """Check that no patient is in more than one split; with ``resubstitution`` the internal test shares those of training.

    Raises:
        DataError: A patient is; the message names one.
    """
    train, valid = patients_of(parts.train, domains), patients_of(parts.valid, domains)
    test = patients_of(parts.external, domains)
    if parts.resubstitution:
        _check_resubstitution(parts)
    else:
        test |= patients_of(parts.internal, domains)
    for first, second, names in (
        (train, valid, "train and valid"),
        (train, test, "train and test"),
        (valid, test, "valid and test"),
    ):
        shared = first & second
        if shared:
            base, patient = min(shared)
            raise DataError(f"patient {patient!r} of {base} stands in {names} ({len(shared)} such patients)")


def rows_digest(*parts: Sequence[str] | npt.NDArray[np.generic]) -> str:
    """Hash columns of the rows of a part (ids, patients, truth, pixel digests) into 32 hexadecimal digits.

    >>> rows_digest(["a", "b"]) == rows_digest(["ab"])
    False
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray) and part.dtype.kind == "f":
            # NaN has many bit patterns: all become one number, in a byte order that is the same on every machine
            data = np.ascontiguousarray(np.where(np.isnan(part), np.float32(-9), part), dtype="<f4").tobytes()
        else:
            data = "\x1f".join(map(str, part)).encode()
        # the length in front keeps apart parts that only together have equal bytes
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def check_filled(parts: Parts, roles: Roles) -> None:
    """Check that every part that is needed has an image.

    Raises:
        DataError: No image is left to train, validate or test on.
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


def patients_of(part: Part, domains: Mapping[str, Members]) -> set[tuple[str, str]]:
    """Return the patients with an image in a part, as (base, patient)."""
    return {
        (domains[name].base, patient)
        for name, rows in part.items()
        for patient in set(domains[name].patient[rows].tolist())
    }


def exclude_patients(rows: Rows, members: Members, patients: AbstractSet[tuple[str, str]]) -> Rows:
    """Return the rows without those of some patients, given as (base, patient)."""
    excluded = [patient for base, patient in patients if base == members.base]
    if not excluded:
        return rows
    return rows[~np.isin(members.patient[rows], np.array(excluded))]


def first_rows(rows: Rows, limit: int) -> Rows:
    """Return the first ``limit`` rows; all of them for a limit of 0."""
    return rows[:limit] if limit else rows


def _check_resubstitution(parts: Parts) -> None:
    for name, rows in parts.internal.items():
        if not np.isin(rows, parts.train.get(name, rows[:0])).all():
            raise DataError(f"{name}: resubstitution is measured on training images, and some here are none")
