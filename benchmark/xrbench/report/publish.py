"""Write what a run found: its tables in every form, figures with their numbers, and a page that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from xrbench import store
from xrbench.cards import SuiteCard
from xrbench.catalogue import Catalogue
from xrbench.compare.results import read_scores
from xrbench.progress import Reporter, Silent
from xrbench.report import figures, leaderboard, tables, writers
from xrbench.report.runs import paper_of as paper_of
from xrbench.report.runs import read_manifest as read_manifest
from xrbench.report.runs import suite_of as suite_of
from xrbench.report.selection import Selection, is_fixture
from xrbench.report.writers import Table
from xrbench.stamp import STAMP

FORMS = ("md", "tex", "csv")
PAGE = "README.md"


@dataclass(frozen=True)
class Published:
    """What was written, and the tables to print.

    Attributes:
        folder: The run folder.
        tables: All tables, the suite's first.
        shown: Names of those that are worth printing.
        fixture: Whether any figure is from synthetic images.
        suite: Name of the suite.
    """

    folder: Path
    tables: tuple[Table, ...]
    shown: tuple[str, ...]
    fixture: bool
    suite: str

    def summary(self) -> str:
        """Write the suite's tables for a terminal, with where everything is and what to do next."""
        parts = [table.text() for table in self.tables if table.name in self.shown]
        parts.append(f"written: {self.folder}   {PAGE}  scores.csv  tables/*.{{{','.join(FORMS)}}}  figures/")
        parts.append(f"next: xrbench compare {self.folder}   xrbench show suite {self.suite}")
        return "\n\n".join([*([STAMP] if self.fixture else []), *parts])


def publish(
    folder: Path, catalogue: Catalogue, *, forms: Sequence[str] = FORMS, reporter: Reporter | None = None
) -> Published:
    """Write tables, figures and the page of a run from its manifest and scores.

    Args:
        folder: A run folder with ``manifest.json`` and ``scores.csv``.
        catalogue: Where the papers' reported numbers are.
        forms: File endings of tables.
        reporter: Where progress goes.

    Raises:
        StoreError: The folder is not that of a scored run.
    """
    say = reporter or Silent()
    manifest = read_manifest(folder)
    suite = suite_of(manifest)
    scores = read_scores(folder / store.SCORES)
    made = tables.every_table(scores, suite, paper=paper_of(suite, catalogue), descriptions=manifest["datasets"])
    for table in made:
        writers.save(table, folder / "tables", forms)
    say.detail(f"{len(made)} tables in {folder / 'tables'}")
    _draw(folder, manifest, suite, scores)
    store.write_atomic(folder / PAGE, leaderboard.page_of_run(folder, catalogue).encode())
    names = {layout.name for layout in suite.tables}
    return Published(folder, tuple(made), tuple(sorted(names)), is_fixture(scores), suite.name)


def _draw(folder: Path, manifest: dict[str, Any], suite: SuiteCard, scores: pd.DataFrame) -> None:
    logs = {}
    for entry in manifest["fits"]:
        log = folder / ".." / ".." / "fits" / entry["key"] / "log.csv"
        if log.is_file():
            logs[entry["name"]] = pd.read_csv(log)
    target = folder / "figures"
    figures.forest(Selection(scores, suite, "auc" if "auc" in suite.metrics else suite.metrics[0]), target)
    figures.curves(logs, target, fixture=is_fixture(scores))
