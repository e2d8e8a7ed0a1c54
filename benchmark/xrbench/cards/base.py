"""What all cards share, and the types that their fields are made of."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

BlockSpec = str | dict[str, Any]
Uncertain = Literal["ones", "zeros", "ignore"]
Blank = Literal["negative", "ignore", "negative-when-no-finding"]
Task = Literal["multilabel", "multiclass"]
Name = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all cards share: the name is the file's stem and does not stand in the file."""

    title: str
    name: str = ""
    notes: str = ""
