"""What is declared is what is imported: each requirement of the core and of each extra, and each import of the code."""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "benchmark" / "xrbench"
PLUGINS = {"pylibjpeg": "pydicom looks for it to read JPEG in DICOM"}
"""Requirements of the core that another library imports for us."""


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


CORE = names(project()["dependencies"])
EXTRAS = {extra: names(lines) for extra, lines in project()["optional-dependencies"].items()}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the top-level names of foreign modules that are imported anywhere, in functions and for types as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def imports(*, training: bool) -> dict[str, list[str]]:
    """Map each foreign module to the files of the core, or of training, that import it."""
    found: dict[str, list[str]] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        place = file.relative_to(SOURCE)
        if (place.parts[0] == "training") == training:
            for name in imported(ast.parse(file.read_text(encoding="utf-8"))):
                if name not in sys.stdlib_module_names and name != "xrbench":
                    found.setdefault(name, []).append(place.as_posix())
    return found


@functools.cache
def installed() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def distributions(module: str) -> set[str]:
    return {canonicalize_name(name) for name in installed().get(module, [])}


def test_every_import_of_the_core_is_declared() -> None:
    undeclared = {m: files for m, files in imports(training=False).items() if not distributions(m) & CORE}
    assert not undeclared


def test_every_requirement_of_the_core_is_imported_by_it() -> None:
    used = {name for module in imports(training=False) for name in distributions(module)}
    assert CORE - used - set(PLUGINS) == set()


@pytest.mark.train
def test_every_import_of_training_is_declared() -> None:
    undeclared = {
        m: files for m, files in imports(training=True).items() if not distributions(m) & (CORE | EXTRAS["train"])
    }
    assert not undeclared


@pytest.mark.train
@pytest.mark.parametrize("extra", sorted(set(EXTRAS) - {"dev"}))
def test_every_requirement_of_an_extra_is_imported_by_code_that_needs_it(extra: str) -> None:
    used = {
        name for training in (True, False) for module in imports(training=training) for name in distributions(module)
    }
    assert EXTRAS[extra] - used == set()
    assert not EXTRAS[extra] & CORE


@pytest.mark.train
def test_what_a_test_imports_is_installed_for_development() -> None:
    optional = {"torchmetrics", "confidenceinterval"}  # peers that measurements are set beside where they are installed
    ours = {file.stem for file in (ROOT / "tests").rglob("*.py")} | {"xrbench", "tests"}
    declared = CORE.union(*EXTRAS.values())
    for file in sorted((ROOT / "tests").rglob("*.py")):
        for name in set(imported(ast.parse(file.read_text(encoding="utf-8")))) - ours - optional:
            assert name in sys.stdlib_module_names or distributions(name) & declared, f"{file}: {name}"


def test_only_training_imports_what_training_needs() -> None:
    heavy = EXTRAS["train"] - CORE
    found = {m: files for m, files in imports(training=False).items() if distributions(m) & heavy}
    assert not found


def test_libraries_are_ranges_and_the_lock_pins_all_of_them_with_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pinned = dict(re.findall(r"^([a-z0-9.-]+)==([^ ;\\]+)", lock, re.MULTILINE))
    blocks = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
    table = project()
    lines = [*table["dependencies"], *(line for extra in table["optional-dependencies"].values() for line in extra)]
    for requirement in map(Requirement, lines):
        name = canonicalize_name(requirement.name)
        assert Version(pinned[name]) in requirement.specifier, name
        if name != "uv":  # the installer itself
            assert not any(part.operator == "==" for part in requirement.specifier), name
