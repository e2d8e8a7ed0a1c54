"""Decide which patients train, validate and test, so that nobody stands on two sides.

Conventions: a *domain* is a dataset or a slice of one; its *base* is the dataset whose patients it holds. Two slices of one
base share patients, so a person is ``(base, patient)``. A *part* is domain name -> row positions in that domain's frame, in
published order. Where one person would stand on two sides of a fit, the test keeps the images, then the validation; what
that costs is counted.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from xrbench.cards import Limits, SplitRule
from xrbench.errors import DataError

Rows = npt.NDArray[np.int64]
Part = dict[str, Rows]
Side = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class Members:
    """Whose images a domain holds: the base, and the patient of each row (shape (n,), strings)."""

    base: str
    patient: npt.NDArray[np.str_]


@dataclass(frozen=True)
class Roles:
    """Which domains train, validate (None: held-out patients of the training domains) and test."""

    train: tuple[str, ...]
    valid: str | None
    test: str


@dataclass(frozen=True)
class Parts:
    """The rows of one fit.

    Attributes:
        train, valid: What is learned from, and what selects the epoch and sets thresholds.
        internal: Held-out patients of the training domains.
        external: The test domain.
        excluded: Domain -> images left out of training or validation because their patient stands on another side.
    """

    train: Part
    valid: Part
    internal: Part
    external: Part
    excluded: dict[str, int]


def sides(base: str, patients: Iterable[str], *, seed: int, test: float, valid: float) -> dict[str, Side]:
    """Assign every patient of a base to one side.

    Patients are put in the order of a hash of (seed, base, patient); the first ``ceil(test * n)`` are the test side, the next
    ``ceil(valid * rest)`` the validation side. The outcome does not depend on the order in which patients are given.

    Args:
        base: Name of the dataset whose patients these are.
        patients: Patient ids; repeats do not matter.
        seed: Split seed.
        test: Share of the patients, 0 <= test < 1.
        valid: Share of the remaining patients, 0 <= valid < 1.

    >>> list(sides("a", ["p1", "p2", "p3", "p4", "p5"], seed=0, test=0.2, valid=0.25).values()).count("train")
    3
    """
    ordered = sorted(set(patients), key=lambda patient: _order(seed, base, patient))
    n_test = math.ceil(test * len(ordered))
    n_valid = math.ceil(valid * (len(ordered) - n_test))
    found: dict[str, Side] = dict.fromkeys(ordered, "train")
    found.update(dict.fromkeys(ordered[:n_test], "test"))
    found.update(dict.fromkeys(ordered[n_test : n_test + n_valid], "valid"))
    return found


def divide(
    roles: Roles,
    domains: Mapping[str, Members],
    *,
    rule: SplitRule,
    limits: Limits,
    seed: int,
    internal: bool = True,
    population: Mapping[str, Sequence[str]] | None = None,
) -> Parts:
    """Divide the images of a setting into the parts of one fit.

    Args:
        roles: Which domain does what.
        domains: Members of each domain named in ``roles``.
        rule: How patients are held out.
        limits: At most so many images a domain and part, the first in published order.
        seed: The setting's seed; used when the rule has none of its own.
        internal: Whether patients are held out for an internal test.
        population: Base -> all its patients in the suite, so that slices of one base split alike whatever the setting; by
            default those of the given domains.

    Raises:
        DataError: A part would be empty.
    """
    chosen = seed if rule.seed is None else rule.seed
    shares = (rule.test_fraction if internal else 0.0, rule.valid_fraction if roles.valid is None else 0.0)
    external = {roles.test: _first(np.arange(len(domains[roles.test].patient)), limits.test)}
    held = _people(external, domains)
    if rule.kind == "sequential":
        parts = _sequential(roles, domains, held, limits=limits, shares=shares, seed=chosen, internal=internal)
    else:
        parts = _by_patient(roles, domains, population or {}, shares=shares, seed=chosen)
    train, valid, inside = parts
    inside = {name: _first(rows, limits.test) for name, rows in inside.items() if internal}
    if roles.valid is not None:
        valid = {roles.valid: np.arange(len(domains[roles.valid].patient))}
    tested = held | _people(inside, domains)
    kept_valid = {name: _without(rows, domains[name], tested) for name, rows in valid.items()}
    kept_valid = {name: _first(rows, limits.valid) for name, rows in kept_valid.items()}
    elsewhere = tested | _people(kept_valid, domains)
    kept_train = {name: _without(rows, domains[name], elsewhere) for name, rows in train.items()}
    excluded = _lost(valid, kept_valid, limits.valid) | _lost(train, kept_train, 0)
    kept_train = {name: _first(rows, limits.train) for name, rows in kept_train.items()}
    result = Parts(kept_train, kept_valid, inside, external, excluded)
    check_disjoint(result, domains)
    check_filled(result, roles)
    return result


def check_disjoint(parts: Parts, domains: Mapping[str, Members]) -> None:
    """Refuse parts in which a patient stands on two sides.

    Raises:
        DataError: Somebody does; the message names one.
    """
    train, valid = _people(parts.train, domains), _people(parts.valid, domains)
    test = _people(parts.internal, domains) | _people(parts.external, domains)
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


def _order(seed: int, base: str, patient: str) -> bytes:
    return hashlib.blake2b(f"{seed}\x1f{base}\x1f{patient}".encode(), digest_size=8).digest()


def _by_patient(
    roles: Roles,
    domains: Mapping[str, Members],
    population: Mapping[str, Sequence[str]],
    *,
    shares: tuple[float, float],
    seed: int,
) -> tuple[Part, Part, Part]:
    everyone: dict[str, set[str]] = {}
    for name in roles.train:
        base = domains[name].base
        everyone.setdefault(base, set(population.get(base, ()))).update(domains[name].patient.tolist())
    assigned = {
        base: sides(base, people, seed=seed, test=shares[0], valid=shares[1]) for base, people in everyone.items()
    }
    found: dict[Side, Part] = {"train": {}, "valid": {}, "test": {}}
    for name in roles.train:
        side_of = assigned[domains[name].base]
        side = np.array([side_of[patient] for patient in domains[name].patient.tolist()])
        for which, part in found.items():
            part[name] = np.flatnonzero(side == which)
    return found["train"], found["valid"] if roles.valid is None else {}, found["test"]


def _sequential(
    roles: Roles,
    domains: Mapping[str, Members],
    held: set[tuple[str, str]],
    *,
    limits: Limits,
    shares: tuple[float, float],
    seed: int,
    internal: bool,
) -> tuple[Part, Part, Part]:
    train: Part = {}
    valid: Part = {}
    test: Part = {}
    for name in roles.train:
        members = domains[name]
        free = _without(np.arange(len(members.patient)), members, held)
        train[name] = _first(free, limits.train)
        rest = _without(free, members, _people({name: train[name]}, domains))
        others = members.patient[rest]
        side_of = sides(members.base, others.tolist(), seed=seed, test=0.0, valid=shares[1])
        side = np.array([side_of[patient] for patient in others.tolist()], dtype="U5")
        valid[name] = rest[side == "valid"]
        test[name] = rest[side != "valid"] if internal else rest[:0]
    return train, valid if roles.valid is None else {}, test


def _people(part: Part, domains: Mapping[str, Members]) -> set[tuple[str, str]]:
    return {
        (domains[name].base, patient)
        for name, rows in part.items()
        for patient in set(domains[name].patient[rows].tolist())
    }


def _without(rows: Rows, members: Members, people: set[tuple[str, str]]) -> Rows:
    unwanted = [patient for base, patient in people if base == members.base]
    if not unwanted:
        return rows
    return rows[~np.isin(members.patient[rows], np.array(unwanted))]


def _first(rows: Rows, limit: int) -> Rows:
    return rows[:limit] if limit else rows


def _lost(before: Part, after: Part, limit: int) -> dict[str, int]:
    """Count what was left out of a part, not counting what its limit cut off."""
    lost = {name: (min(len(rows), limit) if limit else len(rows)) - len(after[name]) for name, rows in before.items()}
    return {name: count for name, count in lost.items() if count > 0}


def check_filled(parts: Parts, roles: Roles) -> None:
    """Refuse parts of which one that is needed has no image.

    Raises:
        DataError: Nothing is left to train, validate or test on.
    """
    for name, rows in parts.train.items():
        if not len(rows):
            raise DataError(
                f"{name}: no image is left to train on when {roles.test} is the test: all are of patients on other sides, "
                "or unreadable"
            )
    if not any(len(rows) for rows in parts.valid.values()):
        raise DataError(f"{' + '.join(parts.valid) or 'validation'}: no image is left to validate on")
    if not len(parts.external[roles.test]):
        raise DataError(f"{roles.test}: no image to test on")
