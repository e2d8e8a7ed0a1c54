"""What ``--only`` keeps, and what is left without some datasets or cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from xrbench import cards
from xrbench.catalogue import Catalogue
from xrbench.errors import UnknownNameError, UsageError, suggestion
from xrbench.planning.plan import Cell, Plan
from xrbench.planning.protocol_settings import mentioned

ONLY_FIELDS = ("method", "model", "train", "valid", "test", "seed", "configuration")


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


def listed(listed: Sequence[str], wanted: Sequence[str], catalogue: Catalogue, kind: str) -> tuple[str, ...]:
    """Keep the listed names that are wanted and add wanted ones that exist elsewhere in the catalogue."""
    for name in wanted:
        if name not in listed and name not in catalogue.names(kind):
            raise UnknownNameError(kind, name, catalogue.names(kind), where="--only")
    added = [name for name in wanted if name not in listed]
    return tuple(name for name in (*listed, *added) if not wanted or name in wanted)


def kept(cell: Cell, wanted: Mapping[str, Sequence[str]], setting: cards.Setting) -> bool:
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


def offer(
    wanted: Mapping[str, Sequence[str]],
    methods: Sequence[str],
    models: Sequence[str],
    settings: Sequence[cards.Setting],
) -> str:
    """Say which wanted value stands nowhere, with the nearest one that does."""
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
    settings = tuple(s for s in plan.settings if not gone & set(mentioned(s)))
    return msgspec.structs.replace(plan, fits=fits, cells=cells, settings=settings)


def without_cells(plan: Plan, names: Sequence[str]) -> Plan:
    """Leave out cells by name."""
    return msgspec.structs.replace(plan, cells=tuple(cell for cell in plan.cells if cell.name not in names))
