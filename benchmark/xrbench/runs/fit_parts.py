"""Rows of a plan's fits: which patients of the datasets train, validate and test each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from xrbench import cards
from xrbench.data.datasets.sources import Selected
from xrbench.data.splits import split
from xrbench.data.splits.parts import patients_of
from xrbench.planning import HELD_OUT, Fit, Plan

Patients = frozenset[tuple[str, str]]


def divide_fits(plan: Plan, domains: Mapping[str, Selected]) -> dict[str, split.Parts]:
    """Divide the rows of all fits of a plan: fit name -> parts.

    Raises:
        DataError: No image is left to train, validate or test a fit on.
    """
    divider = _Divider(plan, domains)
    return {fit.name: divider.parts(fit) for fit in plan.fits}


def roles_of(fit: Fit) -> split.Roles:
    """Return which datasets train, validate and test a fit; the parent of others may have no test."""
    return split.Roles(fit.train, None if fit.valid == HELD_OUT else fit.valid, fit.test or ())


def all_parts(parts: split.Parts) -> tuple[split.Part, ...]:
    """Return the training, validation, internal and external part."""
    return parts.train, parts.valid, parts.internal, parts.external


class _Divider:
    def __init__(self, plan: Plan, domains: Mapping[str, Selected]) -> None:
        self.plan, self.domains = plan, domains
        self.members = {name: domain.members for name, domain in domains.items()}
        self.population = _population(domains)
        self.strata: split.Strata | None = None
        if plan.suite.task == "multiclass":
            self.strata = {name: domain.truth.argmax(axis=1).astype(np.int64) for name, domain in domains.items()}
        self.held_out: dict[tuple[cards.Setting, int], Patients] = {}

    def parts(self, fit: Fit) -> split.Parts:
        limits = self.plan.profile.limits
        if self.plan.recipes[fit.name].method.validation == "as-released":
            # the released code draws its validation batches from the whole dataset, anew in each epoch
            limits = msgspec.structs.replace(limits, valid=0)
        reserved = self._held_out(fit.reserved, fit.seed) if fit.reserved else frozenset()
        # a fit that is only the parent of others has no internal test: all of its patients can teach it
        internal = self.plan.suite.protocol.internal and fit.role == "train"
        return self._divide(roles_of(fit), fit.split, fit.seed, limits, internal=internal, reserved=reserved)

    def _held_out(self, setting: cards.Setting, seed: int) -> Patients:
        """Return the patients on whom the fits of a setting are validated or tested, whatever the limits of validation."""
        if (setting, seed) not in self.held_out:
            roles = split.Roles(setting.train, None if setting.valid == HELD_OUT else setting.valid, setting.test)
            limits = msgspec.structs.replace(self.plan.profile.limits, valid=0)
            internal = self.plan.suite.protocol.internal
            parts = self._divide(roles, setting.split, seed, limits, internal=internal)
            tests = {} if parts.resubstitution else parts.internal
            patients = (patients_of(part, self.members) for part in (parts.valid, tests, parts.external))
            self.held_out[setting, seed] = frozenset().union(*patients)
        return self.held_out[setting, seed]

    def _divide(
        self,
        roles: split.Roles,
        rule: cards.SplitRule | None,
        seed: int,
        limits: cards.Limits,
        *,
        internal: bool,
        reserved: Patients = frozenset(),
    ) -> split.Parts:
        return split.divide(
            roles,
            self.members,
            rule=rule or self.plan.profile.split,
            strata=self.strata,
            limits=limits,
            seed=seed,
            internal=internal,
            population=self.population,
            reserved=reserved,
        )


def _population(domains: Mapping[str, Selected]) -> dict[str, Sequence[str]]:
    """List the patients of each dataset, over all its slices: a patient is on the same side in each of them."""
    patients: dict[str, set[str]] = {}
    for domain in domains.values():
        patients.setdefault(domain.base, set()).update(domain.members.patient.tolist())
    return {base: sorted(names) for base, names in patients.items()}
