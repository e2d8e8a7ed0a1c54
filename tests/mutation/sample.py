"""Which mutants are tried: parts of the code with their tests, and a seeded sample that is kept as a table."""

from __future__ import annotations

import csv
import random
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mutation.mutants import Mutant, mutants

COLUMNS = ("id", "file", "function", "operator", "change", "anchor", "nth")


class SetupError(Exception):
    """Say in one line what is wrong with the tables of the mutation run."""


@dataclass(frozen=True)
class Target:
    """A part of the code: how many of its mutants are tried, and the tests that should find them."""

    name: str
    mutants: int
    files: tuple[str, ...]
    tests: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def sources(self, root: Path) -> list[Path]:
        """List the files to be changed, sorted."""
        return sorted({file for pattern in self.files for file in root.glob(pattern) if file.name != "__init__.py"})

    def tests_of(self, root: Path, source: str) -> tuple[list[str], list[str]]:
        """List the files that pytest is given first, doctests and tests named after the module, and then all others."""
        missing = [test for test in self.tests if not (root / test).exists()]
        if missing:
            raise SetupError(f"targets.toml: {self.name}: no such tests: {', '.join(missing)}")
        paths = [root / test for test in self.tests]
        files = [file for path in paths for file in (sorted(path.rglob("test_*.py")) if path.is_dir() else [path])]
        named = [file for file in files if file.name.startswith(f"test_{Path(source).stem}")]
        others = sorted(set(files) - set(named), key=lambda file: (file.parent.name != Path(source).parent.name, file))
        doctests = [root / source] if ">>>" in (root / source).read_text(encoding="utf-8") else []
        first, then = ([file.relative_to(root).as_posix() for file in group] for group in (doctests + named, others))
        return first, then


@dataclass(frozen=True)
class Setup:
    """The table of targets, and what a trial needs: folders to copy, modules to load first."""

    root: Path
    source: str
    copied: tuple[str, ...]
    preloaded: tuple[str, ...]
    compiled: tuple[str, ...]
    targets: tuple[Target, ...]

    def target_of(self, file: str) -> Target:
        """Find the target that a file belongs to."""
        for target in self.targets:
            if self.root / file in target.sources(self.root):
                return target
        raise SetupError(f"sample.csv: {file} belongs to no target of targets.toml")


def read_setup(root: Path, file: Path) -> Setup:
    """Read the table of targets."""
    table: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    rows = {name: value for name, value in table.items() if isinstance(value, dict)}
    fields = _tuples({name: value for name, value in table.items() if name not in rows})
    targets = tuple(Target(**{"name": name, **_tuples(row)}) for name, row in rows.items())
    return Setup(**{"root": root, "targets": targets, **fields})


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}


def everything(setup: Setup, target: Target) -> list[Mutant]:
    """List all mutants of a target."""
    files = [(file.relative_to(setup.root).as_posix(), file) for file in target.sources(setup.root)]
    return [mutant for name, file in files for mutant in mutants(name, file.read_text(encoding="utf-8"))]


def draw(setup: Setup, seed: int, kept: Iterable[Mutant] = ()) -> list[Mutant]:
    """Draw each target's number of mutants, one operator after the other; those of ``kept`` that still exist stay."""
    kept = set(kept)
    drawn: list[Mutant] = []
    for target in setup.targets:
        candidates = everything(setup, target)
        random.Random(f"{seed} {target.name}").shuffle(candidates)
        stay = [mutant for mutant in candidates if mutant in kept][: target.mutants]
        fresh = _in_turn([mutant for mutant in candidates if mutant not in kept])
        chosen = (stay + fresh)[: target.mutants]
        drawn += sorted(chosen, key=lambda mutant: (mutant.file, mutant.function, mutant.id))
    return drawn


def _in_turn(shuffled: Sequence[Mutant]) -> list[Mutant]:
    """Order mutants so that every operator has its turn: constants alone are a third of all places."""
    turns: dict[str, int] = {}
    ranked = []
    for mutant in shuffled:
        turns[mutant.operator] = turns.get(mutant.operator, 0) + 1
        ranked.append((turns[mutant.operator], mutant))
    return [mutant for _, mutant in sorted(ranked, key=lambda pair: pair[0])]


def read_sample(file: Path) -> list[Mutant]:
    """Read the table of mutants; an edited row, whose id does not fit, is refused."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    sample = []
    for number, row in enumerate(rows, start=2):
        mutant = Mutant(**{k: int(v) if k == "nth" else v for k, v in row.items() if k != "id"})  # type: ignore[arg-type]
        if mutant.id != row["id"]:
            raise SetupError(f"{file.name}: line {number}: the id {row['id']} is not that of its mutant, {mutant.id}")
        sample.append(mutant)
    return sample


def write_rows(file: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
