"""Which cells a run has measured, and who is in them.

Patients are known by dataset and id together, so that held-out patients of several datasets in one test set stay apart and the same
patient in two test sets is one. Test sets that share a dataset form one domain; others are independent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.errors import UnknownNameError
from xrbench.report.run_folder import Run

Names = npt.NDArray[np.object_]

HELD_OUT = ("internal", "external")
"""Protocols whose figures may be set against each other: no image that a fit has learned from."""
RESUBSTITUTION = "resubstitution"


@dataclass(frozen=True)
class Measured:
    """One cell of a run.

    Attributes:
        cell: Its name.
        method, model: Card names.
        configuration: Name of the training set, or its datasets where it has none.
        train, test: Datasets, joined with ``+``.
        protocol: ``internal``, ``external``, ``resubstitution`` or ``validation``.
        seed: Seed of the fit; the lowest of an ensemble's.
        members: How many fits its scores are the mean of.
        seen: Whether the weights had seen the test dataset before.
    """

    cell: str
    method: str
    model: str
    configuration: str
    train: str
    test: str
    protocol: str
    seed: int
    members: int
    seen: bool

    @property
    def line(self) -> tuple[str, str]:
        """Method and model."""
        return self.method, self.model


def measured(run: Run, **wanted: object) -> list[Measured]:
    """List the cells with these values, in the order of the suite's methods, models and configurations.

    Args:
        run: The run.
        wanted: Attribute of a cell -> the value it must have, or a tuple of those it may have; None accepts all.
    """
    found = [_measured(row) for _, row in run.cells().iterrows()]
    kept = [one for one in found if all(_accepts(value, getattr(one, name)) for name, value in wanted.items())]
    configurations = [one.name for one in run.suite.protocol.configurations]
    profiles = list(run.suite.profiles.values())
    orders = (
        ("method", (*run.suite.methods, *(name for profile in profiles for name in profile.methods))),
        ("model", (*run.suite.models, *(name for profile in profiles for name in profile.models))),
        ("configuration", configurations),
    )
    return sorted(kept, key=lambda one: tuple(_place(getattr(one, name), order) for name, order in orders))


def groups(cells: Iterable[Measured], *fields: str) -> dict[tuple[Any, ...], list[Measured]]:
    """Group cells by some of their attributes, in the order in which they come."""
    found: dict[tuple[Any, ...], list[Measured]] = {}
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
    return tuple(dict.fromkeys((*named[field], *(getattr(one, field) for one in measured(run)))))


def known(run: Run, option: str, name: str, names: Iterable[str], *, where: str) -> str:
    """Refuse a name in an option that is not among those that may stand there, and return it.

    Raises:
        UnknownNameError: The nearest name is offered.
    """
    there = tuple(dict.fromkeys(names))
    if name not in there:
        raise UnknownNameError(option, name, there, where=f"suite {run.suite.name}: {where}")
    return name


def people(frame: pd.DataFrame, run: Run) -> Names | None:
    """Name the patient of each image by the dataset whose patients these are and the id; None when there are no ids."""
    if "patient_id" not in frame or frame["patient_id"].isna().all():
        return None
    base = {name: run.results.domain(name) for name in frame["dataset"].astype(str).unique()}
    return np.asarray(frame["dataset"].astype(str).map(base) + "/" + frame["patient_id"].astype(str), object)


def images(frame: pd.DataFrame) -> Names:
    """Name each image by its dataset and id."""
    return np.asarray(frame["dataset"].astype(str) + "/" + frame["image"].astype(str), object)


def count_people(frame: pd.DataFrame, run: Run) -> str:
    """Write how many images of how many patients there are.

    Where a dataset has no patient ids, only images are counted.
    """
    patients = people(frame, run)
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


def _measured(row: pd.Series) -> Measured:
    members = row["members"]
    return Measured(
        **{field: str(row[field]) for field in ("cell", "method", "model", "train", "test", "protocol")},
        configuration=str(row["configuration"]) or str(row["train"]),
        seed=int(row["seed"]),
        members=1 if members != members else int(members),
        seen=bool(row["seen"]),
    )


def _accepts(wanted: object, value: object) -> bool:
    if wanted is None:
        return True
    return value in wanted if isinstance(wanted, tuple) else value == wanted


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)
