"""Make the fits and cells of a setting; their names are made of values, never of an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from xrbench import cards
from xrbench.planning.plan import Cell, Fit, Kind
from xrbench.planning.protocol_settings import HELD_OUT, NONE, mentioned, setting_name
from xrbench.rng import fit_identity


def fit_of(
    method: str, model: str, setting: cards.Setting, bases: Mapping[str, str], *, pretrained: bool = False
) -> Fit:
    """Make the fit of one method and one model in a setting.

    Args:
        method: Name of the method card.
        model: Name of the model card.
        setting: Datasets and seed.
        bases: Dataset -> the dataset whose patients it holds.
        pretrained: Whether an ancestor is trained on the setting's ``pretrain`` datasets.
    """
    # where the test dataset shares patients with training or validation, they are left out, and so the fit depends on it
    learned_from = (*mentioned(setting)[:-1], *(setting.pretrain if pretrained else ()))
    guarded = bases[setting.test] in {bases[name] for name in learned_from}
    fit = Fit(
        name="",
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
    return msgspec.structs.replace(fit, name=_name(fit))


def pretraining_fit_of(method: str, model: str, setting: cards.Setting, bases: Mapping[str, str]) -> Fit:
    """Make the fit of a parent on the ``pretrain`` datasets of a setting.

    It depends on the setting's other datasets only where they share patients with those: what is held out for its children is left
    out. Otherwise all settings share it.
    """
    own = {bases[name] for name in setting.pretrain}
    shares = bool(own & {bases[name] for name in mentioned(setting)[:-1]})
    guarded = bases[setting.test] in own
    fit = Fit(
        name="",
        method=method,
        model=model,
        train=setting.pretrain,
        # the parent of a fit that is not validated is not validated either
        valid=NONE if setting.valid == NONE else HELD_OUT,
        test=setting.test if guarded else "",
        seed=setting.seed or 0,
        guarded=guarded,
        split=setting.split,
        role="pretrain",
        reserved=msgspec.structs.replace(setting, seed=None, pretrain=()) if shares else None,
    )
    return msgspec.structs.replace(fit, name=_name(fit))


def _name(fit: Fit) -> str:
    return f"{fit.method}/{fit.model}/{fit.trained_on}/valid-{fit.valid}/seed-{fit.seed}{_held_out_for(fit)}"


def _held_out_for(fit: Fit) -> str:
    """Name what is left out of a fit, where that depends on the setting."""
    reserved = fit.reserved
    of = (
        f"/for-{setting_name(reserved.train, reserved.valid, '', reserved.configuration).rstrip('>')}"
        if reserved
        else ""
    )
    return f"{of}/without-{fit.test}" if fit.guarded else of


def identity_of(fit: Fit, suite: cards.SuiteCard) -> str:
    """Return what the random streams of a suite's fit derive from (``rng.fit_identity``)."""
    setting = f"{fit.trained_on}/valid-{fit.valid}{_held_out_for(fit)}"
    return fit_identity(suite=suite.name, setting=setting, method=fit.method, model=fit.model, seed=fit.seed)


def cells_of(fit: Fit, model: cards.ModelCard, protocol: cards.Protocol, bases: Mapping[str, str]) -> list[Cell]:
    """List the cells of a fit: the external dataset, its internal tests, and its validation images."""
    tests: list[tuple[str, Kind]] = [(fit.test, "external")]
    if protocol.internal:
        internal: Kind = "resubstitution" if fit.split is not None and fit.split.kind == "everything" else "internal"
        tests += [("+".join(fit.train), internal)] if fit.configuration else [(name, internal) for name in fit.train]
    if fit.validated:
        tests.append((fit.valid, "validation"))
    return [
        Cell(
            name=f"{fit.name}/{'validation' if kind == 'validation' else test}",
            fits=(fit.name,),
            method=fit.method,
            model=fit.model,
            train=fit.train,
            valid=fit.valid,
            test=test,
            protocol=kind,
            seed=fit.seed,
            setting=setting_name(fit.train, fit.valid, fit.test, fit.configuration),
            seen=_is_seen(test.split("+"), model, bases),
            configuration=fit.configuration,
            given=fit.given,
        )
        for test, kind in tests
    ]


def pretrained_cell(method: str, model: cards.ModelCard, setting: cards.Setting, bases: Mapping[str, str]) -> Cell:
    """Make the cell of a model that is used without training."""
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
        seen=_is_seen([setting.test], model, bases),
    )


def _is_seen(datasets: Sequence[str], model: cards.ModelCard, bases: Mapping[str, str]) -> bool:
    """Say whether the model's weights were made from images of any of these datasets."""
    return any({name, bases.get(name, name)} & set(model.seen) for name in datasets)


def ensemble_cell(method: str, members: Sequence[Cell]) -> Cell:
    """Make the cell that averages the scores of cells which differ in their seeds alone."""
    first = members[0]
    seeds = "+".join(str(cell.seed) for cell in members)
    parts = first.name.split("/")
    position = next(number for number, part in enumerate(parts) if part.startswith("seed-"))
    name = "/".join([method, *parts[1:position], f"seeds-{seeds}", *parts[position + 1 :]])
    fits = tuple(cell.fits[0] for cell in members)
    return msgspec.structs.replace(first, name=name, fits=fits, method=method, seed=min(cell.seed for cell in members))
