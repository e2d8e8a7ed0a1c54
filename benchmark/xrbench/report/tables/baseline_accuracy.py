"""Exclusive classes: what guessing would get, and which classes are taken for which."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xrbench.cards import TableLayout
from xrbench.metrics.multiclass import multiclass_confusion
from xrbench.metrics.naive import naive_accuracy
from xrbench.rendering.numbers import MISSING, count, number
from xrbench.rendering.table import Cell, Row, Table
from xrbench.report.effects import groups, measured
from xrbench.report.effects.cells import known, names_of
from xrbench.report.effects.class_effects import Classes, classes_of, training_counts
from xrbench.report.run_folder import Run
from xrbench.report.tables import reported_beside
from xrbench.report.tables.multiclass import TITLES, ensembles_or_all
from xrbench.runs.run_cell import RunCell

Counts = npt.NDArray[np.int64]
GUESSES = ("uniform", "as the test set", "as the training set", "always the commonest")


def naive(run: Run, layout: TableLayout) -> Table | None:
    """Make the table of the accuracy of guessing on each test set, beside what was measured there.

    Args:
        run: The run, with predictions.
        layout: Name, caption and decimals.
    """
    if run.suite.task != "multiclass":
        return None
    rows: list[Row] = []
    shares: dict[str, Counts | None] = {}
    matched = False
    for mine in groups(measured(run, protocol=tuple(TITLES)), "training_set", "protocol", "test").values():
        one = ensembles_or_all(mine)[0]
        found, train = classes_of(run, one), training_counts(run, one.training_set)
        if found is None:
            continue
        guessed = naive_accuracy(found.counts() if train is None else train, found.counts())
        said = _said(run, one)
        matched = matched or any(said)
        texts = [number(value, layout.digits) for value in guessed]
        texts = [text if train is not None or at < 2 else MISSING for at, text in enumerate(texts)]
        head = (one.training_set, f"{one.test}, {TITLES[one.protocol]}", count(len(found.right)))
        ours = f"{number(float(found.right.mean()), layout.digits)} ({one.method})"
        figures = (text + reported_beside.bracket(paper) for text, paper in zip(texts, said, strict=True))
        rows.append(tuple(Cell(text) for text in (*head, *figures, ours)))
        shares |= {f"{one.training_set}, learned from": train, f"{one.test}, {TITLES[one.protocol]}": found.counts()}
    if not rows:
        return None
    return Table(
        name=layout.name,
        caption=layout.caption or "Accuracy of guessing without looking at the image, and what was measured",
        header=(("training set", "tested on", "images", *GUESSES, "measured"),),
        blocks=(tuple(rows),),
        align="ll" + "r" * 6,
        notes=(
            "With K classes, shares p of the training set and q of the test set: uniform 1/K; as the test set: sum of q²; as the training "
            "set: sum of p q; always the commonest class of the training set: its q.",
            *(f"{name}: {_counted(run, counts)}." for name, counts in shares.items() if counts is not None),
            *reported_beside.notes(run, matched=matched),
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
    """Make the table of true classes by predicted classes, in images.

    Args:
        run: The run, with predictions.
        layout: Name, caption and decimals of the recall.
        configuration: Training set; the first by default.
        protocol: Kind of test: ``external``, ``internal`` or ``resubstitution``.
        method: Method; an ensemble by default where there is one.
        model: Model; the first by default.
        test: Test set; the first by default.
    """
    cells = measured(run, protocol=known(run, "protocol", protocol, TITLES, where=f"table {layout.name}"))
    for field, wanted in {"configuration": configuration, "method": method, "model": model, "test": test}.items():
        if wanted:
            known(run, field, wanted, names_of(run, field), where=f"table {layout.name}")
            attribute = "training_set" if field == "configuration" else field
            cells = [one for one in cells if getattr(one, attribute) == wanted]
    found = classes_of(run, ensembles_or_all(cells)[0]) if cells and run.suite.task == "multiclass" else None
    if found is None:
        return None
    return _counts_table(run, layout, ensembles_or_all(cells)[0], found)


def _counts_table(run: Run, layout: TableLayout, one: RunCell, found: Classes) -> Table:
    labels = run.suite.labels
    counts = multiclass_confusion(found.found.truth, found.score)
    rows: list[Row] = []
    for name, line in zip(labels, counts, strict=True):
        recall = line[len(rows)] / line.sum() if line.sum() else float("nan")
        texts = (name, *(count(each) for each in line), count(line.sum()), number(recall, layout.digits))
        rows.append(tuple(Cell(text) for text in texts))
    called = (
        "all",
        *(count(each) for each in counts.sum(axis=0)),
        count(counts.sum()),
        number(float(found.right.mean()), layout.digits),
    )
    what = f"{one.training_set}, {one.method}, {one.model}: {one.test}, {TITLES[one.protocol]}"
    return Table(
        name=layout.name,
        caption=f"{layout.caption or 'True classes (rows) by predicted classes (columns), in images'} ({what})",
        header=(("true class", *labels, "images", "recall"),),
        blocks=(tuple(rows), (tuple(Cell(text) for text in called),)),
        align="l" + "r" * (len(labels) + 2),
        notes=("The last line counts how often each class is predicted, with the accuracy over all.",),
        stamp=run.stamp,
    )


def _said(run: Run, one: RunCell) -> list[str]:
    paper = reported_beside.shown(run)
    split = {"resubstitution": "train", "external": "test"}.get(one.protocol, "")
    if paper is None or not split:
        return [""] * len(GUESSES)
    words = ("uniform guessing", "proportional guessing")
    return [*(paper.stated(about=one.test, split=split, quantity=f"accuracy of {word}") for word in words), "", ""]


def _counted(run: Run, counts: Counts) -> str:
    return ", ".join(f"{label} {count(each)}" for label, each in zip(run.suite.labels, counts, strict=True))
