"""Commands on datasets: ``data describe | check | prepare | fixture``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xrbench.cli import options
from xrbench.config import processors
from xrbench.progress import reporter

if TYPE_CHECKING:
    from xrbench.catalogue import Catalogue
    from xrbench.data.datasets.check import Check
    from xrbench.data.datasets.sources import DataRoots
    from xrbench.progress import Reporter

FIXTURE_OUT = "runs/fixture"


@click.group("data", short_help="Describe, check, prepare or draw datasets.", invoke_without_command=True)
def data() -> None:
    """Describe, check and prepare datasets, or draw the synthetic fixture."""
    options.ask_for_command()


@data.command("describe", short_help="Count images, patients and labels.")
@click.argument("dataset")
@options.many(options.data_folders, options.catalogue, options.as_json)
@click.option("--csv", "as_csv", is_flag=True, help="Answer as CSV, a row a label.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Only these rows, such as view=PA.")
def describe(
    dataset: str,
    data_roots: tuple[str, ...],
    catalogues: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    where: tuple[str, ...],
) -> None:
    """Count images, patients, views, sex, age and labels of a DATASET from its metadata alone.

    \b
    Example:  xrbench data describe nih --where view=PA
    """
    from xrbench.data.datasets.describe import describe as described

    cards = options.open_catalogue(catalogues)
    description = described(_domain(dataset, cards, data_roots, where))
    if as_json:
        options.echo_json(description.to_dict())
    elif as_csv:
        click.echo(description.table().to_csv(index=False).rstrip())
    else:
        from tabulate import tabulate

        columns = description.table().to_dict("list")
        click.echo("\n".join(description.lines()))
        click.echo(tabulate(columns, headers="keys", tablefmt="plain", showindex=False, floatfmt=".4f", intfmt=","))


@data.command("check", short_help="Say what is there, missing or unreadable.")
@click.argument("datasets", nargs=-1)
@options.many(options.data_folders, options.catalogue, options.jobs, options.as_json, options.quiet)
@click.option("--no-pixels", is_flag=True, help="Do not open the images, only look whether they are there.")
def check(
    datasets: tuple[str, ...],
    data_roots: tuple[str, ...],
    catalogues: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    no_pixels: bool,
    jobs: int | None,
) -> int:
    """Say what of these DATASETS (default: all) is there, missing, unreadable or not as published.

    \b
    Example:  xrbench data check nih --no-pixels
    """
    cards = options.open_catalogue(catalogues)
    roots = _roots(cards, data_roots)
    say = reporter(quiet=quiet or as_json)
    names = datasets or tuple(name for name in cards.names("dataset") if not cards.dataset(name).base)
    if roots.default is None and not roots.datasets:
        raise click.UsageError("nothing to check: give --data-root DIR, or write data-root in xrbench.toml")
    results = [_check(name, cards, roots, read_pixels=not no_pixels, jobs=jobs or 1, say=say) for name in names]
    if as_json:
        options.echo_json([result.to_dict() for result in results])
    else:
        click.echo("\n".join(line for result in results for line in result.lines()))
    return 0 if all(result.ok for result in results) else 1


@data.command("prepare", short_help="Build the pixel caches that a suite needs.")
@options.many(
    options.suite,
    options.profile,
    options.data_root,
    options.out,
    options.cache,
    options.jobs,
    options.allow_missing,
    options.skip_unreadable,
    options.catalogue,
    options.quiet,
    options.verbose,
)
def prepare(quiet: bool, verbose: bool, **given: Any) -> None:
    """Build the pixel caches that a suite needs, without training.

    \b
    Example:  xrbench data prepare --suite ood-cxr
    """
    from xrbench.cli.work import bind

    say = reporter(quiet=quiet, verbose=verbose)
    chosen = options.settings(**{name: given[name] for name in ("out", "jobs", "cache")})
    bound = bind({**given, "only": (), "seeds": ()}, chosen, say, planning=False)
    folder = Path(chosen["cache"].value or Path(chosen["out"].value) / "cache").expanduser()
    bound.open_caches(
        folder, jobs=chosen["jobs"].value or processors(), reporter=say, skip_unreadable=given["skip_unreadable"]
    )
    for (base, size), cache in bound.caches.items():
        click.echo(f"{base} {size} px   {len(cache):,} images   in {folder}")


@data.command("fixture", short_help="Draw small phantom chests and skin lesions.")
@click.argument("folder", type=click.Path(path_type=Path), default=FIXTURE_OUT)
@click.option("--seed", default=0, show_default=True, metavar="N", help="Another seed draws other patients.")
@options.quiet
def fixture(folder: Path, seed: int, quiet: bool) -> None:
    """Draw small phantom chests in the published layouts of the five chest datasets, and skin lesions, into FOLDER.

    \b
    Example:  xrbench data fixture phantoms
    """
    from xrbench.data.fixture import write_fixture
    from xrbench.fixture_notice import STAMP

    written = write_fixture(folder, seed=seed, reporter=reporter(quiet=quiet))
    click.echo(f"{STAMP}   {written}")


def _domain(name: str, cards: Catalogue, data_roots: tuple[str, ...], where: tuple[str, ...]) -> Any:
    """Load a dataset or slice, restricted by the conditions of ``--where``."""
    from xrbench.data.datasets.sources import load

    loaded = load(name, cards, _roots(cards, data_roots))
    conditions: dict[str, Any] = {}
    for text in where:
        column, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"--where {text}: expected COLUMN=VALUE, such as view=PA")
        conditions.setdefault(column, []).append(value)
    return loaded.where(conditions)


def _check(name: str, cards: Catalogue, roots: DataRoots, *, read_pixels: bool, jobs: int, say: Reporter) -> Check:
    from xrbench.data.datasets.check import check as checked
    from xrbench.data.datasets.sources import chain_of

    chain = chain_of(name, cards)
    folder = roots.folder(chain[-1])
    root = roots.default or (folder.parent if folder else Path())
    return checked(
        chain[0], chain[1:], cards.vocabulary, root, folder=folder, read_pixels=read_pixels, jobs=jobs, reporter=say
    )


def _roots(cards: Catalogue, data_roots: tuple[str, ...]) -> DataRoots:
    from xrbench.data.datasets.sources import DataRoots

    root, folders = options.folders(data_roots, cards)
    return DataRoots(root, folders)
