"""Table of the analyses: when a suite asks for each, its columns, and how it is computed and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pandas as pd

from xrbench import cards, statistics
from xrbench.analyses import (
    case_mix,
    decision_curves,
    domain_matrix,
    label_policies,
    next_hospital,
    operating_points,
    pairwise,
    rank_tests,
    rows,
    seed_variance,
    subgroups,
    variance_components,
)
from xrbench.analyses.inputs import HELD_OUT, Material
from xrbench.compare.scores_io import Results, open_results
from xrbench.errors import MeasureError, StoreError, UsageError, XrbenchError
from xrbench.fixture_notice import STAMP
from xrbench.progress import Reporter, Silent
from xrbench.runs import store
from xrbench.runs.run_cell import RunCell
from xrbench.runs.shared_parents import with_given
from xrbench.scoring import NO_VALIDATION

FOLDER = "analyses"
JUDGED = (*HELD_OUT, "resubstitution")
"""Protocols whose cells are analysed one by one."""

Step = Callable[[], list[rows.Row]]


@dataclass(frozen=True)
class Analysis:
    """One analysis, which gives one table.

    Attributes:
        asked: Whether a suite asks for it.
        columns: Columns of its table, besides ``reason`` and ``caution``.
        steps: Parts of the computation, each of which gives rows.
    """

    asked: Callable[[cards.SuiteCard], bool]
    columns: tuple[str, ...]
    steps: Callable[[Material], Iterator[Step]]


def analyse(results: Results, suite: cards.SuiteCard, *, reporter: Reporter | None = None) -> dict[str, pd.DataFrame]:
    """Compute every analysis that a suite asks for.

    Args:
        results: Scores with predictions.
        suite: Its ``analyses`` names them.
        reporter: Where progress goes.

    Returns:
        Name of the analysis -> one tidy frame; with a column ``given`` where a parent is shared over seeds, and ``stamp`` where images
        are synthetic.
    """
    material, say = Material(results, suite), reporter or Silent()
    work = {name: list(ANALYSES[name].steps(material)) for name in asked(suite)}
    tables = {}
    with say.bar("analyses", sum(map(len, work.values()))) as bar:
        for name, steps in work.items():
            table: list[rows.Row] = []
            for step in steps:
                table += step()
                bar.advance(1, name)
            frame = rows.framed(table, (*ANALYSES[name].columns, *rows.WORDS))
            frame = with_given(frame, results.cells, rows.METHODS)
            tables[name] = frame.assign(stamp=STAMP) if results.fixture else frame
    return tables


def analyse_run(folder: Path, *, reporter: Reporter | None = None) -> dict[str, pd.DataFrame]:
    """Compute every analysis that a run's suite asks for, and write each as ``analyses/NAME.csv`` beside its scores.

    Args:
        folder: A scored run folder.
        reporter: Where progress goes.

    Returns:
        Name of the analysis -> one tidy frame.

    Raises:
        StoreError: The folder is not that of a scored run, or cannot be written.
    """
    manifest = store.read_manifest(folder)
    if not (folder / store.SCORES).is_file():
        raise StoreError(f"{folder}: no {store.SCORES}; score the run first: xrbench score {folder}")
    suite = msgspec.convert(manifest["suite"], cards.SuiteCard)
    tables = analyse(open_results(folder), suite, reporter=reporter)
    for old in sorted((folder / FOLDER).glob("*.csv")):
        if old.stem in ANALYSES and old.stem not in tables:
            old.unlink()
    for name, frame in tables.items():
        store.write_csv(folder / FOLDER / f"{name}.csv", frame)
    return tables


def read(folder: Path, name: str) -> pd.DataFrame | None:
    """Read an analysis of a run or leaderboard folder; None when it was not computed.

    Raises:
        UsageError: No analysis of that name.
        StoreError: The file cannot be read.
    """
    if name not in ANALYSES:
        raise UsageError(f"unknown analysis {name!r}; known: {', '.join(ANALYSES)}")
    path = folder / FOLDER / f"{name}.csv"
    if not path.is_file():
        return None
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""], encoding="utf-8")
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: not a CSV of an analysis: {str(error).splitlines()[0]}") from error
    for column in rows.TEXTS & set(frame.columns):
        frame[column] = [
            str(text) if known else "" for text, known in zip(frame[column], frame[column].notna(), strict=True)
        ]
        frame[column] = frame[column].astype(object)
    return frame


def asked(suite: cards.SuiteCard) -> tuple[str, ...]:
    """Name the analyses that a suite asks for."""
    return tuple(name for name, one in ANALYSES.items() if one.asked(suite))


def _step(make: Callable[[], Iterable[rows.Row]], cell: RunCell | None = None, **known: Any) -> Step:
    """Put the columns of a cell before each row; an error becomes one row with the reason."""
    head = {} if cell is None else cell.head

    def step() -> list[rows.Row]:
        try:
            return [{**head, **row} for row in make()]
        except XrbenchError as error:
            return [{**head, **rows.nothing(str(error), **known)}]

    return step


def _each_cell(make: Callable[[Material, RunCell], Iterable[rows.Row]]) -> Callable[[Material], Iterator[Step]]:
    def steps(material: Material) -> Iterator[Step]:
        for cell in material.cells(*JUDGED):
            yield _step(partial(make, material, cell), cell)

    return steps


def _operating(material: Material, cell: RunCell) -> list[rows.Row]:
    return operating_points.rows_of(
        material.validation(cell),
        material.predictions(cell),
        targets=material.suite.analyses.operating,
        prevalences=material.suite.analyses.prevalences,
        **material.options,
    )


def _decision_curve(material: Material, cell: RunCell) -> list[rows.Row]:
    return decision_curves.rows_of(
        material.predictions(cell),
        thresholds=material.suite.analyses.decision_thresholds,
        **material.options,
    )


def _subgroups(material: Material) -> Iterator[Step]:
    for cell in material.cells(*JUDGED):
        for rule in material.suite.analyses.subgroups:
            for metric in rule.metrics or (material.metric,):
                make = partial(_subgroups_of, material, cell, rule, metric)
                yield _step(make, cell, column=rule.column, metric=metric)


def _subgroups_of(material: Material, cell: RunCell, rule: cards.SubgroupRule, metric: str) -> list[rows.Row]:
    return subgroups.rows_of(
        material.predictions(cell),
        material.frame(cell),
        rule,
        metric=metric,
        thresholds=_validated(material, cell, metric),
        adjustment=material.suite.adjustment,
        **material.options,
    )


def _validated(material: Material, cell: RunCell, metric: str) -> dict[tuple[str, str], float]:
    """Choose a metric's thresholds on the validation images of the fit behind a cell."""
    if not material.spec(metric).from_validation:
        return {}
    valid = material.validation(cell)
    if valid is None:
        raise MeasureError(NO_VALIDATION)
    return statistics.thresholds_for(valid.truth, valid.score, labels=valid.labels, metrics=[metric])


