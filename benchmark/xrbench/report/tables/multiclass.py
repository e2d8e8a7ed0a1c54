"""Multi-class suites: single fits and their ensemble under each training set, on training, held-out and external images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.cards import TableLayout
from xrbench.metrics import metric_title
from xrbench.rendering.numbers import MISSING, count, mean_sd, with_interval
from xrbench.rendering.table import Table
from xrbench.report.effects import groups, measured
from xrbench.report.effects.class_effects import classes_of, training_counts
from xrbench.report.run_folder import Run
from xrbench.report.tables.reported_beside import UNMATCHED, Brackets, printed
from xrbench.runs.run_cell import RunCell
from xrbench.statistics.predictions import ALL

TITLES = {
    "resubstitution": "on its own training images",
    "internal": "on held-out images of the training datasets",
    "external": "on another dataset",
}
RESUBSTITUTION_NOTE = (
    "Figures on training images (resubstitution) say how well the images were fitted, not how well others are classified. They stand "
    "apart and are never set against the others or ranked with them."
)
Test = tuple[str, str]
"""Protocol and name of a test set."""
Counts = npt.NDArray[np.int64]
ScoreRow = Callable[[RunCell, str, str], pd.Series | None]
"""Cell, label and metric -> row of the scores, or None."""


def multiclass_accuracy(run: Run, layout: TableLayout) -> Table | None:
    """Show training sets by single fits and ensemble, with a group of columns for each kind of test.

    The metric of the layout is one over all classes, such as ``accuracy``.
    """
    score_row = _score_rows(run)
    cells = [cell for cell in _cells(run) if score_row(cell, ALL, layout.metric) is not None]
    if not cells:
        return None
    tests = sorted(dict.fromkeys((cell.protocol, cell.test) for cell in cells), key=_place)
    brackets = Brackets.of(run)

    def text(output: str, of_output: Sequence[RunCell], test: Test) -> str:
        tested = [cell for cell in of_output if (cell.protocol, cell.test) == test]
        reported = printed(run, tested[0], ALL, layout.metric) if tested and _is_reported(output) else ""
        rows = [score_row(cell, ALL, layout.metric) for cell in tested]
        return brackets.behind(_figure(rows, layout.digits), reported)

    blocks = [
        [
            (f"{configuration}, {model}", output, *(text(output, of_output, test) for test in tests))
            for output, of_output in _outputs(members)
        ]
        for (model, configuration), members in groups(cells, "model", "training_set").items()
    ]
    return Table.of(
        layout.name,
        layout.caption or f"{metric_title(layout.metric)} of single fits and of their ensemble",
        ("training set", "output", *(f"{test[1]}, {_images(score_row, cells, test)}" for test in tests)),
        blocks,
        "ll" + "r" * len(tests),
        groups=(("", 2), *spans([TITLES[protocol] for protocol, _ in tests])),
        titled=True,
        notes=(*_notes(run, cells), *brackets.notes(unmatched=UNMATCHED)),
        stamp=run.stamp,
    )


def class_recall(run: Run, layout: TableLayout) -> Table | None:
    """Show the recall of each class on external images, with how many images of it the fits were trained on.

    Ensembles are shown where there are any, else every fit. The counts of classes need predictions and manifest.
    """
    score_row, labels = _score_rows(run), run.suite.labels
    columns = ((ALL, "accuracy"), *((label, "class-recall") for label in labels))
    cells = [
        cell
        for cell in ensembles_or_all(measured(run, protocol="external"))
        if any(score_row(cell, label, metric) is not None for label, metric in columns[1:])
    ]
    if not cells:
        return None
    brackets, blocks = Brackets.of(run), []
    for (configuration, test), members in groups(cells, "training_set", "test").items():
        title, rows = f"{configuration} on {test}", []
        for cell in members:
            texts = (
                brackets.behind(_figure([score_row(cell, *column)], layout.digits), printed(run, cell, *column))
                for column in columns
            )
            rows.append((title, _output(cell), *texts))
        classes = classes_of(run, members[0])
        rows += _count_rows(title, "trained on", training_counts(run, configuration))
        rows += _count_rows(title, "tested on", None if classes is None else classes.counts())
        blocks.append(rows)
    return Table.of(
        layout.name,
        layout.caption or "Share of the images of each class that are recognised on another dataset",
        ("training set", "output", "all (accuracy)", *labels),
        blocks,
        "ll" + "r" * (1 + len(labels)),
        titled=True,
        notes=(
            f"In parentheses: {100 * run.suite.interval.level:g} % intervals over patients; behind counts, their share.",
            *brackets.notes(unmatched=UNMATCHED),
        ),
        stamp=run.stamp,
    )


def all_metrics(run: Run, layout: TableLayout, *, protocols: Sequence[str] = tuple(TITLES)) -> Table | None:
    """Show all metrics over all classes, for single fits and ensembles under each training set.

    Options:
        protocols: Kinds of test that are shown, of ``resubstitution``, ``internal`` and ``external``.
    """
    score_row = _score_rows(run)
    cells = [cell for cell in _cells(run) if cell.protocol in protocols]
    metrics = [name for name in run.suite.metrics if any(score_row(cell, ALL, name) is not None for cell in cells)]
    if not metrics:
        return None
    blocks = []
    by_test = groups(cells, "protocol", "test")
    for protocol, test in sorted(by_test, key=_place):
        rows = []
        for (model, configuration), members in groups(by_test[protocol, test], "model", "training_set").items():
            for output, of_output in _outputs(members):
                texts = [
                    _figure([score_row(cell, ALL, metric) for cell in of_output], layout.digits) for metric in metrics
                ]
                rows.append((f"{TITLES[protocol]}: {test}", f"{configuration}, {model}", output, *texts))
        blocks.append(rows)
    return Table.of(
        layout.name,
        layout.caption or "All metrics over all classes",
        ("tested", "training set", "output", *map(metric_title, metrics)),
        blocks,
        "lll" + "r" * len(metrics),
        titled=True,
        notes=_notes(run, cells),
        stamp=run.stamp,
    )


def ensembles_or_all(cells: Sequence[RunCell]) -> list[RunCell]:
    """Keep the ensembles of these cells; all of them where there is none."""
    return [cell for cell in cells if cell.members > 1] or list(cells)


def spans(titles: Sequence[str]) -> list[tuple[str, int]]:
    """Join neighbouring columns with the same title.

    >>> spans(["a", "a", "b"])
    [('a', 2), ('b', 1)]
    """
    return [(title, len(list(same))) for title, same in itertools.groupby(titles)]


def _cells(run: Run) -> list[RunCell]:
    return measured(run, protocol=tuple(TITLES)) if run.suite.task == "multiclass" else []


def _score_rows(run: Run) -> ScoreRow:
    rows = {(row["cell"], row["label"], row["metric"]): row for _, row in run.scores.iterrows()}
    return lambda cell, label, metric: rows.get((cell.cell, label, metric))


def _place(test: Test) -> tuple[int, str]:
    return list(TITLES).index(test[0]), test[1]


def _outputs(cells: Sequence[RunCell]) -> list[tuple[str, list[RunCell]]]:
    """Name the rows of one training set: each fit, their mean, and the ensemble."""
    outputs: list[tuple[str, list[RunCell]]] = []
    for (method,), members in groups((cell for cell in cells if cell.members == 1), "method").items():
        seeds = groups(members, "seed")
        outputs += [(f"{method}, seed {seed}", of_seed) for (seed,), of_seed in seeds.items()]
        outputs += [(f"{method}, mean of {len(seeds)} fits", members)] if len(seeds) > 1 else []
    ensembles = groups((cell for cell in cells if cell.members > 1), "method").values()
    return outputs + [(_output(members[0]), members) for members in ensembles]


def _output(cell: RunCell) -> str:
    return f"{cell.method}, ensemble of {cell.members}" if cell.members > 1 else f"{cell.method}, seed {cell.seed}"


def _is_reported(output: str) -> bool:
    """Tell the rows that a paper prints (the mean of single fits, the ensemble) from those of one seed."""
    return "seed" not in output


def _figure(rows: Iterable[pd.Series | None], digits: int) -> str:
    measured_rows = [row for row in rows if row is not None]
    if not measured_rows:
        return MISSING
    if len(measured_rows) > 1:
        return mean_sd([float(row["value"]) for row in measured_rows if not math.isnan(row["value"])], digits)
    row = measured_rows[0]
    return with_interval(row["value"], row["low"], row["high"], digits)


def _images(score_row: ScoreRow, cells: Sequence[RunCell], test: Test) -> str:
    """Write how many images a test set has; the least and the most where cells differ."""
    rows = [score_row(cell, ALL, "accuracy") for cell in cells if (cell.protocol, cell.test) == test]
    sizes = sorted({int(row["n_images"]) for row in rows if row is not None and not math.isnan(row["n_images"])})
    return " to ".join(count(size) for size in dict.fromkeys((sizes[0], sizes[-1]))) + " images" if sizes else "images"


def _count_rows(title: str, name: str, counts: Counts | None) -> list[tuple[str, ...]]:
    """Write how many images each class has, with its share; nothing where that is not known."""
    if counts is None:
        return []
    total = counts.sum()
    shares = (f"{count(each)} ({100 * each / total:.1f}%)" if total else MISSING for each in counts)
    return [(title, f"images {name}", count(total), *shares)]


def _notes(run: Run, cells: Sequence[RunCell]) -> list[str]:
    notes = [
        f"In parentheses: {100 * run.suite.interval.level:g} % intervals over patients (images, where no ids are known)."
    ]
    if any(cell.members > 1 for cell in cells):
        notes.append(
            "An ensemble's probabilities are the mean of its fits'; the class with the highest one is predicted, the first of equals."
        )
    return [*notes, *([RESUBSTITUTION_NOTE] if any(cell.protocol == "resubstitution" for cell in cells) else [])]
