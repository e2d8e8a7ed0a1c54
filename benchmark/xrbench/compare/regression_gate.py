"""Regression gate: whether run b is worse than run a, with four outcomes, for use in continuous integration.

A comparison is *not worse* when its interval lies above minus the margin (non-inferiority); it is a *regression* when the
interval lies below minus the margin, or when the loss is larger than the margin and significant after Holm's adjustment, or
when a value that a had is undefined in b. Everything between is *inconclusive*: more patients would be needed. What a had
and b did not measure is never ignored: without a regression it makes the outcome inconclusive. Metrics where lower is better
are negated first; those without a better direction must stay within the margin on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from xrbench.compare.comparison import Comparison, compare_runs
from xrbench.compare.rows import CompareOptions, Row, Section, spec_of
from xrbench.compare.scores_io import Results
from xrbench.fixture_notice import STAMP
from xrbench.progress import Reporter
from xrbench.rendering.numbers import signed, signed_interval

MARGIN = 0.02
"""Loss that is accepted when no margin is given."""

Outcome = Literal["not worse", "regression", "inconclusive", "not measured"]
CODES = {"no regression": 0, "regression": 1, "inconclusive": 2, "nothing measured": 2}


@dataclass(frozen=True)
class Judged:
    """One comparison of the gate."""

    section: Section
    row: Row
    outcome: Outcome

    @property
    def text(self) -> str:
        """Write it in one line."""
        where = "; ".join((f"{self.section.method}, {self.section.protocol}", *self.section.given))
        if self.row.undefined and self.outcome == "regression":
            return f"{self.row.label} is undefined where A had a value, {where}: {', '.join(self.row.undefined)}"
        difference = f"{signed(self.row.difference)} ({signed_interval(self.row.low, self.row.high)})"
        return f"{self.row.label} {difference}, {where}"


@dataclass(frozen=True)
class Gate:
    """The decision.

    Attributes:
        comparison: The differences behind it.
        judged: Every comparison with its outcome.
    """

    comparison: Comparison
    judged: tuple[Judged, ...]

    @property
    def decision(self) -> str:
        """Return ``no regression``, ``regression``, ``inconclusive`` or ``nothing measured``."""
        outcomes = {one.outcome for one in self.judged}
        if "regression" in outcomes:
            return "regression"
        if outcomes <= {"not measured"}:
            return "nothing measured"
        unsure = "inconclusive" in outcomes or self.comparison.missing or self._fewer
        return "inconclusive" if unsure else "no regression"

    @property
    def exit_code(self) -> int:
        """Return 0 no regression, 1 regression, 2 inconclusive or nothing measured."""
        return CODES[self.decision]

    def text(self) -> str:
        """Write the decision, and what it rests on, for a log."""
        lines = [STAMP] if self.comparison.fixture else []
        lines += [f"REGRESSION: {one.text}" for one in self._of("regression")]
        measured = [one for one in self.judged if one.outcome != "not measured"]
        passed, margin = len(self._of("not worse")), self.comparison.how.margin
        head = {"no regression": "no regression: ", "inconclusive": "inconclusive: "}.get(self.decision, "")
        if measured:
            lines.append(f"{head}{passed} of {len(measured)} comparisons not worse by more than {margin:g}")
        else:
            lines.append("nothing was measured")
        lines += dict.fromkeys(text for part in self.comparison.sections for text in part.given)
        lines += [f"inconclusive: {one.text}" for one in self._of("inconclusive")]
        lines += [f"not measured in B: {name}" for name in self.comparison.missing]
        lines += [f"fewer test images in B: {name}" for name in self._fewer]
        unpaired = [part for part in self.comparison.sections if not part.paired]
        lines += ["unpaired (no predictions): only large losses can be seen"] if unpaired else []
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        judged = [
            {"method": o.section.method, "model": o.section.model, "protocol": o.section.protocol, "outcome": o.outcome}
            | asdict(o.row)
            for o in self.judged
        ]
        comparison = self.comparison.to_dict()
        return {**comparison, "decision": self.decision, "judged": judged, "exit_code": self.exit_code}

    @property
    def _fewer(self) -> list[str]:
        return [name for part in self.comparison.sections for name in part.fewer]

    def _of(self, outcome: Outcome) -> list[Judged]:
        return [one for one in self.judged if one.outcome == outcome]


def gate(
    a: Results, b: Results, how: CompareOptions, *, only: Sequence[str] = (), reporter: Reporter | None = None
) -> Gate:
    """Compare run b with run a and decide.

    Args:
        a: What was accepted before.
        b: What is to be judged.
        how: Metric, margin, level, replicates.
        only: ``field=value`` filters on the cells of a: what they leave out is not asked for.
        reporter: Where progress goes.

    Raises:
        MeasureError: Test images or truth do not match.
        StoreError: A predictions file is damaged.
    """
    comparison = compare_runs(a, b, how, only=only, reporter=reporter)
    judged = tuple(Judged(part, row, outcome_of(row, how)) for part, row in comparison.rows)
    return Gate(comparison, judged)


def outcome_of(row: Row, how: CompareOptions) -> Outcome:
    """Judge one difference."""
    if row.undefined:
        return "regression"
    if math.isnan(row.difference):
        return "not measured"
    low, high, value = row.low, row.high, row.difference
    better = spec_of(how.metric).better
    if better == "lower":
        low, high, value = -high, -low, -value
    if math.isnan(low) or math.isnan(high):
        return "inconclusive"
    if better == "neither":
        return _two_sided(low, high, how.margin)
    if low >= -how.margin:
        return "not worse"
    significant = high < 0 and value < -how.margin and row.p_adjusted < 1 - how.level
    return "regression" if high < -how.margin or significant else "inconclusive"


def _two_sided(low: float, high: float, margin: float) -> Outcome:
    if -margin <= low and high <= margin:
        return "not worse"
    return "regression" if high < -margin or low > margin else "inconclusive"
