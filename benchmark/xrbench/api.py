"""The Python interface: suite, plan, run, score, analyse, table, in this order, as on the command line.

import xrbench as xr
suite = xr.suite("ood-cxr", profile="quick")
plan = xr.plan(suite)                          # no data root: the synthetic fixture
results = xr.run(plan, out="runs")
scores = xr.score(results)
findings = xr.analyse(results)                   # what the suite's [analyses] asks for, one frame each
print(xr.table(scores, suite, "table2").markdown())
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xrbench import cards, catalogue, planning
from xrbench.data.datasets.sources import DataRoots
from xrbench.progress import Reporter, Silent
from xrbench.runs import bound_plan, runner
from xrbench.runs.bound_plan import BoundPlan
from xrbench.runs.runner import Options, RunResult

if TYPE_CHECKING:
    import pandas as pd

    from xrbench.rendering.table import Table

FIXTURE_FOLDER = "fixture"


@dataclass(frozen=True)
class Suite:
    """A suite card with the profile chosen for it and the catalogue it is from.

    Attributes:
        card: The suite.
        catalogue: Where its datasets, models and methods are.
        profile: Name of the profile; None chooses ``quick`` on the fixture and the suite's first one on real data.
    """

    card: cards.SuiteCard
    catalogue: catalogue.Catalogue
    profile: str | None = None


def suite(name: str, *, profile: str | None = None, catalogues: Sequence[str | Path] = ()) -> Suite:
    """Find a suite.

    Args:
        name: Name of a suite card.
        profile: Name of one of its profiles.
        catalogues: Folders with more cards.

    Raises:
        UnknownNameError: No such suite or profile; the nearest name is offered.
    """
    opened = catalogue.open_catalogue(catalogues)
    card = opened.suite(name)
    if profile is not None:
        planning.choose_profile(card, profile, fixture=False)
    return Suite(card, opened, profile)


def plan(
    of: Suite,
    *,
    data_root: str | Path | None = None,
    data: Mapping[str, str | Path] | None = None,
    only: Sequence[str] = (),
    seeds: Sequence[int] = (),
    precision: Literal["float32", "bfloat16"] | None = None,
    allow_missing: bool = False,
    out: str | Path = "runs",
    reporter: Reporter | None = None,
) -> BoundPlan:
    """Expand a suite on data into fits and cells.

    Args:
        of: The suite.
        data_root: Folder with one folder a dataset; None (and no ``data``) writes the synthetic fixture below ``out``.
        data: Dataset -> its folder.
        only: ``field=value`` filters, see ``xrbench run --help``.
        seeds: Seeds that replace those of the settings.
        precision: Number format of training that replaces the profile's.
        allow_missing: Leave out what needs datasets that are not there.
        out: Folder of results; only used for the fixture.
        reporter: Where progress goes.

    Raises:
        MissingDataError: Datasets are not there.
        DataError: Metadata are not as their layout promises.
    """
    folders = {name: Path(path) for name, path in (data or {}).items()}
    root = Path(data_root) if data_root is not None else None
    fixture = root is None and not folders
    if fixture:
        from xrbench.data.fixture import write_fixture

        root = write_fixture(Path(out) / FIXTURE_FOLDER, reporter=reporter or Silent())
    expanded = planning.make_plan(
        of.card, of.catalogue, profile=of.profile, fixture=fixture, only=only, seeds=seeds, precision=precision
    )
    return bound_plan.bind(expanded, of.catalogue, DataRoots(root, folders), allow_missing=allow_missing)


def run(
    of: BoundPlan, *, out: str | Path = "runs", options: Options | None = None, reporter: Reporter | None = None
) -> RunResult:
    """Train and predict what is not stored yet; the same call goes on where it stopped.

    Args:
        of: The plan with its data.
        out: Folder for results, unless ``options`` names one.
        options: Device, number of processes and the like.
        reporter: Where progress goes.
    """
    return runner.run(of, options or Options(out=Path(out)), reporter=reporter)


def score(results: RunResult | str | Path, *, reporter: Reporter | None = None) -> pd.DataFrame:
    """Score the predictions of a run and write ``scores.csv`` into its folder.

    Returns:
        Tidy scores, one row a cell, label and metric.
    """
    from xrbench import scoring

    folder = results.folder if isinstance(results, RunResult) else Path(results)
    return scoring.score_run(folder, reporter=reporter or Silent())


def analyse(results: RunResult | str | Path, *, reporter: Reporter | None = None) -> dict[str, pd.DataFrame]:
    """Compute the analyses that the suite of a scored run asks for, and write each into its folder ``analyses``.

    Returns:
        Name of the analysis (``operating``, ``subgroups``, ``ranks``, ...) -> one tidy frame.
    """
    from xrbench import analyses

    folder = results.folder if isinstance(results, RunResult) else Path(results)
    return analyses.analyse_run(folder, reporter=reporter or Silent())


def table(scores: pd.DataFrame, of: Suite, name: str, *, results: RunResult | str | Path | None = None) -> Table:
    """Make one of the suite's tables, or that of an analysis (``ranks``, ``subgroups``, ...).

    Args:
        scores: Tidy scores.
        of: The suite.
        name: Name of the table.
        results: The run, for tables that need more than its scores.

    Raises:
        UnknownNameError: The suite has no table of that name.
        UsageError: The table needs a run and none is given, or the run has nothing for it.
    """
    from xrbench.report.run_folder import open_run, run_of_scores
    from xrbench.report.tables import build

    run = run_of_scores(scores, of.card)
    if results is not None:
        opened = open_run(results.folder if isinstance(results, RunResult) else Path(results), of.catalogue)
        run = replace(opened, suite=of.card, results=replace(opened.results, scores=run.scores))
    return build.named(run, name)
