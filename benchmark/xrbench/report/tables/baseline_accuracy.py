"""Multi-class suites: the accuracy of guessing, and confusion matrices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xrbench.cards import TableLayout
from xrbench.metrics.multiclass import multiclass_confusion
from xrbench.metrics.naive import naive_accuracy
from xrbench.rendering.numbers import MISSING, count, number
from xrbench.rendering.table import Table
from xrbench.report.effects import groups, measured
from xrbench.report.effects.cells import known, names_of
from xrbench.report.effects.class_effects import Classes, classes_of, training_counts
from xrbench.report.reported_values import Reported
from xrbench.report.run_folder import Run
from xrbench.report.tables.multiclass import TITLES, ensembles_or_all
from xrbench.report.tables.reported_beside import UNMATCHED, Brackets
from xrbench.runs.run_cell import RunCell

Counts = npt.NDArray[np.int64]
GUESSES = ("uniform", "as the test set", "as the training set", "always the commonest")
"""Ways of guessing, in the order of ``metrics.naive.naive_accuracy``; the last two need the counts of the training set."""


def baseline_accuracy(run: Run, layout: TableLayout) -> Table | None:
    """Show the accuracy of guessing on each test set, beside what was measured there; needs predictions."""
    if run.suite.task != "multiclass":
        return None
    rows = []
    counts: dict[str, Counts | None] = {}
    brackets = Brackets.of(run)
    for tested in groups(measured(run, protocol=tuple(TITLES)), "training_set", "protocol", "test").values():
        cell = ensembles_or_all(tested)[0]
        classes, train = classes_of(run, cell), training_counts(run, cell.training_set)
        if classes is None:
            continue
        where, q = f"{cell.test}, {TITLES[cell.protocol]}", classes.counts()
        texts = [number(value, layout.digits) for value in naive_accuracy(q if train is None else train, q)]
        if train is None:
            texts[2:] = [MISSING] * len(texts[2:])
        guesses = map(brackets.behind, texts, _reported(brackets.shown, cell))
        accuracy = f"{number(float(classes.correct.mean()), layout.digits)} ({cell.method})"
        rows.append((cell.training_set, where, count(len(classes.correct)), *guesses, accuracy))
        counts |= {f"{cell.training_set}, trained on": train, where: q}
    if not rows:
        return None
    return Table.of(
        layout.name,
        layout.caption or "Accuracy of guessing without looking at the image, and what was measured",
        ("training set", "tested on", "images", *GUESSES, "measured"),
        [rows],
        "ll" + "r" * 6,
        notes=(
            "With K classes, shares p of the training set and q of the test set: uniform 1/K; as the test set: sum of q²; as the training "
            "set: sum of p q; always the commonest class of the training set: its q.",
            *(f"{name}: {_counted(run, each)}." for name, each in counts.items() if each is not None),
            *brackets.notes(unmatched=UNMATCHED),
        ),
        stamp=run.stamp,
    )


def confusion(
    run: Run,
    layout: TableLayout,
    *,
    configuration: str = "",
    protocol: str = "external",
    method: str = "",
    model: str = "",
    test: str = "",
) -> Table | None:
    """Show true classes by predicted classes, in images; needs predictions.

    Options:
        configuration: Training set; the first by default.
        protocol: Kind of test: ``external``, ``internal`` or ``resubstitution``.
        method: Method; an ensemble by default where there is one.
        model: Model; the first by default.
        test: Test set; the first by default.
    """
    where = f"table {layout.name}"
    cells = measured(run, protocol=known(run, "protocol", protocol, TITLES, where=where))
    for field, value in {"configuration": configuration, "method": method, "model": model, "test": test}.items():
        if value:
            known(run, field, value, names_of(run, field), where=where)
            attribute = "training_set" if field == "configuration" else field
            cells = [cell for cell in cells if getattr(cell, attribute) == value]
    if not cells or run.suite.task != "multiclass":
        return None
    cell = ensembles_or_all(cells)[0]
    classes = classes_of(run, cell)
    return None if classes is None else _confusion_table(run, layout, cell, classes)


def _confusion_table(run: Run, layout: TableLayout, cell: RunCell, classes: Classes) -> Table:
    labels = run.suite.labels
    counts = multiclass_confusion(classes.classified.truth, classes.score)
    rows = []
    for at, (name, row) in enumerate(zip(labels, counts, strict=True)):
        recall = row[at] / row.sum() if row.sum() else float("nan")
        rows.append((name, *map(count, row), count(row.sum()), number(recall, layout.digits)))
    accuracy = number(float(classes.correct.mean()), layout.digits)
    total = ("all", *map(count, counts.sum(axis=0)), count(counts.sum()), accuracy)
    about = f"{cell.training_set}, {cell.method}, {cell.model}: {cell.test}, {TITLES[cell.protocol]}"
    return Table.of(
        layout.name,
        f"{layout.caption or 'True classes (rows) by predicted classes (columns), in images'} ({about})",
        ("true class", *labels, "images", "recall"),
        [rows, [total]],
        "l" + "r" * (len(labels) + 2),
        notes=("The last line counts how often each class is predicted, with the accuracy over all.",),
        stamp=run.stamp,
    )


def _reported(paper: Reported | None, cell: RunCell) -> list[str]:
    """Return what the paper prints of each way of guessing; empty texts where it prints nothing."""
    split = {"resubstitution": "train", "external": "test"}.get(cell.protocol, "")
    if paper is None or not split:
        return [""] * len(GUESSES)
    names = ("uniform guessing", "proportional guessing")
    return [*(paper.stated(about=cell.test, split=split, quantity=f"accuracy of {name}") for name in names), "", ""]


def _counted(run: Run, counts: Counts) -> str:
    return ", ".join(f"{label} {count(each)}" for label, each in zip(run.suite.labels, counts, strict=True))
