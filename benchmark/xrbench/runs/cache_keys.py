"""Keys of fits, cells and runs: hashes of everything that their results depend on.

These are the resolved cards, the profile, the code of blocks from other packages, the rows with their truth and pixels, and the
seed. Titles, notes and names of cards are left out, and so are fields that have their default: an optional field can be added to
a card without changing the key of any result.
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
"""Version of the computations, part of every key: raised when the same cards and data give other results, also by a new default."""

WORDS = ("title", "notes", "name", "stage")
"""Fields of cards that no result depends on."""

OF_PARENTS = ("parent", "parent_train", "parent_model", "parent_seed")
"""Fields that say which fit is the parent: its key stands in the child's in their place."""

BLOCK_FIELDS = ("sampler", "objective", "optimiser", "schedule", "pruning")


def fit_key(recipe: cards.Recipe, *, train: str, valid: str, preprocessing: str, parents: Sequence[str] = ()) -> str:
    """Return the key of a fit: 32 hexadecimal digits.

    Args:
        recipe: The cards and sizes; local weights count by the file's content, blocks of other packages by their source.
        train: Digest of the training rows.
        valid: Digest of the validation rows.
        preprocessing: Digest of the steps between a file and its pixels.
        parents: Keys of the fits that it starts from.
    """
    method, model = _decisive(recipe.method), _decisive(recipe.model)
    method = {field: value for field, value in method.items() if field not in OF_PARENTS}
    values = {**_given(recipe), "method": method, "model": model}
    weights = Path(recipe.model.weights).expanduser()
    content = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else ""
    foreign = [foreign_source(recipe.method), foreign_source(recipe.model)]
    hashed = {"recipe": values, "weights": content, "code": foreign, "rows": [train, valid], "pixels": preprocessing}
    return _hash({**hashed, "parents": list(parents)} if parents else hashed)


def cell_key(
    fits: Sequence[str],
    *,
    rows: str,
    preprocessing: str,
    model: cards.ModelCard | None = None,
    labels: Sequence[str] = (),
) -> str:
    """Return the key of a cell.

    Args:
        fits: Keys of its fits; empty for a pretrained model.
        rows: Digest of the test rows.
        preprocessing: Digest of the steps between a file and its pixels.
        model: The pretrained model, where there is no fit.
        labels: The suite's labels.
    """
    decisive = _decisive(model) if model else None
    values = {"fits": list(fits), "rows": rows, "pixels": preprocessing, "labels": list(labels), "model": decisive}
    return _hash(values)


def ensemble_key(members: Sequence[str]) -> str:
    """Return the key of an ensemble's cell from those of the cells whose scores it averages, in any order."""
    return _hash({"mean of": sorted(members)})


def run_key(suite: cards.SuiteCard, profile_name: str, profile: cards.Profile, data: Mapping[str, str]) -> str:
    """Return the key of a run: 12 hexadecimal digits.

    It hashes what all cells of the run share. Methods, models and settings are left out: they can be added to a run.

    Args:
        suite: The suite.
        profile_name: Name of the profile.
        profile: The profile.
        data: Dataset -> digest of its selected rows.
    """
    card = _given(suite)
    fields = ("name", "task", "classes", "labels", "uncertain", "blank", "where", "mappings", "preprocessing")
    sizes = {field: value for field, value in _given(profile).items() if field not in ("models", "methods")}
    shared = {field: card[field] for field in fields if field in card}
    return _hash({**shared, "profile": [profile_name, sizes], "data": dict(sorted(data.items()))})[:12]


def foreign_source(card: cards.MethodCard | cards.ModelCard) -> dict[str, str]:
    """Hash the source files of blocks of other packages, so that editing one changes the key."""
    digests = {}
    for kind, spec in _blocks_of(card):
        name, _ = blocks.split(kind, spec)
        if name in blocks.BLOCKS[kind]:
            continue
        block = blocks.find(kind, name, where=f"{card.name}.toml")
        source = inspect.getsourcefile(block)
        digests[f"{kind}:{name}"] = hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else ""
    return digests


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
    given = [(field, getattr(card, field)) for field in BLOCK_FIELDS if getattr(card, field)]
    return given + [("augmentation", spec) for spec in card.augmentation]


def _decisive(card: cards.Card) -> dict[str, Any]:
    """Return the fields of a card that results depend on, without those that have their default."""
    return {field: value for field, value in _given(card).items() if field not in WORDS}


def _given(card: msgspec.Struct) -> dict[str, Any]:
    """Return the fields that differ from their default."""
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
