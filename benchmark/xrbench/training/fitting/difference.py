"""The field in which two specifications of a fit differ, for messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def first_difference(stored: Mapping[str, Any], current: Mapping[str, Any]) -> str:
    """Name the first field that decides a result and differs; empty where there is none.

    Args:
        stored: Specification as it was stored, nested mappings of plain values.
        current: The one that is expected.

    >>> first_difference({"method": {"epochs": 3}, "seed": 0}, {"method": {"epochs": 4}, "seed": 0})
    'method.epochs is 3 there, 4 is expected'
    """
    there, here = _flat(stored), _flat(current)
    for name in {**there, **here}:
        if there.get(name) != here.get(name) and _decides(name):
            return f"{name} is {there.get(name)!r} there, {here.get(name)!r} is expected"
    return ""


def _flat(values: Any, name: str = "") -> dict[str, Any]:
    """Flatten nested fields to dotted paths.

    >>> _flat({"method": {"epochs": 3}, "seed": 0})
    {'method.epochs': 3, 'seed': 0}
    """
    if not isinstance(values, Mapping):
        return {name: list(values) if isinstance(values, tuple) else values}
    return {
        path: value
        for field_, below in values.items()
        for path, value in _flat(below, f"{name}.{field_}" if name else str(field_)).items()
    }


def _decides(name: str) -> bool:
    """Return whether a field affects the result; titles, notes and names of cards do not."""
    return name.rpartition(".")[2] not in ("title", "notes") and name not in ("method.name", "model.name")
