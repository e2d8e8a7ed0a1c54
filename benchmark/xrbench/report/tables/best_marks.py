"""Marks of the best method of a column: with all methods that are not shown to differ from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xrbench.analyses.pairwise import apart
from xrbench.compare.hypotheses import ADJUSTMENTS
from xrbench.compare.rows import METHODS, About
from xrbench.metrics.metric import Better
from xrbench.rendering.numbers import number
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import Figure, Line

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Marks:
    """Pairs of lines that are shown to differ, and the marks that follow.

    Attributes:
        columns: (setting, metric, label) -> what is concluded about, and the pairs that differ; empty where it was never computed:
            intervals decide then.
        adjustment: How p-values of a column are adjusted.
    """

    columns: Mapping[Key, tuple[About, frozenset[frozenset[str]]]] = field(default_factory=dict)
    adjustment: str = "holm"

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

        Marked are the best figure, those that print the same, and those that are not shown to differ from it. Contaminated figures are
        left out. Nothing is marked where that would be every line, or where neither direction is better.

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
        if not self.columns:
            marked = _by_intervals(valid, digits, better)
        else:
            differ = self.columns.get((setting, metric, label), (METHODS, frozenset()))[1]
            best = (min if better == "lower" else max)(valid, key=lambda line: valid[line].value)
            top = number(valid[best].value, digits)
            marked = {
                line
                for line, figure in valid.items()
                if line == best
                or frozenset((_name(line), _name(best))) not in differ
                or number(figure.value, digits) == top
            }
        return frozenset(marked) if len(marked) < len(valid) else frozenset()

    def note(self, better: Better) -> str:
        """Explain the marks of a metric of that direction."""
        rest = "nothing is marked where that is every method. MEAN is not marked: see the comparison of methods."
        if not self.columns:
            end = "lowest" if better == "lower" else "highest"
            return f"Marked: the {end} in its column, with every figure that prints the same or whose interval reaches it; {rest}"
        about = {about for about, _ in self.columns.values()}
        what = (
            "trained anew, trainings and patients varying"
            if about == {METHODS}
            else "trained anew where a setting has several trainings, else as these networks"
            if METHODS in about
            else "as these networks: another training may be marked otherwise"
        )
        return (
            "Marked: the best in its column, with every figure that prints the same or is not shown to differ from it "
            f"({what}; {ADJUSTMENTS[self.adjustment]} over the column, analyses/pairs.csv); {rest}"
        )


def name_of(method: str, model: str) -> str:
    """Name a line by one word."""
    return f"{method}\x1f{model}"


def marks_of(run: Run) -> Marks:
    """Read which lines of a run or leaderboard are shown to differ."""
    frame, suite = run.analysis("pairs"), run.suite
    if frame is None:
        return Marks()
    significance = 1 - suite.interval.level
    return Marks(apart(frame, name_of, adjustment=suite.adjustment, significance=significance), suite.adjustment)


def _name(line: Line) -> str:
    return name_of(line.method, line.model)


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
