"""Tables of ``docs/paper-sizes.md``, each between two comments, made of ``docs/paper-sizes.csv``."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from tests.paper_steps.cases import plans
from tests.paper_steps.cost import Cost, costs
from tests.paper_steps.records import Record
from xrbench.catalogue import Catalogue
from xrbench.files import write_atomic
from xrbench.rendering.numbers import MISSING, count, plural
from xrbench.rendering.table import Table

DEVICE = "cpu"
"""Device whose figures the costs are computed from."""


def update(path: Path, records: Sequence[Record], catalogue: Catalogue) -> None:
    """Put the tables of these records in place of those of the page."""
    text = path.read_text(encoding="utf-8")
    write_atomic(path, filled(text, records, catalogue).encode())


def filled(text: str, records: Sequence[Record], catalogue: Catalogue) -> str:
    """Return the page with the tables of these records.

    Raises:
        ValueError: The page lacks the comments around a table.
    """
    for name, table in (("measured", measured_table(records)), ("cost", cost_table(records, catalogue))):
        place = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
        found = place.search(text)
        if found is None:
            raise ValueError(f"the page has no comments {name!r} around a table")
        text = text[: found.start()] + table.markdown() + text[found.end() :]
    return text


def measured_table(records: Sequence[Record]) -> Table:
    """Make the table of what was measured, a block for each suite and a footnote for each machine."""
    heads = (
        "suite",
        "model",
        "method",
        "device",
        "size",
        "images of a step",
        "step, s",
        "processor, s",
        "evaluation, s",
        "peak, MiB",
        "of it at the start",
    )
    suites = dict.fromkeys(record.suite for record in records)
    blocks = [[_row(record) for record in records if record.suite == suite] for suite in suites]
    return Table.of("measured", "", heads, blocks, "llllrlrrrrr", notes=_notes(records))


def _row(record: Record) -> tuple[str, ...]:
    return (
        record.suite,
        record.model,
        record.method,
        record.device,
        f"{record.image_size} px",
        _step(record),
        _number(record.step_seconds, ".2f"),
        _number(record.step_cpu_seconds, ".2f"),
        _number(record.evaluation_seconds, ".2f"),
        count(record.peak_memory_mib),
        count(record.start_memory_mib),
    )


def _step(record: Record) -> str:
    if not record.groups:
        return "no network runs" if math.isnan(record.evaluation_seconds) else "is not trained"
    accumulated = f" x {plural(record.accumulate, 'step')}" if record.accumulate > 1 else ""
    groups = f" x {plural(record.groups, 'group')}" if record.groups > 1 else ""
    return f"{record.batch}{groups}{accumulated}"


def _notes(records: Sequence[Record]) -> list[str]:
    notes = []
    for machine in dict.fromkeys(record.machine for record in records):
        there = [record for record in records if record.machine == machine]
        loads = [record.load for record in there if not math.isnan(record.load)]
        threads = " or ".join(str(number) for number in sorted({record.threads for record in there}))
        precision = " and ".join(sorted({record.precision for record in there}))
        busy = f", load average {min(loads):.1f} to {max(loads):.1f}" if loads else ""
        notes.append(f"{there[0].device}: {machine}; threads: {threads}, training in {precision}{busy}.")
    for record in records:
        if not math.isnan(record.repeated_step_seconds):
            case = f"{record.suite}, {record.model}, {record.method} on {record.device}"
            notes.append(f"{case}, measured again after all others: {record.repeated_step_seconds:.2f} s a step.")
    return notes


def cost_table(records: Sequence[Record], catalogue: Catalogue) -> Table:
    """Make the table of what whole runs cost, a block for each suite."""
    here = [record for record in records if record.device == DEVICE]
    by_suite = [costs(plan, catalogue, here) for plan in plans(catalogue)]
    heads = (
        "suite",
        "model",
        "method",
        "training set",
        "fits",
        "images x epochs of a fit",
        "hours of a fit",
        "alone",
        "hours of all, alone",
        "tensors, GiB",
    )
    blocks = [[*map(_cost_row, rows), _total(rows)] for rows in by_suite if rows]
    return Table.of("cost", "", heads, blocks, "llllrrrrrr")


def _cost_row(cost: Cost) -> tuple[str, ...]:
    return (
        cost.suite,
        cost.model,
        cost.method,
        cost.training_set,
        count(cost.fits),
        f"{cost.images:,} x {cost.epochs}",
        _hours(cost.hours),
        _hours(cost.hours_alone),
        _hours(cost.hours_alone * cost.fits),
        f"{cost.gpu_gib:.1f}",
    )


def _total(rows: Sequence[Cost]) -> tuple[str, ...]:
    fits, hours = sum(row.fits for row in rows), sum(row.hours_alone * row.fits for row in rows)
    images = sum(row.fits * row.images * row.epochs for row in rows)
    return (rows[0].suite, "all", "all", "all", count(fits), f"{images / 1e6:,.1f} M in all", "", "", _hours(hours), "")


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}"


def _number(value: float, spec: str) -> str:
    return MISSING if math.isnan(value) else format(value, spec)
