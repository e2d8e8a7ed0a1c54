"""The base class of cards, the types that their fields are made of, and limits on numbers.

A limit on a single number stands on its field (``accumulate: Positive``) and is checked when a card is read. What depends on
several fields is checked by the card's ``check``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from xrbench.errors import CardError

BlockSpec = str | dict[str, Any]
Uncertain = Literal["ones", "zeros", "ignore"]
Blank = Literal["negative", "ignore", "negative-when-no-finding"]
Task = Literal["multilabel", "multiclass"]

Positive = Annotated[int, msgspec.Meta(gt=0)]
NonNegative = Annotated[int, msgspec.Meta(ge=0)]
NonNegativeFloat = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
"""0 <= share < 1."""
OpenShare = Annotated[float, msgspec.Meta(gt=0, lt=1)]
"""0 < share < 1."""

Name = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Fields that all cards share.

    Attributes:
        title: One line for people.
        name: The file's stem; it does not stand in the file.
        notes: Anything worth knowing, for people.
    """

    title: str
    name: str = ""
    notes: str = ""

    def check(self, where: str) -> None:
        """Refuse fields that contradict each other; most kinds of cards have none that could.

        Args:
            where: The file, for messages.

        Raises:
            CardError: Two fields contradict each other; the message names them.
        """


def refuse_duplicates(where: str, names: Sequence[str]) -> None:
    """Refuse a list that holds a name twice.

    Raises:
        CardError: A name stands twice; the message begins with ``where``.
    """
    for name in names:
        if names.count(name) > 1:
            raise CardError(f"{where}: {name!r} stands twice")
