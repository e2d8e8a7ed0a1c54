"""The shared names of findings."""

from __future__ import annotations

import msgspec


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Labels that may stand for another one, when a suite opts in: any of ``sources`` positive makes ``target`` positive."""

    target: str
    sources: tuple[str, ...]
    reason: str


class Pathology(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One finding of the vocabulary and the other names it goes by."""

    synonyms: tuple[str, ...] = ()
    abbreviation: str = ""
    definition: str = ""


class Vocabulary(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The shared names of findings (``registry/pathologies.toml``)."""

    pathologies: dict[str, Pathology]
    mappings: dict[str, Mapping] = {}
