"""Options that several commands share, and what commands do with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from xrbench.errors import UnknownNameError

if TYPE_CHECKING:
    from xrbench.catalogue import Catalogue
    from xrbench.config import Setting

F = TypeVar("F", bound=Callable[..., Any])

suite = click.option(
    "--suite", "suite", required=True, metavar="NAME", help="The suite; `xrbench list suites` names them."
)
profile = click.option(
    "--profile", metavar="NAME", help="How large a run: `quick` on the fixture, else the suite's first, by default."
)
data_root = click.option(
    "--data-root",
    "data_roots",
    multiple=True,
    metavar="DIR | DATASET=DIR",
    help="Folder with one folder a dataset, or the folder of one dataset. Without any, the synthetic fixture is used.",
)
data_folders = click.option(
    "--data-root",
    "data_roots",
    multiple=True,
    metavar="DIR | DATASET=DIR",
    help="Folder with one folder a dataset, or the folder of one dataset.",
)
out = click.option("--out", metavar="DIR", help="Where results go (default: runs).")
only = click.option(
    "--only",
    multiple=True,
    metavar="FIELD=VALUE,...",
    help="Only what matches: method, model, train, valid, test, seed; a method that the suite does not list is added.",
)
only_cells = click.option(
    "--only",
    multiple=True,
    metavar="FIELD=VALUE,...",
    help="Only cells that match: method, model, train, valid, test, seed.",
)
seed = click.option(
    "--seed",
    "seeds",
    multiple=True,
    type=int,
    metavar="N",
    help="Run every setting under this seed instead of its own.",
)
jobs = click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Processes that read images, and fits at once (default: what the processors bear).",
)
executor = click.option(
    "--executor",
    metavar="NAME",
    help="What does the fits and cells: serial, processes or package.module:Class (default: processes, if several at once).",
)
precision = click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    help="Number format of training, instead of the profile's; it is part of what decides a result.",
)
device = click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1 ... (default: auto, cuda if there is one).")
cache = click.option("--cache", metavar="DIR", help="Where prepared pixels are kept (default: cache/ below --out).")
catalogue = click.option(
    "--catalogue", "catalogues", multiple=True, metavar="DIR", help="A folder with more cards; its code may run."
)
allow_missing = click.option(
    "--allow-missing", is_flag=True, help="Run what does not need the datasets that are not there."
)
skip_unreadable = click.option(
    "--skip-unreadable", is_flag=True, help="Leave unreadable images out, and say so in every result."
)
quiet = click.option("--quiet", "-q", is_flag=True, help="No progress.")
verbose = click.option("--verbose", "-v", is_flag=True, help="More words; a traceback if xrbench itself fails.")
as_json = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")


class OneOf(click.Choice[str]):
    """One of several words; another word is refused with the nearest one."""

    def __init__(self, what: str, words: Sequence[str]) -> None:
        super().__init__(words)
        self.what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Return the word unchanged.

        Raises:
            UnknownNameError: It is not one of the choices.
        """
        if value not in self.choices:
            raise UnknownNameError(self.what, str(value), self.choices)
        return str(value)


def ask_for_command() -> None:
    """Show the help of a group that was called without one of its commands, and exit with code 3."""
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(3)


def many(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Combine several options into one decorator; --help lists them in this order."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def settings(**given: Any) -> dict[str, Setting]:
    """Resolve settings from these options, variables, ``xrbench.toml`` and defaults."""
    from xrbench.config import resolve

    return resolve({name.replace("_", "-"): value for name, value in given.items()})


def open_catalogue(given: tuple[str, ...]) -> Catalogue:
    """Open the catalogues given here and in ``xrbench.toml``."""
    from xrbench.catalogue import open_catalogue as opened
    from xrbench.config import file_of

    return opened([*file_of().catalogues, *given])


def folders(given: tuple[str, ...], cards: Catalogue) -> tuple[Path | None, dict[str, Path]]:
    """Separate data roots into the common one and those of single datasets."""
    from xrbench.config import data_folders, file_of

    return data_folders(given, file_of(), cards.names("dataset"))


def echo_json(values: Any) -> None:
    """Print values as JSON; NaN becomes null."""
    import json

    from xrbench.runs.store import without_nan

    click.echo(json.dumps(without_nan(values), indent=2, ensure_ascii=False, allow_nan=False))
