"""Expand a suite into fits and cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from xrbench import blocks, cards
from xrbench.catalogue import Catalogue
from xrbench.errors import CardError, UsageError
from xrbench.planning.filters import matches, parse_only, select_names, unknown_value
from xrbench.planning.naming import (
    cells_of,
    ensemble_cell,
    fit_of,
    identity_of,
    pretrained_cell,
    pretraining_fit_of,
)
from xrbench.planning.parents import chain_of, check_parent, is_pretrained, setting_of_parent, stage_of
from xrbench.planning.plan import Cell, Fit, Plan
from xrbench.planning.protocol_settings import NONE, choose_profile, mentioned, settings_of


def make_plan(
    suite: cards.SuiteCard,
    catalogue: Catalogue,
    *,
    profile: str | None = None,
    fixture: bool = False,
    only: Sequence[str] = (),
    seeds: Sequence[int] = (),
    precision: Literal["float32", "bfloat16"] | None = None,
) -> Plan:
    """Expand a suite into fits and cells.

    Args:
        suite: The suite's card.
        catalogue: Where its models and methods are.
        profile: Name of a profile; by default as ``choose_profile`` says.
        fixture: Whether the data are the synthetic fixture.
        only: ``field=value,...`` filters over method, model, train, valid, test and seed; values of one field are alternatives. A
            method or model that the suite does not list is added to it.
        seeds: Seeds that replace those of the settings.
        precision: Number format of training that replaces the profile's.

    Raises:
        UnknownNameError: A method or model does not exist.
        UsageError: Nothing is left after ``only``.
    """
    name, chosen = choose_profile(suite, profile, fixture=fixture)
    chosen = msgspec.structs.replace(chosen, precision=precision or chosen.precision)
    filters = parse_only(only)
    methods = select_names(chosen.methods or suite.methods, filters.get("method", ()), catalogue, "method")
    models = select_names(chosen.models or suite.models, filters.get("model", ()), catalogue, "model")
    settings = settings_of(suite.protocol, seeds or chosen.seeds, where=f"suite {suite.name}")
    trained = any(not catalogue.method(method).inference for method in methods)
    for what, given in (("methods", methods), ("models", models or not trained), ("protocol: settings", settings)):
        if not given:
            raise CardError(f"suite {suite.name}, profile {name}: {what}: at least one is expected")
    bases = {
        dataset: base_of(dataset, catalogue)
        for setting in settings
        for dataset in (*mentioned(setting), *setting.pretrain)
    }
    expansion = _Expansion(suite, chosen, catalogue, models, settings, filters, bases)
    for method in methods:
        expansion.add(method)
    fits, cells, recipes = expansion.fits, expansion.cells, expansion.recipes
    if not cells:
        raise UsageError(
            f"--only {' '.join(only)}: nothing of suite {suite.name} matches{unknown_value(filters, methods, models, settings)}"
        )
    used = {(cell.configuration, cell.train, cell.valid, cell.test) for cell in cells.values()}
    measured = tuple(s for s in settings if (s.configuration, s.train, s.valid, s.test) in used)
    return Plan(
        suite=suite,
        profile_name=name,
        profile=chosen,
        fits=tuple(fits.values()),
        cells=tuple(cells.values()),
        settings=measured or settings,
        recipes=recipes,
        bases=bases,
    )


class _Expansion:
    """Collect the fits and cells of a plan, method by method."""

    def __init__(
        self,
        suite: cards.SuiteCard,
        profile: cards.Profile,
        catalogue: Catalogue,
        models: Sequence[str],
        settings: Sequence[cards.Setting],
        only: Mapping[str, Sequence[str]],
        bases: Mapping[str, str],
    ) -> None:
        self.suite, self.profile, self.catalogue, self.models = suite, profile, catalogue, models
        self.settings, self.only, self.bases = settings, only, bases
        self.fits: dict[str, Fit] = {}
        self.cells: dict[str, Cell] = {}
        self.recipes: dict[str, cards.Recipe] = {}

    def add(self, method: str, *, only: Mapping[str, Sequence[str]] | None = None) -> None:
        """Add all that a method trains and measures in every setting; ``only`` replaces the plan's filters."""
        card, filters = self.catalogue.method(method), self.only if only is None else only
        if card.ensemble:
            self._add_ensembles(method, card)
            return
        if not card.inference:
            _check_objective(card, self.suite)
            chain_of(card, self.catalogue)
            if not card.scores_labels:
                raise CardError(
                    f"method {method}: heads: none of kind 'labels': it gives no scores of the labels of suite {self.suite.name}; "
                    "name it as the parent of a method that does"
                )
        for setting in self.settings:
            if card.inference:
                self._add_pretrained(method, card, setting)
            else:
                self._add_trained(card, setting, filters)

    def _add_pretrained(self, method: str, card: cards.MethodCard, setting: cards.Setting) -> None:
        model = self.catalogue.model(card.inference, where=f"method {method}")
        cell = pretrained_cell(method, model, setting, self.bases)
        if matches(cell, self.only, setting):
            self.cells[cell.name] = cell
            self.recipes[cell.name] = recipe(self.suite, self.profile, card, model)

    def _add_trained(self, card: cards.MethodCard, setting: cards.Setting, only: Mapping[str, Sequence[str]]) -> None:
        for name in self.models:
            model = self.catalogue.model(name)
            fit = self._fit(card, model, setting)
            _check_selection(card, fit, self.suite)
            cells = cells_of(fit, model, self.suite.protocol, self.bases)
            measured = [cell for cell in cells if matches(cell, only, setting)]
            if any(cell.protocol != "validation" for cell in measured):
                self._add_fit(card, model, setting, fit)
                added = self.fits[fit.name]
                for cell in measured:
                    chained = msgspec.structs.replace(cell, given=added.given, ancestors=self._ancestors(added))
                    self.cells.setdefault(cell.name, chained)

    def _ancestors(self, fit: Fit) -> tuple[str, ...]:
        """Name the fits that a fit starts from, up to a parent that all seeds share."""
        names: list[str] = []
        while fit.parents and fit.parents[0] != fit.given:
            fit = self.fits[fit.parents[0]]
            names.append(fit.name)
        return tuple(names)

    def _fit(self, card: cards.MethodCard, model: cards.ModelCard, setting: cards.Setting, role: str = "train") -> Fit:
        if role == "pretrain":
            return pretraining_fit_of(card.name, model.name, setting, self.bases)
        pretrained = is_pretrained(card, self.catalogue)
        return fit_of(card.name, model.name, setting, self.bases, pretrained=pretrained)

    def _add_fit(self, card: cards.MethodCard, model: cards.ModelCard, setting: cards.Setting, fit: Fit) -> Fit:
        """Add a fit after the fits that it starts from, and return it with their names."""
        if fit.name in self.fits:
            return self.fits[fit.name]
        parents: tuple[str, ...] = ()
        given = ""
        if card.parent:
            parent_card, parent_model = self.catalogue.method(card.parent), check_parent(card, self.catalogue, model)
            _check_objective(parent_card, self.suite)
            rule = setting.split or self.profile.split
            of_parent = setting_of_parent(card, setting, self.bases, rule, self.suite.name)
            # below a fit on the pre-training datasets, "train" means those datasets
            role = "pretrain" if card.parent_train == "pretrain" or fit.role == "pretrain" else "train"
            parent = self._fit(parent_card, parent_model, of_parent, role)
            _check_selection(parent_card, parent, self.suite)
            parent = self._add_fit(parent_card, parent_model, of_parent, parent)
            parents, given = (parent.name,), parent.name if card.parent_seed is not None else parent.given
        fit = msgspec.structs.replace(fit, parents=parents, stage=stage_of(card, fit), given=given)
        self.fits[fit.name] = fit
        self.recipes[fit.name] = recipe(self.suite, self.profile, card, model, fit)
        return fit

    def _add_ensembles(self, method: str, card: cards.MethodCard) -> None:
        """Add one cell for each set of cells that differ in nothing but the seed, and those cells themselves."""
        member = self.catalogue.method(card.ensemble, where=f"method {method}: ensemble")
        if member.inference or member.ensemble:
            raise CardError(
                f"method {method}: ensemble: {card.ensemble!r} is not trained itself; name a method that is"
            )
        if "seed" in self.only:
            return  # an ensemble over some of the seeds would be another one under the same name
        self.add(card.ensemble, only={**self.only, "method": (card.ensemble,)})
        groups: dict[tuple[object, ...], list[Cell]] = {}
        for cell in self.cells.values():
            if cell.method == card.ensemble and len(cell.fits) == 1:
                same = (cell.model, cell.configuration, cell.train, cell.valid, cell.test, cell.protocol, cell.setting)
                groups.setdefault(same, []).append(cell)
        for members in groups.values():
            if len(members) > 1:
                cell = ensemble_cell(method, members)
                self.cells[cell.name] = cell


