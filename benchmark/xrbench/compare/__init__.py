"""Comparison of two runs, or of two methods of one run: paired differences with intervals, and a regression gate.

``run`` is what the command line calls; ``compare_runs``, ``compare_methods`` and ``decide`` are its parts for use from Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from xrbench.cards import Comparison as Declared
from xrbench.compare.comparison import Comparison, compare_methods, compare_runs
from xrbench.compare.hypotheses import ADJUSTMENTS, SUPERIORITY
from xrbench.compare.regression_gate import MARGIN, Gate
from xrbench.compare.regression_gate import gate as decide
from xrbench.compare.rows import QUESTIONS, About, CompareOptions, spec_of
from xrbench.compare.scores_io import Results, open_results
from xrbench.errors import UsageError, suggestion
from xrbench.metrics import parse_as
from xrbench.progress import Reporter

__all__ = [
    "CompareOptions",
    "Comparison",
    "Gate",
    "Results",
    "compare_methods",
    "compare_runs",
    "decide",
    "open_results",
    "run",
]


def run(
    first: Path,
    second: Path | None = None,
    *,
    methods: str | None = None,
    metric: str | None = None,
    margin: float | None = None,
    gate: bool = False,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    only: Sequence[str] = (),
    adjust: str | None = None,
    across: bool = False,
    about: About | None = None,
    every_label: bool = False,
    reporter: Reporter | None = None,
) -> Comparison | Gate:
    """Compare the results at two paths, or the methods of one.

    Args:
        first: Run folder, ``--out`` folder, leaderboard folder or ``scores.csv``; side a.
        second: Likewise, side b; an ``--out`` folder means its newest run of a's suite. None compares methods of ``first``.
        methods: ``challenger,baseline`` instead of the suite's declared comparisons; only without ``second``.
        metric: Name of the metric; by default that of the first declared comparison, else the AUC if the suite has it.
        margin: Smallest difference that matters, in the place of those that the suite declares; 0.02 for the gate, else 0.
        gate: Whether to decide if b is worse than a.
        replicates: Bootstrap replicates.
        level: Confidence level.
        seed: Names the bootstrap's streams.
        only: ``field=value`` filters on cells.
        adjust: ``holm`` or ``bh``; by default as a's suite says.
        across: Whether settings are also tested as a whole: signed ranks, and ranks of methods.
        about: ``methods`` (trainings and patients vary) or ``networks`` (patients vary). By default methods where methods are compared,
            networks where runs are; the gate asks about methods where both sides have three trainings or more in every setting.
        every_label: Whether the gate passes only where a loss above the margin is excluded for every label, not for their mean alone.
        reporter: Where progress goes.

    Raises:
        StoreError: A path does not hold results, or they are broken.
        UsageError: The options do not go together.
    """
    if metric is not None:
        spec_of(metric)
    a = open_results(first)
    chosen = metric or _default_metric(a)
    parse_as(a.task, chosen)
    adjustment = adjust or (a.card.adjustment if a.card else "holm")
    if adjustment not in ADJUSTMENTS:
        raise UsageError(f"--adjust: unknown {adjustment!r}{suggestion(adjustment, ADJUSTMENTS)}")
    if every_label and not gate:
        raise UsageError("--every-label is about --gate")
    if across and gate:
        raise UsageError("--gate decides by patients: leave out --across")
    if about is not None and about not in QUESTIONS:
        raise UsageError(f"--about: unknown {about!r}{suggestion(about, QUESTIONS)}")
    how = CompareOptions(chosen, _margin(margin, gated=gate), level, replicates, seed, adjustment, across, about)
    if second is None:
        if gate:
            raise UsageError("--gate compares two runs: name a second one")
        of_suite = [one for one in (a.card.comparisons if a.card else ()) if metric or one.metric == chosen]
        asked = _with_margin(_declared(methods) or of_suite, margin)
        return compare_methods(a, asked, how, only=only, reporter=reporter)
    if methods:
        raise UsageError("--methods compares methods of one run: leave the second one out")
    b = open_results(second, suite=a.suite)
    if gate:
        return decide(a, b, how, only=only, every_label=every_label, reporter=reporter)
    return compare_runs(a, b, how, only=only, reporter=reporter)


def _default_metric(results: Results) -> str:
    """Choose the metric of the declared comparisons, else the AUC if the suite has it, else the suite's first."""
    card = results.card
    if card is None:
        return "auc"
    if card.comparisons:
        return card.comparisons[0].metric
    return "auc" if "auc" in card.metrics else card.metrics[0]


def _margin(given: float | None, *, gated: bool) -> float:
    if given is not None and not given >= 0:
        raise UsageError(f"--margin: expected 0 or more, got {given:g}")
    return given if given is not None else (MARGIN if gated else 0.0)


def _with_margin(comparisons: Sequence[Declared], margin: float | None) -> list[Declared]:
    """Put a margin that is given on the command line in the place of the declared ones."""
    if margin is None:
        return list(comparisons)
    for one in comparisons:
        if one.question != SUPERIORITY and not margin > 0:
            raise UsageError(
                f"--margin {margin:g}: {one.challenger} is declared for {one.question}, which wants one above 0"
            )
    return [msgspec.structs.replace(one, margin=margin) for one in comparisons]


def _declared(methods: str | None) -> list[Declared]:
    if not methods:
        return []
    names = [name.strip() for name in methods.split(",")]
    if len(names) != 2 or not all(names):
        raise UsageError(f"--methods {methods}: expected CHALLENGER,BASELINE")
    return [Declared(challenger=names[0], baseline=names[1])]
