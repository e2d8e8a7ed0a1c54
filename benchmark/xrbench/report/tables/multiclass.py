"""Exclusive classes: single fits and their ensemble under each training set, on training images, held-out ones and elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import TableLayout
from xrbench.rendering.numbers import MISSING, count, interval, mean_sd, metric_title, number
from xrbench.rendering.table import Cell, Row, Table
from xrbench.report.effects import groups, measured
from xrbench.report.effects.class_effects import classes_of, training_counts
from xrbench.report.run_folder import Run
from xrbench.report.tables import reported_beside
from xrbench.runs.run_cell import RunCell
from xrbench.statistics.intervals.estimate_multiclass import ALL

TITLES = {
    "resubstitution": "on its own training images",
    "internal": "on held-out images of the training datasets",
    "external": "on another dataset",
}
APART = (
    "Figures on training images (resubstitution) say how well the images were learned, not how well others are classified. They stand "
    "apart and are never set against the others or ranked with them."
)
Find = Callable[[RunCell, str, str], pd.Series | None]


def regimes(run: Run, layout: TableLayout) -> Table | None:
    """Make the table of training sets by single fits and ensemble, with a group of columns for each kind of test.

    Args:
        run: The run.
        layout: Its metric is shown: one over all classes, such as ``accuracy``.
    """
    find = _finder(run)
    cells = [one for one in _tested(run) if find(one, ALL, layout.metric) is not None]
    if not cells:
        return None
    tests = _columns(cells)
    blocks, matched = [], False
    for (model, configuration), mine in groups(cells, "model", "training_set").items():
        rows: list[Row] = []
        for name, line in _outputs(mine):
            texts = []
            for test in tests:
                here = [one for one in line if (one.protocol, one.test) == test]
                said = reported_beside.printed(run, here[0], ALL, layout.metric) if here and _is_whole(name) else ""
                matched = matched or bool(said)
                texts.append(
                    _text([find(one, ALL, layout.metric) for one in here], layout.digits)
                    + reported_beside.bracket(said)
                )
            rows.append(tuple(Cell(text) for text in (f"{configuration}, {model}", name, *texts)))
        blocks.append(tuple(rows))
    kinds = groups_of_columns([TITLES[protocol] for protocol, _ in tests])
    return Table(
        name=layout.name,
        caption=layout.caption or f"{metric_title(layout.metric)} of single fits and of their ensemble",
        header=(("training set", "output", *(f"{test[1]}, {_images(find, cells, test)}" for test in tests)),),
        groups=(("", 2), *kinds),
        blocks=tuple(blocks),
        align="ll" + "r" * len(tests),
        titled=True,
        notes=(*_notes(run, cells), *reported_beside.notes(run, matched=matched)),
        stamp=run.stamp,
    )


def class_recall(run: Run, layout: TableLayout) -> Table | None:
    """Make the table of the recall of each class on external images, with how often each class was learned.

    Ensembles are shown where there are any, else every fit.

    Args:
        run: The run; the counts of classes need its predictions and its manifest.
        layout: Name, caption and decimals.
    """
    find, labels = _finder(run), run.suite.labels
    cells = ensembles_or_all(measured(run, protocol="external"))
    cells = [one for one in cells if any(find(one, label, "class-recall") is not None for label in labels)]
    if not cells:
        return None
    blocks, matched = [], False
    for (configuration, test), mine in groups(cells, "training_set", "test").items():
        rows: list[Row] = []
        for one in mine:
            said = [reported_beside.printed(run, one, ALL, "accuracy")]
            said += [reported_beside.printed(run, one, label, "class-recall") for label in labels]
            found = [find(one, ALL, "accuracy"), *(find(one, label, "class-recall") for label in labels)]
            texts = [
                _text([row], layout.digits) + reported_beside.bracket(paper)
                for row, paper in zip(found, said, strict=True)
            ]
            matched = matched or any(said)
            rows.append(tuple(Cell(text) for text in (f"{configuration} on {test}", _output(one), *texts)))
        for name, counts in (
            ("learned from", training_counts(run, configuration)),
            ("tested on", _counts(run, mine[0])),
        ):
            if counts is not None:
                texts = [count(counts.sum()), *(_share(each, counts.sum()) for each in counts)]
                rows.append(tuple(Cell(text) for text in (f"{configuration} on {test}", f"images {name}", *texts)))
        blocks.append(tuple(rows))
    return Table(
        name=layout.name,
        caption=layout.caption or "Share of the images of each class that are recognised on another dataset",
        header=(("training set", "output", "all (accuracy)", *labels),),
        blocks=tuple(blocks),
        align="ll" + "r" * (1 + len(labels)),
        titled=True,
        notes=(
            f"In parentheses: {100 * run.suite.interval.level:g} % intervals over patients; behind counts, their share.",
            *reported_beside.notes(run, matched=matched),
        ),
        stamp=run.stamp,
    )


def all_metrics(run: Run, layout: TableLayout, *, protocols: Sequence[str] = tuple(TITLES)) -> Table | None:
    """Make the table of all metrics over all classes, for single fits and ensembles under each training set.

    Args:
        run: The run.
        layout: Name, caption and decimals.
        protocols: Kinds of test that are shown, of ``resubstitution``, ``internal`` and ``external``.
    """
    find = _finder(run)
    cells = [one for one in _tested(run) if one.protocol in protocols]
    metrics = [name for name in run.suite.metrics if any(find(one, ALL, name) is not None for one in cells)]
    if not metrics:
        return None
    blocks = []
    for (protocol, test), here in sorted(groups(cells, "protocol", "test").items(), key=lambda item: _rank(*item[0])):
        rows: list[Row] = []
        for (model, configuration), mine in groups(here, "model", "training_set").items():
            for name, line in _outputs(mine):
                texts = [_text([find(one, ALL, metric) for one in line], layout.digits) for metric in metrics]
                head = (f"{TITLES[protocol]}: {test}", f"{configuration}, {model}", name)
                rows.append(tuple(Cell(text) for text in (*head, *texts)))
        blocks.append(tuple(rows))
    return Table(
        name=layout.name,
        caption=layout.caption or "All metrics over all classes",
        header=(("tested", "training set", "output", *map(metric_title, metrics)),),
        blocks=tuple(blocks),
        align="lll" + "r" * len(metrics),
        titled=True,
        notes=tuple(_notes(run, cells)),
        stamp=run.stamp,
    )


def ensembles_or_all(cells: Sequence[RunCell]) -> list[RunCell]:
    """Keep the ensembles of these cells; all of them where there is none."""
    return [one for one in cells if one.members > 1] or list(cells)


def groups_of_columns(titles: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Join neighbouring columns with the same title.

    >>> groups_of_columns(["a", "a", "b"])
    (('a', 2), ('b', 1))
    """
    found: list[tuple[str, int]] = []
    for title in titles:
        if found and found[-1][0] == title:
            found[-1] = (title, found[-1][1] + 1)
        else:
            found.append((title, 1))
    return tuple(found)


