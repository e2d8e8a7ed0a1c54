"""Marks of the best method of a column: with all methods whose difference to it could not have been detected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xrbench import statistics
from xrbench.analyses.pairwise import detectable
from xrbench.metrics.metric import Better
from xrbench.rendering.numbers import number
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import Figure, Line

Key = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Marks:
    """Smallest detectable differences between each two lines of a setting, and the marks that follow.

    Attributes:
        apart: (setting, metric, label, line, line) -> smallest detectable difference, in either order of lines; empty where it was
            never computed: intervals decide then.
    """

    apart: Mapping[Key, float] = field(default_factory=dict)

    def leaders(
        self,
        figures: Mapping[Line, Figure | None],
        digits: int,
        better: Better,
        *,
        setting: str,
        metric: str,
        label: str,
    ) -> frozenset[Line]:
        """Choose the lines that are marked in a column.

        Marked are the best figure, those that print the same, and those within the smallest detectable difference of it.
        Contaminated figures are left out. Nothing is marked where that would be every line, or where neither direction is better.

        Args:
            figures: The figures of one row kind in one column.
            digits: Decimals that are printed.
            better: Direction of the metric.
            setting: Name of the column's setting.
            metric: Name of the metric.
            label: The row's label.
        """
        valid = {line: f for line, f in figures.items() if f is not None and f.defined and not f.seen}
        if len(valid) < 2 or better == "neither":
            return frozenset()
        if not self.apart:
            marked = _by_intervals(valid, digits, better)
        else:
            pairs = {(a, b): d for (s, m, of, a, b), d in self.apart.items() if (s, m, of) == (setting, metric, label)}
            named = {name_of(line.method, line.model): line for line in valid}
            values = {name: valid[line].value for name, line in named.items()}
            ahead = statistics.leaders(values, pairs, lower_is_better=better == "lower")
            top = number((min if better == "lower" else max)(values.values()), digits)
            marked = {named[name] for name in values if name in ahead or number(values[name], digits) == top}
        return frozenset(marked) if len(marked) < len(valid) else frozenset()

    def note(self, better: Better) -> str:
        """Explain the marks of a metric of that direction."""
        rest = "nothing is marked where that is every method. MEAN is not marked: see the comparison of methods."
        if not self.apart:
            end = "lowest" if better == "lower" else "highest"
            return f"Marked: the {end} in its column, with every figure that prints the same or whose interval reaches it; {rest}"
        return (
            "Marked: the best in its column, with every figure that prints the same or is nearer to it than the smallest difference "
            f"that these patients would show with 80 % power (paired, analyses/pairs.csv); {rest}"
        )


def name_of(method: str, model: str) -> str:
    """Name a line by one word."""
    return f"{method}\x1f{model}"


def marks_of(run: Run) -> Marks:
    """Read the detectable differences between each two lines of a run or leaderboard."""
    frame = run.analysis("pairs")
    return Marks() if frame is None else Marks(detectable(frame, name_of))


def _by_intervals(figures: Mapping[Line, Figure], digits: int, better: Better) -> set[Line]:
    """Mark the best, with all that print the same or whose own interval reaches it."""
    sign = -1.0 if better == "lower" else 1.0
    top = max(sign * figure.value for figure in figures.values())
    return {
        line
        for line, figure in figures.items()
        if number(sign * figure.value, digits) == number(top, digits)
        or max(sign * figure.low, sign * figure.high) >= top
    }
