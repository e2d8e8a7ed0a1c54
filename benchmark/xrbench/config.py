"""Settings: from options, else ``XRBENCH_*`` variables, else ``xrbench.toml`` in the working folder, else defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from xrbench import cards
from xrbench.catalogue import PATH_VARIABLE
from xrbench.errors import UsageError, suggestion

FILE = "xrbench.toml"
DEFAULTS: Mapping[str, Any] = {
    "out": "runs",
    "device": "auto",
    "jobs": None,
    "data-root": None,
    "cache": None,
    "weights": None,
}


class SettingsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="kebab"):
    """Content of ``xrbench.toml``.

    Attributes:
        out: Folder for results.
        cache: Folder for pixel caches.
        device: Where to compute.
        jobs: Processes that read images, and fits that are trained at once.
        data_root: Folder with one folder a dataset.
        weights: Folder with pretrained weights.
        catalogues: Catalogue folders.
        data: Dataset -> its folder.
    """

    out: str | None = None
    cache: str | None = None
    device: str | None = None
    jobs: Annotated[int, msgspec.Meta(ge=1)] | None = None
    data_root: str | None = None
    weights: str | None = None
    catalogues: tuple[str, ...] = ()
    data: dict[str, str] = {}


@dataclass(frozen=True)
class Setting:
    """One setting: its value, and which source it is from."""

    name: str
    value: Any
    source: str


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve(given: Mapping[str, Any], *, folder: Path | None = None) -> dict[str, Setting]:
    """Resolve all settings.

    Args:
        given: Options of the command line; None and empty ones count as not given.
        folder: Where ``xrbench.toml`` is looked for; the working folder by default.

    Raises:
        CardError: ``xrbench.toml`` is wrong.
        UsageError: A variable does not hold what it should.
    """
    written, path = file_of(folder), (folder or Path.cwd()) / FILE
    return {name: _resolve(name, given.get(name), written, path) for name in DEFAULTS}


def every(folder: Path | None = None) -> list[Setting]:
    """List all settings without options, with the folders of catalogues and of single datasets."""
    written, path = file_of(folder), str((folder or Path.cwd()) / FILE)
    settings = list(resolve({}, folder=folder).values())
    named = [part for part in os.environ.get(PATH_VARIABLE, "").split(os.pathsep) if part]
    settings += [Setting("catalogue", part, f"variable {PATH_VARIABLE}") for part in named]
    settings += [Setting("catalogue", part, path) for part in written.catalogues]
    return settings + [Setting(f"data.{name}", value, path) for name, value in written.data.items()]


def file_of(folder: Path | None = None) -> SettingsFile:
    """Read ``xrbench.toml``, or return an empty one."""
    path = (folder or Path.cwd()) / FILE
    return cards.convert(cards.read_toml(path), SettingsFile, where=str(path)) if path.is_file() else SettingsFile()


def data_folders(
    given: Sequence[str], written: SettingsFile, known: Sequence[str]
) -> tuple[Path | None, dict[str, Path]]:
    """Separate data roots into the common one and those of single datasets.

    Args:
        given: ``DIR`` or ``dataset=DIR``, as often as needed.
        written: Content of ``xrbench.toml``.
        known: Names of all datasets.

    Raises:
        UsageError: An unknown dataset, or a folder that is a file or does not exist.
    """
    default = os.environ.get("XRBENCH_DATA_ROOT") or written.data_root
    folders = dict(written.data)
    for text in given:
        name, equals, path = text.partition("=")
        if equals and not Path(text).exists():
            folders[name] = path
        else:
            default = text
    for name in folders:
        if name not in known:
            raise UsageError(f"data root of {name!r}: unknown dataset{suggestion(name, known)}")
    root = Path(default).expanduser() if default else None
    if root is not None and not root.is_dir():
        raise UsageError(
            f"data root {root}: {'is a file; a folder is expected' if root.exists() else 'no such folder'}"
        )
    return root, {name: Path(path).expanduser() for name, path in folders.items()}


def _resolve(name: str, option: Any, written: SettingsFile, path: Path) -> Setting:
    if option not in (None, "", ()):
        return Setting(name, option, f"option --{name}")
    variable = f"XRBENCH_{name.upper().replace('-', '_')}"
    if os.environ.get(variable):
        return Setting(name, _number(name, os.environ[variable], variable), f"variable {variable}")
    value = getattr(written, name.replace("-", "_"))
    if value is not None:
        return Setting(name, value, str(path))
    return Setting(name, DEFAULTS[name], "default")


def _number(name: str, text: str, variable: str) -> Any:
    if name != "jobs":
        return text
    if not text.isdigit() or int(text) < 1:
        raise UsageError(f"{variable}: expected a whole number of 1 or more, got {text!r}")
    return int(text)
