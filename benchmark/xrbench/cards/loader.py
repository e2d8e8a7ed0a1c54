"""From TOML to a checked card.

An unknown field, a wrong type or an impossible value is one line that names the file, the field, what was expected and what
stands there.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec

from xrbench.cards.base import Card, Name
from xrbench.cards.renamed import refuse_renamed
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
        values: The content of the file.
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
    refuse_renamed(values, where)
    try:
        card = msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise CardError(f"{where}: {_explain(str(error), values, kind)}") from error
    if isinstance(card, Card):
        card.check(where)
    return card


def plain(card: msgspec.Struct) -> dict[str, Any]:
    """Turn a card into plain dicts, lists, numbers and strings, as they are hashed and stored."""
    built: dict[str, Any] = msgspec.to_builtins(card)
    return built


def _explain(message: str, values: Any, kind: Any) -> str:
    """Add to a message of msgspec what it leaves out: the nearest known field, or a number's range and its value."""
    text, _, path = message.partition(" - at `$")
    place, value, annotation = _locate(path.rstrip("`"), values, kind)
    unknown = re.search(r"unknown field `([^`]+)`", text)
    if unknown:
        structs = [
            alternative for alternative in _alternatives(annotation) if hasattr(alternative, "__struct_fields__")
        ]
        fields = [field.encode_name for struct in structs for field in msgspec.structs.fields(struct)]
        known = [field for field in fields if field != "name"]
        return message + (suggestion(unknown[1], known) if known else "")
    limits = _limits(annotation)
    if limits is None or ", got" in text:
        return message
    name = "value" if place.endswith("]") else place.rpartition(".")[2]
    return f"{place}: expected {_range(limits, name)}, got {value}"


def _locate(path: str, value: Any, annotation: Any) -> tuple[str, Any, Any]:
    """Follow a path of msgspec, such as ``.profiles[...].epochs``.

    Returns:
        The path with the keys of tables in it, the value there, and the annotation of the field there.
    """
    place = ""
    for field, index in re.findall(r"\.([^.\[]+)|\[([^\]]*)\]", path):
        if field:
            annotation = next(
                known.type
                for struct in _alternatives(annotation)
                if hasattr(struct, "__struct_fields__")
                for known in msgspec.structs.fields(struct)
                if known.encode_name == field
            )
            value, place = value[field], f"{place}.{field}"
        elif index.isdigit():
            annotation = next(get_args(kind)[0] for kind in _alternatives(annotation) if get_origin(kind) is tuple)
            value, place = value[int(index)], f"{place}[{index}]"
        else:
            # msgspec writes [...] for any key of a table; the first value that does not fit is the one it means
            annotation = next(get_args(kind)[1] for kind in _alternatives(annotation) if get_origin(kind) is dict)
            key = next(key for key, item in value.items() if not _fits(item, annotation))
            value, place = value[key], f"{place}.{key}"
    return place.removeprefix("."), value, annotation


def _fits(value: Any, annotation: Any) -> bool:
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        return False
    return True


def _alternatives(annotation: Any) -> list[Any]:
    """List the types that an annotation allows, without their limits."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _alternatives(part)]
    return [annotation]


def _limits(annotation: Any) -> msgspec.Meta | None:
    """Return the limits that an annotation, or one of its alternatives, sets to a number."""
    for part in (annotation, *get_args(annotation)):
        for extra in getattr(part, "__metadata__", ()):
            if isinstance(extra, msgspec.Meta):
                return extra
    return None


def _range(limits: msgspec.Meta, name: str) -> str:
    """Write limits in words or, with an upper one, as an inequality.

    >>> _range(msgspec.Meta(ge=0, lt=1), "level")
    '0 <= level < 1'
    >>> _range(msgspec.Meta(gt=0), "epochs"), _range(msgspec.Meta(ge=1), "minimum")
    ('a number above 0', '1 or more')
    """
    if limits.lt is None:
        return f"a number above {limits.gt}" if limits.gt is not None else f"{limits.ge} or more"
    lower = f"{limits.gt} <" if limits.gt is not None else f"{limits.ge} <="
    return f"{lower} {name} < {limits.lt}"
