"""From a suite to the list of what is trained once (fits) and what is measured (cells): pure and ordered.

A fit's name and a cell's name are made of values, never of an index.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from xrbench import blocks, cards
from xrbench.catalogue import Catalogue
from xrbench.errors import CardError, UnknownNameError, UsageError, suggestion

HELD_OUT = "held-out"
NONE = "none"
"""The validation set of a fit that selects no epoch."""
ONLY_FIELDS = ("method", "model", "train", "valid", "test", "seed", "configuration")

Kind = Literal["internal", "external", "validation", "resubstitution"]


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """What is trained once.

    Attributes:
        name: ``method/model/train/valid-.../seed-...``; a named training set stands before its datasets.
        method, model: Card names.
        train: Training datasets.
        valid: Validation dataset, ``held-out`` or ``none``.
        test: The external test dataset, which the fit must know nothing of.
        seed: Seed of the setting.
        guarded: True when the test dataset shares patients with training or validation, so that the fit depends on it.
        configuration: Name of the training set, where the protocol names them.
        split: Its split rule, where that is not the profile's.
    """

    name: str
    method: str
    model: str
    train: tuple[str, ...]
    valid: str
    test: str
    seed: int
    guarded: bool
    configuration: str = ""
    split: cards.SplitRule | None = None

    @property
    def trained_on(self) -> str:
        """The training datasets, behind the name of the training set if it has one."""
        return f"{self.configuration}{':' if self.configuration else ''}{'+'.join(self.train)}"

    @property
    def validated(self) -> bool:
        """Whether it has a validation set."""
        return self.valid != NONE


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured on one test set: a fit, an ensemble of several, or (without a fit) a model used as it comes.

    The test set of a named training set is all its datasets together, such as ``chexpert+nih``.
    """

    name: str
    fits: tuple[str, ...]
    method: str
    model: str
    train: tuple[str, ...]
    valid: str
    test: str
    protocol: Kind
    seed: int
    setting: str
    seen: bool = False
    configuration: str = ""

    @property
    def tests(self) -> tuple[str, ...]:
        """The datasets of its test set."""
        return tuple(self.test.split("+"))

    @property
    def is_ensemble(self) -> bool:
        """Whether its scores are the mean of several fits' stored scores."""
        return len(self.fits) > 1


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A suite under a profile: its fits and cells, in order.

    Attributes:
        suite, profile_name, profile: What was expanded.
        fits, cells: What is trained once, and what is measured.
        settings: The settings that are measured.
        recipes: Name of a fit, or of a cell without one, -> what decides it besides images.
        bases: Dataset -> the dataset whose patients it holds.
    """

    suite: cards.SuiteCard
    profile_name: str
    profile: cards.Profile
    fits: tuple[Fit, ...]
    cells: tuple[Cell, ...]
    settings: tuple[cards.Setting, ...]
    recipes: dict[str, cards.Recipe]
    bases: dict[str, str]

    def fit(self, name: str) -> Fit:
        """Return the fit of that name."""
        return next(fit for fit in self.fits if fit.name == name)

    @property
    def datasets(self) -> tuple[str, ...]:
        """All datasets that the plan's fits and cells need, in order."""
        named = [name for fit in self.fits for name in (*fit.train, fit.valid, fit.test)]
        named += [name for cell in self.cells for name in cell.tests]
        return tuple(dict.fromkeys(name for name in named if name not in (HELD_OUT, NONE, "")))

    @property
    def datasets_of_suite(self) -> tuple[str, ...]:
        """All datasets that the suite names, also those of settings left out of the plan."""
        named = (name for setting in settings_of(self.suite.protocol) for name in _mentioned(setting))
        return tuple(dict.fromkeys((*named, *self.datasets)))

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods of the plan's cells, in order."""
        return tuple(dict.fromkeys(cell.method for cell in self.cells))


