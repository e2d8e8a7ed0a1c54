"""Splits of the patients of a fit into training, validation and test, so that no patient is in more than one split.

Where domains share a patient, the test keeps the images first, then the validation; images left out of the other parts are counted.
Only under the rule ``everything`` is the internal test made of training images, which is recorded as resubstitution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import numpy.typing as npt

from xrbench.cards import Limits, SplitRule
from xrbench.data.splits.assign import SplitName, assign_patients
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
    exclude_patients,
    first_rows,
    patients_of,
    rows_digest,
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
    "SplitName",
    "Strata",
    "assign_patients",
    "check_disjoint",
    "check_filled",
    "divide",
    "rows_digest",
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
    reserved: AbstractSet[tuple[str, str]] = frozenset(),
) -> Parts:
    """Divide the images of a setting into the parts of one fit.

    Args:
        roles: Which domains train, validate and test.
        domains: Members of each domain named in ``roles``; may hold others of the same bases.
        rule: How patients are held out.
        limits: Largest number of images of a domain in each part, the first in published order.
        seed: The setting's seed; used when the rule has none of its own.
        internal: Whether patients are held out for an internal test (``everything``: whether it is made on training images).
        population: Base -> all its patients in the suite, so that slices of one base split alike in every setting; by default
            the patients of the given domains.
        strata: Domain -> stratum (class) of each row, for a rule that stratifies: a patient's is that of the first image in the
            order of ``strata``. Give those of all domains of a base, so that its slices split alike.
        reserved: Patients, as (base, patient), who neither train nor validate: fits that start from this one are validated or tested
            on them. Images of theirs are counted as excluded.

    Raises:
        DataError: A part would be empty, or a rule that stratifies is given no strata.
        CardError: A rule other than ``patients`` stratifies, or one that holds nobody out needs held-out patients.
    """
    _check_rule(rule, roles, strata)
    split_seed = seed if rule.seed is None else rule.seed
    shares = (rule.test_fraction if internal else 0.0, rule.valid_fraction if roles.valid is None else 0.0)
    external = {name: first_rows(all_rows(domains[name]), limits.test) for name in roles.tests}
    external_patients = patients_of(external, domains)
    if rule.kind == "everything":
        everyone = {name: exclude_patients(all_rows(domains[name]), domains[name], reserved) for name in roles.train}
        parts: tuple[Part, Part, Part] = (everyone, {}, {})
    elif rule.kind == "sequential":
        parts = _sequential(
            roles,
            domains,
            external_patients | reserved,
            limits=limits,
            shares=shares,
            seed=split_seed,
            internal=internal,
        )
    else:
        stratum = _stratum_of_patients(domains, strata) if rule.stratify and strata is not None else {}
        parts = _by_patient(roles, domains, population or {}, stratum, reserved, shares=shares, seed=split_seed)
    train, valid, internal_part = parts
    internal_part = {name: first_rows(rows, limits.test) for name, rows in internal_part.items() if internal}
    if roles.valid == NO_VALIDATION:
        valid = {}
    elif roles.valid is not None:
        valid = {roles.valid: all_rows(domains[roles.valid])}
    # the test keeps its patients first, then validation; limits apply afterwards, so that they fill up with images that remain
    test_patients = external_patients | patients_of(internal_part, domains)
    valid_left = {name: exclude_patients(rows, domains[name], test_patients) for name, rows in valid.items()}
    valid_left = {name: first_rows(rows, limits.valid) for name, rows in valid_left.items()}
    held_out = test_patients | patients_of(valid_left, domains)
    train_left = {name: exclude_patients(rows, domains[name], held_out) for name, rows in train.items()}
    excluded = _count_excluded(valid, valid_left, limits.valid) | _count_excluded(train, train_left, 0)
    for name, count in _count_rows_of(reserved, domains, roles.train).items():
        excluded[name] = excluded.get(name, 0) + count
    train_left = {name: first_rows(rows, limits.train) for name, rows in train_left.items()}
    resubstitution = rule.kind == "everything" and internal
    if resubstitution:
        internal_part = {name: first_rows(rows, limits.test) for name, rows in train_left.items()}
    result = Parts(train_left, valid_left, internal_part, external, excluded, resubstitution=resubstitution)
    check_disjoint(result, domains)
    check_filled(result, roles)
    return result


def _by_patient(
    roles: Roles,
    domains: Mapping[str, Members],
    population: Mapping[str, Sequence[str]],
    stratum: Mapping[str, Mapping[str, int]],
    reserved: AbstractSet[tuple[str, str]],
    *,
    shares: tuple[float, float],
    seed: int,
) -> tuple[Part, Part, Part]:
    patients_of_base: dict[str, set[str]] = {}
    for name in roles.train:
        base = domains[name].base
        patients_of_base.setdefault(base, set(population.get(base, ()))).update(domains[name].patient.tolist())
    for base, patient in reserved:
        # the shares are those of the patients who are left, or validation might consist of reserved patients alone
        patients_of_base.get(base, set()).discard(patient)
    assigned = {
        base: assign_patients(base, patients, seed=seed, test=shares[0], valid=shares[1], strata=stratum.get(base))
        for base, patients in patients_of_base.items()
    }
    parts_by_split: dict[SplitName, Part] = {"train": {}, "valid": {}, "test": {}}
    for name in roles.train:
        # slices of one base share its assignment: a patient is in the same split in all of them
        split_of = assigned[domains[name].base]
        split_of_row = np.array([split_of.get(patient, "") for patient in domains[name].patient.tolist()])
        for split_name, part in parts_by_split.items():
            part[name] = np.flatnonzero(split_of_row == split_name)
    return parts_by_split["train"], parts_by_split["valid"] if roles.valid is None else {}, parts_by_split["test"]


def _sequential(
    roles: Roles,
    domains: Mapping[str, Members],
    external_patients: set[tuple[str, str]],
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
        free = exclude_patients(np.arange(len(members.patient)), members, external_patients)
        # the first rows train, whole patients or not; all other images of theirs are used nowhere
        train[name] = first_rows(free, limits.train)
        rest = exclude_patients(free, members, patients_of({name: train[name]}, domains))
        patients = members.patient[rest]
        split_of = assign_patients(members.base, patients.tolist(), seed=seed, test=0.0, valid=shares[1])
        split_of_row = np.array([split_of[patient] for patient in patients.tolist()], dtype="U5")
        valid[name] = rest[split_of_row == "valid"]
        test[name] = rest[split_of_row != "valid"] if internal else rest[:0]
    return train, valid if roles.valid is None else {}, test


def _check_rule(rule: SplitRule, roles: Roles, strata: Strata | None) -> None:
    if rule.kind == "everything" and roles.valid is None:
        raise CardError("split.kind 'everything' holds nobody out to validate on; expected valid = 'none' or a dataset")
    if rule.stratify and rule.kind != "patients":
        raise CardError(
            f"split.stratify: a split of kind {rule.kind!r} holds nobody out by class; expected kind 'patients'"
        )
    if rule.stratify and strata is None:
        raise DataError("split.stratify: expected images with exactly one class each (task = 'multiclass')")


def _stratum_of_patients(domains: Mapping[str, Members], strata: Strata) -> dict[str, dict[str, int]]:
    """Return each patient's stratum, that of the first image: base -> patient -> stratum."""
    stratum_of: dict[str, dict[str, int]] = {}
    for name, strata_of_rows in strata.items():
        members = domains[name]
        # return_index gives the first row of each patient
        patients, first = np.unique(members.patient, return_index=True)
        of_domain = dict(zip(patients.tolist(), strata_of_rows[first].tolist(), strict=True))
        # an earlier domain of the same base wins: its image of the patient comes first
        stratum_of[members.base] = of_domain | stratum_of.get(members.base, {})
    return stratum_of


def _count_rows_of(
    patients: AbstractSet[tuple[str, str]], domains: Mapping[str, Members], names: Sequence[str]
) -> dict[str, int]:
    """Count the rows of some patients, given as (base, patient), in each domain that has any."""
    counts = {}
    for name in names:
        rows = all_rows(domains[name])
        counts[name] = len(rows) - len(exclude_patients(rows, domains[name], patients))
    return {name: count for name, count in counts.items() if count}


def _count_excluded(before: Part, after: Part, limit: int) -> dict[str, int]:
    """Count the images left out of a part of each domain, without those that its limit cut off anyway."""
    lost = {name: (min(len(rows), limit) if limit else len(rows)) - len(after[name]) for name, rows in before.items()}
    return {name: count for name, count in lost.items() if count > 0}
