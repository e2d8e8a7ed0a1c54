"""From TOML to a checked card: an unknown field, a wrong type or an impossible value is one line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from xrbench.cards.base import Card, Name
from xrbench.cards.ranges import check_ranges
from xrbench.errors import CardError, suggestion

C = TypeVar("C", bound=msgspec.Struct)


def read(path: Path, kind: type[C]) -> C:
    """Read a TOML file as a card of the given kind; the card's ``name`` is the file's stem.

    Raises:
        CardError: The file is not TOML, or a field is unknown, missing or of the wrong type.
    """
    return convert(read_toml(path), kind, where=str(path), name=path.stem)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file into plain values.

    Raises:
        CardError: The file cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CardError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CardError(f"{path}: not TOML: {error}") from error


def convert(values: dict[str, Any], kind: type[C], *, where: str, name: str = "") -> C:
    """Check plain values against a kind of card.

    Args:
        values: What stands in the file.
        kind: The card's type.
        where: The file, for messages.
        name: The card's name, if it has one.

    Raises:
        CardError: As for ``read``; an unknown field comes with the nearest known one.
    """
    if name and issubclass(kind, Card):
        if "name" in values:
            raise CardError(f"{where}: a card's name is its file's name; remove the field 'name'")
        if not Name.fullmatch(name):
            raise CardError(f"{where}: a card's file name has lower-case letters, digits, '.', '_' and '-' only")
        values = {**values, "name": name}
    try:
        card = msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise CardError(f"{where}: {error}{_nearest_field(str(error), kind)}") from error
    check_ranges(card, where)
    return card


def plain(card: msgspec.Struct) -> dict[str, Any]:
    """Turn a card into plain dicts, lists, numbers and strings, as they are hashed and stored."""
    built: dict[str, Any] = msgspec.to_builtins(card)
    return built


def _nearest_field(message: str, kind: type[msgspec.Struct]) -> str:
    match = re.search(r"unknown field `([^`]+)`(?: - at `\$([^`]*)`)?", message)
    if not match:
        return ""
    fields = _fields_at(kind, match.group(2) or "")
    return suggestion(match.group(1), fields) if fields else ""


def _fields_at(kind: Any, path: str) -> list[str]:
    """Follow a path such as ``.protocol.settings[0]`` through the types and list the fields there."""
    current = msgspec.inspect.type_info(kind)
    for step in re.findall(r"\.([^.\[]+)|(\[[^\]]*\])", path):
        current = _step(current, step[0])
        if current is None:
            return []
    if isinstance(current, msgspec.inspect.StructType):
        return [field.encode_name for field in current.fields if field.encode_name != "name"]
    return []


def _step(current: Any, field: str) -> Any:
    if isinstance(current, msgspec.inspect.StructType):
        return next((f.type for f in current.fields if f.encode_name == field), None)
    if isinstance(current, msgspec.inspect.VarTupleType):
        return current.item_type
    if isinstance(current, msgspec.inspect.DictType):
        return current.value_type
    return None
