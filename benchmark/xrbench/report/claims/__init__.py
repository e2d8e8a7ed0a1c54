"""Hold a paper's claims against a run, one by one: each holds, does not hold, or cannot be told.

A claim names a check (``blocks.BLOCKS["claim"]``), a function ``f(run, claim, **options)`` that returns a ``Verdict``. The claims of a
paper are one family: their p-values are adjusted for how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from xrbench import blocks
from xrbench.cards import PaperCard, TableLayout
from xrbench.rendering.differences import between, many, p_text
from xrbench.rendering.numbers import number, signed
from xrbench.rendering.table import Cell, Table
from xrbench.report.claims.verdict import FAILS, HOLDS, OPEN, adjusted
from xrbench.report.claims.verdict import Verdict as Verdict
from xrbench.report.effects import Contrast, measured
from xrbench.report.run_folder import Run


def judged(run: Run) -> list[Verdict]:
    """Hold every claim of the suite's paper against a run, adjusted for their number; none without a paper.

    Raises:
        UnknownNameError: A claim names no check, or something that the suite does not have.
        CardError: A claim has an option that its check does not take.
    """
    paper = run.paper
    return [] if paper is None else run.once("claims", lambda: _judged(run, paper.card))


def table(run: Run, layout: TableLayout) -> Table | None:
    """Make the table of a paper's claims with what the run says of each; None without claims.

    Args:
        run: The run, with predictions.
        layout: Name and caption.
    """
    verdicts = judged(run)
    if run.paper is None or not verdicts:
        return None
    counts = ", ".join(f"{sum(one.outcome == word for one in verdicts)} {word}" for word in (HOLDS, FAILS, OPEN))
    tested = sum(not math.isnan(one.support) for one in verdicts)
    rare, adjustment = f"{1 - run.suite.interval.level:.2g}", run.suite.adjustment.title()
    notes = [
        f"{many(len(verdicts), 'claim')}: {counts}.",
        f"A claim holds when every difference behind it shows it (largest p below {rare}), and does not hold when one shows the "
        f"contrary. p for and against the claim, each adjusted ({adjustment}) over the {tested} claims that were tested; claims about "
        "what the data are need no test. What was not found is not thereby absent: then it cannot be told.",
        *(f"{at}: {one.test}." for at, one in enumerate(verdicts, 1)),
        *(f"Caution, {at}: {one.caution}." for at, one in enumerate(verdicts, 1) if one.caution),
        *partly(run),
        *_ending(run, run.paper.card.cite),
    ]
    return Table(
        name=layout.name,
        caption=layout.caption or "The paper's claims, and what this run says of each",
        header=(("", "claim", "verdict", "found", "n", "p for", "p against"),),
        blocks=(tuple(_row(at, one) for at, one in enumerate(verdicts, 1)),),
        align="rllllrr",
        notes=tuple(notes),
        stamp=run.stamp,
    )


def parts_table(run: Run, layout: TableLayout) -> Table | None:
    """Make the table of every difference behind every claim; None where there is none.

    Args:
        run: The run, with predictions.
        layout: Name, caption and decimals.
    """
    verdicts = judged(run)
    blocks = [
        tuple(_part_row(at, one, part, layout.digits) for part in one.parts)
        for at, one in enumerate(verdicts, 1)
        if one.parts
    ]
    if run.paper is None or not blocks:
        return None
    return Table(
        name=layout.name,
        caption=layout.caption or "Every difference behind the paper's claims",
        header=(
            ("", "claim", "of", "first", "second", "difference", "interval", "p", "smallest detectable", "images"),
        ),
        blocks=tuple(blocks),
        align="rllrrrrrrr",
        notes=(
            f"{100 * run.suite.interval.level:g} % intervals over patients; p of no difference, not adjusted.",
            *_ending(run, run.paper.card.cite),
        ),
        stamp=run.stamp,
    )


def partly(run: Run) -> list[str]:
    """Say what of the suite the run has not measured, since claims are then judged on a part; nothing where all is there."""
    cells = measured(run)
    profile = run.manifest.get("profile") or {}
    wanted = {
        "networks": ("model", profile.get("models") or run.suite.models),
        "training sets": ("training_set", [one.name for one in run.suite.protocol.configurations]),
    }
    gone = {
        title: [name for name in names if name not in {getattr(one, field) for one in cells}]
        for title, (field, names) in wanted.items()
    }
    texts = [f"{title} {', '.join(names)}" for title, names in gone.items() if names]
    return [f"Judged on a part of the suite only; not measured: {'; '.join(texts)}."] if texts else []


def lines(verdicts: Sequence[Verdict], *, stamp: str = "", notes: Sequence[str] = ()) -> list[str]:
    """Write verdicts for a terminal, below the stamp and any notes: the claim, and below it what was tested and found."""
    found = [*([stamp] if stamp else []), "The paper's claims", *notes]
    for at, one in enumerate(verdicts, 1):
        tested = "" if math.isnan(one.support) else f"; p for {p_text(one.support)}, against {p_text(one.against)}"
        found.append(f"{at:>3}  {one.outcome:<13}  {one.text}")
        found.append(f"{'':>20}{one.figures} ({one.n}){tested}")
        found.append(f"{'':>20}{one.test}")
    return found


def to_dict(one: Verdict) -> dict[str, Any]:
    """Write a verdict for machines."""
    values = {name: getattr(one, name) for name in ("text", "outcome", "test", "figures", "n", "support", "against")}
    return {**values, "caution": one.caution, "parts": [vars(part) for part in one.parts]}


def _judged(run: Run, paper: PaperCard) -> list[Verdict]:
    found = []
    for claim in paper.claims:
        where = f"{paper.name}/paper.toml: claim {claim.text!r}"
        check = blocks.check_options("claim", claim.kind, claim.options, where=where)
        found.append(check(run, claim, **claim.options))
    return adjusted(found, level=run.suite.interval.level, method=run.suite.adjustment)


def _ending(run: Run, cite: str) -> list[str]:
    words = "These are synthetic images: the verdicts show that the checks work and say nothing about the paper."
    return [f"Claims of: {cite}", *([words] if run.results.fixture else [])]


def _row(at: int, one: Verdict) -> tuple[Cell, ...]:
    texts = (str(at), one.text, one.outcome, one.figures, one.n, p_text(one.support), p_text(one.against))
    return tuple(Cell(text) for text in texts)


def _part_row(at: int, one: Verdict, part: Contrast, digits: int) -> tuple[Cell, ...]:
    texts = (
        *(str(at), one.text, part.name, number(part.first, digits), number(part.second, digits)),
        *(signed(part.difference, digits), part.reason or between(part.low, part.high, digits), p_text(part.p)),
        *(number(part.detectable, digits), f"{part.images:,}"),
    )
    return tuple(Cell(text) for text in texts)
