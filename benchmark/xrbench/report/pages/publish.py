"""Write the results of a run: its tables in every form, figures with their numbers, and the pages that show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xrbench import analyses, blocks
from xrbench.catalogue import Catalogue
from xrbench.files import write_atomic
from xrbench.fixture_notice import STAMP
from xrbench.progress import Reporter, Silent
from xrbench.rendering.table import Table, save
from xrbench.report.figures.build import draw_figures
from xrbench.report.run_folder import open_run
from xrbench.report.tables import build
from xrbench.report.tables.analysis_table import KINDS

FORMS = ("md", "tex", "csv")
PAGE = "README.md"
OURS = (".md", ".tex", ".csv", ".html", ".txt", ".svg", ".png")
"""Endings of the files in ``tables/`` and ``figures/``; those that a later report does not write again are removed."""


@dataclass(frozen=True)
class Published:
    """The written files, and the tables to print.

    Attributes:
        folder: The run folder.
        tables: All tables, the suite's first.
        shown: Names of those that are worth printing.
        fixture: Whether any figure is from synthetic images.
        suite: Name of the suite.
        lacking: Analyses that the suite asks for and that were not made of this run.
    """

    folder: Path
    tables: tuple[Table, ...]
    shown: tuple[str, ...]
    fixture: bool
    suite: str
    lacking: tuple[str, ...] = ()

    def summary(self) -> str:
        """Write the suite's tables for a terminal, with where everything is and what to do next."""
        parts = [table.text() for table in self.tables if table.name in self.shown]
        parts.append(
            f"written: {self.folder}   {PAGE}  scores.csv  analyses/  tables/*.{{{','.join(FORMS)}}}  figures/"
        )
        if self.lacking:
            parts.append(f"not concluded yet: {', '.join(self.lacking)}; xrbench score {self.folder}")
        parts.append(f"next: xrbench compare {self.folder}   xrbench show suite {self.suite}")
        return "\n\n".join([*([STAMP] if self.fixture else []), *parts])


def publish(
    folder: Path, catalogue: Catalogue, *, forms: Sequence[str] = FORMS, reporter: Reporter | None = None
) -> Published:
    """Write tables, figures and pages of a run from its manifest and scores.

    Args:
        folder: A run folder with ``manifest.json`` and ``scores.csv``.
        catalogue: Where the papers' reported numbers are.
        forms: File endings of tables.
        reporter: Where progress goes.

    Raises:
        StoreError: The folder is not that of a scored run.
    """
    say = reporter or Silent()
    run = open_run(folder, catalogue)
    before = _written(folder)
    tables = build.every_table(run)
    for table in tables:
        save(table, folder / "tables", forms)
    say.detail(f"{len(tables)} tables in {folder / 'tables'}")
    draw_figures(run, folder / "figures")
    for name in blocks.known("page"):
        write_atomic(folder / f"{name}.md", blocks.find("page", name)(run).encode())
    for path, when in _written(folder).items():
        if before.get(path) == when:  # of an earlier report, and not of this one
            path.unlink()
    names = {layout.name for layout in run.suite.tables}
    lacking = tuple(name for name in KINDS if name in analyses.asked(run.suite) and analyses.read(folder, name) is None)
    return Published(folder, tuple(tables), tuple(sorted(names)), run.results.fixture, run.suite.name, lacking)


def _written(folder: Path) -> dict[Path, int]:
    """List the files of tables and figures, with when they were last written."""
    paths = [path for name in ("tables", "figures") for path in (folder / name).glob("*.*") if path.is_file()]
    return {path: path.stat().st_mtime_ns for path in paths if path.suffix in OURS}
