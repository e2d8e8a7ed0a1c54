"""Named training sets, each tested inside and outside: the figures, and the gaps between them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from xrbench import statistics
from xrbench.cards import TableLayout
from xrbench.metrics.names import gap_note, parse_as
from xrbench.rendering.differences import between, p_text
from xrbench.rendering.numbers import MISSING, UNDEFINED, interval, mean_sd, metric_title, number, signed
from xrbench.rendering.table import Cell, Row, Table
from xrbench.report.effects import Contrast, groups, measured, unpaired
from xrbench.report.reported_values import figure_of
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import MEAN
from xrbench.report.tables import reported_beside
from xrbench.report.tables.by_setting import SEEN, seen_note
from xrbench.runs.run_cell import RunCell
from xrbench.statistics.intervals.estimate_multiclass import ALL

WORDS = {"internal": "internal", "external": "external", "resubstitution": "training images"}
Key = tuple[str, str]


def configurations(run: Run, layout: TableLayout) -> Table | None:
    """Make the table of architectures by training sets, with a row for each test set and a column for each label.

    Args:
        run: The run.
        layout: Its metric is shown. With several seeds a cell is the mean with its deviation over them, else the figure with
            its interval; the paper's figure stands behind in brackets.
    """
    rows_of = _figures(run, layout.metric)
    labels = _columns(run, rows_of)
    found = [one for one in measured(run, protocol=tuple(WORDS)) if (one.cell, labels[0]) in rows_of] if labels else []
    if not found:
        return None
    blocks, matched = [], False
    for mine in groups(found, "method", "model").values():
        rows = []
        for (configuration, protocol, test), cells in sorted(
            groups(mine, "training_set", "protocol", "test").items(), key=lambda item: _order(mine, *item[0])
        ):
            said = [reported_beside.printed(run, cells[0], label, layout.metric) for label in labels]
            matched = matched or any(said)
            texts = [
                _text([rows_of[one.cell, label] for one in cells if (one.cell, label) in rows_of], layout.digits)
                for label in labels
            ]
            head = (title(mine[0], found), configuration, cells[0].train, f"{WORDS[protocol]}: {test}")
            figures = (text + reported_beside.bracket(paper) for text, paper in zip(texts, said, strict=True))
            rows.append(tuple(Cell(text) for text in (*head, *figures)))
        blocks.append(tuple(rows))
    return Table(
        name=layout.name,
        caption=layout.caption or f"{metric_title(layout.metric)} of each training set, inside and outside",
        header=(("model", "training set", "trained on", "tested on", *labels),),
        blocks=tuple(blocks),
        align="llll" + "r" * len(labels),
        titled=True,
        notes=(*_notes(run, found), *reported_beside.notes(run, matched=matched)),
        stamp=run.stamp,
    )


def gaps(run: Run, layout: TableLayout) -> Table | None:
    """Make the table of generalization gaps: internal minus external, for each model, training set and label.

    Args:
        run: The run; it must have predictions.
        layout: Its metric is shown.
    """
    inside = measured(run, protocol="internal")
    parts: list[tuple[RunCell, str, Contrast]] = []
    for cells in groups(inside, "method", "model", "training_set").values():
        one = cells[0]
        outside = measured(run, protocol="external", method=one.method, model=one.model, training_set=one.training_set)
        for (test,), there in groups([cell for cell in outside if not cell.seen], "test").items():
            parts += [(one, test, found) for found in unpaired(run, cells, there, metric=layout.metric)]
    if not parts:
        return None
    adjusted = statistics.adjust([found.p for _, _, found in parts], run.suite.adjustment)
    rows: dict[tuple[str, str], list[Row]] = {}
    matched = False
    for (one, test, found), p in zip(parts, adjusted, strict=True):
        said = _printed_gap(run, one, test, found.name, layout)
        matched = matched or bool(said)
        rows.setdefault(one.line, []).append(
            _gap_row(title(one, inside), one, test, found, float(p), said, layout.digits)
        )
    return Table(
        name=layout.name,
        caption=layout.caption or f"Generalization gap of the {metric_title(layout.metric)}: internal minus external",
        header=(
            (
                *("model", "training set", "external", "label", "internal", "outside", "gap", "interval"),
                *(f"p ({run.suite.adjustment.title()})", "smallest detectable"),
            ),
        ),
        blocks=tuple(tuple(block) for block in rows.values()),
        align="llllrrrrrr",
        titled=True,
        notes=(*gap_note(parse_as(run.suite.task, layout.metric)), *_gap_notes(run, parts, matched=matched)),
        stamp=run.stamp,
    )


def title(one: RunCell, among: Sequence[RunCell]) -> str:
    """Name a line: the model, and the method where there are several."""
    return f"{one.model} ({one.method})" if len({other.method for other in among}) > 1 else one.model


def _order(cells: Sequence[RunCell], configuration: str, protocol: str, test: str) -> tuple[int, int, str]:
    """Order rows as the papers do: by training set, inside before outside."""
    names = [one.training_set for one in cells]
    return names.index(configuration), ("internal", "resubstitution", "external").index(protocol), test


def _figures(run: Run, metric: str) -> dict[Key, pd.Series]:
    rows = run.scores[run.scores["metric"] == metric]
    return {(str(row["cell"]), str(row["label"])): row for _, row in rows.iterrows()}


def _columns(run: Run, rows: dict[Key, pd.Series]) -> tuple[str, ...]:
    there = {label for _, label in rows}
    return tuple(label for label in (*run.suite.labels, MEAN, ALL) if label in there)


def _text(rows: Sequence[pd.Series], digits: int) -> str:
    if not rows:
        return MISSING
    seen = SEEN if any(row["seen"] for row in rows) else ""
    if len(rows) == 1:
        row = rows[0]
        return f"{number(row['value'], digits)} {interval(row['low'], row['high'], digits)}".strip() + seen
    defined = [float(row["value"]) for row in rows if not math.isnan(row["value"])]
    return (mean_sd(defined, digits) if defined else UNDEFINED) + seen


def _notes(run: Run, found: Sequence[RunCell]) -> list[str]:
    rows = groups(found, "method", "model", "training_set", "protocol", "test").values()
    sizes = {len(cells) for cells in rows}
    notes = ["Internal: patients of the training datasets whom no fit has seen; external: a dataset that took no part."]
    if max(sizes) > 1:
        notes.append(f"With ±: mean and sample standard deviation over {max(sizes)} fits.")
    if min(sizes) == 1:
        notes.append(f"In parentheses: {100 * run.suite.interval.level:g} % intervals over patients.")
    if any(one.protocol == "resubstitution" for one in found):
        notes.append(
            "Training images: measured on what the fit has learned from; it says nothing about other patients."
        )
    return [*notes, *seen_note(any(one.seen for one in found))]


def _gap_row(name: str, one: RunCell, test: str, found: Contrast, p: float, said: str, digits: int) -> tuple[Cell, ...]:
    texts = (
        *(name, one.training_set, test, found.name),
        number(found.first, digits),
        number(found.second, digits),
        signed(found.difference, digits) + reported_beside.bracket(said),
        found.reason or between(found.low, found.high, digits),
        p_text(p),
        number(found.detectable, digits),
    )
    return tuple(Cell(text) for text in texts)


def _printed_gap(run: Run, one: RunCell, test: str, label: str, layout: TableLayout) -> str:
    """Subtract the paper's printed external figure from its internal one."""
    outside = next(
        cell
        for cell in measured(run, protocol="external", test=test, method=one.method, model=one.model)
        if cell.training_set == one.training_set
    )
    both = [reported_beside.printed(run, cell, label, layout.metric) for cell in (one, outside)]
    if not all(both):
        return ""
    decimals = max(len(text.rstrip("%").partition(".")[2]) for text in both)
    return signed(figure_of(both[0]) - figure_of(both[1]), decimals)


def _gap_notes(run: Run, parts: Sequence[tuple[RunCell, str, Contrast]], *, matched: bool) -> list[str]:
    level = 100 * run.suite.interval.level
    notes = [
        f"{level:g} % intervals over patients (images, where no ids are known). p of no gap, adjusted over the {len(parts)} gaps of this "
        "table. Smallest detectable: the smallest true gap that such data would show with 80 % power."
    ]
    cautions: dict[str, list[str]] = {}
    for one, _, found in parts:
        if found.caution:
            cautions.setdefault(found.caution, []).append(f"{one.model} {one.training_set} {found.name}")
    notes += [f"Caution, {', '.join(names)}: {text}." for text, names in cautions.items()]
    everything = {one.training_set for one in measured(run, protocol="resubstitution")}
    if everything:
        notes.append(
            f"Without a gap: {', '.join(sorted(everything))}, whose fits learned from every image; figures on training images are "
            "not compared with figures on others."
        )
    return [*notes, *reported_beside.notes(run, matched=matched)]