def _policies(material: Material) -> Iterator[Step]:
    for family in label_policies.families(material):
        yield _step(partial(label_policies.rows_of, material, family), family[0], metric=material.metric)


def _seeds(material: Material) -> Iterator[Step]:
    for family in seed_variance.families(material):
        yield _step(partial(seed_variance.rows_of, material, family))
    yield _step(partial(seed_variance.over_settings, material))


def _pairs(material: Material) -> Iterator[Step]:
    for family in pairwise.families(material):
        yield _step(partial(pairwise.rows_of, material, family))


def _hospitals(material: Material) -> Iterator[Step]:
    for family in next_hospital.families(material):
        yield _step(partial(next_hospital.rows_of, material, family))


def _case_mix(material: Material) -> Iterator[Step]:
    for inside, outside in case_mix.pairs(material):
        yield _step(partial(case_mix.rows_of, material, inside, outside), outside)


def _once(make: Callable[[Material], Iterable[rows.Row]]) -> Callable[[Material], Iterator[Step]]:
    def steps(material: Material) -> Iterator[Step]:
        yield _step(partial(make, material))

    return steps


def _across(name: str) -> Callable[[cards.SuiteCard], bool]:
    return lambda suite: name in suite.analyses.across


ANALYSES: Mapping[str, Analysis] = MappingProxyType(
    {
        "pairs": Analysis(lambda suite: any(one.kind == "settings" for one in suite.tables), pairwise.COLUMNS, _pairs),
        "operating": Analysis(
            lambda suite: bool(suite.analyses.operating), operating_points.COLUMNS, _each_cell(_operating)
        ),
        "decision-curve": Analysis(
            lambda suite: bool(suite.analyses.decision_thresholds), decision_curves.COLUMNS, _each_cell(_decision_curve)
        ),
        "subgroups": Analysis(lambda suite: bool(suite.analyses.subgroups), subgroups.COLUMNS, _subgroups),
        "policies": Analysis(lambda suite: bool(suite.analyses.policies), label_policies.COLUMNS, _policies),
        "seeds": Analysis(_across("seeds"), seed_variance.COLUMNS, _seeds),
        "ranks": Analysis(_across("ranks"), rank_tests.RANK_COLUMNS, _once(rank_tests.rows_of)),
        "signed-rank": Analysis(_across("signed-rank"), rank_tests.SIGNED_COLUMNS, _once(rank_tests.signed_rows)),
        "variance": Analysis(_across("variance"), variance_components.COLUMNS, _once(variance_components.rows_of)),
        "matrix": Analysis(_across("matrix"), domain_matrix.COLUMNS, _once(domain_matrix.rows_of)),
        "hospitals": Analysis(_across("hospitals"), next_hospital.COLUMNS, _hospitals),
        "case-mix": Analysis(lambda suite: bool(suite.analyses.case_mix), case_mix.COLUMNS, _case_mix),
    }
)
"""Name of an analysis -> the analysis; in the order of the page."""
