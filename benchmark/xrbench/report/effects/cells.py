"""Selection and grouping of a run's cells, and the domains of their test sets.

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
"""Protocols whose figures may be compared with each other: none of their images was trained on."""
RESUBSTITUTION = "resubstitution"


def measured(run: Run, **values: object) -> list[RunCell]:
    """List the cells with these values, in the order of the suite's methods, models and configurations.

    Args:
        run: The run.
        values: Attribute of a cell -> the value it must have, or a tuple of those it may have; None accepts all.
    """
    kept = [
        one for one in run.results.cells if all(_accepts(value, getattr(one, name)) for name, value in values.items())
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
    by_values: dict[tuple[Any, ...], list[RunCell]] = {}
    for cell in cells:
        by_values.setdefault(tuple(getattr(cell, field) for field in fields), []).append(cell)
    return by_values


def names_of(run: Run, field: str) -> tuple[str, ...]:
    """List the names of the suite or the run for ``method``, ``model``, ``configuration`` or ``test``.

    A run of a part of its suite has measured fewer than the suite names; the names are known nevertheless.
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
    """Check a name in an option and return it.

    Raises:
        UnknownNameError: It is not among the names; the nearest one is offered.
    """
    allowed = tuple(dict.fromkeys(names))
    if name not in allowed:
        raise UnknownNameError(option, name, allowed, where=f"suite {run.suite.name}: {where}")
    return name


def count_people(frame: pd.DataFrame, run: Run) -> str:
    """Write the number of images and, where patient ids are known, of patients."""
    patients = patients_of(frame, run.results.domain)
    of = "" if patients is None else f" of {len(set(patients)):,} patients"
    return f"{len(frame):,} images{of}"


def domains(tests: Iterable[str], run: Run) -> Mapping[str, str]:
    """Name the domain of each test set: test sets that share a dataset's patients, directly or through others, are one domain.

    Args:
        tests: Test sets, datasets joined with ``+``.
        run: Knows which dataset a slice is cut from.
    """
    listed = sorted(tests)
    bases = {test: {run.results.domain(name) for name in test.split("+")} for test in listed}
    merged: list[set[str]] = []
    for test in listed:
        domain = set(bases[test])
        # A test set of several datasets joins domains that were apart until now.
        for other in [group for group in merged if group & domain]:
            merged.remove(other)
            domain |= other
        merged.append(domain)
    return {test: next("+".join(sorted(group)) for group in merged if bases[test] <= group) for test in listed}


def _accepts(allowed: object, value: object) -> bool:
    if allowed is None:
        return True
    return value in allowed if isinstance(allowed, tuple) else value == allowed


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)
