"""Tables of a paper's claims: one of the verdicts, one of every difference behind them."""

from __future__ import annotations

import math

from xrbench.cards import TableLayout
from xrbench.rendering.numbers import number, p_text, plural, signed, signed_interval
from xrbench.rendering.table import Table
from xrbench.report.claims.evaluate import judged, partly
from xrbench.report.claims.verdict import FAILS, HOLDS, OPEN
from xrbench.report.run_folder import Run


def table(run: Run, layout: TableLayout) -> Table | None:
    """Show a paper's claims with what the run says of each; None without claims. Needs predictions."""
    verdicts = judged(run)
    if run.paper is None or not verdicts:
        return None
    counts = ", ".join(
        f"{sum(verdict.outcome == word for verdict in verdicts)} {word}" for word in (HOLDS, FAILS, OPEN)
    )
    tested = sum(not math.isnan(verdict.support) for verdict in verdicts)
    rare, adjustment = f"{1 - run.suite.interval.level:.2g}", run.suite.adjustment.title()
    numbered = list(enumerate(verdicts, 1))
    rows = [
        (
            *(str(at), verdict.text, verdict.outcome, verdict.figures, verdict.n),
            *(p_text(verdict.support), p_text(verdict.against)),
        )
        for at, verdict in numbered
    ]
    return Table.of(
        layout.name,
        layout.caption or "The paper's claims, and what this run says of each",
        ("", "claim", "verdict", "found", "n", "p for", "p against"),
        [rows],
        "rllllrr",
        notes=(
            f"{plural(len(verdicts), 'claim')}: {counts}.",
            f"A claim holds when every difference behind it shows it (largest p below {rare}), and does not hold when one shows the "
            f"contrary. p for and against the claim, each adjusted ({adjustment}) over the {tested} claims that were tested; claims about "
            "what the data are need no test. What was not found is not thereby absent: then it cannot be told.",
            *(f"{at}: {verdict.test}." for at, verdict in numbered),
            *(f"Caution, {at}: {verdict.caution}." for at, verdict in numbered if verdict.caution),
            *partly(run),
            *_source(run, run.paper.card.cite),
        ),
        stamp=run.stamp,
    )


def parts_table(run: Run, layout: TableLayout) -> Table | None:
    """Show every difference behind every claim; None where there is none. Needs predictions."""
    verdicts = judged(run)
    if run.paper is None or not any(verdict.parts for verdict in verdicts):
        return None
    blocks = [
        [
            (
                *(str(at), verdict.text, part.name),
                *(number(part.first, layout.digits), number(part.second, layout.digits)),
                signed(part.difference, layout.digits),
                part.reason or signed_interval(part.low, part.high, layout.digits),
                *(p_text(part.p), number(part.detectable, layout.digits), f"{part.images:,}"),
            )
            for part in verdict.parts
        ]
        for at, verdict in enumerate(verdicts, 1)
    ]
    return Table.of(
        layout.name,
        layout.caption or "Every difference behind the paper's claims",
        ("", "claim", "of", "first", "second", "difference", "interval", "p", "smallest detectable", "images"),
        blocks,
        "rllrrrrrrr",
        notes=(
            f"{100 * run.suite.interval.level:g} % intervals over patients; p of no difference, not adjusted.",
            *_source(run, run.paper.card.cite),
        ),
        stamp=run.stamp,
    )


def _source(run: Run, cite: str) -> list[str]:
    fixture = "These are synthetic images: the verdicts show that the checks work and say nothing about the paper."
    return [f"Claims of: {cite}", *([fixture] if run.results.fixture else [])]
