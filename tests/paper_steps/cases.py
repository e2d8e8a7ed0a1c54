"""What is measured: each model with each method of every suite that has a profile ``paper``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from xrbench import cards
from xrbench.catalogue import Catalogue
from xrbench.planning import Plan, make_plan
from xrbench.planning.expand import base_of

PROFILE = "paper"

Kind = Literal["trained", "pretrained", "ensemble"]


@dataclass(frozen=True)
class Case:
    """One model with one method under a suite's profile.

    Attributes:
        suite, profile, model, method: Names of the cards.
        kind: ``trained``; ``pretrained``, which is only evaluated; or ``ensemble``, a mean of stored scores, which runs no network.
        recipe: What decides its fit; of an ensemble that of its members.
        train: Training datasets of the fit with most of them; of a model that is not trained, a test dataset.
        channels: Channels of the cached images.
    """

    suite: str
    profile: str
    model: str
    method: str
    kind: Kind
    recipe: cards.Recipe
    train: tuple[str, ...]
    channels: int

    @property
    def name(self) -> str:
        """Name that is shown and that ``--only`` looks into."""
        return "/".join(self.key)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What one row of a device stands for."""
        return self.suite, self.profile, self.model, self.method

    def is_equal(self, other: Case) -> bool:
        """Say whether the same is computed as for another case: all but names of suites and random streams is equal."""
        return self._computed() == other._computed()

    def _computed(self) -> tuple[object, ...]:
        recipe = msgspec.structs.replace(self.recipe, identity="", seed=0)
        return self.kind, recipe, len(self.train), self.channels


def plans(catalogue: Catalogue) -> Iterator[Plan]:
    """Expand every suite that has a profile ``paper``, of its own or of the suite that it extends."""
    for name in catalogue.names("suite"):
        suite = catalogue.suite(name)
        if PROFILE in suite.profiles:
            yield make_plan(suite, catalogue, profile=PROFILE)


def cases(catalogue: Catalogue) -> list[Case]:
    """List the cases of all plans, in their order; parents of fits are methods like any other."""
    return [case for plan in plans(catalogue) for case in _of_plan(plan, catalogue)]


def _of_plan(plan: Plan, catalogue: Catalogue) -> Iterator[Case]:
    seen = set()
    # the step of the fit with most datasets has most groups
    fits = sorted(plan.fits, key=lambda fit: -len(fit.train))
    entries: list[tuple[str, str, Kind, str, tuple[str, ...]]] = [
        (fit.model, fit.method, "trained", fit.name, fit.train) for fit in fits
    ]
    for cell in plan.cells:
        kind: Kind = "ensemble" if cell.is_ensemble else "pretrained"
        if cell.is_ensemble or not cell.fits:
            source = cell.fits[0] if cell.is_ensemble else cell.name
            entries.append((cell.model, cell.method, kind, source, cell.train or cell.tests))
    for model, method, kind, source, train in entries:
        if (model, method) not in seen:
            seen.add((model, method))
            channels = max(catalogue.dataset(base_of(name, catalogue)).channels for name in train)
            yield Case(plan.suite.name, plan.profile_name, model, method, kind, plan.recipes[source], train, channels)
