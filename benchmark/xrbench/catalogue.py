"""Find cards: which datasets, models, methods, suites and papers exist, and in which files.

A *catalogue* is a folder with ``registry/``, ``baselines/`` and ``leaderboards/``, each of which may be absent. The one that
comes with xrbench is first; installed packages (entry point group ``xrbench.catalogues``), ``XRBENCH_PATH`` and
``--catalogue`` add theirs. A later catalogue adds names; it never replaces one.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from xrbench import blocks, cards
from xrbench.errors import CardError, UnknownNameError, UsageError, suggestion

ENTRY_POINTS = "xrbench.catalogues"
PATH_VARIABLE = "XRBENCH_PATH"
FOLDERS = {"dataset": "datasets", "model": "models", "method": "methods", "suite": "suites"}
"""Kind of card -> its folder under ``registry/``."""
BLOCK_FIELDS = ("reader", "network", "sampler", "objective", "optimiser", "schedule", "pruning")
"""Fields of cards that name a block, as the kind of block is called."""

C = TypeVar("C", bound=cards.Card)


def shipped() -> Path:
    """Return the catalogue that comes with xrbench: beside the code in a wheel, else the root of the checkout."""
    packaged = Path(__file__).parent / "_catalogue"
    return packaged if packaged.is_dir() else Path(__file__).parents[2]


class Catalogue:
    """All cards of all catalogues, read when they are asked for.

    Args:
        roots: Catalogue folders, in order.

    Raises:
        CardError: Two catalogues have a card of the same kind and name.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(roots)
        self._files = {kind: self._list(f"registry/{folder}/*.toml") for kind, folder in FOLDERS.items()}
        self._read: dict[tuple[str, str], cards.Card] = {}

    def names(self, kind: str) -> tuple[str, ...]:
        """List the names of a kind (``dataset``, ``model``, ``method``, ``suite``), sorted."""
        return tuple(sorted(self._files[kind]))

    def dataset(self, name: str, *, where: str = "") -> cards.DatasetCard:
        """Return a dataset's card, or raise UnknownNameError with the nearest name."""
        return self._card("dataset", name, cards.DatasetCard, where)

    def model(self, name: str, *, where: str = "") -> cards.ModelCard:
        """Return a model's card, or raise UnknownNameError with the nearest name."""
        return self._card("model", name, cards.ModelCard, where)

    def method(self, name: str, *, where: str = "") -> cards.MethodCard:
        """Return a method's card, or raise UnknownNameError with the nearest name."""
        return self._card("method", name, cards.MethodCard, where)

    def suite(self, name: str) -> cards.SuiteCard:
        """Return a suite's card with the fields of the suite it extends filled in.

        Raises:
            UnknownNameError: No suite of that name.
            CardError: The card is wrong, or names a dataset, model, method, label or block that does not exist.
        """
        key = ("suite", name)
        if key not in self._read:
            path = self.path("suite", name)
            card = cards.convert(self._extended(name, ()), cards.SuiteCard, where=str(path), name=name)
            self._check_suite(card, str(path))
            self._read[key] = card
        suite = self._read[key]
        assert isinstance(suite, cards.SuiteCard)
        return suite

    def path(self, kind: str, name: str, *, where: str = "") -> Path:
        """Return the file of a card, or raise UnknownNameError with the nearest name."""
        if name not in self._files[kind]:
            raise UnknownNameError(kind, name, self._files[kind], where=where)
        return self._files[kind][name]

    @cached_property
    def vocabulary(self) -> cards.Vocabulary:
        """The shared names of findings: every catalogue's ``registry/pathologies.toml``, joined."""
        joined = cards.Vocabulary(pathologies={})
        for root in self.roots:
            path = root / "registry" / "pathologies.toml"
            if path.is_file():
                joined = _add(joined, cards.read(path, cards.Vocabulary), path)
        return joined

    @cached_property
    def papers(self) -> dict[str, tuple[cards.PaperCard, Path]]:
        """Folder name under ``baselines/`` -> paper card and the folder."""
        files = self._list("baselines/*/paper.toml", parent=True)
        return {
            name: (cards.convert(cards.read_toml(path), cards.PaperCard, where=str(path), name=name), path.parent)
            for name, path in files.items()
        }

    def leaderboards(self) -> dict[str, Path]:
        """Suite name -> folder with measured results."""
        return {name: path.parent for name, path in self._list("leaderboards/*/scores.csv", parent=True).items()}

    def _list(self, pattern: str, *, parent: bool = False) -> dict[str, Path]:
        files: dict[str, Path] = {}
        for root in self.roots:
            for path in sorted(root.glob(pattern)):
                name = path.parent.name if parent else path.stem
                if name in files:
                    raise CardError(
                        f"{path}: {files[name]} already has this name; a catalogue cannot replace a card, choose another name"
                    )
                files[name] = path
        return files

    def _card(self, kind: str, name: str, struct: type[C], where: str) -> C:
        key = (kind, name)
        if key not in self._read:
            path = self.path(kind, name, where=where)
            card = cards.read(path, struct)
            _check_blocks(card, str(path))
            self._read[key] = card
        cached = self._read[key]
        assert isinstance(cached, struct)
        return cached

    def _extended(self, name: str, children: tuple[str, ...]) -> dict[str, Any]:
        """Read a suite and those it extends, whose fields it overrides; ``children`` are the suites that extend it."""
        path = self.path("suite", name, where=str(self._files["suite"][children[-1]]) if children else "")
        if name in children:
            raise CardError(f"{path}: extends: a circle: {' -> '.join((*children, name))}")
        values = cards.read_toml(path)
        parent = values.get("extends", "")
        if not parent:
            return values
        if not isinstance(parent, str):
            raise CardError(f"{path}: extends: expected the name of a suite, got {type(parent).__name__}")
        return {**self._extended(parent, (*children, name)), **values}

    def _check_suite(self, card: cards.SuiteCard, where: str) -> None:
        """Refuse a suite that names something that does not exist."""
        named: list[cards.SuiteCard | cards.Profile] = [card, *card.profiles.values()]
        for profile in named:
            for model in profile.models:
                self.path("model", model, where=where)
            for method in profile.methods:
                self.path("method", method, where=where)
        for dataset in datasets_of(card.protocol):
            self.path("dataset", dataset, where=where)
        for comparison in card.comparisons:
            for method in (comparison.challenger, comparison.baseline):
                self.path("method", method, where=f"{where}: comparisons")
        for field, what, names, known in (
            ("labels", "pathology", card.labels, self.vocabulary.pathologies),
            ("mappings", "mapping", card.mappings, self.vocabulary.mappings),
        ):
            for name in names:
                if name not in known:
                    raise CardError(f"{where}: {field}: unknown {what} {name!r}{suggestion(name, known)}")
        for spec in card.preprocessing:
            name, options = blocks.split("preprocessing", spec, where=where)
            blocks.check_options("preprocessing", name, options, where=where)
        _check_protocol(card, where)
        _check_metrics(card, where)
        _check_layouts(card, where)
        _check_interval(card, where)


