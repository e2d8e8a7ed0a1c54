"""Decide which patients train, validate and test, so that nobody stands on two sides.

Where one person would stand on two sides of a fit, the test keeps the images, then the validation; what that costs is
counted. Under the rule ``everything`` alone the internal test is made of training images, and says so (resubstitution).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from xrbench.cards import Limits, SplitRule
from xrbench.data.splits.assign import Side, sides
from xrbench.data.splits.parts import (
    NO_VALIDATION,
    Members,
    Part,
    Parts,
    Roles,
    Rows,
    all_rows,
    check_disjoint,
    check_filled,
    first_rows,
    people_of,
    rows_digest,
    without,
)
from xrbench.errors import CardError, DataError

Strata = Mapping[str, npt.NDArray[np.int64]]

__all__ = [
    "NO_VALIDATION",
    "Members",
    "Part",
    "Parts",
    "Roles",
    "Rows",
    "Side",
    "Strata",
    "check_disjoint",
    "check_filled",
    "divide",
    "rows_digest",
    "sides",
]


def divide(
    roles: Roles,
    domains: Mapping[str, Members],
    *,
    rule: SplitRule,
    limits: Limits,
    seed: int,
    internal: bool = True,
    population: Mapping[str, Sequence[str]] | None = None,
    strata: Strata | None = None,
) -> Parts:
    """Divide the images of a setting into the parts of one fit.

    Args:
        roles: Which domain does what.
        domains: Members of each domain named in ``roles``; others of the same bases may be among them.
        rule: How patients are held out.
        limits: At most so many images a domain and part, the first in published order.
        seed: The setting's seed; used when the rule has none of its own.
        internal: Whether patients are held out for an internal test (``everything``: whether it is made on training images).
        population: Base -> all its patients in the suite, so that slices of one base split alike whatever the setting; by
            default those of the given domains.
        strata: Domain -> stratum (class) of each row, for a rule that stratifies: a patient's is that of the first image in the
            order of ``strata``. Give those of all domains of a base, so that its slices split alike.

    Raises:
        DataError: A part would be empty, or a rule that stratifies is given no strata.
        CardError: A rule other than ``patients`` wants to stratify, or one that holds nobody out wants held-out patients.
    """
    _check_rule(rule, roles, strata)
    chosen = seed if rule.seed is None else rule.seed
    shares = (rule.test_fraction if internal else 0.0, rule.valid_fraction if roles.valid is None else 0.0)
    external = {name: first_rows(all_rows(domains[name]), limits.test) for name in roles.tests}
    held = people_of(external, domains)
    if rule.kind == "everything":
        parts: tuple[Part, Part, Part] = ({name: all_rows(domains[name]) for name in roles.train}, {}, {})
    elif rule.kind == "sequential":
        parts = _sequential(roles, domains, held, limits=limits, shares=shares, seed=chosen, internal=internal)
    else:
        stratum = _stratum_of_patients(domains, strata) if rule.stratify and strata is not None else {}
        parts = _by_patient(roles, domains, population or {}, stratum, shares=shares, seed=chosen)
    train, valid, inside = parts
    inside = {name: first_rows(rows, limits.test) for name, rows in inside.items() if internal}
    if roles.valid == NO_VALIDATION:
        valid = {}
    elif roles.valid is not None:
        valid = {roles.valid: all_rows(domains[roles.valid])}
    tested = held | people_of(inside, domains)
    kept_valid = {name: without(rows, domains[name], tested) for name, rows in valid.items()}
    kept_valid = {name: first_rows(rows, limits.valid) for name, rows in kept_valid.items()}
    elsewhere = tested | people_of(kept_valid, domains)
    kept_train = {name: without(rows, domains[name], elsewhere) for name, rows in train.items()}
    excluded = _lost(valid, kept_valid, limits.valid) | _lost(train, kept_train, 0)
    kept_train = {name: first_rows(rows, limits.train) for name, rows in kept_train.items()}
    again = rule.kind == "everything" and internal
    if again:
        inside = {name: first_rows(rows, limits.test) for name, rows in kept_train.items()}
    result = Parts(kept_train, kept_valid, inside, external, excluded, resubstitution=again)
    check_disjoint(result, domains)
    check_filled(result, roles)
    return result


def _by_patient(
    roles: Roles,
    domains: Mapping[str, Members],
    population: Mapping[str, Sequence[str]],
    stratum: Mapping[str, Mapping[str, int]],
    *,
    shares: tuple[float, float],
    seed: int,
) -> tuple[Part, Part, Part]:
    everyone: dict[str, set[str]] = {}
    for name in roles.train:
        base = domains[name].base
        everyone.setdefault(base, set(population.get(base, ()))).update(domains[name].patient.tolist())
    assigned = {
        base: sides(base, people, seed=seed, test=shares[0], valid=shares[1], strata=stratum.get(base))
        for base, people in everyone.items()
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
        free = without(np.arange(len(members.patient)), members, held)
        train[name] = first_rows(free, limits.train)
        rest = without(free, members, people_of({name: train[name]}, domains))
        others = members.patient[rest]
        side_of = sides(members.base, others.tolist(), seed=seed, test=0.0, valid=shares[1])
        side = np.array([side_of[patient] for patient in others.tolist()], dtype="U5")
        valid[name] = rest[side == "valid"]
        test[name] = rest[side != "valid"] if internal else rest[:0]
    return train, valid if roles.valid is None else {}, test


def _check_rule(rule: SplitRule, roles: Roles, strata: Strata | None) -> None:
    if rule.kind == "everything" and roles.valid is None:
        raise CardError("split.kind 'everything' holds nobody out to validate on; wanted valid = 'none' or a dataset")
    if rule.stratify and rule.kind != "patients":
        raise CardError(
            f"split.stratify: a split of kind {rule.kind!r} holds nobody out by class; wanted kind 'patients'"
        )
    if rule.stratify and strata is None:
        raise DataError("split.stratify: wanted images with exactly one class each (task = 'multiclass')")


def _stratum_of_patients(domains: Mapping[str, Members], strata: Strata) -> dict[str, dict[str, int]]:
    """Find each patient's stratum, that of the first image: base -> patient -> stratum."""
    found: dict[str, dict[str, int]] = {}
    for name, numbers in strata.items():
        members = domains[name]
        patients, first = np.unique(members.patient, return_index=True)
        here = dict(zip(patients.tolist(), numbers[first].tolist(), strict=True))
        found[members.base] = here | found.get(members.base, {})
    return found


def _lost(before: Part, after: Part, limit: int) -> dict[str, int]:
    """Count what was left out of a part, not counting what its limit cut off."""
    lost = {name: (min(len(rows), limit) if limit else len(rows)) - len(after[name]) for name, rows in before.items()}
    return {name: count for name, count in lost.items() if count > 0}
