"""Commands on cards: ``list`` and ``show``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from xrbench.cli import options

if TYPE_CHECKING:
    from xrbench.catalogue import Catalogue

KINDS = ("suites", "datasets", "models", "methods", "papers", "leaderboards", "pathologies", "metrics", "blocks")
SHOWN = ("suite", "dataset", "model", "method", "paper", "settings")


@click.command("list", short_help="Name what there is.")
@click.argument("kind", type=options.OneOf("kind of thing", KINDS), default="suites", metavar="[KIND]")
@options.many(options.catalogue, options.data_folders, options.as_json)
def list_things(kind: str, catalogues: tuple[str, ...], data_roots: tuple[str, ...], as_json: bool) -> None:
    """Name what there is of a KIND (default: suites).

    KIND is one of suites, datasets, models, methods, papers, leaderboards, pathologies, metrics, blocks.

    \b
    Example:  xrbench list datasets
    """
    cards = options.open_catalogue(catalogues)
    rows = _listing(kind, cards, data_roots)
    if as_json:
        options.echo_json(rows)
    else:
        _print(rows)


@click.command("show", short_help="Show a card, or the settings.")
@click.argument("kind", type=options.OneOf("kind of card", SHOWN), metavar="KIND")
@click.argument("name", default="")
@options.many(options.catalogue, options.as_json)
def show(kind: str, name: str, catalogues: tuple[str, ...], as_json: bool) -> None:
    """Show the card of that KIND and NAME as it is resolved, or the `settings` and where each is from.

    KIND is one of suite, dataset, model, method, paper, settings.

    \b
    Example:  xrbench show suite ood-cxr
    """
    if kind == "settings":
        from xrbench.config import every

        rows = [{"setting": s.name, "value": s.value, "from": s.source} for s in every()]
        options.echo_json(rows) if as_json else _print(rows)
        return
    if not name:
        raise click.UsageError(f"which {kind}? `xrbench list {kind}s` names them")
    card, where = _card(kind, name, options.open_catalogue(catalogues))
    if as_json:
        options.echo_json(card)
    else:
        click.echo(f"# {where}")
        click.echo("\n".join(_toml_lines(card)))


def _card(kind: str, name: str, cards: Catalogue) -> tuple[dict[str, Any], str]:
    from xrbench.cards import plain
    from xrbench.errors import UnknownNameError

    if kind == "paper":
        if name not in cards.papers:
            raise UnknownNameError("paper", name, cards.papers)
        paper, folder = cards.papers[name]
        return plain(paper), str(folder / "paper.toml")
    getters: dict[str, Callable[[str], Any]] = {
        "suite": cards.suite,
        "dataset": cards.dataset,
        "model": cards.model,
        "method": cards.method,
    }
    return plain(getters[kind](name)), str(cards.path(kind, name))


def _listing(kind: str, cards: Catalogue, data_roots: tuple[str, ...]) -> list[dict[str, Any]]:
    if kind == "suites":
        return _suites(cards, data_roots)
    if kind == "datasets":
        return _datasets(cards, data_roots)
    if kind == "models":
        return [
            {"model": name, "weights": cards.model(name).weights, "title": cards.model(name).title}
            for name in cards.names("model")
        ]
    if kind == "methods":
        return [{"method": name, "title": cards.method(name).title} for name in cards.names("method")]
    if kind == "papers":
        return [{"paper": name, "suite": card.suite, "title": card.title} for name, (card, _) in cards.papers.items()]
    if kind == "leaderboards":
        return [{"suite": name, "folder": str(folder)} for name, folder in cards.leaderboards().items()]
    if kind == "pathologies":
        pathologies = cards.vocabulary.pathologies.items()
        return [{"pathology": name, "synonyms": ", ".join(entry.synonyms)} for name, entry in pathologies]
    if kind == "metrics":
        from xrbench.metrics import table

        return [row.described() for row in table.ROWS]
    from xrbench import blocks

    return [{"kind": sort, "block": name} for sort in blocks.BLOCKS for name in blocks.known(sort)]


def _suites(cards: Catalogue, data_roots: tuple[str, ...]) -> list[dict[str, Any]]:
    from xrbench.catalogue import datasets_of
    from xrbench.planning import base_of, settings_of

    present = _present(cards, data_roots)
    rows = []
    for name in cards.names("suite"):
        card = cards.suite(name)
        settings = settings_of(card.protocol)
        methods = [cards.method(method) for method in card.methods]
        trained = [method for method in methods if not (method.inference or method.ensemble)]
        training_sets = {(setting.configuration, setting.train, setting.valid, setting.seed) for setting in settings}
        marks = [
            f"{dataset} {'✓' if present[base_of(dataset, cards)] else '✗'}" for dataset in datasets_of(card.protocol)
        ]
        rows.append(
            {
                "suite": name,
                "paper": card.paper,
                "settings": len(settings),
                "methods": len(card.methods),
                "models": len(card.models),
                "fits": len(training_sets) * len(trained) * len(card.models),
                "profiles": ", ".join(card.profiles),
                "data": "  ".join(marks),
            }
        )
    return rows


def _datasets(cards: Catalogue, data_roots: tuple[str, ...]) -> list[dict[str, Any]]:
    from xrbench.planning import base_of

    present = _present(cards, data_roots)
    rows = []
    for name in cards.names("dataset"):
        card = cards.dataset(name)
        folder = present[base_of(name, cards)]
        rows.append(
            {
                "dataset": name,
                "of": card.base,
                "images": card.counts.get("images", ""),
                "patients": card.counts.get("patients", ""),
                "there": folder or "✗",
                "title": card.title,
            }
        )
    return rows


def _present(cards: Catalogue, data_roots: tuple[str, ...]) -> dict[str, str]:
    """Return the folder of each dataset that is not a slice; empty if it is not there."""
    from xrbench.data.datasets.sources import DataRoots

    root, folders = options.folders(data_roots, cards)
    roots = DataRoots(root, folders)
    return {
        name: str(roots.folder(cards.dataset(name)) or "")
        for name in cards.names("dataset")
        if not cards.dataset(name).base
    }


def _print(rows: Sequence[dict[str, Any]]) -> None:
    from tabulate import tabulate

    click.echo(tabulate(rows, headers="keys", tablefmt="plain") if rows else "(none)")


def _toml_lines(card: dict[str, Any]) -> list[str]:
    """Write the fields of a card that are not empty as TOML, one a line, tables last."""
    import json

    flat = {field: value for field, value in card.items() if value not in ("", [], {}, None)}
    lines = [
        f"{field} = {json.dumps(value, ensure_ascii=False)}"
        for field, value in flat.items()
        if not isinstance(value, dict)
    ]
    for field, value in flat.items():
        if isinstance(value, dict):
            lines += [
                "",
                f"[{field}]",
                *(f"{key} = {json.dumps(item, ensure_ascii=False)}" for key, item in value.items()),
            ]
    return lines
