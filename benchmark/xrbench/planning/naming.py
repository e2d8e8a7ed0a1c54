"""Name fits and cells by what they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from xrbench import cards
from xrbench.planning.plan import Cell, Fit, Kind
from xrbench.planning.protocol_settings import mentioned, setting_name
from xrbench.rng import fit_identity


def fit_of(method: str, model: str, setting: cards.Setting, bases: Mapping[str, str]) -> Fit:
    """Name what one method trains with one model in a setting."""
    inside = {bases[name] for name in mentioned(setting)[:-1]}
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


def identity_of(fit: Fit, suite: cards.SuiteCard) -> str:
    """Spell what the random streams of a suite's fit derive from."""
    setting = f"{fit.trained_on}/valid-{fit.valid}{f'/without-{fit.test}' if fit.guarded else ''}"
    return fit_identity(suite=suite.name, setting=setting, method=fit.method, model=fit.model, seed=fit.seed)


def cells_of(fit: Fit, model: cards.ModelCard, protocol: cards.Protocol, bases: Mapping[str, str]) -> list[Cell]:
    """List what a fit is measured on: the external dataset, its internal tests, and its validation images."""
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


def cell_as_it_comes(method: str, model: cards.ModelCard, setting: cards.Setting, bases: Mapping[str, str]) -> Cell:
    """Name what a model that is used without training is measured on."""
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


def ensemble_cell(method: str, members: Sequence[Cell]) -> Cell:
    """Name the cell that averages the scores of cells that differ in their seeds alone."""
    first = members[0]
    seeds = "+".join(str(cell.seed) for cell in members)
    where = first.name.split("/")
    at = next(number for number, part in enumerate(where) if part.startswith("seed-"))
    name = "/".join([method, *where[1:at], f"seeds-{seeds}", *where[at + 1 :]])
    fits = tuple(cell.fits[0] for cell in members)
    return msgspec.structs.replace(first, name=name, fits=fits, method=method, seed=min(cell.seed for cell in members))
