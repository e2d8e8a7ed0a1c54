"""An opened run folder: the input of tables, figures and claims."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pandas as pd

from xrbench import analyses
from xrbench.cards import Setting, SuiteCard
from xrbench.catalogue import Catalogue
from xrbench.compare.scores_io import Results, check_scores, open_results
from xrbench.errors import StoreError
from xrbench.fixture_notice import STAMP
from xrbench.report.reported_values import Reported, reported
from xrbench.runs import store

T = TypeVar("T")
NOWHERE = Path(os.devnull)
"""Folder of a run of which only the scores are known; no file is below it."""


@dataclass(frozen=True)
class Run:
    """A scored run, the argument of the blocks that make tables, figures and claims.

    Attributes:
        folder: The run folder.
        manifest: The run's manifest.
        suite: The suite as it was when the run was made.
        results: Tidy scores, cells and predictions.
        paper: What the suite's paper reported; None when there is none.
        computed: Analyses that were just computed, by name; None where those stored in the folder count.
    """

    folder: Path
    manifest: dict[str, Any]
    suite: SuiteCard
    results: Results
    paper: Reported | None
    computed: Mapping[str, pd.DataFrame] | None = None
    _memo: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what a function computes of the run, called once however many tables and figures need it.

        Args:
            name: Key under which the result is stored.
            make: The function.
        """
        if name not in self._memo:
            self._memo[name] = make()
        value: T = self._memo[name]
        return value

    @property
    def scores(self) -> pd.DataFrame:
        """Tidy scores."""
        return self.results.scores

    @property
    def stamp(self) -> str:
        """The FIXTURE stamp for every table and figure; empty on real images."""
        return STAMP if self.results.fixture else ""

    def cells(self, **values: str) -> pd.DataFrame:
        """List the measured cells, one row each, that have these values in these columns of the scores."""
        cells = self.scores.drop_duplicates("cell")
        for column, value in values.items():
            cells = cells[cells[column] == value]
        return cells

    def analysis(self, name: str) -> pd.DataFrame | None:
        """Return an analysis by its name; None when it was not made."""
        return analyses.read(self.folder, name) if self.computed is None else self.computed.get(name)

    def log(self, fit: str) -> pd.DataFrame | None:
        """Read the table of epochs of a fit, by the fit's name; None when there is none."""
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
    manifest = store.read_manifest(folder)
    suite = suite_of(manifest)
    return Run(folder, manifest, suite, open_results(folder), paper_of(suite, catalogue))


def run_of_scores(
    scores: pd.DataFrame,
    suite: SuiteCard,
    *,
    paper: Reported | None = None,
    descriptions: Sequence[Mapping[str, Any]] = (),
) -> Run:
    """Take scores alone as a run without analyses and predictions.

    Args:
        scores: Tidy scores.
        suite: The suite they belong to.
        paper: What the suite's paper reported.
        descriptions: ``dataset, images, patients, used, pathologies, region`` of each dataset.

    Raises:
        StoreError: The scores are broken.
    """
    results = Results("scores", check_scores(scores), lambda _cell: None, NOWHERE)
    return Run(NOWHERE, {"datasets": list(descriptions)}, suite, results, paper)


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
