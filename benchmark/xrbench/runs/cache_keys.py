"""What decides whether a result is already there: hashes of everything that its figures depend on.

Cards as resolved, the profile, the code of blocks from elsewhere, the rows with their truth and pixels, the seed. Words that
only people read (titles, notes, names) do not count, and neither do fields that have their default: an optional field can be
added to a card without any figure, or the key of any result, changing.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from xrbench import blocks, cards

NUMBERS = 2
"""Raised by one whenever the same cards and data would give other figures, also by another default; part of every key."""

WORDS = ("title", "notes", "name")
"""Fields that only people read."""

BLOCK_FIELDS = ("sampler", "objective", "optimiser", "schedule")


def fit_key(made_of: cards.Recipe, *, train: str, valid: str, preprocessing: str) -> str:
    """Hash a recipe, the digests of its rows and the preprocessing into the key of a fit (32 hexadecimal digits).

    Titles and notes of cards do not count; the source text of blocks that are not ours does.
    """
    method, model = _decisive(made_of.method), _decisive(made_of.model)
    values = {**_given(made_of), "method": method, "model": model}
    weights = Path(made_of.model.weights).expanduser()
    content = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else ""
    foreign = [foreign_source(made_of.method), foreign_source(made_of.model)]
    return _hash(
        {"recipe": values, "weights": content, "code": foreign, "rows": [train, valid], "pixels": preprocessing}
    )


def cell_key(
    fits: Sequence[str],
    *,
    rows: str,
    preprocessing: str,
    model: cards.ModelCard | None = None,
    labels: Sequence[str] = (),
) -> str:
    """Hash the fits (or the model that is used as it comes) and the rows they are tested on into a cell's key."""
    made_of = {"fits": list(fits), "rows": rows, "pixels": preprocessing, "labels": list(labels)}
    return _hash({**made_of, "model": _decisive(model) if model else None})


def ensemble_key(members: Sequence[str]) -> str:
    """Hash the cells whose scores are averaged, in any order, into the key of an ensemble's cell."""
    return _hash({"mean of": sorted(members)})


def run_key(suite: cards.SuiteCard, profile_name: str, profile: cards.Profile, data: Mapping[str, str]) -> str:
    """Hash what all cells of a run share: suite, profile, data; not the methods, models and settings, which can be added."""
    card = _given(suite)
    fields = ("name", "task", "classes", "labels", "uncertain", "blank", "where", "mappings", "preprocessing")
    sizes = {field: value for field, value in _given(profile).items() if field not in ("models", "methods")}
    shared = {field: card[field] for field in fields if field in card}
    return _hash({**shared, "profile": [profile_name, sizes], "data": dict(sorted(data.items()))})[:12]


def foreign_source(card: cards.MethodCard | cards.ModelCard) -> dict[str, str]:
    """Hash the source files of blocks that do not belong to xrbench, so that editing them makes another key."""
    found = {}
    for kind, spec in _blocks_of(card):
        name, _ = blocks.split(kind, spec)
        if name in blocks.BLOCKS[kind]:
            continue
        block = blocks.find(kind, name, where=f"{card.name}.toml")
        source = inspect.getsourcefile(block)
        found[f"{kind}:{name}"] = hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else ""
    return found


def check_blocks(card: cards.MethodCard | cards.ModelCard) -> None:
    """Refuse a card that names a block or an option that does not exist; this imports the blocks."""
    for kind, spec in _blocks_of(card):
        name, options = blocks.split(kind, spec, where=card.name)
        blocks.check_options(kind, name, options, where=f"{card.name}.toml")


def _blocks_of(card: cards.MethodCard | cards.ModelCard) -> list[tuple[str, cards.BlockSpec]]:
    if isinstance(card, cards.ModelCard):
        return [("network", card.network)]
    if card.inference:
        return []
    return [(field, getattr(card, field)) for field in BLOCK_FIELDS] + [
        ("augmentation", spec) for spec in card.augmentation
    ]


def _decisive(card: cards.Card) -> dict[str, Any]:
    """Give the fields of a card that figures depend on, without those that have their default."""
    return {field: value for field, value in _given(card).items() if field not in WORDS}


def _given(card: msgspec.Struct) -> dict[str, Any]:
    """Give the fields that differ from their default, so that a new optional field changes no key."""
    values = cards.plain(card)
    defaults = {field.name: field for field in msgspec.structs.fields(card)}
    return {name: value for name, value in values.items() if not _is_default(getattr(card, name), defaults[name])}


def _is_default(value: Any, field: msgspec.structs.FieldInfo) -> bool:
    if field.default is not msgspec.NODEFAULT:
        return bool(value == field.default)
    return field.default_factory is not msgspec.NODEFAULT and bool(value == field.default_factory())


def _hash(values: Mapping[str, Any]) -> str:
    text = json.dumps({"numbers": NUMBERS, **values}, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