def choose_profile(suite: cards.SuiteCard, name: str | None, *, fixture: bool) -> tuple[str, cards.Profile]:
    """Choose a profile: the named one; else ``quick`` on the fixture and the suite's first on real data.

    Raises:
        UnknownNameError: The suite has no such profile.
    """
    if not suite.profiles:
        raise CardError(f"suite {suite.name}: has no [profiles]; at least one is needed to run it")
    chosen = name or ("quick" if fixture and "quick" in suite.profiles else next(iter(suite.profiles)))
    if chosen not in suite.profiles:
        raise UnknownNameError("profile", chosen, suite.profiles, where=f"suite {suite.name}")
    return chosen, suite.profiles[chosen]


def settings_of(protocol: cards.Protocol, seeds: Sequence[int] = ()) -> tuple[cards.Setting, ...]:
    """List the settings of a protocol with their seeds.

    Written settings are taken as they are. Else, in ``leave-datasets-out``, every choice of ``train_size`` training datasets, a
    validation dataset (if the protocol has one) and a test dataset is a setting; in ``internal-external``, every configuration with
    every external dataset. ``seeds`` replaces all seeds.

    >>> four = cards.Protocol(datasets=("a", "b", "c", "d"), valid="dataset")
    >>> len(settings_of(four))
    12
    """
    found = protocol.settings or tuple(_enumerated(protocol))
    return tuple(
        msgspec.structs.replace(setting, seed=seed)
        for setting in found
        for seed in (seeds or ([setting.seed] if setting.seed is not None else protocol.seeds))
    )


