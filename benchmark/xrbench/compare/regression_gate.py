"""Regression gate: whether b is worse than a by more than a margin, with four outcomes, for use in continuous integration.

One rule at one level for the whole family of comparisons. It is a *regression* when a loss above the margin is shown: when the
hypothesis of a smaller loss is rejected, after Holm's adjustment over all comparisons (one-sided, at half of one minus the level), or
when a value that a had is undefined in b. It is *no regression* when a loss above the margin is excluded for the mean over labels of
every method and protocol, or for every label where that is asked for: where the 90 % interval lies above minus the margin, for a level
of 95 %. That claim is about all of them together, and false only if one of them is wrong, so that each is tested at the family's level
(Berger 1982, Technometrics 24:295). Everything between is *inconclusive*: more patients, or trainings, would be needed. What a had and
b did not measure is never ignored: without a regression it makes the outcome inconclusive. Metrics where lower is better are negated
first; those without a better direction must stay within the margin on both sides.

The gate is about methods, so that another training of the same code passes, where both sides have three trainings or more in every
setting; else about these networks, whose figures may rightly differ when they are trained on another machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from xrbench import statistics
from xrbench.compare import pairs as pairing
from xrbench.compare.comparison import PROTOCOLS, Comparison, compare_runs
from xrbench.compare.differences import OVERALL
from xrbench.compare.method_rows import ENOUGH, enough_trainings
from xrbench.compare.rows import METHODS, NETWORKS, About, CompareOptions, Row, Section, spec_of
from xrbench.compare.scores_io import Results
from xrbench.fixture_notice import STAMP
from xrbench.metrics.metric import Better
from xrbench.planning import parse_only
from xrbench.progress import Reporter
from xrbench.rendering.numbers import signed, signed_interval

MARGIN = 0.02
"""Loss that is accepted when no margin is given."""

Outcome = Literal["not worse", "regression", "inconclusive", "not measured"]
CODES = {"no regression": 0, "regression": 1, "inconclusive": 2, "nothing measured": 2}


@dataclass(frozen=True)
class Judged:
    """One comparison of the gate.

    Attributes:
        section, row: The comparison.
        outcome: What it shows.
        needed: Whether a loss above the margin has to be excluded here for the gate to pass; a loss that is shown counts everywhere.
        p_loss: One-sided p-value of a loss above the margin, adjusted over the family; small where it is shown.
        p_pass: One-sided p-value of no larger loss, not adjusted; small where a loss above the margin is excluded.
        margin: Loss that is accepted.
        step: Two-sided significance at which a loss is shown if nothing else changed.
        low, high: Interval that leaves one minus the level in each tail: it lies above minus the margin where a loss is excluded.
    """

    section: Section
    row: Row
    outcome: Outcome
    needed: bool = True
    p_loss: float = math.nan
    p_pass: float = math.nan
    margin: float = math.nan
    step: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def catches(self) -> float:
        """Smallest true loss that would be called a regression with 80 % power, if nothing else changed; NaN where not known."""
        if self.row.errors is None or not self.row.errors.error > 0:
            return math.nan
        return self.margin + self.row.errors.detectable(self.step)

    @property
    def text(self) -> str:
        """Write it in one line."""
        where = "; ".join((f"{self.section.method}, {self.section.protocol}", *self.section.given))
        if self.row.undefined and self.outcome == "regression":
            return f"{self.row.label} is undefined where A had a value, {where}: {', '.join(self.row.undefined)}"
        if self.row.reason:
            return f"{self.row.label}, {where}: {self.row.reason}"
        interval = "no interval" if self.row.errors is None else signed_interval(self.low, self.high)
        return f"{self.row.label} {signed(self.row.difference)} ({interval}), {where}"


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
        outcomes = {one.outcome for one in self._needed}
        if self._of("regression"):
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
        measured = [one for one in self._needed if one.outcome != "not measured"]
        passed, margin = sum(one.outcome == "not worse" for one in measured), self.comparison.how.margin
        head = {"no regression": "no regression: ", "inconclusive": "inconclusive: "}.get(self.decision, "")
        if measured:
            lines.append(f"{head}{passed} of {len(measured)} comparisons not worse by more than {margin:g}")
            lines += [*self._others(), self._about(), *self._catches()]
            lines.append(f"intervals: {200 * self.comparison.how.level - 100:g} %")
        else:
            lines.append("nothing was measured")
        lines += dict.fromkeys(text for part in self.comparison.sections for text in part.given)
        lines += [f"inconclusive: {one.text}" for one in self._of("inconclusive") if one.needed]
        lines += [f"not measured in B: {name}" for name in self.comparison.missing]
        lines += [f"fewer test images in B: {name}" for name in self._fewer]
        unpaired = [part for part in self.comparison.sections if not part.paired]
        lines += ["unpaired (no predictions): only large losses can be seen"] if unpaired else []
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        judged = [
            {"method": o.section.method, "model": o.section.model, "protocol": o.section.protocol, "outcome": o.outcome}
            | {"needed": o.needed, "p_loss": o.p_loss, "p_pass": o.p_pass, "catches": o.catches}
            | o.row.plain()
            | {"low": o.low, "high": o.high}
            for o in self.judged
        ]
        comparison = self.comparison.to_dict()
        return {**comparison, "decision": self.decision, "judged": judged, "exit_code": self.exit_code}

    def _about(self) -> str:
        if self.comparison.how.about == METHODS:
            return "about methods: trainings and patients vary; another training of the same code is no regression"
        return (
            f"about these networks: patients vary; fewer than {ENOUGH} trainings on a side, so that a network trained anew, or on "
            "another machine, may rightly differ"
        )

    def _catches(self) -> list[str]:
        known = [one for one in self._needed if not math.isnan(one.catches)]
        if not known:
            return []
        worst, best = max(known, key=lambda one: one.catches), min(known, key=lambda one: one.catches)
        texts = [
            f"{one.catches:.3f} ({one.row.label}, {one.section.method}, {one.section.protocol})"
            for one in (best, worst)
        ]
        span = texts[0] if len(known) == 1 else f"{texts[0]} to {texts[1]}"
        return [f"smallest loss that would be called a regression with 80 % power: {span}"]

    def _others(self) -> list[str]:
        others = [one for one in self.judged if not one.needed and one.outcome != "not measured"]
        shown = sum(one.outcome == "regression" for one in others)
        if not others:
            return []
        count = "no larger loss is shown" if not shown else f"a larger loss is shown in {shown}"
        return [f"single labels: {count} of {len(others)}; --every-label passes only where it is excluded in each"]

    @property
    def _needed(self) -> list[Judged]:
        return [one for one in self.judged if one.needed]

    @property
    def _fewer(self) -> list[str]:
        return [name for part in self.comparison.sections for name in part.fewer]

    def _of(self, outcome: Outcome) -> list[Judged]:
        return [one for one in self.judged if one.outcome == outcome]


def gate(
    a: Results,
    b: Results,
    how: CompareOptions,
    *,
    only: Sequence[str] = (),
    every_label: bool = False,
    reporter: Reporter | None = None,
) -> Gate:
    """Compare run b with run a and decide.

    Args:
        a: What was accepted before.
        b: What is to be judged.
        how: Metric, margin, level, what it is about.
        only: ``field=value`` filters on the cells of a: what they leave out is not asked for.
        every_label: Whether a loss above the margin has to be excluded for every label, not for their mean alone.
        reporter: Where progress goes.

    Raises:
        MeasureError: Test images or truth do not match.
        StoreError: A predictions file is damaged.
    """
    how = replace(how, about=how.about or _question(a, b, only))
    comparison = compare_runs(a, b, how, only=only, reporter=reporter)
    return Gate(comparison, tuple(judge(comparison.rows, how, every_label=every_label)))


def judge(rows: Sequence[tuple[Section, Row]], how: CompareOptions, *, every_label: bool = False) -> list[Judged]:
    """Decide on every row of a family.

    Args:
        rows: Sections and rows.
        how: Metric, margin and level.
        every_label: As for ``gate``.
    """
    better, significance = spec_of(how.metric).better, 1 - how.level
    losses = [p_loss(row, how.margin, better) for _, row in rows]
    adjusted = statistics.adjust(losses, "holm").tolist()
    # the first step of Holm's method
    count = max(1, sum(not math.isnan(p) for p in losses))
    judged = []
    for (part, row), p in zip(rows, adjusted, strict=True):
        excluded = p_pass(row, how.margin, better)
        low, high = (math.nan, math.nan) if row.errors is None else row.errors.limits(2 * significance)
        outcome = outcome_of(row, p, excluded, significance)
        needed = every_label or row.label in OVERALL or not any(one.label in OVERALL for one in part.rows)
        judged.append(Judged(part, row, outcome, needed, p, excluded, how.margin, significance / count, low, high))
    return judged


def p_loss(row: Row, margin: float, better: Better) -> float:
    """Compute the one-sided p-value of a loss above the margin: small where it is shown; NaN where nothing is known."""
    if row.errors is None or row.errors.error == 0:
        # without any error the loss is known
        return math.nan if math.isnan(row.difference) or row.errors is None else float(not _lost(row, margin, better))
    sides = row.errors.p_above(margin), row.errors.p_below(-margin)
    if better == "neither":
        return min(1.0, 2 * min(sides))
    return sides[0] if better == "lower" else sides[1]


def p_pass(row: Row, margin: float, better: Better) -> float:
    """Compute the one-sided p-value by which a loss above the margin is excluded: small where it is."""
    if row.errors is None or row.errors.error == 0:
        return math.nan if math.isnan(row.difference) or row.errors is None else float(_lost(row, margin, better))
    sides = row.errors.p_above(-margin), row.errors.p_below(margin)
    if better == "neither":
        return max(sides)
    return sides[1] if better == "lower" else sides[0]


def outcome_of(row: Row, p_of_loss: float, p_of_pass: float, significance: float) -> Outcome:
    """Decide on one row.

    Args:
        row: The row.
        p_of_loss: Adjusted over the family, see ``p_loss``.
        p_of_pass: See ``p_pass``.
        significance: Of the family.
    """
    if row.undefined or p_of_loss < significance / 2:
        return "regression"
    if math.isnan(row.difference):
        return "not measured"
    return "not worse" if p_of_pass < significance else "inconclusive"


def _lost(row: Row, margin: float, better: Better) -> bool:
    gained = -row.difference if better == "lower" else row.difference
    return abs(gained) > margin if better == "neither" else gained < -margin


def _question(a: Results, b: Results, only: Sequence[str]) -> About:
    """Ask about methods where both sides have enough trainings in every setting."""
    filters = parse_only(only)
    cells = [[c for c in side.cells if c.matches(filters) and c.protocol in PROTOCOLS] for side in (a, b)]
    pairs, _ = pairing.matched_trainings(*cells)
    return METHODS if enough_trainings(pair for pair in pairs if pair.a.train) else NETWORKS