def _check_blocks(card: cards.Card, where: str) -> None:
    """Refuse a card that names a block that does not exist; ``module:object`` names are only imported when they are used."""
    named = [(kind, getattr(card, kind)) for kind in BLOCK_FIELDS if getattr(card, kind, "")]
    named += [("augmentation", spec) for spec in getattr(card, "augmentation", ())]
    for kind, spec in named:
        name, _ = blocks.split(kind, spec, where=where)
        if ":" not in name and name not in blocks.known(kind):
            raise UnknownNameError(kind, name, blocks.known(kind), where=where)


def _check_protocol(card: cards.SuiteCard, where: str) -> None:
    """Refuse a kind of protocol that does not exist; ``module:object`` names are only imported when they are used."""
    kind, known = card.protocol.kind, blocks.known("protocol")
    if ":" in kind:
        return
    if kind not in known:
        raise UnknownNameError("kind of protocol", kind, known, where=f"{where}: protocol: kind")
    blocks.check_options("protocol", kind, card.protocol.options, where=f"{where}: protocol")


def _check_metrics(card: cards.SuiteCard, where: str) -> None:
    """Refuse a suite without labels or metrics, and metrics that do not exist."""
    from xrbench import metrics

    for field in ("labels", "metrics"):
        if not getattr(card, field):
            raise CardError(f"{where}: {field}: at least one is expected")
    grouped = (metric for rule in card.analyses.subgroups for metric in rule.metrics)
    others = (*(one.metric for one in card.comparisons), *(one.metric for one in card.tables), *grouped)
    for metric in (*card.metrics, *others):
        try:
            metrics.parse_as(card.task, metric)
        except UsageError as error:
            raise CardError(f"{where}: metrics: {error}") from error


