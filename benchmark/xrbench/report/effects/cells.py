"""Which cells a run has measured, and who is in them.

Patients are known by dataset and id together, so that held-out patients of several datasets in one test set stay apart and the same
patient in two test sets is one. Test sets that share a dataset form one domain; others are independent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from xrbench.errors import UnknownNameError
from xrbench.report.run_folder import Run
from xrbench.runs.prediction_frame import patients_of
from xrbench.runs.run_cell import RunCell

HELD_OUT = ("internal", "external")
"""Protocols whose figures may be set against each other: no image that a fit has learned from."""
RESUBSTITUTION = "resubstitution"


def measured(run: Run, **wanted: object) -> list[RunCell]:
    """List the cells with these values, in the order of the suite's methods, models and configurations.

    Args:
        run: The run.
        wanted: Attribute of a cell -> the value it must have, or a tuple of those it may have; None accepts all.
    """
    kept = [
        one for one in run.results.cells if all(_accepts(value, getattr(one, name)) for name, value in wanted.items())
    ]
    configurations = [one.name for one in run.suite.protocol.configurations]
    profiles = list(run.suite.profiles.values())
    orders = (
        ("method", (*run.suite.methods, *(name for profile in profiles for name in profile.methods))),
        ("model", (*run.suite.models, *(name for profile in profiles for name in profile.models))),
        ("training_set", configurations),
    )
    return sorted(kept, key=lambda one: tuple(_place(getattr(one, name), order) for name, order in orders))


def groups(cells: Iterable[RunCell], *fields: str) -> dict[tuple[Any, ...], list[RunCell]]:
    """Group cells by some of their attributes, in the order in which they come."""
    found: dict[tuple[Any, ...], list[RunCell]] = {}
    for one in cells:
        found.setdefault(tuple(getattr(one, field) for field in fields), []).append(one)
    return found


def names_of(run: Run, field: str) -> tuple[str, ...]:
    """List the names that the suite or the run has for ``method``, ``model``, ``configuration`` or ``test``.

    A run of a part of its suite has measured fewer than the suite names: those are known, and there is nothing to show for them.
    """
    suite, profiles = run.suite, run.suite.profiles.values()
    named = {
        "method": (*suite.methods, *(name for profile in profiles for name in profile.methods)),
        "model": (*suite.models, *(name for profile in profiles for name in profile.models)),
        "configuration": tuple(one.name for one in suite.protocol.configurations),
        "test": suite.protocol.external,
    }
    attribute = "training_set" if field == "configuration" else field
    return tuple(dict.fromkeys((*named[field], *(getattr(cell, attribute) for cell in run.results.cells))))


def known(run: Run, option: str, name: str, names: Iterable[str], *, where: str) -> str:
    """Refuse a name in an option that is not among those that may stand there, and return it.

    Raises:
        UnknownNameError: The nearest name is offered.
    """
    there = tuple(dict.fromkeys(names))
    if name not in there:
        raise UnknownNameError(option, name, there, where=f"suite {run.suite.name}: {where}")
    return name


def count_people(frame: pd.DataFrame, run: Run) -> str:
    """Write how many images of how many patients there are.

    Where a dataset has no patient ids, only images are counted.
    """
    patients = patients_of(frame, run.results.domain)
    of = "" if patients is None else f" of {len(set(patients)):,} patients"
    return f"{len(frame):,} images{of}"


def domains(tests: Iterable[str], run: Run) -> Mapping[str, str]:
    """Name the domain of each test set: test sets that share a dataset's patients, directly or through others, are one.

    Args:
        tests: Test sets, datasets joined with ``+``.
        run: Knows which dataset a slice is cut from.
    """
    listed = sorted(tests)
    bases = {test: {run.results.domain(name) for name in test.split("+")} for test in listed}
    merged: list[set[str]] = []
    for test in listed:
        mine = set(bases[test])
        for other in [group for group in merged if group & mine]:
            merged.remove(other)
            mine |= other
        merged.append(mine)
    return {test: next("+".join(sorted(group)) for group in merged if bases[test] <= group) for test in listed}


def _accepts(wanted: object, value: object) -> bool:
    if wanted is None:
        return True
    return value in wanted if isinstance(wanted, tuple) else value == wanted


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)
