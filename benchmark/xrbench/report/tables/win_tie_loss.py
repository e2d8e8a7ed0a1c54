"""Wins, ties and losses of two methods, counted on figures as a paper prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xrbench.metrics import Better, metric_title, parse_as
from xrbench.rendering.numbers import MISSING, number, signed
from xrbench.rendering.table import Table
from xrbench.report.score_grid import MEAN, Figure, Line, Selection

DIRECTIONS: Mapping[Better, tuple[str, ...]] = {
    "higher": (),
    "lower": ("Lower is better: a difference below 0 is a win.",),
    "neither": ("Neither higher nor lower is better: nothing is won or lost.",),
}


def wins_table(selection: Selection, challenger: str, baseline: str, *, digits: int = 2) -> Table:
    """Subtract the baseline's printed figures from the challenger's, setting by setting, and count wins, ties and losses.

    A win is a difference in the metric's better direction; where neither direction is better, nothing is counted. Figures are
    rounded as a paper prints them before they are compared, so a tie is a tie in print; whether a difference is real is a question
    for the comparison with intervals.
    """
    better = parse_as(selection.suite.task, selection.metric).better
    rows = []
    for ours, theirs in matching_lines(selection, challenger, baseline):
        for title, protocol, label in _figures_compared(selection):
            find = selection.validation if protocol == "validation" else selection.external
            deltas = [
                _delta(find(ours, column, label), find(theirs, column, label), digits) for column in selection.columns
            ]
            if not any(delta is not None for delta in deltas):
                continue
            texts = (signed(delta, digits) if delta is not None else MISSING for delta in deltas)
            rows.append((title, *texts, _counted(deltas, better)))
    columns = selection.columns
    return Table.of(
        f"wins-{challenger}-{baseline}",
        f"{challenger} minus {baseline}, {metric_title(selection.metric)} as printed",
        ("test", *(column.test for column in columns), "win/tie/loss"),
        [rows],
        "l" + "r" * (len(columns) + 1),
        above=(
            ("train", *(column.trained_on for column in columns), ""),
            ("valid", *(column.valid for column in columns), ""),
        ),
        notes=(f"Differences of figures rounded to {digits} decimals; a tie prints the same.", *DIRECTIONS[better]),
        stamp=selection.stamp,
    )


def outcomes(deltas: Sequence[float | None], better: Better) -> tuple[int, int, int]:
    """Count wins, ties and losses; None counts as neither.

    Args:
        deltas: Challenger minus baseline.
        better: Direction of the metric, ``higher`` or ``lower``.

    >>> outcomes([0.06, 0.0, -0.02, -0.03, None], "higher"), outcomes([0.06, 0.0, -0.02, -0.03, None], "lower")
    ((1, 1, 2), (2, 1, 1))
    """
    gains = [-delta if better == "lower" else delta for delta in deltas if delta is not None]
    return sum(gain > 0 for gain in gains), sum(gain == 0 for gain in gains), sum(gain < 0 for gain in gains)


def _counted(deltas: Sequence[float | None], better: Better) -> str:
    return MISSING if better == "neither" else "/".join(map(str, outcomes(deltas, better)))


def matching_lines(selection: Selection, challenger: str, baseline: str) -> list[tuple[Line, Line]]:
    """Pair the lines of two methods: the same model on both sides, or the only model of each."""
    ours = [line for line in selection.lines if line.method == challenger]
    theirs = [line for line in selection.lines if line.method == baseline]
    same = [(a, b) for a in ours for b in theirs if a.model == b.model]
    return same or ([(ours[0], theirs[0])] if len(ours) == len(theirs) == 1 else [])


def _figures_compared(selection: Selection) -> list[tuple[str, str, str]]:
    metric = metric_title(selection.metric)
    mean = [(f"Avg Test {metric}", "external", MEAN)] if MEAN in selection.with_mean else []
    labels = [(label, "external", label) for label in selection.labels]
    return [(f"Best Valid {metric}", "validation", MEAN), *mean, *labels]


def _delta(ours: Figure | None, theirs: Figure | None, digits: int) -> float | None:
    if ours is None or theirs is None or not ours.defined or not theirs.defined or ours.seen or theirs.seen:
        return None
    return round(float(number(ours.value, digits)) - float(number(theirs.value, digits)), digits)
