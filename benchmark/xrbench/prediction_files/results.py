"""The tables of one or two sites as the results of a run: cells with scores and predictions, which analyses take as they take a run's.

The judged site is an external test set. The site that it is compared with is another one, and is also the validation set of the judged
site's cell: thresholds are chosen there. It has no validation set of its own, so nothing is judged on it at a threshold that was chosen
on it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from xrbench import scoring
from xrbench.analyses import rows
from xrbench.cards import SuiteCard
from xrbench.compare.scores_io import Results, check_scores
from xrbench.metrics import parse
from xrbench.prediction_files.read import PredictionTable
from xrbench.progress import Reporter
from xrbench.runs.run_cell import HEAD, VALIDATION, RunCell
from xrbench.scoring import Thresholds

JUDGED, REFERENCE = "judged/test", "reference/test"
"""Names of cells."""
ABOUT_RUN = ("suite", "profile", "data", "key")
"""Columns of scores that describe a run."""
COUNTS = ("replicates", "dropped", *rows.COUNTS)
"""Columns of whole numbers."""


class Site(NamedTuple):
    """A table, and the name of the site whose patients it holds."""

    name: str
    table: PredictionTable


def results_of(
    path: Path, judged: Site, reference: Site | None, suite: SuiteCard, reporter: Reporter
) -> tuple[Results, Thresholds]:
    """Score the sites, the judged one last.

    Args:
        path: The file of the judged table.
        judged: The site that is asked about.
        reference: The site that it is compared with, if there is one.
        suite: Labels, metrics and interval.
        reporter: Where progress goes.

    Returns:
        The results, and the thresholds that were chosen: (label, metric) -> threshold.
    """
    cell = _cell(JUDGED, judged.name)
    sites = [(judged, [cell])]
    thresholds: Thresholds = {}
    if reference is not None:
        sites.insert(
            0, (reference, [_cell(REFERENCE, reference.name), _cell(cell.validation, reference.name, VALIDATION)])
        )
        thresholds = scoring.thresholds_from(reference.table.frame, suite)
    frames = {own.cell: site.table.frame for site, cells in sites for own in cells}
    scores = []
    with reporter.bar("scores", len(sites)) as bar:
        for site, cells in sites:
            estimates = scoring.judge(site.table.frame, suite, thresholds=thresholds if site is judged else {})
            scores += [{**own.head, **estimate} for own in cells for estimate in estimates]
            bar.advance(1, site.name)
    # The folder is the file itself: a manifest that lies beside a table does not describe it.
    return Results(str(path), check_scores(pd.DataFrame(scores)), frames.get, folder=path), thresholds


def without_validation(frame: pd.DataFrame, suite: SuiteCard) -> pd.DataFrame:
    """Leave out the rows of the validation set, and of the reference what needs a threshold, which it has not.

    Args:
        frame: Scores, or the rows of an analysis.
        suite: Its metrics that need a threshold are left out.
    """
    validated = [name for name in suite.metrics if parse(name).from_validation]
    without_threshold = frame["metric"].isin(validated) | (frame["reason"] == scoring.NO_VALIDATION)
    left_out = (frame["protocol"] == VALIDATION) | ((frame["cell"] == REFERENCE) & without_threshold)
    return frame[~left_out].reset_index(drop=True)


def by_site(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the name of the site in the place of the columns that describe a cell, in scores or in the rows of an analysis."""
    columns = [name for name in frame.columns if name not in (*HEAD, *ABOUT_RUN)]
    by_name = pd.concat([frame["test"].rename("site"), frame[columns]], axis=1)
    return by_name.astype({name: int for name in COUNTS if name in columns})


def _cell(name: str, site: str, protocol: str = "external") -> RunCell:
    return RunCell(cell=name, method="", model="", train="", test=site, protocol=protocol)
