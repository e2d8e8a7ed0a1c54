"""Read what a run folder says about itself: what tables, figures and claims are made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pandas as pd

from xrbench.cards import Setting, SuiteCard
from xrbench.catalogue import Catalogue
from xrbench.compare.scores_io import Results, open_results
from xrbench.errors import StoreError
from xrbench.fixture_notice import STAMP
from xrbench.report.reported_values import Reported, reported
from xrbench.runs import store
from xrbench.runs.store import read_manifest as read_manifest

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """What a run measured, as blocks that make tables, figures and claims are given it.

    Attributes:
        folder: The run folder.
        manifest: What the run says about itself.
        suite: The suite as it was when the run was made.
        results: Tidy scores (``results.scores``) and predictions (``results.predictions(cell)``: a frame, or None).
        paper: What the suite's paper reported; None when there is none.
    """

    folder: Path
    manifest: dict[str, Any]
    suite: SuiteCard
    results: Results
    paper: Reported | None
    _kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Compute something of the run once, however many tables and figures ask for it.

        Args:
            name: What it is called; the same name always means the same thing.
            make: How it is computed.
        """
        if name not in self._kept:
            self._kept[name] = make()
        kept: T = self._kept[name]
        return kept

    @property
    def scores(self) -> pd.DataFrame:
        """Tidy scores."""
        return self.results.scores

    @property
    def stamp(self) -> str:
        """What stands over every table and figure: the FIXTURE stamp, or nothing."""
        return STAMP if self.results.fixture else ""

    def cells(self, **wanted: str) -> pd.DataFrame:
        """List the measured cells, one row each, that have these values in these columns of the scores."""
        cells = self.scores.drop_duplicates("cell")
        for column, value in wanted.items():
            cells = cells[cells[column] == value]
        return cells

    def log(self, fit: str) -> pd.DataFrame | None:
        """Return the table of epochs of a fit, by the fit's name; None when it is not there."""
        for entry in self.manifest.get("fits", ()):
            if entry["name"] == fit:
                path = self.folder / ".." / ".." / "fits" / entry["key"] / "log.csv"
                return pd.read_csv(path) if path.is_file() else None
        return None


def open_run(folder: Path, catalogue: Catalogue) -> Run:
    """Open a scored run folder.

    Raises:
        StoreError: The folder is not that of a scored run.
    """
    manifest = read_manifest(folder)
    suite = suite_of(manifest)
    return Run(folder, manifest, suite, open_results(folder), paper_of(suite, catalogue))


def suite_of(manifest: dict[str, Any]) -> SuiteCard:
    """Return the suite as it was when the run was made, with the settings that were measured.

    Raises:
        StoreError: The manifest does not hold a suite.
    """
    try:
        card = msgspec.convert(manifest.get("suite"), SuiteCard)
        settings = msgspec.convert(manifest.get("settings", card.protocol.settings), tuple[Setting, ...])
    except msgspec.ValidationError as error:
        raise StoreError(f"{store.MANIFEST}: suite: {error}") from error
    return msgspec.structs.replace(card, protocol=msgspec.structs.replace(card.protocol, settings=settings))


def paper_of(suite: SuiteCard, catalogue: Catalogue) -> Reported | None:
    """Return the reported figures of the suite's paper, if it has one."""
    if not suite.paper or suite.paper not in catalogue.papers:
        return None
    return reported(*catalogue.papers[suite.paper])
