"""Options of figures: names that the run or its suite knows, and whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from xrbench.cards import FigureLayout
from xrbench.errors import CardError, UnknownNameError

Names = str | Sequence[str]
"""An option that takes one name or several."""


def asked(value: Any, option: str, known: Iterable[str], layout: FigureLayout) -> tuple[str, ...]:
    """Read an option that takes names; none means all.

    Raises:
        CardError: It is neither a name nor a list of names.
        UnknownNameError: A name is not known; the nearest one is offered.
    """
    where = f"figure {layout.name}"
    given = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Sequence) else (value,)
    for name in given:
        if not isinstance(name, str):
            raise CardError(f"{where}: option {option!r}: expected a name or a list of names, got {value!r}")
    names = tuple(known)
    for name in given:
        if name not in names:
            raise UnknownNameError(option, name, names, where=where)
    return given


def whole(value: Any, option: str, lowest: int, layout: FigureLayout) -> int:
    """Read an option that takes a whole number.

    Raises:
        CardError: It is none, or too small.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
        raise CardError(
            f"figure {layout.name}: option {option!r}: expected a whole number from {lowest} up, got {value!r}"
        )
    return value
