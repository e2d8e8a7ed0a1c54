"""Calls of blocks with the options of a card, and with what a block asks for by the names of its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from xrbench import blocks
from xrbench.cards import BlockSpec
from xrbench.errors import CardError


def call_block(
    kind: str,
    spec: BlockSpec,
    where: str,
    *arguments: Any,
    on_request: Mapping[str, Any] | None = None,
    **arguments_by_name: Any,
) -> Any:
    """Call a block with the given arguments and the options of its card.

    Args:
        kind: Kind of block.
        spec: The card's field: the block's name, or its name with options.
        where: The card, for messages.
        arguments: Passed by position.
        on_request: Passed by name where the block's signature has a parameter of that name.
        arguments_by_name: Passed by name.

    Raises:
        CardError: The block does not accept them.
    """
    name, options = blocks.split(kind, spec, where=where)
    block = blocks.check_options(kind, name, options, where=where)
    for option in options:
        if option in arguments_by_name or option in (on_request or {}):
            raise CardError(f"{where}: {kind} {name!r}: {option!r} is not the card's to choose")
    requested = {key: value for key, value in (on_request or {}).items() if key in inspect.signature(block).parameters}
    try:
        return block(*arguments, **arguments_by_name, **requested, **options)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise CardError(f"{where}: {kind} {name!r}: {error}") from error


def asks_for(kind: str, spec: BlockSpec, parameter: str, where: str) -> bool:
    """Return whether a block's signature has a parameter of that name."""
    name, _ = blocks.split(kind, spec, where=where)
    return parameter in inspect.signature(blocks.find(kind, name, where=where)).parameters