def make_plan(
    suite: cards.SuiteCard,
    catalogue: Catalogue,
    *,
    profile: str | None = None,
    fixture: bool = False,
    only: Sequence[str] = (),
    seeds: Sequence[int] = (),
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

    Raises:
        UnknownNameError: A method or model does not exist.
        UsageError: Nothing is left after ``only``.
    """
    name, chosen = choose_profile(suite, profile, fixture=fixture)
    wanted = parse_only(only)
    methods = _listed(chosen.methods or suite.methods, wanted.get("method", ()), catalogue, "method")
    models = _listed(chosen.models or suite.models, wanted.get("model", ()), catalogue, "model")
    settings = settings_of(suite.protocol, seeds)
    trained = any(not catalogue.method(method).inference for method in methods)
    for what, found in (("methods", methods), ("models", models or not trained), ("protocol: settings", settings)):
        if not found:
            raise CardError(f"suite {suite.name}, profile {name}: {what}: at least one is wanted")
    bases = {dataset: base_of(dataset, catalogue) for setting in settings for dataset in _mentioned(setting)}
    asked = _Asked(suite, chosen, catalogue, models, settings, wanted, bases)
    for method in methods:
        asked.add(method)
    fits, cells, recipes = asked.fits, asked.cells, asked.recipes
    if not cells:
        raise UsageError(
            f"--only {' '.join(only)}: nothing of suite {suite.name} matches{_offer(wanted, methods, models, settings)}"
        )
    used = {(cell.configuration, cell.train, cell.valid, cell.test) for cell in cells.values()}
    kept = tuple(s for s in settings if (s.configuration, s.train, s.valid, s.test) in used) or settings
    return Plan(
        suite=suite,
        profile_name=name,
        profile=chosen,
        fits=tuple(fits.values()),
        cells=tuple(cells.values()),
        settings=kept,
        recipes=recipes,
        bases=bases,
    )


class _Asked:
    """The fits and cells of a plan while they are put together."""

    def __init__(
        self,
        suite: cards.SuiteCard,
        profile: cards.Profile,
        catalogue: Catalogue,
        models: Sequence[str],
        settings: Sequence[cards.Setting],
        wanted: Mapping[str, Sequence[str]],
        bases: Mapping[str, str],
    ) -> None:
        self.suite, self.profile, self.catalogue, self.models = suite, profile, catalogue, models
        self.settings, self.wanted, self.bases = settings, wanted, bases
        self.fits: dict[str, Fit] = {}
        self.cells: dict[str, Cell] = {}
        self.recipes: dict[str, cards.Recipe] = {}

    def add(self, method: str, *, wanted: Mapping[str, Sequence[str]] | None = None) -> None:
        """Add all that a method trains and measures in every setting."""
        card, chosen = self.catalogue.method(method), self.wanted if wanted is None else wanted
        if card.ensemble:
            self._add_ensembles(method, card)
            return
        if not card.inference:
            _check_objective(card, self.suite)
        for setting in self.settings:
            if setting.valid == NONE and not card.inference and (card.selection != "last" or card.patience):
                raise CardError(
                    f"method {method}: selects an epoch by validation, and configuration {setting.configuration!r} of suite "
                    f'{self.suite.name} has no validation images; wanted selection = "last" without patience'
                )
            if card.inference:
                self._add_as_it_comes(method, card, setting)
            else:
                self._add_trained(method, card, setting, chosen)

    def _add_as_it_comes(self, method: str, card: cards.MethodCard, setting: cards.Setting) -> None:
        model = self.catalogue.model(card.inference, where=f"method {method}")
        cell = _inference_cell(method, model, setting, self.bases)
        if _kept(cell, self.wanted, setting):
            self.cells[cell.name] = cell
            self.recipes[cell.name] = recipe(self.suite, self.profile, card, model, 0)

    def _add_trained(
        self, method: str, card: cards.MethodCard, setting: cards.Setting, wanted: Mapping[str, Sequence[str]]
    ) -> None:
        for name in self.models:
            model = self.catalogue.model(name)
            fit = _fit(method, name, setting, self.bases)
            found = _cells(fit, model, self.suite.protocol, self.bases)
            measured = [cell for cell in found if _kept(cell, wanted, setting)]
            if any(cell.protocol != "validation" for cell in measured):
                self.fits[fit.name] = fit
                self.recipes[fit.name] = recipe(self.suite, self.profile, card, model, setting.seed or 0)
                for cell in measured:
                    self.cells.setdefault(cell.name, cell)

    def _add_ensembles(self, method: str, card: cards.MethodCard) -> None:
        """Add one cell for each set of cells that differ in nothing but the seed, and those cells themselves."""
        of = self.catalogue.method(card.ensemble, where=f"method {method}: ensemble")
        if of.inference or of.ensemble:
            raise CardError(
                f"method {method}: ensemble: {card.ensemble!r} is not trained itself; name a method that is"
            )
        members = {field: values for field, values in self.wanted.items() if field not in ("method", "seed")}
        if "seed" in self.wanted:
            return  # an ensemble over some of the seeds would be another one under the same name
        self.add(card.ensemble, wanted={**members, "method": (card.ensemble,)})
        groups: dict[tuple[object, ...], list[Cell]] = {}
        for cell in self.cells.values():
            if cell.method == card.ensemble and len(cell.fits) == 1:
                same = (cell.model, cell.configuration, cell.train, cell.valid, cell.test, cell.protocol, cell.setting)
                groups.setdefault(same, []).append(cell)
        for found in groups.values():
            if len(found) > 1:
                cell = _ensemble_cell(method, found)
                self.cells[cell.name] = cell


def _ensemble_cell(method: str, members: Sequence[Cell]) -> Cell:
    first = members[0]
    seeds = "+".join(str(cell.seed) for cell in members)
    where = first.name.split("/")
    at = next(number for number, part in enumerate(where) if part.startswith("seed-"))
    name = "/".join([method, *where[1:at], f"seeds-{seeds}", *where[at + 1 :]])
    fits = tuple(cell.fits[0] for cell in members)
    return msgspec.structs.replace(first, name=name, fits=fits, method=method, seed=min(cell.seed for cell in members))


def _check_objective(card: cards.MethodCard, suite: cards.SuiteCard) -> None:
    """Refuse a loss that does not belong to the suite's task."""
    name, _ = blocks.split("objective", card.objective, where=f"method {card.name}")
    fitting = {"multilabel": "masked-bce", "multiclass": "cross-entropy"}
    if name in fitting.values() and name != fitting[suite.task]:
        raise CardError(
            f"method {card.name}: objective: {name!r} is not for a {suite.task} suite such as {suite.name}; "
            f"wanted {fitting[suite.task]!r}"
        )


def without_datasets(plan: Plan, missing: Sequence[str]) -> Plan:
    """Leave out the fits and cells that need any of these datasets."""
    gone = set(missing)
    there = tuple(cell for cell in plan.cells if not gone & {*cell.tests, *cell.train, cell.valid})
    tested = {name for cell in there if cell.protocol == "external" for name in cell.fits}
    fits = tuple(
        fit
        for fit in plan.fits
        if not gone & {*fit.train, fit.valid} and (fit.name in tested if fit.configuration else fit.test not in gone)
    )
    names = {fit.name for fit in fits}
    cells = tuple(cell for cell in there if set(cell.fits) <= names)
    settings = tuple(s for s in plan.settings if not gone & set(_mentioned(s)))
    return msgspec.structs.replace(plan, fits=fits, cells=cells, settings=settings)


def without_cells(plan: Plan, names: Sequence[str]) -> Plan:
    """Leave out cells by name."""
    return msgspec.structs.replace(plan, cells=tuple(cell for cell in plan.cells if cell.name not in names))


def recipe(
    suite: cards.SuiteCard, profile: cards.Profile, method: cards.MethodCard, model: cards.ModelCard, seed: int
) -> cards.Recipe:
    """Put together everything that decides a fit besides its images."""
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
        seed=seed,
        task=suite.task,
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


def parse_only(only: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read ``field=value,...`` filters.

    >>> parse_only(["method=a,b,seed=0", "seed=1"])
    {'method': ('a', 'b'), 'seed': ('0', '1')}
    """
    found: dict[str, list[str]] = {}
    for text in only:
        field = ""
        for piece in text.split(","):
            key, equals, value = piece.partition("=")
            if equals:
                field = key.strip()
                if field not in ONLY_FIELDS:
                    raise UsageError(f"--only {text}: unknown field {field!r}{suggestion(field, ONLY_FIELDS)}")
            elif not field:
                raise UsageError(f"--only {text}: wanted field=value, such as method=balanced-batching")
            found.setdefault(field, []).append((value if equals else piece).strip())
    return {field: tuple(values) for field, values in found.items()}


def _enumerated(protocol: cards.Protocol) -> list[cards.Setting]:
    if protocol.kind == "internal-external":
        return [
            cards.Setting(train=one.train, valid=one.valid, test=test, configuration=one.name, split=one.split)
            for one, test in itertools.product(protocol.configurations, protocol.external)
        ]
    found = []
    for train in itertools.combinations(protocol.datasets, protocol.train_size):
        rest = [name for name in protocol.datasets if name not in train]
        if protocol.valid == "dataset":
            found += [
                cards.Setting(train=train, valid=valid, test=test) for valid, test in itertools.permutations(rest, 2)
            ]
        else:
            found += [cards.Setting(train=train, valid=HELD_OUT, test=test) for test in rest]
    return found


def _mentioned(setting: cards.Setting) -> tuple[str, ...]:
    return (*setting.train, *(() if setting.valid in (HELD_OUT, NONE) else (setting.valid,)), setting.test)


def _listed(listed: Sequence[str], wanted: Sequence[str], catalogue: Catalogue, kind: str) -> tuple[str, ...]:
    for name in wanted:
        if name not in listed and name not in catalogue.names(kind):
            raise UnknownNameError(kind, name, catalogue.names(kind), where="--only")
    added = [name for name in wanted if name not in listed]
    return tuple(name for name in (*listed, *added) if not wanted or name in wanted)


def setting_name(train: Sequence[str], valid: str, test: str, configuration: str = "") -> str:
    """Name a setting, such as ``nih+chexpert>mimic>padchest``, or ``both:nih+chexpert>held-out>mimic`` with its training set's name.

    >>> setting_name(["nih"], "held-out", "mimic", "small")
    'small:nih>held-out>mimic'
    """
    return f"{configuration}{':' if configuration else ''}{'+'.join(train)}>{valid}>{test}"


def _fit(method: str, model: str, setting: cards.Setting, bases: Mapping[str, str]) -> Fit:
    inside = {bases[name] for name in _mentioned(setting)[:-1]}
    guarded = bases[setting.test] in inside
    train = f"{setting.configuration}{':' if setting.configuration else ''}{'+'.join(setting.train)}"
    name = f"{method}/{model}/{train}/valid-{setting.valid}/seed-{setting.seed}"
    return Fit(
        name=f"{name}/without-{setting.test}" if guarded else name,
        method=method,
        model=model,
        train=setting.train,
        valid=setting.valid,
        test=setting.test,
        seed=setting.seed or 0,
        guarded=guarded,
        configuration=setting.configuration,
        split=setting.split,
    )


def _cells(fit: Fit, model: cards.ModelCard, protocol: cards.Protocol, bases: Mapping[str, str]) -> list[Cell]:
    tests: list[tuple[str, Kind]] = [(fit.test, "external")]
    if protocol.internal:
        inside: Kind = "resubstitution" if fit.split is not None and fit.split.kind == "everything" else "internal"
        tests += [("+".join(fit.train), inside)] if fit.configuration else [(name, inside) for name in fit.train]
    if fit.validated:
        tests.append((fit.valid, "validation"))
    return [
        Cell(
            name=f"{fit.name}/{'validation' if protocol_kind == 'validation' else test}",
            fits=(fit.name,),
            method=fit.method,
            model=fit.model,
            train=fit.train,
            valid=fit.valid,
            test=test,
            protocol=protocol_kind,
            seed=fit.seed,
            setting=setting_name(fit.train, fit.valid, fit.test, fit.configuration),
            seen=bool({name for one in test.split("+") for name in (one, bases.get(one, one))} & set(model.seen)),
            configuration=fit.configuration,
        )
        for test, protocol_kind in tests
    ]


def _inference_cell(method: str, model: cards.ModelCard, setting: cards.Setting, bases: Mapping[str, str]) -> Cell:
    return Cell(
        name=f"{method}/{model.name}/as-it-comes/{setting.test}",
        fits=(),
        method=method,
        model=model.name,
        train=(),
        valid="",
        test=setting.test,
        protocol="external",
        seed=0,
        setting="",
        seen=bool({setting.test, bases[setting.test]} & set(model.seen)),
    )


def _kept(cell: Cell, wanted: Mapping[str, Sequence[str]], setting: cards.Setting) -> bool:
    """Say whether a cell of a setting matches; validation goes with its fit, a model used as it comes with its settings."""
    values = {
        "method": cell.method,
        "model": cell.model,
        "train": "+".join(setting.train),
        "valid": setting.valid,
        "test": cell.test,
        "seed": str(setting.seed),
        "configuration": setting.configuration,
    }
    skipped = ("test",) if cell.protocol == "validation" else ("model",) if not cell.fits else ()
    return all(values[field] in accepted for field, accepted in wanted.items() if field not in skipped)


def _offer(
    wanted: Mapping[str, Sequence[str]],
    methods: Sequence[str],
    models: Sequence[str],
    settings: Sequence[cards.Setting],
) -> str:
    values: dict[str, set[str]] = {
        "method": set(methods),
        "model": set(models),
        "train": {"+".join(setting.train) for setting in settings},
        "valid": {setting.valid for setting in settings},
        "test": {name for setting in settings for name in (setting.test, *setting.train)},
        "seed": {str(setting.seed) for setting in settings},
        "configuration": {setting.configuration for setting in settings},
    }
    for field, asked in wanted.items():
        for value in asked:
            if value not in values[field]:
                return f": no {field} {value!r}{suggestion(value, values[field])}"
    return ""