def recipe(
    suite: cards.SuiteCard,
    profile: cards.Profile,
    method: cards.MethodCard,
    model: cards.ModelCard,
    fit: Fit | None = None,
) -> cards.Recipe:
    """Collect everything that decides a fit besides its images; without a fit, that of a pretrained model."""
    if fit is not None:
        schedule, averaging = profile.schedule or method.schedule, profile.averaging or method.averaging
        method = msgspec.structs.replace(method, schedule=schedule, averaging=averaging)
    return cards.Recipe(
        method=method,
        model=model,
        labels=suite.labels,
        image_size=model.image_size or profile.image_size,
        epochs=method.epochs or profile.epochs,
        batch_size=profile.batch_size,
        steps_per_epoch=profile.steps_per_epoch,
        precision=profile.precision,
        channels_last=profile.channels_last,
        threads=profile.threads,
        seed=fit.seed if fit else 0,
        task=suite.task,
        identity=identity_of(fit, suite) if fit else "",
    )


def base_of(dataset: str, catalogue: Catalogue) -> str:
    """Follow slices down to the dataset whose patients they are."""
    visited = [dataset]
    while base := catalogue.dataset(visited[-1]).base:
        catalogue.dataset(base, where=f"{catalogue.path('dataset', visited[-1])}: base")
        if base in visited:
            raise CardError(f"{catalogue.path('dataset', dataset)}: base: a circle: {' -> '.join([*visited, base])}")
        visited.append(base)
    return visited[-1]


def _check_selection(card: cards.MethodCard, fit: Fit, suite: cards.SuiteCard) -> None:
    """Refuse the selection of an epoch where nothing is validated."""
    if fit.valid == NONE and (card.selection != "last" or card.patience):
        raise CardError(
            f"method {card.name}: selects an epoch by validation, and configuration {fit.configuration!r} of suite "
            f'{suite.name} has no validation images; expected selection = "last" without patience'
        )


def _check_objective(card: cards.MethodCard, suite: cards.SuiteCard) -> None:
    """Refuse a loss of the other task."""
    name, _ = blocks.split("objective", card.objective, where=f"method {card.name}")
    expected = {"multilabel": "masked-bce", "multiclass": "cross-entropy"}
    if name in expected.values() and name != expected[suite.task]:
        raise CardError(
            f"method {card.name}: objective: {name!r} is not for a {suite.task} suite such as {suite.name}; "
            f"expected {expected[suite.task]!r}"
        )
