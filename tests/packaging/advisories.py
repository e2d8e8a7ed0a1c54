"""Hold pinned versions against known advisories.

    python tests/packaging/advisories.py requirements.lock --advisories FOLDER

FOLDER (or one file) holds advisories as JSON in the OSV format, as advisory databases publish them: one advisory, or a list of
them, a file. Each hit is a line. Exit codes: 0 none, 1 some, 3 a file cannot be read.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)


class InputError(Exception):
    """Say in one line which file cannot be read, and why."""


class Hit(NamedTuple):
    """A pinned version that an advisory is about."""

    name: str
    version: Version
    advisory: str
    summary: str
    fixed: tuple[Version, ...]

    def __str__(self) -> str:
        later = [str(version) for version in sorted(self.fixed) if version > self.version]
        remedy = f"fixed in {later[0]}" if later else "no fixed version is known"
        return f"{self.name} {self.version}: {self.advisory}: {self.summary}; {remedy}"


def pins(lock: Path) -> list[tuple[str, Version]]:
    """Read all pins of a lock file, whatever environment they are for."""
    found = PIN.findall(lock.read_text(encoding="utf-8"))
    if not found:
        raise InputError(f"{lock}: no line NAME==VERSION")
    return [(canonicalize_name(name), Version(version)) for name, version in found]


def advisories(place: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield every advisory of a file, or of all JSON files of a folder, that has not been withdrawn."""
    files = sorted(place.rglob("*.json")) if place.is_dir() else [place]
    if not files:
        raise InputError(f"{place}: no advisory (*.json) in it")
    for file in files:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: not JSON: {error}") from None
        for advisory in content if isinstance(content, list) else [content]:
            if not isinstance(advisory, dict) or not isinstance(advisory.get("id"), str):
                raise InputError(f"{file}: expected advisories in the OSV format, each with an 'id'")
            if not advisory.get("withdrawn"):
                yield file, advisory


def hits(pinned: Sequence[tuple[str, Version]], file: Path, advisory: dict[str, Any]) -> Iterator[Hit]:
    """Yield the pins that one advisory is about."""
    try:
        for affected in advisory.get("affected", []):
            package = affected["package"]
            name = canonicalize_name(package["name"])
            mine = [version for pin, version in pinned if pin == name and package["ecosystem"] == "PyPI"]
            for version in mine:
                if _is_affected(version, affected):
                    yield Hit(name, version, advisory["id"], _summary(advisory), tuple(_fixed(affected)))
    except (KeyError, TypeError, AttributeError, InvalidVersion) as error:
        what = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{file}: {advisory['id']}: not in the OSV format: {what}") from None


def _summary(advisory: dict[str, Any]) -> str:
    text = str(advisory.get("summary") or advisory.get("details") or "no summary")
    return text.strip().splitlines()[0]


def _is_affected(version: Version, affected: dict[str, Any]) -> bool:
    listed = any(_same(version, other) for other in affected.get("versions", []))
    ranges = [each for each in affected.get("ranges", []) if each["type"] == "ECOSYSTEM"]
    return listed or any(_is_within(version, each["events"]) for each in ranges)


def _same(version: Version, other: str) -> bool:
    try:
        return version == Version(other)
    except InvalidVersion:  # names of releases before PEP 440
        return False


def _is_within(version: Version, events: Sequence[dict[str, str]]) -> bool:
    """Follow the events in the order of their versions; the last one at or below ``version`` decides."""
    inside = False
    for at, kind in sorted((_at(event), next(iter(event))) for event in events):
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


def _at(event: dict[str, str]) -> Version:
    return Version(next(iter(event.values())))


def _fixed(affected: dict[str, Any]) -> Iterator[Version]:
    for each in affected.get("ranges", []):
        if each["type"] == "ECOSYSTEM":
            yield from (Version(event["fixed"]) for event in each["events"] if "fixed" in event)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every hit and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lock", type=Path)
    parser.add_argument("--advisories", type=Path, required=True, help="a JSON file in the OSV format, or a folder")
    options = parser.parse_args(arguments)
    try:
        pinned = pins(options.lock)
        known = list(advisories(options.advisories))
        found = [hit for file, advisory in known for hit in hits(pinned, file, advisory)]
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 3
    for hit in found:
        print(hit)
    print(f"{len(pinned)} pinned versions, {len(known)} advisories, {len(found)} hits")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
