"""Filters of a plan: ``--only``, datasets that are not there, cells without images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from xrbench import cards
from xrbench.catalogue import Catalogue
from xrbench.errors import UnknownNameError, UsageError, suggestion
from xrbench.planning import graph
from xrbench.planning.plan import Cell, Fit, Plan
from xrbench.planning.protocol_settings import mentioned

ONLY_FIELDS = ("method", "model", "train", "valid", "test", "seed", "configuration")


def parse_only(only: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read ``field=value,...`` filters.

    >>> parse_only(["method=a,b,seed=0", "seed=1"])
    {'method': ('a', 'b'), 'seed': ('0', '1')}
    """
    values: dict[str, list[str]] = {}
    for text in only:
        field = ""
        for piece in text.split(","):
            key, equals, value = piece.partition("=")
            if equals:
                field = key.strip()
                if field not in ONLY_FIELDS:
                    raise UsageError(f"--only {text}: unknown field {field!r}{suggestion(field, ONLY_FIELDS)}")
            elif not field:
                raise UsageError(f"--only {text}: expected field=value, such as method=balanced-batching")
            # a piece without "=" is one more value of the field before it
            values.setdefault(field, []).append((value if equals else piece).strip())
    return {field: tuple(accepted) for field, accepted in values.items()}


def select_names(names: Sequence[str], requested: Sequence[str], catalogue: Catalogue, kind: str) -> tuple[str, ...]:
    """Keep the suite's names that are requested, and add requested ones that only the catalogue has.

    Args:
        names: Methods or models of the suite.
        requested: Names given with ``--only``; none of them keeps all.
        catalogue: Where further ones are.
        kind: ``method`` or ``model``.

    Raises:
        UnknownNameError: A requested name does not exist.
    """
    for name in requested:
        if name not in names and name not in catalogue.names(kind):
            raise UnknownNameError(kind, name, catalogue.names(kind), where="--only")
    if not requested:
        return tuple(names)
    added = [name for name in requested if name not in names]
    return tuple(name for name in (*names, *added) if name in requested)


def matches(cell: Cell, only: Mapping[str, Sequence[str]], setting: cards.Setting) -> bool:
    """Say whether a cell of a setting matches the filters.

    A validation cell is measured with its fit, whatever the test dataset; a pretrained model without training belongs to its
    settings, whatever the models of the suite.
    """
    values = {
        "method": cell.method,
        "model": cell.model,
        "train": "+".join(setting.train),
        "valid": setting.valid,
        "test": cell.test,
        "seed": str(setting.seed),
        "configuration": setting.configuration,
    }
    if cell.protocol == "validation":
        values.pop("test")
    elif not cell.fits:
        values.pop("model")
    return all(values[field] in accepted for field, accepted in only.items() if field in values)


def unknown_value(
    only: Mapping[str, Sequence[str]],
    methods: Sequence[str],
    models: Sequence[str],
    settings: Sequence[cards.Setting],
) -> str:
    """Phrase which value of the filters no setting has, with the nearest one that exists; empty if each exists."""
    known: dict[str, set[str]] = {
        "method": set(methods),
        "model": set(models),
        "train": {"+".join(setting.train) for setting in settings},
        "valid": {setting.valid for setting in settings},
        "test": {name for setting in settings for name in (setting.test, *setting.train)},
        "seed": {str(setting.seed) for setting in settings},
        "configuration": {setting.configuration for setting in settings},
    }
    for field, values in only.items():
        for value in values:
            if value not in known[field]:
                return f": no {field} {value!r}{suggestion(value, known[field])}"
    return ""


def without_datasets(plan: Plan, missing: Sequence[str]) -> Plan:
    """Leave out the fits and cells that need any of these datasets."""
    absent = set(missing)
    runnable = tuple(cell for cell in plan.cells if not absent & {*cell.tests, *cell.train, cell.valid})
    tested = {name for cell in runnable if cell.protocol == "external" for name in cell.fits}
    # a fit of a named training set serves several external tests and stays while one of them can be measured;
    # another fit belongs to one external test and goes with it
    gone = [
        fit.name
        for fit in plan.fits
        if absent & {*fit.train, fit.valid, *_reserved(fit)}
        or (fit.name not in tested if fit.configuration else fit.test in absent)
    ]
    left = graph.without(gone, plan.fits)
    measured = {name for cell in runnable for name in cell.fits} & {fit.name for fit in left}
    fits = graph.needed_by(measured, left)
    names = {fit.name for fit in fits}
    cells = tuple(cell for cell in runnable if set(cell.fits) <= names)
    settings = tuple(setting for setting in plan.settings if not absent & set(mentioned(setting)))
    return msgspec.structs.replace(plan, fits=fits, cells=cells, settings=settings)


def _reserved(fit: Fit) -> tuple[str, ...]:
    """List the datasets of which a fit leaves out what is held out for its children."""
    return mentioned(fit.reserved) if fit.reserved else ()


def without_cells(plan: Plan, names: Sequence[str]) -> Plan:
    """Leave out cells by name."""
    return msgspec.structs.replace(plan, cells=tuple(cell for cell in plan.cells if cell.name not in names))