def _check_layouts(card: cards.SuiteCard, where: str) -> None:
    """Refuse kinds of tables and figures that do not exist; ``module:object`` names are only imported when they are used."""
    for kind, layouts in (("table", card.tables), ("figure", card.figures)):
        known = blocks.known(kind)
        for layout in layouts:
            if ":" not in layout.kind and layout.kind not in known:
                raise UnknownNameError(f"kind of {kind}", layout.kind, known, where=f"{where}: {kind}s: {layout.name}")


def _check_interval(card: cards.SuiteCard, where: str) -> None:
    """Refuse a kind of interval that does not exist."""
    known = ("default", *blocks.known("interval"))
    if card.interval.kind not in known:
        raise UnknownNameError("kind of interval", card.interval.kind, known, where=f"{where}: interval: kind")


def datasets_of(protocol: cards.Protocol) -> tuple[str, ...]:
    """List the datasets that a protocol mentions, each once, in order."""
    named = list(protocol.datasets)
    for setting in protocol.settings:
        named += [*setting.train, *([] if setting.valid in ("held-out", "none") else [setting.valid]), setting.test]
    for configuration in protocol.configurations:
        named += configuration.train
    named += protocol.external
    return tuple(dict.fromkeys(named))


def open_catalogue(extra: Sequence[str | Path] = ()) -> Catalogue:
    """Open the shipped catalogue, those of installed packages, of ``XRBENCH_PATH`` and the ones given.

    The folder above a given catalogue is added to the end of the import path, so that its cards can name blocks of a package
    beside them: to name a catalogue is to allow its code to run.

    Raises:
        UsageError: A given folder does not exist or holds none of the three folders of a catalogue.
    """
    given = [Path(part) for part in os.environ.get(PATH_VARIABLE, "").split(os.pathsep) if part] + [
        Path(part) for part in extra
    ]
    for folder in given:
        _check_folder(folder)
        parent = str(folder.resolve().parent)
        if parent not in sys.path:
            sys.path.append(parent)
    roots = [shipped(), *_installed(), *given]
    return Catalogue(list({root.resolve(): root for root in roots}.values()))


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UsageError(f"catalogue {folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    if not any((folder / part).is_dir() for part in ("registry", "baselines", "leaderboards")):
        raise UsageError(f"catalogue {folder}: has none of registry/, baselines/, leaderboards/")


def _installed() -> list[Path]:
    """Return the catalogues of installed packages; the entry point names a package, or a function that returns a folder."""
    folders = []
    for point in metadata.entry_points(group=ENTRY_POINTS):
        if point.attr:
            folders.append(Path(point.load()()))
        else:
            module = importlib.import_module(point.module)
            folders.append(Path(str(module.__path__[0])))
    return folders


def _add(joined: cards.Vocabulary, more: cards.Vocabulary, path: Path) -> cards.Vocabulary:
    for field in ("pathologies", "mappings"):
        for name in getattr(more, field):
            if name in getattr(joined, field):
                raise CardError(f"{path}: {field}.{name} is already there; a catalogue cannot replace it")
    return msgspec.structs.replace(
        joined,
        pathologies={**joined.pathologies, **more.pathologies},
        mappings={**joined.mappings, **more.mappings},
    )
