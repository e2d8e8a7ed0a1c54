"""Layouts of tables and figures."""

from __future__ import annotations

from typing import Any

import msgspec


class TableLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Layout of one table.

    Attributes:
        name: File name and name on the command line.
        kind: A block of kind ``table``, such as ``settings`` (methods in blocks, settings as columns).
        caption: A sentence above it.
        metric: Metric of its cells.
        digits: Decimals.
        options: Options of this kind of table.
    """

    name: str
    kind: str
    caption: str = ""
    metric: str = "auc"
    digits: int = 2
    options: dict[str, Any] = {}


class FigureLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Layout of one figure.

    Attributes:
        name: File name.
        kind: Kind of figure, such as ``roc``.
        caption: A sentence above it.
        options: Options of this kind of figure.
    """

    name: str
    kind: str
    caption: str = ""
    options: dict[str, Any] = {}
