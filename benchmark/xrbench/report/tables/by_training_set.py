"""Named training sets, each tested internally and externally: the figures, and the gaps between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from xrbench import statistics
from xrbench.cards import TableLayout
from xrbench.metrics import metric_title
from xrbench.metrics.names import gap_note, parse_as, standard_note
from xrbench.rendering.numbers import (
    MISSING,
    UNDEFINED,
    mean_sd,
    number,
    p_text,
    signed,
    signed_interval,
    with_interval,
)
from xrbench.rendering.table import Table
from xrbench.report.effects import Contrast, groups, measured, unpaired
from xrbench.report.reported_values import figure_of
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import MEAN
from xrbench.report.tables.by_setting import SEEN, seen_note
from xrbench.report.tables.reported_beside import UNMATCHED, Brackets, printed
from xrbench.runs.run_cell import RunCell
from xrbench.statistics.predictions import ALL

PROTOCOLS = {"internal": "internal", "resubstitution": "training images", "external": "external"}
"""Protocol -> what it is called, in the order of the rows of a training set."""
Key = tuple[str, str]
Gap = tuple[RunCell, str, Contrast]
"""First internal cell of a training set, external test set, and the difference of one label."""


def configurations(run: Run, layout: TableLayout) -> Table | None:
    """Show models by training sets, with a row for each test set and a column for each label.

    With several seeds a figure is the mean with its standard deviation over them, else it has its interval. The paper's figure follows
    in brackets.
    """
    rows_of = _score_rows(run, layout.metric)
    labels = _labels(run, rows_of)
    cells = [cell for cell in measured(run, protocol=tuple(PROTOCOLS)) if labels and (cell.cell, labels[0]) in rows_of]
    if not cells:
        return None
    brackets = Brackets.of(run)

    def texts(tested: Sequence[RunCell]) -> list[str]:
        figures = []
        for label in labels:
            rows = [rows_of[cell.cell, label] for cell in tested if (cell.cell, label) in rows_of]
            reported = printed(run, tested[0], label, layout.metric)
            figures.append(brackets.behind(_figure(rows, layout.digits), reported))
        return figures

    blocks = []
    for of_model in groups(cells, "method", "model").values():
        rows = []
        for (configuration, protocol, test), tested in _in_order(of_model):
            head = (title(of_model[0], cells), configuration, tested[0].train, f"{PROTOCOLS[protocol]}: {test}")
            rows.append((*head, *texts(tested)))
        blocks.append(rows)
    return Table.of(
        layout.name,
        layout.caption or f"{metric_title(layout.metric)} of each training set, internal and external",
        ("model", "training set", "trained on", "tested on", *labels),
        blocks,
        "llll" + "r" * len(labels),
        titled=True,
        notes=(*_notes(run, cells), *brackets.notes(unmatched=UNMATCHED)),
        stamp=run.stamp,
    )


def gaps(run: Run, layout: TableLayout) -> Table | None:
    """Show generalization gaps, internal minus external, for each model, training set and label; needs predictions."""
    differences = _gaps(run, layout.metric)
    if not differences:
        return None
    internal, brackets = measured(run, protocol="internal"), Brackets.of(run)
    adjusted = statistics.adjust([effect.p for _, _, effect in differences], run.suite.adjustment)
    metric = parse_as(run.suite.task, layout.metric)
    blocks: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for (cell, test, effect), p in zip(differences, adjusted, strict=True):
        # Papers print gaps as they were measured.
        reported = _printed_gap(run, cell, test, effect.name, layout.metric)
        raw = brackets.behind(signed(effect.raw, layout.digits), reported)
        gap = signed(effect.difference, layout.digits) if metric.moves_with_prevalence else raw
        row = (
            *(title(cell, internal), cell.training_set, test, effect.name),
            *(number(effect.first, layout.digits), number(effect.second, layout.digits), gap),
            effect.reason or signed_interval(effect.low, effect.high, layout.digits),
            *(p_text(float(p)), number(effect.detectable, layout.digits)),
            *((effect.at, raw) if metric.moves_with_prevalence else ()),
        )
        blocks.setdefault(cell.line, []).append(row)
    heads = ("model", "training set", "external", "label", "internal", "external value", "gap", "interval")
    return Table.of(
        layout.name,
        layout.caption or f"Generalization gap of the {metric_title(layout.metric)}: internal minus external",
        (
            *(*heads, f"p ({run.suite.adjustment.title()})", "smallest detectable"),
            *(("at", "raw gap") if metric.moves_with_prevalence else ()),
        ),
        blocks.values(),
        "llllrrrrrr" + "lr" * metric.moves_with_prevalence,
        titled=True,
        notes=(
            *standard_note(metric),
            *gap_note(metric),
            *_gap_notes(run, differences),
            *brackets.notes(unmatched=UNMATCHED),
        ),
        stamp=run.stamp,
    )


def title(cell: RunCell, among: Sequence[RunCell]) -> str:
    """Name the model of a cell, and its method where there are several."""
    return f"{cell.model} ({cell.method})" if len({other.method for other in among}) > 1 else cell.model


def _in_order(cells: Sequence[RunCell]) -> list[tuple[tuple[str, str, str], list[RunCell]]]:
    """Group cells by training set, protocol and test, in the order of the papers: by training set, internal first."""
    names, protocols = [cell.training_set for cell in cells], list(PROTOCOLS)
    tested = [
        ((str(a), str(b), str(c)), of) for (a, b, c), of in groups(cells, "training_set", "protocol", "test").items()
    ]
    return sorted(tested, key=lambda item: (names.index(item[0][0]), protocols.index(item[0][1]), item[0][2]))


def _score_rows(run: Run, metric: str) -> dict[Key, pd.Series]:
    """Index the scores of a metric by cell and label."""
    rows = run.scores[run.scores["metric"] == metric]
    return {(str(row["cell"]), str(row["label"])): row for _, row in rows.iterrows()}


def _labels(run: Run, rows: Mapping[Key, pd.Series]) -> tuple[str, ...]:
    measured_labels = {label for _, label in rows}
    return tuple(label for label in (*run.suite.labels, MEAN, ALL) if label in measured_labels)


def _figure(rows: Sequence[pd.Series], digits: int) -> str:
    if not rows:
        return MISSING
    seen = SEEN if any(row["seen"] for row in rows) else ""
    if len(rows) == 1:
        return with_interval(rows[0]["value"], rows[0]["low"], rows[0]["high"], digits) + seen
    defined = [float(row["value"]) for row in rows if not math.isnan(row["value"])]
    return (mean_sd(defined, digits) if defined else UNDEFINED) + seen


def _notes(run: Run, cells: Sequence[RunCell]) -> list[str]:
    tested = groups(cells, "method", "model", "training_set", "protocol", "test").values()
    sizes = {len(members) for members in tested}
    notes = ["Internal: patients of the training datasets whom no fit has seen; external: a dataset that took no part."]
    if max(sizes) > 1:
        notes.append(f"With ±: mean and sample standard deviation over {max(sizes)} fits.")
    if min(sizes) == 1:
        notes.append(f"In parentheses: {100 * run.suite.interval.level:g} % intervals over patients.")
    if any(cell.protocol == "resubstitution" for cell in cells):
        notes.append("Training images: measured on what the fit was trained on; it says nothing about other patients.")
    return [*notes, *seen_note(any(cell.seen for cell in cells))]


def _gaps(run: Run, metric: str) -> list[Gap]:
    differences: list[Gap] = []
    for cells in groups(measured(run, protocol="internal"), "method", "model", "training_set").values():
        unseen = [cell for cell in _external(run, cells[0]) if not cell.seen]
        for (test,), facing in groups(unseen, "test").items():
            differences += [(cells[0], test, effect) for effect in unpaired(run, cells, facing, metric=metric)]
    return differences


def _external(run: Run, cell: RunCell) -> list[RunCell]:
    same = {"method": cell.method, "model": cell.model, "training_set": cell.training_set}
    return measured(run, protocol="external", **same)


def _printed_gap(run: Run, cell: RunCell, test: str, label: str, metric: str) -> str:
    """Subtract the paper's printed external figure from its internal one."""
    external = next(other for other in _external(run, cell) if other.test == test)
    internal_text, external_text = (printed(run, each, label, metric) for each in (cell, external))
    if not internal_text or not external_text:
        return ""
    decimals = max(len(text.rstrip("%").partition(".")[2]) for text in (internal_text, external_text))
    return signed(figure_of(internal_text) - figure_of(external_text), decimals)


def _gap_notes(run: Run, differences: Sequence[Gap]) -> list[str]:
    level = 100 * run.suite.interval.level
    notes = [
        f"{level:g} % intervals over patients (images, where no ids are known). p of no gap, adjusted over the {len(differences)} gaps "
        "of this table. Smallest detectable: the smallest true gap that such data would show with 80 % power."
    ]
    cautions: dict[str, list[str]] = {}
    for cell, _, effect in differences:
        if effect.caution:
            cautions.setdefault(effect.caution, []).append(f"{cell.model} {cell.training_set} {effect.name}")
    notes += [f"Caution, {', '.join(names)}: {text}." for text, names in cautions.items()]
    trained_on_all = {cell.training_set for cell in measured(run, protocol="resubstitution")}
    if trained_on_all:
        notes.append(
            f"Without a gap: {', '.join(sorted(trained_on_all))}, whose fits were trained on every image; figures on training images are "
            "not compared with figures on others."
        )
    return notes
