"""Test the claims of a suite's paper on a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from xrbench import blocks
from xrbench.cards import PaperCard
from xrbench.rendering.numbers import p_text
from xrbench.report.claims.verdict import Verdict, adjusted
from xrbench.report.effects import measured
from xrbench.report.run_folder import Run
from xrbench.runs.shared_parents import notes_of_scores

ABOUT_DATA = ("prevalence", "younger", "class-order")
"""Claims about images and patients, whatever was trained on them."""


def judged(run: Run) -> list[Verdict]:
    """Test every claim of the suite's paper, with p-values adjusted for their number; none without a paper.

    Raises:
        UnknownNameError: A claim names no check, or something that the suite does not have.
        CardError: A claim has an option that its check does not take.
    """
    paper = run.paper
    return [] if paper is None else run.once("claims", lambda: _judged(run, paper.card))


def _judged(run: Run, paper: PaperCard) -> list[Verdict]:
    verdicts = []
    for claim in paper.claims:
        where = f"{paper.name}/paper.toml: claim {claim.text!r}"
        check = blocks.check_options("claim", claim.kind, claim.options, where=where)
        verdict = check(run, claim, **claim.options)
        given = () if claim.kind in ABOUT_DATA else notes_of_scores(run.scores)
        verdicts.append(replace(verdict, given=given))
    return adjusted(verdicts, level=run.suite.interval.level, method=run.suite.adjustment)


def partly(run: Run) -> list[str]:
    """Say which models and training sets of the suite the run has not measured, since claims are then tested on a part."""
    cells = measured(run)
    profile = run.manifest.get("profile") or {}
    expected = {
        "networks": ("model", profile.get("models") or run.suite.models),
        "training sets": ("training_set", [each.name for each in run.suite.protocol.configurations]),
    }
    texts = []
    for title, (field, names) in expected.items():
        measured_names = {getattr(cell, field) for cell in cells}
        missing = [name for name in names if name not in measured_names]
        texts += [f"{title} {', '.join(missing)}"] if missing else []
    return [f"Judged on a part of the suite only; not measured: {'; '.join(texts)}."] if texts else []


def lines(verdicts: Sequence[Verdict], *, stamp: str = "", notes: Sequence[str] = ()) -> list[str]:
    """Write verdicts for a terminal, below the stamp and any notes: each claim, its figures, and what was tested."""
    written = [*([stamp] if stamp else []), "The paper's claims", *notes]
    for at, verdict in enumerate(verdicts, 1):
        p = (
            ""
            if math.isnan(verdict.support)
            else f"; p for {p_text(verdict.support)}, against {p_text(verdict.against)}"
        )
        written.append(f"{at:>3}  {verdict.outcome:<13}  {verdict.text}")
        written.append(f"{'':>20}{verdict.figures} ({verdict.n}){p}")
        written += [f"{'':>20}{text}" for text in (verdict.test, *verdict.given)]
    return written


def to_dict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values, for JSON."""
    names = ("text", "outcome", "test", "figures", "n", "support", "against")
    values = {name: getattr(verdict, name) for name in names}
    values |= {"given": list(verdict.given)} if verdict.given else {}
    return {**values, "caution": verdict.caution, "parts": [vars(part) for part in verdict.parts]}