def _tested(run: Run) -> list[RunCell]:
    return measured(run, protocol=tuple(TITLES)) if run.suite.task == "multiclass" else []


def _finder(run: Run) -> Find:
    rows = {(row["cell"], row["label"], row["metric"]): row for _, row in run.scores.iterrows()}
    return lambda one, label, metric: rows.get((one.cell, label, metric))


def _rank(protocol: str, test: str) -> tuple[int, str]:
    return list(TITLES).index(protocol), test


def _columns(cells: Iterable[RunCell]) -> list[tuple[str, str]]:
    return sorted(dict.fromkeys((one.protocol, one.test) for one in cells), key=lambda at: _rank(*at))


def _outputs(cells: Sequence[RunCell]) -> list[tuple[str, list[RunCell]]]:
    """Name the rows of one training set: each fit, their mean, and the ensemble."""
    single, found = [one for one in cells if one.members == 1], []
    for (method,), mine in groups(single, "method").items():
        seeds = groups(mine, "seed")
        found += [(f"{method}, seed {seed}", of) for (seed,), of in seeds.items()]
        found += [(f"{method}, mean of {len(seeds)} fits", mine)] if len(seeds) > 1 else []
    return found + [
        (_output(mine[0]), mine) for mine in groups([one for one in cells if one.members > 1], "method").values()
    ]


def _output(one: RunCell) -> str:
    return f"{one.method}, ensemble of {one.members}" if one.members > 1 else f"{one.method}, seed {one.seed}"


def _is_whole(name: str) -> bool:
    """Tell the rows that a paper prints (the mean of single fits, the ensemble) from those of one seed."""
    return "seed" not in name


def _text(rows: Sequence[pd.Series | None], digits: int) -> str:
    there = [row for row in rows if row is not None]
    if not there:
        return MISSING
    if len(there) > 1:
        return mean_sd([float(row["value"]) for row in there if not math.isnan(row["value"])], digits)
    row = there[0]
    return f"{number(row['value'], digits)} {interval(row['low'], row['high'], digits)}".strip()


def _images(find: Find, cells: Sequence[RunCell], at: tuple[str, str]) -> str:
    rows = [find(one, ALL, "accuracy") for one in cells if (one.protocol, one.test) == at]
    sizes = sorted({int(row["n_images"]) for row in rows if row is not None and not math.isnan(row["n_images"])})
    return " to ".join(count(size) for size in dict.fromkeys((sizes[0], sizes[-1]))) + " images" if sizes else "images"


def _counts(run: Run, one: RunCell) -> npt.NDArray[np.int64] | None:
    found = classes_of(run, one)
    return None if found is None else found.counts()


def _share(part: float, whole: float) -> str:
    return f"{count(part)} ({100 * part / whole:.1f}%)" if whole else MISSING


def _notes(run: Run, cells: Sequence[RunCell]) -> list[str]:
    notes = [
        f"In parentheses: {100 * run.suite.interval.level:g} % intervals over patients (images, where no ids are known)."
    ]
    if any(one.members > 1 for one in cells):
        notes.append(
            "An ensemble's probabilities are the mean of its fits'; the class with the highest one is predicted, the first of equals."
        )
    return [*notes, *([APART] if any(one.protocol == "resubstitution" for one in cells) else [])]
